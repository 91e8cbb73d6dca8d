"""A look at the images themselves, with what the comparison knows of them."""

from collections.abc import Callable

import numpy as np

from fewshot import backend
from fewshot.backbones.features import extract
from fewshot.compare.answer import Answer
from fewshot.compare.held_out import Pool
from fewshot.data import open_splits
from fewshot.data.views import VIEWS
from fewshot.errors import FewshotError
from fewshot.inspection.findings import Inspection
from fewshot.inspection.look import inspect
from fewshot.trials.plan import Images, Machine

FEATURES = "efficientnet-lite0@224"  # of the first backbone, which lie in the store when this is asked


def inspected(
    found: Answer, images: Images, pool: Pool, machine: Machine, say: Callable[[str], None]
) -> Inspection | None:
    """Return what is suspicious about the images; None where draws differ in their classes.

    Labels are questioned by what the winner said of each image while it was held out. say: is told what is
    not looked for, and why.
    """
    if not pool.same_classes:
        return None
    seen = open_splits(images.views.folder).parts[pool.part]
    features = None
    if seen.x.ndim == 5:
        backend.ensure(machine.threads or 1, machine.device)
        try:
            features = extract(FEATURES, seen.x[:, VIEWS.index("whole")])
        except FewshotError as error:
            say(f"no outliers are looked for among the photos: {error.args[0]}")
    shown = seen if seen.x.ndim == 5 else open_splits(images.large.folder).parts[pool.part]
    said = found.said.get(found.winner or "")
    return inspect(
        shown.x,
        shown.y,
        shown.classes,
        images.small.files(pool.part),
        images.small.directory,
        None if said is None else np.asarray(said.mean(), np.float64),
        features,
        pool.groups,
        levels=images.small.levels,
    )
