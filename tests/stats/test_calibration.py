"""One temperature, whatever a few photos say; and no answer is certain."""

import numpy as np
import pytest

from fewshot.stats import calibration


def drawn(count, temperature, seed=0):
    """Return probabilities that are too sure by a temperature, and labels drawn from the true ones."""
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet([0.5] * 4, count)
    labels = (truth.cumsum(1) > rng.random((count, 1))).argmax(1)
    said = truth**temperature
    return (said / said.sum(1, keepdims=True)).astype(np.float16), labels


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_a_known_temperature_is_found_again(temperature):
    found = calibration.fit_temperature(*drawn(20_000, temperature))
    assert found == pytest.approx(temperature, rel=0.05)


def test_a_few_right_answers_are_no_certainty():
    said = np.tile([0.9, 0.1], (20, 1))
    temperature = calibration.fit_temperature(said, np.zeros(20, int))
    assert 0.95 < calibration.scaled(said, temperature)[0, 0] < 0.99
    with pytest.raises(ValueError, match="as many labels"):
        calibration.fit_temperature(said, np.zeros(3, int))


@pytest.mark.parametrize(("count", "outliers"), [(1244, 6), (100, 1)])
def test_a_few_that_are_surely_wrong_do_not_decide_for_the_rest(count, outliers):
    """Six such photos of 1,244 drove a temperature to 9.9, and all answers became unsure."""
    said, labels = drawn(count, 1.0)
    without = calibration.fit_temperature(said, labels)
    said[:outliers] = np.eye(4)[(labels[:outliers] + 1) % 4]
    assert calibration.fit_temperature(said, labels) == pytest.approx(without, rel=0.25)


def test_temperatures_stay_within_their_range_whatever_is_said():
    wrong = np.tile([1.0, 0.0], (50, 1))
    for labels in (np.ones(50, int), np.zeros(50, int)):
        assert 0.1 <= calibration.fit_temperature(wrong, labels) <= 10
    assert 0.1 <= calibration.fit_temperature(np.full((50, 2), 0.5), np.arange(50) % 2) <= 10


def test_predictions_of_one_image_count_as_one():
    said, labels = drawn(30, 3.0)
    once = calibration.fit_temperature(said, labels)
    many = calibration.fit_temperature(np.tile(said, (5, 1)), np.tile(labels, 5), np.full(150, 0.2))
    assert many == pytest.approx(once, rel=1e-3)


def test_temperatures_keep_the_order_and_the_sum_and_nothing_is_certain():
    said = np.random.default_rng(0).dirichlet([1] * 5, 50)
    scaled = calibration.scaled(said, 0.3)
    assert np.array_equal(scaled.argmax(1), said.argmax(1))
    np.testing.assert_allclose(scaled.sum(1), 1)
    np.testing.assert_allclose(calibration.scaled(said, 1), said, atol=2e-3)
    for classes in (2, 3, 60):
        assert 99.8 <= 100 * calibration.scaled(np.eye(classes), 0.1).max() <= 99.91


def test_the_calibration_error():
    labels = np.r_[np.zeros(80, int), np.ones(20, int)]
    assert calibration.calibration_error(np.tile([0.8, 0.2], (100, 1)), np.tile([0, 0, 0, 0, 1], 20)) == (
        pytest.approx(0, abs=1e-9)
    )
    assert calibration.calibration_error(np.tile([0.9, 0.1], (100, 1)), np.tile([0, 0, 0, 0, 1], 20)) == (
        pytest.approx(10)
    )
    sure = np.where((np.arange(100) < 80)[:, None], [1.0, 0.0], [0.3, 0.7])
    assert calibration.calibration_error(sure, labels) == pytest.approx(0.2 * 30)


@pytest.mark.parametrize("count", [36, 150, 900])
def test_the_error_that_chance_alone_gives(count):
    """Labels drawn from the probabilities themselves: about so large is the error on average."""
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), count)
    weights = rng.uniform(0.5, 1.5, count)
    drawn = [(probabilities.cumsum(1) > rng.random((count, 1))).argmax(1).clip(max=2) for _ in range(300)]
    errors = [calibration.calibration_error(probabilities, labels, weights) for labels in drawn]
    assert calibration.error_by_chance(probabilities, weights) == pytest.approx(np.mean(errors), rel=0.1)
    assert calibration.error_by_chance(np.eye(3)) == 0
