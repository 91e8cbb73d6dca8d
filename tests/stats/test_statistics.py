import itertools
import math
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats as scipy_stats

from fewshot.errors import UsageError
from fewshot.stats.comparison import ACCURACIES, analyse, holm, least_p, paired, photos_of, summary


@dataclass(frozen=True)
class Outcome:
    """What the statistics need of a trial."""

    seed: int
    accuracy: float | None
    balanced_accuracy: float | None = None
    ok: bool = True
    seconds: float = 2.0
    n_train: int | None = 100
    updates: int | None = 1000
    images_seen: int | None = 32000
    classes: tuple[str, ...] = ("a", "b")
    n_test: int | None = None
    n_pool: int | None = None


def failure(seed):
    return Outcome(seed, None, ok=False, n_train=None, updates=None, images_seen=None)


def records(accuracies):
    return [Outcome(seed, accuracy) for seed, accuracy in enumerate(accuracies)]


def test_summary_by_hand():
    s = summary([60, 70, 80])
    half = 4.302652729911275 * 10 / math.sqrt(3)  # t(0.975, 2), from a table
    assert (s.n, s.mean, s.std) == (3, 70, 10)
    assert s.ci95 == pytest.approx((70 - half, 70 + half))


def test_summary_agrees_with_scipy():
    values = np.random.default_rng(0).normal(70, 5, 12)
    interval = scipy_stats.t.interval(0.95, 11, values.mean(), scipy_stats.sem(values))
    assert summary(values).ci95 == pytest.approx(interval)


def test_summary_leaves_undefined_what_too_few_values_cannot_say():
    assert (summary([70.5]).mean, summary([70.5]).std, summary([70.5]).ci95) == (70.5, None, None)
    assert (summary([]).n, summary([]).mean, summary([]).std, summary([]).ci95) == (0, None, None, None)


def test_intervals_end_where_accuracies_end():
    assert summary([97.0, 99.0, 100.0], limits=ACCURACIES).ci95[1] == 100
    assert summary([0.0, 2.0, 1.0], limits=ACCURACIES).ci95[0] == 0
    assert summary([97.0, 99.0, 100.0]).ci95[1] > 100
    base, a = analyse({"base": records([2, 1, 0, 0]), "a": records([99, 100, 100, 97])}, "base")
    assert (base.ci95[0], a.ci95[1]) == (0, 100)
    assert a.delta.ci95[1] <= 100


def test_two_values_far_apart_are_too_few_to_say():
    """Differences of 10 and 90 once gave [-458.2, 558.2]."""
    assert summary([40.0, 90.0], limits=ACCURACIES).ci95 is None
    assert paired({0: 10.0, 1: 90.0}, {0: 0.0, 1: 0.0}).ci95 is None
    assert paired({0: 10.0, 1: 11.0}, {0: 0.0, 1: 0.0}).ci95 == pytest.approx((4.15, 16.85), abs=0.01)


def test_equal_values_have_an_interval_of_no_width():
    assert summary([70, 70, 70]).ci95 == (70, 70)


def on_few_photos(accuracies, n_test=12, n_pool=40):
    return [Outcome(seed, accuracy, n_test=n_test, n_pool=n_pool) for seed, accuracy in enumerate(accuracies)]


def test_all_right_on_forty_photos_is_no_certainty():
    """Ten draws, each of twelve of the same forty photos: once [100.0, 100.0]."""
    base, same = analyse({"base": on_few_photos([100] * 10), "same": on_few_photos([100] * 10)}, "base")
    assert base.photos == 40
    low, high = base.ci95
    assert low < 92
    assert high == 100
    assert same.delta.ci95[0] < -5
    assert same.delta.ci95[1] > 5
    nearly = analyse({"base": on_few_photos([100] * 9 + [100 * 11 / 12])}, "base")[0]
    assert nearly.ci95[0] < 92


def test_two_equal_differences_are_no_certainty():
    """Once [-2.2, -2.2]."""
    base, other = on_few_photos([90.0, 90.0], 45, 90), on_few_photos([87.8, 87.8], 45, 90)
    low, high = analyse({"base": base, "other": other}, "base")[1].delta.ci95
    assert low < -4
    assert high > -1


def test_equal_values_on_nobody_knows_how_many_photos_are_too_few_to_say():
    assert analyse({"base": records([100, 100, 100])}, "base")[0].ci95 is None


def test_many_photos_leave_the_interval_to_the_draws():
    values = [70.0, 75.0, 68.0, 80.0]
    drawn = [Outcome(i, a, classes=(f"{i}", "b"), n_test=700, n_pool=10_000) for i, a in enumerate(values)]
    result = analyse({"base": drawn}, "base")[0]
    assert result.photos == 2800
    assert result.ci95 == summary(values).ci95


def test_photos_of_a_class_are_the_same_ones_in_draws_of_other_classes():
    """Pairs of five classes of ten photos were once ninety and more of these fifty."""
    pairs = [*itertools.combinations("abcde", 2), ("b", "a")]
    drawn = [Outcome(i, 70.0, classes=pair, n_test=20, n_pool=20) for i, pair in enumerate(pairs)]
    assert photos_of(drawn) == 50
    assert photos_of([drawn[0], drawn[-1]]) == 20


def test_a_difference_is_on_the_photos_of_the_shared_seeds_alone():
    base, method = on_few_photos([90.0, 90.0], 10, 90), on_few_photos([87.8] * 9, 10, 90)
    alone = analyse({"base": base, "method": method[:2]}, "base")[1].delta
    assert analyse({"base": base, "method": method}, "base")[1].delta.ci95 == alone.ci95


def test_paired_agrees_with_scipy():
    rng = np.random.default_rng(1)
    base, other = rng.normal(65, 5, 10), rng.normal(68, 5, 10)
    found = paired(dict(enumerate(other)), dict(enumerate(base)))
    assert found.p == pytest.approx(scipy_stats.wilcoxon(other, base, method="exact").pvalue)
    interval = scipy_stats.ttest_rel(other, base).confidence_interval(0.95)
    assert found.ci95 == pytest.approx((interval.low, interval.high))
    assert (found.n, found.mean, found.wins) == (
        10,
        pytest.approx((other - base).mean()),
        (other > base).sum(),
    )


def test_with_ties_and_zeros_p_is_scipys():
    """The values for 10 and 13 pairs are SciPy's, which takes seconds for them."""
    rng = np.random.default_rng(0)
    for n in (2, 3, 4, 5, 6):
        for differences in rng.integers(-2, 5, (4, n)):
            found = paired(dict(enumerate(differences)), dict.fromkeys(range(n), 0))
            assert found.p == (scipy_stats.wilcoxon(differences).pvalue if differences.any() else 1)
    ten = [1, 2, 2, -1, 3, 0, 4, 4, -2, 5]
    assert paired(dict(enumerate(ten)), dict.fromkeys(range(10), 0)).p == 0.05078125
    assert paired(dict(enumerate([*ten, 7, 7, -1])), dict.fromkeys(range(13), 0)).p == 0.01708984375


def test_ten_wins_of_ten_reach_the_exact_p():
    found = paired({seed: 61.0 + seed for seed in range(10)}, dict.fromkeys(range(10), 60.0))
    assert found.p == pytest.approx(2 / 2**10)
    assert found.wins == 10


def test_paired_uses_the_shared_seeds_only():
    found = paired({0: 70, 1: 80, 2: 90}, {1: 70, 2: 85, 3: 10})
    assert (found.n, found.mean, found.wins) == (2, 7.5, 2)


def test_ties_are_no_wins_and_do_not_break_on_float_noise():
    # 71.3 - 70.2 is not 61.3 - 60.2 in floats; as ties, the exact p of ranks 1.5, 1.5, 3 is 2 / 2³.
    found = paired({0: 71.3, 1: 61.3, 2: 55.0, 3: 50.0}, {0: 70.2, 1: 60.2, 2: 50.0, 3: 50.0})
    assert found.wins == 3
    assert found.p == pytest.approx(2 / 2**3)


def test_methods_that_never_differ_have_p_one():
    same = dict.fromkeys(range(10), 66.0)
    assert (paired(same, same).p, paired(same, same).wins) == (1.0, 0)


def test_paired_is_undefined_below_two_pairs():
    one, none = paired({0: 70}, {0: 60}), paired({0: 70}, {1: 60})
    assert (one.n, one.mean, one.std, one.ci95, one.p, one.wins) == (1, 10, None, None, None, 1)
    assert (none.n, none.mean, none.std, none.ci95, none.p, none.wins) == (0, None, None, None, None, 0)


def test_holm_by_hand():
    # sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04; the last may not fall below the third
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_least_p():
    assert least_p(10, 1) == pytest.approx(0.001953125)
    assert least_p(10, 24) == pytest.approx(0.046875)
    assert least_p(10, 26) > 0.05
    assert least_p(1, 1) == least_p(3, 100) == 1.0


def test_the_least_p_is_what_a_method_that_wins_everywhere_gets():
    study = {"baseline": records([60] * 8), "better": records(range(61, 69)), "same": records([60] * 8)}
    better = analyse(study, "baseline")[1]
    assert better.delta.p == pytest.approx(least_p(8, 2))


def test_analyse_keeps_the_order_and_gives_the_baseline_no_delta():
    study = {"b": records([70, 80]), "base": records([60, 65]), "a": records([50, 55])}
    results = analyse(study, "base")
    assert [result.method for result in results] == ["b", "base", "a"]
    assert [result.delta and result.delta.mean for result in results] == [12.5, None, -10]
    assert [(r.n_train, r.updates, r.images_seen, r.seconds) for r in results] == [
        (100, 1000, 32000, 2.0)
    ] * 3


def test_failed_trials_are_counted_and_enter_no_mean_and_no_pair():
    study = {"base": [failure(0), *records([60, 70, 80])[1:]], "a": [*records([99, 75]), failure(2)]}
    base, a = analyse(study, "base")
    assert (base.n, base.failed, base.mean) == (2, 1, 75)
    assert (a.n, a.failed, a.mean) == (2, 1, 87)
    assert (a.delta.n, a.delta.mean) == (1, 5)
    assert len(a.records) == 3


def test_a_method_that_always_fails_is_a_row_without_numbers():
    base, a = analyse({"base": records([60, 70]), "a": [failure(0), failure(1)]}, "base")
    assert (a.n, a.failed, a.mean, a.seconds, a.n_train, a.delta.p) == (0, 2, None, None, None, None)
    assert base.n == 2


def test_holm_counts_only_comparisons_that_were_tested():
    study = {"base": records([60] * 6), "a": records(range(61, 67)), "failed": [failure(0)]}
    assert analyse(study, "base")[1].delta.p == pytest.approx(2 / 2**6)


def test_analyse_compares_the_metric_asked_for():
    study = {"base": [Outcome(0, 90, balanced_accuracy=50.0)], "a": [Outcome(0, 80, balanced_accuracy=60.0)]}
    a = analyse(study, "base", metric="balanced_accuracy")[1]
    assert (a.metric, a.mean, a.delta.mean) == ("balanced_accuracy", 60, 10)


def test_a_baseline_that_did_not_run_is_a_usage_error():
    with pytest.raises(UsageError, match="did you mean 'baseline'"):
        analyse({"baseline": records([60])}, "basline")


def test_importing_the_statistics_and_reports_is_light():
    modules = (
        "fewshot.stats.comparison, fewshot.report.table, fewshot.report.plots.figures, fewshot.report.result"
    )
    code = f"import sys, {modules}; print('scipy' in sys.modules or 'matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
