"""The measures of generated images, against other definitions and cases whose answer is known."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from gan import quality

RNG = np.random.default_rng(0)


def _features(n, mean=0.0, dimensions=6):
    return (RNG.standard_normal((n, dimensions)) + mean).astype(np.float32)


def test_kid_is_the_unbiased_discrepancy_pair_by_pair():
    real, fake = _features(5), _features(4, 0.5)

    def kernel(a, b):
        return (float(np.dot(a.astype(float), b)) / 6 + 1) ** 3

    within = [
        np.mean([kernel(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j])
        for x in (real, fake)
    ]
    between = np.mean([kernel(a, b) for a in real for b in fake])
    value, _ = quality.kid(real, fake)
    assert value == pytest.approx(sum(within) - 2 * between)


def test_kid_of_the_same_distribution_is_zero_on_average():
    values = [quality.kid(_features(40), _features(40))[0] for _ in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(200)
    assert min(values) < 0  # unbiased, so it may be


def test_kid_s_deviation_is_that_of_small_sets_and_repeats():
    real, fake = _features(100), _features(60, 1.0)
    value, deviation = quality.kid(real, fake)
    assert 0 < deviation < value
    assert quality.kid(real, fake) == (value, deviation)
    assert np.isnan(quality.kid(real[:3], fake)[1])  # no subset of two
    assert np.isfinite(quality.kid(real[:3], fake)[0])


def test_fid_is_the_textbook_s():
    real, fake = _features(50), _features(30, 0.7) * np.float32(1.5)
    first, second = np.cov(real.T), np.cov(fake.T)
    expected = ((real.mean(0) - fake.mean(0)) ** 2).sum() + np.trace(
        first + second - 2 * sqrtm(first @ second).real
    )
    assert quality.fid(real, fake) == pytest.approx(expected, rel=1e-4)
    assert quality.fid(real, real) == pytest.approx(0, abs=1e-4)


def test_density_and_coverage_of_known_cases():
    real = _features(200)
    density, coverage = quality.density_and_coverage(real, _features(200))
    assert 0.8 < density < 1.2
    assert coverage > 0.9
    assert quality.density_and_coverage(real, _features(200, 50.0)) == (0, 0)
    repeated = np.repeat(real[:1], 200, axis=0)
    assert quality.density_and_coverage(real, repeated)[1] < 0.1  # one image over and over covers little


def test_copies():
    train, held_out = _features(50), _features(400)
    assert quality.copies(train, held_out, train + 1e-4) == 100
    assert quality.copies(train, held_out, _features(400)) == pytest.approx(5, abs=5)
    assert quality.copies(train, held_out, _features(100, 9.0)) == 0


def test_directions_have_length_one_and_zero_stays():
    found = quality.directions(np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert np.allclose(found, [[0.6, 0.8], [0, 0]])


def test_the_nearest_training_image():
    train = np.array([[0.0, 0.0], [1.0, 1.0]])
    assert quality.nearest(train, np.array([[0.9, 0.8], [0.1, 0.2]])).tolist() == [1, 0]


def test_diversity():
    images = RNG.integers(0, 256, (50, 8, 8, 3)).astype(np.uint8)
    assert quality.diversity(images, images) == 1
    assert quality.diversity(images, images[:1].repeat(20, 0)) == 0
    assert quality.diversity(images, (images // 2).astype(np.uint8)) == pytest.approx(0.5, abs=0.01)
