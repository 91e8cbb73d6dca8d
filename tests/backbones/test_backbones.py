"""Backbones: features from raw pixels at any size; a user's own weights; the ports against the world."""

import io
import pickle
import re
import zipfile

import keras
import numpy as np
import pytest

from fewshot.backbones import backbones, load
from fewshot.backbones.layers import Pixels
from fewshot.backbones.port import fill
from fewshot.backbones.resnet import newer_name
from fewshot.backbones.weights import locate
from fewshot.errors import FewshotError, UsageError
from fewshot.io import fetch

pytestmark = pytest.mark.usefixtures("started")
FEATURES = {
    "mobilenetv2": 1280,
    "efficientnet-lite0": 1280,
    "efficientnet-lite1": 1280,
    "efficientnet-lite2": 1280,
    "resnet50": 2048,
    "resnet18": 512,
    "squeezenet": 512,
    "alexnet": 9216,
    "vgg16": 25088,
    "inception-fid": 2048,
}


def pixels(n=2, side=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def resnet18(started):
    """A random ResNet-18 for small images, with its classifier."""
    return load("resnet18", "random", (32, 32, 3), size=32, top=True)


def state(model):
    """Return a model's weights as torchvision would name and lay them out, with statistics to tell apart."""
    rng = np.random.default_rng(0)
    torch_names = {"kernel": "weight", "gamma": "weight", "beta": "bias", "bias": "bias"}
    torch_names |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
    arrays = {}
    for layer in model.layers:
        for variable in layer.weights:
            value = rng.uniform(0.5, 1.5, variable.shape).astype(np.float32)
            if variable.name == "kernel":
                value = (value - 1) * np.float32(2 / np.sqrt(np.prod(value.shape[:-1])))
                value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
            arrays[f"{layer.name}.{torch_names[variable.name]}"] = value
    return arrays


def test_all_have_been_registered():
    assert set(backbones) == set(FEATURES)


@pytest.mark.parametrize("name", ["mobilenetv2", "efficientnet-lite0", "resnet18", "squeezenet"])
def test_features_of_small_images(name):
    size = backbones[name].traits["least_size"]
    model = load(name, "random", (32, 32, 3), size=size)
    features = model(pixels())
    assert features.shape == (2, FEATURES[name])
    assert np.isfinite(features).all()
    assert np.abs(features[0] - features[1]).max() > 1e-6


@pytest.mark.parametrize("name", ["alexnet", "vgg16"])
def test_convolutions_are_pooled_to_one_length_at_any_size(name):
    least = backbones[name].traits["least_size"]
    for size in (least, backbones[name].traits["size"]):
        assert load(name, "random", size=size).output_shape == (None, FEATURES[name])
    # In a graph, where a map of one pixel is no less a map.
    assert np.isfinite(load(name, "random", size=least).predict(pixels(side=least), verbose=0)).all()
    with pytest.raises(UsageError, match=f"from {least}×{least} on"):
        load(name, "random", size=least - 1)


def test_the_inception_of_fid_is_the_one_in_its_file():
    model = load("inception-fid", "random", size=75)
    features = model(pixels(side=75))
    assert features.shape == (2, FEATURES["inception-fid"])
    assert np.abs(features[0] - features[1]).max() > 1e-6
    assert model.count_params() == 21_802_784  # as in the file
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers) == 94
    pools = [type(layer).__name__ for layer in model.layers if "Pooling2D" in type(layer).__name__]
    assert pools[-3:] == ["AveragePooling2D", "MaxPooling2D", "GlobalAveragePooling2D"]


def test_resizing_does_not_make_the_network_believe_that_it_is_trained():
    model = load("resnet18", "random", (16, 16, 3), size=32)
    before = [np.asarray(weight) for weight in model.get_weights()]
    np.testing.assert_array_equal(model(pixels(side=16)), model(pixels(side=16), training=False))
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_the_random_control_follows_the_seed():
    values = []
    for seed in (0, 0, 1):
        keras.utils.set_random_seed(seed)
        values.append(np.asarray(load("squeezenet", "random", size=48)(pixels(side=48))))
    np.testing.assert_array_equal(values[0], values[1])
    assert not np.array_equal(values[0], values[2])


def test_preprocessing_is_a_layer():
    x = pixels(1, 4)
    np.testing.assert_allclose(Pixels((1, 2, 3), (4, 5, 6))(x), (x - [1, 2, 3]) / [4, 5, 6], rtol=1e-6)
    np.testing.assert_allclose(Pixels((1, 2, 3), bgr=True)(x), x[..., ::-1] - [1, 2, 3], rtol=1e-6)


def test_names_and_sizes_that_do_not_exist():
    with pytest.raises(UsageError, match="did you mean 'mobilenetv2'"):
        load("mobilenet-v2")
    with pytest.raises(UsageError, match="did you mean 'keras/ResNet50V2'"):
        load("keras/ResNet50v2")
    with pytest.raises(UsageError, match="from 32×32 on"):
        load("resnet18", "random", size=16)
    with pytest.raises(UsageError, match="has no classifier"):
        load("vgg16", "random", top=True)


def write(path, arrays):
    path.write_bytes(pickle.dumps(arrays, 2))
    return str(path)


def test_own_weights_are_taken_when_they_fit(resnet18, tmp_path):
    arrays = state(resnet18)
    model = load("resnet18", write(tmp_path / "own", arrays), size=32)  # its classifier is left out
    np.testing.assert_array_equal(model.get_layer("bn1").gamma, arrays["bn1.weight"])
    kernel = model.get_layer("layer2.0.conv1").kernel
    np.testing.assert_array_equal(np.transpose(kernel, (3, 2, 0, 1)), arrays["layer2.0.conv1.weight"])


def test_own_weights_as_keras_saves_them(resnet18, tmp_path):
    path = tmp_path / "own.weights.h5"
    resnet18.save_weights(path)
    again = load("resnet18", str(path), (32, 32, 3), size=32, top=True)
    np.testing.assert_array_equal(again(pixels()), resnet18(pixels()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"conv1.weight": np.zeros((64, 3, 3, 3), np.float32)}, "conv1.weight has the shape"),
        ({"layer1.0.bn1.bias": None}, "has no layer1.0.bn1.bias"),
    ],
)
def test_weights_of_another_network_are_refused_in_one_line(change, words, resnet18, tmp_path):
    arrays = {name: array for name, array in (state(resnet18) | change).items() if array is not None}
    with pytest.raises(FewshotError, match="do not fit the network 'resnet18'") as error:
        load("resnet18", write(tmp_path / "own", arrays), size=32)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_no_weight_file_at_all(tmp_path):
    with pytest.raises(FewshotError, match="No such file"):
        load("resnet18", str(tmp_path / "missing.pth"), size=32)
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(FewshotError, match="no weight file"):
        load("resnet18", str(tmp_path / "photo.jpg"), size=32)


def test_both_generations_of_keras_names():
    assert newer_name("res3b_branch2a") == "conv3_block2_1_conv"
    assert newer_name("bn2a_branch1") == "conv2_block1_0_bn"
    assert newer_name("fc1000") == "predictions"


def test_a_network_of_keras(tmp_path, monkeypatch):
    model = load("keras/MobileNet", "random", (32, 32, 3), size=32)
    assert model(pixels()).shape == (2, 1024)

    def fails(**options):
        raise Exception("URL fetch failure on https://…:\nNone")

    monkeypatch.setattr(keras.applications, "MobileNet", fails)
    with pytest.raises(FewshotError, match=r"Keras's download \(URL fetch .*weights=random") as error:
        load("keras/MobileNet", shape=(32, 32, 3), size=32)
    assert "\n" not in str(error.value)


def test_a_backbone_is_saved_and_loaded_whole(resnet18, tmp_path):
    resnet18.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(pixels()), resnet18(pixels()), rtol=1e-5, atol=1e-5)


# Against the world


@pytest.mark.torch
def test_resnet18_computes_what_torch_computes(resnet18):
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    arrays = state(resnet18)
    fill(resnet18, arrays)
    a = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}

    def norm(x, name):
        parts = (a[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *parts, eps=1e-5)

    x = pixels()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    y = ((torch.from_numpy(x) / 255 - mean) / std).permute(0, 3, 1, 2)
    y = F.max_pool2d(F.relu(norm(F.conv2d(y, a["conv1.weight"], None, 2, 3), "bn1")), 3, 2, 1)
    for block in (f"layer{i}.{j}" for i in range(1, 5) for j in range(2)):
        stride = 2 if block in ("layer2.0", "layer3.0", "layer4.0") else 1
        z = F.relu(norm(F.conv2d(y, a[f"{block}.conv1.weight"], None, stride, 1), f"{block}.bn1"))
        z = norm(F.conv2d(z, a[f"{block}.conv2.weight"], None, 1, 1), f"{block}.bn2")
        if stride == 2:
            y = norm(F.conv2d(y, a[f"{block}.downsample.0.weight"], None, 2), f"{block}.downsample.1")
        y = F.relu(y + z)
    y = F.linear(y.mean((2, 3)), a["fc.weight"], a["fc.bias"]).numpy()
    np.testing.assert_allclose(resnet18(x), y, rtol=1e-3, atol=1e-3 * np.abs(y).max())


@pytest.mark.torch
def test_alexnet_computes_what_torch_computes():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    model = load("alexnet", "random", size=95)  # 1×1 maps, which the pooling spreads to 6×6
    arrays = state(model)
    fill(model, arrays)
    x = pixels(side=95)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    y = ((torch.from_numpy(x) / 255 - mean) / std).permute(0, 3, 1, 2)
    for number, stride, padding in ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)):
        kernel, bias = (torch.from_numpy(arrays[f"features.{number}.{p}"].copy()) for p in ("weight", "bias"))
        y = F.relu(F.conv2d(y, kernel, bias, stride, padding))
        y = F.max_pool2d(y, 3, 2) if number in (0, 3, 10) else y
    y = F.adaptive_avg_pool2d(y, 6).permute(0, 2, 3, 1).reshape(2, -1).numpy()
    np.testing.assert_allclose(model(x), y, rtol=1e-3, atol=1e-3 * np.abs(y).max())


@pytest.mark.network
@pytest.mark.torch
def test_the_inception_of_fid_computes_what_its_file_computes(tmp_path):
    torch = pytest.importorskip("torch")
    small = photos(tmp_path, 224)[0][:4, ::2, ::2]
    x = torch.from_numpy(small.copy()).permute(0, 3, 1, 2)
    x = torch.nn.functional.interpolate(x, (299, 299), mode="bilinear", align_corners=False)
    with torch.inference_mode():
        y = torch.jit.load(locate(backbones["inception-fid"].traits["weights"]))(
            (x.contiguous() - 128) / 128
        ).numpy()
    features = load("inception-fid", shape=small.shape[1:]).predict(small, verbose=0)
    np.testing.assert_allclose(features, y, rtol=1e-3, atol=1e-4)


def photos(scratch, short_side):
    """Return 20 ImageNet photos, their middle at 224×224, and their labels."""
    from PIL import Image

    wheel = fetch.pip("foolbox==3.3.4", 1_677_112, scratch)
    names = [name for name in zipfile.ZipFile(wheel).namelist() if "/imagenet_" in name]
    x = []
    for content in fetch.read_members(wheel, names):
        image = Image.open(io.BytesIO(content)).convert("RGB")
        scale = short_side / min(image.size)
        image = image.resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)
        left, upper = ((side - 224) // 2 for side in image.size)
        x.append(np.asarray(image.crop((left, upper, left + 224, upper + 224)), np.float32))
    return np.stack(x), np.array([int(re.search(r"_(\d+)\.jpg", name)[1]) for name in names])


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "short_side", "top1", "top5"),
    [
        ("mobilenetv2", 224, 18, 20),
        ("efficientnet-lite0", 224, 17, 20),
        ("efficientnet-lite1", 224, 19, 20),
        ("efficientnet-lite2", 260, 18, 20),
        ("resnet50", 256, 19, 20),
        ("squeezenet", 224, 11, 19),
    ],
)
def test_the_pretrained_ones_recognise_photos(name, short_side, top1, top5, tmp_path):
    x, y = photos(tmp_path, short_side)
    best = np.argsort(-load(name, size=224, top=True).predict(x, verbose=0))
    assert (best[:, 0] == y).sum() >= top1
    assert (best[:, :5] == y[:, None]).sum() >= top5


@pytest.mark.network
@pytest.mark.parametrize("name", ["alexnet", "vgg16"])
def test_the_pretrained_convolutions_tell_photos_apart(name, tmp_path):
    x, _ = photos(tmp_path, 224)
    features = load(name).predict(x, verbose=0, batch_size=5)
    assert features.shape == (20, FEATURES[name])
    active = (features > 0).mean()
    assert 0.02 < active < 0.4  # sparse after the last ReLU, but not dead
