"""A results folder with foreign content: what is not valid is named and left out, nothing else."""

import json

import pytest
from foreign import FEW, JSON, spoiled
from helpers import keep, kept
from hypothesis import given

from fewshot.errors import FewshotError
from fewshot.report import typed
from fewshot.report.groups import gather
from fewshot.report.markdown import document as markdown
from fewshot.trials.record import Record
from fewshot.trials.store import FORMAT, parse, read

RECORD = kept("flip", 1, 90.0)
VALID = [kept("baseline", 0, 80.0), kept("baseline", 1, 82.0), kept("flip", 0, 84.0), RECORD]
TRIAL = {"key": RECORD.key, "seed": 1}
STUDY = {
    "study": "augment",
    "command": "fewshot augment",
    "protocol": dict(RECORD.protocol),
    "baseline": "baseline",
    "methods": [
        {"method": name, "trials": [{"key": r.key} for r in VALID if r.method == name]}
        for name in ("baseline", "flip")
    ],
    "plots": ["accuracy"],
}


def line(content) -> str:
    return json.dumps(content)


@pytest.mark.parametrize("name", ["seconds", "accuracy", "nll", "n_train", "seed", "parameters", "curve"])
def test_a_number_that_no_float_can_be_is_no_record(name):
    """Python reads whole numbers of any length from JSON, and of these `math.isfinite` raises."""
    huge = 10**400
    spoilt = {**kept("a", 0, 60.0).to_json(), name: {"loss": [huge]} if name == "curve" else huge}
    with pytest.raises(ValueError, match=f"{name}.*: expected"):
        Record.from_json(spoilt)
    with pytest.raises(TypeError, match="no number"):
        typed.number(huge)
    with pytest.raises(ValueError, match="no count"):
        typed.count(huge)


@FEW
@given(JSON)
def test_any_json_is_a_record_or_none(content):
    assert parse(line(content)) is None


@FEW
@given(spoiled({"format": FORMAT, **RECORD.to_json()}))
def test_a_spoilt_record_is_valid_or_left_out_and_the_report_is_made_of_the_others(tmp_path, content):
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    keep(folder, *VALID)
    with open(folder / "trials.jsonl", "a") as file:
        file.write(line(content) + "\n")
    recorded, odd = read(folder / "trials.jsonl")
    assert {record.key for record in VALID} <= recorded.keys()
    assert len(odd) == (parse(line(content)) is None)
    results = gather(folder)
    assert bool(results.notes) == bool(odd)
    markdown(results, "fewshot report").encode("utf-8", "replace")


@FEW
@given(spoiled(STUDY))
def test_a_spoilt_document_of_a_study_leaves_the_records_to_be_shown(tmp_path, content):
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    keep(folder, *VALID)
    (folder / "augment").mkdir()
    (folder / "augment" / "result.json").write_text(line(content))
    results = gather(folder)
    assert {record.key for group in results.groups for record in group.records} == {r.key for r in VALID}
    markdown(results, "fewshot report").encode("utf-8", "replace")


@pytest.mark.parametrize("text", ["", "[" * 100_000, '{"study": 1', "\x00\xff", "null", "[]", '"a"'])
def test_what_is_no_document_is_named(tmp_path, text):
    keep(tmp_path, *VALID)
    (tmp_path / "augment").mkdir()
    (tmp_path / "augment" / "result.json").write_text(text, encoding="latin-1")
    assert "augment/result.json is no document of a study: left out." in gather(tmp_path).notes


def test_a_folder_of_foreign_lines_alone_is_one_line(tmp_path):
    (tmp_path / "trials.jsonl").write_text('{"format": 1}\n[]\n')
    with pytest.raises(FewshotError, match="no record among its 2 lines"):
        gather(tmp_path)
