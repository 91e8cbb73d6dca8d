"""Exploring a dataset: exact numbers, pictures that repeat, what cannot be."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import one_line
from PIL import Image

from experiments import explore
from fewshot.data import Dataset
from fewshot.data import exploration as numbers
from fewshot.errors import UsageError
from fewshot.io.files import is_output
from fewshot.report.plots import exploration as pictures


@pytest.fixture
def noise():
    """1100 random images of three classes, one of which has none: more than a block."""
    prng = np.random.default_rng(0)
    y = prng.integers(0, 2, 1100) * 2
    return Dataset(prng.integers(0, 256, (1100, 4, 5, 3), np.uint8), y, ("a", "empty", "c"))


@pytest.fixture
def photos(tmp_path):
    """A folder of photos with a test part, unequal classes, and one photo saved twice, in both parts."""
    prng = np.random.default_rng(0)
    smooth = [Image.fromarray(prng.integers(0, 256, (4, 4, 3), np.uint8)).resize((40, 40)) for _ in range(13)]
    places = [("train", "cats")] * 5 + [("train", "dogs")] * 3 + [("test", "cats"), ("test", "dogs")] * 2
    for number, (part, name) in enumerate(places):
        folder = tmp_path / "photos" / part / name
        folder.mkdir(parents=True, exist_ok=True)
        smooth[number].save(folder / f"{number}.png")
    smooth[0].save(tmp_path / "photos" / "test" / "cats" / "again.jpg", quality=60)
    return tmp_path / "photos"


@pytest.fixture
def run(tmp_path, capsys):
    """Run the command in this process; return its exit code, its JSON document and what it said."""

    def run(*args, out=tmp_path / "results"):
        code = explore.main([*map(str, args), "--out", str(out), "--json"])
        printed = capsys.readouterr()
        return code, json.loads(printed.out) if printed.out else None, printed.err

    return run


def test_moments_are_those_of_the_pixels(noise):
    histogram = numbers.histograms(noise)
    assert histogram.sum() == noise.x.size
    mean, std = numbers.moments(histogram)
    own = noise.x[noise.y == 2].reshape(-1, 3) / 255
    assert mean[2] == pytest.approx(own.mean(0), abs=1e-12)
    assert std[2] == pytest.approx(own.std(0), abs=1e-12)
    assert np.isnan(mean[1]).all()


def test_mean_images(noise):
    mean, std = numbers.mean_images(noise)
    own = noise.x[noise.y == 0].astype(float)
    assert mean[0] == pytest.approx(own.mean(0))
    assert std[0] == pytest.approx(own.std(0))
    assert not mean[1].any()


def test_a_sample_is_random_ordered_and_repeats():
    labels = np.arange(100)
    first = numbers.sample(labels, 10, 0, "views")
    assert len(set(first)) == 10
    assert (np.diff(first) > 0).all()
    assert np.array_equal(first, numbers.sample(labels, 10, 0, "views"))
    assert not np.array_equal(first, numbers.sample(labels, 10, 1, "views"))
    assert np.array_equal(numbers.sample(labels, 1000, 0, "views"), labels)


def test_views_part_what_is_apart_and_repeat():
    prng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 20)
    rows = prng.normal(size=(40, 30)) + 20 * labels[:, None]
    found = numbers.views(rows, labels, seed=0)
    assert list(found) == ["pca", "t-sne"]
    for view in found.values():
        assert view.points.shape == (40, 2)
        assert view.agree == 100
    centred = rows - rows.mean(0)
    variance = np.linalg.svd(centred, compute_uv=False) ** 2
    assert found["pca"].explained == pytest.approx(variance[:2] / variance.sum(), rel=1e-3)
    again = numbers.views(rows, labels, seed=0)
    assert all(np.array_equal(found[name].points, again[name].points) for name in found)


def test_agreement_by_hand():
    points = np.array([[0.0, 0], [0, 1], [0, 3], [9, 9], [9, 9]])
    assert numbers._agree(points, np.array([0, 0, 1, 1, 1])) == pytest.approx(80)


def test_views_of_few_rows_and_of_no_numbers():
    with pytest.raises(UsageError, match="5 images or more"):
        numbers.views(np.zeros((4, 3)), np.zeros(4, int), 0)
    rows = np.random.default_rng(0).normal(size=(6, 3))
    rows[2, 1] = np.nan
    with pytest.raises(UsageError, match="NaN"):
        numbers.views(rows, np.zeros(6, int), 0)


def test_everything_of_a_folder(run, photos, tmp_path):
    code, document, _ = run("--data", photos, "--image-size", 32)
    assert code == 0
    assert document["counts"] == {"train": {"cats": 5, "dogs": 3}, "test": {"cats": 3, "dogs": 2}}
    assert {name: len(index) for name, index in document["grid"].items()} == {"cats": 5, "dogs": 3}
    assert len(document["pixels"]["mean"]) == 3
    assert np.shape(document["means"]["distances"]) == (2, 2)
    assert np.shape(document["views"]["spaces"]["pixels"]["t-sne"]["points"]) == (8, 2)
    found = document["duplicates"]
    assert (found["pairs"], found["images"], found["of_two_parts"], found["of_two_classes"]) == (1, 2, 1, 0)
    ((first, second),) = found["listed"]
    assert {first[0], second[0]} == {"train", "test"}
    assert len(document["figures"]) == 12
    assert all(Path(path).stat().st_size > 1000 for path in document["figures"])
    assert json.loads((tmp_path / "results/explore/photos/explore.json").read_text()) == document
    assert is_output(tmp_path / "results")


def test_the_same_seed_gives_the_same_bytes(run, tmp_path):
    options = ("--data", "digits", "--show", "grid", "views", "--limit", 40)
    _, first, _ = run(*options, out=tmp_path / "a")
    _, second, _ = run(*options, out=tmp_path / "b")
    for a, b in zip(first.pop("figures"), second.pop("figures"), strict=True):
        assert Path(a).read_bytes() == Path(b).read_bytes()
    assert first == second
    _, other, _ = run(*options, "--seed", 1)
    assert other["grid"] != first["grid"]
    assert other["views"]["index"] != first["views"]["index"]


def test_views_of_features(run):
    options = ("--data", "digits", "--show", "views", "--limit", 12, "--threads", 1, "--device", "cpu")
    code, document, _ = run(*options, "--features", "squeezenet@48:weights=random")
    assert code == 0
    assert list(document["views"]["spaces"]) == ["pixels", "squeezenet@48:weights=random"]


def test_many_classes_and_long_names_fit(tmp_path):
    names = tuple(f"a rather long name of class {number}" for number in range(30))
    by_class = dict.fromkeys(names, 7)
    paths = pictures.counts({"train": by_class, "val": by_class, "test": by_class}, tmp_path / "counts", "t")
    points = np.random.default_rng(0).normal(size=(60, 2))
    labels = np.arange(60) % 30
    paths += pictures.views({"pixels": {"PCA": (points, "")}}, labels, names, tmp_path / "views", "t")
    assert all(path.exists() for path in paths)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--show", "gird"], "did you mean 'grid'"),
        (["--features", "resnet05"], "did you mean 'resnet"),
        (["--part", "test"], "unknown part 'test'"),
        (["--data", "digit"], "did you mean 'digits'"),
        (["--limit", "3", "--show", "views"], "5 images or more"),
    ],
)
def test_what_cannot_be_is_one_line(run, args, message):
    code, document, said = run("--data", "digits", *args)
    assert (code, document) == (2, None)
    assert message in one_line(said)
