"""What `experiments.compare` found, on the page of the report: its document is a file like any other."""

import json
import re

import pytest
from helpers import keep, kept
from pages import EVIL, Reader, in_browser, loaded, probed
from PIL import Image

from fewshot.report import comparison
from fewshot.report.groups import gather
from fewshot.report.markdown import document as markdown
from fewshot.report.page.html import page
from fewshot.stats.intervals import Estimate

WINNER = f"lite {EVIL}"


def document(**changes):
    """Return what a comparison of three methods over eight draws writes: one was stopped after five."""
    spread = {"n": 4, "mean": 84.25, "std": 2.5, "ci95": [80.3, 88.2]}
    delta = {"n": 4, "mean": -3.5, "std": 1.0, "ci95": [-5.1, -1.9], "p": 0.125, "wins": 0}
    rows = [(WINNER, None, None, 0.5), ("ridge", delta, None, 0.25), ("k-nn", delta, 5, 0.125)]
    made = {
        "study": "compare",
        "data": "blobs",
        "protocol": {key: value for key, value in kept("a", 0, 1.0).protocol.items() if key != "content"},
        "verdict": f"Use {WINNER}: 84.2 % ± 2.5 over 4 draws.",
        "methods": [
            {
                "method": method,
                "draws": stopped or 8,
                "stopped": stopped,
                "accuracy": spread,
                "to_winner": to_winner,
                "seconds": seconds,
            }
            for method, to_winner, stopped, seconds in rows
        ],
        "shots": {"5": 65.7, "50": 84.25},
        "fifty_more": {"points": 3.2, "exponent": 0.4},
        "wrong_under_every_method": [{"image": 7, "part": "train", "answer": "dog"}],
        "command": f"python -m experiments.compare --data '{EVIL}'",
        "model": {"method": WINNER, "path": "o ut/model.keras", "card": "o ut/model.json"},
        "figures": ["elsewhere/compare/shots.png", "elsewhere/compare/hard.png"],
    }
    return made | changes


def compared(folder, document, *records):
    """Write a results folder with a comparison: three trials of its own, and one of fewer images."""
    keep(folder, *(kept(method, 0, 70.0) for method in (WINNER, "ridge", "k-nn")), *records)
    keep(folder, kept(WINNER, 1, 60.0, shots=5))
    (folder / "compare").mkdir()
    for name in ("shots", "hard", "duplicates"):
        Image.new("RGB", (3, 2)).save(folder / "compare" / f"{name}.png")
    text = document if isinstance(document, str) else json.dumps(document)
    (folder / "compare" / "comparison.json").write_text(text)
    return folder


def test_the_verdict_comes_first_and_no_name_is_markup(tmp_path):
    text = page(gather(compared(tmp_path / "results", document())), "x")
    read = Reader(text)
    assert "<script>alert" not in text
    assert read.elements.count("script") == 1
    told = text[text.index("<h2>Summary") :]
    assert told.index("<p>Use lite &lt;script&gt;") < told.index("<p>Another 50 images")
    assert "4 trials of 3 methods" in text
    (table,) = read.tables
    assert table[0] == ["method", "draws", "mean ± std", "95 % interval", "Δ to the winner", "p", "s/trial"]
    assert [row[0] for row in table[1:]] == [WINNER, "ridge", "k-nn"]
    assert table[2][1:] == ["8", "84.25 ± 2.50", "[80.3, 88.2]", "-3.50 [-5.1, -1.9]", "0.125", "0.2"]
    assert table[3][1] == "stopped after 5"
    assert table[3][5] == "–"  # no p
    assert "use it: fewshot predict 'o ut/model.keras'" in text.replace("<wbr>", "")
    links = [value for _, name, value in read.attributes if name in ("src", "href")]
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)


def test_only_the_pictures_that_were_drawn_last_are_shown(tmp_path):
    results = gather(compared(tmp_path / "results", document()))
    text = page(results, "x")
    assert 'alt="compare/shots.png"' in text
    assert 'alt="compare/hard.png"' in text
    assert "duplicates.png" not in text
    assert results.pictures == []


def test_its_trials_are_in_no_other_group_and_all_others_are(tmp_path):
    others = [
        kept("ridge", seed, 50.0, threads=2, protocol=kept("a", 0, 1).protocol | {"ways": 5})
        for seed in (0, 1)
    ]
    results = gather(compared(tmp_path / "results", document(), *others))
    assert len(results.compared) == 4
    (group,) = results.groups
    assert [record.protocol["ways"] for record in group.records] == [5, 5]


def test_markdown_has_the_verdict_the_table_and_no_html(tmp_path):
    text = markdown(gather(compared(tmp_path / "results", document())), "x")
    assert "- **compare** (blobs, testbed: 2 classes × 50 images): Use lite \\<script\\>" in text
    assert "| ridge | 8 | 84.25 ± 2.50 | [80.3, 88.2] | -3.50 [-5.1, -1.9] | 0.125 | 0.2 |" in text
    assert "[compare/shots.png](<compare/shots.png>)" in text
    assert "'o ut/model.keras' IMAGES…" in text
    assert not re.search(r"(?<!\\)<script", text.partition("    python")[0])


ODD = {
    "torn": '{"study": ',
    "a list": "[1]",
    "a number": "1",
    "another study": document(study="augment"),
    "no methods": document(methods=[]),
    "methods of text": document(methods="abc"),
    "a verdict of numbers": document(verdict=3),
    "a mean of text": document(methods=[document()["methods"][0] | {"accuracy": {"n": 1, "mean": "a"}}]),
    "a std without mean": document(
        methods=[document()["methods"][0] | {"accuracy": {"n": 1, "mean": None, "std": 1, "ci95": None}}]
    ),
    "an interval of one": document(
        methods=[document()["methods"][0] | {"accuracy": {"n": 1, "mean": 1, "std": 1, "ci95": [1]}}]
    ),
    "a number without end": json.dumps(document()).replace("84.25", "1" + "0" * 400),
    "no protocol": document(protocol="testbed"),
    "a protocol of lists": document(protocol={"name": []}),
    "shots of text": document(shots={"many": 1.0}),
    "a model of text": document(model="model.keras"),
    "figures of numbers": document(figures=[1]),
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("kind", ODD)
def test_a_broken_document_is_one_line_and_its_trials_are_shown(kind, tmp_path):
    results = gather(compared(tmp_path / "results", ODD[kind]))
    assert results.comparison is None
    assert results.notes == ["compare/comparison.json is no document of a comparison: left out."]
    assert {record.method for group in results.groups for record in group.records} == {
        WINNER,
        "ridge",
        "k-nn",
    }


def test_the_table_shows_what_is_known_and_no_interval_where_there_are_too_few():
    known, few = Estimate(83.0, 40, (70.3, 95.7)), Estimate(60.0, 3, None, "too few to say: 3 photos")
    table = [
        comparison.Row("a", "heads", 10, 40, known, None, "winner", 1.0),
        comparison.Row("c", "heads", 1, 3, few, few, "unclear", 1.0),
    ]
    lines = list(zip(*comparison.columns(table), strict=True))
    assert lines[1][:5] == ("a", "10", "40", "83.0", "[70.3, 95.7]")
    assert lines[2][:5] == ("c", "1", "3", "60.0", "–")


PROBE = """
const table = document.querySelectorAll("table.results")[0];
const order = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent.slice(0, 4)).join(" ");
const first = document.querySelector("#summary .card p:not(.tasks)").textContent.slice(0, 8);
const found = { first, before: order() };
table.tHead.rows[0].cells[6].querySelector("button").click();
table.tHead.rows[0].cells[6].querySelector("button").click();
found.cheapestFirst = order();
found.pictures = [...document.images].every((image) => image.complete && image.naturalWidth === 3);
found.wide = document.documentElement.scrollWidth > window.innerWidth;
document.title = JSON.stringify(found);
"""


@in_browser
def test_in_a_browser(tmp_path):
    text = page(gather(compared(tmp_path / "results", document())), "x")
    assert probed(text, PROBE, tmp_path) == {
        "first": "Use lite",
        "before": "lite ridg k-nn",
        "cheapestFirst": "k-nn ridg lite",
        "pictures": True,
        "wide": False,
    }
    assert 'aria-sort="none"' in loaded(text, tmp_path)
