"""Members: fitted heads as plain numbers."""

import numpy as np
import pytest

from fewshot.baselines.scales import Scale
from fewshot.learners.members import Member


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return {
        (backbone, view, mirrored): rng.normal(size=(5, width)).astype(np.float32)
        for backbone, width in (("a@8", 3), ("b@8", 2))
        for view in ("whole", "centre")
        for mirrored in (False, True)
    }


def softmax(scores):
    shares = np.exp(scores)
    return shares / shares.sum(1, keepdims=True)


def test_rows_of_views_are_averaged(table):
    kernel, bias = np.random.default_rng(1).normal(size=(5, 2)), np.array([0.1, -0.1])
    scales = (Scale("l2"), Scale("affine", np.full(2, 0.5), np.full(2, 2.0)))
    member = Member(("a@8", "b@8"), ("whole", "centre"), False, True, "zscore", "lda", scales, kernel, bias)
    expected = 0
    for view in ("whole", "centre"):
        for mirrored in (False, True):
            first, second = table["a@8", view, mirrored], table["b@8", view, mirrored]
            first = first / np.linalg.norm(first, axis=1, keepdims=True)
            expected = expected + softmax(np.hstack([first, (second - 0.5) / 2]) @ kernel + bias) / 4
    np.testing.assert_allclose(member.probabilities(table), expected, rtol=1e-6)


def test_views_stand_side_by_side(table):
    kernel, bias = np.random.default_rng(1).normal(size=(6, 3)), np.array([0.0, 1.0, -np.inf])
    member = Member(
        ("a@8",), ("whole", "centre"), True, False, "none", "lda", (Scale("affine"),) * 2, kernel, bias
    )
    both = np.hstack([table["a@8", "whole", False], table["a@8", "centre", False]])
    found = member.probabilities(table)
    np.testing.assert_allclose(found, softmax(both @ kernel + bias), rtol=1e-6)
    assert not found[:, 2].any()
