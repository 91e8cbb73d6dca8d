"""Prediction sets hold what they promise; what is unlike all photos is refused."""

import json

import numpy as np
import pytest

from experiments.saved_model import RULES
from fewshot.stats.conformal import SHARES, Novelty, PredictionSets, prediction_sets


def predicted(count, seed, classes=4):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet([0.4] * classes, count)
    labels = (rng.dirichlet([0.4] * classes, count) + probabilities).argmax(1)
    return probabilities, labels


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_sets_hold_the_class_of_as_many_new_photos_as_stated(coverage):
    shares, sizes = [], []
    for seed in range(60):
        sets = prediction_sets(*predicted(60, seed), coverage=coverage)
        new, truth = predicted(500, 1000 + seed)
        named = sets.of(new)
        shares.append(named[np.arange(500), truth].mean())
        sizes.append(named.sum(1).mean())
    assert coverage - 0.01 <= np.mean(shares) <= coverage + 0.03
    assert 1 <= np.mean(sizes) < 4


def test_an_answer_is_never_empty_and_too_few_photos_leave_no_class_out():
    assert PredictionSets(0.9, 0.99).of(np.array([[0.6, 0.4]])).tolist() == [[True, False]]
    few = prediction_sets(np.tile([0.9, 0.1], (8, 1)), np.zeros(8, int))
    assert few.of(np.array([[1.0, 0.0]])).all()
    nine = prediction_sets(np.tile([0.9, 0.1], (9, 1)), np.zeros(9, int))
    assert nine.least_probability == 0.9


def test_repeats_and_near_duplicates_bring_no_photos():
    probabilities, labels = predicted(8, 0)
    again = prediction_sets(np.stack([probabilities] * 10), labels)
    assert again.least_probability == 0
    copies = prediction_sets(np.repeat(probabilities, 5, 0), np.repeat(labels, 5), np.repeat(np.arange(8), 5))
    assert copies.least_probability == 0
    assert prediction_sets(np.repeat(probabilities, 5, 0), np.repeat(labels, 5)).least_probability > 0


def clusters(count, seed, centres=(0, 1, 2), width=40):
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(99).normal(size=(6, width))
    label = rng.integers(0, len(centres), count)
    return np.maximum(directions[np.array(centres)[label]] + rng.normal(0, 0.3, (count, width)), 0)


def test_a_stated_share_of_known_photos_is_refused_and_others_are():
    known, other = [], []
    for seed in range(20):
        novelty = Novelty.fit(clusters(90, seed))
        known.append(novelty.refused(clusters(400, 100 + seed)).mean())
        other.append(novelty.refused(clusters(400, 200 + seed, (3, 4, 5))).mean())
    assert 0.01 < np.mean(known) < 0.07
    assert np.mean(other) > 0.95


def test_what_shows_nothing_is_refused():
    novelty = Novelty.fit(clusters(60, 0))
    rng = np.random.default_rng(0)
    assert novelty.refused(np.stack([np.ones(40), np.zeros(40), rng.exponential(size=40)])).all()


def test_near_duplicates_do_not_vouch_for_one_another():
    x = clusters(30, 0)
    tripled, groups = np.repeat(x, 4, 0), np.repeat(np.arange(30), 4)
    apart, alike = Novelty.fit(tripled, groups), Novelty.fit(tripled)
    assert alike.threshold < 1e-3
    assert apart.threshold > 0.05


def test_both_are_plain_json():
    novelty, sets = Novelty.fit(clusters(50, 1)), prediction_sets(*predicted(50, 1))
    new = clusters(100, 2)
    again = Novelty.from_json(json.loads(json.dumps(novelty.to_json())))
    assert np.array_equal(again.distance(new), novelty.distance(new))
    assert again.threshold == novelty.threshold
    assert PredictionSets.from_json(json.loads(json.dumps(sets.to_json()))) == sets


def test_many_photos_are_kept_as_some():
    novelty = Novelty.fit(clusters(500, 1))
    assert novelty.references.shape == (400, 40)
    assert 0.01 < novelty.refused(clusters(500, 2)).mean() < 0.1


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": "a"},
        {"threshold": float("nan")},
        {"photos": 7},
        {"photos": 0},
        {"references": ""},
        {"references": "§"},
        {"references": 3},
        {"references": "AHwAfA==", "photos": 1},  # infinite
    ],
)
def test_what_is_no_novelty_is_refused(change):
    with pytest.raises(ValueError, match=r"threshold|references|base64|Only|decod|ASCII"):
        Novelty.from_json(Novelty.fit(clusters(50, 1)).to_json() | change)


def test_what_are_no_sets_is_refused():
    with pytest.raises(ValueError, match="coverage: expected a number from 0 to 1"):
        PredictionSets.from_json({"coverage": True, "least_probability": 0.5})


def test_the_most_similar_photos_come_first():
    known = clusters(30, 1)
    novelty = Novelty.fit(known)
    positions, cosines = novelty.nearest(3 * known[17], count=4)
    assert positions[0] == 17
    assert round(cosines[0], 2) == 1
    assert (np.diff(cosines) <= 0).all()
    assert Novelty.chosen(30).tolist() == list(range(30))
    assert len(Novelty.chosen(1000)) == 400


def test_rules_for_none_of_these_refuse_the_share_that_they_name():
    novelty = Novelty.fit(clusters(300, 1))
    again = Novelty.from_json(json.loads(json.dumps(novelty.to_json())))
    new = clusters(2000, 2)
    assert (again.refusing(0.05).refused(new) == novelty.refused(new)).all()
    for share in SHARES:
        assert again.refusing(share).refused(new).mean() == pytest.approx(share, abs=0.04)
    assert not again.refusing(0).refused(clusters(100, 3, (3, 4, 5))).any()
    with pytest.raises(ValueError, match="no threshold"):
        again.refusing(0.3)
    assert tuple(round(100 * share) for share in (0, *SHARES)) == RULES
    older = {name: part for name, part in novelty.to_json().items() if name != "thresholds"}
    assert Novelty.from_json(older).others == {}
