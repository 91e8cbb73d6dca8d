"""`experiments.next`: which photos a saved model wants to know, and what cannot be."""

import json

import numpy as np
import pytest
from helpers import one_line
from PIL import Image

from experiments.next import main
from fewshot.data import Dataset
from fewshot.learners.estimator import EstimatorLearner

pytestmark = pytest.mark.usefixtures("started")


@pytest.fixture(scope="module")
def model(tmp_path_factory, started):
    """A model that tells dark images from light ones."""
    from fewshot.deploy.export import export

    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = np.where(y, 235, 20)[:, None, None, None] + rng.integers(-15, 15, (40, 24, 24, 3))
    path = tmp_path_factory.mktemp("models") / "model.keras"
    export(EstimatorLearner("logistic"), Dataset(x.astype(np.uint8), y, ("dark", "light")), 0, path, {})
    return path


@pytest.fixture
def photos(tmp_path):
    """Twelve dark and light photos, and three in between, in folders; one file that is no image."""
    folder = tmp_path / "photos"
    (folder / "März").mkdir(parents=True)
    for i in range(12):
        Image.new("RGB", (40, 30), (15 + 210 * (i % 2),) * 3).save(folder / f"plain {i:02}.png")
    for i, level in enumerate((122, 127, 132)):
        Image.new("RGB", (30, 40), (level,) * 3).save(folder / "März" / f"grey {i}.png")
    (folder / "broken.jpg").write_text("no image")
    return folder


@pytest.fixture
def label_next(model, capsys):
    """Run the command in this process; return its exit code, standard output and standard error."""

    def run(*args, model=model):
        code = main([str(model), *map(str, args), "--threads", "1", "--device", "cpu"])
        return code, *capsys.readouterr()

    return run


def test_the_unsure_ones_come_first(label_next, photos):
    code, out, err = label_next(photos, "--n", 3)
    heads, *rows = out.splitlines()
    assert code == 0
    assert heads.split() == ["answer", "probability", "why", "file"]
    assert {row.split("  ")[-1].strip() for row in rows} == {f"März/grey {i}.png" for i in range(3)}
    assert all("dark or light?" in row or "light or dark?" in row for row in rows)
    assert "skipped" in err
    assert "broken.jpg" in err


def test_one_document(label_next, photos, tmp_path):
    code, out, _ = label_next(photos, "--n", 4, "--json", "--sheet", tmp_path / "sheets" / "next.png")
    document = json.loads(out)
    assert code == 0
    assert document["photos"] == 15
    assert len(document["next"]) == 4
    assert set(document["next"][0]) == {"file", "answer", "probability", "why"}
    assert all((photos / row["file"]).is_file() for row in document["next"])
    assert Image.open(tmp_path / "sheets" / "next.png").size[0] > 400
    assert (tmp_path / "sheets" / "next.svg").exists()


def test_fewer_photos_than_asked_for(label_next, photos):
    code, out, err = label_next(photos, "--n", 50)
    assert code == 0
    assert len(out.splitlines()) == 16
    assert "there are 15 photos: all are listed" in err


def test_the_same_seed_the_same_photos(label_next, photos):
    assert label_next(photos, "--n", 5)[1] == label_next(photos, "--n", 5, "--seed", 0)[1]


def test_nothing_to_choose_from(label_next, photos, tmp_path):
    (tmp_path / "empty").mkdir()
    for path in photos.rglob("*.png"):
        path.unlink()
    for directory, message in (
        (tmp_path / "empty", "no images in"),
        (tmp_path / "none", "no such directory"),
        (photos, "none of the 1 images"),
    ):
        code, out, err = label_next(directory)
        assert code
        assert not out
        assert message in err.splitlines()[-1]


@pytest.mark.parametrize("args", [("--n", 0), ("--n", "many"), ("--n", -1), ("--sheet", "next.jpg")])
def test_wrong_usage(label_next, photos, args, capsys):
    try:
        code, out, err = label_next(photos, *args)
    except SystemExit as end:
        code, (out, err) = end.code, capsys.readouterr()
    assert code == 2
    assert not out
    assert len(err.strip().splitlines()) <= 3


def test_no_model(label_next, photos, tmp_path):
    code, _, err = label_next(photos, model=tmp_path / "none.keras")
    assert code == 2
    assert "no such model" in one_line(err)


def test_the_help_fits_a_screen(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
