"""A study: one question as data, and the steps that answer it: plan → run → analyse → present.

    STUDY = Study(name="zoo", question="Which architecture learns from 100 images?", tag="zoo")
    main = STUDY.main

Each step is a function: `plan` makes the trials, `measure` runs them, `report` analyses the records and draws
the pictures, `present` prints. A study that does more names functions of its own: `options` adds to the
command line, `answer` puts the steps together in another way.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from fewshot import __version__, backend, cli
from fewshot.data import DataSpec, open_splits
from fewshot.data.protocols import TUNING, Protocol, numbers_of_tasks, protocols
from fewshot.data.published import PublishedGroup
from fewshot.learners.contract import Learner
from fewshot.methods.catalogue import methods as catalogue
from fewshot.methods.help import notes
from fewshot.methods.resolve import resolve
from fewshot.methods.specification import canonical_name, published
from fewshot.trials.plan import Draws, Machine, Plan, Training, load_images, make_plan
from fewshot.trials.record import Record
from fewshot.trials.store import Store
from fewshot.trials.trackers import names as trackers
from fewshot.trials.trial import Trial
from fewshot.wording import plural

QUICK_SEEDS, QUICK_EPOCHS = 2, 5
TESTBED = Protocol()
CIFAR = ("cifar10", "cifair10")  # whose training images are the same


@dataclass(frozen=True)
class Request:
    """What the command line asks a study for.

    methods: names, groups resolved, without the baseline. curves: measure the held-out images along the
    training, too. fresh: compute recorded trials anew. options: the parsed command line, for a study's own
    options.
    """

    methods: tuple[str, ...]
    data: DataSpec
    data_dir: str | None
    draws: Draws
    seeds: range | None
    training: Training
    machine: Machine
    curves: bool
    fresh: bool
    quick: bool
    out: Path
    track: tuple[str, ...]
    json: bool
    command: str
    options: argparse.Namespace


@dataclass(frozen=True)
class Report:
    """The answer: as a JSON document, and as a table with the paths of the pictures."""

    document: dict
    text: str


@dataclass(frozen=True)
class Study:
    """One question, as methods to compare on the same tasks.

    name: the module in `experiments`. question: what the help says first. tag: the catalogue's methods with
    it are those of the study. baseline: the method that always runs, too. groups: a name on the command
    line → the tag of the methods that it stands for. notes: the end of the help.
    method_name(text): how tables call what the command line names.
    Published results are shown beside ours where CIFAR-10's tasks are drawn by `reported_protocol`.
    reported: method → text, where they are not those of the catalogue.
    plots: the names of its pictures (`fewshot.report.plots`).
    seeds, protocol: which tasks, where the command line does not say; no protocol: that of the data.
    options(parser): adds options of the study's own. answer(study, request): the steps, put together.
    """

    name: str
    question: str
    tag: str
    baseline: str
    groups: Mapping[str, str] = field(default_factory=dict)
    method_name: Callable[[str], str] = canonical_name
    reported: Mapping[str, str] | None = None
    notes: str = ""
    plots: Sequence[str] = ("accuracy", "curves")
    seeds: int = 10
    protocol: str | None = None
    reported_protocol: Protocol = TESTBED
    options: Callable[[cli.Parser], None] = lambda parser: None
    answer: Callable[[Study, Request], Report] = lambda *asked: compare_methods(*asked)

    def main(self, argv: list[str] | None = None) -> int:
        """Run the study's command line and return its exit code."""
        return cli.run(self._run, self.parser, argv)

    def methods(self) -> dict[str, str]:
        """Return the methods that the study is about, and what they are."""
        return {method.name: method.summary for method in catalogue.tagged(self.tag)}

    def parser(self) -> cli.Parser:
        """Return the parser of the study's command line."""
        methods = self.methods()
        width = max(map(len, methods))
        known = "\n".join(f"  {name:{width}}  {summary}" for name, summary in methods.items())
        parser = cli.Parser(
            prog=cli.prog(f"experiments.{self.name}"),
            usage="%(prog)s [--method NAME …] [--seeds N] [options]",
            description=self.question,
            epilog=f"methods:\n{known}\n{self.notes}{notes(methods)}\n"
            "The same command again resumes where it stopped.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        groups = "".join(f", {group}" for group in self.groups)
        cli.add_methods(
            parser,
            lambda: [*catalogue, *self.groups, "all"],
            f"what to compare, or all (default){groups}; the baseline, '{self.baseline}', runs with it",
        )
        tasks = parser.add_argument_group("tasks (protocol and seed alone decide which images)")
        cli.add_seeds(tasks, f"{self.seeds}; {numbers_of_tasks()}")
        cli.add_draws(tasks)
        cli.add_data(parser)
        cli.add_training(parser)
        cli.add_machine(parser, "1; all cores for --protocol full", jobs=True)
        cli.add_track(cli.add_output(parser, fresh="compute all trials anew, also recorded ones"))
        self.options(parser)
        cli.add_common(parser)
        return parser

    def request(self, args: argparse.Namespace) -> Request:
        """Return what the command line asks for, groups of methods resolved."""
        groups = self.groups | {"all": self.tag}
        methods = [
            name
            for given in args.method or ["all"]
            for name in (
                [method.name for method in catalogue.tagged(groups[given])]
                if given in groups
                else [self.method_name(given)]
            )
        ]
        epochs = args.epochs or (QUICK_EPOCHS if args.quick and not args.updates else None)
        return Request(
            methods=tuple(methods),
            data=cli.dataset(args),
            data_dir=args.data_dir,
            draws=cli.draws(args, self.protocol),
            seeds=args.seeds,
            training=Training(epochs, args.updates),
            machine=cli.machine(args),
            curves=args.curves,
            fresh=args.fresh,
            quick=args.quick,
            out=Path(args.out),
            track=trackers(args.track),
            json=args.json,
            command=args.command,
            options=args,
        )

    def with_baseline(self, methods: Sequence[str]) -> list[str]:
        """Return the methods, each once, the baseline first."""
        return list(dict.fromkeys([self.baseline, *methods]))

    def _run(self, args: argparse.Namespace) -> None:
        request = self.request(args)
        present(self.answer(self, request), request)


def compare_methods(study: Study, request: Request) -> Report:
    """Take the steps once: the baseline and the methods on the same tasks."""
    return report(study, request, measure(plan(study, request), request))


@dataclass(frozen=True)
class Measured:
    """The records of a plan: method → one a seed, the baseline first."""

    plan: Plan
    by_method: Mapping[str, Sequence[Record]]

    def only(self, methods: Mapping[str, str]) -> Measured:
        """Return the records of some methods under other names: new name → name in the plan."""
        return replace(self, by_method={name: self.by_method[method] for name, method in methods.items()})


def plan(study: Study, request: Request) -> Plan:
    """Return the trials of the baseline and the methods that are asked for.

    Raises `UsageError` for an unknown name, before anything is fetched.
    """
    training = request.training.fields()
    methods = study.with_baseline(request.methods)
    return plan_learners(study, request, dict(resolve(name, training) for name in methods))


def plan_learners(study: Study, request: Request, learners: Mapping[str, Learner]) -> Plan:
    """Return the trials of learners."""
    if request.draws.protocol:
        protocols[request.draws.protocol]  # a misspelt name is found before anything is fetched
    images = load_images(request.data, request.data_dir, learners.values())
    if notices := images.small.notes:
        print(*notices, sep="\n", file=sys.stderr)
    return make_plan(
        learners,
        images,
        request.draws,
        request.seeds,
        request.machine,
        request.curves,
        usual_seeds=study.seeds,
        at_most=QUICK_SEEDS if request.quick else None,
    )


def training_images(plan: Plan) -> int:
    """Return how many training images a task of the plan has."""
    first = plan.trials[0]
    return len(first.protocol.positions(open_splits(first.data.folder), first.seed)[1])


def measure(plan: Plan, request: Request) -> Measured:
    """Run the plan under a bar with the time left, and print a row as each trial ends."""
    from tqdm import tqdm

    width, total = max(map(len, plan.learners)), len(plan.trials)
    with Store(request.out).open(request.track) as store:
        _print_header(plan, request)
        bar = tqdm(total=0, unit="trial", disable=True)

        def begin(pending: int) -> None:
            nonlocal bar
            off = None if pending else True
            bar = tqdm(total=pending, unit="trial", disable=off, dynamic_ncols=True, smoothing=0.1)

        def show(trial: Trial, record: Record, computed: bool) -> None:
            if computed:
                bar.write(_row(record, width), file=sys.stderr)
                bar.update()

        try:
            with _FeatureBar() as features:
                by_method = plan.run(
                    store, request.fresh, show, lambda total, seconds: features.advance(total), begin
                )
        finally:
            bar.close()
    if recorded := total - bar.total:
        were = "was" if recorded == 1 else "were"
        print(f"{recorded} of {plural(total, 'trial')} {were} in the records already", file=sys.stderr)
    return Measured(plan, by_method)


def report(study: Study, request: Request, measured: Measured, part: str = "") -> Report:
    """Analyse the records, draw the pictures (in the sub-folder `part`) and return table and document."""
    from fewshot.report.plots import Compared, predictions_for, write_plot
    from fewshot.report.result import result
    from fewshot.report.table import table
    from fewshot.stats.comparison import analyse

    plan, baseline = measured.plan, next(iter(measured.by_method))
    metric = "accuracy" if request.draws.balanced else "balanced_accuracy"
    results = analyse(measured.by_method, baseline, metric)
    folder = request.out / study.name / part
    figures = [f"{folder / name}.{suffix}" for name in study.plots for suffix in ("png", "svg")]
    records = str(request.out / "trials.jsonl")
    protocol = plan.trials[0].identity()["protocol"]
    as_reported = plan.protocol == study.reported_protocol and plan.data.name == "cifar10"
    published = _published(study, plan, measured.by_method) if as_reported else {}
    document = result(
        study.name, protocol, baseline, results, figures, records, request.command, study.plots, published
    )
    if groups := _published_groups(plan):
        document["published"] = [asdict(group) for group in groups]
    with cli.writing_results(request.out, study.name, part):
        if not _is_written(folder, document):
            predictions = predictions_for(study.plots, results, Store(request.out))
            compared = Compared(results, baseline, plan.title, predictions)
            for name in study.plots:
                write_plot(name, compared, folder / name)
        (folder / "result.json").write_text(_json(document), encoding="utf-8")
    text = table(results, baseline, reported=published)
    if groups:
        text = "\n".join([text, "", *_beside(groups, plan)])
    return Report(document, f"{text}\npictures: {', '.join(figures)}\nrecords:  {records}")


def present(report: Report, request: Request) -> None:
    """Print the answer: the table, or one JSON document."""
    print(cli.as_json(report.document) if request.json else report.text)


def _published(study: Study, plan: Plan, methods: Iterable[str]) -> dict[str, str]:
    """Return method → what was published of it."""
    if study.reported is not None:
        return dict(study.reported)
    texts = {name: published(name, plan.protocol.name) for name in methods}
    return {name: text for name, text in texts.items() if text}


def _published_groups(plan: Plan) -> tuple[PublishedGroup, ...]:
    """Return what papers report under the protocol of a plan, where it draws as they do."""
    traits = protocols[plan.protocol.name].traits
    drawn = Protocol(plan.protocol.name, traits.get("ways", 2))
    reported = plan.protocol == drawn and max(plan.seeds) < TUNING and plan.data.name in CIFAR
    return traits.get("published", ()) if reported else ()


def _beside(groups: Sequence[PublishedGroup], plan: Plan) -> list[str]:
    """Return lines that name what was published, and on which images it and this run were measured."""
    here = "as here" if plan.data.name == "cifair10" else f"this run on those of {plan.data.name}: see --data"
    lines = [f"Published under {plan.protocol.name}, on the test images of cifair10 ({here}):"]
    for group in groups:
        values = ", ".join(f"{name} {value:.2f}" for name, value in group.accuracies.items())
        apart = "" if group.comparable else "; not the images of this protocol"
        lines.append(f"  {group.draw} ({group.source}{apart}): {values}")
    return lines


def _json(document: dict) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False)


def _is_written(folder: Path, document: dict) -> bool:
    """Say whether a folder holds this result and its pictures, whatever the command that gave it."""
    try:
        before = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    now = json.loads(_json(document))
    same = isinstance(before, dict) and {**before, "command": None} == {**now, "command": None}
    return same and all(Path(path).exists() for path in document["figures"])


def _print_header(plan: Plan, request: Request) -> None:
    machine, n = plan.machine, training_images(plan)
    rounding = "" if machine.device == "cpu" else " (which may round differently from run to run)"
    versions = backend.versions("keras", backend.name())
    used = ", ".join(f"{name} {version}" for name, version in versions.items())
    width = max(map(len, plan.learners))
    print(
        f"{plan.title}; seeds {min(plan.seeds)}-{max(plan.seeds)}\n"
        f"fewshot {__version__}, {used}, on the {machine.device}{rounding}: "
        f"{machine.workers} × {plural(machine.threads, 'thread')}; results in {request.out}{os.sep}",
        *(f"  {name:{width}}  {learner.workload(n)}" for name, learner in plan.learners.items()),
        sep="\n",
        file=sys.stderr,
    )


class _FeatureBar:
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
            self._bar.write(
                f"features of {plural(total, 'task')} ready after {seconds:.1f} s", file=sys.stderr
            )
            self._bar.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._bar is not None:
            self._bar.close()


def _row(record: Record, width: int) -> str:
    classes = record.classes
    names = " / ".join(classes[:4]) + (" …" if len(classes) > 4 else "")
    outcome = f"{record.accuracy:6.2f} %" if record.ok else f"failed: {record.reason}"
    return f"seed {record.seed:4}  {record.method:{width}}  {outcome}  {record.seconds:6.1f} s  {names}"
