"""The studies from Python: the README's five lines, and what they return."""

import sys

import numpy as np
import pytest

from experiments import api
from fewshot.errors import FewshotError, UsageError


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Three methods that take no time, on two tasks of the digits."""
    data = api.load("digits", shots=10)
    return data.run(["ridge", "logistic", "centroid"], seeds=2, out=tmp_path_factory.mktemp("api"), jobs=1)


def test_load_and_draw():
    data = api.load("digits", classes=("3", "8"), ways=2, shots=12)
    task = data.draw(seed=4)
    assert task.classes == ("3", "8")
    assert len(task.train) == 24
    assert np.array_equal(task.train_index, data.draw(4).train_index)


def test_the_table_and_the_summary(results):
    assert results.baseline == "ridge"
    assert [row.method for row in results.summary()] == ["ridge", "logistic", "centroid"]
    assert all(row.n == 2 for row in results.summary())
    assert "Δ to ridge" in results.table()


def test_the_picture(results, tmp_path):
    assert [path.name for path in results.plot(tmp_path / "accuracy")] == ["accuracy.png", "accuracy.svg"]


def test_the_data_frame(results):
    pandas = pytest.importorskip("pandas")
    frame = results.frame()
    assert isinstance(frame, pandas.DataFrame)
    assert len(frame) == 6
    assert frame.groupby("method").accuracy.mean()["ridge"] == pytest.approx(results.summary()[0].mean)


def test_without_pandas(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(FewshotError, match="pip install pandas"):
        results.frame()


def test_unknown_methods():
    with pytest.raises(UsageError, match="did you mean 'ridge'"):
        api.load("digits").run(["rigde"])
