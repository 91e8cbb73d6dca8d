"""`compare`: which strategy is best for these images, within a budget of time."""

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
from fewshot.compare.strategies import Strategy, cost_of, strategies
from fewshot.report import comparison
from fewshot.report.page.markup import tag
from fewshot.report.page.parts import table as html_table
from fewshot.report.table import aligned


@dataclass(frozen=True, repr=False)
class Comparison:
    """Which strategy is best, how sure that is, and the model. Made by `fewshot.compare`."""

    findings: Findings

    @property
    def verdict(self) -> str:
        """Whom to use, and how sure that is, in a sentence."""
        return self._read().verdict

    @property
    def winner(self) -> str:
        """The name of the method to use."""
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
        return "\n".join([self.table(), "", self.verdict, *self._read().consequences()])

    def _repr_html_(self) -> str:
        reading = self._read()
        lines = [tag("p", line) for line in reading.consequences()]
        model = self.findings.model
        return tag(
            "div",
            tag("p", tag("b", self.verdict)),
            html_table(self._columns(), self.winner, "Comparison"),
            *lines,
            tag("p", f"model: {model['path']} ({model['method']})") if model else None,
        )

    def _columns(self) -> list[list[str]]:
        return comparison.columns(self.findings.table, self.findings.costs)

    def _read(self) -> comparison.Comparison:
        return comparison.read(self.document())


def compare(
    data: Source,
    budget: str | float = "20m",
    methods: "Methods | None" = None,
    *,
    image_size: int | None = None,
    protocol: str | None = None,
    ways: int | None = None,
    shots: int | None = None,
    classes: Sequence[str] | None = None,
    balanced: bool | None = None,
    limit_train: int | None = None,
    data_dir: str | Path | None = None,
    jobs: int | None = None,
    threads: int | None = None,
    device: str = "auto",
    cluster: str | None = None,
    out: str | Path = "results",
    export: bool = True,
    progress: bool = True,
) -> Comparison:
    """Return which strategy is best for images: `fs.compare("photos/", budget="10m")`.

    Strategies that fit into the budget run, cheapest first, on the same draws; the hopeless ones are stopped.
    Odd draws choose the winner, even ones give its accuracy.

    Parameters
    ----------
    data : a folder of photos, or whatever `fs.load` takes or returned.
    budget : a time, such as "90s", "20m" or "1h", or seconds; for all of it, export included.
    methods : what to compare, as in `fs.run` (default: the strategies, `fs.methods("compare")`).
    export : train the winner on all images and save it: `comparison.model`.
    progress : tell how it goes.

    The others are those of `fs.run`. Pictures, document and model go to the folder `compare` in `out`.

    Raises `UsageError` for a budget that is too short, and for what cannot be run.
    """
    limit = seconds(budget)
    check_budget(limit)
    candidates = strategies() if methods is None else _strategies(methods)
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
    )
    findings = run_comparison(
        images.images,
        candidates,
        limit,
        images.draws,
        machine_of(jobs, threads, device, cluster),
        out,
        export=export,
        progress=Board() if progress else Progress(),
    )
    return Comparison(findings)


def _strategies(methods: Methods) -> list[Strategy]:
    """Return what is compared; what a method that is in no list costs is a guess."""
    return [Strategy(name, learner, cost_of(name)) for name, learner in resolve_all(methods, {}).items()]
