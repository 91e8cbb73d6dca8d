"""`fs.export` and `fs.load_model`: a trained method as a file, and its answers."""

import numpy as np
import pytest
from helpers import photos
from PIL import Image

import fewshot as fs
from fewshot.errors import FewshotError, UsageError
from fewshot.models import cost

pytestmark = pytest.mark.usefixtures("started")  # all tests of a process compute with as many threads


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return photos(tmp_path_factory.mktemp("data") / "photos", 6, side=32)


@pytest.fixture(scope="module")
def model(folder, tmp_path_factory):
    """Ridge regression on the pixels of a few photos."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "CALLS", 1)
        patch.setattr(cost, "SECONDS", 0)
        return fs.export("logistic", folder, tmp_path_factory.mktemp("model") / "mine.keras")


def test_the_card(model):
    assert model.classes == ("cat", "dog")
    assert model.card["method"] == "logistic"
    assert model.card["images"] == [6, 6]
    assert "input: 32×32 pixels" in repr(model)
    assert "<th>trained on</th><td>12 images</td>" in model._repr_html_()


def test_predictions_of_files_and_arrays_are_the_same(model, folder):
    files = sorted(folder.rglob("*.png"))
    images = np.stack([np.asarray(Image.open(file)) for file in files])
    of_files = model.predict(files)
    assert of_files.shape == (12, 2)
    assert np.allclose(of_files.sum(1), 1, atol=1e-5)
    assert np.array_equal(of_files, model.predict(images))
    assert np.array_equal(of_files, model.predict(folder))
    assert np.array_equal(model.predict(images[0]), model.predict(str(files[0])))
    assert np.allclose(of_files[:1], model.predict(images[0]))
    answers = [model.classes[best] for best in of_files.argmax(1)]
    assert answers == [file.parent.name for file in files]  # it has seen them


def test_images_of_another_size_are_fitted(model):
    assert model.predict(np.zeros((2, 50, 70, 3), np.uint8)).shape == (2, 2)


def test_a_model_is_loaded_again(model):
    loaded = fs.load_model(model.path)
    assert loaded.card == model.card
    image = np.full((32, 32, 3), 7, np.uint8)
    assert np.array_equal(loaded.predict(image), model.predict(image))


def test_of_fixed_classes_their_images_are_taken(tmp_path):
    data = fs.load("digits", classes=("3", "8"))
    assert fs.export("baseline", data, tmp_path / "m.keras", epochs=1).classes == ("3", "8")


def test_results_calibrate_a_model_and_say_what_to_expect(folder, tmp_path):
    results = fs.run("logistic", folder, 3, jobs=1, out=tmp_path, progress=False)
    model = fs.export("logistic", folder, tmp_path / "m.keras", results=results)
    assert model.card["expected"]["mean"] == results.summary()[0].mean
    assert model.card["temperature"] != 1
    assert "expected accuracy" in repr(model)


def test_results_of_other_tasks_are_refused(folder, tmp_path):
    results = fs.run("logistic", "digits", 1, shots=5, jobs=1, out=tmp_path, progress=False)
    with pytest.raises(UsageError, match="tasks with 2 classes, the model has 10"):
        fs.export("logistic", "digits", tmp_path / "m.keras", results=results)
    with pytest.raises(UsageError, match="unknown method of the results 'ridge'"):
        fs.export("ridge", folder, tmp_path / "m.keras", results=results)
    other = photos(tmp_path / "other", 7, side=32)
    of_others = fs.run("logistic", other, 1, shots=3, jobs=1, out=tmp_path, progress=False)
    with pytest.raises(UsageError, match="other images than those that the model is trained on"):
        fs.export("logistic", folder, tmp_path / "m.keras", results=of_others)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 32, 32, 3)), "images are uint8"),
        (np.zeros((32, 32), np.uint8), r"Received: uint8 \(32, 32\)"),
        ("nowhere.png", "no such image: nowhere.png"),
        ([], "no images in"),
        (7, "images are an array, a file, a folder"),
    ],
)
def test_what_are_no_images(model, images, message):
    with pytest.raises(UsageError, match=message):
        model.predict(images)


def test_a_file_that_is_no_image(model, tmp_path):
    (tmp_path / "torn.png").write_bytes(b"no image")
    with pytest.raises(FewshotError, match=r"cannot read .*torn.png"):
        model.predict(tmp_path / "torn.png")


def test_what_cannot_be_exported(folder, tmp_path):
    with pytest.raises(UsageError, match="a model is saved as"):
        fs.export("ridge", folder, tmp_path / "model.h5")
    with pytest.raises(UsageError, match="one method is exported at a time"):
        fs.export(["ridge", "logistic"], folder, tmp_path / "m.keras")
    with pytest.raises(UsageError, match="cannot be exported"):
        fs.export("knn", folder, tmp_path / "m.keras")
    with pytest.raises(UsageError, match="no such model"):
        fs.load_model(tmp_path / "none.keras")


def test_a_model_is_trained_for_the_prior_that_its_images_were_loaded_with(folder, tmp_path, monkeypatch):
    """Images that were loaded as natural once were taken as alike."""
    priors = []
    monkeypatch.setattr(
        "fewshot.deploy.export.export", lambda learner, images, *_: priors.append(images.prior)
    )
    monkeypatch.setattr("fewshot.api.model.load_model", lambda path: None)
    natural = fs.load(folder, prior="natural")
    fs.export("logistic", natural, tmp_path / "m.keras")
    fs.export("logistic", natural, tmp_path / "m.keras", prior="alike")
    fs.export("logistic", folder, tmp_path / "m.keras")
    assert priors == ["natural", "alike", "alike"]
