"""What `fs.run` returns: a table, a frame, figures."""

import sys

import pytest

import fewshot as fs
from fewshot.errors import FewshotError, UsageError


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Three methods that take no time, on two tasks of the digits."""
    out = tmp_path_factory.mktemp("api")
    methods = ["ridge", "logistic", "centroid"]
    return fs.run(methods, "digits", 2, shots=10, out=out, jobs=1, progress=False)


def test_the_table_and_the_summary(results):
    assert [row.method for row in results.summary()] == ["ridge", "logistic", "centroid"]
    assert all(row.n == 2 for row in results.summary())
    assert "Δ to ridge" in results.table()
    assert results.table() in repr(results)


def test_a_notebook_shows_the_reports_table(results):
    html = results._repr_html_()
    assert '<table class="results">' in html
    assert "<small> baseline</small>" in html
    assert html.count("<tr") == 4


def test_a_figure_is_shown_and_no_file_written(results, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    monkeypatch.chdir(tmp_path)
    figure = results.plot("accuracy")
    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert not list(tmp_path.iterdir())


def test_a_figure_is_saved(results, tmp_path):
    assert [path.name for path in results.save(tmp_path / "strip")] == ["strip.png", "strip.svg"]


@pytest.mark.parametrize("kind", ["curves", "calibration"])
def test_every_plot_of_the_studies(results, kind):
    assert results.plot(kind)._repr_png_().startswith(b"\x89PNG")


def test_an_unknown_plot(results):
    with pytest.raises(UsageError, match="unknown plot 'acuracy': did you mean 'accuracy'"):
        results.plot("acuracy")


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
