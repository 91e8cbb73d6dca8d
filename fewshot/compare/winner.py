"""The winner, ready to use: trained on all images, and saved with what to expect of it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from fewshot import backend
from fewshot.compare.findings import Findings
from fewshot.data import open_splits
from fewshot.errors import UsageError
from fewshot.trials.plan import Plan, cores
from fewshot.trials.predictions import temperature
from fewshot.trials.store import Store


def save_winner(
    findings: Findings, plan: Plan, store: Store, path: Path, say: Callable[[str], None]
) -> Mapping[str, str] | None:
    """Train the best method that can be saved on all images; return its name, and where it and its card are.

    Its temperature is fitted to the held-out predictions of the draws.

    Parameters
    ----------
    findings
        Who won.
    plan
        The trials: their learners and images.
    store
        The predictions of the draws.
    path
        Where the model goes, `NAME.keras`; its card goes beside it.
    say
        Is told why a method, or no model at all, is saved.

    Returns
    -------
    "method", "path" and "card"; None where no model can be saved.
    """
    if plan.protocol.ways is not None or plan.protocol.classes:
        say("no model is saved: these draws take some classes of the data only")
        return None
    backend.ensure(cores(), plan.machine.device)
    from fewshot.deploy.export import export

    prepared = {trial.method: trial.data for trial in plan.trials}
    for standing in findings.table:
        method = standing.method
        card = {
            "method": method,
            "protocol": plan.protocol.describe(),
            "expected": asdict(standing.accuracy),
            "temperature": temperature(store, findings.records[method].values()),
            "data": findings.data.name,
            "fingerprint": prepared[method].fingerprint,
            "command": findings.command,
        }
        try:
            data = prepared[method]
            images = open_splits(data.folder).whole()
            export(plan.learners[method], images, 0, path, card, photos=data.photos())
        except UsageError as error:
            say(f"{method} is not saved: {error.args[0]}")
            continue
        return {"method": method, "path": str(path), "card": str(path.with_suffix(".json"))}
    say("none of the methods can be saved as a model: add one that can, such as lite-logistic")
    return None
