"""The patch features: against a plain reading of their definition."""

import numpy as np
import pytest

from fewshot import baselines
from fewshot.baselines.patches import CONTRAST, Patches
from fewshot.data import Dataset
from fewshot.errors import UsageError
from fewshot.learners.estimator import EstimatorLearner


def rows(n=6, side=12, seed=0):
    return np.random.default_rng(seed).random((n, side * side * 3), np.float32)


def by_hand(fitted, image, row, column):
    """Return what passes of the answers to one patch, positive and negative."""
    size = fitted.size
    patch = image[row : row + size, column : column + size].reshape(-1).astype(float)
    patch = (patch - patch.mean()) / np.sqrt(patch.var() + CONTRAST)
    answer = fitted.filters_ @ (fitted.whitening_ @ (patch - fitted.mean_))
    return np.array([np.maximum(sign * answer - fitted.threshold, 0) for sign in (1, -1)])


@pytest.mark.parametrize("pool", [1, 2])
def test_the_features_are_pooled_answers(pool):
    x = rows()
    fitted = Patches(count=5, size=4, threshold=0.1, pool=pool, random_state=0).fit(x)
    found = fitted.transform(x[:2]).reshape(2, 2, pool, pool, 5)
    image = x[1].reshape(12, 12, 3)
    edges = {1: [0, 9], 2: [0, 4, 9]}[pool]  # 9 × 9 places
    for i in range(pool):
        for j in range(pool):
            places = [
                by_hand(fitted, image, row, column)
                for row in range(edges[i], edges[i + 1])
                for column in range(edges[j], edges[j + 1])
            ]
            assert found[1, :, i, j] == pytest.approx(np.mean(places, 0), abs=1e-5)


def test_whitened_patches_have_no_correlations(monkeypatch):
    monkeypatch.setattr("fewshot.baselines.patches.WHITENING", 1e-9)
    x = rows(40)
    fitted = Patches(count=2000, size=2, random_state=0).fit(x)
    # The filters are whitened patches: before they are made of one length, their covariance is the identity,
    # but for the one direction that patches without a mean do not have.
    strengths = np.linalg.eigvalsh(np.cov(fitted.filters_, rowvar=False))
    assert strengths[0] == pytest.approx(0, abs=1e-4)
    assert np.allclose(strengths[1:], 1 / 11, rtol=0.15)
    assert np.allclose(np.linalg.norm(fitted.filters_, axis=1), 1, atol=1e-5)


def test_features_do_not_depend_on_what_else_is_transformed():
    x = rows(20)
    fitted = Patches(count=5, random_state=0).fit(x)
    assert np.allclose(fitted.transform(x)[13:15], fitted.transform(x[13:15]), atol=1e-6)


def test_the_seed_decides_the_filters():
    x = rows()
    first, again, other = (baselines.build("patches:count=7", seed).fit(x, [0, 1] * 3) for seed in (1, 1, 2))
    assert np.array_equal(first["patches"].filters_, again["patches"].filters_)
    assert not np.array_equal(first["patches"].filters_, other["patches"].filters_)


def test_constant_images_have_features():
    x = np.full((3, 192), 0.5, np.float32)
    assert np.isfinite(Patches(count=5, random_state=0).fit(x).transform(x)).all()


def test_unfit_input():
    with pytest.raises(UsageError, match="square colour images"):
        Patches().fit(rows()[:, :400])
    with pytest.raises(UsageError, match="400 patches of 13×13 pixels"):
        Patches(size=13).fit(rows())
    bad = rows()
    bad[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        Patches().fit(bad)


@pytest.mark.parametrize("side", [12, 13])  # places that two regions divide evenly, and not
def test_symmetric_features_are_the_mean_over_an_image_and_its_mirror_image(side):
    images = np.random.default_rng(0).random((6, side, side, 3), np.float32)
    x, mirrored = images.reshape(6, -1), images[:, :, ::-1].reshape(6, -1)
    fitted = Patches(count=7, size=4, threshold=0.1, levels=2, symmetric=True, random_state=0).fit(x)
    plain = Patches(count=14, size=4, threshold=0.1, levels=2, random_state=0).fit(x)
    plain.whitening_, plain.mean_, plain.filters_ = fitted.whitening_, fitted.mean_, fitted.filters_
    one, other = (plain.transform(part).reshape(6, 2 * 13, 14)[..., :7] for part in (x, mirrored))
    assert fitted.transform(x).reshape(6, 26, 7) == pytest.approx((one + other) / 2, abs=1e-5)
    assert np.allclose(fitted.transform(x), fitted.transform(mirrored), atol=1e-5)


def test_levels_stand_side_by_side_and_are_raised_to_a_power():
    x = rows()
    parts = [Patches(count=5, size=4, pool=pool, random_state=0).fit(x).transform(x) for pool in (2, 3)]
    both = Patches(count=5, size=4, pool=2, levels=2, power=0.5, random_state=0).fit(x).transform(x)
    expected = [part.reshape(6, 2, -1) for part in parts]
    assert both == pytest.approx(np.sqrt(np.concatenate(expected, 2)).reshape(6, -1), abs=1e-6)
    with pytest.raises(UsageError, match="10 regions a side do not fit"):
        Patches(size=4, pool=9, levels=2).fit(x)


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize(
    "text", ["patches:count=9", "patches:count=9,levels=2,power=0.5,size=5,symmetric,threshold=0.5"]
)
def test_patches_become_a_keras_model(text):
    images = np.random.default_rng(0).integers(0, 256, (12, 20, 20, 3), np.uint8)
    images[0] = 255  # without any contrast
    learner = EstimatorLearner(text).fit(Dataset(images, np.arange(12) % 2, ("a", "b")), 0)
    model = learner.keras_model((20, 20, 3))
    assert np.asarray(model(images.astype(np.float32))) == pytest.approx(learner.predict(images), abs=1e-4)
