"""The cache with foreign content: what does not validate is named, set aside and computed anew."""

import contextlib
import json
import sqlite3

import numpy as np
import pytest
from foreign import FEW, spoiled
from hypothesis import given
from hypothesis import strategies as st

from fewshot.backbones import features
from fewshot.data.sources import read_meta
from fewshot.errors import FewshotError
from fewshot.training import checkpoints
from fewshot.training.trained import FILE, cached

META = {
    "name": "photos",
    "classes": ["cat", "dog"],
    "fingerprint": "f" * 64,
    "source": "photos",
    "levels": {"I;16": [0.0, 4095.0]},
    "left_out": [],
    "blank": [],
}


@FEW
@given(spoiled(META))
def test_a_meta_file_that_lies_is_read_or_one_line(tmp_path, content):
    (tmp_path / "meta.json").write_text(json.dumps(content))
    with contextlib.suppress(FewshotError):
        meta = read_meta(tmp_path)
        assert all(isinstance(name, str) for name in meta["classes"])
        assert all(isinstance(meta[key], str) for key in ("name", "fingerprint", "source"))


def test_a_range_without_an_end_is_damage(tmp_path):
    for end in (float("inf"), float("nan"), 10**400, 0, "x", True):
        (tmp_path / "meta.json").write_text(json.dumps({**META, "levels": {"floats": [0.0, end]}}))
        with pytest.raises(FewshotError, match="is damaged"):
            read_meta(tmp_path)


@FEW
@given(st.binary(max_size=40) | st.none() | st.integers(-5, 5) | st.text(max_size=3))
def test_a_row_is_features_or_computed_anew(tmp_path, capsys, row):
    x = np.zeros((1, 8, 8, 3), np.uint8)
    valid = features._valid({b"key": row}, None, x, tmp_path)
    told = capsys.readouterr().err
    assert bool(valid) != ("1 row without features, computed anew" in told)
    for numbers in valid.values():
        assert np.isfinite(np.frombuffer(numbers, np.float16)).all()


def test_rows_of_the_wrong_length_are_computed_anew(started, tiny_backbone, own_cache, capsys):
    x = np.random.default_rng(0).integers(0, 256, (4, 24, 24, 3), dtype=np.uint8)
    text = "tiny@24:weights=random"
    before = features.extract(text, x)
    path = next((own_cache / "features").glob("*.sqlite"))
    with contextlib.closing(sqlite3.connect(path)) as store, store:
        store.execute("UPDATE features SET row = ? WHERE image = ?", (b"\0\0", features.keys_of(x)[1]))
        store.execute("UPDATE features SET row = ? WHERE image = ?", ("text", features.keys_of(x)[2]))
    np.testing.assert_array_equal(features.extract(text, x), before)
    assert "2 rows without features, computed anew" in capsys.readouterr().err
    np.testing.assert_array_equal(features.extract(text, x), before)
    assert not capsys.readouterr().err


def test_a_store_that_is_none_is_set_aside(started, tiny_backbone, own_cache, capsys):
    x = np.zeros((2, 24, 24, 3), np.uint8)
    before = features.extract("tiny@24:weights=random", x)
    path = next((own_cache / "features").glob("*.sqlite"))
    path.write_bytes(b"not a database at all" * 100)
    np.testing.assert_array_equal(features.extract("tiny@24:weights=random", x), before)
    assert "set aside as" in capsys.readouterr().err
    assert path.with_name(f"{path.name}.damaged").exists()


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 torn", b"[]"])
def test_trained_weights_that_are_damaged_are_trained_anew(own_cache, capsys, damage):
    calls = []

    def train():
        calls.append(1)
        return {"seconds": 1.0}, [np.arange(3.0)]

    cached("toys", {"seed": 0}, train)
    next((own_cache / "toys").glob(f"*/{FILE}")).write_bytes(damage)
    note, weights = cached("toys", {"seed": 0}, train)
    assert (note, len(calls)) == ({"seconds": 1.0}, 2)
    np.testing.assert_array_equal(weights[0], np.arange(3.0))
    assert "are damaged: set aside as" in capsys.readouterr().err


def test_a_checkpoint_whose_note_is_foreign_is_one_line(tmp_path):
    np.savez(tmp_path / "checkpoint.npz", note=np.array("[1, 2]"))
    with pytest.raises(FewshotError, match="cannot be read"):
        checkpoints.load(tmp_path / "checkpoint.npz")
