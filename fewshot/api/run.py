"""`run`: methods on the same tasks, recorded as the command line records them."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from fewshot.api.data import Source, loaded
from fewshot.api.results import Metric, Results
from fewshot.arguments import MOST_SEED, flag, whole_number
from fewshot.errors import UsageError, field, unknown
from fewshot.learners.contract import Learner
from fewshot.methods.resolve import resolve
from fewshot.models import networks
from fewshot.training.recipe import Recipe
from fewshot.trials.plan import MOST_SEEDS, Machine, Plan, Training, make_plan
from fewshot.trials.record import Record
from fewshot.trials.store import Store
from fewshot.trials.trackers import names as trackers
from fewshot.trials.trial import Trial

if TYPE_CHECKING:
    from tqdm import tqdm

Method: TypeAlias = "str | Learner | Callable[..., Any] | Any"
Methods: TypeAlias = "Method | Sequence[Method] | Mapping[str, Method]"


def run(
    methods: Methods,
    data: Source = "cifar10",
    seeds: int | Iterable[int] | None = None,
    *,
    training: Mapping[str, object] | None = None,
    epochs: int | None = None,
    updates: int | None = None,
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
    fresh: bool = False,
    curves: bool = False,
    track: str | Sequence[str] = (),
    progress: bool = True,
) -> Results:
    """Run methods on the same tasks and return what they reach; the first is the baseline.

    Parameters
    ----------
    methods
        Names as on the command line (`fs.methods()` lists them), functions
        `(shape, outputs) -> keras.Model`, scikit-learn classifiers, learners; or a dictionary of such, whose
        keys are the names in tables. What a notebook or script defines is identified by its source: after an
        edit it is computed anew.
    data
        As `fs.load` takes it, or what that returned.
    seeds
        How many tasks, or which (default: 10, or as many as the protocol has).
    training
        Fields of every network's recipe, such as {"learning_rate": 0.1}.
    epochs, updates
        How long every network is trained.
    image_size, protocol, ways, shots, classes, balanced, limit_train, data_dir
        As in `fs.load`.
    jobs, threads
        Worker processes, and threads of each (default: a process a core, of one thread; on a GPU
        one process).
    device
        "auto", "cpu" or "gpu".
    cluster
        "local", or the address of a Dask scheduler.
    out
        The folder of records, shared with the command line: what is there is not computed again.
    fresh
        Compute recorded trials anew.
    curves
        Measure the held-out images along the training, too.
    track
        Show trials and curves there, too: "tensorboard" or "mlflow", in a folder of that name in `out`,
        or with a place, such as "mlflow:http://localhost:5000".
    progress
        Show a bar.

    Raises
    ------
    UsageError
        For what cannot be run, before anything is computed.
    """
    for name, value in (("fresh", fresh), ("curves", curves), ("progress", progress)):
        flag(name, value)
    track = trackers(track)
    learners = resolve_all(methods, recipe_fields(training, epochs, updates))
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
    machine = machine_of(jobs, threads, device, cluster)
    plan = make_plan(learners, images.images(learners.values()), images.draws, _seeds(seeds), machine, curves)
    return run_plan(plan, out, fresh, progress, track)


def run_plan(
    plan: Plan,
    out: str | Path = "results",
    fresh: bool = False,
    progress: bool = True,
    track: Sequence[str] = (),
) -> Results:
    """Run a plan under a bar, and return its results."""
    computed = 0
    out = Path(out).expanduser()
    with Store(out).open(track) as store, contextlib.ExitStack() as block:
        bar = None

        def begin(total: int) -> None:
            nonlocal bar
            bar = block.enter_context(_bar(total, progress and total > 0))

        def advance(trial: Trial, record: Record, now: bool) -> None:
            nonlocal computed
            if now and bar is not None:
                computed += 1
                bar.update()

        records = plan.run(store, fresh, advance, on_begin=begin)
    metric: Metric = "accuracy" if plan.protocol.balanced else "balanced_accuracy"
    return Results(records, plan.title, metric, computed, out)


def resolve_all(methods: Methods, training: Mapping[str, object]) -> dict[str, Learner]:
    """Return name → learner, in the order given; `UsageError` for an unknown method or a name given twice."""
    if isinstance(methods, Mapping):
        return {_name(name): _named(name, method, training) for name, method in methods.items()} or _none()
    given = methods if isinstance(methods, list | tuple) else [methods]
    learners: dict[str, Learner] = {}
    objects: dict[str, object] = {}
    for method in given:
        if isinstance(method, Mapping):
            pairs = list(resolve_all(method, training).items())
        else:
            pairs = [resolve(method, training)]
        for name, learner in pairs:
            if name in learners and objects[name] is not method and not isinstance(method, str):
                raise UsageError(
                    f"two methods are called '{name}': give them names in a dictionary, "
                    f'methods={{"{name}": …, "{name}-2": …}}'
                )
            learners[name], objects[name] = learner, method
    return learners or _none()


def recipe_fields(
    training: Mapping[str, object] | None, epochs: int | None, updates: int | None
) -> dict[str, Any]:
    """Return the fields of every recipe that the caller sets; `UsageError` for unknown or unfit ones."""
    if not isinstance(training, Mapping | None):
        raise UsageError(f"{field('training')} wants fields of the recipe. Received: {training!r}")
    recipe: dict[str, Any] = dict(training or {})
    inner_epochs, inner_updates = recipe.pop("epochs", None), recipe.pop("updates", None)
    length = Training(
        inner_epochs if epochs is None else epochs, inner_updates if updates is None else updates
    )
    recipe |= length.fields()
    known = [entry.name for entry in dataclasses.fields(Recipe)]
    for name in recipe:
        if name not in known:
            raise unknown(f"field of {field('training')}", str(name), known)
    Recipe(**recipe)  # which checks the values
    return recipe


def _named(name: str, method: Method, training: Mapping[str, object]) -> Learner:
    """Return the learner of a method that the caller names; a network's function is registered so."""
    if hasattr(method, "__code__") and not isinstance(method, type):
        if name not in networks or networks[name].make is not method:
            try:
                networks.register(name)(cast(Callable[..., Any], method))
            except ValueError as error:
                raise UsageError(f"{error}") from error
        method = name
    return resolve(method, training)[1]


def _name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise UsageError(f"the names of {field('methods')} are texts. Received: {name!r}")
    return name


def _none() -> dict[str, Learner]:
    raise UsageError(f"{field('methods')} is empty: name one or more, such as ['baseline', 'flip']")


def machine_of(jobs: int | None, threads: int | None, device: str, cluster: str | None) -> Machine:
    """Return the machine, whose fields are checked."""
    return Machine(jobs, threads, device, cluster)


def _seeds(seeds: int | Iterable[int] | None) -> Sequence[int] | None:
    """Return the seeds; `UsageError` for none, or for what is no whole number."""
    if seeds is None:
        return None
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        return range(whole_number("seeds", seeds, most=MOST_SEED))
    if isinstance(seeds, range) and seeds:  # which may be huge, and is not gone through
        for end in (seeds[0], seeds[-1]):
            whole_number("seeds", end, 0, MOST_SEED)
        return seeds
    some = itertools.islice(seeds, MOST_SEEDS + 1)  # one may give them without end
    listed = list(dict.fromkeys(whole_number("seeds", seed, 0, MOST_SEED) for seed in some))
    if not listed:
        raise UsageError(f"{field('seeds')} is empty")
    return listed


def _bar(total: int, shown: bool) -> tqdm:
    """Return a bar of the trials that are computed; none is shown where all are recorded already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a notebook without ipywidgets shows a bar of text
        from tqdm.auto import tqdm

        return tqdm(total=total, unit="trial", disable=not shown, smoothing=0.1, file=sys.stderr)
