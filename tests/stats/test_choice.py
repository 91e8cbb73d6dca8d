"""Choosing among strategies: on everything that was asked, corrected for luck, within bounds."""

import numpy as np
import pytest

from fewshot.stats.choice import DRAWS, choose


def _right(prng, share, n=100):
    return (prng.random(n) < share).astype(float)


def test_who_was_asked_about_a_part_cannot_win_but_is_compared_on_it():
    prng = np.random.default_rng(0)
    labels, groups = np.repeat([0, 1], 50), np.arange(100)
    part = np.full(100, np.nan)
    part[25:75] = 1.0
    choice = choose({"all": _right(prng, 0.6), "part": part}, labels, groups)
    assert choice.winner == "all"
    assert choice.differences["part"].n == 50
    assert choice.differences["part"].interval[0] > 0
    assert choice.accuracies["part"].interval[1] == 100


def test_the_best_of_many_alike_is_no_better_than_they_are():
    """Twenty strategies that are all right on 70 of 100: the best looks better, and is told as what it is."""
    looks, told = [], []
    for seed in range(20):
        prng = np.random.default_rng(seed)
        right = {f"s{i}": _right(prng, 0.7) for i in range(20)}
        choice = choose(right, np.repeat([0, 1], 50), np.arange(100))
        looks.append(choice.accuracies[choice.winner].value)
        told.append(choice.accuracy.value)
    assert np.mean(looks) > 76
    assert abs(np.mean(told) - 70) < 2


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_bounds_are_shares_and_no_difference_is_no_certainty(share):
    right = np.full(40, share)
    choice = choose({"a": right, "b": right}, np.repeat([0, 1], 20), np.arange(40))
    low, high = choice.accuracy.interval
    assert 0 <= low < high <= 100
    assert choice.differences["b"].interval[0] < 0 < choice.differences["b"].interval[1]


def test_near_duplicates_count_once_in_differences():
    """One scene, photographed twenty times, on which the other is right: one photo's word, not twenty's."""
    labels, groups = np.repeat([0, 1], 30), np.r_[np.zeros(20, int), np.arange(1, 41)]
    other = np.ones(60)
    chosen = other.copy()
    chosen[:20] = 0
    other[30:58] = 0  # so that it is not chosen
    difference = choose({"chosen": chosen, "other": other}, labels, groups).differences["other"]
    assert difference.n == 41
    assert difference.value == pytest.approx(100 * (1 / 11 - 28 / 30) / 2)
    assert difference.interval[1] < 0


def test_too_few_photos_choose_nobody():
    assert choose({"a": np.ones(4)}, np.array([0, 0, 1, 1]), np.arange(4)) is None


def test_whole_draws_have_the_interval_of_their_mean():
    draws = {"a": np.array([0.8, 0.9, 0.7, 0.85]), "b": np.array([0.7, 0.8, np.nan, np.nan])}
    choice = choose(draws, np.full(4, DRAWS), np.arange(4))
    assert choice.winner == "a"
    assert choice.accuracies["a"].value == pytest.approx(81.25)
    assert choice.differences["b"].interval is None  # two draws
    assert choice.differences["b"].reason
