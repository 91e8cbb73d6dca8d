"""Photos to label next: unsure ones that differ, the same for the same seed."""

import numpy as np
import pytest

from fewshot.inspection.selection import doubt, select


@pytest.fixture
def pool():
    """300 photos of six scenes; the model is unsure of the first three scenes alone."""
    rng = np.random.default_rng(0)
    scene = np.arange(300) % 6
    features = 5 * np.eye(16)[scene] + rng.normal(0, 0.3, (300, 16))
    first = np.where(scene < 3, rng.uniform(0.5, 0.6, 300), rng.uniform(0.97, 1, 300))
    return scene, features, np.column_stack([first, 1 - first])


def test_unsure_photos_of_different_scenes(pool):
    scene, features, probabilities = pool
    chosen = select(features, probabilities, 3)
    assert sorted(scene[chosen].tolist()) == [0, 1, 2]
    assert set(scene[select(features, probabilities, 15)].tolist()) == {0, 1, 2}


def test_the_least_sure_first(pool):
    _, features, probabilities = pool
    unsure = doubt(probabilities)[select(features, probabilities, 10)]
    assert (np.diff(unsure) <= 0).all()


def test_the_seed_decides(pool):
    _, features, probabilities = pool
    np.testing.assert_array_equal(
        select(features, probabilities, 9, 1), select(features, probabilities, 9, 1)
    )


@pytest.mark.parametrize("n", [1, 5, 40, 299, 300, 1000])
def test_as_many_as_asked_for_or_all(pool, n):
    _, features, probabilities = pool
    chosen = select(features, probabilities, n)
    assert len(chosen) == len(set(chosen.tolist())) == min(n, 300)


def test_equal_photos():
    assert len(select(np.ones((30, 4)), np.full((30, 2), 0.5), 5)) == 5
    twice = np.repeat(np.eye(4), 10, 0)
    assert len(select(twice, np.full((40, 2), 0.5), 8)) == 8


def test_doubt():
    np.testing.assert_allclose(doubt(np.array([[1.0, 0, 0], [0.4, 0.4, 0.2], [0.6, 0.3, 0.1]])), [0, 1, 0.7])
