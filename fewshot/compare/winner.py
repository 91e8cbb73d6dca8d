"""The winner, ready to use: trained on all images, and saved with what to expect of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from fewshot import backend
from fewshot.compare.findings import Findings
from fewshot.compare.held_out import counted
from fewshot.compare.place import MODEL
from fewshot.data.catalogue import open_whole
from fewshot.errors import FewshotError, UsageError
from fewshot.machine import cores
from fewshot.stats.calibration import scaled
from fewshot.stats.conformal import prediction_sets
from fewshot.stats.promise import promise
from fewshot.trials.plan import Plan


def save_winner(
    findings: Findings, plan: Plan, formats: Sequence[str], say: Callable[[str], None]
) -> Mapping[str, str] | None:
    """Train the best strategy that can be saved on all images; return its name, and where its files are.

    The card promises what exactly this recipe did on photos that it was not trained on, and its temperature
    is fitted to those predictions.

    Parameters
    ----------
    findings
        Who won.
    plan
        The trials: their learners and images.
    formats
        The formats to write, "keras" among them in any case.
    say
        Is told why a strategy, or no model at all, is saved.

    Returns
    -------
    "method", "path" and "card"; None where no model can be saved.
    """
    if not findings.pool.same_classes:
        say("no model is saved: these draws take some classes of the data only")
        return None
    # As in the trials: features then lie in the store already.
    backend.ensure(plan.machine.threads or cores(), plan.machine.device)
    from fewshot.deploy.export import export

    path = findings.place.folder / MODEL
    for row in findings.answer.rows:
        if row.method not in findings.answer.said:
            continue
        learner, data = plan.learners[row.method], findings.images.of(plan.learners[row.method])
        said, *photos = counted(findings.answer.said[row.method], findings.pool)
        told = findings.answer.promise if row.method == findings.winner else None
        told = told or promise(said, *photos, prior=plan.protocol.prior)
        calibrated = np.stack([scaled(part, told.temperature) for part in said])
        card = {
            "method": row.method,
            "protocol": plan.protocol.describe(),
            "expected": asdict(row.accuracy or told.expected),
            "accuracy": asdict(told.accuracy),
            "recall": [asdict(recall) if recall else None for recall in told.recall],
            "calibration_error": told.ece,
            "calibration_error_by_chance": told.ece_by_chance,
            "temperature": told.temperature,
            "sets": prediction_sets(calibrated, *photos).to_json(),
            "unseen_photos": told.n,
            "data": findings.images.small.name,
            "fingerprint": data.fingerprint,
            "command": findings.command,
            "levels": data.levels,
        }
        try:
            images, files = open_whole(data, findings.pool.classes)
            images = replace(images, prior=plan.protocol.prior)
            export(learner, images, 0, path, card, ("keras", *formats), photos=files)
        except UsageError as error:
            say(f"{row.method} is not saved: {error.args[0]}")
            continue
        except FewshotError as error:  # the disk is full, or such: the answer stands
            say(f"no model is saved: {error.args[0]}")
            return None
        return {"method": row.method, "path": str(path), "card": str(path.with_suffix(".json"))}
    say("none of the strategies can be saved as a model: add one that can, such as lite-logistic")
    return None
