"""The commands of gan, and the studies with synthetic images, on scikit-learn's digits."""

import contextlib
import io
import json
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import one_line
from PIL import Image

from gan import train

pytestmark = pytest.mark.usefixtures("started", "tiny_backbone")

TINY = "best:width=4,latent=8,batch=8,fakes=8,updates=4"
SHORT = "best:width=4,latent=8,batch=8,fakes=8,updates=2,online=none"
PLUGIN = """
from gan.recipe import GanRecipe, presets


@presets.register("tiny")
def tiny():
    return GanRecipe(architecture="light:latent=8,width=4", labels="conditional", batch=8, fakes=8, updates=5)
"""
DIGITS = ("--data", "digits", "--classes", "3", "8", "--shots", "12")
TRAIN = ("--preset", TINY, *DIGITS, "--features", "tiny@48:weights=random")


def trained_here(*args):
    """Run `gan.train` in this process, where the networks of a recipe are compiled once."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = train.main([*map(str, args), "--threads", "1", "--json"])
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cache, started, tiny_backbone):
    """What `gan.train` writes, and what it says."""
    out = tmp_path_factory.mktemp("gan") / "out"
    done = trained_here(*TRAIN, "--out", out)
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)["generators"][0], done.stderr


def test_training_writes_all_that_is_promised(trained):
    out, result, _ = trained
    assert result["updates"] == 4
    assert [row["references"] for row in result["quality"]] == [162, 162]  # all that is held out, balanced
    assert all(0 <= row["copies"] <= 100 for row in result["quality"])
    assert (out / "checkpoint.npz").exists()
    with Image.open(out / "training.gif") as film:
        assert film.n_frames == len(list((out / "samples").glob("*.png"))) == 4
    for name in ("curves.png", "neighbours.png", "generator.keras", "generator.json"):
        assert (out / name).stat().st_size > 0, name


def test_the_same_command_resumes(trained):
    out, result, _ = trained
    again = trained_here(*TRAIN, "--out", out)
    found = json.loads(again.stdout)["generators"][0]
    assert "resuming after 4" in again.stderr
    assert found["quality"] == result["quality"]
    wider = TINY.replace("width=4", "width=8")
    other = trained_here("--preset", wider, *DIGITS, "--features", "none", "--out", out)
    assert other.returncode == 2
    assert "--fresh" in one_line(other.stderr)


@pytest.mark.processes
def test_killed_and_resumed_is_the_same(command, tmp_path):
    longer = TINY.replace("updates=4", "updates=12")
    options = ["--preset", longer, *DIGITS, "--features", "none"]
    assert command("gan.train", *options, out=tmp_path / "straight").returncode == 0
    line = [sys.executable, "-m", "gan.train", *options, "--out", str(tmp_path / "results")]
    killed = subprocess.Popen(line, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not (tmp_path / "results" / "checkpoint.npz").exists() and killed.poll() is None:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    done = command("gan.train", *options)
    assert done.returncode == 0, done.stderr
    whole, resumed = (
        (tmp_path / folder / "samples" / "update-0000012.png").read_bytes()
        for folder in ("straight", "results")
    )
    assert resumed == whole


def test_generating(trained, command, tmp_path):
    out, _, _ = trained
    wanted = ["--n", "3", "--out", tmp_path / "images", "--npz", tmp_path / "images.npz"]
    wanted += ["--grid", tmp_path / "grid.png", "--interpolation", tmp_path / "walk.png"]
    done = command("gan.generate", out, *wanted, out=None)
    assert done.returncode == 0, done.stderr
    assert sorted(path.parent.name for path in (tmp_path / "images").glob("*/*.png")) == ["3"] * 3 + ["8"] * 3
    with np.load(tmp_path / "images.npz") as file:
        assert file["x"].shape == (6, 32, 32, 3)
        assert file["classes"].tolist() == ["3", "8"]
        first = np.asarray(Image.open(tmp_path / "images" / "3" / "00000.png"))
        assert np.array_equal(first, file["x"][0])
    again = command("gan.generate", out, "--n", "2", "--npz", tmp_path / "fewer.npz", out=None)
    assert again.returncode == 0
    with np.load(tmp_path / "fewer.npz") as fewer, np.load(tmp_path / "images.npz") as file:
        assert np.array_equal(fewer["x"], file["x"][[0, 1, 3, 4]])  # of more, the first ones are the same


def test_generators_that_cannot_be_read(trained, command, tmp_path):
    out, _, _ = trained
    missing = command("gan.generate", tmp_path, "--n", "1", "--npz", tmp_path / "x.npz", out=None)
    assert missing.returncode == 2
    assert "holds no generator" in one_line(missing.stderr)
    nothing = command("gan.generate", out, out=None)
    assert nothing.returncode == 2
    assert "say what to write" in one_line(nothing.stderr)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "generator.json").write_text('{"classes": ["a"], "conditional": false}')
    (broken / "generator.keras").write_bytes(b"no zip")
    found = command("gan.generate", broken, "--npz", tmp_path / "x.npz", out=None)
    assert found.returncode == 1
    assert "cannot be read" in one_line(found.stderr)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--preset", "reprot"], "did you mean 'report'"),
        (["--classes", "33"], "unknown class"),
        (["--features", "lite"], "unknown backbone"),
        (["--data", "digits", "--ways", "11"], "asks for more"),
    ],
)
def test_wrong_usage(command, args, message):
    done = command("gan.train", "--data", "digits", *args)
    assert done.returncode == 2
    assert message in one_line(done.stderr)


def test_one_class_and_one_image(tmp_path):
    """Its batches are drawn with replacement, and said to be; without quality, no backbone is fetched."""
    alone = ["--data", "digits", "--classes", "3", "--shots", "1", "--features", "none"]
    done = trained_here("--preset", SHORT, *alone, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 images, each batch of 8 drawn with replacement" in done.stderr


def test_a_training_that_diverges_keeps_its_checkpoint(tmp_path):
    diverging = SHORT.replace("updates=2", "updates=20,learning_rate=1e30")
    done = trained_here("--preset", diverging, *DIGITS, "--features", "none", "--out", tmp_path)
    assert done.returncode == 1
    assert "the last good checkpoint" in one_line(done.stderr)


def test_the_study_of_synthetic_images(command, tmp_path):
    """Real images alone, with synthetic ones, filtered, alone, and the report's scheme."""
    plugin = tmp_path / "tiny.py"
    plugin.write_text(PLUGIN)
    each = "synthetic=4,gan=tiny"
    mixes = [each, f"{each},keep=agree", f"{each},real=no", f"{each},offline=flip", f"{each},share=0.9"]
    options = [
        "--quick",
        "--seeds",
        "1",
        "--jobs",
        "1",
        "--classifier",
        "baseline",
        "ridge",
        "--plugin",
        plugin,
        "--json",
    ]
    done = command("synthetic", *DIGITS, *options, "--method", *mixes)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["classifiers"]
    images = {row["method"]: row["trials"][0]["n_train"] for row in found["baseline"]["methods"]}
    assert images["real"] == 24
    assert images[mixes[0]] == 32
    assert 24 <= images[mixes[1]] <= 32
    assert images[mixes[2]] == 8
    assert images[mixes[3]] == 56
    assert images[mixes[4]] == 24 * 3 + 8
    assert {row["method"] for row in found["ridge"]["methods"]} == {"real", *mixes}
    assert all(row["failed"] == 0 for part in found.values() for row in part["methods"])


def test_flat_photos_are_a_class_to_train_on(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.jpg")
    options = ["--data", tmp_path / "photos", "--features", "none", "--out", tmp_path / "out"]
    done = trained_here("--preset", SHORT, *options)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["generators"][0]["classes"] == ["photos"]
