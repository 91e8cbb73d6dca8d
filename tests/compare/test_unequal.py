"""Folders of unequal classes: the model that is saved is the one that was measured."""

import numpy as np
import pytest

import fewshot as fs
from fewshot.compare import run as comparing
from fewshot.models import cost

pytestmark = pytest.mark.usefixtures("started")
CLASSES = ("rare", "frequent")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """One round of draws, no curve of shots, no look at the photos, no pictures, no exact latencies."""
    monkeypatch.setattr(comparing, "ROUNDS", 1)
    monkeypatch.setattr(comparing, "SHOTS", ())
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
