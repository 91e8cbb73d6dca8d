"""Choosing on some draws, reporting others."""

import numpy as np
import pytest

from fewshot.stats.comparison import half_width
from fewshot.stats.selection import (
    APART,
    Pool,
    choosing,
    extrapolate,
    hopeless,
    leader,
    reporting,
    standings,
    verdict,
)


def _scores(*values):
    return dict(enumerate(values))


def test_draws_alternate():
    scores = _scores(1, 2, 3, 4, 5)
    assert choosing(scores) == {0: 1, 2: 3, 4: 5}
    assert reporting(scores) == {1: 2, 3: 4}


def test_the_leader_leads_on_the_choosing_draws_alone():
    scores = {"lucky": _scores(90, 0, 90, 0), "steady": _scores(80, 99, 80, 99)}
    assert leader(scores) == "lucky"
    assert standings(scores, {})[0].accuracy.mean == 0  # and is reported as it did on the others


def test_a_method_with_fewer_choosing_draws_does_not_lead():
    assert leader({"late": _scores(99), "early": _scores(90, 90, 90)}) == "early"
    assert leader({"none": {}}) is None


def test_the_reported_mean_is_not_flattered():
    """Twenty equal methods of pure noise: the winner's choosing mean is too high, its reported one is not."""
    rng = np.random.default_rng(0)
    chosen, reported = [], []
    for _ in range(300):
        scores = {str(m): _scores(*rng.normal(70, 5, 10)) for m in range(20)}
        best = leader(scores)
        chosen.append(np.mean(list(choosing(scores[best]).values())))
        reported.append(standings(scores, {})[0].accuracy.mean)
    assert np.mean(chosen) > 73
    assert np.mean(reported) == pytest.approx(70, abs=0.5)


def test_a_method_is_stopped_after_five_draws_at_least():
    good, bad = _scores(90, 91, 90, 92, 91), _scores(60, 90, 61, 90, 62)
    assert hopeless({"good": good, "bad": bad}, ["good", "bad"]) == ["bad"]
    four = {name: {d: s for d, s in own.items() if d < 4} for name, own in (("good", good), ("bad", bad))}
    assert hopeless(four, ["good", "bad"]) == []
    noisy = _scores(60, 90, 100, 90, 80)
    assert hopeless({"good": good, "noisy": noisy}, ["good", "noisy"]) == []


def test_the_verdict_says_what_can_be_told():
    scores = {
        "a": _scores(95, 94, 96, 95, 95, 96, 95, 95),
        "b": _scores(94, 95, 95, 94, 96, 95, 95, 96),
        "c": _scores(80, 70, 81, 71, 80, 72, 81, 70),
        "d": _scores(50, 50, 51, 50, 50),
    }
    table = standings(scores, {"d": 5})
    assert [row.method for row in table] == ["a", "b", "c", "d"]
    assert table[3].stopped == 5
    text = verdict(table)
    assert text.startswith("Use a: 95.0 % ± 0.8 over 4 draws, 95 % interval of the mean 93.7–96.3.")
    assert "Not distinguishable from it: b." in text
    assert "Worse: c, d." in text


def test_a_stop_without_a_clear_difference_is_no_verdict():
    scores = {"a": _scores(95, 90, 96, 90, 95, 90), "b": _scores(91, 80, 92, 89, 91)}
    text = verdict(standings(scores, {"b": 5}))
    assert "Worse" not in text
    assert "Stopped early, behind on the choosing draws: b (after 5 draws)." in text


def test_draws_of_the_same_images_widen_the_intervals():
    scores = {"a": _scores(95, 94, 96, 96, 95, 95), "b": _scores(94, 93, 95, 94, 94, 94)}
    apart, alike = (standings(scores, {}, pool) for pool in (APART, Pool(0.5, 10)))
    for one, other in ((apart[0].accuracy, alike[0].accuracy), (apart[1].to_winner, alike[1].to_winner)):
        assert np.diff(other.ci95)[0] == pytest.approx(np.diff(one.ci95)[0] * (1 + 3 * 0.5) ** 0.5)
    bounded = standings(scores, {}, Pool(1e9, 1000))[0].accuracy
    added = bounded.mean * (100 - bounded.mean) / 1000  # no more than the binomial variance
    assert bounded.ci95[1] - bounded.mean == pytest.approx(half_width((bounded.std**2 + 3 * added) ** 0.5, 3))


def test_a_stop_that_the_reporting_draws_do_not_bear_out_is_said():
    scores = {
        "a": _scores(95, 90, 96, 90, 95, 90),
        "b": _scores(91, 93, 92, 94, 91),
    }
    text = verdict(standings(scores, {"b": 5}))
    assert "Worse" not in text
    assert "Stopped on the choosing draws, but no worse on the reporting ones: b (after 5 draws)" in text


def test_who_is_ahead_on_the_reporting_draws_alone_is_named():
    scores = {"a": _scores(95, 90, 96, 90, 95, 91), "b": _scores(94, 95, 95, 94, 95, 96)}
    text = verdict(standings(scores, {}))
    assert text.startswith("Use a: ")
    assert "Ahead on the reporting draws, though not on those that choose: b (+4.7)" in text
    assert "Not distinguishable" not in text


def test_looking_after_every_draw_stops_few_equals():
    """Two equal methods, forty looks: five pairs of a hundred; with intervals of 95 % it would be 22."""
    rng = np.random.default_rng(0)
    unlucky = 0
    for _ in range(100):
        draws = rng.normal(80, 3, (2, 40))
        for count in range(5, 41):
            scores = {"a": _scores(*draws[0, :count]), "b": _scores(*draws[1, :count])}
            if hopeless(scores, ["a", "b"]):
                unlucky += 1
                break
    assert unlucky <= 12


def test_one_draw_gives_a_verdict_that_says_so():
    assert "longer budget" in verdict(standings({"a": _scores(90), "b": _scores(80)}, {}))


def test_what_more_images_would_bring():
    curve = {n: 100 - 80 * n**-0.5 for n in (10, 20, 50)}
    gain, exponent = extrapolate(curve)
    assert exponent == pytest.approx(0.5)
    assert gain == pytest.approx(80 * (50**-0.5 - 100**-0.5))
    assert extrapolate({10: 80.0, 20: 90.0}) is None
    assert extrapolate({10: 90.0, 20: 90.0, 50: 80.0}) is None
