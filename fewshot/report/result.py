"""A study as one JSON document: what programs read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fewshot.stats.comparison import MethodResult

TRIAL_FIELDS = ("key", "seed", "classes", "n_train", "updates", "images_seen", "accuracy", "nll", "seconds")


def result(
    study: str,
    protocol: Mapping[str, Any],
    baseline: str,
    results: Sequence[MethodResult],
    figures: Sequence[str | Path],
    records_path: str | Path,
    command: str,
    plots: Sequence[str] = (),
    reported: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the document, ready for `json.dumps(…, allow_nan=False)`; accuracies are in percent.

    Every trial is listed with the key of its record, failed ones with null for what they did not measure.
    What is undefined, such as the std of one seed, is null.
    command: the command line that gave it. plots: names of the pictures (`fewshot.report.plots`). reported:
    method → what was published of it.
    """
    return _json_safe(
        {
            "study": study,
            "command": command,
            "protocol": protocol,
            "baseline": baseline,
            "reported": dict(reported or {}),
            "methods": [_method(result) for result in results],
            "plots": list(plots),
            "figures": [str(path) for path in figures],
            "records": str(records_path),
        }
    )


def _method(result: MethodResult) -> dict[str, Any]:
    fields = TRIAL_FIELDS
    if result.metric == "balanced_accuracy":
        fields = (*fields, "balanced_accuracy")
    return {
        "method": result.method,
        "n": result.n,
        "failed": result.failed,
        "mean": result.mean,
        "std": result.std,
        "ci95": result.ci95,
        "delta": asdict(result.delta) if result.delta else None,
        "trials": [{field: getattr(record, field) for field in fields} for record in result.records],
    }


def _json_safe(value: Any) -> Any:
    """Return the value with tuples as lists and None for NaN and infinities, which JSON does not know."""
    if isinstance(value, Mapping):
        return {key: _json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_safe(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
