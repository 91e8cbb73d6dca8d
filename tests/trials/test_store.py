"""Records: append-only, flushed, one writer; torn and foreign lines lose nothing."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from helpers import kept

from fewshot.errors import FewshotError
from fewshot.io.digests import key_of
from fewshot.trials.store import FORMAT, Store

PREDICTIONS = {"probabilities": np.array([[0.25, 0.75]], np.float16)}


def record(key, accuracy=50.0):
    return kept("a", 0, accuracy, key=key)


def write(folder, *keys):
    with Store(folder).open() as store:
        for key in keys:
            store.add(record(key), PREDICTIONS)


def test_what_is_written_is_read(tmp_path):
    write(tmp_path, "a", "b")
    with Store(tmp_path).open() as store:
        assert store.get("a").accuracy == 50.0
        assert store.get("c") is None
        assert store.get("a") == record("a")
        assert store.arrays("b")["probabilities"].tolist() == [[0.25, 0.75]]
        assert store.arrays("c") is None


def test_a_later_record_replaces_an_earlier(tmp_path):
    write(tmp_path, "a")
    with Store(tmp_path).open() as store:
        store.add(record("a", 60.0), PREDICTIONS)
    with Store(tmp_path).open() as store:
        assert store.get("a").accuracy == 60.0


@pytest.mark.parametrize("cut", [1, 10, 30])
def test_a_torn_last_line_is_reported_and_costs_one_trial(tmp_path, capsys, cut):
    write(tmp_path, "a", "b")
    path = tmp_path / "trials.jsonl"
    path.write_bytes(path.read_bytes()[: -cut - 1])
    write(tmp_path, "c")
    assert "1 unreadable line" in capsys.readouterr().err
    with Store(tmp_path).open() as store:
        assert [bool(store.get(key)) for key in "abc"] == [True, False, True]


def test_a_last_line_without_its_end_of_line_counts(tmp_path, capsys):
    write(tmp_path, "a")
    path = tmp_path / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    write(tmp_path, "b")
    assert len(path.read_text().splitlines()) == 2
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["not json", "[1, 2]", '{"key": "x"}', '{"format": 99, "key": "x"}', "\xff\0"]
)
def test_foreign_lines_are_kept_and_skipped(tmp_path, capsys, line):
    write(tmp_path, "a")
    path = tmp_path / "trials.jsonl"
    with open(path, "a") as file:
        file.write(line + "\n")
    write(tmp_path, "b")
    assert "unreadable" in capsys.readouterr().err
    assert line in path.read_text()
    with Store(tmp_path).open() as store:
        assert store.get("a")
        assert store.get("b")
        assert store.get("x") is None


def test_one_writer_at_a_time(tmp_path):
    with (
        Store(tmp_path).open(),
        pytest.raises(FewshotError, match="another run is writing"),
        Store(tmp_path).open(),
    ):
        pass
    with Store(tmp_path).open():
        pass


def test_records_are_strict_json(tmp_path):
    odd = replace(record("a"), learner={"rate": float("nan")})
    with Store(tmp_path).open() as store, pytest.raises(ValueError, match="JSON"):
        store.add(odd, {})
    assert not (tmp_path / "trials.jsonl").exists()


@pytest.mark.parametrize(
    "change", [{"accuracy": "60"}, {"nll": float("nan")}, {"seed": None}, {"curve": [1]}]
)
def test_an_invalid_record_is_set_aside_and_stays_in_the_file(tmp_path, capsys, change):
    write(tmp_path, "a")
    path = tmp_path / "trials.jsonl"
    line = json.dumps({"format": FORMAT, **record("b").to_json(), **change})
    path.write_text(path.read_text() + line + "\n")
    with Store(tmp_path).open() as store:
        assert (store.get("a"), store.get("b")) == (record("a"), None)
    assert "1 unreadable line left as they are (2)" in capsys.readouterr().err
    assert line in path.read_text()


def test_a_full_disk_is_explained_and_keeps_what_was_there(tmp_path, monkeypatch):
    write(tmp_path, "a")

    def full(fd):
        raise OSError(28, "No space left on device")

    with Store(tmp_path).open() as store:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(FewshotError, match="No space left"):
            store.add(record("b"), PREDICTIONS)
    monkeypatch.undo()
    with Store(tmp_path).open() as store:
        assert store.get("a")


def test_an_unwritable_folder_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FewshotError, match="out="), Store(tmp_path / "file" / "results").open():
        pass


def test_the_key_is_that_of_the_content():
    assert key_of({"a": 1, "b": [2, "ü"]}) == key_of(json.loads('{"b": [2, "ü"], "a": 1}'))
    assert key_of({"a": 1}) != key_of({"a": 2})
