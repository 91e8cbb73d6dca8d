"""The results as a table: aligned plain text for a terminal, Markdown for a README, or HTML (html.py).

All print the same cells; `columns` is the one place that says what a report shows.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence

from fewshot.data.protocols import protocols
from fewshot.stats.comparison import Interval, MethodResult, Paired, Summary, least_p, needed_pairs, summary
from fewshot.wording import plural

NONE = "–"
TOO_FEW = "too few to say"
ENOUGH = 20  # seeds, to advise: with the fewest that can be enough, one lost task is too many


def table(results: Sequence[MethodResult], baseline: str, reported: Mapping[str, str] | None = None) -> str:
    """Return the aligned table, and below it the least p that this study can reach.

    `reported` holds published values to print beside ours, method → text such as "66.11 ± 2.71".
    """
    lines = aligned(columns(results, baseline, reported))
    if any(result.delta for result in results):
        lines += ["", note(results)]
    return "\n".join(lines)


def aligned(columns: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table of columns, each its heading and its cells; numbers to the right."""
    widths = [max(map(len, column)) for column in columns]

    def line(cells):
        name, *numbers = (
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join([name, *numbers]).rstrip()

    header, *rows = zip(*columns, strict=True)
    return [line(header), "  ".join("─" * width for width in widths), *map(line, rows)]


def markdown(
    results: Sequence[MethodResult], baseline: str, reported: Mapping[str, str] | None = None
) -> str:
    """Return the same cells as a Markdown table."""
    return barred(columns(results, baseline, reported))


def barred(columns: Sequence[Sequence[str]]) -> str:
    """Return columns, each its heading and its cells, as a Markdown table; numbers to the right."""
    header, *rows = zip(*columns, strict=True)
    rule = [":--", *["--:"] * (len(header) - 1)]
    # In a method's name, a bar would end its cell, and <b> would be taken for HTML.
    lines = [
        " | ".join(re.sub(r"[|]|<(?=[a-zA-Z/!?])", r"\\\g<0>", cell) for cell in cells)
        for cells in (header, rule, *rows)
    ]
    return "\n".join(f"| {line} |" for line in lines)


def note(results: Sequence[MethodResult]) -> str:
    """Return the sentence that names the least p within this study's reach, and what to do above .05."""
    deltas = [result.delta for result in results if result.delta]
    n, methods = max((delta.n for delta in deltas), default=0), len(deltas)
    if n < 2 and any(result.n > 1 for result in results):
        return "No method has two tasks in common with the baseline: nothing can be tested."
    if n < 2:
        return "One task: nothing can be tested. Use two seeds or more."
    least = least_p(n, methods)
    text = (
        f"The least p that {plural(n, 'paired task')} can reach after Holm's correction "
        f"over {plural(methods, 'method')} is {least:.2g}"
    )
    if least > 0.05:
        text += f": no difference can be significant at .05 here{_advice(results, n, needed_pairs(methods))}"
    return text + "."


def _advice(results: Sequence[MethodResult], n: int, needed: int) -> str:
    """Return how to get enough tasks; nothing where the protocol has no more."""
    protocols_seen = [record.protocol for result in results for record in result.records]
    protocol = protocols_seen[0] if protocols_seen else {}
    name = protocol.get("name")
    most = protocols[name].traits.get("seeds") if name in protocols else None
    if most is not None and most < needed:
        return f": {name} has no more than {most} tasks"
    seeds = min(max(ENOUGH, needed), most or sys.maxsize)
    # Where every pair of classes is a task: it takes what the testbed takes, of ten classes.
    pairs = name == "testbed" and protocol.get("data") == "cifar10" and not protocol.get("classes")
    return f". Use {seeds} seeds" + (
        ", or the protocol pairs45" if pairs and protocol.get("ways") == 2 else ""
    )


def columns(
    results: Sequence[MethodResult], baseline: str, reported: Mapping[str, str] | None = None
) -> list[list[str]]:
    """Return the columns, each as its heading followed by one cell a method."""
    balanced = any(result.metric == "balanced_accuracy" for result in results)
    cells = {
        "method": lambda r: r.method,
        "images": lambda r: _number(r.n_train, ","),
        "updates": lambda r: _number(r.updates, ","),
        "seen": lambda r: _number(r.images_seen, ","),
        "n": lambda r: f"{r.n} ({r.failed} failed)" if r.failed else str(r.n),
    }
    if balanced:
        # The interval, the difference and p belong to the metric compared, so that one stands next to them.
        cells["accuracy"] = _plain_accuracy
        cells["balanced mean ± std"] = mean_std
    else:
        cells["mean ± std"] = mean_std
    cells |= {
        "95 % interval": lambda r: interval(r.ci95, ".1f") if r.ci95 or r.n < 2 else TOO_FEW,
        f"Δ to {baseline}": lambda r: difference(r.delta),
        "p (Holm)": lambda r: p_value(r.delta.p) if r.delta else NONE,
        "wins": lambda r: f"{r.delta.wins}/{r.delta.n}" if r.delta and r.delta.n else NONE,
        "s/trial": lambda r: _number(r.seconds, ".1f"),
    }
    if reported:
        cells["reported"] = lambda r: reported.get(r.method, NONE)
    return [[heading, *map(cell, results)] for heading, cell in cells.items()]


def _plain_accuracy(result) -> str:
    accuracies = (record.accuracy for record in result.records if record.ok)
    return mean_std(summary(accuracies))


def mean_std(s: Summary | MethodResult) -> str:
    """Return "64.00 ± 4.00", or the mean alone where there is no std."""
    if s.std is None:
        return _number(s.mean, ".2f")
    return f"{s.mean:.2f} ± {s.std:.2f}"


def difference(delta: Paired | None) -> str:
    """Return "-3.44 [-5.2, -1.7]", or why there is no interval; of one task, the mean alone."""
    if delta is None or delta.mean is None:
        return NONE
    mean = f"{delta.mean:+.2f}"
    if delta.ci95:
        return f"{mean} {interval(delta.ci95, '+.1f')}"
    return mean if delta.n < 2 else f"{mean} ({TOO_FEW})"


def interval(bounds: Interval | None, form: str) -> str:
    """Return "[54.1, 73.9]", each bound in the format `form`."""
    return f"[{bounds[0]:{form}}, {bounds[1]:{form}}]" if bounds else NONE


def p_value(p: float | None) -> str:
    """Return "0.041" or "<0.001"."""
    return "<0.001" if p is not None and p < 0.001 else _number(p, ".3f")


def _number(value, form) -> str:
    return NONE if value is None else f"{value:{form}}"
