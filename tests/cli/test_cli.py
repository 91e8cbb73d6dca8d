"""The real commands, each in a process of its own: what they print and keep, what they exit with."""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import ALONE, QUICK, one_line, records
from PIL import Image

from experiments.cnn import STUDY
from experiments.study import QUICK_SEEDS
from fewshot import cli
from fewshot.data import Prepared
from fewshot.data.sources import save
from fewshot.errors import FewshotError
from fewshot.learners.keras_network import KerasLearner
from fewshot.trials.plan import Images, make_plan

CHATTER = ("oneDNN", "cudart", "cuInit", "absl::InitializeLog", "retracing", "Traceback")


# What a study prints and keeps


def test_a_study_prints_its_table_and_draws_its_pictures(study):
    out, done = study
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    assert rows[0].split()[:3] == ["method", "images", "updates"]
    assert [row.split()[:3] for row in rows[2:4]] == [["baseline", "100", "5"], ["flip", "200", "10"]]
    assert "The least p that 2 paired tasks can reach" in done.stdout
    assert "digits, stratified: 2 classes × 50 images; seeds 0-1" in done.stderr
    assert done.stderr.count(" %  ") == 4
    assert not [line for line in done.stderr.splitlines() if any(word in line for word in CHATTER)]
    for name in ("accuracy.png", "accuracy.svg", "curves.png", "curves.svg", "result.json"):
        assert (out / "augment" / name).stat().st_size > 1000


def test_the_same_command_answers_from_the_records(study):
    out, first = study
    code = (
        "import sys, experiments.augment as a\n"
        f"code = a.main([*{QUICK}, '--method', 'flip', '--out', {str(out)!r}])\n"
        "print(code, [m for m in ('tensorflow', 'keras', 'albumentations') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    *table, last = done.stdout.splitlines()
    assert last == "0 []"
    assert table == first.stdout.splitlines()
    assert "4 of 4 trials were in the records already" in done.stderr


def test_json_is_one_document_of_the_promised_shape(study, command):
    out, _ = study
    done = command("augment", *QUICK, "--method", "flip", "--json", out=out)
    document = json.loads(done.stdout)
    assert set(document) == {
        "study",
        "command",
        "protocol",
        "baseline",
        "reported",
        "methods",
        "plots",
        "figures",
        "records",
    }
    assert (document["study"], document["baseline"]) == ("augment", "baseline")
    given = ["python", "-m", "experiments.augment", *QUICK, "--method", "flip", "--json", "--out", str(out)]
    assert shlex.split(document["command"]) == given
    assert document["protocol"]["name"] == "stratified"
    assert all(Path(path).exists() for path in (*document["figures"], document["records"]))
    baseline, flip = document["methods"]
    assert set(flip) == {"method", "n", "failed", "mean", "std", "ci95", "delta", "trials"}
    assert baseline["delta"] is None
    assert set(flip["delta"]) == {"mean", "std", "ci95", "p", "wins", "n"}
    fields = {"key", "seed", "classes", "n_train", "updates", "images_seen", "accuracy", "nll", "seconds"}
    assert set(flip["trials"][0]) == fields
    assert flip["mean"] == pytest.approx(np.mean([trial["accuracy"] for trial in flip["trials"]]))
    assert 1 < flip["mean"] <= 100


def test_another_command_with_the_same_result_is_kept_and_draws_nothing(study, command, tmp_path):
    out = shutil.copytree(study[0], tmp_path / "results") / "augment"
    command("augment", *QUICK, "--method", "flip")  # the paths in the document are now those of the copy
    for path in out.iterdir():
        os.utime(path, (1, 1))
    done = command("augment", *QUICK, "--method", "flip", "--jobs", 1)
    assert done.returncode == 0, done.stderr
    assert "--jobs 1" in json.loads((out / "result.json").read_text())["command"]
    assert {path.name for path in out.iterdir() if path.stat().st_mtime > 1} == {"result.json"}
    (out / "result.json").write_text("torn")
    assert command("augment", *QUICK, "--method", "flip").returncode == 0
    assert all(path.stat().st_mtime > 1 for path in out.iterdir() if not path.name.startswith("."))


@pytest.mark.processes
def test_a_fresh_run_with_two_workers_gives_the_same_numbers_without_chatter(study, command, tmp_path):
    out = shutil.copytree(study[0], tmp_path / "results")
    before = records(out)
    done = command("augment", *QUICK, "--method", "flip", "--fresh", "--jobs", 2, env={})
    assert done.returncode == 0
    assert "in the records already" not in done.stderr
    assert not [line for line in done.stderr.splitlines() if any(word in line for word in CHATTER)]
    assert len((out / "trials.jsonl").read_text().splitlines()) == 8
    assert records(out) == before


def photos(folder: Path, counts: dict[str, int]) -> Path:
    """Write photos of one colour a class, noisy."""
    rng = np.random.default_rng(0)
    for number, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            scene = np.kron(rng.integers(0, 105, (10, 10, 3)), np.ones((4, 5, 1), int))  # no near-duplicates
            pixels = (scene + rng.integers(0, 30, (40, 50, 3))).astype(np.uint8)
            pixels[..., number] += 120
            Image.fromarray(pixels).save(folder / name / f"photo {i}.jpg")
    return folder


def test_a_folder_of_photos(command, tmp_path):
    data = photos(tmp_path / "photos", {"röt": 70, "grün": 60})
    (data / "röt" / "note.jpg").write_text("not an image")
    args = ("--data", data, "--quick", "--updates", 1, "--method", "none", "--jobs", 1)
    done = command("augment", *args, "--unbalanced")
    assert done.returncode == 0, done.stderr
    assert "balanced mean ± std" in done.stdout
    assert "note.jpg" in done.stderr
    (record, _) = records(tmp_path / "results").values()
    assert sorted(record.classes) == ["grün", "röt"]
    with np.load(tmp_path / "results" / "predictions" / f"{record.key}.npz") as kept:
        assert len(kept["labels"]) == 46  # of 70 and 60, 42 each are trained on


def test_deic_has_three_tasks_unless_asked_otherwise(blobs, tmp_path):
    save(blobs, tmp_path, "test")
    data = Prepared("cifar10", tmp_path, blobs.classes, "", "deic", None)
    for given, count in (([], 3), (["--seeds", "1"], 1), (["--quick"], 2), (["--protocol", "pairs45"], 45)):
        asked = STUDY.request(STUDY.parser().parse_args(given, argparse.Namespace(command="")))
        plan = make_plan(
            {"none": KerasLearner()},
            Images(data, data, data),
            asked.draws,
            asked.seeds,
            at_most=QUICK_SEEDS if asked.quick else None,
        )
        assert len({trial.seed for trial in plan.trials}) == count


def test_fifty_photos_a_class_are_enough(command, tmp_path):
    """Of so few not all are trained on."""
    data = photos(tmp_path / "photos", {"a": 50, "b": 60})
    done = command("augment", "--data", data, "--quick", "--updates", 1, "--method", "none", "--jobs", 1)
    assert done.returncode == 0, done.stderr
    (record, _) = records(tmp_path / "results").values()
    assert (record.protocol["shots"], record.n_train) == (35, 70)


def test_sheets_are_drawn_without_training(command, tmp_path):
    done = command("augment", "--data", "digits", "--method", "flip+rotation", "online:flip", "--sheet")
    assert done.returncode == 0, done.stderr
    assert [Path(path).name for path in done.stdout.splitlines()] == [
        "baseline.png",
        "flip+rotation.png",
        "online-flip.png",
    ]
    assert all(Path(path).stat().st_size > 1000 for path in done.stdout.splitlines())
    assert not (tmp_path / "results" / "trials.jsonl").exists()
    as_json = command("augment", "--data", "digits", "--method", "online:flip", "--sheet", "--json")
    sheets = json.loads(as_json.stdout)["sheets"]
    assert list(sheets) == ["baseline", "online:flip"]
    assert list(sheets.values()) == done.stdout.splitlines()[::2]


def test_a_diverged_trial_is_shown_and_left_out(command):
    done = command("cnn", *ALONE, "--method", "baseline:learning_rate=1e12")
    assert done.returncode == 0, done.stderr
    assert "failed: the loss was no longer finite at update" in done.stderr
    assert "0 (2 failed)" in done.stdout


@pytest.mark.jax
def test_a_quick_study_on_jax(command):
    done = command("augment", *QUICK, "--method", "flip", "online:strong", env={"KERAS_BACKEND": "jax"})
    assert done.returncode == 0, done.stderr
    assert "jax" in done.stderr
    assert not any(word in done.stderr for word in CHATTER)


def test_help_teaches(capsys):
    from experiments.augment import main

    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in ("color-isolation", "online:strong", "mixing(a+b)", "pairs45", "--shots", "default: testbed"):
        assert word in text


@pytest.mark.parametrize(
    ("text", "expected"), [("10", range(10)), ("10-19", range(10, 20)), ("7-7", range(7, 8))]
)
def test_seeds(text, expected):
    assert cli.seeds(text) == expected


# Errors: one line that says what to do


@pytest.mark.parametrize("text", ["", "-", "1-", "-3", "1.5", "1,2", "1-2-3", "²"])
def test_what_is_no_number_of_seeds(text):
    with pytest.raises(argparse.ArgumentTypeError, match="Received"):
        cli.seeds(text)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--method", "flp"), "unknown method 'flp': did you mean 'flip'?"),
        (("--method", "online:flp"), "unknown online policy 'flp': did you mean 'flip'?"),
        (("--classes", "1", "seven"), "unknown class 'seven'"),
        (("--protocol", "testbet"), "unknown protocol 'testbet': did you mean 'testbed'?"),
        (("--data", "digit"), "unknown dataset 'digit': did you mean 'digits'?"),
        (("--data", "no/such/place"), "no such directory"),
        (("--seeds", "0"), "wants a number of seeds above 0"),
        (("--seeds=-1",), "wants a number of seeds above 0"),
        (("--seeds", "abc"), "wants a number of seeds above 0"),
        (("--seeds", "9-3"), "wants a number of seeds above 0"),
        (("--seeds", "990-1010"), "draw tuning tasks"),
        (("--shots", "5000"), "too few images per class"),
        (("--shots", "x"), "wants a whole number above 0"),
        (("--ways", "11"), "has 10 classes: --ways 11 asks for more"),
        (("--protocol", "testbed"), "too few images per class"),
        (("--protocol", "pairs45", "--seeds", "45-45"), "pairs45 has 45 pairs"),
        (("--image-size", "64"), "--image-size is for a folder"),
        (("--updates", "5", "--epochs", "5"), "exclude each other"),
        (("--method", "mixing(flip+rotation+patchshuffle)"), "add --yes"),
        (("--no-such-option",), "unrecognized arguments"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(command, tmp_path, args, message):
    done = command("augment", "--data", "digits", *args)
    assert done.returncode == 2
    last = done.stderr.splitlines()
    assert any(message in line for line in last), done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout
    assert not (tmp_path / "results" / "trials.jsonl").exists()
    if "flp" not in args:  # the grammar's errors show the place below the line
        assert len(last) == 1


def test_an_error_in_the_grammar_has_a_caret(command):
    done = command("augment", "--data", "digits", "--method", "flip+rotatoin")
    *_, expression, caret = done.stderr.splitlines()
    assert expression.index("rotatoin") == caret.index("^")


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "no"),
        ({"a": 5}, "class"),
        ({"a": 60, "b": 1}, "too few images per class in the train part (b 1)"),
    ],
)
def test_folders_that_make_no_task(command, tmp_path, counts, message):
    (tmp_path / "photos").mkdir()
    photos(tmp_path / "photos", counts)
    done = command("augment", "--data", tmp_path / "photos", "--method", "none")
    assert done.returncode == 2
    assert message in one_line(done.stderr)


def test_an_unwritable_folder_for_results(command, tmp_path):
    (tmp_path / "file").write_text("")
    done = command("augment", *QUICK, out=tmp_path / "file" / "results")
    assert done.returncode == 1
    assert "give another --out" in one_line(done.stderr)


def test_an_unwritable_cache(command, tmp_path):
    (tmp_path / "file").write_text("")
    done = command("augment", *QUICK, "--cache-dir", tmp_path / "file" / "cache")
    assert done.returncode == 1
    assert "--cache-dir" in one_line(done.stderr)


@pytest.mark.processes
def test_no_network_at_all(command, tmp_path):
    nowhere = "http://127.0.0.1:9"
    env = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere)
    env |= {"npm_config_registry": nowhere, "FEWSHOT_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    begin = time.monotonic()
    done = command("augment", "--method", "flip", env=env)
    assert time.monotonic() - begin < 60
    assert done.returncode == 1
    error = one_line(done.stderr)
    assert "cannot get cifar10. Tried:" in error
    assert "Keras" in error
    assert "npm" in error
    assert "--data-dir" in error
    assert "--data digits" in error


def test_exit_codes(capsys):
    def fail(args):
        raise FewshotError("broken; mend it")

    assert cli.run(fail, lambda: cli.Parser(prog="x"), []) == 1
    assert capsys.readouterr().err == "x: error: broken; mend it\n"


def test_the_benchmark_names_what_it_cannot_do(command):
    done = command("benchmark", "--contender", "no such thing", out=None)
    assert done.returncode == 2
    assert "invalid choice" in one_line(done.stderr)
    assert os.linesep not in done.stdout


@pytest.mark.parametrize("text", ["-1", "x", "1.5", str(2**32)])
def test_seeds_that_numpy_does_not_take(text):
    assert cli.seed("0") == 0
    with pytest.raises(argparse.ArgumentTypeError, match="wants a whole number, 0 or more, below"):
        cli.seed(text)
