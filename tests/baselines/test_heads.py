"""Heads for few photos: each equals plain scikit-learn on the whole features, and chooses honestly."""

import warnings

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.model_selection import LeaveOneGroupOut, PredefinedSplit
from sklearn.neighbors import NearestCentroid
from sklearn.svm import LinearSVC

from fewshot import baselines
from fewshot.baselines.classifiers import Head
from fewshot.baselines.dense import as_dense
from fewshot.baselines.heads import HEADS, Rotated, fit_head
from fewshot.baselines.heads.folds import deal
from fewshot.baselines.heads.ridge import PENALTIES
from fewshot.baselines.scales import SCALES, fit_scale
from fewshot.errors import UsageError

LINEAR = ("ridge-gcv", "logistic-cv", "lda", "svm")
WIDTH = 60


def rows(counts=(20, 12, 9), width=WIDTH, seed=0, apart=0.7):
    """Return features of overlapping classes and their labels."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    centres = rng.normal(size=(len(counts), width)) * apart
    return (centres[y] + rng.normal(size=(len(y), width)) * np.linspace(0.3, 2, width)) + 3, y


def fitted(name, x, y, groups=None, corrected=False, weights=None):
    """Return a head and what it was fitted to; corrected: scores of unequal classes are put right."""
    groups = np.arange(len(y)) if groups is None else groups
    rotated = Rotated(x, y, groups, deal(y, groups, 0), weights)
    rotated.uneven &= corrected
    return fit_head(name, rotated), rotated


def answers(head, x):
    return softmax(x @ head.kernel + head.bias, 1)


def directions(scores):
    """Return scores without what all classes share, and without their length."""
    scores = scores - scores.mean(1, keepdims=True)
    return scores / np.linalg.norm(scores)


@pytest.fixture(params=[(20, 12), (20, 12, 9)], ids=["two", "three"])
def three(request):
    return rows(request.param)


def weights_of(y):
    return len(y) / (y.max() + 1) / np.bincount(y)[y]


def test_ridge_is_scikit_learns(three):
    x, y = three
    head, rotated = fitted("ridge-gcv", x, y)
    plain = RidgeClassifierCV(PENALTIES * rotated.square, class_weight="balanced").fit(x, y)
    assert plain.alpha_ == pytest.approx(head.chosen)
    new = rows(np.bincount(y), seed=1)[0]
    scores = plain.decision_function(new)
    scores = np.stack([-scores, scores], 1) if scores.ndim == 1 else scores
    np.testing.assert_allclose(directions(new @ head.kernel + head.bias), directions(scores), atol=1e-7)


def test_logistic_is_scikit_learns(three):
    """With the same folds the same C is best, and the whole fit is the same."""
    x, y = three
    head, rotated = fitted("logistic-cv", x, y)
    weights = weights_of(y)
    held_out = np.zeros(head.held_out.shape)
    for train, test in PredefinedSplit(rotated.folds).split():
        model = LogisticRegression(C=head.chosen, tol=1e-8, max_iter=10000)
        held_out[test] = model.fit(x[train], y[train], weights[train]).predict_proba(x[test])
    np.testing.assert_allclose(head.held_out, held_out, atol=0.05)  # what chooses is solved roughly
    plain = LogisticRegression(C=head.chosen, tol=1e-8, max_iter=10000).fit(x, y, weights)
    new = rows(np.bincount(y), seed=1)[0]
    np.testing.assert_allclose(answers(head, new), plain.predict_proba(new), atol=3e-3)


def test_lda_is_scikit_learns(three):
    x, y = three
    head, _ = fitted("lda", x, y)
    means = np.stack([x[y == label].mean(0) for label in np.unique(y)])
    within = (x - means[y]) * np.sqrt(weights_of(y))[:, None]

    class Shrunk:
        """One covariance for all classes."""

        def fit(self, rows):
            self.covariance_, _ = ledoit_wolf(within, assume_centered=True)
            return self

    classes = len(means)
    plain = LinearDiscriminantAnalysis(
        solver="lsqr", covariance_estimator=Shrunk(), priors=np.full(classes, 1 / classes)
    ).fit(x, y)
    new = rows(np.bincount(y), seed=1)[0]
    scores = plain.decision_function(new)
    scores = np.stack([-scores / 2, scores / 2], 1) if scores.ndim == 1 else scores
    np.testing.assert_allclose(directions(new @ head.kernel + head.bias), directions(scores), atol=1e-6)


def test_svm_is_scikit_learns(three):
    x, y = three
    head, _ = fitted("svm", x, y)
    plain = LinearSVC(C=head.chosen, dual=False, tol=1e-9, max_iter=100000, intercept_scaling=1000)
    centred = x - x.mean(0)  # where the penalty on its constant, which ours has not, is smallest
    plain.fit(centred, y, weights_of(y))
    new = rows(np.bincount(y), seed=1)[0]
    scores = plain.decision_function(new - x.mean(0))
    scores = np.stack([-scores, scores], 1) if scores.ndim == 1 else scores
    np.testing.assert_allclose(directions(new @ head.kernel + head.bias), directions(scores), atol=1e-3)


def test_centroid_is_scikit_learns(three):
    x, y = three
    head, _ = fitted("centroid", x, y)
    new = rows(np.bincount(y), seed=1)[0]
    assert np.array_equal(answers(head, new).argmax(1), NearestCentroid().fit(x, y).predict(new))


def test_ridge_leaves_out_all_rows_of_a_photo():
    """In closed form what a refit for every photo gives; rows of a photo, and unequal classes, count."""
    x, y = rows((6, 5))
    x, y = np.concatenate([x, x + 0.1]), np.tile(y, 2)
    photos = np.tile(np.arange(11), 2)
    photos[photos == 3] = 2  # near-duplicates of each other
    head, _ = fitted("ridge-gcv", x, y, photos)
    weights = weights_of(y)
    scores = np.zeros(len(y))
    for train, test in LeaveOneGroupOut().split(x, y, photos):
        from sklearn.linear_model import Ridge

        model = Ridge(head.chosen).fit(x[train], 2.0 * y[train] - 1, weights[train])
        scores[test] = model.predict(x[test])
    found = np.log(head.held_out[:, 1] / head.held_out[:, 0])
    np.testing.assert_allclose(found / np.linalg.norm(found), scores / np.linalg.norm(scores), atol=1e-6)


@pytest.mark.parametrize("name", HEADS)
def test_held_out_probabilities_never_saw_the_photo(name):
    """Labels that follow from nothing are not predicted, though the heads fit them."""
    x = np.repeat(np.random.default_rng(0).normal(size=(40, 100)), 2, 0)
    y, photos = np.repeat(np.arange(40) % 2, 2), np.repeat(np.arange(40), 2)
    head, _ = fitted(name, x, y, photos)
    assert (head.held_out.argmax(1) == y).mean() < 0.75
    assert -np.log(head.held_out[np.arange(80), y]).mean() < 1.5, "sure of nothing"


@pytest.mark.parametrize("name", HEADS)
def test_classes_weigh_alike(name):
    """Of unequal classes that overlap, the small one is not given up."""
    x, y = rows((200, 40), width=8, apart=0.35)
    head, _ = fitted(name, x, y, corrected=True)
    new, labels = rows((500, 500), width=8, apart=0.35)
    right = answers(head, new).argmax(1) == labels
    assert abs(right[labels == 0].mean() - right[labels == 1].mean()) < 0.25


@pytest.mark.parametrize("name", HEADS)
def test_few_photos_of_a_class_among_many_features_are_found(name):
    """Weights alone leave new photos of the small class to the large one: what is held out shows it."""
    x, y = rows((20, 200), width=400, apart=0.14)
    new, labels = rows((500, 500), width=400, apart=0.14, seed=0)
    recalls = {}
    for corrected in (False, True):
        right = answers(fitted(name, x, y, corrected=corrected)[0], new).argmax(1) == labels
        recalls[corrected] = right[labels == 0].mean(), right[labels == 1].mean()
    assert np.mean(recalls[True]) >= np.mean(recalls[False]) - 0.01
    assert abs(np.diff(recalls[True])) < 0.25


@pytest.mark.parametrize("name", HEADS)
def test_classes_as_frequent_as_they_come_are_answered_as_often(name):
    x, y = rows((200, 40), width=8, apart=0.2)
    new, _ = rows((1000, 200), width=8, apart=0.2)
    alike, _ = fitted(name, x, y, corrected=True)
    natural, _ = fitted(name, x, y, corrected=True, weights=np.ones(len(y)))
    often = [(answers(head, new).argmax(1) == 1).mean() for head in (alike, natural)]
    assert often[0] > often[1] + 0.05
    assert abs(answers(natural, new)[:, 1].mean() - 1 / 6) < 0.05


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("counts", [(1, 1), (1, 2), (3, 1, 2), (2, 2), (40, 1), (3,) * 60])
def test_very_few_photos(name, counts):
    x, y = rows(counts, width=30, apart=3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        head, _ = fitted(name, x, y, corrected=True)
    shares = answers(head, x)
    assert np.isfinite(shares).all()
    assert (shares.argmax(1) == y).mean() > 0.9
    assert np.isnan(head.held_out).all(1).sum() == sum(n for n in counts if n == 1)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("x", [np.zeros((12, 5)), np.full((12, 5), 1e3), np.repeat(np.eye(2), 6, 0)])
def test_rows_that_are_equal(name, x):
    y = np.arange(12) // 6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        head, _ = fitted(name, x, y)
        for scale in SCALES:
            scaled = fit_scale(scale, x)(x)
            assert np.isfinite(scaled).all()
            fitted(name, scaled, y)
    shares = answers(head, x)
    assert np.isfinite(shares).all()
    if not x.std(0).any():
        np.testing.assert_allclose(shares, 0.5, atol=1e-6)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("counts", [(20, 12), (20, 12, 9)], ids=["two", "three"])
def test_a_weight_of_two_is_a_row_that_stands_there_twice(name, counts, monkeypatch):
    """Discriminant analysis and centroids once took no notice of weights."""
    # How much a covariance is shrunk follows from how many rows there are, too.
    monkeypatch.setattr(
        "fewshot.baselines.heads.means.shrunk_covariance", lambda rows, width, n: (rows.T @ rows / n, 0.1)
    )
    x, y = rows(counts)
    weights = np.random.default_rng(0).integers(1, 4, len(y))
    photos = np.arange(len(y)).repeat(weights)
    folds = deal(y, np.arange(len(y)), 0)
    weighted = Rotated(x, y, np.arange(len(y)), folds, weights.astype(float))
    repeated = Rotated(x[photos], y[photos], photos, folds[photos], np.ones(len(photos)))
    plain = Rotated(x, y, np.arange(len(y)), folds, np.ones(len(y)))
    weighted.uneven = repeated.uneven = plain.uneven = False
    found, twice, once = (directions(x @ fit_head(name, of).kernel) for of in (weighted, repeated, plain))
    np.testing.assert_allclose(found, twice, atol=2e-3)
    assert np.abs(once - twice).max() > 4 * np.abs(found - twice).max()


@pytest.mark.parametrize("name", HEADS)
def test_weights_of_a_head(name):
    """What has weight 0 is not there."""
    x, y = rows((20, 12))
    x, y = np.concatenate([x, x[:3] + 50]), np.append(y, [1, 1, 1])
    weights = np.append(np.ones(32), np.zeros(3))
    found = Head(name).fit(x, y, weights)
    np.testing.assert_allclose(found.coef_, Head(name).fit(x[:32], y[:32], weights[:32]).coef_)
    assert found.score(x[:32], y[:32]) > 0.9
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        Head(name).fit(x, y, -weights)


def test_folds_are_dealt_by_group_and_class():
    y = np.repeat([0, 1, 2], [20, 11, 1])
    groups = np.arange(32)
    groups[[0, 1, 25]] = 0  # near-duplicates, one of another class
    folds = deal(y, groups, 0)
    assert folds[0] == folds[1] == folds[25]
    assert folds[31] == -1
    assert set(folds[:31]) == {0, 1, 2, 3, 4}
    for label in (0, 1):
        assert np.ptp(np.bincount(folds[y == label])) <= 2
    assert np.array_equal(deal(y, groups, 0), folds)
    assert not np.array_equal(deal(y, groups, 1), folds)
    assert (deal(np.array([0, 0, 1, 1]), np.zeros(4, int), 0) == -1).all()


def test_no_feature_outvotes_the_others():
    """One that hardly varies in training, and does later: its deviation counts as a usual one."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 50))
    x[:, 0] *= 1e-5
    new = rng.normal(size=(10, 50))
    assert np.abs(fit_scale("zscore", x)(new)).max() < 10


@pytest.mark.parametrize("name", ["ridge", "logistic", "centroid", *LINEAR])
def test_an_odd_new_photo_does_not_make_answers_sure(name):
    rng = np.random.default_rng(0)
    y = np.arange(24) % 2
    x = rng.normal(size=(24, 400))
    x[:, 0] = 1e-4 * y  # tells the classes apart, and hardly varies
    model = baselines.build(name, 0).fit(x, y)
    usual = rng.normal(size=(50, 400))
    usual[:, 0] = 0
    odd = usual.copy()
    odd[:, 0] = 1
    shares = [baselines.probabilities(model, rows, 2)[:, 0] for rows in (usual, odd)]
    assert np.median(np.abs(shares[0] - shares[1])) < 0.1


@pytest.mark.parametrize("name", LINEAR)
def test_scales_are_settings(name):
    x, y = rows()
    for scale in SCALES:
        found = baselines.build(f"{name}:scale={scale}", 0).fit(x, y).predict_proba(x)
        scaled = fit_scale(scale, x)(x)
        head, _ = fitted(name, scaled, y, corrected=True)
        np.testing.assert_allclose(answers(head, scaled), found, atol=1e-6)
    with pytest.raises(UsageError, match="centred-l2"):
        baselines.build(f"{name}:scale=centered-l2", 0)


DENSE = ["ridge", "logistic", "centroid", *(f"{name}:scale={scale}" for name in LINEAR for scale in SCALES)]


@pytest.mark.parametrize("name", DENSE)
def test_heads_become_dense_layers(name):
    x, y = rows()
    model = baselines.build(name, 0).fit(x, y)
    dense = baselines.estimators[name.partition(":")[0]].traits.get("dense")
    scale, kernel, bias = as_dense(model, WIDTH, dense)
    wanted = baselines.probabilities(model, x, 3)
    np.testing.assert_allclose(softmax(scale(x) @ kernel + bias, 1), wanted, atol=1e-4)
    assert (scale.kind == "l2") == name.endswith("l2")


@pytest.mark.parametrize("width", [WIDTH, 20], ids=["wide", "tall"])
@pytest.mark.parametrize("name", HEADS)
def test_axes_in_single_precision_give_the_same_answers(name, width, monkeypatch):
    x, y = rows(width=width)
    exact, _ = fitted(name, x, y)
    monkeypatch.setattr("fewshot.baselines.heads.rotated.MANY", 10)
    rough, rotated = fitted(name, x, y)
    assert rotated.precision == np.float32
    np.testing.assert_allclose(answers(rough, x), answers(exact, x), atol=2e-4)
    np.testing.assert_allclose(rough.held_out, exact.held_out, atol=2e-4)
