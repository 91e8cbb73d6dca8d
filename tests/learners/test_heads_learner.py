"""The learner of heads: what it looks at, how it chooses, what it averages."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from fewshot.data.dataset import Dataset
from fewshot.data.protocols import Task
from fewshot.data.views import VIEWS
from fewshot.errors import UsageError
from fewshot.learners.heads import HeadsLearner, _clearly_more, _sample
from fewshot.methods.resolve import resolve

TINY = "tiny@24:weights=random"
LEARNER = HeadsLearner(backbones="tiny@24+tiny@32:weights=random", views="whole+centre", scales="zscore")
SIDE = 24

pytestmark = pytest.mark.usefixtures("started", "tiny_backbone")


def photos(count, seed=0, views=True, telling="centre"):
    """Return noisy photos of two classes that differ in one view alone, by their colour."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1], count)
    x = rng.integers(60, 180, (len(y), len(VIEWS), SIDE, SIDE, 3))
    x[y == 1, VIEWS.index(telling), :, :, 0] += 40
    x = x.astype(np.uint8)
    return Dataset(x if views else x[:, VIEWS.index(telling)], y, ("a", "b"))


def test_members_are_the_best_and_predict_their_mean():
    train, test = photos(12), photos(20, seed=1)
    learner = replace(LEARNER).fit(train, 0)
    assert 1 <= len(learner.members) <= learner.average
    losses = [score.log_loss for score in learner.scores.values()]
    assert losses == sorted(losses)
    assert len(losses) == 4 * 2  # views each, stacked, beside; heads
    for member, candidate in zip(learner.members, learner.scores, strict=False):
        assert (member.backbones, member.views, member.beside) == (
            candidate.backbones,
            candidate.views,
            candidate.beside,
        )
        assert (member.scale, member.head) == (candidate.scale, candidate.head)
        assert "centre" in member.views
        assert member.backbones == learner._terms()
    table = learner._features(test.x, ("whole", "centre"))
    expected = np.mean([member.probabilities(table) for member in learner.members], axis=0)
    np.testing.assert_allclose(learner.predict(test.x), expected)
    assert (learner.predict(test.x).argmax(1) == test.y).mean() > 0.95


def test_none_that_is_clearly_behind_is_averaged():
    """Only one view tells the classes apart: the others' candidates are not among the members."""
    learner = replace(LEARNER, average=8).fit(photos(20), 0)
    assert {member.views for member in learner.members} <= {("centre",), ("whole", "centre")}
    assert len(learner.members) < len(learner.scores)
    least = np.array([0.1, 0.2, 0.3, 0.2])
    assert not _clearly_more(least, least)
    assert _clearly_more(least + 0.1, least)
    assert not _clearly_more(least + np.array([0.4, -0.3, 0.3, -0.3]), least)


def test_known_near_duplicates_are_not_searched_again(monkeypatch):
    monkeypatch.setattr("fewshot.data.duplicates.groups", None)
    train = photos(8)
    replace(LEARNER).fit(replace(train, groups=np.arange(len(train))), 0)


def test_photos_on_disk_are_like_those_in_memory(tmp_path):
    train, test = photos(8), photos(8, seed=1)
    np.save(tmp_path / "x.npy", np.concatenate([train.x, test.x]))
    stored = Dataset(
        np.load(tmp_path / "x.npy", mmap_mode="r"), np.concatenate([train.y, test.y]), ("a", "b")
    )
    for mirror in (False, True):
        plain = replace(LEARNER, mirror=mirror).fit(train, 0)
        lazy = replace(LEARNER, mirror=mirror).fit(stored.take(np.arange(16)), 0)
        shares = lazy.predict(stored.take(np.arange(16, 32)).x)
        np.testing.assert_array_equal(shares, plain.predict(test.x))


def test_images_that_are_no_views_are_taken_whole():
    train, test = photos(12, views=False), photos(20, seed=1, views=False)
    learner = replace(LEARNER).fit(train, 0)
    assert {member.views for member in learner.members} == {("whole",)}
    assert (learner.predict(test.x).argmax(1) == test.y).mean() > 0.95


def test_a_task_is_prepared_in_as_few_batches_as_its_images_fill(monkeypatch):
    seen = []
    monkeypatch.setattr("fewshot.learners.heads.extract", lambda backbone, x: seen.append((backbone, len(x))))
    train, test = photos(12), photos(2, seed=1)
    task = Task(0, train.classes, train, test, np.arange(24), np.arange(4), "train")
    LEARNER.prepare(task)
    assert [count for _, count in seen] == [28] * 8
    both = np.concatenate([train.x, test.x])
    assert seen == [(backbone, len(x)) for backbone, x in LEARNER.features_of(both)]


def test_views_that_are_the_same_are_looked_at_once():
    """Of square photos the whole and the centre are one."""
    train = photos(8)
    train.x[:, VIEWS.index("whole")] = train.x[:, VIEWS.index("centre")]
    learner = replace(LEARNER).fit(train, 0)
    assert {candidate.views for candidate in learner.scores} == {("whole",)}


def test_near_duplicates_stand_on_one_side():
    """Photos told apart by nothing, each there twice: what their twin gives away is not counted."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.integers(0, 256, (24, SIDE, SIDE, 3)).astype(np.uint8), 2, 0)
    train = Dataset(x, np.repeat(np.arange(24) % 2, 2), ("a", "b"))
    learner = replace(LEARNER, backbones=TINY).fit(train, 0)
    assert max(score.accuracy for score in learner.scores.values()) < 85


def test_unequal_classes_weigh_alike():
    """Of 40 and 8 photos that overlap, both classes are found."""

    def images(counts):
        y = np.repeat([0, 1], counts)
        light = 100 + 12 * y[:, None, None, None] + rng.normal(0, 8, (len(y), 1, 1, 1))
        noise = rng.integers(-20, 20, (len(y), SIDE, SIDE, 3))
        return Dataset((light + noise).astype(np.uint8), y, ("a", "b"))

    found = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        learner = replace(LEARNER, backbones=TINY).fit(images((40, 8)), 0)
        test = images((100, 100))
        found.append((learner.predict(test.x).argmax(1) == test.y)[test.y == 1].mean())
    assert np.mean(found) > 0.6


@pytest.mark.parametrize("counts", [(1, 1), (2, 1), (3, 3), (5,), (2,) * 30])
def test_few_photos_are_no_error(counts):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(len(counts)), counts)
    x = rng.integers(0, 256, (len(y), SIDE, SIDE, 3)).astype(np.uint8)
    classes = tuple(f"class {i}" for i in range(len(counts)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learner = replace(LEARNER, backbones=TINY).fit(Dataset(x, y, classes), 0)
        shares = learner.predict(x)
    assert np.isfinite(shares).all()
    assert (shares.argmax(1) == y).mean() > 0.5
    assert bool(learner.scores) == (max(counts) > 1 and len(counts) > 1)


@pytest.mark.parametrize("value", [0, 130])
def test_identical_photos(value):
    train = Dataset(np.full((8, SIDE, SIDE, 3), value, np.uint8), np.arange(8) // 4, ("a", "b"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shares = replace(LEARNER).fit(train, 0).predict(train.x)
    np.testing.assert_allclose(shares, 0.5, atol=1e-6)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"views": "whole+middle"}, "middle"),
        ({"heads": "lda+ridge"}, "ridge-gcv"),
        ({"scales": "l3"}, "l2"),
        ({"backbones": "efficientnet@224"}, "efficientnet-lite0"),
    ],
)
def test_unknown_names(setting, expected):
    with pytest.raises(UsageError, match=expected):
        replace(LEARNER, **setting).check((5, 224, 224, 3))


def test_named_methods():
    assert resolve("heads")[1] == HeadsLearner()
    assert resolve("lite-heads")[1] == HeadsLearner(backbones="efficientnet-lite0@224")
    assert resolve("heads:average=2,mirror=yes")[1] == HeadsLearner(average=2, mirror=True)


def test_of_many_photos_a_sample_tells_which_candidates_are_judged_by_all(monkeypatch):
    train = photos(20)
    monkeypatch.setattr("fewshot.learners.heads.MANY", 30)
    monkeypatch.setattr("fewshot.learners.heads.FEW", 20)
    learner = replace(LEARNER, average=2).fit(train, 0)
    assert 1 <= len(learner.scores) <= 2
    assert all("centre" in candidate.views for candidate in learner.scores)
    every = replace(LEARNER, average=8, heads="lda").fit(train, 0)
    assert len(every.scores) < 4


def test_a_sample_has_photos_of_each_class_and_near_duplicates_on_one_side(monkeypatch):
    monkeypatch.setattr("fewshot.learners.heads.FEW", 12)
    labels, scenes = np.repeat([0, 1, 2], (100, 50, 2)), np.arange(152)
    scenes[:50] //= 2
    chosen = _sample(labels, scenes, 0)
    counts = np.bincount(labels[chosen])
    assert counts[2] == 2
    assert all(4 <= count <= 8 for count in counts[:2])
    assert set(np.flatnonzero(np.isin(scenes, scenes[chosen]))) == set(chosen)
    assert chosen.tolist() == _sample(labels, scenes, 0).tolist() != _sample(labels, scenes, 1).tolist()
