"""The studies from Python, in a notebook say: load, draw, run, summarise, plot.

from experiments import api

data = api.load("cifar10")                                   # or "digits", or a folder of photos
task = data.draw(seed=0)                                     # what a method is given: task.train, task.test
results = data.run(["baseline", "flip", "ridge"], seeds=10)  # the first is the baseline
print(results.table())
results.plot("accuracy")                                     # accuracy.png and accuracy.svg
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fewshot import backend
from fewshot.data import DataSpec, Prepared, open_splits, prepare
from fewshot.data.protocols import Protocol, Task, protocols
from fewshot.errors import FewshotError
from fewshot.methods.resolve import resolve
from fewshot.stats.comparison import MethodResult, analyse
from fewshot.trials import together
from fewshot.trials.processes import Processes
from fewshot.trials.record import Record
from fewshot.trials.run import run
from fewshot.trials.store import Store
from fewshot.trials.trial import Trial


def load(data: str = "cifar10", *, image_size: int | None = None, **protocol) -> "Data":
    """Return a dataset by its name, or the images of a folder, ready to draw tasks from.

    protocol: fields of `fewshot.data.protocols.Protocol`, such as name="pairs45", shots=20 or
    classes=("a", "b").
    """
    prepared = prepare(DataSpec(data, image_size))
    name = protocol.pop("name", prepared.default_protocol)
    ways = protocols[name].traits.get("ways", prepared.default_ways)
    return Data(prepared, Protocol(name, **{"ways": ways} | protocol))


@dataclass(frozen=True)
class Data:
    """A dataset with the rule that draws tasks from it."""

    prepared: Prepared
    protocol: Protocol

    def draw(self, seed: int) -> Task:
        """Return the task of a seed: the same for every method."""
        return self.protocol.sample_task(open_splits(self.prepared.folder), seed)

    def run(
        self,
        methods: str | Sequence[str],
        seeds: int | Iterable[int] = 10,
        *,
        training: Mapping[str, object] | None = None,
        out: str | Path = "results",
        jobs: int = 2,
        device: str = "auto",
    ) -> "Results":
        """Run methods, named as on the command line, on the tasks of some seeds; the first is the baseline.

        training: fields of every network's recipe, such as {"updates": 500}. Trials that `out` holds already
        are not computed again.
        """
        methods = [methods] if isinstance(methods, str) else methods
        chosen = dict(resolve(name, training or {}) for name in methods)
        device = backend.resolve_device(device)
        trials = [
            Trial(name, one, self.protocol, self.prepared, seed, device=device)
            for seed in (range(seeds) if isinstance(seeds, int) else seeds)
            for name, one in chosen.items()
        ]
        with Store(out).open() as store:
            records = run(trials, store, together.executor(trials) or Processes(jobs))
        by_method: dict[str, list[Record]] = {name: [] for name in chosen}
        for trial, record in zip(trials, records, strict=True):
            by_method[trial.method].append(record)
        return Results(by_method)


@dataclass(frozen=True)
class Results:
    """Records by method, the baseline first."""

    records: Mapping[str, list[Record]]

    @property
    def baseline(self) -> str:
        """The method that the others are compared with."""
        return next(iter(self.records))

    def summary(self) -> list[MethodResult]:
        """Return means, intervals and paired differences, a method each."""
        return analyse(self.records, self.baseline)

    def table(self) -> str:
        """Return them as text."""
        from fewshot.report.table import table

        return table(self.summary(), self.baseline)

    def frame(self):
        """Return a row for each trial as a pandas `DataFrame`; `FewshotError` where pandas is missing."""
        try:
            import pandas
        except ImportError as error:
            raise FewshotError("data frames need pandas: pip install pandas") from error
        fields = ("seed", "status", "accuracy", "nll", "n_train", "updates", "images_seen", "seconds")
        rows = [
            {
                "method": name,
                **{field: getattr(record, field) for field in fields},
                "classes": " / ".join(record.classes),
            }
            for name, records in self.records.items()
            for record in records
        ]
        return pandas.DataFrame(rows)

    def plot(self, path_stem: str | Path, title: str = "") -> list[Path]:
        """Draw every task's accuracy under every method; write PATH_STEM.png and .svg and return both."""
        from fewshot.report.plots import Compared, write_plot

        return write_plot("accuracy", Compared(self.summary(), self.baseline, title), path_stem)
