"""Backbones of KerasHub: tiny presets, made here, saved, loaded back; features equal to the library's."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile

import hub as made
import numpy as np
import pytest
from hub import MEAN, STD

from fewshot.backbones import features, hub, load
from fewshot.backbones.hub.folder import read
from fewshot.compare.strategies import not_fetched, strategies
from fewshot.data.dataset import Dataset
from fewshot.deploy.export import export
from fewshot.errors import FewshotError, UsageError
from fewshot.io.digests import sha256_of
from fewshot.methods.resolve import resolve
from fewshot.methods.specification import parse

pytestmark = [
    pytest.mark.usefixtures("started"),
    pytest.mark.skipif(importlib.util.find_spec("keras_hub") is None, reason="the extra 'hub' is missing"),
]


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    """Return the folder of a kind's preset, made once."""
    folder, kept = tmp_path_factory.mktemp("presets"), {}

    def preset(kind):
        if kind not in kept:
            make = made.hugging_face_form if kind == "hugging-face" else made.keras_form
            kept[kind] = make(folder / kind, *([] if kind == "hugging-face" else [kind]))
        return kept[kind]

    return preset


@pytest.fixture
def copied(presets, tmp_path):
    """Return a copy of a preset's folder, to be spoilt."""

    def copy(kind="dinov2"):
        return shutil.copytree(presets(kind), tmp_path / kind)

    return copy


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, (3, made.SIDE, made.SIDE, 3)).astype(np.uint8)


def close(found, wanted):
    return np.allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("kind", [*made.KINDS, "hugging-face"])
def test_features_are_those_of_the_library(kind, presets, images):
    folder = presets(kind)
    network = load(f"hub/{folder}", size=made.SIDE)
    assert close(np.array(network(images.astype("float32"))), made.own_features(folder, images))
    assert {type(layer).__module__.split(".")[0] for layer in network._flatten_layers()} <= {
        "keras",
        "fewshot",
    }


@pytest.mark.parametrize("kind", ["dinov2", "deit"])
def test_tokens_are_pooled_as_asked_for(kind, presets, images):
    folder = presets(kind)
    for pool in ("mean", "both"):
        network = load(f"hub/{folder}", size=made.SIDE, pool=pool)
        assert close(np.array(network(images.astype("float32"))), made.own_features(folder, images, pool))


def test_dino_takes_any_size_as_the_library_does(presets):
    images = np.random.default_rng(2).integers(0, 256, (2, 40, 40, 3)).astype("float32")
    found = np.array(load(f"hub/{presets('dinov2')}", size=40)(images))
    assert close(found, made.own_features(presets("dinov2"), images, side=40))


def test_positions_are_brought_to_another_size(presets, images):
    folder = presets("vit")
    larger = load(f"hub/{folder}", shape=images.shape[1:], size=2 * made.SIDE)
    assert larger.output_shape == (None, 16)
    assert np.isfinite(np.array(larger(images.astype("float32")))).all()


def test_sizes_are_the_presets_own(presets):
    assert features.parse(f"hub/{presets('vit')}")[0].size == made.SIDE
    assert features.parse(f"hub/{presets('dinov2')}")[0].size == 224
    assert features.parse("dinov2-small") == (features.Term("dinov2-small", 224, None),)
    assert features.parse("hub/clip_vit_large_patch14_336")[0].size == 336


def test_the_store_knows_a_folder_by_its_files_alone(presets, copied, images, own_cache):
    text = f"hub/{presets('dinov2')}@32"
    first = features.extract(text, images)
    folder = copied()
    assert np.array_equal(features.extract(f"hub/{folder}@32", images), first)
    assert len(list((own_cache / "features").iterdir())) == 1
    assert features.describe(text) == features.describe(f"hub/{folder}@32")
    config = json.loads((folder / "image_converter.json").read_text())
    config["config"]["offset"] = [0.0, 0.0, 0.0]
    (folder / "image_converter.json").write_text(json.dumps(config))
    assert not np.array_equal(features.extract(f"hub/{folder}@32", images), first)
    assert len(list((own_cache / "features").iterdir())) == 2


def test_random_weights_are_a_control(presets, images):
    text = f"hub/{presets('vit')}:weights=random"
    assert features.describe(text)[0]["weights"].startswith("random ")
    assert not np.allclose(features.extract(text, images), features.extract(f"hub/{presets('vit')}", images))


def test_licences_are_said(presets):
    assert hub.locate(f"hub/{presets('hugging-face')}").terms == "apache-2.0"
    assert hub.locate(f"hub/{presets('dinov3')}").terms == "DINOv3 License, Meta's own; gated"
    assert hub.cost("dinov2-small") == "about 90 MB, Apache-2.0"
    (term,) = features.parse(f"hub/{presets('clip')}")
    assert term.provenance()["licence"] == "MIT"


def test_what_a_folder_of_timm_says(tmp_path):
    said = {"mean": MEAN, "std": STD, "input_size": [3, 224, 224], "interpolation": "bicubic"}
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet18", "pretrained_cfg": said}))
    preset = read(tmp_path)
    assert (preset.form, preset.family, preset.size) == ("timm", "ResNetBackbone", 224)
    assert np.allclose(preset.mean, np.array(MEAN) * 255)
    assert np.allclose(preset.std, np.array(STD) * 255)
    assert preset.interpolation == "bicubic"
    with pytest.raises(FewshotError, match=r"model\.safetensors is missing"):
        hub.locate(f"hub/{tmp_path}")


def test_addresses_are_parts_of_methods():
    specification = parse("imagenet/hub/hf://owner/vit-base-384+dinov2-small@70:head=lda,pool=mean")
    assert specification.features == "hub/hf://owner/vit-base-384+dinov2-small@70:pool=mean"
    assert parse(str(specification)) == specification
    assert [term.size for term in features.parse(specification.features)] == [384, 70]


def _flip(path, at=-3):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def _sums(folder):
    lines = [f"{sha256_of(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(lines))


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def _pickled(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch /tmp/owned'\ntR.")


def _edit(folder, name="config.json", **changes):
    config = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(config | changes))


SPOILT = {
    "a flipped byte": (
        "dinov2",
        lambda f: (_sums(f), _flip(f / "model.weights.h5")),
        "is damaged: model.weights",
    ),
    "a missing file": ("dinov2", lambda f: (f / "model.weights.h5").unlink(), "model.weights.h5 is missing"),
    "no preprocessing": (
        "dinov2",
        lambda f: (f / "image_converter.json").unlink(),
        "image_converter.json is mi",
    ),
    "cut short": ("dinov2", lambda f: _truncate(f / "model.weights.h5"), "cannot read the weights"),
    "tensors cut short": ("hugging-face", lambda f: _truncate(f / "model.safetensors"), "it is cut short"),
    "a pointer": (
        "hugging-face",
        lambda f: (f / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n"),
        "git lfs pull",
    ),
    "a pickle": ("hugging-face", _pickled, r"pytorch_model.bin may be a pickle, .* is never opened"),
    "a pickle in disguise": (
        "hugging-face",
        lambda f: (f / "model.safetensors").write_bytes(b"\x80\x04cos\nsystem\n."),
        "no safetensors file",
    ),
    "no JSON": ("dinov2", lambda f: _flip(f / "config.json", 0), "config.json"),
    "code": (
        "dinov2",
        lambda f: _edit(f, config={"module": "os", "class_name": "system"}),
        "asks for code of 'os', which is not run",
    ),
    "other weights": ("hugging-face", lambda f: _edit(f, hidden_size=32), "cannot read the preset"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_folder_that_is_not_whole_or_not_safe(case, copied):
    kind, spoil, message = SPOILT[case]
    folder = copied(kind)
    spoil(folder)
    with pytest.raises(FewshotError, match=message) as raised:
        load(f"hub/{folder}", size=made.SIDE)
    assert "\n" not in str(raised.value)


def test_weights_that_lie_in_another_file_are_not_followed(copied):
    import h5py

    folder = copied()
    with h5py.File(folder / "model.weights.h5", "a") as file:
        file["elsewhere"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(FewshotError, match="elsewhere links to elsewhere"):
        hub.locate(f"hub/{folder}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hub/dinov2_smal", "did you mean 'hub/dinov2_small'"),
        ("dinov2-smal", "did you mean 'dinov2-small'"),
        ("hub/bert_base_en", "'bert_base_en' is a preset of another kind, 'bert', not of images"),
        ("hub/{vit}@4", "cuts images into patches of 8×8. Received: 4"),
        ("hub/{clip}:pool=mean", "has no pool=mean. It pools by its own alone"),
        ("squeezenet:pool=mean", "pool is for backbones of KerasHub"),
        ("hub/./nowhere", "no such folder of a preset: nowhere"),
        ("hub/{vit}:weights=other.h5", "the weights of .* are its folder's"),
    ],
)
def test_unfit_names(text, message, presets):
    text = text.format(vit=presets("vit"), clip=presets("clip"))
    with pytest.raises(UsageError, match=message):
        features.describe(text)


def test_a_text_models_folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UsageError, match="is of another kind, 'bert': backbones for images are dinov2"):
        features.parse(f"hub/{tmp_path}")


def test_without_the_extra_its_command_is_said(monkeypatch):
    monkeypatch.setattr(hub, "installed", lambda: False)
    with pytest.raises(UsageError, match=r"pip install 'fewshot-testbed\[hub\]'"):
        features.parse("hub/dinov2_small")


# Fetching, with both libraries replaced: there is no network in the tests


def test_a_preset_is_fetched_once_and_kept_with_its_sums(presets, own_cache, monkeypatch, capsys):
    fetched = []

    def download(handle, name, output_dir):
        fetched.append(name)
        source = presets("dinov2") / name
        if not source.is_file():
            raise KaggleError(404)
        (type(source)(output_dir) / name).write_bytes(source.read_bytes())

    monkeypatch.setattr("kagglehub.model_download", download)
    assert not hub.present("dinov2-small")
    folder = hub.locate("dinov2-small").folder
    assert own_cache in folder.parents
    assert fetched == ["config.json", "image_converter.json", "model.weights.h5"]
    assert hub.locate("hub/dinov2_small").folder == folder
    assert len(fetched) == 3
    said = capsys.readouterr().err
    assert "fetching dinov2-small: about 90 MB, Apache-2.0" in said
    _flip(folder / "model.weights.h5")
    with pytest.raises(FewshotError, match="is damaged"):
        hub.locate("dinov2-small")


class KaggleError(Exception):
    def __init__(self, status):
        super().__init__(f"{status} Client Error")
        self.response = type("Response", (), {"status_code": status})


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KaggleError(403), "It is gated: accept its terms at https://www.kaggle.com/models/keras/dinov3"),
        (KaggleError(404), "There is none at https://www.kaggle.com/models/keras/dinov3"),
        (OSError("no route to host"), r"\(no route to host\). Without a network, bring its folder"),
    ],
)
def test_what_cannot_be_fetched_leaves_nothing(error, message, own_cache, monkeypatch):
    def download(*args, **options):
        raise error

    monkeypatch.setattr("kagglehub.model_download", download)
    with pytest.raises(FewshotError, match=message):
        hub.locate("hub/dinov3_vit_small_lvd1689m")
    assert not hub.present("hub/dinov3_vit_small_lvd1689m")


def test_what_is_fetched_by_half_never_counts(presets, own_cache, monkeypatch):
    def download(repository, local_dir, allow_patterns):
        assert "*.bin" not in allow_patterns
        for name in ("config.json", "preprocessor_config.json"):
            (local_dir / name).write_bytes((presets("hugging-face") / name).read_bytes())

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(FewshotError, match=r"is not whole: model\.safetensors is missing"):
        hub.locate("hub/hf://owner/tiny")
    assert not hub.present("hub/hf://owner/tiny")


# Learners on them, and what they become


@pytest.fixture(scope="module")
def train():
    random, y = np.random.default_rng(0), np.repeat([0, 1], 6)
    x = (60 * y[:, None, None, None] + random.integers(0, 120, (12, made.SIDE, made.SIDE, 3))).astype(
        np.uint8
    )
    return Dataset(x, y.astype(np.int64), ("dark", "bright"))


TRAINED = "size=32,epochs=2,batch=4,learning_rate=0.01"


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("imagenet/hub/{}@32:head=ridge,pool=both", "dinov2"),
        pytest.param(
            "heads:backbones=hub/{},views=whole,scales=zscore,heads=lda", "siglip", marks=pytest.mark.slow
        ),
        pytest.param(f"tuned:backbone=hub/{{}},{TRAINED},last=4", "dinov2", marks=pytest.mark.slow),
        pytest.param(f"tuned:backbone=hub/{{}},{TRAINED},lora=2", "clip", marks=pytest.mark.slow),
    ],
)
def test_an_exported_model_is_of_keras_alone_and_says_the_same(method, kind, presets, train, tmp_path):
    learner = resolve(method.format(presets(kind)))[1]
    learner.check(train.image_shape)
    card = export(learner, train, 0, tmp_path / "model.keras", {"method": method})
    assert card["formats"]["keras"]["max_difference"] < 1e-4
    (backbone,) = card["backbones"]
    assert backbone["licence"] == {"clip": "MIT"}.get(kind, "Apache-2.0")
    assert backbone["weights"] == hub.digest(f"hub/{presets(kind)}")
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        assert b"keras_hub" not in file.read("config.json")


def test_lora_trains_matrices_beside_queries_and_values_alone(presets):
    from fewshot.models import networks

    network = networks.build(f"tuned:backbone=hub/{presets('clip')},size=32,lora=2", (32, 32, 3), 2)
    names = [variable.path.rpartition("/")[2] for variable in network.trainable_variables]
    assert sorted(names) == sorted(["bias", "kernel", *2 * ["lora_kernel_a", "lora_kernel_b"]])
    with pytest.raises(UsageError, match="has no attention that lora could be beside"):
        networks.build(f"tuned:backbone=hub/{presets('resnet')},size=32,lora=2", (32, 32, 3), 2)


@pytest.mark.slow
def test_what_keeps_the_librarys_own_layers_is_used_frozen(presets, images, train, tmp_path):
    from fewshot.models import networks

    folder = presets("swin")
    found = np.array(load(f"hub/{folder}")(images.astype("float32")))
    assert close(found, made.own_features(folder, images))
    learner = resolve(f"imagenet/hub/{folder}:head=ridge")[1]
    with pytest.raises(UsageError, match="SwinTransformerBackbone keeps layers of KerasHub's own"):
        export(learner, train, 0, tmp_path / "model.keras", {})
    with pytest.raises(UsageError, match="can be neither trained on nor exported"):
        networks.build(f"tuned:backbone=hub/{folder}", (32, 32, 3), 2)
    with pytest.raises(UsageError, match="looks at images in 32×32 alone"):
        features.parse(f"hub/{folder}@64")


def test_compare_takes_what_is_there_and_says_what_the_rest_costs(monkeypatch):
    monkeypatch.setattr(hub, "present", lambda name: name == "dinov2-small")
    names = [strategy.name for strategy in strategies()]
    assert "dinov2-small" in names
    assert "siglip2-base" not in names
    (line,) = not_fetched()
    assert "siglip2-base (about 1,501 MB, Apache-2.0)" in line
    monkeypatch.setattr(hub, "installed", lambda: False)
    assert not_fetched() == []
    assert "dinov2-small" not in [strategy.name for strategy in strategies()]


ON_JAX = """
import sys
from pathlib import Path
import numpy as np
from fewshot import backend
backend.start(1, "cpu")
from fewshot.backbones import load
folder = Path(sys.argv[1])
images = np.load(folder / "images.npy").astype("float32")
for wanted in folder.glob("*-wanted.npy"):
    network = load(f"hub/{folder / wanted.stem.removesuffix('-wanted')}", size=images.shape[1])
    found, wanted = backend.compile_forward(network)(images), np.load(wanted)
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()
assert backend.name() == "jax"
"""


@pytest.mark.jax
def test_features_are_the_same_on_jax(presets, images):
    for kind in ("dinov2", "siglip", "hugging-face"):
        folder = presets(kind).parent
        np.save(folder / f"{kind}-wanted.npy", made.own_features(presets(kind), images))
    np.save(folder / "images.npy", images)
    line, environment = [sys.executable, "-c", ON_JAX, str(folder)], {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(line, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
