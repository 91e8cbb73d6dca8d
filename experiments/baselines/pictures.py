"""The pictures of `experiments.baselines`: confusion matrices of each group, and the report's loss curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.baselines.table import Row

PANELS = {
    "Xavier against He (rate 0.01)": (
        "fc3-xavier-0.01",
        "fc3-he-0.01",
        "fc5-xavier-0.01",
        "fc5-he-0.01",
    ),
    "learning rate 0.01 against 0.001 (He)": ("fc3-he-0.01", "fc3-he-0.001", "fc5-he-0.01", "fc5-he-0.001"),
    "FC(3) with dropout, 30 and 100 epochs": ("fc3-dropout-30", "fc3-dropout-100"),
    "convolutional networks": ("conv-16-16", "conv-32-32", "conv-32-32-64-64"),
}


def plot_rows(rows: Sequence[Row], folder: Path, classes: Sequence[str], data: str) -> list[str]:
    """Plot confusion matrices and losses, as far as rows have them; return the paths."""
    from fewshot.report.plots.confusion import confusions
    from fewshot.report.plots.panels import panels

    paths: list[Path] = []
    for group in dict.fromkeys(row.group for row in rows):
        matrices = {row.name: row.matrix for row in rows if row.group == group and row.matrix is not None}
        if matrices:
            paths += confusions(matrices, classes, folder / f"confusion-{group}", f"{data}: {group}")
    by_name = {row.name: row for row in rows if row.curve}
    curves = {
        title: {name: _curve(by_name[name]) for name in names if name in by_name}
        for title, names in PANELS.items()
    }
    curves = {title: lines for title, lines in curves.items() if lines}
    if curves:
        paths += panels(curves, folder / "loss", f"{data}: loss of the networks in NumPy", ("epochs", "loss"))
    return [str(path) for path in paths]


def _curve(row: Row) -> dict[str, list[float]]:
    """Return the lines of a network: losses against epochs."""
    scale = row.epochs / row.curve["update"][-1]
    return {
        "x": [scale * update for update in row.curve["update"]],
        "training": row.curve["loss"],
        "test": row.curve["held_out_loss"],
    }
