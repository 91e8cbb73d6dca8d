"""Fixtures that the tests share: a cache of their own, small data, tiny runs."""

import os

# Tests run two at a time: threads of NumPy's beside would only wait for each other.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
from commands import in_a_fork, in_a_process
from helpers import QUICK

from fewshot import backend
from fewshot.data import Dataset, Prepared, Splits
from fewshot.data.protocols import Protocol
from fewshot.data.sources import save
from fewshot.trials.processes import Processes
from fewshot.trials.run import run
from fewshot.trials.store import Store


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Keep the user's cache out of the tests; share one among them and the processes they start."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["FEWSHOT_CACHE"] = str(folder)
    os.environ.pop("FEWSHOT_DATA_DIR", None)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each process would compile all sources again
    return folder


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache for one test alone, empty; no data directory."""
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FEWSHOT_DATA_DIR", raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def blobs():
    """Ten classes × 1100 noisy 16×16 images that differ in brightness, in mixed order; a small test part."""
    rng = np.random.default_rng(0)

    def dataset(n):
        y = rng.permutation(np.repeat(np.arange(10), n))
        x = (20 * y[:, None, None, None] + rng.integers(0, 60, (len(y), 16, 16, 3))).astype(np.uint8)
        x.setflags(write=False)  # all tests share them
        return Dataset(x, y.astype(np.int64), tuple("abcdefghij"))

    return Splits("blobs", dataset(1100), dataset(20))


@pytest.fixture
def task(blobs):
    """One task of the blobs: classes f and j, 100 training images."""
    return Protocol().sample_task(blobs, 0)


@pytest.fixture(scope="module")
def started():
    """Keras in this process, with one thread: `pytestmark = pytest.mark.usefixtures("started")`."""
    backend.start(1, "cpu")


@pytest.fixture(scope="module")
def tiny_backbone():
    """A backbone "tiny" of one convolution, named as ports name their layers."""
    from fewshot.backbones import backbones

    @backbones.register("tiny", size=24, least_size=8, top=False)
    def tiny(x, top):
        import keras

        from fewshot.backbones.layers import Pixels, conv, norm, relu6

        x = Pixels((127.0,) * 3, (128.0,) * 3)(x)
        return keras.layers.GlobalAveragePooling2D()(relu6(norm(conv(x, "_conv", 24, 7, 4), "_bn")))

    yield
    backbones.remove("tiny")


@pytest.fixture(scope="session")
def data(blobs, tmp_path_factory):
    """The blobs as `prepare` would leave them, for all tests to read."""
    folder = tmp_path_factory.mktemp("data") / "blobs"
    folder.mkdir()
    save(blobs, folder, "these tests")
    return Prepared("blobs", folder, blobs.classes, blobs.fingerprint(), "testbed", 2)


@pytest.fixture
def results(tmp_path):
    """Run trials on a store below `tmp_path`; return the records."""

    def run_them(trials, folder="results", jobs=1, executor=None, **options):
        with Store(tmp_path / folder).open() as store:
            return run(trials, store, executor or Processes(jobs), **options)

    return run_them


@pytest.fixture
def command(tmp_path):
    """Run `python -m experiments.NAME …` or `PACKAGE.NAME`, results below `tmp_path`.

    In a process of its own where `options` of the process are given (`commands.in_a_process`).
    before: as in `commands.in_a_fork`.
    """

    def run(name, *args, out=tmp_path / "results", before=None, **options):
        module = name if "." in name else f"experiments.{name}"
        line = (module, *args, *(["--out", out] if out else []))
        return in_a_process(*line, **options) if options else in_a_fork(*line, before=before)

    return run


@pytest.fixture(scope="session")
def study(tmp_path_factory, cache):
    """One quick study of digits: its results folder, for all tests to read, and what the command printed."""
    out = tmp_path_factory.mktemp("study") / "results"
    return out, in_a_fork("experiments.augment", *QUICK, "--method", "flip", "--jobs", 1, "--out", out)
