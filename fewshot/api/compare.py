"""`compare`: which strategy is best for these images, within a budget of time."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fewshot.api.data import Source, loaded
from fewshot.api.model import Model, load_model
from fewshot.api.run import Methods, machine_of, resolve_all
from fewshot.compare.board import Board, Progress
from fewshot.compare.clock import check_budget, seconds
from fewshot.compare.findings import Findings
from fewshot.compare.run import compare as run_comparison
from fewshot.compare.strategies import in_order, not_fetched, strategies
from fewshot.report import comparison
from fewshot.report.page.markup import tag
from fewshot.report.page.parts import table as html_table
from fewshot.report.table import aligned
from fewshot.trials.trackers import names as trackers


@dataclass(frozen=True, repr=False)
class Comparison:
    """Which strategy is best, how sure that is, and the model. Made by `fewshot.compare`."""

    findings: Findings

    @property
    def verdict(self) -> str:
        """What to use, what it will do, what is weak, and what to do next, in sentences."""
        return " ".join(self.findings.comparison().verdict)

    @property
    def winner(self) -> str | None:
        """The name of the method to use; None where too little was held out to name one."""
        return self.findings.winner

    @functools.cached_property
    def model(self) -> Model | None:
        """The best method that can be saved, trained on all images; None where none was saved."""
        return load_model(self.findings.model["path"]) if self.findings.model else None

    @property
    def figures(self) -> tuple[Path, ...]:
        """The files of the pictures."""
        return tuple(map(Path, self.findings.figures))

    def document(self) -> dict:
        """Return all that was found, ready for JSON: what `out` keeps as `compare/comparison.json`."""
        return self.findings.document()

    def table(self) -> str:
        """Return the methods, the winner first, as aligned text."""
        return "\n".join(aligned(self._columns()))

    def __repr__(self) -> str:
        return self.findings.text()

    def _repr_html_(self) -> str:
        compared = self.findings.comparison()
        return tag(
            "div",
            *(tag("p", tag("b", line) if not i else line) for i, line in enumerate(compared.verdict)),
            html_table(self._columns(), compared.winner, "Comparison"),
            *(tag("p", line) for line in compared.use()),
        )

    def _columns(self) -> list[list[str]]:
        return comparison.columns(self.findings.comparison().table)


def compare(
    data: Source,
    budget: str | float = "20m",
    methods: Methods | None = None,
    *,
    image_size: int | None = None,
    protocol: str | None = None,
    ways: int | None = None,
    shots: int | None = None,
    classes: Sequence[str] | None = None,
    balanced: bool | None = None,
    limit_train: int | None = None,
    prior: str | None = None,
    data_dir: str | Path | None = None,
    jobs: int | None = None,
    threads: int | None = None,
    device: str = "auto",
    cluster: str | None = None,
    out: str | Path = "results",
    export: bool = True,
    formats: Sequence[str] = ("keras",),
    track: str | Sequence[str] = (),
    progress: bool = True,
) -> Comparison:
    """Return which strategy is best for images: `fs.compare("photos/", budget="10m")`.

    First heads on frozen features, then fine-tuning, then training from scratch, as far as the budget goes;
    every photo is held out in turn, and a longer budget only adds to what a shorter one finds out. Pictures,
    document and model go to a folder of their own in `out/compare`.

    Parameters
    ----------
    data
        A folder of photos, or whatever `fs.load` takes or returned.
    budget
        A time, such as "90s", "20m" or "1h", or seconds; for all of it, export included.
    methods
        What to compare, as in `fs.run` (default: the strategies, `fs.methods("compare")`).
    prior
        What classes with unequal numbers of images count in training and in the answer: "alike"
        (default, but for `protocol="full"` of a dataset with a name), or "natural", as often as they come.
    export, formats
        Train the winner on all images and save it, in these formats: `comparison.model`.
    progress
        Tell how it goes.
    image_size, protocol, ways, shots, classes, balanced, limit_train, data_dir
        As in `fs.load`.
    jobs, threads, device, cluster, out, track
        As in `fs.run`.

    Raises
    ------
    UsageError
        For a budget that is too short, and for what cannot be run.
    """
    limit = seconds(budget)
    check_budget(limit)
    track = trackers(track)
    candidates = strategies() if methods is None else in_order(resolve_all(methods, {}))
    images = loaded(
        data,
        image_size,
        data_dir,
        protocol=protocol,
        ways=ways,
        shots=shots,
        classes=classes,
        balanced=balanced,
        limit_train=limit_train,
        prior=prior,
    )
    findings = run_comparison(
        images.images,
        candidates,
        limit,
        images.draws,
        machine_of(jobs, threads, device, cluster),
        Path(out).expanduser(),
        export=export,
        formats=formats,
        progress=Board() if progress else Progress(),
        notes=not_fetched() if methods is None else (),
        track=track,
    )
    return Comparison(findings)
