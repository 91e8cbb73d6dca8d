"""Which folders are classes and parts: every usual way to lay photos out, and what could be meant in two."""

import os
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fewshot as fs
from fewshot.data import DataSpec, open_splits, prepare
from fewshot.data.folder import layout_of
from fewshot.data.spelling import label_named, part_named
from fewshot.errors import UsageError
from fewshot.io.files import MARK, mark_output, writing_results
from fewshot.trials.store import Store

pytestmark = pytest.mark.usefixtures("own_cache")


def write(root, *files):
    """Write small photos, no two alike."""
    for number, file in enumerate(files):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)


def found(root, **options):
    """Return part → class → names of files."""
    layout = layout_of(root, **options)
    return {
        part: {name: [file.name for file in files] for name, files in classes.items()}
        for part, classes in layout.listing.items()
    }


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("train", "test"), ("train", "test")),
        (("Training", "Testing"), ("train", "test")),
        (("TRAIN", "TEST"), ("train", "test")),
        (("Train", "Val"), ("train", "val")),
        (("train", "valid", "test"), ("train", "val", "test")),
        (("train", "validation"), ("train", "val")),
        (("train_set", "test_set"), ("train", "test")),
        (("train_images", "test_images", "val_images"), ("train", "val", "test")),
        (("trainset", "testset"), ("train", "test")),
        (("train2017", "val2017"), ("train", "val")),
        (("Training Data", "holdout"), ("train", "test")),
        (("cats_and_dogs_train", "cats_and_dogs_validation"), ("train", "val")),
        (("Äpfel-Training", "Äpfel-Test"), ("train", "test")),
    ],
)
def test_parts_in_any_spelling(tmp_path, names, parts):
    for name in names:
        write(tmp_path / "x", f"{name}/cat/1.png", f"{name}/dog/2.png")
    assert found(tmp_path / "x") == {part: {"cat": ["1.png"], "dog": ["2.png"]} for part in parts}


def test_what_is_no_part():
    words = (
        "training wheels",
        "train1car",
        "bus",
        "contest",
        "tester",
        "Test é",
        "value",
        "",
        "set",
        "trainer",
    )
    assert [word for word in words if part_named(word)] == []


def test_names_of_parts_that_are_classes(tmp_path):
    write(tmp_path / "x", "train/1.png", "bus/1.png", "car/1.png")
    assert list(found(tmp_path / "x")["train"]) == ["bus", "car", "train"]
    write(tmp_path / "y", "train/may/1.png", "train/june/2.png", "bus/may/3.png", "bus/june/4.png")
    assert list(found(tmp_path / "y")["train"]) == ["bus", "train"]
    write(tmp_path / "z", "toy_train/1.png", "toy_bus/1.png")
    assert list(found(tmp_path / "z")["train"]) == ["toy_bus", "toy_train"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (("val/a/1.png", "val/b/1.png", "test/a/1.png", "test/b/1.png"), r"test/ and .*val/ .* train on"),
        (("train/a/1.png", "train/b/1.png", "test/1.png"), r"the photos of .*test/ are in no folder"),
        (("train/1.png", "test/1.png"), r"train/ look like parts.*in no folder"),
        (("train/a/1.png", "Training/b/1.png"), r"two of them are the same \(Training and train\)"),
        (("a/train/1.png", "a/test/2.png", "b/3.png"), r"a/ is divided into parts, .*b/ is not"),
        (("cats/2023/1.png", "cats/2024/1.png"), r"only one class \('cats'\).*classes, name .*cats$"),
        (("1.png", "2.png"), r"one sub-folder of images per class \(2 photos lie directly in it\)"),
        (("test/a/1.png", "test/b/2.png"), r"test/ looks like a part, .* nothing is there to train on"),
        (("a/1.png", "b/2.png", "test/a/3.png"), r"test/ looks like a part, but a/ beside it does not"),
        (("train/a/1.png", "train/b/2.png", "more/3.png"), r"train/ looks like a part, but more/ beside"),
    ],
)
def test_what_could_be_meant_in_two_ways_is_one_line(tmp_path, files, told):
    write(tmp_path / "x", *files)
    with pytest.raises(UsageError, match=told):
        layout_of(tmp_path / "x")


@pytest.mark.parametrize(
    "places",
    [
        ("train/cat/1.png", "train/dog/2.png"),
        ("x/cat/1.png", "x/dog/2.png"),
        ("images/x/cat/1.png", "images/x/dog/2.png"),
        ("data/cat/1.png", "data/dog/2.png"),
        ("x/train/cat/1.png", "x/train/dog/2.png"),
    ],
)
def test_one_folder_around_the_classes(tmp_path, places):
    write(tmp_path / "x", *places)
    assert found(tmp_path / "x") == {"train": {"cat": ["1.png"], "dog": ["2.png"]}}


def test_parts_below_classes(tmp_path):
    write(tmp_path / "x", *(f"{name}/{part}/1.png" for name in ("cat", "dog") for part in ("Train", "test")))
    assert found(tmp_path / "x") == {part: {"cat": ["1.png"], "dog": ["1.png"]} for part in ("train", "test")}


def test_junk_and_our_own_results_are_no_classes(tmp_path, monkeypatch):
    root = tmp_path / "x"
    write(root, "cat/1.png", "dog/2.png", "cat/@eaDir/1.png", "cat/.hidden.png")
    junk = ("__MACOSX", "@eaDir", "lost+found", "__pycache__", ".ipynb_checkpoints")
    write(root, *(f"{name}/1.png" for name in junk), "results/compare/x/thumbnails/1.png", "sorted/cat/1.png")
    (root / "results" / "trials.jsonl").touch()
    mark_output(root / "sorted")
    layout = layout_of(root)
    assert found(root) == {"train": {"cat": ["1.png"], "dog": ["2.png"]}}
    assert layout.left_out == ()
    assert layout.notes == ("not looked into, as fewshot wrote it: results, sorted",)
    assert (root / "sorted" / MARK).is_file()
    monkeypatch.setenv("FEWSHOT_CACHE", str(root / "cache"))
    assert len(prepare(DataSpec(str(root))).files()) == 2
    assert list(found(root)["train"]) == ["cat", "dog"]  # though the cache lies there by now
    mark_output(root / "sorted" / "cat")
    with pytest.raises(UsageError, match=r"\(not looked into, as fewshot wrote it: cat\)"):
        layout_of(root / "sorted")
    with writing_results(root, "compare", "x") as folder, Store(root).open():  # --out is the photos' folder
        write(folder, "thumbnails/1.png")
    assert list(found(root)["train"]) == ["cat", "dog"]
    assert "fewshot wrote it: cache, compare, predictions, results, sorted" in layout_of(root).notes[0]
    write(root, "results.old/1.png")  # a name says nothing
    assert "results.old" in found(root)["train"]


def test_whatever_is_left_out_is_counted(tmp_path, monkeypatch):
    root = tmp_path / "x"
    write(root, "cat/1.png", "dog/2.png", "beside.png", "dog/locked/3.png")
    (root / "cat" / "notes.txt").write_text("no image")
    table(root, "path,label\n", "labels.csv")
    (root / "cat" / "gone.png").symlink_to(root / "nowhere.png")
    real = os.scandir

    def scandir(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert {(one.what, one.count, one.files) for one in layout_of(root).left_out} == {
        ("no images (.txt)", 1, ("cat/notes.txt",)),
        ("no images (.csv)", 1, ("labels.csv",)),
        ("links that lead nowhere", 1, ("cat/gone.png",)),
        ("folders not to be opened (Permission denied)", 1, ("dog/locked",)),
        ("in no class's folder", 1, ("beside.png",)),
    }


def test_linked_folders_are_followed_without_loops(tmp_path):
    root = tmp_path / "x"
    write(root, "cat/1.png", "dog/2.png")
    write(tmp_path / "elsewhere", "a/3.png")
    (root / "cat" / "more").symlink_to(tmp_path / "elsewhere")
    (root / "cat" / "again").symlink_to(tmp_path / "elsewhere")
    (root / "cat" / "up").symlink_to(root)
    layout = layout_of(root)
    assert found(root)["train"] == {"cat": ["1.png", "3.png"], "dog": ["2.png"]}
    assert [(one.what, one.files) for one in layout.left_out] == [
        ("links that lead back", ("cat/more", "cat/up"))
    ]


def test_folders_in_one_another_however_deep(tmp_path):
    root = tmp_path / "x"
    write(root, "cat/1.png", "dog/2.png")
    deep = [root / "cat"]
    for _ in range(600):
        deep.append(deep[-1] / "a")
        deep[-1].mkdir()
    shutil.copy(root / "cat" / "1.png", deep[-1] / "3.png")
    try:
        assert found(root)["train"] == {"cat": ["1.png", "3.png"], "dog": ["2.png"]}
    finally:  # Python's own way to remove them is recursive
        (deep[-1] / "3.png").unlink()
        for folder in reversed(deep[1:]):
            folder.rmdir()


def test_names_are_composed_and_unicode(tmp_path):
    root = tmp_path / "x"
    write(root, "train/caf\u00e9/1.png", "train/b/1.png", "test/cafe\u0301/2.png", "test/b/2.png")
    assert found(root) == {
        "train": {"b": ["1.png"], "caf\u00e9": ["1.png"]},
        "test": {"b": ["2.png"], "caf\u00e9": ["2.png"]},
    }
    assert label_named(os.fsdecode("Bär".encode("cp1252"))) == "Bär"


def test_a_class_folder_that_is_not_utf8(tmp_path):
    root = tmp_path / "x"
    write(root, os.fsdecode("Bär".encode("cp1252")) + "/1.png", "dog/2.png")
    prepared = prepare(DataSpec(str(root)))
    assert prepared.classes == ("Bär", "dog")
    assert len(open_splits(prepared.folder).train) == 2
    assert all(photo.is_file() for photo in prepared.photos())


# Tables


def table(root, text, name="labels.csv"):
    root.mkdir(exist_ok=True)
    (root / name).write_text(text, "utf-8")
    return root / name


@pytest.mark.parametrize("head", ["path,label", "file_name;class", "Filename\tSpecies", '"image","category"'])
def test_a_table_says_what_photos_are(tmp_path, head):
    root = tmp_path / "x"
    write(root, "1.png", "sub/2.png", "3.png", "4.png")
    mark = next(c for c in ";\t," if c in head)
    rows = [("1.png", "cat"), ("./sub/2.png", "dog"), ("3.png", "cat"), ("gone.png", "dog"), ("4.png", "")]
    path = table(root, "\n".join([head, *(mark.join(row) for row in rows)]))
    expected = {"train": {"cat": ["1.png", "3.png"], "dog": ["2.png"]}}
    assert found(path) == expected
    assert [(one.what, one.files) for one in layout_of(path).left_out] == [
        ("not there, though the table names them", ("gone.png",)),
        ("without a label", ("4.png",)),
    ]
    assert prepare(DataSpec(str(path))).files() == ["1.png", "3.png", "sub/2.png"]


def test_a_table_beside_flat_photos(tmp_path):
    root = tmp_path / "x"
    write(root, "images/1.png", "images/2.png", "images/3.png", "images/4.png")
    table(root, "image,label\n1.png,10\n2.png,9\n3.png,10\n")
    layout = layout_of(root)
    assert found(root) == {"train": {"9": ["2.png"], "10": ["1.png", "3.png"]}}
    assert [(one.what, one.files) for one in layout.left_out] == [("not in labels.csv", ("images/4.png",))]
    assert "labels.csv" in layout.notes[0]
    table(root, "image,label\n1.png,10\n", "more.csv")
    with pytest.raises(UsageError, match=r"several tables of photos \(labels.csv and more.csv\)"):
        layout_of(root)


def test_columns_and_parts_of_a_table(tmp_path):
    root = tmp_path / "x"
    write(root, *(f"{i}.png" for i in range(4)))
    rows = ["0.png,a,Training", "1.png,b,Training", "2.png,a,TEST", "3.png,b,TEST"]
    path = table(root, "\n".join(["where,what,when", *rows]))
    parts = {"train": {"a": ["0.png"], "b": ["1.png"]}, "test": {"a": ["2.png"], "b": ["3.png"]}}
    assert found(path, columns=("where", "what", "when")) == parts
    assert list(found(path, columns=("where", "what"))) == ["train"]
    with pytest.raises(UsageError, match=r"say which with columns=; it has where, what, when"):
        layout_of(path)
    with pytest.raises(UsageError, match="no column 'why'"):
        layout_of(path, ("where", "why"))
    with pytest.raises(UsageError, match="columns= is for a table"):
        layout_of(root, ("where", "what"))
    path.write_text("path,label,split\n0.png,a,often\n")
    with pytest.raises(UsageError, match="'often' is no part"):
        layout_of(path)
    path.write_text("path,label\n0.png,a\n0.png,b\n1.png,a\n")
    with pytest.raises(UsageError, match=r"only one class \('a'\)"):
        layout_of(path)


def test_names_in_a_table_are_found_however_their_letters_are_composed(tmp_path):
    root = tmp_path / "x"
    write(root, "cafe\u0301.png", "b.png")
    assert found(table(root, "path,label\ncaf\u00e9.png,a\nb.png,b\n"))["train"]["a"] == ["cafe\u0301.png"]


def test_parquet_needs_pandas(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    (tmp_path / "labels.parquet").touch()
    with pytest.raises(UsageError, match="Parquet is read with the packages pandas and pyarrow"):
        layout_of(tmp_path / "labels.parquet")


def test_python_reads_a_table_too(tmp_path):
    write(tmp_path, *(f"{i}.png" for i in range(6)))
    path = table(tmp_path, "where,what\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(6)))
    (tmp_path / "7.txt").touch()
    data = fs.load(path, columns=("where", "what"))
    assert (data.classes, len(data.splits.train)) == (("a", "b"), 6)
    with pytest.raises(UsageError, match="columns= is for a table of photos"):
        fs.load((np.zeros((2, 8, 8, 3), np.uint8), [0, 1]), columns=("where", "what"))


# Archives


def packed(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for entry, content in entries.items():
            archive.writestr(entry, content)
    return path


@pytest.fixture
def contents(tmp_path):
    """Return the bytes of a few photos by name."""
    write(tmp_path / "made", "1.png", "2.png")
    return [(tmp_path / "made" / name).read_bytes() for name in ("1.png", "2.png")]


def test_a_zip_is_read_from_the_cache(tmp_path, contents, own_cache):
    one, two = contents
    entries = {
        "flowers/": b"",
        "flowers/rose/1.png": one,
        "flowers/tulip/2.png": two,
        "__MACOSX/._1.png": b"",
    }
    path = packed(tmp_path / "archive.zip", entries)
    for _ in range(2):
        prepared = prepare(DataSpec(str(path)))
        assert (prepared.name, prepared.classes) == ("archive", ("rose", "tulip"))
        assert prepared.source == str(path)
        assert own_cache in prepared.directory.parents
        assert prepared.files() == ["flowers/rose/1.png", "flowers/tulip/2.png"]
        assert prepared.notes == ("read from flowers",)
    assert len(list(own_cache.glob("data/archive-*"))) == 1


def test_an_archive_writes_nothing_elsewhere(tmp_path, contents):
    one, two = contents
    link = zipfile.ZipInfo("rose/link.png")
    link.external_attr = 0o120777 << 16
    away = ("../out.png", "/out.png", "rose/../../out.png", "c:\\out.png", "rose\\..\\..\\out.png")
    entries = {"rose/1.png": one, "tulip/2.png": two, link: "/etc/passwd", **dict.fromkeys(away, one)}
    path = packed(tmp_path / "x.zip", entries)
    prepared = prepare(DataSpec(str(path)))
    assert prepared.files() == ["rose/1.png", "tulip/2.png"]
    assert [(one.what, one.count) for one in prepared.left_out] == [
        ("outside of the archive", 5),
        ("links, which are not followed in an archive", 1),
    ]
    assert any("not followed in an archive: rose/link.png" in note for note in prepared.notes)
    assert not list(tmp_path.rglob("*out.png"))
    assert not Path("/out.png").exists()
    rows = "path,label\n1.png,a\n2.png,b\n../../../../../../../etc/hostname,a\n"
    path = packed(tmp_path / "y.zip", {"1.png": one, "2.png": two, "labels.csv": rows})
    (outside,) = layout_of(path).left_out
    assert (outside.what, outside.count) == ("outside of the archive", 1)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"rose": b"no folder"}, "File exists"),
        ({"rose/" + "x" * 300: b""}, "File name too long"),
        ({"rose/" + "x/" * 600 + "1.png": b""}, "more than 64 folders"),
    ],
)
def test_names_in_an_archive_that_no_folder_can_have(tmp_path, contents, own_cache, more, told):
    """These once were tracebacks, or called the disk full."""
    one, two = contents
    path = packed(tmp_path / "x.zip", more | {"rose/1.png": one, "tulip/2.png": two})
    with pytest.raises(UsageError, match=told):
        layout_of(path)
    assert not list(own_cache.glob("data/archive-*"))


def test_an_archive_with_a_name_twice_and_one_without_parts(tmp_path, contents):
    one, two = contents
    entries = {".": b"", "rose/1.png": two, "rose/./1.png": one, "tulip/2.png": two}
    layout = layout_of(packed(tmp_path / "x.zip", entries))
    assert [file.read_bytes() for file in layout.files] == [one, two]  # the last of a name counts


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_damaged_archive(tmp_path, method):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("rose/1.png", bytes(range(256)) * 4)
    content = bytearray(path.read_bytes())
    content[50:90] = (byte ^ 0x5A for byte in content[50:90])
    path.write_bytes(content)
    with pytest.raises(UsageError, match="cannot unpack"):
        layout_of(path)


def test_an_archive_whose_names_are_no_utf_8(tmp_path, contents):
    path = packed(tmp_path / "x.zip", {"rosé/1.png": contents[0], "tulip/2.png": contents[1]})
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xfe"))
    with pytest.raises(UsageError, match="cannot unpack"):
        layout_of(path)


def test_an_archive_that_is_a_bomb_locked_or_none(tmp_path, contents, own_cache, monkeypatch):
    monkeypatch.setattr("fewshot.data.archive.FREE", 1000)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rose/1.png", bytes(10**6))
    with pytest.raises(UsageError, match="not what photos do"):
        layout_of(path)
    (tmp_path / "none.zip").write_bytes(b"PK no archive")
    with pytest.raises(UsageError, match=r"cannot unpack .*none\.zip: File is not a zip file"):
        layout_of(tmp_path / "none.zip")
    locked = bytearray(packed(tmp_path / "locked.zip", {"rose/1.png": contents[0]}).read_bytes())
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    with pytest.raises(UsageError, match="locked by a password"):
        layout_of(tmp_path / "locked.zip")
    assert not list(own_cache.glob("data/archive-*"))


@pytest.mark.parametrize(
    ("files", "below", "name"),
    [(("cats/1.png", "cats/2.png"), "", "cats"), (("cats/1.png", "cats/2.png"), "cats", "cats")],
)
def test_one_class_is_enough_where_one_will_do_also_when_its_photos_lie_directly_in_the_folder(
    tmp_path, files, below, name
):
    write(tmp_path / "x", *files)
    assert found(tmp_path / "x" / below, least=1) == {"train": {name: ["1.png", "2.png"]}}
    with pytest.raises(UsageError, match=r"two are the least|is no dataset"):
        layout_of(tmp_path / "x" / below)


def test_no_photos_are_no_class(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(UsageError, match="is no dataset"):
        layout_of(tmp_path / "x", least=1)
