"""What a run gives: records by method, as a table, a data frame, or a figure."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from fewshot.errors import FewshotError
from fewshot.report.page.markup import tag
from fewshot.report.page.parts import table as html_table
from fewshot.report.table import columns, note, table
from fewshot.stats.comparison import MethodResult, analyse
from fewshot.trials.record import Record
from fewshot.trials.store import Store

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from fewshot.report.plots import Compared

Metric: TypeAlias = Literal["accuracy", "balanced_accuracy"]
COLUMNS = ("seed", "status", "accuracy", "balanced_accuracy", "nll", "n_train", "updates", "images_seen")


@dataclass(frozen=True, repr=False)
class Results:
    """The records of methods on the same tasks, the baseline first. Made by `fewshot.run`.

    records: method → one record a seed. title: the data and the rule of the tasks. metric: what is compared,
    "accuracy" or "balanced_accuracy". computed: how many trials were computed now; the others were recorded
    already. folder: where the records are.
    """

    records: Mapping[str, Sequence[Record]]
    title: str = ""
    metric: Metric = "accuracy"
    computed: int = 0
    folder: Path = Path("results")

    @property
    def baseline(self) -> str:
        """The method that the others are compared with."""
        return next(iter(self.records))

    def summary(self) -> list[MethodResult]:
        """Return means, intervals and paired differences to the baseline: one a method."""
        return analyse(self.records, self.baseline, self.metric)

    def table(self) -> str:
        """Return the summary as aligned text."""
        return table(self.summary(), self.baseline)

    def frame(self) -> pandas.DataFrame:
        """Return a row for each trial; `FewshotError` where pandas is not installed."""
        try:
            import pandas
        except ImportError as error:
            raise FewshotError("data frames need pandas: pip install pandas") from error
        rows = [
            {
                "method": method,
                **{name: getattr(record, name) for name in COLUMNS},
                "seconds": record.seconds,
                "classes": " / ".join(record.classes),
                "key": record.key,
            }
            for method, records in self.records.items()
            for record in records
        ]
        return pandas.DataFrame(rows)

    def plot(self, kind: str = "accuracy") -> Figure:
        """Return a matplotlib figure, which notebooks show; no file is written.

        kind: "accuracy", every task's under every method; "curves", those of the training; "calibration";
        or the name of another plot that is registered in `fewshot.report.plots`.
        """
        from fewshot.report.plots import make_plot

        figure = make_plot(kind, self._compared(kind))
        figure._repr_png_ = functools.partial(_png, figure)  # shown without pyplot, too
        return figure

    def save(self, path_stem: str | Path, kind: str = "accuracy") -> list[Path]:
        """Write a plot as PATH_STEM.png and PATH_STEM.svg, and return both paths."""
        from fewshot.report.plots import write_plot

        return write_plot(kind, self._compared(kind), path_stem)

    def _compared(self, kind: str) -> Compared:
        from fewshot.report.plots import Compared, predictions_for

        results = self.summary()
        return Compared(
            results, self.baseline, self.title, predictions_for([kind], results, Store(self.folder))
        )

    def __repr__(self) -> str:
        return f"{self.title}\n{self.table()}".lstrip()

    def _repr_html_(self) -> str:
        results = self.summary()
        means = {result.method: result.mean for result in results if result.mean is not None}
        best = max(means, key=lambda method: means[method]) if means else None
        compared = any(result.delta for result in results)
        failed = [
            tag("li", f"{record.method}, seed {record.seed}: {record.reason}")
            for result in results
            for record in result.records
            if record.status != "ok"
        ]
        return tag(
            "div",
            tag("p", self.title) if self.title else None,
            html_table(columns(results, self.baseline), best, "Results", self.baseline),
            tag("p", note(results)) if compared else None,
            tag("ul", *failed) if failed else None,
        )


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
