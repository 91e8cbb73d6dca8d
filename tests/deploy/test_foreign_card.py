"""A model's card with foreign content is a card or one line."""

import contextlib
import json

from foreign import FEW, spoiled
from hypothesis import given

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
