"""`fs.load`: names, folders and arrays, and the tasks that are drawn from them."""

import numpy as np
import pytest
from helpers import photos

import fewshot as fs
from fewshot.errors import UsageError


def arrays(count=12, side=16):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, side, side, 3), np.uint8), np.arange(count) % 2


def test_a_dataset_by_its_name():
    data = fs.load("digits", classes=("3", "8"), shots=12)
    task = data.task(4)
    assert task.classes == ("3", "8")
    assert len(task.train) == 24
    assert np.array_equal(task.train_index, data.task(4).train_index)
    assert data.classes == tuple("0123456789")
    assert repr(data).endswith("1,797 train images of 32×32; tasks of stratified: 2 classes × 12 images")


def test_a_folder(tmp_path):
    data = fs.load(photos(tmp_path / "photos", 10, side=16))
    assert data.classes == ("cat", "dog")
    assert data.protocol.name == "distinct"
    assert len(data.task(0).train) == 14


def test_arrays_are_drawn_from_as_a_folder_is():
    x, y = arrays()
    data = fs.load((x, y, ["cat", "dog"]))
    assert data.classes == ("cat", "dog")
    assert data.protocol == fs.load((x, y)).protocol
    assert data.protocol.name == "distinct"
    task = data.task(1)
    assert np.array_equal(task.train.x, x[task.train_index])


def test_equal_arrays_are_one_dataset():
    x, y = arrays()
    first, again, other = fs.load((x, y)), fs.load((x.copy(), list(y))), fs.load((x[::-1].copy(), y))
    assert first.prepared == again.prepared
    assert first.prepared.fingerprint != other.prepared.fingerprint


def test_labels_may_be_texts():
    x, y = arrays()
    data = fs.load((x, np.where(y, "dog", "cat")))
    assert data.classes == ("cat", "dog")
    assert np.array_equal(data.splits.train.y, y)


def test_loaded_data_may_get_other_draws():
    data = fs.load("digits", shots=12)
    assert data.drawn(shots=None) is data
    assert data.drawn(shots=3, protocol="stratified").protocol.shots == 3
    assert fs.load(data, shots=4).protocol.shots == 4


def test_a_notebook_shows_counts_and_images(tmp_path):
    html = fs.load(photos(tmp_path / "<b>", 10, side=16))._repr_html_()
    assert "<th>cat</th><td>10</td>" in html
    assert html.count("data:image/png;base64,") == 12
    assert "<b>" not in html


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda x, y: (x / 255, y), "uint8, 0 to 255. Received: float64"),
        (lambda x, y: (x[..., :1], y), "(N, height, width, 3). Received: (12, 16, 16, 1)"),
        (lambda x, y: (x, y[:5]), "12 images need as many labels"),
        (lambda x, y: (x, y / 2), "labels are whole numbers or texts"),
        (lambda x, y: (x, y, ["cat"]), "two classes are the least. Received: cat"),
        (lambda x, y: (x, y + 1, ["cat", "dog"]), "0 to 1. Received: 1 to 2"),
        (lambda x, y: (x, y, ["cat", "dog", "fox"]), "the class 'fox' has no image"),
        (lambda x, y: (x, y, ["cat", "cat"]), "a class is named twice"),
        (lambda x, y: (x, 0 * y), "two classes are the least. Received: 0"),
        (lambda x, y: (x,), "wants a name, a folder, or arrays"),
    ],
)
def test_arrays_that_are_no_images(broken, message):
    with pytest.raises(UsageError) as error:
        fs.load(broken(*arrays()))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
