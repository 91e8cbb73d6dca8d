"""Linear classifiers: on pixels what any network must beat, on features hard to beat."""

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


@estimators.register("centroid")
def centroid():
    """The nearest class mean of standardised inputs."""
    from sklearn.feature_selection import VarianceThreshold
    from sklearn.neighbors import NearestCentroid
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(VarianceThreshold(), StandardScaler(), NearestCentroid())
