"""Where a model looks: maps that add up to logits, back on the photo, and pictures that overwrite nothing."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from experiments.predict import main
from fewshot.backbones.features import network, parse
from fewshot.baselines.scales import Scale
from fewshot.data import Dataset
from fewshot.deploy import graph
from fewshot.deploy.explain import Evidence, Explainer, explain
from fewshot.deploy.export import export
from fewshot.deploy.overlays import AGAINST, FOR, overlay, side_by_side
from fewshot.deploy.saved import load
from fewshot.errors import UsageError
from fewshot.io import fonts
from fewshot.learners.estimator import EstimatorLearner
from fewshot.learners.heads_graph import keras_model
from fewshot.learners.inputs import averaged_model
from fewshot.learners.keras_network import KerasLearner
from fewshot.learners.members import Member
from fewshot.models.layers import Temperature
from fewshot.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("started", "tiny_backbone")

TINY = "tiny@48:weights=random"
WIDTH, CLASSES = 24, 3  # features of the tiny backbone


def scale(kind, rng):
    mean = None if kind == "l2" else rng.normal(0, 0.2, WIDTH)
    if kind == "affine":
        return Scale("affine", mean, rng.uniform(0.5, 2, WIDTH))
    return Scale("l2", mean)


def member(kind="affine", views=("whole",), beside=False, mirror=True, seed=0):
    """A head of random weights."""
    rng = np.random.default_rng(seed)
    blocks = len(views) if beside else 1
    scales = tuple(scale(kind, rng) for _ in range(blocks))
    kernel, bias = rng.normal(size=(WIDTH * blocks, CLASSES)), rng.normal(size=CLASSES)
    return Member((TINY,), views, beside, mirror, kind, "lda", scales, kernel, bias)


def saved_as(model, tmp_path, temperature=2.0):
    """The model as it comes out of its file, calibrated."""
    calibrated = keras.Model(model.input, Temperature(temperature, name="temperature")(model.output))
    graph.standard(calibrated).save(tmp_path / "model.keras")
    return keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)


def photo(height=60, width=90):
    return np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)


def spots(height, width, top, left, side=12):
    """A grey photo with a bright square."""
    pixels = np.full((height, width, 3), 60, np.uint8)
    pixels[top : top + side, left : left + side] = 250
    return pixels


def maps_of(pixels):
    """The tiny backbone's maps before its pooling, (N, height, width, channels)."""
    (term,) = parse(TINY)
    body = network(term, (48, 48, 3))
    (pooling,) = [layer for layer in body.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D)]
    return np.asarray(keras.Model(body.input, pooling.input)(pixels.astype(np.float32))).astype(float)


@pytest.mark.parametrize("kind", ["affine", "l2", "centred-l2"])
def test_heads_on_pooled_features_are_applied_before_the_pooling(kind, tmp_path):
    """Exactly: only the lengths of rows are those of the pooled ones."""
    head = member(kind)
    explainer = Explainer(saved_as(keras_model([head], 48), tmp_path))
    pixels = photo(48, 48)  # as large as the view: no pixel is rounded otherwise than by Pillow
    score, (found,) = explainer.contributions(pixels.astype(np.float32)[None], 1)
    maps = maps_of(np.stack([pixels, pixels[:, ::-1]]))
    pooled = maps.mean((1, 2))
    (fitted,) = head.scales
    kernel = head.kernel / (1 if fitted.deviation is None else fitted.deviation[:, None])
    contrast = kernel[:, 1] - kernel.mean(1)
    mean = 0 if fitted.mean is None else fitted.mean
    length = 1 if kind == "affine" else np.linalg.norm(pooled - mean, axis=1)[:, None, None]
    positions = maps.shape[1] * maps.shape[2]
    np.testing.assert_allclose(found, maps @ contrast / length / positions / 2, rtol=1e-3, atol=1e-5)
    logits = (fitted(pooled) @ head.kernel + head.bias).mean(0)
    assert score == pytest.approx(logits[1] - logits.mean(), abs=0.01)
    assert explainer(pixels, 1).values.sum() == pytest.approx(score, abs=1e-3)


def test_members_and_views_side_by_side_or_averaged_add_up_on_the_photo(tmp_path):
    members = [
        member("affine", ("whole", "centre", "end"), seed=1),
        member("centred-l2", ("start", "centre"), beside=True, seed=2),
    ]
    explainer = Explainer(saved_as(keras_model(members, 48), tmp_path))
    for pixels in (photo(), photo(130, 61)):
        found = explainer(pixels, 2)
        assert found.values.shape == pixels.shape[:2]
        assert found.values.sum() == pytest.approx(found.score, abs=2e-3)


@pytest.mark.parametrize("name", ["whole", "padded", "centre", "start", "end"])
@pytest.mark.parametrize("mirror", [False, True])
def test_views_are_mapped_back_onto_the_photo(name, mirror, tmp_path):
    """Two photos that differ in a square have other evidence there, whatever part of them is looked at."""
    explainer = Explainer(saved_as(keras_model([member(views=(name,), mirror=mirror)], 48), tmp_path))
    top, left = 30, {"start": 12, "end": 100}.get(name, 70)
    found = explainer(spots(60, 150, top, left), 0).values
    weights = np.abs(found - explainer(spots(60, 150, 0, 0, 0), 0).values)
    weights[weights < 0.3 * weights.max()] = 0  # each view's share of the score is everywhere
    rows, columns = np.indices(weights.shape)
    assert np.average(rows, weights=weights) == pytest.approx(top + 6, abs=7)
    assert np.average(columns, weights=weights) == pytest.approx(left + 6, abs=12)
    if name in ("start", "centre", "end"):  # 60 of 150 columns are seen
        assert (np.abs(found).max(0) > 0).sum() == pytest.approx(60, abs=2)


def test_two_backbones_whose_layers_have_the_same_names(tmp_path):
    rng = np.random.default_rng(0)
    both = (TINY, "tiny@40:weights=random")
    scales = (Scale("affine"), Scale("l2"))
    head = Member(both, ("whole",), False, True, "none", "lda", scales, rng.normal(size=(48, 3)), np.zeros(3))
    explainer = Explainer(saved_as(keras_model([head], 48), tmp_path))
    score, maps = explainer.contributions(photo().astype(np.float32)[None], 0)
    assert len(maps) == 2
    assert sum(part.sum() for part in maps) == pytest.approx(score, abs=1e-3)  # there is no bias


@pytest.mark.parametrize("name", ["baseline", "keras-cnn", "compact:se=yes,width=4"])
@pytest.mark.parametrize("flip", [False, True])
def test_networks_by_their_last_convolution(name, flip, tmp_path):
    """A network whose last layer is linear in its maps adds up to its logits, too."""
    from fewshot.models import build

    keras.utils.set_random_seed(0)
    parts = [build(name, (32, 32, 3), CLASSES) for _ in range(2)]
    model = saved_as(averaged_model(parts, (32, 32, 3), "pixels", flip), tmp_path)
    pixels = spots(32, 32, 10, 4)
    explainer = Explainer(model)
    score, maps = explainer.contributions(pixels.astype(np.float32)[None], 1)
    assert len(maps) == 2 * (1 + flip)
    assert min(part.shape[1] for part in maps) > 1
    images = np.stack([pixels, pixels[:, ::-1]][: 1 + flip]).astype(np.float32)
    logits = np.mean([np.asarray(part(images)) for part in parts], (0, 1))
    assert score == pytest.approx(logits[1] - logits.mean(), abs=1e-4)
    if name != "keras-cnn":  # it has a hidden layer behind its maps
        bias = np.mean([part.layers[-1].bias.numpy() for part in parts], 0)
        assert sum(part.sum() for part in maps) == pytest.approx(score - bias[1] + bias.mean(), abs=1e-4)
    found = explainer(pixels, 1)
    assert found.values.shape == (32, 32)
    assert found.values.sum() == pytest.approx(score, abs=1e-4)


def test_what_speaks_for_an_answer_is_orange_and_what_speaks_against_it_blue():
    values = np.zeros((10, 20), np.float32)
    values[:, :5], values[:, 15:] = 1, -1
    picture = np.asarray(overlay(Image.new("RGB", (40, 20), (128, 128, 128)), Evidence(0, 0.0, values)))
    assert picture.shape == (20, 40, 3)
    for column, colour in ((2, FOR), (38, AGAINST)):
        assert np.abs(picture[10, column] - np.array(colour)).max() < 45
    assert set(picture[10, 20]) == {128}


@pytest.fixture(scope="module")
def network_file(tmp_path_factory, started):
    """A network of one epoch."""
    rng = np.random.default_rng(0)
    y = np.arange(20) % 2
    x = (60 + 100 * y[:, None, None, None] + rng.integers(0, 40, (20, 32, 32, 3))).astype(np.uint8)
    path = tmp_path_factory.mktemp("models") / "model.keras"
    export(KerasLearner("baseline", Recipe(epochs=1)), Dataset(x, y, ("dark", "light")), 0, path, {})
    return path


def test_the_command_writes_a_picture_a_photo_and_overwrites_none(network_file, tmp_path, capsys):
    files = [tmp_path / "photos" / folder / name for folder in "ab" for name in ("1.jpg", "é: x.png")]
    for i, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(50 + i, 80)).save(file)
    folder = tmp_path / "where" / "here"
    line = [str(network_file), str(tmp_path / "photos"), "--explain", str(folder), "--threads", "1"]
    assert main([*line, "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert "4 pictures in " in err
    pictures = {entry["file"]: entry["picture"] for entry in json.loads(out)["answers"]}
    names = ["1.png", "é- x.png", "1-2.png", "é- x-2.png"]
    assert pictures == {str(file): str(folder / name) for file, name in zip(files, names, strict=True)}
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert main(line) == 0
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(list(folder.glob("*.png"))) == 8
    with Image.open(folder / "1.png") as picture:
        assert picture.width > 2 * 384


def test_python_asks_for_the_maps_of_photos(network_file):
    saved = load(network_file)
    photos = [photo(32, 32), spots(32, 32, 3, 3)]
    found = explain(saved, photos)
    assert [part.label for part in found] == saved.predict(np.stack(photos)).argmax(1).tolist()
    assert {part.values.shape for part in found} == {(32, 32)}


def test_a_model_without_convolutions_is_one_line(tmp_path, capsys):
    x = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3)).astype(np.uint8)
    path = tmp_path / "model.keras"
    export(EstimatorLearner("logistic"), Dataset(x, np.arange(20) % 2, ("a", "b")), 0, path, {})
    Image.fromarray(x[0]).save(tmp_path / "photo.png")
    line = [str(path), str(tmp_path / "photo.png"), "--explain", str(tmp_path / "where"), "--threads", "1"]
    assert main(line) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "no feature maps of convolutions" in err
    assert not (tmp_path / "where").exists()
    with pytest.raises(UsageError, match="no feature maps"):
        explain(load(path), [x[0]])


def test_a_folder_that_is_a_file_is_one_line(network_file, tmp_path, capsys):
    Image.fromarray(photo()).save(tmp_path / "photo.png")
    taken = str(tmp_path / "photo.png")
    assert main([str(network_file), taken, "--explain", taken, "--threads", "1"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.filterwarnings("error")
def test_a_caption_in_any_language_is_drawn():
    """In words where no font has its letters: the picture is that of the words."""
    photo, evidence = Image.new("RGB", (40, 30)), Evidence(0, 1.0, np.ones((4, 4), np.float32))
    pictures = [np.asarray(side_by_side(photo, evidence, text)) for text in ("ねこ 99 %", "neko 99 %", "犬")]
    assert (pictures[0] == pictures[1]).all() or fonts.families_for("ねこ")
    assert (pictures[0] != pictures[2]).any()
