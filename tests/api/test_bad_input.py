"""Bad input: one line with the nearest name and the cure, in the words of whichever face was asked."""

import contextlib
import itertools

import pytest
from helpers import one_line, photos

import fewshot as fs
from experiments import augment
from fewshot.errors import UsageError
from fewshot.trials.plan import Draws, Machine, Training

DIGITS = ["--data", "digits"]
# What is wrong; how Python asks for it; the command line's options; what both say; how each names the field.
CASES = {
    "method": ({"methods": "rigde"}, ["--method", "rigde"], "did you mean 'ridge'?", None),
    "setting": (
        {"methods": "ridge:alfa=3"},
        ["--method", "ridge:alfa=3"],
        "did you mean 'alpha'?",
        None,
    ),
    "dataset": ({"data": "digit"}, ["--data", "digit"], "did you mean 'digits'?", None),
    "folder": ({"data": "no/photos"}, ["--data", "no/photos"], "no such directory: no/photos", None),
    "protocol": (
        {"protocol": "stratifed"},
        ["--protocol", "stratifed"],
        "did you mean 'stratified'?",
        None,
    ),
    "class": ({"classes": ["3", "nine"]}, ["--classes", "3", "nine"], "unknown class 'nine'", None),
    "ways": ({"ways": 11}, ["--ways", "11"], "digits has 10 classes", ("ways=11", "--ways 11")),
    "one class": ({"classes": ["3"]}, ["--classes", "3"], "two classes or more", None),
    "shots": ({"shots": 500}, ["--shots", "500"], "too few images", ("shots=", "--shots")),
    "image size": (
        {"image_size": 64},
        ["--image-size", "64"],
        "is for a folder of images",
        ("image_size=", "--image-size"),
    ),
    "limit": (
        {"limit_train": 9},
        ["--limit-train", "9"],
        "'stratified' takes",
        ("protocol='full'", "--protocol full"),
    ),
    "two lengths": (
        {"epochs": 3, "updates": 3},
        ["--epochs", "3", "--updates", "3"],
        "exclude each other",
        ("updates= and epochs=", "--updates and --epochs"),
    ),
    "seeds": (
        {"seeds": range(990, 1010)},
        ["--seeds", "990-1009"],
        "those from 1000 on draw tuning tasks",
        ("seeds=", "--seeds"),
    ),
    "ways of fixed classes": (
        {"ways": 3, "classes": ["3", "8"]},
        ["--ways", "3", "--classes", "3", "8"],
        "and the 2 classes of",
        ("ways=3 and", "--ways 3 and"),
    ),
    "jobs on a cluster": (
        {"jobs": 2, "cluster": "tcp://10.0.0.1:8786"},
        ["--jobs", "2", "--cluster", "tcp://10.0.0.1:8786"],
        "has its own workers",
        ("jobs=", "--jobs"),
    ),
    "jobs on a GPU": (
        {"jobs": 2, "device": "gpu"},
        ["--jobs", "2", "--device", "gpu"],
        "processes would share the GPU",
        ("jobs=2", "--jobs 2"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_python_and_the_command_line_say_the_same(case, tmp_path, capsys):
    asked, line, message, fields = CASES[case]
    with pytest.raises(UsageError) as error:
        fs.run(**{"methods": "ridge", "data": "digits", "out": tmp_path, **asked})
    in_python = str(error.value)
    assert augment.main([*DIGITS, "--method", "ridge", *line, "--out", str(tmp_path)]) == 2
    in_command = one_line(capsys.readouterr().err)
    for text in (in_python, in_command):
        assert message in text
        assert "\n" not in text
    if fields:
        assert fields[0] in in_python
        assert fields[1] in in_command
    assert "--" not in in_python
    assert not (tmp_path / "trials.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 0}, "seeds= wants a whole number from 1 on. Received: 0"),
        ({"seeds": []}, "seeds= is empty"),
        ({"seeds": "10"}, "seeds= wants a whole number from 1 on. Received: '10'"),
        ({"shots": 2.5}, "shots= wants a whole number from 1 on. Received: 2.5"),
        ({"jobs": -1}, "jobs= wants a whole number from 1 on. Received: -1"),
        ({"epochs": True}, "epochs= wants a whole number from 1 on. Received: True"),
        ({"classes": "cat"}, "classes= wants a list of names. Received: 'cat'"),
        ({"device": "gpus0"}, "unknown device 'gpus0': did you mean 'gpus'"),
        ({"cluster": "10.0.0.1"}, "cluster= wants local or an address"),
        ({"methods": []}, "methods= is empty"),
        ({"methods": 5}, "Received: 5"),
        ({"methods": {3: "ridge"}}, "the names of methods= are texts. Received: 3"),
        ({"training": {"epoch": 3}}, "did you mean 'epochs'"),
        (
            {"training": {"learning_rate": "x"}},
            "learning_rate is a number above 0. Received: 'x'",
        ),
        ({"training": {"nesterov": "no"}}, "the recipe's nesterov is yes or no. Received: 'no'"),
        (
            {"training": {"batch": 2.5}},
            "the recipe's batch is a whole number above 0, and at most",
        ),
        ({"training": {"epochs": "x"}}, "epochs= wants a whole number from 1 on. Received: 'x'"),
        ({"training": {"online": 3}}, "the recipe's online is a name. Received: 3"),
        ({"training": {"optimizer": ["sgd"]}}, "the recipe's optimizer is a name. Received: ['sgd']"),
        ({"training": {"momentum": None}}, "the recipe's momentum is 0 or more, and below 1. Received: None"),
        ({"protocol": 3}, "protocol= wants a name. Received: 3"),
        ({"classes": 3}, "classes= wants a list of names. Received: 3"),
        ({"classes": [3, 8]}, "classes= wants a list of names. Received: [3, 8]"),
        ({"balanced": "no"}, "balanced= is True or False. Received: 'no'"),
        ({"fresh": "no"}, "fresh= is True or False. Received: 'no'"),
        ({"shots": "x"}, "shots= wants a whole number from 1 on. Received: 'x'"),
        ({"threads": "x"}, "threads= wants a whole number from 1 on. Received: 'x'"),
        ({"device": 3}, "unknown device '3'"),
        ({"cluster": 3}, "cluster= wants local or an address such as tcp://10.0.0.1:8786. Received: 3"),
        ({"seeds": "abc"}, "seeds= wants a whole number from 1 on"),
        ({"seeds": [1, "abc"]}, "seeds= wants a whole number from 0 on. Received: 'abc'"),
        ({"seeds": range(10**12)}, "seeds= wants a whole number, 4,294,967,295 at most"),
        ({"seeds": 10**12}, "seeds= wants a whole number, 4,294,967,295 at most"),
        ({"seeds": range(1000, 2**32)}, "seeds=: 100,000 tasks are the most. Received: 4,294,966,296"),
        ({"seeds": itertools.count(1000)}, "seeds=: 100,000 tasks are the most"),
        ({"seeds": range(0)}, "seeds= is empty"),
        ({"data": 5}, "data= wants a name, a folder, or arrays"),
    ],
)
def test_what_only_python_can_get_wrong(options, message, tmp_path):
    with pytest.raises(UsageError) as error:
        fs.run(**{"methods": "ridge", "data": "digits", "out": tmp_path, **options})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Draws(protocol=3), "protocol="),
        (lambda: Draws(classes=3), "classes="),
        (lambda: Draws(shots="x"), "shots="),
        (lambda: Draws(limit_train=0), "limit_train="),
        (lambda: Machine(jobs="x"), "jobs="),
        (lambda: Machine(threads=1.5), "threads="),
        (lambda: Machine(device=None), "unknown device 'None'"),
        (lambda: Machine(cluster="here"), "cluster="),
        (lambda: Training(epochs="x"), "epochs="),
        (lambda: Training(updates=-1), "updates="),
    ],
)
def test_parts_of_a_plan_name_the_field(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_a_huge_range_of_seeds_is_refused_at_once(tmp_path, capsys):
    for seeds, message in (
        ("0-1000000000000", "below 2³²"),
        ("0-4000000000", "tuning tasks"),
        ("1000-4000000000", "100,000"),
    ):
        with contextlib.suppress(SystemExit):
            augment.main([*DIGITS, "--method", "ridge", "--seeds", seeds, "--out", str(tmp_path)])
        assert message in one_line(capsys.readouterr().err)


def test_no_bar_begins_before_an_error(tmp_path, capsys):
    with pytest.raises(UsageError, match="too few images"):
        fs.run("ridge", "digits", shots=5000, out=tmp_path)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("budget", "message"),
    [("5", "too short for anything"), ("soon", "wants a time"), ("59s", "60s are the least")],
)
def test_a_budget(budget, message, command, tmp_path):
    folder = str(photos(tmp_path / "photos", 6, side=16))
    with pytest.raises(UsageError, match=message):
        fs.compare(folder, budget, out=tmp_path)
    done = command("compare", "--data", folder, "--budget", budget)
    assert done.returncode == 2
    assert message in one_line(done.stderr)
