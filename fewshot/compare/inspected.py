"""A look at the images themselves, with what the comparison knows of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from fewshot import backend
from fewshot.backbones.features import extract
from fewshot.compare.answer import Answer
from fewshot.compare.held_out import Pool
from fewshot.data import Dataset, Prepared, open_splits
from fewshot.data.views import VIEWS
from fewshot.errors import FewshotError
from fewshot.inspection.findings import Inspection
from fewshot.inspection.look import Apart, inspect
from fewshot.trials.plan import Images, Machine
from fewshot.wording import readable

FEATURES = "efficientnet-lite0@224"  # of the first backbone, which lie in the store when this is asked


def inspected(
    answer: Answer, images: Images, pool: Pool, machine: Machine, say: Callable[[str], None]
) -> Inspection | None:
    """Return what is suspicious about the images; None where draws differ in their classes.

    Labels are questioned by what the winner said of each image while it was held out. say: is told what is
    not looked for, and why.
    """
    if not pool.same_classes:
        return None
    index = np.arange(len(pool)) if pool.images is None else np.flatnonzero(pool.images)

    def looked_at(data: Prepared) -> Dataset:
        part = open_splits(data.folder).parts[pool.part]
        return part if pool.images is None else part.take(index).compact()

    seen = looked_at(images.views)
    features = None
    if seen.x.ndim == 5:
        backend.ensure(machine.threads or 1, machine.device)
        try:
            features = extract(FEATURES, seen.x[:, VIEWS.index("whole")])
        except FewshotError as error:
            say(f"no outliers are looked for among the photos: {error.args[0]}")
    shown = seen if seen.x.ndim == 5 else looked_at(images.large)
    said, files = answer.said.get(answer.winner or ""), images.small.files(pool.part)
    apart = None if said is None else np.asarray(said.mean(), np.float64)
    if apart is not None and pool.classes:
        apart = apart[index][:, list(pool.classes)]
    found_there = inspect(
        shown.x,
        shown.y,
        shown.classes,
        [files[i] for i in index] if files else [],
        images.small.directory,
        apart,
        features,
        pool.groups[index],
        levels=images.small.levels,
        apart=_apart(images, pool),
    )
    return found_there if pool.images is None else _in_the_whole(found_there, index, files, images, pool)


def _apart(images: Images, pool: Pool) -> list[Apart]:
    """Return those of a folder's photos that are not looked at, but are near-duplicates of ones that are."""
    repeats = []
    for name, part in open_splits(images.small.folder).parts.items():
        if name == pool.part or part.groups is None:
            continue
        files, shown = images.small.files(name), _to_show(images, name)
        repeats += [
            Apart(files[i], part.classes[part.y[i]], int(part.groups[i]), np.asarray(shown[i]))
            for i in np.flatnonzero(np.isin(part.groups, pool.groups)).tolist()
        ]
    return repeats


def _to_show(images: Images, part: str) -> np.ndarray:
    """Return the photos of a part in the size to show them in."""
    views = open_splits(images.views.folder).parts[part].x
    return (
        views[:, VIEWS.index("padded")] if views.ndim == 5 else open_splits(images.large.folder).parts[part].x
    )


def _in_the_whole(
    inspection: Inspection, index: np.ndarray, files: Sequence[str], images: Images, pool: Pool
) -> Inspection:
    """Return what was found among the images at `index`, with their positions among all of the part."""
    findings = []
    for finding in inspection.findings:
        position = int(index[finding.position])
        file = finding.file if files else f"image {position}"
        findings.append(replace(finding, position=position, file=file))
    shown = _to_show(images, pool.part)
    return replace(inspection, findings=tuple(findings), images=shown, files=tuple(map(readable, files)))
