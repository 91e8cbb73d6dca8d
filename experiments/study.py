"""What every study does: methods × seeds through the testbed, then table, pictures and JSON."""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fewshot import __version__, backend
from fewshot.cli import options as cli
from fewshot.data import DataSpec, Prepared, open_splits, prepare
from fewshot.data.protocols import Protocol, protocols
from fewshot.learners.keras_network import Learner
from fewshot.methods.grammar import learner, notes
from fewshot.trials import cluster, together
from fewshot.trials.store import Store
from fewshot.trials.testbed import Executor, Trial, run

QUICK_SEEDS, QUICK_EPOCHS = 2, 5
TESTBED = Protocol()


@dataclass(frozen=True)
class Report:
    """What a study found: as a JSON document, and as a table with the paths of the pictures."""

    document: dict
    text: str


@dataclass(frozen=True)
class Study:
    """One question, as methods to compare on the same tasks.

    name: the module in `experiments`. question: what the help says first. methods(): name → what it is, of
    those that the study is about. specs: the names among them that stand for another
    (`fewshot.methods.grammar`).
    baseline: the method that always runs, too. groups: a name → methods; those of "all" join all methods.
    reported: published results, a method → text, shown beside ours where CIFAR-10's tasks are drawn by
    `reported_protocol`. notes: the end of the help.
    seeds, protocol: which tasks, where the command line does not say; no protocol: that of the data.
    """

    name: str
    question: str
    methods: Callable[[], Mapping[str, str]]
    baseline: str
    specs: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reported: Mapping[str, str] = field(default_factory=dict)
    notes: str = ""
    seeds: int = 10
    protocol: str | None = None
    reported_protocol: Protocol = TESTBED

    def main(self, argv: list[str] | None = None) -> int:
        """Run the study's command line and return its exit code."""
        return cli.run(self._run, self.parser, argv)

    def parser(self) -> cli.Parser:
        """Return the parser; a study with options of its own adds them here."""
        methods = self.methods()
        width = max(map(len, methods))
        known = "\n".join(f"  {name:{width}}  {summary}" for name, summary in methods.items())
        parser = cli.Parser(
            prog=f"python -m experiments.{self.name}",
            usage="%(prog)s [--method NAME …] [--seeds N] [options]",
            description=self.question,
            epilog=f"methods:\n{known}\n{self.notes}{notes(methods)}\n"
            "The same command again goes on where it stopped.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        groups = "".join(f", {group}" for group in self.groups if group != "all")
        parser.add_argument(
            "--method",
            nargs="+",
            action="extend",
            metavar="NAME",
            help=f"what to compare, or all (default){groups}; the baseline, '{self.baseline}', runs with it",
        )
        cli.add_study_options(parser, self.seeds)
        parser.set_defaults(protocol=self.protocol)
        return parser

    def before(self, args: argparse.Namespace, trials: list[Trial], n: int) -> bool:
        """Look at what is about to run, `n` training images a task; return False to stop there."""
        return True

    def _run(self, args: argparse.Namespace) -> None:
        measured = self._measure(args)
        if measured:
            self._print(args, self._report(args, *measured))

    def _measure(self, args: argparse.Namespace) -> tuple[dict[str, list[dict]], Trial] | None:
        """Return the records of every method, and one of the trials; nothing if `before` stops it."""
        cli.apply_environment(args)
        cli.check_seeds_and_length(args)
        learners = self._learners(args)  # a misspelt name is found before anything is fetched
        if args.protocol:
            protocols[args.protocol]
        data = prepare(DataSpec(args.data, args.image_size), args.data_dir)
        if data.notes:
            print(*data.notes, sep="\n", file=sys.stderr)
        trials = self._trials(args, learners, data)
        first = trials[0]
        n = len(first.protocol.positions(open_splits(data.folder), first.seed)[1])
        if not self.before(args, trials, n):
            return None
        at_once = together.executor(trials) if args.cluster is None else None
        jobs = cli.jobs(args, first.threads)
        executor = contextlib.nullcontext(at_once) if at_once else cluster.executor(args.cluster, jobs)
        with Store(args.out).open() as store, executor as chosen:
            _header(trials, args, n)
            records = _run_with_progress(trials, store, chosen, args.fresh)
        by_method: dict[str, list[dict]] = {}
        for trial, record in zip(trials, records, strict=True):
            by_method.setdefault(trial.method, []).append(record)
        return by_method, first

    def _learners(self, args: argparse.Namespace) -> dict[str, Learner]:
        """Return the methods to run, the baseline first; `UsageError` for an unknown one."""
        names = dict.fromkeys([self.baseline, *self.named(args)])
        return {name: learner(name, self.training(args), self.specs) for name in names}

    def training(self, args: argparse.Namespace) -> dict[str, object]:
        """Return the recipe's fields that the command line sets."""
        if args.updates:
            return {"updates": args.updates}
        if args.epochs or args.quick:
            return {"epochs": args.epochs or QUICK_EPOCHS, "updates": None}
        return {}

    def named(self, args: argparse.Namespace) -> list[str]:
        """Return the methods that the command line names, groups resolved."""
        groups = {**self.groups, "all": [*self.methods(), *self.groups.get("all", ())]}
        return [name for chosen in args.method or ["all"] for name in groups.get(chosen, [chosen])]

    def _trials(
        self, args: argparse.Namespace, learners: Mapping[str, Learner], data: Prepared
    ) -> list[Trial]:
        """Return the trials, seed by seed, so that a run cut off has compared all methods on some tasks."""
        protocol = cli.protocol(args, data)
        traits = protocols[protocol.name].traits
        threads = args.threads or (cli.cores() if traits.get("whole") else 1)
        count = traits.get("seeds", self.seeds)
        device = backend.resolve_device(args.device)
        return [
            Trial(method, learner, protocol, data, seed, threads, device, args.curves)
            for seed in args.seeds or range(min(QUICK_SEEDS, count) if args.quick else count)
            for method, learner in learners.items()
        ]

    def _report(
        self, args: argparse.Namespace, by_method: dict[str, list[dict]], trial: Trial, part: str = ""
    ) -> Report:
        """Draw the pictures (in the sub-folder `part`) and return the table and the JSON document."""
        from fewshot.report.result import result
        from fewshot.report.table import table
        from fewshot.stats.comparison import analyse

        metric = "balanced_accuracy" if args.unbalanced else "accuracy"
        results = analyse(by_method, self.baseline, metric)
        folder = Path(args.out) / self.name / part
        protocol = trial.identity()["protocol"]
        stems = {"strip": folder / "accuracy", "curves": folder / "curves"}
        figures = [f"{stem}.{suffix}" for stem in stems.values() for suffix in ("png", "svg")]
        records = str(Path(args.out) / "trials.jsonl")
        document = result(self.name, protocol, self.baseline, results, figures, records, args.command)
        with cli.writing(folder):
            self._draw(folder, document, stems, results, _title(trial))
        as_reported = trial.protocol == self.reported_protocol and trial.data.name == "cifar10"
        text = table(results, self.baseline, reported=self.reported if as_reported else {})
        return Report(document, f"{text}\npictures: {', '.join(figures)}\nrecords:  {records}")

    def _print(self, args: argparse.Namespace, report: Report) -> None:
        print(_json(report.document) if args.json else report.text)

    def _draw(self, folder: Path, document: dict, stems: dict[str, Path], results, title: str) -> None:
        """Draw the pictures, unless exactly this result has its pictures already, and write the result."""
        path, written = folder / "result.json", _json(document)
        drawn = [stem.with_suffix(suffix) for stem in stems.values() for suffix in (".png", ".svg")]
        if not (_same(path, written) and all(picture.exists() for picture in drawn)):
            from fewshot.report.plots import figures

            folder.mkdir(parents=True, exist_ok=True)
            figures.strip(results, self.baseline, stems["strip"], title)
            figures.curves(results, stems["curves"], title)
        path.write_text(written, encoding="utf-8")


def listed(table: Mapping[str, tuple[str, str]]) -> dict[str, object]:
    """Return the fields of a study of fixed methods: name → what it stands for, and what it is."""
    return {
        "methods": lambda: {name: summary for name, (_, summary) in table.items()},
        "specs": {name: spec for name, (spec, _) in table.items()},
    }


def _json(document: dict) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False)


def _same(path: Path, written: str) -> bool:
    """Say whether a file holds this result, whatever the command that gave it: --jobs 1 changes nothing."""
    try:
        before, now = json.loads(path.read_text(encoding="utf-8")), json.loads(written)
    except (OSError, ValueError):
        return False
    return isinstance(before, dict) and {**before, "command": None} == {**now, "command": None}


def _title(trial: Trial) -> str:
    protocol = trial.protocol
    ways = f"{protocol.ways} classes" if protocol.ways else "all classes"
    shots = "" if protocols[protocol.name].traits.get("whole") else f" × {protocol.shots} images"
    return f"{trial.data.name}, {protocol.name}: {ways}{shots}"


def _header(trials: list[Trial], args: argparse.Namespace, n: int) -> None:
    first, seeds = trials[0], sorted({trial.seed for trial in trials})
    rounding = "" if first.device == "cpu" else " (which may round differently from run to run)"
    versions = backend.versions("keras", backend.name())
    used = ", ".join(f"{name} {version}" for name, version in versions.items())
    learners = {trial.method: trial.learner for trial in trials}
    width = max(map(len, learners))
    print(
        f"{_title(first)}; seeds {seeds[0]}-{seeds[-1]}\n"
        f"fewshot {__version__}, {used}, on the {first.device}{rounding}: "
        f"{_workers(args, first.threads)} × {first.threads} thread(s); results in {args.out}{os.sep}",
        *(f"  {name:{width}}  {learner.workload(n)}" for name, learner in learners.items()),
        sep="\n",
        file=sys.stderr,
    )


def _workers(args: argparse.Namespace, threads: int) -> str:
    if args.cluster and args.cluster != cluster.LOCAL:
        return f"workers of {args.cluster}"
    return f"{cli.jobs(args, threads)} job(s)"


def _run_with_progress(trials: list[Trial], store: Store, executor: Executor, fresh: bool) -> list[dict]:
    """Run the trials under a bar with the time left, and print a row as each ends."""
    from tqdm import tqdm

    width = max(len(trial.method) for trial in trials)
    with tqdm(total=len(trials), unit="trial", disable=None, dynamic_ncols=True, smoothing=0.1) as bar:

        def show(trial: Trial, record: dict, computed: bool) -> None:
            if computed:
                bar.write(_row(record, width), file=sys.stderr)
                bar.update()
            else:
                bar.total -= 1  # so that the time left is reckoned from what is computed now

        with _Features() as features:
            records = run(trials, store, 1, show, fresh, on_prepared=features.advance, executor=executor)
    if bar.total < len(trials):
        found = len(trials) - bar.total
        print(f"{found} of {len(trials)} trials were in the records already", file=sys.stderr)
    return records


class _Features:
    """A bar for the features that trials share, from the first task on for which there are any."""

    def __init__(self):
        self._bar, self._done, self._begin = None, 0, time.perf_counter()

    def advance(self, total: int) -> None:
        """Count a task whose features are there, of `total`."""
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(
                desc="features", total=total, unit="task", disable=None, dynamic_ncols=True, leave=False
            )
        self._done += 1
        self._bar.update()
        if self._done == total:
            seconds = time.perf_counter() - self._begin
            tasks = "1 task" if total == 1 else f"{total} tasks"
            self._bar.write(f"features of {tasks} ready after {seconds:.1f} s", file=sys.stderr)
            self._bar.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._bar is not None:
            self._bar.close()


def _row(record: dict, width: int) -> str:
    classes = record["classes"]
    named = " / ".join(classes[:4]) + (" …" if len(classes) > 4 else "")
    outcome = f"{record['accuracy']:6.2f} %" if record["status"] == "ok" else f"failed: {record['reason']}"
    return (
        f"seed {record['seed']:4}  {record['method']:{width}}  {outcome}  {record['seconds']:6.1f} s  {named}"
    )
