"""The patch features: against a plain reading of their definition."""

import numpy as np
import pytest

from fewshot import baselines
from fewshot.baselines.patches import CONTRAST, Patches
from fewshot.errors import UsageError


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
