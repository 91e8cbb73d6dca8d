"""ciFAIR-10: read as its authors' archive has it, checked as far as it can be, never taken for CIFAR-10."""

import pickle
import zipfile
from dataclasses import replace
from hashlib import md5

import numpy as np
import pytest

from fewshot.data import DataSpec, Splits, cifar, open_splits, prepare, verify
from fewshot.errors import FewshotError, UsageError

BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own for every test."""
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FEWSHOT_DATA_DIR", raising=False)


@pytest.fixture
def place(tmp_path):
    """The user's data directory."""
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


@pytest.fixture
def files(monkeypatch):
    """Three random images a batch, known by their sums; keys and bytes as Python 3 writes them for 2."""
    rng = np.random.default_rng(0)
    batches = {
        f"ciFAIR-10/{name}": {"data": rng.integers(0, 256, (3, 3072), dtype=np.uint8), "labels": [i, 9, 0]}
        for i, name in enumerate(BATCHES)
    }
    written = {name: pickle.dumps(batch, protocol=2) for name, batch in batches.items()}
    train = cifar._splits("cifair10", cifar.CIFAR10_CLASSES, cifar._pickles(list(written.values()))).train
    monkeypatch.setattr(cifar, "CIFAR10_TRAIN_PIN", Splits("cifair10", train).fingerprint())
    sums = {"test_batch": md5(written["ciFAIR-10/test_batch"]).hexdigest()}
    monkeypatch.setattr(cifar, "CIFAIR10_LAYOUTS", (replace(cifar.CIFAIR10_LAYOUTS[0], md5=sums),))
    return written


def write_zip(place, files):
    with zipfile.ZipFile(place / "ciFAIR-10.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def write_folder(place, files):
    for name, content in files.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(content)


@pytest.mark.parametrize("write", [write_zip, write_folder])
def test_both_forms_are_read_and_then_found_in_the_cache(write, files, place):
    write(place, files)
    prepared = prepare(DataSpec("cifair10"), place)
    verify(prepared)
    read = open_splits(prepared.folder)
    assert (prepared.name, prepared.default_protocol) == ("cifair10", "deic")
    assert read.train.y.tolist() == [0, 9, 0, 1, 9, 0, 2, 9, 0, 3, 9, 0, 4, 9, 0]
    planes = pickle.loads(files["ciFAIR-10/test_batch"])["data"].reshape(3, 3, 32, 32)
    np.testing.assert_array_equal(read.test.x, planes.transpose(0, 2, 3, 1))
    assert prepare(DataSpec("cifair10")) == prepared


@pytest.mark.parametrize(
    ("batch", "message"),
    [("data_batch_2", "not those of CIFAR-10"), ("test_batch", "test_batch is not the official one")],
)
def test_other_content_is_refused(batch, message, files, place):
    other = {"data": np.zeros((3, 3072), np.uint8), "labels": [0, 0, 0]}
    write_zip(place, files | {f"ciFAIR-10/{batch}": pickle.dumps(other)})
    with pytest.raises(FewshotError, match=rf"cannot read ciFAIR-10\.zip: .*{message}"):
        prepare(DataSpec("cifair10"), place)


def test_a_pickle_that_asks_for_more_than_arrays_is_refused(files, place):
    write_zip(place, files | {"ciFAIR-10/data_batch_1": b"cposix\nsystem\n(S'true'\ntR."})
    with pytest.raises(FewshotError, match=r"asks for posix\.system"):
        prepare(DataSpec("cifair10"), place)


@pytest.mark.parametrize("given", [True, False])
def test_where_it_is_missing_one_line_says_what_to_do(given, place):
    with pytest.raises(FewshotError, match=r"download https://.*/ciFAIR-10\.zip .*data_dir='DIR'") as error:
        prepare(DataSpec("cifair10"), place if given else None)
    assert "\n" not in str(error.value)


def test_it_is_not_taken_for_cifar10(files, place):
    write_zip(place, files)
    with pytest.raises(UsageError, match="does not hold cifar10"):
        prepare(DataSpec("cifar10"), place)
    renamed = {name.replace("ciFAIR-10", "cifar-10-batches-py"): content for name, content in files.items()}
    write_folder(place, renamed)
    with pytest.raises(FewshotError, match=r"cifar-10-batches-py \(its content is not the known one"):
        prepare(DataSpec("cifar10"), place)


@pytest.mark.network
def test_the_pin_is_the_one_of_cifar10s_training_part():
    train = open_splits(prepare(DataSpec("cifar10")).folder).train
    assert Splits("cifar10", train).fingerprint() == cifar.CIFAR10_TRAIN_PIN
