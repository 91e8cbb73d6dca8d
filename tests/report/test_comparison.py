"""What `experiments.compare` found, on the page of the report: its document is a file like any other."""

import copy
import json
import re
from dataclasses import replace

import pytest
from helpers import keep, kept
from pages import EVIL, Reader, in_browser, loaded, probed
from PIL import Image

from fewshot.report import comparison
from fewshot.report.evidence import KINDS
from fewshot.report.groups import gather
from fewshot.report.markdown import document as markdown
from fewshot.report.page import album
from fewshot.report.page.compared import LISTED
from fewshot.report.page.html import page
from fewshot.report.plots.more_photos import plot_more_photos
from fewshot.stats.intervals import Estimate

WINNER = f"lite {EVIL}"
LOOKED_AT = (3, 5, 7)  # of number 5 the picture is lost
CLASSES = {"cat & <b>": 20, "dog": 12}
ADVICE = "Use it: of 100 new photos about 84 right (75 to 91)."


def estimate(value, low, high):
    return {"value": value, "n": 32, "interval": [low, high], "reason": None}


def photo(number, kind, label, answer, probability, note=""):
    return {
        "kind": kind,
        "file": f"{label}/<i>{number}.jpg",
        "label": label,
        "answer": answer,
        "probability": probability,
        "note": note,
        "thumbnail": f"thumbnails/{number}.jpg",
        **({"looks": f"looks/{number}.jpg"} if number in LOOKED_AT else {"looks": ""} if number == 4 else {}),
    }


def document(**changes):
    """Return what a comparison of two methods writes, with photos of every kind; one is of two kinds."""
    expected, cat, dog = estimate(84.25, 75.0, 91.0), estimate(88.0, 70.0, 95.0), estimate(99.7, 60.0, 100.0)
    rows = [(WINNER, expected, None, "winner"), ("ridge", None, estimate(-3.5, -6.0, -1.0), "worse")]
    finding = {"kind": "wrong label", "position": 7, "file": "cat & <b>/<i>7.jpg", "label": "cat & <b>"}
    finding |= {"suggested": "dog", "suspicion": 0.9, "why": "models say <u>dog</u>", "other": ""}
    cue = {"balanced_accuracy": 80.0, "error": 3.0, "chance": 50.0, "model": 84.0}
    photos = [
        photo(7, "wrong", "cat & <b>", "dog", 0.97, "wrong label: models say <u>dog</u>"),
        photo(3, "wrong", "dog", "cat & <b>", 0.65),
        photo(7, "suspicious", "cat & <b>", "dog", 0.97, "wrong label: models say <u>dog</u>"),
        photo(4, "unsure", "dog", "dog", 0.55),
        photo(5, "right", "dog", "dog", 1.0),
    ]
    made = {
        "study": "compare",
        "data": "blobs",
        "source": "/photos/<b>",
        "classes": CLASSES,
        "protocol": {key: value for key, value in kept("a", 0, 1.0).protocol.items() if key != "content"},
        "verdict": [ADVICE, "The second sentence."],
        "winner": WINNER,
        "methods": [
            {
                "method": method,
                "stage": "heads",
                "draws": 8,
                "photos": 32,
                "accuracy": accuracy,
                "to_winner": to_winner,
                "standing": standing,
                "seconds": 0.5,
                "what": f"what {method} is",
            }
            for method, accuracy, to_winner, standing in rows
        ],
        "left_out": {"gan <b>": "not within 2 minutes"},
        "recall": {"cat & <b>": cat, "dog": dog},
        "shots": {"3": estimate(60.1, 50.0, 70.0), "5": estimate(65.7, 55.0, 75.0)},
        "more_shots": {"62": estimate(86.5, 74.0, 93.0)},
        "command": f"python -m experiments.compare --data '{EVIL}'",
        "data_notes": ["left out: 2 files, cut off: <b>.jpg"],
        "model": {"method": WINNER, "path": "o ut/model.keras", "card": "o ut/model.json"},
        "figures": ["elsewhere/compare/blobs/shots.png"],
        "promise": {
            "accuracy": expected,
            "recall": [cat, dog],
            "confusion": [[88.0, 12.0], [0.3, 99.7]],
            "ece": 2.75,
            "ece_by_chance": 2.25,
            "temperature": 1.0,
            "n": 32,
        },
        "confusion": [[18, 2], [0, 12]],
        "calibration": {"confidence": [0.6, 0.9], "accuracy": [0.5, 0.875], "count": [16, 16]},
        "photos": {"counts": {"wrong": 2, "suspicious": 1, "unsure": 32, "right": 30}, "shown": photos},
        "inspection": {
            "photos": 32,
            "findings": [finding],
            "shortcuts": [cue | {"cue": "border <b>", "warning": True}, cue | {"cue": "x", "warning": False}],
        },
    }
    return copy.deepcopy(made | changes)


def compared(folder, document, *records, name="blobs"):
    """Write a results folder with a comparison: two trials of its own, and one of fewer images."""
    keep(folder, *(kept(method, 0, 70.0) for method in (WINNER, "ridge")), *records)
    keep(folder, kept(WINNER, 1, 60.0, shots=5))
    place = folder / "compare" / name
    (place / "thumbnails").mkdir(parents=True)
    (place / "looks").mkdir()
    for number in (3, 7):
        Image.new("RGB", (8, 6), (0, number, 0)).save(place / "looks" / f"{number}.jpg")
    for picture in ("shots", "older"):
        Image.new("RGB", (3, 2)).save(place / f"{picture}.png")
    for number in (3, 4, 5, 7):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(place / "thumbnails" / f"{number}.jpg")
    text = document if isinstance(document, str) else json.dumps(document)
    (place / "comparison.json").write_text(text)
    return folder


@pytest.fixture
def text(tmp_path):
    return page(gather(compared(tmp_path / "results", document())), "x")


def test_the_verdict_comes_first_and_no_name_is_markup(text):
    read = Reader(text)
    assert read.elements.count("script") == 1
    assert not re.search("<script>alert|<i>|<u>|[&] <b>|border <b>|gan <b>", text)
    section = text[text.index("<h2>compare: blobs</h2>") :]
    parts = [
        f'<p class="verdict"><b>{ADVICE}</b></p><p>The second sentence.</p>',
        "<h3>The model",
        "<h3>What to expect",
        "<h3>Which classes are confused",
        "<h3>What more photos",
        "<h3>Photos to look at",
        "<h3>Where the model looks",
        "<h3>What is suspicious",
        "<h3>What is in the data</h3><ul><li>left out: 2 files, cut off: &lt;b&gt;.jpg</li></ul>",
        "<h3>What was tried",
        "<h3>Left out",
        "<h3>Command",
    ]
    places = [section.index(part) for part in parts]
    assert places == sorted(places)
    assert "<h2>Summary" not in text  # it would say the same once more
    assert "3 trials of 2 methods" in text
    assert "fewshot predict &#x27;o ut/model.keras&#x27; PHOTOS…" in section.replace("'", "&#x27;")
    assert "gan &lt;b&gt;: not within 2 minutes." in section
    links = [value for _, name, value in read.attributes if name in ("src", "href")]
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in links)


def test_its_numbers_are_those_of_the_document(text):
    tables = {table[0][0]: table for table in Reader(text).tables}
    assert tables["class"][1:] == [
        ["all classes", "84", "75 to 91", "", ""],
        ["cat & <b>", "88", "70 to 95", "", "20"],
        ["dog", "99 or more", "60 to 100", "", "12"],
    ]
    assert 'style="left: 70.0%; width: 25.0%"' in text
    assert tables["true ↓ predicted →"][1:] == [
        ["cat & <b>", "88", "12", "20"],  # the diagonal is what the bars say
        ["dog", "0", ">99", "12"],
    ]
    assert "2.8 points off, where 2.2 would be chance" in text
    assert tables["file"][1] == [
        "cat & <b>/<i>7.jpg",
        "cat & <b>",
        "dog",
        "90 %",
        "label may be wrong",
        "models say <u>dog</u>",
    ]
    assert tables["file"][0][3] == "suspicion"
    assert "border &lt;b&gt; alone tells the classes in 80 % of cases" in text
    assert "x alone" not in text
    rows = tables["strategy"]
    assert rows[0] == [
        "strategy",
        "in short",
        "right of 100",
        "95 % interval",
        "beside the winner",
        "trained",
        "photos",
        "s each",
    ]
    assert rows[1][1] == "use this"
    assert rows[2] == ["ridge", "worse", "–", "–", "-3.5 [-6.0, -1.0]", "8 times", "32", "0.5"]
    assert '<small class="what">what ridge is</small>' in text
    assert text.count("<svg") == 2  # calibration and curve, in the page's own colours
    assert "var(--ink)" in text[text.index("<svg") :]


def test_a_photo_stands_once_with_all_its_kinds_and_nothing_is_certain(text):
    data = "".join(f' data-{name}="([^"]*)"' for name in ("kinds", "class", "probability"))
    items = re.findall(f"<li{data}", text)
    assert items == [
        ("wrong suspicious", "cat &amp; &lt;b&gt;", "0.9700"),
        ("wrong", "dog", "0.6500"),
        ("unsure", "dog", "0.5500"),
        ("right", "dog", "1.0000"),
    ]
    assert text.count("data:image/jpeg") == 4 + 2 * 2  # two with where the model looks
    shown = "wrong answer: 2 of 2; suspicious: 1 of 1; lowest probability: 1 of 32; right answer, highest"
    assert f"{shown} probability: 1 of 30." in text
    assert "answer: dog, 99.9 %" in text
    assert "100.0 %" not in text


def test_photos_without_thumbnail_or_room_are_counted(tmp_path, monkeypatch):
    folder = compared(tmp_path / "results", document())
    (folder / "compare" / "blobs" / "thumbnails" / "3.jpg").write_bytes(b"torn")
    text = page(gather(folder), "x")
    assert "wrong answer: 1 of 2;" in text
    assert "1 have no thumbnail, or no room on this page." in text
    monkeypatch.setattr(album, "THUMBNAILS", 700)
    assert page(gather(folder), "x").count("data:image/jpeg") == 1 + 2 * 1


def test_a_long_list_says_how_long_it_is(tmp_path):
    made = document()
    made["inspection"]["findings"] *= LISTED + 1
    text = page(gather(compared(tmp_path / "results", made)), "x")
    assert f"The first {LISTED} of {LISTED + 1}; comparison.json has all." in text


def test_each_folder_of_photos_has_its_section(tmp_path):
    folder = compared(tmp_path / "results", document())
    compared(folder, document(verdict=["Another."]), name="more-2")
    results = gather(folder)
    assert [found.title for found in results.comparisons] == ["compare: blobs", "compare: more-2"]
    read = Reader(page(results, "x"))
    ids = [value for _, name, value in read.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {"compare-1", "compare-2"} <= set(ids)


def test_its_trials_are_in_no_other_group_and_all_others_are(tmp_path):
    other = kept("a", 0, 1).protocol | {"data": "else"}
    others = [kept("ridge", seed, 50.0, protocol=other) for seed in (5, 6)]
    results = gather(compared(tmp_path / "results", document(), *others))
    assert len(results.comparisons[0].records) == 3
    (group,) = results.groups
    assert {record.protocol["data"] for record in group.records} == {"else"}


def test_strategies_that_the_last_run_left_out_stand_apart_and_lead_nothing(tmp_path):
    """An earlier run of more strategies, its curve included, is in no group of its own."""
    old = [kept("heads", seed, 97.0 + seed) for seed in (0, 1)]
    old += [kept("heads", 0, 91.0, shots=5), kept("tuned", 0, 99.0, date="2026-01-01T00:00:00+00:00")]
    results = gather(compared(tmp_path / "results", document(), *old))
    assert results.groups == []
    assert {record.method for record in results.comparisons[0].earlier} == {"heads", "tuned"}
    text = page(results, "x")
    assert "7 trials of 4 methods" in text
    assert "leads" not in text
    section = text[text.index("<h3>From an earlier run, not part of this verdict") :]
    assert text.index("<h3>Left out") < text.index("<h3>From an earlier run")
    assert "Trained on these photos on 2026-01-01 to 2026-01-02 by a run before the last one" in section
    (table,) = Reader(section[: section.index("<details")]).tables
    assert table[1:] == [
        ["tuned", "1 time", "99.0", "2026-01-01"],
        ["heads", "2 times", "97.5", "2026-01-02"],
    ]
    assert "### From an earlier run, not part of this verdict" in markdown(results, "x")


def test_the_curve_marks_today_draws_intervals_and_is_dashed_beyond():
    figure = plot_more_photos(comparison.read(document()))
    (axes,) = figure.axes
    measured, beyond = [line for line in axes.lines if line.get_linestyle() in ("-", "--")]
    assert (measured.get_linestyle(), list(measured.get_xdata())) == ("-", [3, 5, 12])
    assert (beyond.get_linestyle(), list(beyond.get_xdata())) == ("--", [12, 62])
    assert "today: 12 photos of each class" in [text.get_text() for text in figure.legends[0].get_texts()]
    bars = [segment[:, 1].tolist() for bars in axes.collections for segment in bars.get_segments()]
    assert bars == [[50.0, 70.0], [55.0, 75.0], [75.0, 91.0], [74.0, 93.0]]


def test_how_classes_count_and_what_is_corrected_is_said_as_it_is(tmp_path):
    told = comparison.read(document())
    assert "Each class counts as much as any other" in told.reading()
    natural = replace(told, protocol={**told.protocol, "prior": "natural"})
    assert "Classes count as often as they come" in natural.reading()
    assert not told.corrected
    assert replace(told, protocol={**told.protocol, "name": "folds"}).corrected
    alone = replace(told, table=told.table[:1])
    assert comparison.SIDE_BY_SIDE not in alone.reading()


def test_older_documents_are_read(tmp_path):
    """Their curve has no intervals, their confusion counts photos, and what is suspicious was called sure."""
    made = document(shots={"3": 60.0, "5": 65.7})
    del made["more_shots"], made["promise"]["confusion"], made["promise"]["ece_by_chance"]
    del made["methods"][0]["what"]
    for finding in made["inspection"]["findings"]:
        finding["sure"] = finding.pop("suspicion")
    told = comparison.read(made)
    assert told.curve[5] == Estimate(65.7, 0, None)
    assert told.evidence.confusion == ((90.0, 10.0), (0.0, 100.0))
    assert told.evidence.suspects[0].suspicion == 0.9
    assert "What more photos would bring" in page(gather(compared(tmp_path / "results", made)), "x")


def test_the_markdown_says_what_is_in_the_data_too(tmp_path):
    text = markdown(gather(compared(tmp_path / "results", document())), "x")
    assert "### What is in the data\n\n- left out: 2 files, cut off: " in text


def test_a_comparison_that_ended_early_has_a_section(tmp_path):
    """One draw: no winner, nothing promised, no model."""
    nothing = dict.fromkeys(("promise", "confusion", "calibration", "photos", "inspection"))
    made = document(**nothing, recall={}, shots={}, model=None, left_out={}, figures=[], data_notes=[])
    made["methods"] = [made["methods"][1]]
    results = gather(compared(tmp_path / "results", made))
    text = page(results, "x")
    assert results.notes == []
    section = text[text.index("<h2>compare") :].partition("<h2>other")[0]
    assert re.findall("<h3>(.*?)</h3>", section) == [
        "What was tried, and what it cost",
        "From an earlier run, not part of this verdict",  # the trials of the other strategy
        "Command",
    ]
    assert "## compare: blobs" in markdown(results, "x")


def test_markdown_tells_the_same_and_has_no_html(tmp_path):
    text = markdown(gather(compared(tmp_path / "results", document())), "x")
    assert f"- **compare: blobs** (blobs, testbed: 2 classes × 50 images): {ADVICE}" in text
    assert r"| cat \& \<b\> | 88 | 70 to 95 |" in text
    assert r"| cat \& \<b\> | 88 | 12 |" in text
    assert "| 90.0 % | 87.5 % | 16 |" in text
    assert (
        "| 5 | 65.7 | 55 to 75 |  |\n| 12 | 84.2 | 75 to 91 | today |\n| 62 | 86.5 | 74 to 93 | car" in text
    )
    assert r"| dog/\<i\>3.jpg | dog | cat \& \<b\> | 65.0 % |  |" in text
    assert r"| cat \& \<b\>/\<i\>7.jpg | cat \& \<b\> | dog | 90 % | wrong label |" in text
    assert "| ridge | worse | – | – | -3.5 [-6.0, -1.0] | 8 times | 32 | 0.5 |" in text
    assert "- ridge: what ridge is" in text
    assert "[compare/blobs/shots.png](<compare/blobs/shots.png>)" in text
    assert "older.png" not in text
    assert not re.search(r"(?<!\\)<(script|b|i|u)\b", re.sub("\n    .*", "", text))  # but in a command


def changed(path, value):
    """Return the document with one thing in it replaced; `path` leads there."""
    made = document()
    *way, last = path
    inner = made
    for step in way:
        inner = inner[step]
    inner[last] = value
    return made


ODD = {
    "torn": '{"study": ',
    "a list": "[1]",
    "a number": "1",
    "another study": document(study="augment"),
    "methods of text": document(methods="abc"),
    "a verdict of numbers": document(verdict=3),
    "a standing that is none": changed(["methods", 0, "standing"], "best"),
    "a value of text": changed(["methods", 0, "accuracy", "value"], "a"),
    "an interval of one": changed(["methods", 0, "accuracy", "interval"], [1]),
    "a number without end": json.dumps(document()).replace("84.25", "1" + "0" * 400),
    "no protocol": document(protocol="testbed"),
    "a protocol of lists": document(protocol={"name": []}),
    "shots of text": document(shots={"many": 1.0}),
    "a model of text": document(model="model.keras"),
    "figures of numbers": document(figures=[1]),
    "a confusion of three classes": changed(["promise", "confusion"], [[1, 0, 0]] * 3),
    "a confusion of debts": changed(["promise", "confusion"], [[100.5, -0.5], [0, 100]]),
    "bins of two lengths": changed(["calibration", "count"], [1]),
    "a share above 1": changed(["calibration", "accuracy"], [0.5, 1.5]),
    "bins without promise": document(promise=None),
    "photos of text": document(photos="many"),
    "a kind that is none": changed(["photos", "shown", 0, "kind"], "pretty"),
    "a kind that is a list": changed(["photos", "shown", 0, "kind"], []),
    "a thumbnail elsewhere": changed(["photos", "shown", 0, "thumbnail"], "../../secret.jpg"),
    "a thumbnail of the machine": changed(["photos", "shown", 0, "thumbnail"], "/etc/secret.jpg"),
    "a probability of nothing": changed(["photos", "shown", 0, "probability"], None),
    "counts of text": changed(["photos", "counts", "wrong"], "2"),
    "findings without file": changed(["inspection", "findings"], [{"kind": "dark"}]),
    "a warning of text": changed(["inspection", "shortcuts", 0, "warning"], "yes"),
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("kind", ODD)
def test_a_broken_document_is_one_line_and_its_trials_are_shown(kind, tmp_path):
    results = gather(compared(tmp_path / "results", ODD[kind]))
    assert results.comparisons == []
    assert results.notes == ["compare/blobs/comparison.json is no document of a comparison: left out."]
    assert {record.method for group in results.groups for record in group.records} == {WINNER, "ridge"}


def test_the_table_shows_what_is_known_and_no_interval_where_there_are_too_few():
    known, few = Estimate(83.0, 40, (70.3, 95.7)), Estimate(60.0, 3, None, "too few to say: 3 photos")
    table = [
        comparison.Row("a", "heads", 10, 40, known, None, "winner", 1.0),
        comparison.Row("c", "heads", 1, 3, few, few, "unclear", 1.0),
    ]
    lines = list(zip(*comparison.columns(table), strict=True))
    assert lines[1][:4] == ("a", "use this", "83.0", "[70.3, 95.7]")
    assert lines[2][:4] == ("c", "too early to say", "60.0", "–")
    assert lines[2][5] == "1 time"


def test_a_model_of_another_method_than_the_winner_is_said_to_be_that():
    told = comparison.read(document())
    path = {"path": "model.keras", "card": "model.json"}
    own, other = (replace(told, model={**path, "method": name}).use()[0] for name in (WINNER, "ridge"))
    assert own == f"model: model.keras ({WINNER}, trained on all photos)"
    assert other == f"model: model.keras (ridge, trained on all photos; {WINNER} is not saved)"


def test_what_is_written_is_what_is_read():
    read = comparison.read(document())
    assert comparison.read(comparison.document(read)) == replace(read, evidence=type(read.evidence)())
    assert read.expected == Estimate(84.25, 32, (75.0, 91.0), None)
    assert set(read.evidence.counts) == set(KINDS)


PROBE = """
const all = (selector) => [...document.querySelectorAll(selector)];
const shown = () => all(".photos li").filter((item) => item.offsetParent).map(
  (item) => item.querySelector(".file").textContent.match(/\\d/)[0]).join("");
const choose = (name, value) => {
  const select = document.querySelector(`[name=${name}]`);
  select.value = value;
  select.dispatchEvent(new Event("change", { bubbles: true }));
  return shown();
};
const found = { before: shown(), leastSure: choose("order", "1"), wrong: choose("kind", "wrong") };
found.dogs = choose("class", "dog");
found.told = document.querySelector("output").textContent;
choose("kind", ""); choose("class", "");
found.over90 = choose("probability", "3");
choose("probability", "");
const button = document.querySelector(".photos button");
button.focus(); button.click();
const dialog = document.querySelector("dialog");
found.open = dialog.open;
const told = () => dialog.querySelector(".file").textContent.match(/\\d/)[0];
found.enlarged = told();
dialog.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
found.next = told();
found.whole = dialog.querySelector("img").naturalWidth;
found.wide = document.documentElement.scrollWidth > window.innerWidth;
found.tall = Math.max(...all("img, ul.photos, figure").map((one) => one.offsetHeight)) > 844;
dialog.close();
found.closed = !dialog.open;
document.title = JSON.stringify(found);
"""


@in_browser
def test_in_a_browser(text, tmp_path):
    assert probed(text, PROBE, tmp_path) == {
        "before": "7345",
        "leastSure": "4375",
        "wrong": "37",
        "dogs": "3",
        "told": "1 of 4 photos",
        "over90": "75",
        "open": True,
        "enlarged": "4",
        "next": "3",
        "whole": 8,
        "wide": False,
        "tall": False,
        "closed": True,
    }
    assert "<output>4 of 4 photos</output>" in loaded(text, tmp_path)  # under the page's own policy, too


def test_photos_stand_beside_what_the_model_looks_at(text, tmp_path, monkeypatch):
    listed = text[text.index("<h3>Where the model looks") : text.index("<h3>What is suspicious")]
    assert listed.count("<li>") == 2
    assert listed.count("<img") == 4
    assert '<span class="wrong">cat &amp; &lt;b&gt; → dog</span>' in listed
    monkeypatch.setattr("fewshot.report.page.compared.LOOKS", 10)  # bytes: there is no room
    assert "Where the model looks" not in page(gather(tmp_path / "results"), "x")


def test_pictures_lie_below_the_document():
    bad = document()
    bad["photos"]["shown"][0]["looks"] = "../secret.jpg"
    with pytest.raises(ValueError, match="no picture"):
        comparison.read(bad)


def test_trials_of_another_folder_of_the_same_name_are_not_its_own():
    record = kept(WINNER, 0, 70.0)
    content = record.protocol["content"]
    assert comparison.read(document()).owns(record)  # an older document, which names no contents
    assert comparison.read(document(contents=["other", content])).owns(record)
    assert not comparison.read(document(contents=["other"])).owns(record)
