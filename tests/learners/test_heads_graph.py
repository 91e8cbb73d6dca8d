"""Heads in the graph: the views, the features and the probabilities that the learner has."""

import keras
import numpy as np
import pytest
from PIL import Image

from fewshot.backbones.features import extract
from fewshot.baselines.scales import fit_scale
from fewshot.data.views import VIEWS, view
from fewshot.learners.members import Member

pytestmark = pytest.mark.usefixtures("started", "tiny_backbone")

SIZE = 48
NETS = ("tiny@48:weights=random", "tiny@56:weights=random")


def photo(width, height, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def viewer(started):
    from fewshot.learners.heads_graph import view_tensors

    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, view_tensors(inputs, VIEWS, SIZE))


@pytest.mark.parametrize("size", [(200, 90), (91, 200), (64, 64), (30, 21), (20, 49), (48, 48), (48, 97)])
def test_views_in_the_graph_are_those_of_the_photos_to_the_bit(viewer, size):
    noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    for image in (photo(*size), Image.fromarray(noise)):
        seen = viewer(np.asarray(image, np.float32)[None], training=False)
        for name in VIEWS:
            np.testing.assert_array_equal(np.array(seen[name])[0], view(image, name, SIZE), name)


def members(table, classes=3):
    """Two made-up heads: one of rows averaged, one of views and backbones side by side."""
    rng = np.random.default_rng(1)
    made = []
    for nets, views, beside, mirror, scale in (
        (NETS[:1], ("whole", "centre"), False, True, "centred-l2"),
        (NETS, ("centre", "end"), True, False, "zscore"),
        (NETS[:1], ("padded",), False, False, "l2"),
    ):
        keys = [(net, name) for name in (views if beside else views[:1]) for net in nets]
        scales = tuple(fit_scale(scale, table[net, name, False]) for net, name in keys)
        width = sum(table[net, name, False].shape[1] for net, name in keys)
        spread = 0.1 if scale == "zscore" else 3
        kernel, bias = rng.normal(0, spread, (width, classes)), rng.normal(size=classes)
        made.append(Member(nets, views, beside, mirror, scale, "made up", scales, kernel, bias))
    made[2].bias[1] = -np.inf
    return made


def test_the_model_says_what_the_members_say(tmp_path):
    from fewshot.learners.heads_graph import keras_model

    photos = [photo(70 + 9 * i, 100 - 7 * i, i) for i in range(6)]
    table = {
        (net, name, mirrored): extract(
            net, np.stack([view(image, name, SIZE) for image in photos])[:, :, ::step]
        )
        for net in NETS
        for name in VIEWS
        for mirrored, step in ((False, 1), (True, -1))
    }
    made = members(table)
    wanted = np.mean([member.probabilities(table) for member in made], 0)
    model = keras_model(made, SIZE)
    assert model.input_shape == (None, None, None, 3)
    found = np.concatenate(
        [np.array(model(np.asarray(image, np.float32)[None], training=False)) for image in photos]
    )
    np.testing.assert_allclose(found, wanted, atol=1e-3)  # features that round otherwise to float16
    assert np.ptp(wanted, axis=0).max() > 0.05
