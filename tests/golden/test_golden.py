"""Golden numbers: the same commands give the same accuracies and probabilities, to the last digit.

    python tests/golden/test_golden.py          # records anew what is missing in golden.json

A golden number that moves is a change of results: it wants a new version of what changed, and a line in the
changelog, before it is recorded again. Digits hold on one kind of processor with one set of libraries;
elsewhere accuracies are compared within a tolerance, and probabilities are not.
"""

import contextlib
import hashlib
import importlib.metadata
import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from fewshot.trials.store import Store, read

FILE = Path(__file__).with_name("golden.json")
ELSEWHERE = 6.0  # points that an accuracy may differ by on another machine: few epochs, few images
DIGITS = ("--data", "digits", "--seeds", "2", "--shots", "10", "--jobs", "1")
CIFAR = ("--seeds", "2", "--jobs", "1")

COMMANDS = {
    "augment": (
        ("augment", *DIGITS, "--epochs", "3"),
        ("--method", "flip", "rotation+mixing", "online:strong"),
    ),
    "cnn": (("cnn", *DIGITS, "--epochs", "3"), ("--method", "bn", "best:ensemble_size=2")),
    "learners": (
        ("augment", *DIGITS, "--epochs", "3"),
        ("--method", "ridge", "patches:count=40", "knn", "numpy-fc3", "logistic"),
    ),
    "transfer": (
        ("transfer", *DIGITS, "--epochs", "3"),
        ("--method", "baseline:transfer=digits,last=1,pretrain_epochs=1"),
    ),
    "gan": (
        ("synthetic", *DIGITS, "--epochs", "3"),
        ("--method", "synthetic=20,gan=best:updates=20"),
    ),
    "full": (
        ("full", "--data", "digits", "--epochs", "1", "--seeds", "2", "--jobs", "1", "--threads", "1"),
        ("--method", "lecture"),
    ),
    "augment-cifar10": (
        ("augment", *CIFAR, "--epochs", "3"),
        ("--method", "flip", "online:strong", "ridge", "patches"),
    ),
    "finetune-cifar10": (("finetune", *CIFAR, "--epochs", "3"), ("--method", "lite-ridge")),
    "transfer-cifar10": (
        ("transfer", *CIFAR, "--epochs", "3"),
        ("--method", "baseline:transfer=cifar10,last=1,pretrain_epochs=1"),
    ),
}
COMPARED = ("ridge", "knn-cosine")  # strategies of `compare`
DRAWS = 4  # of a comparison: its budget decides how many there are, and these are there in any case
FETCHING = ("augment-cifar10", "finetune-cifar10", "transfer-cifar10")


def machine() -> dict[str, str]:
    """Return what digits depend on beside the code."""
    cpu = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = " ".join(
            sorted({line for line in lines if line.startswith(("vendor_id", "cpu family", "model\t"))})
        )
    libraries = ("tensorflow", "keras", "numpy", "scikit-learn", "scipy", "albumentations")
    return {"cpu": " ".join(cpu.split())} | {name: importlib.metadata.version(name) for name in libraries}


def run_study(name: str, *args: str, out: Path) -> dict[str, dict]:
    """Run a command in this process; return method and seed → accuracy, loss and digest of probabilities."""
    module = __import__(f"experiments.{name}", fromlist=["main"])
    with contextlib.redirect_stdout(io.StringIO()):
        code = module.main([*args, "--out", str(out)])
    assert code == 0, (name, args)
    numbers = {}
    records = list(read(out / "trials.jsonl")[0].values())
    for record in records:
        if record.protocol.get("shots") != records[0].protocol.get("shots"):
            continue  # of a learning curve
        arrays = Store(out).arrays(record.key)
        digest = hashlib.sha256(arrays["probabilities"].tobytes() + arrays["index"].tobytes())
        numbers[f"{record.method} {record.seed}"] = {
            "accuracy": record.accuracy,
            "nll": record.nll,
            "probabilities": digest.hexdigest()[:16],
        }
    return numbers


def photos(folder: Path) -> Path:
    """Write digits as PNG files, two classes of 40, and return the folder."""
    from PIL import Image
    from sklearn.datasets import load_digits

    bunch = load_digits()
    for label in (3, 8):
        (folder / str(label)).mkdir(parents=True)
        for number, image in enumerate(bunch.images[bunch.target == label][:40]):
            pixels = np.kron(np.repeat(image[:, :, None] * 15, 3, 2), np.ones((4, 4, 1))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / str(label) / f"{number:02}.png")
    return folder


def measure(name: str, tmp: Path) -> dict[str, dict]:
    """Return the numbers of one entry of the golden set."""
    if name == "compare":
        args = ("--data", str(photos(tmp / "photos")), "--budget", "60s", "--jobs", "1", "--no-export")
        args += ("--protocol", "distinct")
        numbers = run_study("compare", *args, "--method", *COMPARED, out=tmp / "out")
        return {key: value for key, value in numbers.items() if key.split()[1] in map(str, range(DRAWS))}
    fixed, methods = COMMANDS[name]
    return run_study(fixed[0], *fixed[1:], *methods, out=tmp / "out")


def check(name: str, tmp: Path) -> None:
    """Compare the numbers of an entry with those that were recorded."""
    golden = json.loads(FILE.read_text())
    exact, measured = golden["machine"] == machine(), measure(name, tmp)
    for trial, recorded in golden["numbers"][name].items():
        assert trial in measured, f"{name}: no trial '{trial}'; there are {', '.join(measured)}"
        if exact:
            assert measured[trial] == recorded, f"{name}, {trial}"
        else:
            assert abs(measured[trial]["accuracy"] - recorded["accuracy"]) <= ELSEWHERE, f"{name}, {trial}"


@pytest.mark.parametrize("name", [name for name in (*COMMANDS, "compare") if name not in FETCHING])
def test_digits(name, tmp_path):
    check(name, tmp_path)


@pytest.mark.network
@pytest.mark.parametrize("name", FETCHING)
def test_cifar10(name, tmp_path):
    check(name, tmp_path)


if __name__ == "__main__":
    import tempfile

    golden = json.loads(FILE.read_text()) if FILE.exists() else {"machine": machine(), "numbers": {}}
    for entry in (*COMMANDS, "compare"):
        if entry in golden["numbers"]:
            continue
        os.environ.setdefault("FEWSHOT_CACHE", tempfile.mkdtemp())
        with tempfile.TemporaryDirectory() as folder:
            golden["numbers"][entry] = measure(entry, Path(folder))
        FILE.write_text(json.dumps(golden, indent=1) + "\n")
        print(entry, len(golden["numbers"][entry]), file=sys.stderr)
