"""SSIM of all pairs, against scikit-image, and the tiles it is computed in."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from skimage.metrics import structural_similarity
from sklearn.datasets import load_sample_images

from fewshot.baselines import tiles
from fewshot.baselines.ssim import SSIM, kernel, ssim, window_weights
from fewshot.errors import UsageError

pytestmark = pytest.mark.usefixtures("started")


def photos(n, side=16):
    """Cut images out of scikit-learn's two photos: smooth sky, petals, roofs."""
    whole = np.stack(load_sample_images().images)
    prng = np.random.default_rng(3)
    corners = zip(prng.integers(0, 2, n), prng.integers(0, 400, n), prng.integers(0, 600, n), strict=True)
    return np.stack([whole[i, row : row + side, column : column + side] for i, row, column in corners])


def by_scikit_image(x, y, **options):
    """Return its table, computed in float64: in float32 its variances lose 1e-4 where images are flat."""
    x, y = x.astype(float), y.astype(float)
    return np.array([[structural_similarity(a, b, channel_axis=-1, **options) for b in y] for a in x])


@pytest.mark.parametrize("window", ["uniform", "gaussian"])
@pytest.mark.parametrize("kind", ["random", "photos"])
def test_it_is_scikit_image(window, kind):
    if kind == "random":
        x, y = np.split(np.random.default_rng(0).random((11, 16, 16, 3), np.float32), [5])
    else:
        x, y = np.split(photos(11).astype(np.float32) / 255, [5])
    expected = by_scikit_image(x, y, data_range=1.0, gaussian_weights=window == "gaussian")
    assert np.ptp(expected) > 0.02
    assert ssim(x, y, window=window) == pytest.approx(expected, abs=1e-5)


def test_the_range_of_the_data():
    x = photos(4)
    expected = by_scikit_image(x, x, data_range=255)
    assert ssim(x, x, data_range=255) == pytest.approx(expected, abs=1e-5)
    assert ssim(x / 255, x / 255) == pytest.approx(expected, abs=1e-5)
    z = (x / 255.0 - 0.47) / 0.25
    expected = by_scikit_image(z, z, data_range=4.0)
    assert ssim(z, z, data_range=4.0) == pytest.approx(expected, abs=1e-5)


def test_constant_images_have_a_similarity():
    x = np.stack([np.full((8, 8, 3), value, np.float32) for value in (0, 0.5, 1)])
    # Without variance the second factor is 1: (2·m·n + C1) / (m² + n² + C1) is left.
    assert ssim(x, x) == pytest.approx(
        np.array(
            [
                [1, 1e-4 / 0.2501, 1e-4 / 1.0001],
                [1e-4 / 0.2501, 1, 1.0001 / 1.2501],
                [1e-4 / 1.0001, 1.0001 / 1.2501, 1],
            ]
        ),
        abs=1e-6,
    )


def test_the_gaussian_window():
    weights = window_weights("gaussian")
    assert weights.shape == (11, 11)
    assert weights.sum() == pytest.approx(1)
    assert weights[5, 6] / weights[5, 5] == pytest.approx(np.exp(-1 / (2 * 1.5**2)))


def test_images_smaller_than_the_window():
    with pytest.raises(UsageError, match=r"window of 7×7 pixels\. Received: images of 6×9"):
        kernel((6, 9, 3))
    assert kernel((7, 7, 3)) == SSIM((7, 7, 3))


def test_l1_is_scipys():
    prng = np.random.default_rng(0)
    for width in (1, 16, 50):
        x, y = prng.random((9, width), np.float32), prng.random((12, width), np.float32)
        assert tiles.table(tiles.L1(), x, y) == pytest.approx(cdist(x, y, "cityblock"), rel=1e-6)


@pytest.mark.parametrize("tile", [(1, 1), (4, 5), (3, 40), (64, 64)])
def test_what_streams_is_what_the_whole_table_says(tile):
    prng = np.random.default_rng(0)
    x, y = (prng.integers(0, 3, (n, 4)).astype(np.float32) for n in (10, 33))  # many equal distances
    whole = cdist(x, y, "cityblock")
    expected = np.argsort(whole, axis=1, kind="stable")[:, :6]
    done = []
    distances, positions = tiles.nearest(tiles.L1(), x, y, 6, done.append, tile=tile)
    assert np.array_equal(positions, expected)
    assert np.array_equal(distances, np.take_along_axis(whole, expected, 1))
    assert sum(done) == whole.size
    assert np.array_equal(tiles.table(tiles.L1(), x, y, tile=tile), whole)


def test_smallest_takes_equals_in_order():
    values = np.array([[3, 1, 2, 1, 1.0], [0, 0, 0, 0, 0]])
    found, columns = tiles.smallest(values, 2)
    assert columns.tolist() == [[1, 3], [0, 1]]
    assert found.tolist() == [[1, 1], [0, 0]]
    assert tiles.smallest(values, 4)[1].tolist() == [[1, 3, 4, 2], [0, 1, 2, 3]]


@dataclass(frozen=True)
class Watched(tiles.L1):
    """Notes the shapes that it is compiled for."""

    seen: list

    def __call__(self, x, y):
        self.seen.append((tuple(x.shape), tuple(y.shape)))
        return super().__call__(x, y)

    def __hash__(self):
        return id(self)


def test_a_tile_is_all_that_is_held():
    x, y = np.zeros((1000, 3), np.float32), np.ones((1300, 3), np.float32)
    watched = Watched([])
    distances, positions = tiles.nearest(watched, x, y, 2)
    assert set(watched.seen) == {((250, 3), (434, 3))}  # four by three tiles of one size, within 256 × 512
    assert np.array_equal(positions, np.tile([0, 1], (1000, 1)))
    assert (distances == 3).all()
