"""A record is valid or there is none: types, finite numbers and ranges are checked when it is made."""

import json
import math
from dataclasses import replace

import pytest
from helpers import kept

from fewshot.trials.record import Record

OK, FAILED = kept("a", 0, 60.0), kept("a", 1, None)


@pytest.mark.parametrize("record", [OK, FAILED], ids=["ok", "failed"])
def test_a_record_survives_json(record):
    assert Record.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False))) == record


def test_what_a_learner_describes_by_tuples_survives_json_too():
    record = replace(OK, learner={"diverges": (1, 2), "recipe": {"places": [(0, 1)]}})
    assert record.learner == {"diverges": [1, 2], "recipe": {"places": [[0, 1]]}}
    assert Record.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_fields_that_this_version_does_not_know_are_left_out():
    assert Record.from_json({**OK.to_json(), "format": 1, "colour": "red"}) == OK


LATER = ["date", "machine", "fewshot", "n_test", "n_pool", "setup_seconds"]


@pytest.mark.parametrize("field", LATER)
def test_what_older_versions_did_not_record_is_empty(field):
    content = OK.to_json()
    del content[field]
    assert not getattr(Record.from_json(content), field)


@pytest.mark.parametrize(
    "field",
    sorted(OK.to_json().keys() - set(LATER)),
    ids=lambda field: field,
)
def test_every_other_field_is_needed(field):
    content = OK.to_json()
    del content[field]
    with pytest.raises(ValueError, match=field):
        Record.from_json(content)


@pytest.mark.parametrize(
    "change",
    [
        {"key": 3},
        {"method": None},
        {"status": "fine"},
        {"reason": 4},
        {"classes": "ab"},
        {"classes": ["a", 1]},
        {"accuracy": "60"},
        {"accuracy": None},
        {"accuracy": math.nan},
        {"accuracy": 100.5},
        {"balanced_accuracy": -1.0},
        {"nll": math.inf},
        {"nll": -0.5},
        {"n_train": 10.5},
        {"updates": True},
        {"images_seen": None},
        {"parameters": -1},
        {"curve": [1]},
        {"curve": {"loss": 1.0}},
        {"curve": {"loss": [math.nan]}},
        {"seconds": None},
        {"seconds": -1.0},
        {"protocol": {"name": "testbed"}},
        {"protocol": "testbed"},
        {"learner": None},
        {"seed": "0"},
        {"threads": 0},
        {"device": None},
        {"machine": "fast"},
    ],
    ids=str,
)
def test_what_is_not_valid_is_refused_by_its_name(change):
    (name,) = change
    with pytest.raises(ValueError, match=name):
        Record.from_json({**OK.to_json(), **change})


def test_a_failed_trial_measures_nothing_but_its_seconds_are_checked():
    assert (FAILED.accuracy, FAILED.updates, FAILED.ok) == (None, None, False)
    with pytest.raises(ValueError, match="seconds"):
        Record.from_json({**FAILED.to_json(), "seconds": None})
