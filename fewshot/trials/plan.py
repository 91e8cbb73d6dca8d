"""The plan: methods × tasks × machine as a list of trials. Every face of the project makes its trials here.

    images = load_images(DataSpec("path/to/photos"))
    plan = make_plan({"ridge": learner}, images, Draws(shots=20), seeds=range(10), machine=Machine(jobs=2))
    with Store("results").open() as store:
        records = plan.run(store)

What was left open (how many shots a small folder allows, how many threads a trial gets, which executor
computes it) is decided here, so that the command line, Python and `fewshot.compare` draw the same tasks and
share their records.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fewshot import backend
from fewshot.arguments import MOST_THREADS, count, flag, names
from fewshot.data import DataSpec, Prepared, datasets, open_splits, prepare
from fewshot.data.catalogue import IMAGE_SIZE
from fewshot.data.dataset import Prior, check_prior
from fewshot.data.decoding import short_side
from fewshot.data.protocols import TUNING, Protocol, near_duplicates, protocols, takes_shots
from fewshot.errors import UsageError, field, unknown
from fewshot.learners.contract import Learner
from fewshot.machine import cores
from fewshot.trials import cluster as dask
from fewshot.trials import together
from fewshot.trials.executor import Executor
from fewshot.trials.processes import Processes
from fewshot.trials.record import Record
from fewshot.trials.run import run
from fewshot.trials.store import Store
from fewshot.trials.trial import Trial
from fewshot.wording import plural

MOST_SEEDS = 100_000  # of a plan, which lists its trials
ADDRESS = re.compile(r"local|[a-z]+://.+:\d+")
SEEDS = 10  # tasks, where neither the caller nor the protocol says how many
SHOTS = 50  # as the few-shot report has it
HELD_OUT_SHARE = 0.3  # of the smallest class of a folder, where nobody says how many shots
BACKBONE_SIZE = 224  # pixels of a folder's images, for backbones; networks from scratch see fewer


@dataclass(frozen=True)
class Draws:
    """How tasks are drawn, as far as the caller says it; None is decided by the data.

    protocol: the name of a registered rule. ways: classes a task. shots: training images a class.
    classes: fixed class names. balanced: as many held-out images of each class. limit_train: of a protocol
    that takes the whole training set, at most so many images. prior: how unequal classes count in training,
    "alike" or "natural", as frequent as they are; None: alike, but for the whole of a dataset with a name.
    """

    protocol: str | None = None
    ways: int | None = None
    shots: int | None = None
    classes: tuple[str, ...] = ()
    balanced: bool = True
    limit_train: int | None = None
    prior: Prior | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.protocol, str | None):
            raise UsageError(f"{field('protocol')} wants a name. Received: {self.protocol!r}")
        for name in ("ways", "shots", "limit_train"):
            count(name, getattr(self, name))
        names("classes", self.classes)
        flag("balanced", self.balanced)
        if self.prior is not None:
            check_prior(self.prior)
        if self.classes and self.ways not in (None, len(self.classes)):
            raise UsageError(
                f"{field('ways', self.ways)} and the {plural(len(self.classes), 'class', 'classes')} of "
                f"{field('classes')} disagree: leave {field('ways')} out"
            )

    def resolve(self, data: Prepared, least_ways: int = 2) -> Protocol:
        """Return the protocol for these data.

        Raises `UsageError` for an unknown rule, too few classes, or a limit where the rule takes shots.
        """
        name = self.protocol or data.default_protocol
        traits = protocols[name].traits
        ways = len(self.classes) if self.classes else self.ways or traits.get("ways", data.default_ways)
        if ways is not None and ways < least_ways:
            raise UsageError("a task needs two classes or more")
        if "ways" in traits and not self.classes and ways == len(data.classes):
            ways = traits["ways"]  # as many as there are is all of them: one task has one name
        if self.limit_train and not traits.get("whole"):
            raise UsageError(
                f"{field('limit_train')} is for {field('protocol', 'full')}: "
                f"'{name}' takes {field('shots')} images a class"
            )
        shots = SHOTS  # not heeded where the rule takes none
        if takes_shots(name):
            shots = self.shots or _usual_shots(data, name, self.classes)
        published = data.name in datasets and traits.get("whole")  # trained on as it is, by everybody
        prior = self.prior or ("natural" if published else "alike")
        return Protocol(name, ways, shots, tuple(self.classes), self.balanced, self.limit_train, prior)


def _usual_shots(data: Prepared, protocol: str, classes: Sequence[str]) -> int:
    """Return so many training images a class that of a small folder some are left to be held out."""
    if data.name in datasets:
        return SHOTS
    splits = open_splits(data.folder)
    apart = protocol == "distinct"  # the groups that its draws use, found once a process
    scenes = near_duplicates(splits.train, splits.train)[0] if apart else np.arange(len(splits.train))
    labels = splits.train.y
    wanted = [label for label in np.unique(labels) if not classes or splits.classes[label] in classes]
    least = min((len(np.unique(scenes[labels == label])) for label in wanted), default=1)
    if "test" in splits.parts:
        return min(SHOTS, least)
    return min(SHOTS, max(1, int(least * (1 - HELD_OUT_SHARE))))


@dataclass(frozen=True)
class Machine:
    """Where trials are computed, as far as the caller says it; None is decided by the machine.

    jobs: worker processes. threads: of each. device: "auto", "cpu", "gpu" or "gpus". cluster: "local" or
    the address of a Dask scheduler.
    """

    jobs: int | None = None
    threads: int | None = None
    device: str = "auto"
    cluster: str | None = None

    def __post_init__(self) -> None:
        count("jobs", self.jobs, MOST_THREADS)
        count("threads", self.threads, MOST_THREADS)
        if self.device not in backend.DEVICES:
            raise unknown("device", str(self.device), backend.DEVICES)
        address = self.cluster
        if not (address is None or (isinstance(address, str) and ADDRESS.fullmatch(address))):
            raise UsageError(
                f"{field('cluster')} wants local or an address such as tcp://10.0.0.1:8786. "
                f"Received: {address!r}"
            )

    def resolve(self, whole: bool = False) -> Machine:
        """Return the machine with nothing left open but the jobs of a cluster that runs already.

        whole: trials train on whole datasets.

        Raises `UsageError` for worker processes where they are not ours to start, or would share a GPU.
        """
        device, available = backend.resolve_device(self.device), cores()  # it may raise: always asked
        threads = self.threads or (available if whole else 1)
        if self.jobs and self.cluster not in (None, dask.LOCAL):
            raise UsageError(
                f"{field('jobs')} is for processes of this machine: {self.cluster} has its own workers"
            )
        if (self.jobs or 1) > 1 and device != "cpu":
            raise UsageError(
                f"{field('jobs', self.jobs)}: processes would share the GPU, of whose memory the first takes "
                f"most; use {field('jobs', 1)}, or {field('device', 'cpu')}"
            )
        if self.cluster not in (None, dask.LOCAL):
            return Machine(None, threads, device, self.cluster)
        jobs = self.jobs or (max(1, available // threads) if device == "cpu" else 1)
        return Machine(jobs, threads, device, self.cluster)

    @property
    def workers(self) -> str:
        """Who computes, in words."""
        here = self.cluster in (None, dask.LOCAL)
        return plural(self.jobs or 1, "job") if here else f"workers of {self.cluster}"

    def open(self, trials: Iterable[Trial]) -> contextlib.AbstractContextManager[Executor]:
        """Return what computes such trials: the one place that chooses between the executors.

        trials: none for work of another kind, which never goes together.
        """
        if self.cluster:
            return dask.Cluster(self.cluster, self.jobs or 1)
        return contextlib.nullcontext(together.executor(trials) or Processes(self.jobs or 1))


@dataclass(frozen=True)
class Training:
    """How long networks are trained, where the caller says it: passes, or updates for every method."""

    epochs: int | None = None
    updates: int | None = None

    def __post_init__(self) -> None:
        count("epochs", self.epochs)
        count("updates", self.updates)

    def fields(self) -> dict[str, int | None]:
        """Return the recipe's fields that this sets; `UsageError` where both say how long."""
        if self.updates and self.epochs:
            raise UsageError(
                f"{field('updates')} and {field('epochs')} exclude each other: both say how long to train"
            )
        if self.updates:
            return {"updates": self.updates}
        return {"epochs": self.epochs, "updates": None} if self.epochs else {}


@dataclass(frozen=True)
class Images:
    """Prepared images in the renditions that methods look at: of a named dataset all are one.

    Thousands of tiny images are not blown up on disk: a backbone enlarges them itself. Tasks are the same in
    every rendition: the small one decided the order of the images and which of them are near-duplicates.
    """

    small: Prepared
    large: Prepared
    views: Prepared

    def of(self, learner: Learner) -> Prepared:
        """Return the images in the rendition that a learner looks at, all parts of it at the same one.

        Raises `UsageError` where they do not.
        """
        images = {"small": self.small, "large": self.large, "views": self.views}[learner.looks_at]
        for part in learner.parts():
            if self.of(part) != images:
                raise learner.disagreement(part)
        return images


def large_size(photos: Sequence[Path]) -> int:
    """Return the pixels in which backbones see photos: as many as they have, up to the usual size."""
    return min(BACKBONE_SIZE, short_side(photos))


def load_images(
    spec: DataSpec, data_dir: str | Path | None = None, learners: Iterable[Learner] = ()
) -> Images:
    """Return the images, fetched or decoded into the cache if they are not there yet.

    learners: who looks at them; a folder is decoded again, larger or in all views, if one of them does.
    """
    small = prepare(spec, data_dir)
    looks = {learner.looks_at for learner in learners}
    if spec.data in datasets or looks <= {"small"}:
        return Images(small, small, small)
    if spec.image_size is None:
        spec = replace(spec, image_size=large_size(small.photos()))
    larger = "large" in looks and (spec.image_size or 0) > IMAGE_SIZE
    return Images(
        small,
        prepare(spec, data_dir) if larger else small,
        prepare(replace(spec, views=True), data_dir) if "views" in looks else small,
    )


@dataclass(frozen=True)
class Plan:
    """Trials, seed by seed, so that a run cut off has compared all methods on some tasks."""

    trials: tuple[Trial, ...]
    machine: Machine
    protocol: Protocol
    seeds: Sequence[int]
    learners: Mapping[str, Learner]

    @property
    def data(self) -> Prepared:
        """The images of the first trial; all trials have the same classes and tasks."""
        return self.trials[0].data

    @property
    def title(self) -> str:
        """The images and the rule that draws tasks from them, in words."""
        return f"{self.data.name}, {self.protocol}"

    def run(
        self,
        store: Store,
        fresh: bool = False,
        on_record: Callable[[Trial, Record, bool], None] = lambda trial, record, computed: None,
        on_prepared: Callable[[int, float], None] = lambda total, seconds: None,
        on_begin: Callable[[int], None] = lambda total: None,
    ) -> dict[str, list[Record]]:
        """Return the records of each method, seed by seed; what the store lacks is computed and stored.

        fresh, on_record, on_prepared, on_begin: as in `fewshot.trials.run.run`.
        """
        with self.machine.open(self.trials) as executor:
            records = run(list(self.trials), store, executor, on_record, fresh, on_prepared, on_begin)
        by_method: dict[str, list[Record]] = {name: [] for name in self.learners}
        for trial, record in zip(self.trials, records, strict=True):
            by_method[trial.method].append(record)
        return by_method


def _ends(seeds: Sequence[int]) -> tuple[int, int]:
    """Return the least and the greatest seed; a range, which may be huge, is not gone through."""
    if not seeds:
        raise UsageError(f"{field('seeds')} is empty")
    ends = (seeds[0], seeds[-1]) if isinstance(seeds, range) else seeds
    return min(ends), max(ends)


def check_seeds(seeds: Sequence[int]) -> None:
    """Raise `UsageError` for none, for more than a plan lists, and for reported and tuning tasks together."""
    least, most = _ends(seeds)
    if least < TUNING <= most:
        raise UsageError(
            f"{field('seeds')}: those from {TUNING} on draw tuning tasks, which no table mixes with others"
        )
    if len(seeds) > MOST_SEEDS:
        raise UsageError(f"{field('seeds')}: {MOST_SEEDS:,} tasks are the most. Received: {len(seeds):,}")


def make_plan(
    learners: Mapping[str, Learner],
    images: Images,
    draws: Draws,
    seeds: Sequence[int] | None = None,
    machine: Machine | None = None,
    curves: bool = False,
    usual_seeds: int = SEEDS,
    at_most: int | None = None,
) -> Plan:
    """Return the trials of all learners on the tasks of all seeds.

    seeds: None for as many as the protocol has, or else the `usual_seeds`, though `at_most` so many.
    curves: measure the held-out images along the training, too.

    Raises `UsageError` for seeds that mix reported and tuning tasks, and for what `Draws.resolve` and
    `Machine.resolve` refuse.
    """
    protocol = draws.resolve(images.small)
    traits = protocols[protocol.name].traits
    machine = (machine or Machine()).resolve(whole=bool(traits.get("whole")))
    if seeds is None:
        count = traits.get("seeds", usual_seeds)
        seeds = range(count if at_most is None else min(at_most, count))
    check_seeds(seeds)
    trials = tuple(
        Trial(
            method,
            learner,
            protocol,
            images.of(learner),
            seed,
            machine.threads or 1,
            machine.device,
            curves,
        )
        for seed in seeds
        for method, learner in learners.items()
    )
    return Plan(trials, machine, protocol, seeds, learners)
