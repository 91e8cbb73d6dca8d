"""JAX's compilations in our cache folder: kept, bounded, found by the next process; damage does no harm."""

import errno
import os
import shutil
import subprocess
import sys
import warnings
from collections import namedtuple
from types import SimpleNamespace

import pytest

from fewshot import cli, compilations

Usage = namedtuple("Usage", "total used free")
READING = "Error reading persistent compilation cache entry for 'jit_f': {}"
WRITING = "Error writing persistent compilation cache entry for 'jit_f': {}"


class Config(SimpleNamespace):
    """Stands for `jax.config`."""

    def __init__(self, enabled=True, folder=None):
        super().__init__(jax_enable_compilation_cache=enabled, jax_compilation_cache_dir=folder)

    def update(self, name, value):
        setattr(self, name, value)


@pytest.fixture
def folder(own_cache, monkeypatch):
    """The folder of this processor's compilations; what JAX warns of is heard."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        yield own_cache / "compilations" / compilations._processor()


def kept(**given) -> Config:
    config = Config(**given)
    compilations.keep(SimpleNamespace(config=config))
    return config


def entry(folder, name, dated=True):
    (folder / f"{name}-cache").write_bytes(b"program")
    if dated:
        (folder / f"{name}-atime").write_bytes(b"\0" * 8)


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_they_are_kept_in_our_cache_within_bounds(folder, capsys):
    config = kept()
    assert config.jax_compilation_cache_dir == str(folder)
    assert folder.is_dir()
    assert 0 < config.jax_compilation_cache_max_size <= compilations.MOST
    assert config.jax_persistent_cache_min_compile_time_secs == 0
    assert not capsys.readouterr().err


def test_they_take_no_more_than_half_of_what_is_free(folder, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 400_000_000))
    assert kept().jax_compilation_cache_max_size == 200_000_000


def test_switched_off_or_in_a_place_of_the_user_s_nothing_is_touched(folder):
    assert kept(enabled=False).jax_compilation_cache_dir is None
    assert vars(kept(folder="/mine")) == {
        "jax_enable_compilation_cache": True,
        "jax_compilation_cache_dir": "/mine",
    }
    assert not folder.exists()


def test_an_option_switches_it_off_for_workers_too(monkeypatch):
    monkeypatch.setenv(compilations.SWITCH, "true")

    def parser():
        made = cli.Parser(prog="a command")
        cli.add_common(made)
        return made

    seen = []
    assert cli.run(lambda args: seen.append(os.environ[compilations.SWITCH]), parser, []) == 0
    assert (
        cli.run(lambda args: seen.append(os.environ[compilations.SWITCH]), parser, ["--no-compile-cache"])
        == 0
    )
    assert seen == ["true", "false"]


def test_a_disk_without_room_is_one_line(folder, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 12_000_000))
    assert kept().jax_compilation_cache_dir is None
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("compilations are not kept: 12.0 MB are free")
    assert "make room there" in line


def test_a_place_that_cannot_be_written_is_one_line(own_cache, capsys):
    own_cache.parent.mkdir(exist_ok=True)
    own_cache.write_text("a file")
    assert kept().jax_compilation_cache_dir is None
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot write" in line
    assert "FEWSHOT_CACHE" in line


def test_damaged_entries_are_removed_and_told_of_once(folder, capsys):
    kept()
    entry(folder, "damaged")
    for _ in range(2):
        warnings.warn(READING.format("error: Error -3 while decompressing data"), stacklevel=1)
    assert names(folder) == []
    (line,) = capsys.readouterr().err.splitlines()
    assert "damaged" in line
    assert "compiled anew" in line


def test_entries_without_a_date_which_would_keep_jax_from_writing_are_damage(folder, capsys):
    kept()
    entry(folder, "whole")
    entry(folder, "undated", dated=False)
    warnings.warn(WRITING.format("FileNotFoundError: undated-atime"), stacklevel=1)
    assert names(folder) == []
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_disk_that_fills_up_is_one_line_and_half_an_entry_goes(folder, capsys):
    kept()
    entry(folder, "whole")
    entry(folder, "half", dated=False)
    why = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for name in "fg":
        text = WRITING.format(f"OSError: {why}").replace("jit_f", f"jit_{name}")
        warnings.warn(text, stacklevel=1)
    assert names(folder) == ["whole-atime", "whole-cache"]
    (line,) = capsys.readouterr().err.splitlines()
    assert "No space left on device" in line
    assert "make room there" in line


def test_a_busy_lock_and_other_warnings_pass(folder, capsys):
    heard = []
    warnings.showwarning = lambda message, *further, **named: heard.append(str(message))
    kept()
    warnings.warn(READING.format("Timeout: The file lock could not be acquired."), stacklevel=1)
    warnings.warn("something else", stacklevel=1)
    assert heard == ["something else"]
    assert not capsys.readouterr().err


SCRIPT = """
from fewshot import backend
backend.start(1, "cpu")
import jax, jax.numpy as jnp
hits = []
jax.monitoring.register_event_listener(lambda name, **kw: hits.append(name.rpartition("/")[2]))
print(float(jax.jit(lambda x: jnp.sin(x).sum())(jnp.arange(4.0))))
print(hits.count("cache_hits"), hits.count("cache_misses"))
"""


@pytest.mark.jax
def test_the_next_process_compiles_nothing_and_damage_is_mended(folder):
    def run():
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            capture_output=True,
            text=True,
            env=os.environ | {"KERAS_BACKEND": "jax"},
        )
        assert done.returncode == 0, done.stderr
        value, counts = done.stdout.splitlines()
        return value, tuple(map(int, counts.split())), done.stderr.splitlines()

    value, (hits, misses), errors = run()
    assert hits == 0 < misses
    assert not errors
    assert run() == (value, (misses, 0), [])
    for path in folder.glob("*-cache"):
        path.write_bytes(path.read_bytes()[:-9])
    again, (hits, compiled), errors = run()
    assert (again, hits + compiled) == (value, misses)
    assert compiled
    assert len(errors) == 1
    assert "damaged" in errors[0]
    assert run()[1:] == ((misses, 0), [])
