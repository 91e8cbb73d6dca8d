"""Expansions: the set grows as its name says; same seed, same set; the task's images stay as they are."""

import hashlib
import json
import subprocess
import sys

import albumentations as A
import numpy as np
import pytest

from fewshot.augment.offline import canonical, captions, check, expand, expansions, size, versions
from fewshot.augment.transforms import ChannelIsolation, PatchPixelShuffle
from fewshot.data import Dataset
from fewshot.errors import UsageError
from fewshot.methods.catalogue import methods

REPORTED = [method.name for method in methods.tagged("augment-report")]  # by the few-shot report
SIZES = (100, 200, 400, 400, 200, 10_100, 600, 10_600, 250_600, 360_600)


@pytest.fixture
def train():
    x = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
    return Dataset(x, np.array([2, 0, 2, 0, 2, 0]), ("a", "b", "c"))


@pytest.fixture
def hundred():
    x = np.random.default_rng(0).integers(0, 256, (100, 32, 32, 3)).astype(np.uint8)
    return Dataset(x, np.arange(100) % 2, ("a", "b"))


@pytest.fixture
def saved(tmp_path):
    """Save a transform as A.save does; return the expression that names the file."""

    def save(transform, name="mine.yaml"):
        A.save(transform, tmp_path / name, data_format=name.split(".")[1].replace("yml", "yaml"))
        return f"albumentations:{tmp_path / name}"

    return save


@pytest.mark.parametrize("name", [*expansions, *REPORTED])
def test_every_expansion(train, name):
    before = train.x.copy()
    examples = expand(train, name, seed=3)
    assert np.array_equal(train.x, before)
    assert examples.x.dtype == np.uint8
    assert examples.x.shape[1:] == train.x.shape[1:]
    assert len(examples) == size(name, len(train))
    assert examples.targets.shape == (len(examples.x), 3)
    assert examples.targets.dtype == np.float32
    assert np.allclose(examples.targets.sum(1), 1)
    first, second = np.arange(len(examples)), 0
    share = np.zeros(len(examples))
    if examples.pairs is not None:
        (first, second), share = examples.pairs.T, examples.share
        assert (examples.pairs.dtype, share.dtype) == (np.int32, np.float32)
    mass = ((1 - share[:, None]) * examples.targets[first] + share[:, None] * examples.targets[second]).sum(0)
    assert np.allclose(mass, [len(examples) / 2, 0, len(examples) / 2])
    assert np.array_equal(examples.x[: len(train)], train.x)
    assert len(examples.x) == len(train) * (1 + len(captions(name)))
    again = expand(train, name, seed=3)
    assert np.array_equal(examples.x, again.x)


@pytest.mark.parametrize(("expression", "expected"), [*zip(["none", *REPORTED], SIZES, strict=True)])
def test_published_sizes(hundred, expression, expected):
    assert size(expression, 100) == expected
    examples = expand(hundred, expression, seed=0)
    assert len(examples) == expected
    assert len(examples.x) <= 600


def test_flip_mirrors_left_and_right(train):
    examples = expand(train, "flip", seed=0)
    assert np.array_equal(examples.x[6:], train.x[:, :, ::-1])
    assert np.array_equal(examples.targets[6:], examples.targets[:6])
    twice = expand(Dataset(examples.x[6:], train.y, train.classes), "flip", seed=0)
    assert np.array_equal(twice.x[6:], train.x)


def test_rotation_is_exact(train):
    turned = expand(train, "rotation", seed=0).x.reshape(4, 6, 8, 8, 3)
    for quarters in range(4):
        assert np.array_equal(turned[quarters], np.rot90(train.x, quarters, axes=(1, 2)))
    x = train.x
    for _ in range(4):
        x = expand(Dataset(x, train.y, train.classes), "rotation", seed=0).x[6:12]
    assert np.array_equal(x, train.x)


def test_rotation_by_hand():
    image = np.repeat(np.array([[1, 2], [3, 4]], np.uint8)[..., None], 3, 2)
    x = expand(Dataset(image[None], np.array([0]), ("a", "b")), "rotation", seed=0).x[..., 0]
    assert x[1:].tolist() == [[[2, 4], [1, 3]], [[4, 3], [2, 1]], [[3, 1], [4, 2]]]


def test_isolated_channels_sum_to_the_original(train):
    alone = expand(train, "color-isolation", seed=0).x.reshape(4, 6, 8, 8, 3)[1:]
    assert np.array_equal(alone.sum(0), train.x)
    assert (alone > 0).any((1, 2, 3)).tolist() == np.eye(3, dtype=bool).tolist()


def test_a_channel_by_hand():
    image = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    assert ChannelIsolation(1, p=1)(image=image)["image"].tolist() == [[[0, 2, 0], [0, 5, 0]]]
    with pytest.raises(ValueError, match="no channel 3"):
        ChannelIsolation(3, p=1)(image=image)


def test_shuffled_quarters_keep_the_set_of_tiles(hundred):
    def quarters(image):
        return [image[i : i + 16, j : j + 16].tobytes() for i in (0, 16) for j in (0, 16)]

    orders = set()
    for image, shuffled in zip(hundred.x, expand(hundred, "patchshuffle", seed=0).x[100:], strict=True):
        before, after = quarters(image), quarters(shuffled)
        assert sorted(before) == sorted(after)
        orders.add(tuple(before.index(tile) for tile in after))
    assert len(orders) > 20  # of 24


@pytest.mark.parametrize("patch", [(16, 16), (2, 2), (5, 3)])
def test_shuffled_pixels_stay_in_their_patch(patch):
    image = np.arange(32 * 32 * 3, dtype=np.uint16).reshape(32, 32, 3)
    shuffled = PatchPixelShuffle(patch, p=1)(image=image)["image"]
    assert not np.array_equal(image, shuffled)
    for i in range(0, 32, patch[0]):
        for j in range(0, 32, patch[1]):
            before, after = (x[i : i + patch[0], j : j + patch[1]].reshape(-1, 3) for x in (image, shuffled))
            assert sorted(before.tolist()) == sorted(after.tolist())


def test_shuffled_pixels_by_hand():
    image = np.arange(8, dtype=np.uint8).reshape(2, 4)
    source = np.array([4, 1, 7, 3, 5, 0, 2, 6])
    assert PatchPixelShuffle()._key2func["image"](image, source=source).tolist() == [
        [4, 1, 7, 3],
        [5, 0, 2, 6],
    ]


def test_the_papers_share_of_images_is_shuffled(hundred):
    changed = (expand(hundred, "patchshuffle-paper", seed=0).x[100:] != hundred.x).any((1, 2, 3))
    assert 0 < changed.sum() < 15


def test_mixing_pairs_by_hand():
    x = np.array([0, 10], np.uint8)[:, None, None, None] * np.ones((2, 2, 2, 3), np.uint8)
    train = Dataset(x, np.array([0, 1]), ("a", "b"))
    for name, share in (("mixing", 0), ("mixing-soft", 0.5)):
        examples = expand(train, name, seed=0)
        assert examples.pairs.tolist() == [[0, 0], [1, 1], [0, 0], [0, 1], [1, 0], [1, 1]]
        assert examples.share.tolist() == [0, 0] + 4 * [share]
    inner = expand(train, "mixing(flip)+rotation", seed=0)
    assert len(inner.x) == 10
    assert inner.pairs[10:].tolist() == [[i, j] for i in range(4) for j in range(4)]


def test_an_inner_set_is_counted_once(train):
    examples = expand(train, "mixing(flip)+mixing-soft(flip)+flip", seed=0)
    assert len(examples.x) == 12
    assert len(examples) == size("mixing(flip)+mixing-soft(flip)+flip", 6) == 12 + 2 * 12**2


def test_a_term_draws_the_same_wherever_it_stands(train):
    alone = expand(train, "patchshuffle", seed=5).x[6:]
    assert np.array_equal(expand(train, "rotation+patchshuffle+flip", seed=5).x[24:30], alone)
    assert np.array_equal(expand(train, "mixing(patchshuffle)", seed=5).x[6:], alone)
    assert not np.array_equal(expand(train, "patchshuffle", seed=6).x[6:], alone)


def test_same_seed_same_bytes_in_another_process(train, saved):
    pipeline = saved(A.Compose([A.RandomBrightnessContrast(), A.GaussNoise()]))
    expression = f"mixing(patchshuffle+patchshuffle-pixels)+patchshuffle-paper+{pipeline}"
    code = (
        "import sys, hashlib, numpy as np\n"
        "from fewshot.augment.offline import expand\n"
        "from fewshot.data import Dataset\n"
        "x = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)\n"
        "train = Dataset(x, np.array([2, 0, 2, 0, 2, 0]), ('a', 'b', 'c'))\n"
        "made = expand(train, sys.argv[1], 7)\n"
        "print(hashlib.sha256(made.x.tobytes() + made.pairs.tobytes()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, expression], capture_output=True, text=True, check=True
    )
    here = expand(train, expression, 7)
    assert done.stdout.strip() == hashlib.sha256(here.x.tobytes() + here.pairs.tobytes()).hexdigest()


@pytest.mark.parametrize("form", ["yaml", "json"])
@pytest.mark.parametrize("transform", [ChannelIsolation(2, p=0.5), PatchPixelShuffle((4, 2), p=0.7)], ids=str)
def test_own_transforms_survive_saving(train, tmp_path, transform, form):
    pipeline = A.Compose([transform, A.HorizontalFlip()])
    A.save(pipeline, tmp_path / "saved", data_format=form)
    loaded = A.load(tmp_path / "saved", data_format=form)
    assert loaded.to_dict() == pipeline.to_dict()
    pipeline.set_random_seed(3)
    loaded.set_random_seed(3)
    for image in train.x:
        assert np.array_equal(pipeline(image=image)["image"], loaded(image=image)["image"])


def test_a_lone_file_gives_a_view_for_each_epoch(train, saved):
    for name in ("mine.yaml", "mine.yml", "mine.json"):
        expression = saved(A.HorizontalFlip(p=0.5), name)
        check(expression, (8, 8, 3))
        examples = expand(train, expression, seed=0, epochs=30)
        assert (examples.views, len(examples), len(examples.x)) == (30, size(expression, 6), 180)
        views = examples.x.reshape(30, *train.x.shape)
        flipped = (views != train.x).any((2, 3, 4))
        assert np.array_equal(views, np.where(flipped[..., None, None, None], train.x[:, :, ::-1], train.x))
        assert 60 < flipped.sum() < 120
        assert np.array_equal(examples.targets, np.tile(examples.targets[:6], (30, 1)))
    assert expand(train, expression, seed=0, epochs=1000).views == 100


def test_a_large_set_gets_as_many_views_as_fit_the_memory(saved, monkeypatch):
    expression = saved(A.HorizontalFlip(p=0.5))

    def views(n):
        x = np.arange(n * 6).astype(np.uint8).reshape(n, 1, 2, 3)
        examples = expand(Dataset(x, np.arange(n) % 2, ("a", "b")), expression, seed=0, epochs=100)
        assert (len(examples), len(examples.x)) == (n, n * examples.views)
        return examples.x.reshape(-1, *x.shape)

    hundred = views(100)
    assert len(hundred) == 100
    monkeypatch.setattr("fewshot.augment.offline.MAX_DRAWN", 1000)
    assert [len(views(n)) for n in (10, 300, 1000, 5000)] == [100, 3, 1, 1]
    assert np.array_equal(views(100), hundred[:10])


def test_a_file_in_a_combination_is_one_more_copy(train, saved):
    expression = f"flip + {saved(A.VerticalFlip(p=1))}"
    examples = expand(train, expression, seed=0, epochs=30)
    assert (examples.views, len(examples)) == (1, size(expression, 6)) == (1, 18)
    assert np.array_equal(examples.x[12:], train.x[:, ::-1])


def test_the_transforms_of_a_file_draw_independently(train, saved):
    """`Compose(seed=…)` seeds all transforms alike: then two flips always come together."""
    expression = saved(A.Compose([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)]))
    views = expand(train, expression, seed=0, epochs=50).x.reshape(50, *train.x.shape)
    kinds = [train.x, train.x[:, :, ::-1], train.x[:, ::-1], train.x[:, ::-1, ::-1]]
    counts = [(views == kind).all((2, 3, 4)).sum() for kind in kinds]
    assert sum(counts) == 300
    assert min(counts) > 40


def test_versions_name_all_that_determines_the_set(saved):
    expression = saved(A.HorizontalFlip(p=0.5))
    found = versions(f"mixing(flip+{expression})+rotation")
    with open(expression.removeprefix("albumentations:"), "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    assert found == {"mixing": 1, "flip": 1, "rotation": 1, expression: digest}
    assert canonical(" mixing( flip )  + rotation ") == "mixing(flip)+rotation"


BOXES = A.BboxParams(format="pascal_voc", label_fields=["labels"])


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (A.Compose([A.HorizontalFlip()], bbox_params=BOXES), "needs bounding boxes"),
        (A.Compose([A.HorizontalFlip()], keypoint_params=A.KeypointParams(format="xy")), "needs keypoints"),
        (A.MaskDropout(p=1), "image alone.*mask"),
        (A.Resize(16, 16), "size from 8×8×3 to 16×16×3"),
        (A.RandomScale(p=0.5), "size from 8×8×3"),
        (A.Normalize(), "type from uint8 to float32"),
        (A.RandomCrop(9, 9), "image alone"),
    ],
    ids=str,
)
def test_unfit_pipelines(train, saved, transform, message):
    expression = saved(transform)
    with pytest.raises(UsageError, match=message) as caught:
        check(expression, (8, 8, 3))
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=message):
        expand(train, expression, seed=0, epochs=50)


def _pipeline(**transform):
    return json.dumps({"__version__": "2.0.8", "transform": transform})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", None, "cannot read .*a.json: No such file"),
        ("a.json", "{", "broken"),
        ("a.yaml", "a: [", "broken"),
        ("a.yaml", "a: !!python/object/apply:os.getcwd []", "broken"),
        ("a.json", b"\xff\xfe{}", "broken"),
        ("a.json", "[]", "no albumentations pipeline"),
        ("a.yaml", "", "no albumentations pipeline"),
        ("a.json", _pipeline(p=1), "no albumentations pipeline"),
        ("a.json", _pipeline(__class_fullname__="Compose", transforms=3), "no albumentations pipeline"),
        ("a.json", _pipeline(__class_fullname__="Compose", transforms=[3]), "no albumentations pipeline"),
        ("a.json", _pipeline(__class_fullname__="HorizontalFlp", p=1), "did you mean 'HorizontalFlip'"),
        ("a.json", _pipeline(__class_fullname__="os.system"), "unknown transform 'os.system'"),
        ("a.json", _pipeline(__class_fullname__="Lambda"), "unknown transform"),
        ("a.json", _pipeline(__class_fullname__="Rotate", p=1, limits=3), "Rotate has no argument 'limits'"),
        ("a.json", _pipeline(__class_fullname__="HorizontalFlip", p=2), "no valid albumentations pipeline"),
        ("a.json", _pipeline(__class_fullname__="Resize", p=1), "no valid albumentations pipeline"),
    ],
)
def test_broken_files(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UsageError, match=message) as caught:
        check(f"albumentations:{path}", (32, 32, 3))
    assert "\n" not in str(caught.value)


def test_other_libraries_transforms_are_not_made(tmp_path):
    class Foreign(A.NoOp):
        pass

    Foreign.__module__ = "elsewhere"
    A.save(Foreign(p=1), tmp_path / "a.json")
    with pytest.raises(UsageError, match="unknown transform"):
        check(f"albumentations:{tmp_path / 'a.json'}", (32, 32, 3))


def test_images_that_an_expansion_cannot_take():
    check("flip+rotation+patchshuffle", (32, 32, 3))
    with pytest.raises(UsageError, match="patchshuffle needs sides that are multiples of 2"):
        check("flip+mixing(patchshuffle)", (33, 33, 3))
