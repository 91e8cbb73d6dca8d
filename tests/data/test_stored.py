"""Photos in all their views stay on disk until they are looked at."""

import tracemalloc

import numpy as np
import pytest

from fewshot.data.dataset import Dataset, Splits
from fewshot.data.stored import StoredViews, together

SHAPE = (40, 5, 16, 16, 3)


@pytest.fixture
def stored(tmp_path):
    x = np.lib.format.open_memmap(tmp_path / "train_x.npy", "w+", np.uint8, SHAPE)
    x[:] = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    x.flush()
    return np.load(tmp_path / "train_x.npy", mmap_mode="r")


INDEX = np.array([7, 3, 39, 3])


@pytest.mark.parametrize(
    "key",
    [
        2,
        -1,
        slice(1, 3),
        [0, 2],
        np.array([True, False, True, False]),
        (slice(None), 1),
        (slice(None), -1),
        (slice(1, 4), 2),
        (1, 2, slice(None), 3),
        (slice(None), slice(None), slice(None), slice(None, None, -1)),
    ],
    ids=str,
)
def test_indexed_as_an_array_is(stored, key):
    photos, plain = StoredViews(stored, INDEX), np.asarray(stored)[INDEX]
    assert (photos.shape, photos.ndim, photos.dtype, len(photos)) == (plain.shape, 5, np.uint8, 4)
    np.testing.assert_array_equal(photos[key], plain[key])
    np.testing.assert_array_equal(photos, plain)
    np.testing.assert_array_equal(photos[:, 3][key if not isinstance(key, tuple) else key[0]],
                                  plain[:, 3][key if not isinstance(key, tuple) else key[0]])  # fmt: skip


def test_photos_of_one_file_stay_on_disk_together(stored):
    photos, other = StoredViews(stored, INDEX), StoredViews(stored, np.array([0, 1]))
    both = together(photos, other)
    assert isinstance(both, StoredViews)
    np.testing.assert_array_equal(both, stored[[*INDEX, 0, 1]])
    elsewhere = StoredViews(np.array(stored), np.array([5]))
    np.testing.assert_array_equal(together(photos, elsewhere), stored[[*INDEX, 5]])
    np.testing.assert_array_equal(together(photos[:, 1], np.array(stored[:2, 1])), stored[[*INDEX, 0, 1], 1])


def test_one_view_is_photo_after_photo(stored):
    view = StoredViews(stored, INDEX)[:, 2]
    assert isinstance(view, StoredViews)
    assert view.shape == (4, 16, 16, 3)
    for photo, position in zip(view, INDEX, strict=True):
        np.testing.assert_array_equal(photo, stored[position, 2])
    np.testing.assert_array_equal(view[1:, :, ::-1], stored[INDEX, 2][1:, :, ::-1])


def test_a_task_of_many_photos_takes_no_memory(tmp_path):
    """Taking all photos, and looking at one view photo by photo, copies one photo at a time."""
    shape = (400, 5, 64, 64, 3)  # 25 MB
    np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, shape).flush()
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    dataset = Dataset(x, np.zeros(400, int), ("a",))
    tracemalloc.start()
    taken = dataset.take(np.arange(399, -1, -1)).take(np.arange(0, 400, 2)).compact()
    assert taken.x.shape == (200, *shape[1:])
    assert taken.image_shape == (64, 64, 3)
    assert sum(int(photo.max()) for photo in taken.x[:, 1]) == 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


def test_images_that_are_no_views_are_copied(stored):
    images = Dataset(stored[:, 0], np.zeros(40, int), ("a",)).take(np.array([1, 2]))
    assert type(images.x) is np.ndarray


def test_fingerprint_does_not_depend_on_where_photos_are(stored):
    y = np.zeros(4, int)
    lazy, plain = StoredViews(stored, INDEX), np.asarray(stored)[INDEX]
    one, other = (Splits("", Dataset(x, y, ("a",))).fingerprint() for x in (lazy, plain))
    assert one == other


def test_digests_are_computed_once(stored, tmp_path):
    computed = []

    def digest(photo):
        computed.append(photo)
        return photo.tobytes()[:16]

    def of(view, index):
        fresh = np.load(tmp_path / "train_x.npy", mmap_mode="r")  # as every trial opens it
        return StoredViews(fresh, index)[:, view].digests(digest)

    assert of(1, INDEX) == [stored[i, 1].tobytes()[:16] for i in INDEX]
    assert len(computed) == 3
    of(1, np.array([3, 4]))
    assert len(computed) == 4
    of(2, np.array([3]))
    assert len(computed) == 5
    part = np.load(tmp_path / "train_x.npy", mmap_mode="r")[10:]  # other photos of the same file
    assert StoredViews(part, np.array([3]))[:, 1].digests(digest) == [stored[13, 1].tobytes()[:16]]
    changed = np.load(tmp_path / "train_x.npy") + np.uint8(1)
    (tmp_path / "train_x.npy").unlink()
    np.save(tmp_path / "train_x.npy", changed)
    assert of(1, np.array([3])) == [changed[3, 1].tobytes()[:16]]
