"""Records: append-only, flushed, one writer; torn and foreign lines lose nothing."""

import json
import os

import numpy as np
import pytest

from fewshot.errors import FewshotError
from fewshot.io.digests import key_of
from fewshot.trials.store import Store

PREDICTIONS = {"probabilities": np.array([[0.25, 0.75]], np.float16)}


def write(folder, *keys):
    with Store(folder).open() as store:
        for key in keys:
            store.add({"key": key, "accuracy": 50.0}, PREDICTIONS)


def test_what_is_written_is_read(tmp_path):
    write(tmp_path, "a", "b")
    with Store(tmp_path).open() as store:
        assert store.get("a")["accuracy"] == 50.0
        assert store.get("c") is None
        with np.load(store.predictions_path("b")) as arrays:
            assert arrays["probabilities"].tolist() == [[0.25, 0.75]]


def test_a_later_record_replaces_an_earlier(tmp_path):
    write(tmp_path, "a")
    with Store(tmp_path).open() as store:
        store.add({"key": "a", "accuracy": 60.0}, PREDICTIONS)
    with Store(tmp_path).open() as store:
        assert store.get("a")["accuracy"] == 60.0


@pytest.mark.parametrize("cut", [1, 10, 30])
def test_a_torn_last_line_is_reported_and_costs_one_trial(tmp_path, capsys, cut):
    write(tmp_path, "a", "b")
    path = tmp_path / "trials.jsonl"
    path.write_bytes(path.read_bytes()[: -cut - 1])
    write(tmp_path, "c")
    assert "1 unreadable line(s)" in capsys.readouterr().err
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
    with Store(tmp_path).open() as store, pytest.raises(ValueError, match="JSON"):
        store.add({"key": "a", "nll": float("nan")}, {})
    assert not (tmp_path / "trials.jsonl").exists()


def test_a_full_disk_is_explained_and_keeps_what_was_there(tmp_path, monkeypatch):
    write(tmp_path, "a")

    def full(fd):
        raise OSError(28, "No space left on device")

    with Store(tmp_path).open() as store:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(FewshotError, match="No space left"):
            store.add({"key": "b"}, PREDICTIONS)
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
