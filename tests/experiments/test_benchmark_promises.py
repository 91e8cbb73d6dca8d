"""`experiments.benchmark --promises`: cuts and what is told of them."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.benchmark import promises
from fewshot.data import Dataset


class Nearest:
    """The nearest class mean of the pixels, in place of heads on features."""

    def fit(self, images, seed):
        self.means = np.stack([images.x[images.y == label].mean(0) for label in range(len(images.classes))])
        return self

    def predict(self, x):
        distance = np.square(x[:, None] - self.means).mean((2, 3, 4)) / 50
        likelihood = np.exp(distance.min(1, keepdims=True) - distance)
        return likelihood / likelihood.sum(1, keepdims=True)


@pytest.fixture
def images(monkeypatch):
    """Three classes of 100 noisy images each; the first ten of each class are one scene."""
    monkeypatch.setattr(promises, "_learner", Nearest)
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    x = (100 + 12 * y[:, None, None, None] + rng.normal(0, 60, (300, 4, 4, 3))).clip(0, 255).astype(np.uint8)
    groups = np.where(np.arange(300) < 30, y, np.arange(300))
    return Dataset(x, y, ("a", "b", "c"), groups)


def test_a_cut_takes_one_photo_of_a_scene_and_leaves_none_of_it(images):
    chosen, rest = promises.cut(images, 25, 0)
    assert np.bincount(chosen.y).tolist() == [25, 25, 25]
    assert len(set(chosen.groups)) == 75
    assert not set(chosen.groups) & set(rest.groups)
    again, _ = promises.cut(images, 25, 0)
    other, _ = promises.cut(images, 25, 1)
    assert (chosen.x == again.x).all()
    assert not (chosen.x == other.x).all()


def test_what_is_promised_is_held_against_the_rest(images):
    rows = [promises.kept(*promises.cut(images, 25, seed), seed) for seed in range(6)]
    assert sum(row["held"] for row in rows) >= 500
    for row in rows:
        assert 40 < row["real"] < 70
        assert row["apart"] == pytest.approx(abs(row["promised"] - row["real"]))
        assert row["ece"] < row["ece_before"]  # these means are far too sure
        assert 0 < row["ece_by_chance"] < 30


def test_flipped_labels_are_looked_for(images):
    clear = replace(images, x=(images.y[:, None, None, None] * 80 + images.x // 10).astype(np.uint8))
    row = promises.found_labels(promises.cut(clear, 50, 0)[0], 0.1, 0)
    assert row["recall"] > 80
    assert row["precision"] > 80


def test_the_table_names_what_was_measured():
    numbers = "held recall_held width promised real apart ece ece_before ece_by_chance"
    cut = dict.fromkeys(numbers.split(), 1.0)
    labels = [{"flipped": 0.05, "recall": 50.0, "precision": 80.0, "suspected": 3.0}]
    others = {"auroc": 0.9, "refused": 60.0, "known_refused": 5.0, "blank_refused": 100.0}
    text = promises.table({"cuts": [{"shots": 12, **cut}], "labels": labels, "others": others})
    assert "| 12 | 1.0 % |" in text
    assert "| 5% | 50 % | 80 % | 3.0 |" in text
    assert "AUROC 0.900" in text
    assert "AUROC" not in promises.table({"cuts": [{"shots": 12, **cut}], "labels": [], "others": None})
