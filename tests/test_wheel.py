"""What is handed out: the sdist, the wheel built from it, and this one installed where no checkout is."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from helpers import photos

import fewshot

ROOT = Path(__file__).parents[1]
LARGEST = 1_000_000  # bytes of the sdist
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"
NOT_BUILT_FROM = (".*", "results", "build", "dist", "*.egg-info", "__pycache__", "site")

pytestmark = pytest.mark.slow


def run(*line, cwd, **more):
    """Run a program outside of the checkout and return what it prints; its errors fail the test."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    line = list(map(str, line))
    done = subprocess.run(line, cwd=cwd, env=kept | more, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The sdist, built from a copy of the checkout."""
    copy = tmp_path_factory.mktemp("checkout") / "fewshot-testbed"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_BUILT_FROM))
    out = tmp_path_factory.mktemp("sdist")
    name = run(sys.executable, "-c", BUILD, "build_sdist", out, cwd=copy).splitlines()[-1]
    return out / name


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """The wheel, built from the sdist alone."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(source, filter="data")
    (folder,) = source.iterdir()
    name = run(sys.executable, "-c", BUILD, "build_wheel", out, cwd=folder).splitlines()[-1]
    return out / name


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The command `fewshot` of a fresh environment that has the wheel, and this one's dependencies."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    # Dependencies are borrowed; that the project itself is not is asserted below.
    packages = [folder for folder in sys.path if Path(folder).name in ("site-packages", "dist-packages")]
    (site / "borrowed.pth").write_text("\n".join(packages))
    python = home / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, wheel, cwd=home)
    where = run(python, "-c", "import fewshot; print(fewshot.__file__)", cwd=home)
    assert Path(where.strip()).is_relative_to(site)
    return home / "bin" / "fewshot"


def test_the_sdist_holds_the_code_and_no_pictures(sdist):
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    assert sdist.stat().st_size < LARGEST
    assert not [name for name in names if name.endswith((".png", ".svg", ".npz", ".jsonl"))]
    for part in ("README.md", "LICENSE", "pyproject.toml", "gan/train.py", "experiments/study.py"):
        assert any(name.endswith(f"/{part}") for name in names), part


def test_the_wheel_holds_three_packages_and_what_they_read(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {
        "fewshot",
        "gan",
        "experiments",
    }
    page = {"fewshot/report/page/page.css", "fewshot/report/page/page.js"}
    assert {"fewshot/py.typed", "gan/py.typed"} | page <= names


def test_it_works_in_an_empty_directory(installed, tmp_path):
    cache = {"FEWSHOT_CACHE": str(tmp_path / "cache")}
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run(installed, "--version", cwd=empty) == f"fewshot {fewshot.__version__}\n"
    digits = ("--data", "digits", "--method", "flip", "--quick")
    study = run(installed, "augment", *digits, "--jobs", "1", cwd=empty, **cache)
    assert "flip" in study
    assert (empty / "results" / "augment" / "accuracy.png").exists()
    photos(tmp_path / "pets", 12, side=32)
    photos_of_pets = ("--data", tmp_path / "pets", "--method", "ridge", "centroid")
    told = run(installed, "compare", *photos_of_pets, "--budget", "5m", "--jobs", "1", cwd=empty, **cache)
    assert "cat" in told
    assert (empty / "results" / "compare" / "pets" / "comparison.json").exists()
    run(installed, "report", cwd=empty)
    assert (empty / "results" / "report.html").exists()
