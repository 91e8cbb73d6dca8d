"""The networks: exact sizes, and what every one of them must be able to do, by registry."""

import json

import numpy as np
import pytest
from helpers import keep, kept, one_line

from fewshot import settings
from fewshot.errors import UsageError
from fewshot.models import build, least_size, networks

pytestmark = pytest.mark.usefixtures("started")

# Trainable parameters at 224×224 and 1000 classes, as torchvision counts them (the small ones have no
# reference there), and multiply-adds in millions.
IMAGENET = {
    "alexnet": (61_100_840, 714),
    "vgg11": (132_863_336, 7609),
    "vgg11:norm=batch": (132_868_840, 7609),
    "vgg11-lrn": (132_863_336, 7609),
    "vgg13": (133_047_848, 11_308),
    "vgg13:norm=batch": (133_053_736, 11_308),
    "vgg16-c": (133_638_952, 11_771),
    "vgg16-c:norm=batch": (133_647_400, 11_771),
    "vgg16": (138_357_544, 15_470),
    "vgg16:norm=batch": (138_365_992, 15_470),
    "vgg19": (143_667_240, 19_632),
    "vgg19:norm=batch": (143_678_248, 19_632),
    "resnet18": (11_689_512, 1814),
    "resnet34": (21_797_672, 3664),
    "resnet50": (25_557_032, 4089),
    "resnet101": (44_549_160, 7801),
    "resnet152": (60_192_808, 11_514),
    "mobilenetv2": (3_504_872, 301),
    "mobilenetv2:width=0.5": (1_968_680, 97),
    "mobilenetv2:width=1.4": (6_108_776, 582),
    "convnext-tiny": (28_589_128, 4456),
}
# At 32×32 and 10 classes, in the form for small images.
CIFAR = {
    "baseline": 24_666,
    "lenet5": 62_006,
    "lecture-net": 62_006,
    "mlp": 1_748_426,
    "mobilenetv2-short": 1_545_482,
    "resnet18": 11_173_962,
    "wrn": 2_748_890,
}
# Of WRN-depth-width in the paper (arXiv 1605.07146), in millions.
WIDE = {
    (40, 1): 0.6,
    (40, 4): 8.9,
    (28, 10): 36.5,
    (22, 8): 17.2,
    (16, 8): 11.0,
}


NEW = [name for name in networks if not networks[name].traits.get("pretrained")]
# Up to a minute each, for the same builders as smaller members of their families: slow tests.
DEEP = ("resnet101", "resnet152", "resnet34", "mobilenetv2", "convnext-tiny")
LONG = (*DEEP, "resnet50", "mobilenetv2-short", "convnext-atto", "wrn", "vgg13", "vgg16", "vgg16-c", "vgg19")


def each(names, slow=DEEP, mark=pytest.mark.slow):
    """Return the networks as parameters of a test, some of them marked."""
    return [pytest.param(name, marks=[mark] if name in slow else []) for name in names]


def cost(name, size, outputs):
    from fewshot.models import cost as summary

    return summary.cost(summary.outline(name, (size, size, 3), outputs))


def small(name):
    """Return the network with an eighth of its width and without dropout, so that a test may train it."""
    defaults = networks.switches(name)
    changed = {"dropout": 0} if "dropout" in defaults else {}
    if width := defaults.get("width"):
        changed["width"] = 0.25 if isinstance(width, float) else max(8, width // 8)
    return settings.join(name, changed)


@pytest.mark.parametrize("name", IMAGENET)
def test_parameters_and_multiply_adds_at_1000_classes(name):
    parameters, millions = IMAGENET[name]
    found = cost(name, 224, 1000)
    assert found.parameters == parameters
    assert round(found.multiply_adds / 1e6) == millions


@pytest.mark.parametrize("name", CIFAR)
def test_parameters_of_the_small_forms(name):
    assert cost(name, 32, 10).parameters == CIFAR[name]


@pytest.mark.parametrize(("depth", "width"), WIDE)
def test_parameters_of_wide_residual_networks(depth, width):
    assert round(cost(f"wrn:depth={depth},width={width}", 32, 10).parameters / 1e6, 1) == WIDE[depth, width]


@pytest.mark.parametrize("depth", [4, 9, 17])
def test_wide_residual_networks_have_whole_blocks(depth):
    with pytest.raises(UsageError, match=f"10, 16, 22, .* Received: {depth}"):
        build(f"wrn:depth={depth}", (32, 32, 3), 10)


def test_a_wide_residual_network_halves_its_maps_twice_and_passes_sums_on_as_they_are():
    import keras

    from fewshot.models import cost as summary

    layers = summary.outline("wrn:depth=10,width=1", (32, 32, 3), 10).layers
    sums = [layer for layer in layers if isinstance(layer, keras.layers.Add)]
    assert [layer.output.shape[1:] for layer in sums] == [(32, 32, 16), (16, 16, 32), (8, 8, 64)]
    first = next(layer for layer in layers if isinstance(layer, keras.layers.Conv2D))
    assert sums[0].input[0] is first.output  # as wide as the sum: no projection, no activation
    (dropped,) = (layer for layer in layers if isinstance(layer, keras.layers.Dropout))
    assert dropped.output.shape == (None, 64)


def test_alexnet_s_first_maps_are_55_wide():
    import keras

    from fewshot.models import cost as summary

    layers = summary.outline("alexnet", (224, 224, 3), 1000).layers
    first = next(layer for layer in layers if isinstance(layer, keras.layers.Conv2D))
    assert first.output.shape == (None, 55, 55, 64)


def test_whitening_makes_patches_of_unit_variance(task):
    """The first half of the maps: uncorrelated, variance 1; the second half: their negatives."""
    from fewshot.models.layers import Normalise, Whiten

    layer = Whiten(2)
    x = Normalise()(task.train.x.astype(np.float32))
    layer(x)
    layer.adapt(task.train.x)
    rows = layer(x).numpy().reshape(-1, 24)
    assert np.allclose(rows[:, :12], -rows[:, 12:], atol=1e-4)
    second = rows[:, :12].T @ rows[:, :12] / len(rows)
    assert np.allclose(second, np.diag(np.diag(second)), atol=0.01)
    assert np.diag(second).max() == pytest.approx(1, abs=0.01)
    patches = np.lib.stride_tricks.sliding_window_view(np.asarray(x), (2, 2), (1, 2))
    flat = np.moveaxis(patches, 3, -1).reshape(-1, 12).astype(float)
    variances, directions = np.linalg.eigh(flat.T @ flat / len(flat))
    stated = directions / np.sqrt(variances + 5e-4)
    kernel = layer.kernel.numpy().reshape(12, 24)[:, :12]
    assert np.allclose(np.abs(kernel), np.abs(stated), rtol=0.02, atol=0.02 * np.abs(stated).max())


def test_shifted_images_are_reflected_at_the_border():
    from fewshot.models.layers import Shifted

    x = np.random.default_rng(0).random((2, 7, 9, 3), np.float32)
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), "reflect")
    assert np.array_equal(Shifted(2)(x), padded[:, :7, :9])  # down and right
    assert np.array_equal(Shifted(-2)(x), padded[:, 4:, 4:])


def test_whitening_looks_at_all_classes():
    """Of images that stand class by class, not those of the first class alone."""
    from fewshot.models.layers import Whiten

    images = np.random.default_rng(0).integers(0, 50, (12_000, 4, 4, 3)).astype(np.uint8)
    images[6000:] += 200
    layer, reversed_order = Whiten(2), Whiten(2)
    for one, given in ((layer, images), (reversed_order, images[::-1])):
        one.build((None, 4, 4, 3))
        one.adapt(given)
    found, other = (np.abs(one.kernel.numpy()[..., 11]) for one in (layer, reversed_order))
    assert np.allclose(found, other, rtol=0.05)


def test_identity_convolutions_pass_the_image_on():
    from keras import layers

    from fewshot.models.layers import Dirac

    x = np.random.default_rng(0).random((2, 7, 7, 3), np.float32)
    wide = layers.Conv2D(5, 3, padding="same", use_bias=False, kernel_initializer=Dirac(27))
    assert np.allclose(wide(x)[..., :3], x, atol=1e-6)
    assert not np.allclose(wide(x)[..., 3:], 0)


def test_plain_resnets_lose_the_shortcuts_alone():
    """The twin has no projections: 64·128 + 128·256 + 256·512 weights and two numbers a BatchNorm channel."""
    projections = 64 * 128 + 128 * 256 + 256 * 512 + 2 * (128 + 256 + 512)
    assert cost("resnet18", 32, 10).parameters - cost("resnet18:plain", 32, 10).parameters == projections


def test_depthwise_separable_over_standard_convolution():
    """1/N + 1/D² = 0.112 for N = 1024 output channels and D = 3 (the fast-response report)."""
    import keras

    from fewshot.models import cost as summary
    from fewshot.models.layers import conv, depthwise

    inputs = keras.Input((8, 8, 512))
    standard = keras.Model(inputs, conv(inputs, 1024, padding="same", bias=False))
    separable = conv(depthwise(inputs, padding="same", bias=False), 1024, kernel=1, bias=False)
    ratio = summary.cost(keras.Model(inputs, separable)).multiply_adds / summary.cost(standard).multiply_adds
    assert ratio == pytest.approx(1 / 1024 + 1 / 9)
    assert round(ratio, 3) == 0.112


def test_an_outline_counts_what_a_built_network_has():
    from fewshot.models import cost as summary

    built = build("resnet18:width=8,se", (32, 32, 3), 10)
    assert summary.cost(built) == cost("resnet18:width=8,se", 32, 10)
    trainable = sum(int(np.prod(weight.shape)) for weight in built.trainable_weights)
    assert trainable == summary.cost(built).parameters < built.count_params()


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "group"])
@pytest.mark.parametrize("name", each(name for name in NEW if "norm" in networks.switches(name)))
def test_normalisations_change_the_parameters_only(name, norm):
    default, changed = cost(name, 64, 10), cost(f"{name}:norm={norm}", 64, 10)
    assert changed.multiply_adds == default.multiply_adds
    assert (norm == networks.switches(name)["norm"]) == (
        changed.parameters == default.parameters
    ) or norm != "none"


@pytest.mark.parametrize("name", each(name for name in NEW if "stem" in networks.switches(name)))
def test_small_images_get_the_small_form(name):
    def form(stem, size):
        return cost(f"{name}:stem={stem}", size, 10)

    assert form("auto", 63) == form("cifar", 63) != form("imagenet", 63)
    assert form("auto", 64) == form("imagenet", 64) != form("cifar", 64)


@pytest.mark.parametrize("name", each(NEW, LONG))
def test_every_network_learns_eight_images_by_heart(name, tmp_path):
    import keras

    x, y = images(max(least_size(name), 16)), np.arange(8)
    network = compiled(name, x, 10, keras.optimizers.Adam(0.003))
    before = values(network)
    assert np.isfinite(network.train_on_batch(x, y))
    for old, new, weight in zip(before, values(network), network.trainable_variables, strict=True):
        assert not np.array_equal(old, new), f"{weight.path} got no gradient"
    for _ in range(75):
        for _ in range(10):
            network.train_on_batch(x, y)
        if (answers(network, x).argmax(1) == y).all():
            break
    else:
        pytest.fail("it does not learn eight images in 750 updates")
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", compile=False, safe_mode=True)
    assert np.array_equal(answers(loaded, x), answers(network, x))


@pytest.mark.parametrize("name", each(NEW, ("resnet101", "resnet152"), pytest.mark.processes))
def test_every_network_takes_a_step_with_two_classes_at_its_least_size_and_refuses_smaller_images(name):
    import keras

    least = least_size(name)
    x = images(least)
    network = compiled(name, x, 2, keras.optimizers.SGD(0.003), run_eagerly=True)
    assert np.isfinite(network.train_on_batch(x, np.arange(8) % 2))
    assert all(np.isfinite(weight).all() for weight in values(network))
    with pytest.raises(UsageError, match=f"from {least}×{least} on"):
        build(name, (least - 1, least - 1, 3), 2)


def images(size):
    """Return eight images of noise."""
    return np.random.default_rng(0).integers(0, 256, (8, size, size, 3)).astype("float32")


def compiled(name, x, outputs, optimizer, **options):
    """Return a small network, compiled as the engine does it: XLA would take many times as long."""
    import keras

    keras.utils.set_random_seed(0)
    network = build(small(name), x.shape[1:], outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer.build(network.trainable_variables)  # else the first update is traced twice
    network.compile(optimizer, loss, jit_compile=False, **options)
    return network


def answers(network, x):
    return np.asarray(network(x, training=False))


def values(network):
    return [np.array(weight) for weight in network.trainable_variables]


def test_the_command_counts_measures_and_draws(tmp_path, monkeypatch, capsys):
    from experiments.models import main
    from fewshot.models import cost as summary

    monkeypatch.setattr(summary, "CALLS", 3)
    monkeypatch.setattr(summary, "SECONDS", 0)
    monkeypatch.setattr(summary, "BATCH", 64)
    networks = ["lenet5", "resnet18:plain,width=8"]
    assert main(["--network", *networks, "--json", "--threads", "1", "--out", str(tmp_path)]) == 0
    document = json.loads(capsys.readouterr().out)
    first, second = document["networks"]
    assert (first["network"], first["parameters"], first["multiply_adds"]) == ("lenet5", 62_006, 651_720)
    assert second["network"] == "resnet18:plain=yes,width=8"
    assert 0 < first["latency_median"] <= first["latency_p95"]
    assert first["throughput"] > second["throughput"]
    assert [path.rsplit(".")[-1] for path in document["figures"]] == ["png", "svg"]


def test_what_no_machine_holds_is_counted_and_not_measured(command):
    """Nothing is allocated: the first layer's constants alone would take 240 GB."""
    done = command("models", "--network", "lenet5", "--image-size", 100_000)
    assert done.returncode == 0, done.stderr
    assert "not measured: 'lenet5' for one image of 100,000×100,000 pixels would take " in done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("lenet5"))
    assert int(row.split()[1].replace(",", "")) > 120 * 16 * 24_997**2  # of the first dense layer
    assert "ms an image" not in done.stdout


def test_accuracies_of_heads_on_features_are_not_the_network_s_own(tmp_path):
    from experiments.models import _accuracies

    learner = {"network": "linear", "recipe": {}, "offline": "none", "features": [{"backbone": "alexnet"}]}
    keep(tmp_path, kept("head", 0, 92.0, learner=learner))
    keep(tmp_path, kept("network", 0, 60.0, learner=learner | {"features": "pixels"}))
    assert _accuracies(tmp_path / "trials.jsonl", ["linear"])[0] == {"linear": 60.0}


def test_the_command_takes_accuracy_from_records(command, study):
    out, _ = study
    done = command("models", "--no-time", "--network", "baseline", "lenet5", "--image-size", 32, out=out)
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("baseline"))
    assert row.split()[-1] != "–"
    assert "accuracy: digits, stratified, n = 2" in done.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--network", "resnet81"], "did you mean"),
        (["--network", "resnet18:plian"], "plain"),
        (["--network", "vgg16", "--image-size", "16"], "from 32×32 on"),
    ],
)
def test_the_command_says_what_is_wrong(command, args, message):
    done = command("models", *args)
    assert done.returncode == 2
    assert message in one_line(done.stderr)
