"""Sheets: what a method makes of a task's images, as training sees it."""

import albumentations as A
import numpy as np
import pytest
from PIL import Image

from fewshot.augment.offline import expand, expansions
from fewshot.data import Dataset
from fewshot.report.plots.sheet import sheet, show


@pytest.fixture
def train():
    x = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)
    return Dataset(x, np.arange(12) % 2, ("cat", "frog"))


@pytest.mark.parametrize("name", [*expansions, "mixing(flip+rotation+patchshuffle)+color-isolation"])
def test_every_expansion_has_a_sheet(train, tmp_path, name):
    rows = show(train, name, seed=1)
    assert [label for label, _ in rows] == 3 * ["cat"] + 3 * ["frog"]
    assert all([head for head, _ in cells] == [head for head, _ in rows[0][1]] for _, cells in rows)
    assert len(rows[0][1]) <= 8
    for path in sheet(rows, tmp_path / "sheet", name):
        assert path.stat().st_size > 1000
    assert min(Image.open(tmp_path / "sheet.png").size) > 128


def test_the_images_are_those_of_training(train):
    trained = expand(train, "rotation", seed=1).x
    (label, cells), *_ = show(train, "rotation", seed=1)
    assert label == "cat"
    assert [caption for caption, _ in cells] == ["original", "rotate 90°", "rotate 180°", "rotate 270°"]
    for (_, image), copy in zip(cells, trained[::12], strict=True):
        assert np.array_equal(image, copy)


def test_random_ones_are_drawn_several_times(train):
    (_, cells), *_ = show(train, "flip+patchshuffle", seed=1)
    assert [caption for caption, _ in cells][1:4] == ["flip", "quarters moved", "quarters moved, seed 2"]
    assert len(cells) == 8
    assert np.array_equal(cells[3][1], expand(train, "patchshuffle", seed=2).x[12])


def test_mixtures_are_averages(train):
    for (_, cells), original in zip(show(train, "mixing", seed=1), train.x[[0, 2, 4, 1, 3, 5]], strict=True):
        for caption, image in cells[1:]:
            halves = [
                (original.astype(int) + other) // 2 for other in train.x[train.y == (caption == "half frog")]
            ]
            assert any(np.array_equal(image, half) for half in halves)
    assert show(train, "mixing-soft", seed=1)[0][1][1][0].endswith("label too")


def test_a_files_views_stand_side_by_side(train, tmp_path):
    A.save(A.HorizontalFlip(), tmp_path / "mine.json")
    (_, cells), *_ = show(train, f"albumentations:{tmp_path / 'mine.json'}", seed=1, columns=5)
    assert [caption for caption, _ in cells] == ["original", "draw 1", "draw 2", "draw 3", "draw 4"]


def test_a_file_with_one_view_stands_beside_the_originals(train, tmp_path):
    A.save(A.HorizontalFlip(), tmp_path / "mine.json")
    (_, cells), *_ = show(train, f"albumentations:{tmp_path / 'mine.json'}", seed=1, columns=2)
    assert [caption for caption, _ in cells] == ["original", "draw 1"]


def test_pixels_become_squares_in_place(tmp_path):
    image = np.zeros((32, 32, 3), np.uint8)
    image[0, 0] = 255, 0, 0
    path, _ = sheet([("cat", [("original", image)])], tmp_path / "sheet", "A title")
    page = np.array(Image.open(path).convert("RGB"))
    assert (page == (255, 0, 0)).all(-1).sum() == 4 * 4
    assert (page == 0).all(-1).sum() == 128 * 128 - 16
