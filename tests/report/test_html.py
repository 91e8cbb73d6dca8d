"""The page: it needs nothing else, no name is markup, its numbers are the analysis's, and it works."""

import re
import shutil

import numpy as np
import pytest
from helpers import keep, kept
from pages import EVIL, Reader, in_browser, loaded, probed
from PIL import Image

from fewshot.report.groups import gather
from fewshot.report.markdown import document, escaped
from fewshot.report.names import shortened
from fewshot.report.page.album import PICTURE, album
from fewshot.report.page.html import page
from fewshot.report.page.markup import join, tag
from fewshot.report.page.vector import inline
from fewshot.report.plots import plots
from fewshot.report.plots.shots import shots_curves
from fewshot.report.table import columns


def runs(method, mean, seeds=range(4), **fields):
    return [kept(method, seed, mean + seed % 3, **fields) for seed in seeds]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Made-up records of every awkward kind, with predictions."""
    labels = np.repeat([0, 1], 6)
    predictions = {"probabilities": np.eye(2, dtype=np.float16)[labels[::-1]], "labels": labels}
    return keep(
        tmp_path_factory.mktemp("made-up") / EVIL.replace("/", "∕"),
        *runs("none", 60.0),
        *runs(EVIL, 70.0, classes=["<i>cat</i>", "dog"]),
        *runs("odd|name", 50.5)[:3],
        kept("odd|name", 3, None, reason="<b>diverged</b>"),
        *runs("none", 50.0, shots=20),
        *runs(EVIL, 55.0, shots=20),
        kept("none", 1000, 60.0),
        predictions=predictions,
    )


@pytest.fixture(scope="module")
def text(folder):
    return page(gather(folder), "python -m experiments.report '<results>'")


def test_no_name_is_markup(text):
    read = Reader(text)
    assert "<script>alert" not in text
    assert "<b>diverged" not in text
    assert "<i>cat" not in text
    assert read.elements.count("script") == 1
    assert not [name for _, name, _ in read.attributes if name.startswith("on")]
    assert EVIL in read.tables[0][2][0]


def test_the_page_needs_nothing_else(text):
    read = Reader(text)
    links = [value for _, name, value in read.attributes if name in ("src", "href", "xlink:href", "srcset")]
    assert links
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/)", text)
    assert ("meta", "http-equiv", "Content-Security-Policy") in read.attributes
    assert ("meta", "name", "viewport") in read.attributes


def test_ids_are_unique_and_links_lead_to_them(text):
    read = Reader(text)
    ids = [value for _, name, value in read.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for _, name, value in read.attributes if name == "href"} <= set(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)


def test_every_number_of_a_table_is_that_of_the_analysis(folder, text):
    groups = gather(folder).groups
    tables = [table for table in Reader(text).tables if table[0][0] == "method"]
    assert len(tables) == len(groups) == 3
    for group, table in zip(groups, tables, strict=True):
        shown = {column[0]: column[1:] for column in (list(cells) for cells in zip(*table, strict=True))}
        expected = {column[0]: column[1:] for column in columns(group.results, group.baseline)}
        assert shown == expected
        assert list(shown)[:3] == ["method", "n", "mean ± std"]


def test_a_real_study(study):
    out, _ = study
    results = gather(out)
    text = page(results, "x")
    (group,) = results.groups
    assert (group.study, group.baseline) == ("augment", "baseline")
    # Other tests repeat the command with further options in the same folder.
    assert group.command.startswith("python -m experiments.augment --data digits --quick --method flip ")
    assert group.command in text
    mean = next(result for result in group.results if result.method == "flip").mean
    assert f"{mean:.2f} ±" in text
    assert len(re.findall("<svg", text)) == 3  # strip plot, learning curves, calibration
    tables = Reader(text).tables
    assert [len(table) - 1 for table in tables] == [2, *(len(table) - 1 for table in tables[1:])]
    assert all(table[0][0] == "true ↓ predicted →" for table in tables[1:])
    assert page(gather(out), "x") == text


def test_failures_and_missing_predictions_are_named(folder, text, tmp_path):
    assert "1 failed trial" in text
    assert "seed 3: &lt;b&gt;diverged&lt;/b&gt;" in text
    copy = shutil.copytree(folder, tmp_path / "copy")
    key = kept("none", 0, 60.0).key
    (copy / "predictions" / f"{key}.npz").write_bytes(b"torn")
    assert f"The predictions of 1 trial are missing or torn ({key})" in page(gather(copy), "x")


def test_hundreds_of_methods_have_rows_but_no_columns_in_a_picture(tmp_path):
    few = (kept(f"method {i}", seed, 50.0 + i / 7 + seed, curve=None) for i in range(120) for seed in (0, 1))
    keep(tmp_path, *few, *runs("none", 40.0, seeds=(0, 1)))
    text = page(gather(tmp_path), "x")
    assert len(Reader(text).tables[0]) == 122
    room = plots["accuracy"].traits["at_most"]
    assert f"Accuracy of {room} methods on each task" in text
    assert "the best of 121; the table has all" in text


def test_long_names_are_shortened_in_pictures_and_told_in_full(tmp_path):
    long = [f"compact:schedule=one-cycle,learning_rate=0.{i},{'label_smoothing=0.1,' * 5}end" for i in (1, 2)]
    assert list(shortened([*long, "none", "none"]).values()) == [
        "compact:schedule…oothing=0.1,end",
        "compact:schedule…oothing=0.1,end #2",
        "none",
    ]
    keep(tmp_path, *runs("none", 50.0), *runs(long[0], 60.0), *runs(long[1], 61.0))
    text = page(gather(tmp_path), "x")
    assert f"</b>: {long[1]}</li>" in text
    assert all(name not in svg for name in long for svg in re.findall("<svg.*?</svg>", text, re.DOTALL))


def test_one_seed_and_nothing_but_failures(tmp_path):
    Reader(page(gather(keep(tmp_path / "one", kept("none", 0, 60.0))), "x"))
    text = page(gather(keep(tmp_path / "none", kept("none", 0, None))), "x")
    assert "No trial succeeded." in text
    assert "<svg" not in text


def test_shots_are_compared_on_the_seeds_that_all_have():
    records = [*runs("a", 60.0), *runs("a", 50.0, seeds=range(3), shots=20), *runs("b", 50.0)]
    curves = shots_curves(records)
    assert list(curves) == ["blobs, testbed"]
    assert {shots: point.mean for shots, point in curves["blobs, testbed"]["a"].items()} == {
        20: 51.0,
        50: 61.0,
    }
    assert list(curves["blobs, testbed"]) == ["a"]


def test_pictures_are_embedded_and_torn_or_large_ones_named(tmp_path):
    good, torn, large = (tmp_path / f"{name}.png" for name in ("good", "torn", "large"))
    Image.new("RGB", (3, 2)).save(good)
    torn.write_bytes(good.read_bytes()[:30])
    large.write_bytes(good.read_bytes() + bytes(PICTURE))
    pictures, skipped = album(tmp_path, [good, torn, large])
    assert list(pictures) == ["good.png"]
    assert 'src="data:image/png;base64,' in pictures["good.png"]
    assert 'width="3" height="2"' in pictures["good.png"]
    assert skipped == ["torn.png", "large.png"]


def test_sheets_of_the_folder_stand_in_the_page(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "augment" / "sheets").mkdir(parents=True)
    Image.new("RGB", (3, 2)).save(copy / "augment" / "sheets" / "flip & more.png")
    assert 'alt="augment/sheets/flip &amp; more.png"' in page(gather(copy), "x")
    assert r"[augment/sheets/flip \& more.png](<augment/sheets/flip & more.png>)" in document(
        gather(copy), "x"
    )


def test_markdown_has_the_summary_the_tables_and_no_html(folder):
    text = document(gather(folder), "python -m experiments.report x")
    assert "<script" not in re.sub(r"\\<", "", text)
    assert f"**{escaped(EVIL)}** leads with 70.75 ± 0.96 % accuracy over 4 tasks, +10.00 points" in text
    assert text.count("| method |") == 3
    assert "    python -m experiments.report x" in text


def test_a_tag_escapes_what_is_not_markup():
    inner = tag("b", "1 < 2", title='"')
    assert tag("p", "a & ", inner, None, class_="x", id=None) == (
        '<p class="x">a &amp; <b title="&quot;">1 &lt; 2</b></p>'
    )
    assert join("<", inner) == "&lt;" + inner


def test_a_drawing_takes_the_pages_colours_and_keeps_its_ids_apart():
    def draw():
        from matplotlib.figure import Figure

        figure = Figure()
        figure.add_subplot().plot([0, 1], color="#0072B2", label="_a")
        return figure

    text = inline(draw, 'a "label"', "one")
    assert "var(--blue)" in text
    assert "#0072b2" not in text.lower()
    assert 'aria-label="a &quot;label&quot;"' in text
    assert all(name.startswith("one-") for name in re.findall(r'\bid="([^"]+)"', text))
    assert text == inline(draw, 'a "label"', "one")
    assert "<metadata" not in text


# In a browser

PROBE = """
const order = () => [...document.querySelectorAll("table.results")[0].tBodies[0].rows]
  .map((row) => row.cells[2].textContent).join(" ");
const heads = document.querySelectorAll("table.results")[0].tHead.rows[0].cells;
const found = { before: order() };
heads[2].querySelector("button").click();
found.down = order() + heads[2].getAttribute("aria-sort");
heads[2].querySelector("button").click();
found.up = order() + heads[2].getAttribute("aria-sort");
heads[4].querySelector("button").click();
found.missingLast = [...document.querySelectorAll("table.results tbody")[0].rows].at(-1).cells[4].textContent;
found.released = heads[2].getAttribute("aria-sort");
found.wide = document.documentElement.scrollWidth > window.innerWidth;
document.title = JSON.stringify(found);
"""


@in_browser
def test_in_a_browser_it_loads_without_errors_and_sorts(text, tmp_path):
    assert probed(text, PROBE, tmp_path) == {
        "before": "60.75 ± 0.96 70.75 ± 0.96 51.50 ± 1.00",
        "down": "70.75 ± 0.96 60.75 ± 0.96 51.50 ± 1.00descending",
        "up": "51.50 ± 1.00 60.75 ± 0.96 70.75 ± 0.96ascending",
        "missingLast": "–",
        "released": "none",
        "wide": False,
    }
    assert 'aria-sort="none"' in loaded(text, tmp_path)  # under the page's own policy, too
