"""`experiments.predict`: every kind of file, every way out, and models that are not to be trusted."""

import csv
import io
import json
import os

import keras
import numpy as np
import pytest
from PIL import Image

from experiments.predict import main
from fewshot.data import Dataset
from fewshot.data.photo import load_image
from fewshot.deploy.saved import Look, load
from fewshot.deploy.sorting import Sorter
from fewshot.errors import FewshotError, UsageError
from fewshot.io.digests import sha256_of
from fewshot.learners.estimator import EstimatorLearner

pytestmark = pytest.mark.usefixtures("started")

DARK, LIGHT = 20, 235


@pytest.fixture(scope="module")
def model(tmp_path_factory, started):
    """A model that tells dark images from light ones."""
    from fewshot.deploy.export import export

    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = np.where(y, LIGHT, DARK)[:, None, None, None] + rng.integers(-15, 15, (40, 24, 24, 3))
    path = tmp_path_factory.mktemp("models") / "model.keras"
    export(EstimatorLearner("logistic"), Dataset(x.astype(np.uint8), y, ("dark", "ünlicht")), 0, path, {})
    return path


@pytest.fixture
def photos(tmp_path):
    """Images of every kind, in nested folders with names of every kind."""
    root = tmp_path / "photos"
    nested = root / "März 2024" / "blaue Stunde"
    nested.mkdir(parents=True)
    Image.new("RGB", (64, 48), (DARK,) * 3).save(root / "a dark, one.jpg")
    Image.new("L", (48, 64), LIGHT).save(nested / "é.png")
    Image.new("CMYK", (64, 48), (0, 0, 0, 255 - LIGHT)).save(root / "print.jpg")
    Image.fromarray(np.full((30, 30), 257 * DARK, np.uint16)).save(root / "scan.png")
    return root


@pytest.fixture
def predict(model, capsys):
    """Run the command in this process; return its exit code, standard output and standard error."""

    def run(*args, model=model):
        code = main([str(model), *map(str, args), "--threads", "1", "--device", "cpu"])
        return code, *capsys.readouterr()

    return run


def answers(out):
    return {entry["file"].rsplit("/", 1)[-1]: entry["class"] for entry in json.loads(out)["answers"]}


def test_a_folder_of_every_kind_as_json(predict, photos, model):
    code, out, err = predict(photos, "--format", "json", "--batch", "3")
    assert (code, err) == (0, "")
    assert answers(out) == {
        "a dark, one.jpg": "dark",
        "é.png": "ünlicht",
        "print.jpg": "ünlicht",
        "scan.png": "dark",
    }
    saved = load(model)
    for entry in json.loads(out)["answers"]:
        wanted = saved.predict(load_image(entry["file"], 24)[None])[0]
        np.testing.assert_allclose(list(entry["probabilities"].values()), wanted, atol=1e-4)
        assert entry["probability"] == max(entry["probabilities"].values())
        assert entry["unsure"] is (entry["probability"] < 0.8)


def test_csv(predict, photos):
    code, out, _ = predict(photos, "--format", "csv", "--threshold", "1")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert {row["class"] for row in rows} == {"dark", "ünlicht"}
    assert rows[1]["file"].endswith("a dark, one.jpg")
    assert {row["unsure"] for row in rows} == {"yes"}
    for row in rows:
        assert float(row["p(dark)"]) + float(row["p(ünlicht)"]) == pytest.approx(1, abs=2e-4)


def test_the_table_says_where_it_is_not_sure(predict, photos, model):
    grey = photos / "grey.png"
    Image.new("L", (24, 24), (DARK + LIGHT) // 2).save(grey)
    code, out, _ = predict(grey, photos / "scan.png")
    head, unsure, sure, empty, *rules = out.splitlines()
    assert (code, empty) == (0, "")
    assert rules == [
        "unsure: a probability below 80 % (--threshold 0.8)",
        "none of these: this model cannot tell",
    ]
    assert head.split() == ["class", "probability", "file"]
    assert "unsure" in unsure
    assert unsure.endswith(str(grey))
    assert sure.split()[0] == "dark"
    assert "unsure" not in sure


def test_a_broken_image_is_one_line_and_the_rest_goes_on(predict, photos):
    (photos / "broken\n.jpg").write_text("no image")
    code, out, err = predict(photos, photos / "gone.jpg", "--format", "json")
    assert code == 1
    assert len(answers(out)) == 4
    gone, skipped, end = err.splitlines()
    assert skipped.startswith(f"skipped {photos}/broken\\n.jpg (")
    assert gone.endswith("gone.jpg (no such file)")
    assert end == "fewshot predict: error: 2 of 6 images could not be read"


def test_a_missing_file_is_named_before_the_model_is_read(predict, tmp_path, monkeypatch):
    monkeypatch.setattr("fewshot.deploy.saved.load", None)
    code, _, err = predict(tmp_path / "gone.jpg")
    assert (code, err.count("\n")) == (2, 1)
    assert "no such file" in err


def test_nothing_is_certain(predict, photos, monkeypatch):
    sure = [Look(np.array([1.0, 0.0]))]
    monkeypatch.setattr("fewshot.deploy.saved.Saved.look", lambda self, x: sure * len(x))
    out = {name: predict(photos / "scan.png", "--format", name)[1] for name in ("table", "csv", "json")}
    assert ">99.9 %" in out["table"]
    assert "dark,0.9999,no,,,0.9999,0.0000" in out["csv"]
    assert json.loads(out["json"])["answers"][0]["probability"] == 0.9999


@pytest.fixture
def labelled(tmp_path):
    """Two dark photos and three light ones, of which one lies in the wrong folder."""
    root = tmp_path / "labelled"
    for name, levels in (("dark", (DARK, DARK)), ("ünlicht", (LIGHT, LIGHT, DARK))):
        (root / name).mkdir(parents=True)
        for i, level in enumerate(levels):
            Image.new("L", (30, 30), level + i).save(root / name / f"{i}.png")
    return root


def test_a_labelled_folder_tells_what_the_model_is_worth(predict, labelled):
    code, out, _ = predict(labelled)
    assert code == 0
    verdict, head, dark, light = out.splitlines()[-4:]
    assert verdict.startswith("4 of 5 photos right: 80.0 %, balanced 83.3 %; calibration error ")
    assert head.split() == ["class", "photos", "recall", "taken", "for"]
    assert dark.split() == ["dark", "2", "100.0", "%"]
    assert light.split() == ["ünlicht", "3", "66.7", "%", "dark", "1"]
    code, out, err = predict(labelled, "--format", "json")
    assert len(json.loads(out)["answers"]) == 5
    assert "4 of 5 photos right" in err
    (labelled / "dark").rename(labelled / "night")
    assert "right" not in predict(labelled)[1]
    code, _, err = predict(labelled, "--labelled")
    assert code == 2
    assert "the sub-folder 'night' is of no class of the model (dark, ünlicht)" in err


def test_photos_are_sorted_and_nothing_is_overwritten(predict, labelled, tmp_path):
    grey = labelled / "grey.png"
    Image.new("L", (24, 24), (DARK + LIGHT) // 2).save(grey)
    folder = tmp_path / "sorted"
    (folder / "dark").mkdir(parents=True)
    (folder / "dark" / "0.png").write_text("mine")
    for _ in range(2):  # what is there already is not copied again
        assert predict(labelled, "--sort-into", folder, "--threshold", "0.9")[0] == 0
        found = {str(path.relative_to(folder)) for path in folder.rglob("*.png")}
        assert found == {
            *("dark/0.png", "dark/0-2.png", "dark/1.png", "dark/2.png"),
            *("ünlicht/0.png", "ünlicht/1.png", "unsure/grey.png"),
        }
    assert (folder / "dark" / "0.png").read_text() == "mine"
    assert (folder / "dark" / "0-2.png").read_bytes() == (labelled / "dark" / "0.png").read_bytes()


def test_sorting_stays_in_its_folder(tmp_path, labelled):
    sorter = Sorter(tmp_path / "sorted", ["../up", "..", "a/b", "a-b", "unsure"])
    places = [sorter.copy(labelled / "dark" / "0.png", label).parent for label in (None, *range(5))]
    assert len(set(places)) == 6
    assert {place.parent for place in places} == {tmp_path / "sorted"}
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "dark").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FewshotError, match="leads out of"):
        Sorter(tmp_path / "other", ["dark"]).copy(labelled / "dark" / "0.png", 0)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_only_broken_images(predict, photos, tmp_path):
    (tmp_path / "broken.jpg").touch()
    code, out, _ = predict(tmp_path / "broken.jpg", "--format", "json")
    assert code == 1
    empty = {"what": "empty", "count": 1, "files": [str(tmp_path / "broken.jpg")]}
    rules = {"unsure_below": 0.8, "none_of_these": None}
    assert json.loads(out) == {"answers": [], "rules": rules, "left_out": [empty]}


def test_no_more_is_decoded_than_may_be_ahead(model, photos, monkeypatch):
    from fewshot.data import decoding

    monkeypatch.setattr(decoding, "AHEAD", 5)
    asked = []

    def endless():
        while True:
            asked.append(1)
            yield photos / "scan.png"

    stream = load(model).stream(endless(), batch=4)
    for _ in range(8):
        next(stream)
    stream.close()
    assert len(asked) < 8 + 4 + 5 + 3


def test_an_empty_folder_and_wrong_options(predict, tmp_path, photos):
    (tmp_path / "empty").mkdir()
    code, _, err = predict(tmp_path / "empty")
    assert (code, err.count("\n"), "no images in" in err) == (2, 1, True)
    with pytest.raises(SystemExit, match="2"):
        predict(photos, "--threshold", "80")


def test_a_model_is_traced_once(model, photos, monkeypatch, tmp_path):
    """Then its graph is in the cache; where that cannot be written, it is traced again."""
    from fewshot.deploy import compiled, saved

    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    image = load_image(photos / "scan.png", 24)[None]
    read, reads = saved.read, []
    monkeypatch.setattr(saved, "read", lambda path: reads.append(path) or read(path))
    first, again = load(model).predict(image), load(model).predict(image)
    assert len(reads) == 1
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(first, read(model)(image.astype(np.float32)), atol=1e-6)
    monkeypatch.setattr(compiled, "KEPT", 1)
    (tmp_path / "cache" / "graphs" / "older").mkdir()
    os.utime(tmp_path / "cache" / "graphs" / "older", (0, 0))
    load(model)
    assert len(list((tmp_path / "cache" / "graphs").glob("[!.]*"))) == 1
    (tmp_path / "file").touch()
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "file"))
    np.testing.assert_array_equal(load(model).predict(image), first)
    assert len(reads) == 2


def broken_card(**changes):
    def spoil(path):
        card = json.loads(path.with_suffix(".json").read_text()) | changes
        path.with_suffix(".json").write_text(json.dumps(card))

    return spoil


FOREIGN = {
    "no model": (lambda path: path.unlink(), "no such model"),
    "no card": (lambda path: path.with_suffix(".json").unlink(), "the model has no card"),
    "a torn card": (lambda path: path.with_suffix(".json").write_text('{"for'), "cannot read the card"),
    "a list": (lambda path: path.with_suffix(".json").write_text("[]"), "no card of a model"),
    "a later card": (broken_card(format=99), "another version"),
    "one class": (broken_card(classes=["dark"]), "no valid 'classes'"),
    "a size of text": (broken_card(image_size="24"), "no valid 'image_size'"),
    "another size": (broken_card(image_size=32), "does not do what its card says"),
    "novelty of text": (broken_card(novelty="much"), "no valid 'novelty'"),
    "references without novelty": (broken_card(references={"files": [], "labels": []}), "'references'"),
    "sets of text": (broken_card(sets={"coverage": "high"}), "no valid 'sets'"),
    "another model": (lambda path: path.write_bytes(b"PK"), "the card of another model"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_model_is_one_line(kind, model, tmp_path, photos, predict):
    spoil, message = FOREIGN[kind]
    copy = tmp_path / "model.keras"
    for suffix in (".keras", ".json"):
        copy.with_suffix(suffix).write_bytes(model.with_suffix(suffix).read_bytes())
    spoil(copy)
    code, out, err = predict(photos, model=copy)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_model_with_code_in_it_is_refused(model, tmp_path):
    """Even where its card is right."""
    inputs = keras.Input((24, 24, 3))
    hidden = keras.layers.Lambda(lambda x: keras.ops.mean(x, (1, 2))[:, :2], output_shape=(2,))(inputs)
    path = tmp_path / "model.keras"
    keras.Model(inputs, hidden).save(path)
    card = json.loads(model.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(card | {"sha256": sha256_of(path)}))
    with pytest.raises(UsageError, match=r"cannot read the model .*[Ll]ambda"):
        load(path)


def test_deep_photos_are_scaled_as_for_training(model, tmp_path, photos):
    """By the range that the card tells."""
    path = tmp_path / "model.keras"
    path.write_bytes(model.read_bytes())
    card = json.loads(model.with_suffix(".json").read_text()) | {"levels": {"16 bits": [0, 1000]}}
    path.with_suffix(".json").write_text(json.dumps(card))
    Image.fromarray(np.full((30, 30), 900, np.uint16)).save(photos / "deep.png")
    (_, plain), (_, scaled) = (next(load(name).stream([photos / "deep.png"])) for name in (model, path))
    assert (plain.probabilities.argmax(), scaled.probabilities.argmax()) == (0, 1)
    card["levels"] = {"16 bits": [5, 5]}
    path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(UsageError, match="no valid 'levels'"):
        load(path)


def test_what_is_left_out_is_counted_by_its_reason(predict, photos):
    for name in ("a.txt", "b.txt", "März 2024/c.TXT"):
        (photos / name).write_text("no photo")
    (photos / "photo").write_bytes((photos / "a dark, one.jpg").read_bytes())
    (photos / "cut.jpg").write_bytes((photos / "a dark, one.jpg").read_bytes()[:300])
    code, out, err = predict(photos, "--format", "json")
    assert (code, len(answers(out))) == (1, 5)
    counted, skipped, _ = err.splitlines()
    assert counted == "left out: 3 files, no images (.txt): März 2024/c.TXT, a.txt, b.txt"
    assert skipped == f"skipped {photos}/cut.jpg (cut off)"
    left_out = {tally["what"]: tally["count"] for tally in json.loads(out)["left_out"]}
    assert left_out == {"no images (.txt)": 3, "cut off": 1}
