"""Bad input: one line with the nearest name and the cure, in the words of whichever face was asked."""

import pytest
from helpers import one_line, photos

import fewshot as fs
from experiments import augment
from fewshot.errors import UsageError

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
        ({"data": 5}, "data= wants a name, a folder, or arrays"),
    ],
)
def test_what_only_python_can_get_wrong(options, message, tmp_path):
    with pytest.raises(UsageError) as error:
        fs.run(**{"methods": "ridge", "data": "digits", "out": tmp_path, **options})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


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
