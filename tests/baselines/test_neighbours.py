"""Nearest neighbours and class means: hand-computed answers, ties, scales, and scikit-learn's own checks."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.utils.estimator_checks import check_estimator

from fewshot.baselines import estimators
from fewshot.baselines.neighbours import Centroids, Neighbours
from fewshot.baselines.shapes import image_shape
from fewshot.baselines.ssim import ssim
from fewshot.data.protocols import Protocol
from fewshot.errors import UsageError
from fewshot.learners.estimator import EstimatorLearner

pytestmark = pytest.mark.usefixtures("started")

DISTANCES = ["l1", "l2", "cosine", "ssim"]


def images(n, seed=0, side=8):
    """Return rows of random images, float32 in [0, 1], and labels of three classes."""
    prng = np.random.default_rng(seed)
    return prng.random((n, side * side * 3), np.float32), prng.integers(0, 3, n)


@pytest.mark.parametrize(
    ("distance", "reference"),
    [("l1", "cityblock"), ("l2", "euclidean"), ("cosine", "cosine"), ("ssim", None)],
)
def test_the_distances(distance, reference):
    x, y = images(40)
    new, _ = images(9, seed=1)
    shape = (-1, 8, 8, 3)
    whole = cdist(new, x, reference) if reference else 1 - ssim(new.reshape(shape), x.reshape(shape))
    distances, positions = Neighbours(5, distance).fit(x, y).kneighbors(new)
    assert np.array_equal(positions, np.argsort(whole, 1)[:, :5])
    assert distances == pytest.approx(np.sort(whole, 1)[:, :5], rel=1e-4)
    centres = np.stack([x[y == label].mean(0) for label in range(3)])
    whole = (
        cdist(new, centres, reference) if reference else 1 - ssim(new.reshape(shape), centres.reshape(shape))
    )
    centroids = Centroids(distance).fit(x, y)
    assert centroids.distances(new) == pytest.approx(whole, rel=1e-4)
    assert np.array_equal(centroids.predict(new), whole.argmin(1))


def test_votes_by_hand():
    x, y = np.array([[0.0], [1], [2], [10]]), np.array(["b", "a", "a", "b"])
    assert Neighbours(1).fit(x, y).predict([[0.4], [0.6], [7]]).tolist() == ["b", "a", "b"]
    three = Neighbours(3).fit(x, y)
    assert three.predict([[0.4], [9]]).tolist() == ["a", "a"]
    assert three.predict_proba([[0.4]]) == pytest.approx(np.array([[2 / 3, 1 / 3]]))


@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_a_tie_of_votes_goes_to_the_lowest_label(distance):
    x, y = np.array([[1.0], [2], [3]]), np.array([2, 1, 0])
    assert Neighbours(3, distance).fit(x, y).predict([[0.0]]) == 0  # though class 2 is nearest
    assert Neighbours(2, distance).fit(x, y).predict([[0.0]]) == 1


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_a_tie_of_distances_goes_to_the_lowest_index(distance, k):
    image, other = images(2)[0]
    x = np.stack([other, image, other, image, other, image])  # found before those that are nearer, too
    found = Neighbours(k, distance).fit(x, np.arange(6)).kneighbors(image[None])[1]
    assert found.tolist() == [[1, 3, 5, 0][:k]]


def test_equally_near_class_means_give_the_lowest_label():
    assert Centroids().fit([[0.0], [2.0]], [7, 4]).predict([[1.0]]) == 4


def standard(x, axis):
    return x.mean(axis, keepdims=True, dtype=float), x.std(axis, keepdims=True, dtype=float)


@pytest.mark.parametrize(
    ("scale", "axis"), [("zscore-scalar", None), ("zscore-channel", (0, 1)), ("zscore-pixel", 0)]
)
def test_the_scales_are_of_the_training_images_alone(scale, axis):
    x, y = images(30)
    x = x * np.linspace(0.1, 1, x.shape[1], dtype=np.float32)
    mean, std = standard(x.reshape(30, -1, 3), axis)
    new = 5 + 10 * images(6, seed=1)[0]  # statistics with these in would be far off
    scaled = [((rows.reshape(len(rows), -1, 3) - mean) / std).reshape(len(rows), -1) for rows in (new, x)]
    whole = cdist(*scaled)
    distances, positions = Neighbours(3, scale=scale).fit(x, y).kneighbors(new)
    assert np.array_equal(positions, np.argsort(whole, 1)[:, :3])
    assert distances == pytest.approx(np.sort(whole, 1)[:, :3], rel=1e-5)
    alone = Neighbours(3, scale=scale).fit(x, y).kneighbors(new[:1])
    assert np.allclose(alone[0], distances[:1])


def test_minmax_and_a_scalar_zscore_rank_alike():
    x, y = images(60)
    new, _ = images(20, seed=1)
    found = [
        Neighbours(5, scale=scale).fit(0.2 + x / 2, y).kneighbors(0.2 + new / 2)
        for scale in ("none", "minmax", "zscore-scalar")
    ]
    for _, positions in found[1:]:
        assert np.array_equal(positions, found[0][1])
    low, high = 0.2 + x.min() / 2, 0.2 + x.max() / 2
    assert found[1][0] * (high - low) == pytest.approx(found[0][0], rel=1e-5)


def test_ssim_of_zscores_has_the_range_of_the_training_images():
    x, y = images(20)
    z = (x - x.mean()) / x.std()
    expected = 1 - ssim(z.reshape(-1, 8, 8, 3), z.reshape(-1, 8, 8, 3), data_range=np.ptp(z))
    distances, _ = Neighbours(20, "ssim", "zscore-scalar").fit(x, y).kneighbors(x[:4])
    assert distances == pytest.approx(np.sort(expected[:4], 1), abs=1e-5)
    far = Neighbours(20, "ssim", "zscore-scalar").fit(x, y).kneighbors(np.vstack([x[:4], 9 * x[4:5]]))
    assert np.allclose(far[0][:4], distances)  # a new image does not change the range


def test_a_black_image_is_as_far_as_can_be_by_cosine():
    x = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    distances, positions = Neighbours(3, "cosine").fit(x, [0, 1, 2]).kneighbors([[1.0, 0.1, 0], [0, 0, 0]])
    assert positions.tolist() == [[1, 2, 0], [0, 1, 2]]
    assert distances == pytest.approx(np.array([[0.00496, 0.9005, 1], [0, 1, 1]]), abs=1e-4)


def test_progress_counts_all_pairs():
    x, y = images(30)
    for distance in ("l2", "ssim"):
        done = []
        Neighbours(1, distance, progress=done.append).fit(x, y).predict(x[:7])
        assert sum(done) == 30 * 7


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("scale", ["none", "minmax", "zscore-scalar", "zscore-channel", "zscore-pixel"])
def test_constant_images_get_an_answer(distance, scale):
    x = np.repeat(np.array([[0.5], [0.5], [0.5]], np.float32), 192, axis=1)
    for estimator in (Neighbours(2, distance, scale), Centroids(distance, scale)):
        found = estimator.fit(x, [0, 1, 1]).predict_proba(x)
        assert np.isfinite(found).all()


def test_unfit_input_is_one_clear_line():
    x, y = images(10)
    for k in (0, 11):
        with pytest.raises(
            ValueError, match=rf"number of training images \(n_samples = 10\)\. Received: {k}"
        ):
            Neighbours(k).fit(x, y)
    bad = x.copy()
    bad[3, 5] = np.nan
    for estimator in (Neighbours(), Centroids()):
        with pytest.raises(ValueError, match="NaN"):
            estimator.fit(bad, y)
        with pytest.raises(ValueError, match="NaN"):
            estimator.fit(x, y).predict(bad)
    with pytest.raises(UsageError, match="unknown distance 'cosin': did you mean 'cosine'"):
        Neighbours(distance="cosin").fit(x, y)
    with pytest.raises(UsageError, match="unknown scale 'zscore'"):
        Centroids(scale="zscore").fit(x, y)
    with pytest.raises(UsageError, match="square colour images"):
        Neighbours(distance="ssim").fit(x[:, :190], y)
    with pytest.raises(UsageError, match="three colours a pixel"):
        Neighbours(scale="zscore-channel").fit(x[:, :190], y)


def test_the_shape_of_rows():
    assert image_shape(3072) == (32, 32, 3)
    assert image_shape(3) == (1, 1, 3)
    for columns in (0, 1024):
        with pytest.raises(UsageError, match=f"rows of {columns}"):
            image_shape(columns)


def test_unfit_methods_are_found_before_they_run(blobs):
    with pytest.raises(UsageError, match="did you mean 'cosine'"):
        estimators.canonical("knn:distance=cosinus")
    with pytest.raises(UsageError, match=r"square images of 7×7 pixels or more\. Received: 6×6"):
        EstimatorLearner("knn:distance=ssim").check((6, 6, 3))
    with pytest.raises(UsageError, match="11×11"):
        EstimatorLearner("nearest-centroid:distance=ssim,window=gaussian").check((9, 9, 3))
    with pytest.raises(UsageError, match="takes images, not features"):
        EstimatorLearner("patches", features="squeezenet").check((32, 32, 3))
    EstimatorLearner("knn", features="squeezenet").check((2, 3, 3))
    with pytest.raises(UsageError, match="'knn:k=101' does not fit: k must be from 1 to"):
        EstimatorLearner("knn:k=101").fit(Protocol().sample_task(blobs, 0).train, 0)


def test_what_keras_computes_is_in_the_key():
    assert "keras" in EstimatorLearner("knn:distance=ssim").describe()["libraries"]
    assert "keras" not in EstimatorLearner("knn").describe()["libraries"]


# All of scikit-learn's checks. Left out are SSIM (and the patches), for the checks fit rows of a few random
# numbers, which are no images; for the same reason no channels.
@pytest.mark.parametrize(
    "estimator",
    [
        Neighbours(2, scale="minmax"),
        pytest.param(Neighbours(3, "l1"), marks=pytest.mark.slow),  # compiles for every size of the data
        Neighbours(1, "cosine", "zscore-pixel"),
        Centroids(scale="zscore-scalar"),
        Centroids("cosine"),
    ],
    ids=str,
)
def test_scikit_learns_own_checks(estimator):
    check_estimator(estimator)
