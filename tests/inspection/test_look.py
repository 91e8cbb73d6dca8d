"""An inspection names files and both labels, in its document, table, text and pictures."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from fewshot.inspection.findings import COLUMNS, KINDS, Inspection
from fewshot.inspection.look import Apart, inspect
from fewshot.report.plots.gallery import gallery, shortened

CLASSES = ("cat", "dog")


@pytest.fixture
def photos(tmp_path):
    """Forty photos, files included: 0 has a wrong label, 1 is black, 2 and 5 are one photo, 7 an outlier."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (40, 8, 8, 3)).repeat(5, 1).repeat(5, 2).astype(np.uint8)
    y = np.arange(40) % 2
    x[1] = 0
    x[5] = x[2]
    files = []
    for i, image in enumerate(x):
        file = f"{CLASSES[y[i]]}/photo {i:02}.png"
        (tmp_path / file).parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / file)
        files.append(file)
    answers = np.where(np.eye(2)[y] == 1, 0.9, 0.1)
    answers[0] = (0.02, 0.98)
    features = rng.normal(0, 1, (40, 12)) + 5 * np.eye(12)[y]
    features[7] = -15 * np.eye(12)[5]
    groups = np.arange(40)
    groups[5] = 2
    return {
        "images": x,
        "labels": y,
        "classes": CLASSES,
        "files": files,
        "directory": tmp_path,
        "probabilities": answers,
        "features": features,
        "groups": groups,
    }


def kinds(inspection: Inspection) -> list[tuple[str, int]]:
    return [(finding.kind, finding.position) for finding in inspection.findings]


def test_every_finding_names_its_file(photos):
    inspection = inspect(**photos)
    assert kinds(inspection) == [("label error", 5), ("wrong label", 0), ("outlier", 7), ("flat", 1)]
    assert all(one.file == photos["files"][one.position] for one in inspection.findings)
    twice, wrong, *_ = inspection.findings
    assert (wrong.label, wrong.suggested) == ("cat", "dog")
    assert (twice.label, twice.suggested) == ("dog", "cat")
    assert (twice.other, twice.other_label) == ("cat/photo 02.png", "cat")
    assert set(KINDS) >= {one.kind for one in inspection.findings}


def test_photos_that_stand_in_two_parts(photos, tmp_path):
    """Photo 4 stands in the test part, too; so does photo 6, as another class."""
    twins = [
        Apart(f"test/{label}/{i}.png", label, i, photos["images"][i]) for i, label in ((4, "cat"), (6, "dog"))
    ]
    inspection = inspect(**photos, apart=twins)
    (leak,) = inspection.of("in two parts")
    assert (leak.position, leak.other, leak.other_label) == (4, "test/cat/4.png", "cat")
    assert [(one.position, one.other) for one in inspection.of("label error")] == [
        (5, "cat/photo 02.png"),
        (6, "test/dog/6.png"),
    ]
    told = [path.name for path in inspection.sheets(tmp_path)]
    assert {"in-two-parts.png", "label-error.png"} <= set(told)


def test_the_document_and_the_table_hold_the_same(photos, tmp_path):
    inspection = inspect(**photos)
    document = json.loads(json.dumps(inspection.document(), allow_nan=False))
    with inspection.csv(tmp_path / "findings.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert document["photos"] == 40
    assert [row["file"] for row in rows] == [one["file"] for one in document["findings"]]
    assert tuple(rows[0]) == COLUMNS
    assert float(rows[0]["suspicion"]) == document["findings"][0]["suspicion"]
    assert {one["cue"] for one in document["shortcuts"]} >= {"mean colour", "the size of the file"}


def test_the_text_tells_files_labels_and_how_sure(photos):
    text = "\n".join(inspect(**photos).text())
    assert "cat/photo 00.png: cat, not dog? (models trained without it say dog; suspicion " in text
    assert text.startswith(
        "label errors: the same photo in two classes: 1 of 40\n  dog/photo 05.png: dog or cat? "
    )
    assert "the same photo as cat/photo 02.png, which is cat: one label is wrong" in text


def test_many_findings_are_counted_and_a_few_told():
    x = np.zeros((30, 8, 8, 3), np.uint8)
    lines = inspect(x, np.arange(30) % 2, CLASSES).text()
    assert lines[0] == "photos of one colour: 30 of 30, the first 5"
    assert lines[1].strip().startswith("image 0: cat (all black")
    assert len(lines) == 6


def test_nothing_suspicious_is_a_line():
    x = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)
    assert inspect(x, np.arange(12) % 2, CLASSES).text() == ["12 photos looked at: nothing suspicious"]


def test_pictures_of_each_kind(photos, tmp_path):
    paths = inspect(**photos).sheets(tmp_path / "look")
    assert {path.stem for path in paths} == {"wrong-label", "label-error", "outlier", "flat"}
    for path in paths:
        assert path.stat().st_size > 1000


def test_photos_in_all_views_show_the_padded_one(photos):
    photos["images"] = np.stack([np.full_like(photos["images"], 50 * view) for view in range(5)], 1)
    inspection = inspect(**photos)
    assert inspection.images.shape == (40, 40, 40, 3)
    assert (inspection.images == 50).all()


def test_a_shortcut_is_a_warning(photos):
    for i, file in enumerate(photos["files"]):
        with (photos["directory"] / file).open("ab") as stream:
            stream.write(bytes(100_000 * (i % 2)))
    lines = inspect(**photos).text()
    assert any(line.startswith("shortcut: the size of the file alone tells the classes") for line in lines)


def test_arrays_that_do_not_fit(photos):
    with pytest.raises(ValueError, match="as many of all"):
        inspect(**photos | {"groups": np.arange(3)})


def test_one_class_of_one_photo():
    x = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    y = np.array([0, 1, 1])
    assert inspect(x, y, CLASSES, probabilities=np.full((3, 2), 0.5), features=x.reshape(3, -1)).count == 3


def test_a_gallery_says_that_there_are_more(tmp_path):
    image = np.zeros((4, 6, 3), np.uint8)
    pictures = [(image, [f"photo {i}.png", "cat"]) for i in range(30)]
    png, svg = gallery(pictures, tmp_path / "gallery", "Photos")
    with Image.open(png) as drawn:
        assert max(drawn.size) < 1500
    assert svg.exists()
    (smaller,) = {path.stat().st_size for path in gallery(pictures[:20], tmp_path / "few", "Photos")[:1]}
    assert smaller != png.stat().st_size


@pytest.mark.filterwarnings("error")
def test_a_name_in_any_script_is_drawn_without_a_warning(tmp_path):
    assert gallery([(np.zeros((4, 4, 3), np.uint8), ["猫/写真 😀.jpg", "猫"])], tmp_path / "cats", "猫")


def test_a_long_name_loses_its_middle():
    assert shortened("a/b.png") == "a/b.png"
    short = shortened("a very long folder/with a photo 0815.jpeg", 20)
    assert len(short) == 20
    assert short.endswith("photo 0815.jpeg"[-12:])
    assert shortened("new\nline") == "new\\nline"
