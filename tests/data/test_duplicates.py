"""Near-duplicates are found, and never stand on both sides of a draw."""

import tracemalloc

import numpy as np
import pytest

from fewshot.data.dataset import Dataset, Splits
from fewshot.data.duplicates import groups, pairs, repeated
from fewshot.data.protocols import Protocol
from fewshot.errors import UsageError


@pytest.fixture
def images():
    """Forty images in blocks of colour; 1, 2 and 3 are one scene (plain, brighter, noisy), 8 and 9, too."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 230, (40, 8, 8, 3)).repeat(4, 1).repeat(4, 2)
    x[2] = x[1] + 8
    x[3] = x[1] + rng.integers(0, 12, x[1].shape)
    x[9] = x[8]
    return Dataset(x.astype(np.uint8), np.arange(40) % 2, ("a", "b"))


def test_groups_join_what_is_near(images):
    found = [group.tolist() for group in repeated(groups(images))]
    assert found == [[1, 2, 3], [8, 9]]
    number = groups(images)
    assert len(set(number.tolist())) == 40 - 3
    first, second = pairs(images)
    assert (first < second).all()


def test_tiles_and_the_order_of_brightness_miss_no_pair(monkeypatch):
    """Against all pairs, one by one: four scenes in many lights, some too far apart."""
    rng = np.random.default_rng(0)
    scenes = rng.integers(0, 120, (4, 16, 16, 3))
    x = scenes[np.arange(60) % 4] + rng.integers(0, 60, (60, 1, 1, 1)) + rng.integers(0, 9, (60, 16, 16, 3))
    flat = x.reshape(60, -1)
    alike = (np.corrcoef(flat) > 0.95) & (np.abs(flat[:, None] - flat).mean(-1) < 20)
    wanted = np.argwhere(np.triu(alike, 1))
    monkeypatch.setattr("fewshot.data.duplicates.TILE", 7)
    many = Dataset(x.astype(np.uint8), np.zeros(60, np.int64), ("a",))
    np.testing.assert_array_equal(np.stack(pairs(many), 1), wanted)
    number = groups(many)
    assert (number[wanted[:, 0]] == number[wanted[:, 1]]).all()
    assert 4 <= len(set(number.tolist())) < 60


def test_thousands_of_one_scene_take_little_memory():
    """Their pairs, eight million, would take hundreds of megabytes, their colours a thousand times that."""
    rng = np.random.default_rng(0)
    x = (rng.integers(0, 200, (1, 16, 16, 3)) + rng.integers(0, 5, (4000, 16, 16, 3))).astype(np.uint8)
    tracemalloc.start()
    number = groups(Dataset(x, np.zeros(4000, np.int64), ("a",)))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(number.tolist()) == {0}
    assert most < 250e6


def test_the_same_scene_in_another_light_is_another_image(images):
    x = images.x.copy()
    x[2] = np.clip(x[1].astype(int) // 2, 0, 255)
    assert repeated(groups(Dataset(x, images.y, images.classes)))[0].tolist() == [1, 3]


def test_flat_images_are_no_duplicates():
    x = np.full((3, 16, 16, 3), [[[[10]]], [[[120]]], [[[121]]]], np.uint8)
    assert repeated(groups(Dataset(x, np.zeros(3, np.int64), ("a",)))) == []


def test_near_duplicates_stay_on_one_side(images):
    number = groups(images)
    splits = Splits("scenes", images)
    for seed in range(20):
        task = Protocol("distinct", 2, shots=12).sample_task(splits, seed)
        assert len(task.train) == 24
        assert not set(number[task.train_index]) & set(number[task.test_index])
        assert len(set(number[task.train_index].tolist())) >= 22  # once a class
        assert np.bincount(task.test.y).tolist() == [len(task.test) // 2] * 2


def test_a_test_part_loses_what_training_has_seen(images):
    splits = Splits("scenes", images, test=images.take(np.arange(20)))
    task = Protocol("distinct", 2, shots=3).sample_task(splits, 0)
    assert task.test_part == "test"
    assert not set(task.train_index) & set(task.test_index)


def test_of_thousands_no_more_are_held_out_than_of_hundreds():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (1500, 4, 4, 3)).astype(np.uint8)
    splits = Splits("noise", Dataset(x, (np.arange(1500) % 3 > 0).astype(np.int64), ("a", "b")))
    assert np.bincount(Protocol("distinct", 2, shots=10).sample_task(splits, 0).test.y).tolist() == [350, 350]
    unequal = Protocol("distinct", 2, shots=10, balanced=False).sample_task(splits, 0)
    assert np.bincount(unequal.test.y).tolist() == [350, round(350 * 990 / 490)]


def test_too_few_scenes(images):
    same = Dataset(images.x[[1, 1, 1, 8, 8, 8]], np.array([0, 0, 0, 1, 1, 1]), ("a", "b"))
    with pytest.raises(UsageError, match="near-duplicates"):
        Protocol("distinct", 2, shots=2).sample_task(Splits("same", same), 0)


def _scene(seed, sky, size=32):
    """A bright sky, darker towards the ground, with a small object somewhere."""
    rng = np.random.default_rng(seed)
    scene = np.linspace(220, 60, size)[:, None, None] * np.asarray(sky) + rng.normal(0, 1, (size, size, 3))
    top, left = rng.integers(3, size - 9, 2)
    scene[top : top + 5, left : left + 6] -= rng.integers(0, 80, (5, 6, 1))
    return scene.clip(0, 255)


def test_two_photos_of_the_open_sky_are_two_scenes():
    """Their colours correlate; what flies there does not. Compressed or moved a little, it still does."""
    sky = np.array([0.8, 0.9, 1.0])
    scenes = np.stack([_scene(seed, sky) for seed in range(12)])
    noise = np.random.default_rng(9).normal(0, 2, scenes[0].shape)
    again = [scenes[3] + noise, np.roll(scenes[5], 1, axis=1)]
    x = np.concatenate([scenes, again]).clip(0, 255).astype(np.uint8)
    assert np.median(np.corrcoef(x.reshape(14, -1))) > 0.95
    number = groups(Dataset(x, np.zeros(14, np.int64), ("a",)))
    assert [group.tolist() for group in repeated(number)] == [[3, 12], [5, 13]]


def test_where_all_images_are_alike_only_closer_ones_are_duplicates():
    """As radiographs: one anatomy, patients that differ, and one who was taken twice."""
    rng = np.random.default_rng(0)
    anatomy = rng.integers(40, 220, (32, 32, 1))
    patients = anatomy + rng.normal(0, 25, (20, 32, 32, 1))
    x = np.concatenate([patients, patients[:1] + rng.normal(0, 2, (1, 32, 32, 1))]).repeat(3, -1)
    x = x.clip(0, 255).astype(np.uint8)
    assert [group.tolist() for group in repeated(groups(Dataset(x, np.zeros(21, np.int64), ("a",))))] == [
        [0, 20]
    ]


def test_a_single_image_has_no_duplicate(images):
    assert groups(images.take(np.arange(1))).tolist() == [0]
