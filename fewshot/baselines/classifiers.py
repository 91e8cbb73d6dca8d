"""scikit-learn estimators that the registered ones are made of: scales that cannot explode, and the heads."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from fewshot.baselines.heads import Rotated, fit_head
from fewshot.baselines.heads.folds import deal
from fewshot.baselines.scales import ScaleName, floored


class FlooredScaler(StandardScaler):
    """Standardises features; no deviation counts as less than `fewshot.baselines.scales.floored` says."""

    def fit(self, X, y=None, sample_weight=None):
        """Compute the means and deviations."""
        super().fit(X, y, sample_weight)
        self.scale_ = floored(np.sqrt(self.var_))
        return self


class FlooredCentroid(NearestCentroid):
    """The nearest class mean; deviations within the classes, which probabilities count in, are floored."""

    def fit(self, X, y):
        """Compute the class means and the deviations within."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*within_class_std_dev_")
            super().fit(X, y)
        self.within_class_std_dev_ = floored(self.within_class_std_dev_)
        return self


class Head(ClassifierMixin, BaseEstimator):
    """One of `fewshot.baselines.heads`, as scikit-learn has classifiers.

    Attributes of the fitted head: `classes_`, `coef_` (C, D) and `intercept_` (C,), whose softmax its
    probabilities are, and `chosen_`, the penalty.
    """

    def __init__(self, name: str = "lda", random_state: int = 0):
        self.name = name
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        """Fit the head to rows (n, D); every row is a photo of its own.

        sample_weight: (n,), what each counts, 2 as if it were there twice, 0 as if it were not; None for
        classes that count alike.
        """
        X, y = validate_data(self, X, y, dtype=np.float64)
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            counted = weights > 0
            X, y, sample_weight = X[counted], y[counted], weights[counted]
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("a classifier needs two classes or more")
        photos = np.arange(len(X))
        folds = deal(labels, photos, self.random_state)
        fitted = fit_head(self.name, Rotated(X, labels, photos, folds, sample_weight))
        self.coef_, self.intercept_, self.chosen_ = fitted.kernel.T, fitted.bias, fitted.chosen
        return self

    def predict_proba(self, X):
        """Return probabilities, (N, C)."""
        from scipy.special import softmax

        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return softmax(X @ self.coef_.T + self.intercept_, axis=1)

    def predict(self, X):
        """Return the likeliest classes, (N,)."""
        return self.classes_[self.predict_proba(X).argmax(1)]


def scaled(scale: ScaleName, classifier) -> Pipeline:
    """Return the pipeline of a scale and a classifier."""
    centre = StandardScaler(with_std=False)
    steps = {
        "none": [],
        "zscore": [FlooredScaler()],
        "l2": [Normalizer()],
        "centred-l2": [centre, Normalizer()],
    }
    return make_pipeline(*steps[scale], classifier)
