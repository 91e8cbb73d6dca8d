"""Folders of unequal classes: the model that is saved is the one that was measured."""

import types

import numpy as np
import pytest

import fewshot as fs
from fewshot.compare import course as courses
from fewshot.compare import run as comparing
from fewshot.compare.answer import Answer
from fewshot.compare.held_out import Pool
from fewshot.compare.inspected import inspected
from fewshot.data import Dataset, Splits
from fewshot.models import cost
from fewshot.trials.plan import Machine

pytestmark = pytest.mark.usefixtures("started")
CLASSES = ("rare", "frequent")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """One round of draws, no curve of shots, no look at the photos, no pictures, no exact latencies."""
    monkeypatch.setattr(courses, "ROUNDS", 1)
    monkeypatch.setattr(courses, "SHOTS", ())
    monkeypatch.setattr(comparing, "inspected", lambda *_: None)
    monkeypatch.setattr(comparing, "_with_looks", lambda findings, *_: findings)
    monkeypatch.setattr(comparing.Findings, "written", lambda findings: findings)
    monkeypatch.setattr(cost, "CALLS", 1)
    monkeypatch.setattr(cost, "SECONDS", 0)


def _images(counts, seed):
    """Return noisy images, 4 × 4, of classes of two lights that overlap; no two of them are alike."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(2), counts)
    light = 110 + 16 * y[:, None, None, None] + rng.normal(0, 10, (len(y), 1, 1, 1))
    return np.clip(light + rng.normal(0, 30, (len(y), 4, 4, 3)), 0, 255).astype(np.uint8), y


@pytest.mark.parametrize("prior", ["alike", "natural"])
def test_the_card_holds_what_the_saved_model_does_class_by_class(prior, tmp_path):
    x, y = _images((20, 200), seed=0)
    compared = fs.compare(
        (x, y, CLASSES), "10m", "ridge", prior=prior, jobs=1, device="cpu", out=tmp_path, progress=False
    )
    new, truth = _images((500, 500), seed=1)
    right = compared.model.predict(new).argmax(1) == truth
    card = compared.model.card
    assert (card["prior"], card["images"]) == (prior, [20, 200])
    assert card["expected"]["value"] == compared.findings.answer.accuracy.value
    for label, told in enumerate(card["recall"]):
        low, high = told["interval"]
        assert low <= 100 * right[truth == label].mean() <= high
    rare, frequent = (100 * right[truth == label].mean() for label in (0, 1))
    assert rare < 50 < frequent if prior == "natural" else abs(rare - frequent) < 25
    told = " ".join(compared.document()["verdict"])
    assert ("Classes count as often as they come" in told) == (prior == "natural")
    assert ("classes count: as often as they came in training" in repr(compared.model)) == (
        prior == "natural"
    )


def test_fixed_classes_are_answered_out_of_fold_and_saved_like_a_folder_of_these_alone(tmp_path):
    """What the hint for a class of one photo asks for: the others are compared without it."""
    x, y = _images((12, 24), seed=0)
    x, y = np.concatenate([x, x[:1] // 2]), np.append(y, 2)
    options = {"budget": "10m", "methods": "ridge", "jobs": 1, "device": "cpu", "progress": False}
    alone = fs.compare((x[:-1], y[:-1], CLASSES), out=tmp_path / "alone", **options)
    images = x, (y + 1) % 3, ("single", *CLASSES)
    chosen = fs.compare(images, classes=CLASSES, out=tmp_path / "chosen", **options)
    assert chosen.model.classes == CLASSES
    assert chosen.model.card["images"] == [12, 24]
    assert chosen.findings.classes == {"rare": 12, "frequent": 24}
    same = chosen.document(), alone.document()
    for part in ("verdict", "promise", "confusion", "classes"):
        assert same[0][part] == same[1][part]
    assert np.allclose(chosen.model.predict(x), alone.model.predict(x), atol=1e-5)


def test_a_look_at_fixed_classes_sees_their_photos_alone_and_tells_where_they_are(monkeypatch):
    x, y = _images((4, 5), seed=0)
    x, y = np.concatenate([x, x[:1]]), np.append(np.where(y, 2, 0), 2)  # the first photo has two labels
    x, y = np.concatenate([x[:6], x[6:7], x[6:]]), np.insert(y, 6, 1)  # class 1 holds one of class 2, too
    groups = np.array([0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 0])
    splits = Splits("photos", Dataset(x, y, ("rare", "single", "frequent"), groups))
    monkeypatch.setattr("fewshot.compare.inspected.open_splits", lambda folder: splits)
    names = [f"{i}.png" for i in range(len(y))]
    small = types.SimpleNamespace(folder="", files=lambda part: names, directory=None, levels=None)
    images = types.SimpleNamespace(small=small, large=small, views=small)
    pool = Pool("train", 2, True, groups, classes=(0, 2), images=y != 1)
    found = inspected(Answer((), None, {}, None, None), images, pool, Machine(threads=1), print)
    assert found.count == 10
    twice = {(finding.position, finding.file) for finding in found.findings if finding.other_label}
    assert twice
    assert twice <= {(0, "0.png"), (10, "10.png")}
    assert found.images is splits.train.x
