"""Fetching: reasons instead of tracebacks, nothing extracted, nothing executed."""

import io
import os
import pickle
import tarfile
import zipfile

import numpy as np
import pytest

from fewshot.io import fetch
from fewshot.io.fetch import Unavailable
from fewshot.io.unpickle import ArrayUnpickler, _Numbers


def test_members_come_by_exact_name_and_the_rest_is_ignored(tmp_path):
    path = tmp_path / "package.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("../a.bin", "x/../a.bin", "/a.bin"):
            archive.writestr(name, b"trick")
        archive.writestr("a.bin", b"right")
    assert fetch.read_members(path, ["a.bin"]) == [b"right"]
    with pytest.raises(ValueError, match=r"b\.bin is missing"):
        fetch.read_members(path, ["a.bin", "b.bin"])
    with pytest.raises(ValueError, match=r"a\.bin is missing"):
        fetch.read_members(path, ["a.bin"], largest=4)
    assert [file.name for file in tmp_path.rglob("*")] == ["package.whl"]


def test_links_in_an_archive_are_not_followed(tmp_path):
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as archive:
        member = tarfile.TarInfo("a.bin")
        member.type, member.linkname = tarfile.SYMTYPE, __file__
        archive.addfile(member)
    with pytest.raises(ValueError, match=r"a\.bin is missing"):
        fetch.read_members(tmp_path / "package.tgz", ["a.bin"])


@pytest.mark.parametrize("client", ["npm", "pip"])
def test_a_registry_that_does_not_answer_is_a_reason(client, tmp_path, monkeypatch):
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    package = {"npm": "no-such-package@1.0.0", "pip": "no-such-package==1.0.0"}[client]
    with pytest.raises(Unavailable, match=client) as reason:
        getattr(fetch, client)(package, 1, tmp_path)
    assert "\n" not in str(reason.value)


def test_without_the_clients_the_reason_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="npm is not installed"):
        fetch.npm("a@1", 1, tmp_path)
    monkeypatch.setattr(fetch.sys, "executable", "/bin/sh")  # does not know -m, as a Python without pip
    with pytest.raises(Unavailable):
        fetch.pip("a==1", 1, tmp_path)


def test_only_https_is_downloaded(tmp_path):
    with pytest.raises(ValueError, match="only https"):
        fetch.download("file:///etc/hostname", tmp_path / "file")


def test_a_download_that_fails_is_a_reason(tmp_path):
    with pytest.raises(Unavailable, match="refused"):
        fetch.download("https://127.0.0.1:9/file", tmp_path / "file")


class Answer(io.BytesIO):
    headers = {"Content-Length": "10"}  # noqa: RUF012


def test_a_download_that_is_cut_short_or_too_long_is_a_reason(tmp_path, monkeypatch):
    content = b"0123456789"
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: Answer(content))
    assert fetch.download("https://a.b/c", tmp_path / "c").read_bytes() == content
    content = b"01234"
    with pytest.raises(Unavailable, match="cut short"):
        fetch.download("https://a.b/c", tmp_path / "c")
    monkeypatch.setattr(fetch, "LARGEST_DOWNLOAD", 4)
    with pytest.raises(Unavailable, match="more than 4 bytes"):
        fetch.download("https://a.b/c", tmp_path / "c")


class Malicious:
    """Unpickled without care, this writes a file."""

    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.system, (f"touch '{self.victim}'",)


def test_the_unpickler_gives_arrays_and_nothing_else(tmp_path):
    tree = {"a": np.arange(6.0).reshape(2, 3), "b": [1, "two"], "c": np.float32([[1]])[:, 0]}
    for protocol in range(2, 6):
        content = pickle.dumps(tree, protocol)
        if b"_frombuffer" in content:
            continue  # protocol 5 has arrays of its own kind, which no known file uses
        read = ArrayUnpickler(io.BytesIO(content)).load()
        np.testing.assert_array_equal(read["a"], tree["a"])
        assert read["b"] == tree["b"]
    with pytest.raises(pickle.UnpicklingError, match=r"asks for (posix|nt)\.system"):
        ArrayUnpickler(io.BytesIO(pickle.dumps(Malicious(tmp_path / "victim")))).load()
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize("values", [np.array([None, "x"], object), np.zeros(2, "f4,i4"), np.array(["text"])])
@pytest.mark.parametrize("protocol", [2, 4])
def test_only_numbers_are_taken_from_a_pickle(values, protocol):
    """NumPy would read an array of objects from a list, without looking at the list's length."""
    with pytest.raises(pickle.UnpicklingError, match="numbers"):
        ArrayUnpickler(io.BytesIO(pickle.dumps({"a": values}, protocol))).load()


@pytest.mark.parametrize("content", [b"\0" * 7, [1.0, 2.0]])
def test_an_array_takes_no_less_and_nothing_else_than_its_bytes(content):
    array = ArrayUnpickler(io.BytesIO(pickle.dumps(np.zeros(2), 2))).load()
    assert array.tolist() == [0, 0]
    numbers = _Numbers("f8")
    with pytest.raises((ValueError, pickle.UnpicklingError)):
        array.__setstate__((1, (1,), numbers, False, content))


def test_an_array_that_claims_a_terabyte_takes_no_memory():
    # NumPy's own `_reconstruct` would be asked for 10^12 elements; then the state does not fit its bytes.
    blob = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n\x8a\x06\x00\x10\xa5\xd4\xe8\x00\x85"
        b"U\x01b\x87R(K\x01\x8a\x06\x00\x10\xa5\xd4\xe8\x00\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
        b"\x89U\x03abctb."
    )
    with pytest.raises(ValueError, match=r"buffer|size|bytes"):
        ArrayUnpickler(io.BytesIO(blob), encoding="bytes").load()
