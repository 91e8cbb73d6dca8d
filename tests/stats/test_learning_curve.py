"""Accuracy by training images a class, carried on."""

import numpy as np
import pytest

from fewshot.stats.intervals import Estimate
from fewshot.stats.learning_curve import fit


def powers(exponent=0.5, level=80.0, shots=(5, 10, 20), spread=0.0, draws=6, seed=0):
    rng = np.random.default_rng(seed)
    return {n: 100 - level * n**-exponent + rng.normal(0, spread, draws) for n in shots}


def test_a_power_law_is_found_and_carried_on():
    curve = fit(powers())
    assert curve.law[1] == pytest.approx(0.5)
    for shots in (5, 50, 200):
        value, low, high = curve.at(shots)
        assert value == pytest.approx(100 - 80 * shots**-0.5)
        assert low <= value <= high
    assert curve.error_ratio(45, 50) == pytest.approx((50 / 45) ** -0.5)
    assert curve.shots_for(90.0) == 64  # 80 / √64 = 10


def test_the_curve_is_carried_on_from_what_today_s_photos_gave():
    """Its errors fall as the curve says, from where the photos out of fold stand."""
    curve, today = fit(powers(spread=1.0)), Estimate(90.0, 100, (80.0, 95.0))
    same, more = (curve.carried_on(50, today, shots) for shots in (50, 200))
    assert same.value == 90.0
    assert more.value == pytest.approx(100 - 10 * curve.error_ratio(50, 200))
    assert more.interval[0] < more.value < more.interval[1] <= 100


def test_what_these_features_do_not_reach():
    curve = fit(powers())
    assert curve.shots_for(95.0) == 256
    assert curve.shots_for(98.0) is None  # 1,600 a class, of curves up to 20
    assert curve.shots_for(100.0) is None
    assert curve.shots_for(10.0) == 1
    flat = fit({5: [70.0], 10: [69.0], 20: [68.0]})
    assert flat.law[1] == 0
    assert flat.shots_for(95.0) is None
    assert flat.error_ratio(20, 50) == 1
    assert flat.at(50)[0] == pytest.approx(flat.at(5)[0])


def test_intervals_stay_within_bounds_and_grow_with_the_distance():
    curve = fit(powers(0.9, 40, spread=2.0))
    widths = [np.ptp(curve.at(shots)[1:]) for shots in (20, 100)]
    errors = [100 - curve.at(shots)[0] for shots in (20, 100)]
    assert widths[1] / errors[1] > widths[0] / errors[0]
    for shots in (1, 5, 50, 10_000):
        value, low, high = curve.at(shots)
        assert 0 <= low <= value <= high <= 100
    assert fit({5: [100.0] * 3, 10: [100.0] * 3, 20: [100.0] * 3}).at(50)[2] <= 100


def test_few_photos_are_said_to_be_few():
    points = powers(spread=1.0)
    assert np.ptp(fit(points, photos=60).at(50)[1:]) > 1.5 * np.ptp(fit(points).at(50)[1:])


def test_too_few_points_give_no_curve():
    assert fit({5: [60.0], 10: [70.0]}) is None
    assert fit({5: [60.0], 10: [70.0], 20: []}) is None


def test_fifty_are_foretold_from_twenty():
    """Noisy draws of a known law: the interval holds the accuracy at 50 a class in nine of ten cases."""
    held, errors = 0, []
    for seed in range(100):
        value, low, high = fit(powers(0.4, 70, (3, 5, 8, 12, 20), 3.0, 8, seed)).at(50)
        truth = 100 - 70 * 50**-0.4
        errors.append(abs(value - truth))
        held += low <= truth <= high
    assert held >= 90
    assert np.mean(errors) < 2
