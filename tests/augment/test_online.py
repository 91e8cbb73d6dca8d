"""Online policies: what each layer does to a draw that the test makes, and what all policies keep."""

import numpy as np
import pytest

from fewshot.augment import online
from fewshot.augment.online import policies
from fewshot.data.protocols import Protocol
from fewshot.errors import UsageError
from fewshot.learners.keras_network import KerasLearner
from fewshot.seeding import seed_globally
from fewshot.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("started")


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (4, 6, 8, 3)).astype("float32")
    return x, np.eye(3, dtype="float32")[[0, 1, 2, 0]]


def run(policy, x, y):
    for layer in policy:
        x, y = layer(x, y)
    return np.asarray(x), np.asarray(y)


@pytest.mark.parametrize("name", list(policies))
def test_every_policy(name):
    x = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3)).astype("float32")
    y = np.eye(3, dtype="float32")[np.arange(40) % 3]
    seed_globally(1)
    policy = online.build(name)
    before = x.copy()
    first, labels = run(policy, x, y)
    second, _ = run(policy, x, y)
    assert np.array_equal(x, before)
    assert first.shape == x.shape
    assert first.dtype == np.float32
    if policies[name].traits.get("bounded", True):
        assert first.min() >= -1e-3
        assert first.max() <= 255 + 1e-3
    assert np.allclose(labels.sum(1), 1, atol=1e-5)
    seed_globally(1)
    again, _ = run(online.build(name), x, y)
    assert np.array_equal(first, again)
    assert name == "none" or not np.array_equal(first, second)


def test_policies_one_after_the_other(batch):
    kinds = [type(layer).__name__ for layer in online.build("flip+cutout+mixup")]
    assert kinds == ["Flip", "Cutout", "Mixup"]
    with pytest.raises(UsageError, match="unknown online policy 'cuotut': did you mean 'cutout'"):
        online.versions("flip+cuotut")


def test_flip(batch):
    from fewshot.augment.online.geometry import Flip

    x, y = batch
    flipped, labels = Flip().apply(x, y, np.array([True, False, True, False]))
    expected = x.copy()
    expected[[0, 2]] = x[[0, 2], :, ::-1]
    assert np.array_equal(flipped, expected)
    assert np.array_equal(labels, y)


def test_shift_reflects_like_padding(batch):
    from fewshot.augment.online.geometry import Shift

    x, y = batch
    shifts = np.array([[0, 0], [2, -3], [-1, 1], [3, 3]], "int32")
    shifted = np.asarray(Shift(3).apply(x, y, shifts)[0])
    padded = np.pad(x, ((0, 0), (3, 3), (3, 3), (0, 0)), "reflect")
    for i, (down, right) in enumerate(shifts):
        assert np.array_equal(shifted[i], padded[i, 3 - down : 9 - down, 3 - right : 11 - right])


def test_the_identity_matrix_changes_nothing_and_a_half_turn_turns(batch):
    from fewshot.augment.online.geometry import Affine
    from fewshot.augment.pixels import resample

    x, y = batch
    identity = np.tile(np.eye(2, 3, dtype="float32"), (4, 1, 1))
    assert np.allclose(Affine(15).apply(x, y, identity)[0], x, atol=1e-3)
    assert np.allclose(resample(x, -identity), x[:, ::-1, ::-1], atol=1e-3)


def test_recolor_by_hand():
    """(100, 50, 200): grey 82.05. Brightness 2, contrast 0.5, saturation 0.5, one pixel a constant image."""
    from fewshot.augment.pixels import recolor

    x = np.tile(np.array([100, 50, 200], "float32"), (1, 4, 4, 1))
    one, half, two = (np.array([value], "float32") for value in (1, 0.5, 2))
    assert np.allclose(recolor(x, one, one, one), x, atol=1e-3)
    assert np.allclose(recolor(x, two, one, one)[0, 0, 0], [200, 100, 255], atol=1e-3)
    grey = 0.299 * 100 + 0.587 * 50 + 0.114 * 200
    expected = 0.5 * np.array([100, 50, 200]) + 0.5 * grey
    assert np.allclose(recolor(x, one, half, one)[0, 0, 0], expected, atol=1e-3)
    assert np.allclose(recolor(x, one, one, half)[0, 0, 0], expected, atol=1e-3)


def test_cutout_and_erasing_fill_their_boxes(batch):
    from fewshot.augment.online.erasing import FILL, Cutout, Erasing

    x, y = batch
    centres = np.array([[0.5, 0.5], [0, 0], [1, 1], [0.5, 0]], "float32")
    cut = np.asarray(Cutout(0.5).apply(x, y, centres)[0])
    filled = (cut == FILL).all(-1)
    assert filled[0].nonzero()[0].min() == 2
    assert filled.sum((1, 2)).tolist() == [8, 2, 2, 4]
    assert np.array_equal(cut[~filled], x[~filled])
    sides = np.array([[1, 1], [0, 0], [0, 0], [0, 0]], "float32")
    noise = np.full((1, 6, 8, 3), 7.0, "float32")
    erased = np.asarray(Erasing().apply(x, y, centres, sides, noise)[0])
    assert (erased[0] == 7).all()
    assert np.array_equal(erased[1:], x[1:])


def test_mixup_and_cutmix_share_labels_as_pixels(batch):
    from fewshot.augment.online.mixing import CutMix, Mixup

    x, y = batch
    share = np.array([1, 0, 0.25, 0.5], "float32")
    mixed, labels = (np.asarray(v) for v in Mixup(0.2).apply(x, y, share))
    assert np.allclose(mixed[0], x[0])
    assert np.allclose(mixed[1], x[0])
    assert np.allclose(mixed[2], 0.25 * x[2] + 0.75 * x[1], atol=1e-3)
    assert np.allclose(labels[2], [0, 0.75, 0.25])
    centres, side = np.full((4, 2), 0.5, "float32"), np.array([0, 1, 0.5, 0], "float32")
    cut, labels = (np.asarray(v) for v in CutMix(1).apply(x, y, centres, side))
    assert np.array_equal(cut[0], x[0])
    assert np.array_equal(cut[1], x[0])
    assert (cut[2] != x[2]).any(-1).sum() == 8
    assert np.allclose(labels[2], [0, 8 / 48, 40 / 48])


def test_patchshuffle_keeps_each_patch_s_pixels(batch):
    from fewshot.augment.online.patches import PatchShuffle

    x, y = batch
    layer = PatchShuffle(patch=2, share=1.0)
    moved, order = layer.sample(4, x.shape[1:])
    shuffled = np.asarray(layer.apply(x, y, moved, order)[0])
    patches = [
        v.reshape(4, 3, 2, 4, 2, 3).transpose(0, 1, 3, 2, 4, 5).reshape(4, 12, 4, 3) for v in (x, shuffled)
    ]
    assert not np.array_equal(x, shuffled)
    for a, b in zip(*(p.reshape(-1, 4, 3) for p in patches), strict=True):
        assert sorted(map(tuple, a)) == sorted(map(tuple, b))
    odd = x[:, :5, :7]
    kept = np.asarray(layer.apply(odd, y, *layer.sample(4, odd.shape[1:]))[0])
    assert np.array_equal(kept[:, 4], odd[:, 4])
    assert np.array_equal(kept[:, :, 6], odd[:, :, 6])


def test_randaugment_operations_by_hand(batch):
    from fewshot.augment.online.randaugment import RandAugment

    x, y = batch
    layer = RandAugment(operations=1, magnitude=0.5)
    drawn = np.zeros((4, layer.KINDS), "float32")
    drawn[[0, 1, 2, 3], [0, 9, 11, 10]] = 1
    made = np.asarray(layer.apply(x, y, drawn, np.ones_like(drawn))[0])
    assert np.allclose(made[0], x[0], atol=1e-3)
    assert np.allclose(made[1] % 4, 0, atol=1e-3)
    assert np.allclose(made[2], 255 - x[2], atol=1e-3)
    assert np.allclose(made[3], np.where(x[3] > 127.5, 255 - x[3], x[3]), atol=1e-3)


def trivial(x, kind, strength):
    """Return images after one operation of TrivialAugment, the same for all."""
    from fewshot.augment.online.trivialaugment import TrivialAugment

    n = len(x)
    drawn = np.full(n, kind, "int32"), np.full(n, strength, "float32")
    return np.asarray(TrivialAugment().apply(x, np.eye(n, dtype="float32"), *drawn)[0])


def test_trivialaugment_equalises_and_sharpens_as_pillow_does():
    from PIL import Image, ImageEnhance, ImageOps

    from fewshot.augment.online import trivialaugment as ta

    rng = np.random.default_rng(0)
    x = np.clip(rng.normal(120, 40, (4, 20, 24, 3)), 0, 255).astype("uint8")
    x[1], x[2, ..., 0] = 7, rng.integers(0, 3, (20, 24))  # one value; three values
    pictures = [Image.fromarray(image) for image in x]
    expected = np.stack([np.asarray(ImageOps.equalize(picture)) for picture in pictures])
    assert np.array_equal(trivial(x.astype("float32"), ta.EQUALISE, 0.3), expected)
    for strength in (-1, 0.5):
        factor = 1 + ta.FACTOR * strength
        expected = np.stack([np.asarray(ImageEnhance.Sharpness(p).enhance(factor)) for p in pictures])
        sharpened = trivial(x.astype("float32"), ta.SHARPNESS, strength)
        assert np.allclose(sharpened, expected, atol=1.5)  # Pillow rounds twice


def test_trivialaugment_operations_by_hand(batch):
    from fewshot.augment.online import trivialaugment as ta

    x = batch[0]
    for kind in range(ta.KINDS):
        made = trivial(x, kind, 0)  # 48 pixels are too few to be equalised
        assert np.allclose(made, x, atol=1e-3) == (kind != ta.AUTOCONTRAST), (
            kind
        )  # 48 pixels are too few to equalise
    assert np.allclose(trivial(x, ta.IDENTITY, 1), x, atol=1e-3)
    assert np.array_equal(trivial(x, ta.POSTERISE, 1) % 64, np.zeros_like(x))  # two bits are left
    assert np.allclose(trivial(x, ta.SOLARISE, 1), 255 - x, atol=1e-3)
    assert np.allclose(trivial(x, ta.SOLARISE, 0.5), np.where(x >= 127.5, 255 - x, x), atol=1e-3)
    stretched = trivial(x, ta.AUTOCONTRAST, 0.5)
    assert np.allclose(stretched.min((1, 2)), 0, atol=1e-3)
    assert np.allclose(stretched.max((1, 2)), 255, atol=1e-3)
    moved = trivial(x, ta.TRANSLATE_X, 2 / 8)
    assert np.allclose(moved[:, :, :6], x[:, :, 2:], atol=1e-3)
    assert np.allclose(trivial(x, ta.BRIGHTNESS, -1), x * (1 - ta.FACTOR), atol=1e-3)


def test_trivialaugment_draws_every_operation_and_strength():
    from fewshot.augment.online import trivialaugment as ta

    kind, strength = (np.asarray(v) for v in ta.TrivialAugment().sample(20_000, (8, 8, 3)))
    assert sorted(set(kind.tolist())) == list(range(ta.KINDS))
    levels = np.unique(np.round(np.abs(strength) * (ta.LEVELS - 1), 3))
    assert np.array_equal(levels, np.arange(ta.LEVELS))
    assert 0.45 < (strength < 0).mean() < 0.55


def test_trivialaugment_trains_inside_the_graph(task):
    learner = KerasLearner("baseline:width=4", Recipe(epochs=2, batch=30, online="trivialaugment"))
    assert np.isfinite(learner.fit(task.train, 0).fitted.curve["loss"]).all()


def test_a_policy_repeats_with_its_seed_and_leaves_the_weights_alone(blobs):
    task = Protocol().sample_task(blobs, 0)
    strong = KerasLearner(recipe=Recipe(epochs=5, online="strong"))
    first = strong.fit(task.train, 0).predict(task.test.x)
    strong.fit(task.train, 1)
    assert np.array_equal(strong.fit(task.train, 0).predict(task.test.x), first)
    plain = KerasLearner(recipe=Recipe(epochs=5)).fit(task.train, 0)
    plain._engine.reset(0)
    strong._engine.reset(0)
    for a, b in zip(plain._engine.weights(), strong._engine.weights(), strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(plain.predict(task.test.x), first)
