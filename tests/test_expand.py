"""Expansions: the set grows as its name says; same seed, same set; the task's images stay as they are."""

import numpy as np
import pytest

from fewshot.augment.expand import expand, expansions
from fewshot.data import Dataset


@pytest.fixture
def train():
    x = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
    return Dataset(x, np.array([2, 0, 2, 0, 2, 0]), ("a", "b", "c"))


@pytest.mark.parametrize("name", list(expansions))
def test_every_expansion(train, name):
    before = train.x.copy()
    examples = expand(train, name, seed=3)
    assert np.array_equal(train.x, before)
    assert examples.x.dtype == np.uint8
    assert examples.x.shape[1:] == train.x.shape[1:]
    assert len(examples) % len(train) == 0
    assert examples.targets.shape == (len(examples), 3)
    assert np.allclose(examples.targets.sum(1), 1)
    assert examples.targets[:, 0].sum() == examples.targets[:, 2].sum() == len(examples) / 2
    assert np.array_equal(examples.x[: len(train)], train.x)
    again = expand(train, name, seed=3)
    assert np.array_equal(examples.x, again.x)


def test_flip_mirrors_left_and_right(train):
    examples = expand(train, "flip", seed=0)
    assert len(examples) == 12
    assert np.array_equal(examples.x[6:], train.x[:, :, ::-1])
    assert np.array_equal(examples.targets[6:], examples.targets[:6])
