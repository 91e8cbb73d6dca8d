"""Linear classifiers: on pixels what any network must beat, on features hard to beat."""

from __future__ import annotations

import numpy as np

from fewshot.baselines import estimators
from fewshot.baselines.scales import ScaleName
from fewshot.settings import Positive


@estimators.register("ridge", version=2)
def ridge(*, alpha: Positive = 3000.0):
    """Ridge regression on standardised inputs; alpha is the penalty."""
    from sklearn.linear_model import RidgeClassifier

    from fewshot.baselines.classifiers import scaled

    return scaled("zscore", RidgeClassifier(alpha))


@estimators.register("logistic", version=2)
def logistic(*, c: Positive = 0.001):
    """Logistic regression on standardised inputs; c is the inverse of the penalty."""
    from sklearn.linear_model import LogisticRegression

    from fewshot.baselines.classifiers import scaled

    return scaled("zscore", LogisticRegression(C=c, max_iter=1000))


def _centroid_as_dense(classifier):
    """Return the nearest centroid's weights: −|x − c|² is 2 x·c − |c|² and a part that all classes share.

    x and c count in within-class deviations.
    """
    deviation = classifier.within_class_std_dev_
    centres = classifier.centroids_ / deviation
    bias = 2 * np.log(classifier.class_prior_) - (centres**2).sum(1)
    return 2 * (centres / deviation).T, bias


@estimators.register("centroid", version=2, dense=_centroid_as_dense)
def centroid():
    """The nearest class mean of standardised inputs."""
    from fewshot.baselines.classifiers import FlooredCentroid, scaled

    return scaled("zscore", FlooredCentroid())


def _head(name: str, scale: ScaleName):
    from fewshot.baselines.classifiers import Head, scaled

    return scaled(scale, Head(name))


@estimators.register("ridge-gcv")
def ridge_gcv(*, scale: ScaleName = "zscore"):
    """Ridge regression, its penalty chosen by leave-one-out on the training images."""
    return _head("ridge-gcv", scale)


@estimators.register("logistic-cv", version=2)
def logistic_cv(*, scale: ScaleName = "zscore"):
    """Logistic regression, its penalty chosen by cross-validation on the training images."""
    return _head("logistic-cv", scale)


@estimators.register("lda")
def lda(*, scale: ScaleName = "zscore"):
    """Linear discriminant analysis with Ledoit and Wolf's shrunk covariance."""
    return _head("lda", scale)


@estimators.register("svm", version=2)
def svm(*, scale: ScaleName = "zscore"):
    """A linear support vector machine, its penalty chosen by cross-validation on the training images."""
    return _head("svm", scale)
