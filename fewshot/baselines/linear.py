"""Linear classifiers: on pixels what any network must beat, on features hard to beat."""

import numpy as np

from fewshot.baselines import estimators


@estimators.register("ridge")
def ridge(*, alpha=3000.0):
    """Ridge regression on standardised inputs; alpha is the penalty."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RidgeClassifier(alpha))


@estimators.register("logistic")
def logistic(*, c=0.001):
    """Logistic regression on standardised inputs; c is the inverse of the penalty."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000))


def _centroid_as_dense(classifier):
    """Return the nearest centroid's weights: −|x − c|² is 2 x·c − |c|² and a part that all classes share.

    x and c count in within-class deviations.
    """
    deviation = np.where(classifier.within_class_std_dev_ == 0, 1, classifier.within_class_std_dev_)
    centres = classifier.centroids_ / deviation
    bias = 2 * np.log(classifier.class_prior_) - (centres**2).sum(1)
    return 2 * (centres / deviation).T, bias


@estimators.register("centroid", dense=_centroid_as_dense)
def centroid():
    """The nearest class mean of standardised inputs."""
    from sklearn.feature_selection import VarianceThreshold
    from sklearn.neighbors import NearestCentroid
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(VarianceThreshold(), StandardScaler(), NearestCentroid())
