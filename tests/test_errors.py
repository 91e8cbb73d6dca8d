"""Errors name fields: each face shows them in its own words; the library knows no command line."""

import ast
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

import fewshot
from experiments import augment
from fewshot.cli import flag
from fewshot.data import DataSpec, open_splits, prepare
from fewshot.errors import FewshotError, UsageError, field, python, render, unknown
from fewshot.seeding import rng
from fewshot.trials.plan import Draws

ROOT = Path(fewshot.__file__).parents[1]
COMMAND_LINE = re.compile(r"(?<![\w-])--[a-z]|\bexperiments\.|python3? -m\b")
OF_OTHERS = {  # what is no option of ours
    "fewshot/io/fetch.py",  # npm and pip
    "fewshot/report/page/matrix.py",  # variables in CSS
    "fewshot/report/page/vector.py",
}
OF_OTHERS_WORDS = (
    "--xla_",
    "`dask worker --nthreads 1 --nworkers N`",
    *("--always", "--abbrev=12", "--dirty=, changed", "--exclude=*"),  # git's
    *("--backend-store-uri", "--logdir"),  # of the trackers' own pages
)


@pytest.mark.parametrize(
    ("name", "value", "python", "option"),
    [
        ("image_size", None, "image_size=", "--image-size"),
        ("shots", 5, "shots=5", "--shots 5"),
        ("shots", np.int64(5), "shots=5", "--shots 5"),
        ("protocol", "stratified", "protocol='stratified'", "--protocol stratified"),
        ("out", Path("my results"), "out='my results'", "--out 'my results'"),
        ("fresh", True, "fresh=True", "--fresh"),
        ("method", "it's \ue002", 'method="it\'s \\ue002"', "--method 'it'\"'\"'s \ue002'"),
    ],
)
def test_a_field_is_shown_as_each_face_spells_it(name, value, python, option):
    error = UsageError(f"use {field(name, value)}, or none")
    assert str(error) == f"use {python}, or none"
    assert error.render(flag) == f"use {option}, or none"


def test_text_of_a_user_is_shown_unharmed_whatever_its_characters():
    """Also those that enclose fields, and a field torn out of another message."""
    draw = rng(0, "texts of users")
    alphabet = [*"\ue000\ue001\ue002\ud800\\'()0aN", "shots", "None", "\ue000shots\ue0015\ue002"]
    alphabet += [
        field("shots", 5)[:-1],
        field("shots", 5)[1:],
        "\ue000shots\ue001__import__('os')\ue00112345678\ue002",
    ]
    for _ in range(2000):
        before, after = ("".join(draw.choice(alphabet, draw.integers(0, 8))) for _ in range(2))
        if field("shots", 5) in before + "x" + after:  # pieces that happen to be whole
            continue
        error = UsageError(f"{before}{field('ways', 2.5)}{after}")
        assert str(error) == f"{before}ways=2.5{after}"
        assert error.render(flag) == f"{before}--ways 2.5{after}"


def test_a_value_that_is_no_finite_number_is_shown():
    assert str(UsageError(field("budget", float("inf")))) == "budget='inf'"


def test_an_error_that_crosses_a_process_keeps_its_fields():
    error = pickle.loads(pickle.dumps(UsageError(f"raise {field('image_size')}")))
    assert type(error) is UsageError
    assert error.render(flag) == "raise --image-size"


def test_an_error_that_quotes_another_keeps_its_fields():
    def fail():
        try:
            raise UsageError(f"raise {field('image_size')}")
        except FewshotError as error:
            raise type(error)(f"{error} (the worker {field('cluster')})") from error

    with pytest.raises(UsageError) as raised:
        fail()
    assert raised.value.render(flag) == "raise --image-size (the worker --cluster)"
    assert str(raised.value) == "raise image_size= (the worker cluster=)"


def test_an_unknown_name_among_many():
    names = [f"name-{number}" for number in range(30)]
    assert str(unknown("method", "nam-7", names)).endswith("name-19, … (30 in all)")


@pytest.mark.parametrize(
    ("asked", "said", "named"),
    [
        (
            {"data": "digits", "image_size": 64},
            "{} is for a folder of images",
            ("image_size=", "--image-size"),
        ),
        ({"data": "digit"}, "unknown dataset 'digit': did you mean 'digits'?", ("", "")),
        ({"data": "digits", "ways": 11}, "has 10 classes: {} asks for more", ("ways=11", "--ways 11")),
        ({"data": "digits", "shots": 900}, "ask for fewer {}, add images", ("shots=", "--shots")),
    ],
)
def test_python_and_the_command_line_say_the_same_each_in_its_words(asked, said, named, capsys, tmp_path):
    draws = {name: value for name, value in asked.items() if name in ("ways", "shots")}

    def draw():
        data = prepare(DataSpec(asked["data"], asked.get("image_size")))
        Draws(**draws).resolve(data).sample_task(open_splits(data.folder), 0)

    with pytest.raises(UsageError) as raised:
        draw()
    assert said.format(named[0]) in str(raised.value)
    options = [word for name, value in asked.items() for word in (flag(name), str(value))]
    assert augment.main([*options, "--method", "none", "--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said.format(named[1]) in line


def _library() -> list[Path]:
    """Return the files of all packages but those of the command line."""
    commands = {ROOT / "gan" / "train.py", ROOT / "gan" / "generate.py"}
    files = {*ROOT.glob("fewshot/**/*.py"), *ROOT.glob("gan/**/*.py")} - commands
    return sorted(file for file in files if not file.is_relative_to(ROOT / "fewshot" / "cli"))


def _texts(file: Path):
    """Yield every string of a module, docstrings too, with its line."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def test_the_library_names_no_option_and_no_command():
    named = []
    for file in _library():
        name = file.relative_to(ROOT).as_posix()
        for line, text in [] if name in OF_OTHERS else _texts(file):
            for word in OF_OTHERS_WORDS:
                text = text.replace(word, "")
            if COMMAND_LINE.search(text):
                named.append(f"{name}:{line}: {text[:100]}")
    assert not named, "\n".join(named)


def test_a_number_that_no_float_can_be_is_shown_as_a_text():
    assert render(field("shots", 10**400), python) == f"shots='{10**400}'"
