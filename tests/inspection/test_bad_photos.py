"""Photos that are hardly usable, outliers and shortcuts, each among usual ones."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from fewshot.inspection.measurements import measure_files, measure_images
from fewshot.inspection.outliers import outliers
from fewshot.inspection.quality import faults
from fewshot.inspection.shortcuts import shortcuts
from fewshot.inspection.unusual import unusual


def scene(seed, width=120, height=90):
    """A photo of boxes, sharp."""
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), rng.integers(60, 190, 3), np.float64)
    for _ in range(30):
        top, left = rng.integers(0, height - 15), rng.integers(0, width - 15)
        pixels[top : top + rng.integers(4, 15), left : left + rng.integers(4, 15)] = rng.integers(0, 256, 3)
    return Image.fromarray(pixels.astype(np.uint8))


BAD = {
    "flat": lambda: Image.new("RGB", (120, 90)),
    "dark": lambda: scene(1).point(lambda value: value // 5),
    "bright": lambda: scene(2).point(lambda value: 204 + value // 5),
    "blurred": lambda: scene(3).filter(ImageFilter.GaussianBlur(5)),
    "tiny": lambda: scene(4).resize((24, 18)),
    "oddly shaped": lambda: scene(5, 400, 60),
}


@pytest.fixture
def folder(tmp_path):
    for seed in range(30):
        scene(100 + seed).save(tmp_path / f"usual {seed:02}.png")
    return tmp_path


@pytest.mark.parametrize("kind", BAD)
def test_each_fault_is_found_and_nothing_else(folder, kind):
    BAD[kind]().save(folder / "bad.png")
    files = sorted(folder.iterdir())
    found = faults(measure_files(files))
    assert [(files[fault.position].name, fault.kind) for fault in found] == [("bad.png", kind)]
    assert 0.5 <= found[0].sure <= 1
    assert found[0].why


def test_usual_photos_have_no_fault(folder):
    assert faults(measure_files(sorted(folder.iterdir()))) == ()


def test_where_all_are_dark_dark_is_how_they_are(tmp_path):
    for seed in range(20):
        scene(seed).point(lambda value: value // 5).save(tmp_path / f"{seed:02}.png")
    assert faults(measure_files(sorted(tmp_path.iterdir()))) == ()


def test_all_black_is_flat_however_many(tmp_path):
    found = faults(measure_images(np.zeros((4, 16, 16, 3), np.uint8)))
    assert [(fault.position, fault.kind, fault.why) for fault in found] == [
        (i, "flat", "all black") for i in range(4)
    ]


def test_files_that_cannot_be_read_and_photos_that_lie(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    exif = Image.Exif()
    exif[0x112] = 6
    scene(0).save(tmp_path / "b.jpg", exif=exif)
    broken, lying = measure_files(sorted(tmp_path.iterdir()))
    assert broken is None
    assert (lying.width, lying.height) == (90, 120)
    assert lying.bytes == (tmp_path / "b.jpg").stat().st_size


def test_outliers_are_far_from_all_classes():
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (90, 20)) + 6 * np.eye(20)[np.arange(90) % 3]
    features[[7, 50]] = rng.normal(0, 1, 20) - 12 * np.eye(20)[10:12]
    found = outliers(features)
    assert {position for position, _ in found} == {7, 50}
    assert all(0.5 <= sure <= 1 for _, sure in found)


def test_an_outlier_that_stands_twice_is_one():
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (60, 20)) + 6 * np.eye(20)[np.arange(60) % 2]
    features[:6] = rng.normal(0, 0.01, (6, 20)) - 12 * np.eye(20)[10]
    assert not {position for position, _ in outliers(features)} & set(range(6))
    groups = np.arange(60)
    groups[:6] = 0
    assert {position for position, _ in outliers(features, groups)[:6]} == set(range(6))


@pytest.mark.parametrize("features", [np.ones((30, 5)), np.zeros((30, 5)), np.ones((3, 5))])
def test_equal_features_have_no_outliers(features):
    assert outliers(features) == ()
    assert outliers(features, np.zeros(len(features), int)) == ()


def test_unusual():
    values = np.array([*np.linspace(-1, 1, 40), 9.0])
    assert unusual(values, 0.1)[-1] == 0.99
    assert unusual(values, 0.1)[:-1].max() < 0.5
    assert unusual(values, 0.1, high=False).max() < 0.5
    assert unusual(np.ones(5), 0.1).max() == 0
    assert len(unusual(np.zeros(0), 0.1)) == 0


@pytest.fixture
def labelled():
    """Sixty measured scenes, and labels that have nothing to do with them."""
    images = np.stack([np.asarray(scene(seed)) for seed in range(60)])
    return images, np.arange(60) % 2


def test_no_shortcut_where_there_is_none(labelled):
    images, y = labelled
    found = shortcuts(measure_images(images), y, model=90.0)
    assert {one.cue for one in found} == {"mean colour", "the pixels of the border"}
    assert not any(one.warning for one in found)
    assert all(one.chance == 50 and 20 < one.accuracy < 80 for one in found)


def test_a_class_on_another_background(labelled):
    images, y = labelled
    images = images.copy()
    images[y == 1, :, :8] = (200, 180, 90)
    warned = {one.cue for one in shortcuts(measure_images(images), y, model=95.0) if one.warning}
    assert warned == {"the pixels of the border"}


def test_a_class_of_larger_files(tmp_path):
    y = np.arange(40) % 2
    for seed in range(40):
        scene(seed).save(tmp_path / f"{seed:02}.jpg", quality=95 if y[seed] else 40)
    found = shortcuts(measure_files(sorted(tmp_path.iterdir())), y, model=80.0)
    assert found[0].cue == "the size of the file"
    assert found[0].warning
    assert found[0].accuracy > 95
    assert "width and height" not in {one.cue for one in found}  # all of one size


def test_a_model_that_knows_far_more_needs_no_warning(labelled):
    """What tells classes a little, as colours of animals do, is no shortcut."""
    images, y = labelled
    images = images.copy()
    images[y == 1] = (images[y == 1] * 0.85).astype(np.uint8)
    assert not any(one.warning for one in shortcuts(measure_images(images), y, model=99.0))


def test_too_few_photos_for_shortcuts(labelled):
    images, y = labelled
    assert shortcuts(measure_images(images[:12]), y[:12]) == ()
    assert shortcuts([], y[:0]) == ()
