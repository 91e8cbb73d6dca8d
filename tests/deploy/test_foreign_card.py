"""A model's card with foreign content is a card or one line."""

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from foreign import FEW, spoiled
from hypothesis import given

from fewshot.api.model import Model
from fewshot.deploy.saved import FORMAT, _card
from fewshot.errors import UsageError

CARD = {
    "format": FORMAT,
    "classes": ["cat", "dog"],
    "image_size": 32,
    "view_size": 32,
    "levels": {},
    "novelty": None,
    "references": None,
    "sets": None,
    "sha256": "0" * 64,
    "temperature": 1.2,
}


@FEW
@given(spoiled(CARD))
def test_a_spoilt_card_is_valid_or_one_line(tmp_path, content):
    path = tmp_path / "model.json"
    path.write_text(json.dumps(content))
    with contextlib.suppress(UsageError):
        card = _card(path)
        assert len(card["classes"]) > 1
        assert card["temperature"] > 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 10**400),
        ("levels", {"floats": [0, 10**400]}),
        ("levels", {"floats": [0, float("inf")]}),  # of which every photo would be black
        ("levels", {"floats": [2, 1]}),
        ("recall", {"cat": 1}),
        ("recall", ["cat"]),
        ("images", ["many"]),
        ("expected", []),
    ],
)
def test_what_no_number_can_be_made_of_is_named(tmp_path, name, value):
    path = tmp_path / "model.json"
    path.write_text(json.dumps({**CARD, name: value}))
    with pytest.raises(UsageError, match=f"no valid '{name}'"):
        _card(path)


def test_a_model_is_shown_whatever_its_card_promises(tmp_path):
    path = tmp_path / "model.json"
    told = {"expected": {"mean": 10**400, "ci95": "ab"}, "recall": [None, {"value": 5, "interval": [1]}]}
    path.write_text(json.dumps({**CARD, **told}))
    model = Model(
        Path("model.keras"), SimpleNamespace(card=_card(path), classes=["cat", "dog"], image_size=8)
    )
    assert "cat, dog" in repr(model)
    assert "expected" not in repr(model)
