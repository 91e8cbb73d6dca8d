"""Views: what of a photo is seen, and that Keras's own resizing sees the same."""

import numpy as np
import pytest
from PIL import Image

from fewshot.data.views import GREY, VIEWS, view, views

SIZE = 12


def photo(width, height, seed=0):
    """Smooth colours, so that a pixel's place can be told."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def test_all_views_of_a_square_photo_are_one():
    seen = views(photo(40, 40), SIZE)
    assert seen.shape == (len(VIEWS), SIZE, SIZE, 3)
    assert seen.dtype == np.uint8
    assert (seen == seen[0]).all()


@pytest.mark.parametrize("upright", [False, True])
def test_which_part_a_view_shows(upright):
    stripes = np.zeros((30, 90, 3), np.uint8)
    for channel in range(3):
        stripes[:, 30 * channel : 30 * channel + 30, channel] = 255
    image = Image.fromarray(stripes.swapaxes(0, 1) if upright else stripes)
    for name, channel in (("start", 0), ("centre", 1), ("end", 2)):
        assert (view(image, name, SIZE) == 255 * np.eye(3, dtype=np.uint8)[channel]).all()
    whole, padded = (view(image, name, SIZE) for name in ("whole", "padded"))
    if upright:
        whole, padded = whole.swapaxes(0, 1), padded.swapaxes(0, 1)
    assert [whole[5, i].argmax() for i in (1, 6, 10)] == [0, 1, 2]
    assert [padded[6, i].argmax() for i in (1, 6, 10)] == [0, 1, 2]
    assert (padded[[0, 1, -1]] == GREY).all()


@pytest.mark.parametrize("size", [(90, 41), (41, 90), (64, 64), (9, 7)])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("whole", {}),
        ("centre", {"crop_to_aspect_ratio": True}),
        ("padded", {"pad_to_aspect_ratio": True, "fill_value": GREY}),
    ],
)
def test_views_are_what_keras_resizing_makes(size, name, options):
    import keras

    if name == "padded" and sum(size) % 2:
        size = (size[0] + 1, size[1])  # Keras pads both sides by as much
    image = photo(*size)
    resizing = keras.layers.Resizing(SIZE, SIZE, antialias=True, **options)
    wanted = np.array(resizing(np.asarray(image, np.float32)[None]))[0]
    np.testing.assert_allclose(view(image, name, SIZE), wanted, atol=1.01)


def test_there_is_no_other_view():
    with pytest.raises(ValueError, match="no view: corner"):
        view(photo(20, 10), "corner", SIZE)
