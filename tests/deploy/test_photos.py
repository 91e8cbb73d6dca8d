"""Models that take photos of any size: exported with the photos, opened anywhere, asked by the command."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from experiments.predict import main
from fewshot import backend
from fewshot.data import DataSpec, open_splits, prepare
from fewshot.learners.heads import HeadsLearner

pytestmark = pytest.mark.usefixtures("started", "tiny_backbone")


def learner():
    return HeadsLearner("tiny@48:weights=random", "whole+end", heads="ridge-gcv+lda")


def save_photos(root):
    """Wide and tall photos whose right, or lower, end tells the class."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(("dull", "bright")):
        (root / name).mkdir(parents=True)
        for i in range(6):
            pixels = rng.integers(0, 200, (60, 100 + 10 * i, 3))
            pixels[:, 40:] = pixels[:, 40:] // 3 + 130 * label
            pixels = pixels.swapaxes(0, 1) if i % 2 else pixels
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{i}.jpg", quality=90)
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_photos(tmp_path_factory.mktemp("data") / "photos")


@pytest.fixture(scope="module")
def prepared(folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEWSHOT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield prepare(DataSpec(str(folder), 48, views=True))


FORMATS = ["keras", "saved_model", "tflite"] if backend.name() == "tensorflow" else ["keras"]


@pytest.fixture(scope="module")
def model(prepared, tmp_path_factory, started, tiny_backbone):
    from fewshot.deploy.export import export

    path = tmp_path_factory.mktemp("model") / "model.keras"
    images = open_splits(prepared.folder).whole()
    export(learner(), images, 0, path, {}, FORMATS, prepared.photos())
    return path


def test_every_format_takes_photos_of_any_size_and_says_what_the_learner_says(model, prepared):
    card = json.loads(model.with_suffix(".json").read_text())
    assert (card["image_size"], card["view_size"]) == (None, 48)
    assert list(card["formats"]) == FORMATS
    for written in card["formats"].values():
        assert written["max_difference"] < 0.01, written
    assert keras.saving.load_model(model).input_shape == (None, None, None, 3)


def test_without_the_photos_nothing_is_exported(prepared, tmp_path):
    from fewshot.deploy.export import export

    images = open_splits(prepared.folder).whole()
    with pytest.raises(ValueError, match="12 images in all their views come with as many files: 0 here"):
        export(learner(), images, 0, tmp_path / "model.keras", {})


def test_the_command_sees_photos_as_training_did(model, prepared, capsys):
    images = open_splits(prepared.folder).whole()
    wanted = learner().fit(images, 0).predict(images.x)
    assert ((wanted.argmax(1) == images.y).mean()) == 1
    assert main([str(model), *map(str, prepared.photos()), "--format", "json", "--threads", "1"]) == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    found = np.array([list(answer["probabilities"].values()) for answer in answers])
    np.testing.assert_allclose(found, wanted, atol=0.01)


def test_python_sees_arrays_of_any_size(model, prepared):
    import fewshot as fs

    loaded = fs.load_model(model)
    assert "any size" in repr(loaded)
    photo = np.asarray(Image.open(prepared.photos()[0]))
    np.testing.assert_allclose(loaded.predict(photo), loaded.predict(prepared.photos()[0]), atol=1e-6)
    assert loaded.predict(np.stack([photo, photo])).shape == (2, 2)


@pytest.mark.parametrize(("threshold", "novel"), [(-1.0, True), (2.0, False)])
def test_photos_unlike_all_others_are_none_of_these(threshold, novel, model, prepared, tmp_path, capsys):
    """And the classes that an answer leaves open are named."""
    from fewshot.stats.conformal import PredictionSets

    (tmp_path / "model.keras").write_bytes(model.read_bytes())
    card = json.loads(model.with_suffix(".json").read_text())
    assert card["novelty"]["photos"] == 12
    card["novelty"]["threshold"] = threshold  # beyond which distance a photo is of no class
    card["sets"] = PredictionSets(0.9, 0.0).to_json()  # leaves no class out
    (tmp_path / "model.json").write_text(json.dumps(card))
    line = [str(tmp_path / "model.keras"), *map(str, prepared.photos()), "--threads", "1"]
    assert main([*line, "--format", "json"]) == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert {answer["none_of_these"] for answer in answers} == {novel}
    assert all(sorted(answer["set"]) == ["bright", "dull"] for answer in answers)
    assert main([*line, "--sort-into", str(tmp_path / "sorted"), "--threshold", "0"]) == 0
    table, rules = capsys.readouterr().out.split("\n\n")
    assert "(or …): with these, the right class is among those named for 90 of 100 photos" in rules
    for text in table.splitlines()[1:]:
        assert ("none of these" in text, "(or " in text) == (novel, not novel)
    assert (tmp_path / "sorted" / "unsure").exists() == novel


def test_the_most_similar_training_photos_are_named_and_shown_where_they_lie(model, prepared, tmp_path):
    from experiments import try_
    from fewshot.deploy.saved import load

    saved = load(model)
    files = prepared.photos()
    assert saved.card["references"]["files"] == list(map(str, files))
    ((_, look),) = saved.stream([files[3]])
    first, *others = saved.similar(look)
    assert round(first.cosine, 2) == 1
    assert first.label == first.file.parent.name == files[3].parent.name
    assert len(others) == 2
    told = try_.answer(saved, str(files[3]), 0.8)
    assert "Where it looks" in told
    assert told.index("The most similar training photos") < told.index(f"100 % alike: {first.file.name}")
    assert told.count("data:image/jpeg") == 1 + 3
    saved.card["references"]["files"][files.index(first.file)] = str(tmp_path / "moved.jpg")
    moved = try_.answer(saved, str(files[3]), 0.8)
    assert moved.count("data:image/jpeg") == 1 + 2
    assert "(no longer there)" in moved
    del saved.card["references"]  # of an older card
    assert "most similar" not in try_.answer(saved, str(files[3]), 0.8)


def test_the_rule_for_none_of_these_can_be_chosen(model, prepared, tmp_path, capsys):
    (tmp_path / "model.keras").write_bytes(model.read_bytes())
    card = json.loads(model.with_suffix(".json").read_text())
    card["novelty"] |= {"threshold": 2.0, "thresholds": {"0.2": -1.0}}
    (tmp_path / "model.json").write_text(json.dumps(card))
    line = [str(tmp_path / "model.keras"), str(prepared.photos()[0]), "--threads", "1", "--format", "csv"]
    decided = {
        "0": "not asked (--unknown 0)",
        "20": "than 80 of 100 photos of the known classes are (--unknow",
    }
    for rule, told in (("0", ",no,"), ("20", ",yes,")):
        assert main([*line[:-2], "--unknown", rule]) == 0
        assert decided[rule] in capsys.readouterr().out
        assert main([*line, "--unknown", rule, "--threshold", "0"]) == 0
        assert f",no{told}" in capsys.readouterr().out.splitlines()[1]
    assert main([*line, "--unknown", "1"]) == 2
    assert "--unknown 1: its card has the rules 0, 20" in capsys.readouterr().err
