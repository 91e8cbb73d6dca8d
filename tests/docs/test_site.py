"""What README and site show: every command is one that the real parsers take, every link leads somewhere."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from experiments.__main__ import FRONT
from fewshot.cli import parser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
CALL = re.compile(
    r"(?:\w+=\S+ )*(?:\.venv/bin/)?(?P<command>fewshot|python -m(?= experiments\.| gan\.)) (?P<rest>.*)"
)
MENTIONED = {"NAME", "COMMAND --help", *FRONT.commands}  # rather than called

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def commands(page: Path) -> list[str]:
    """Return the command lines of a page: in blocks, with continued lines, and in tables and sentences."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = [line.strip().removeprefix("$ ") for line in text.splitlines() if line.startswith("    ")]
    return [line for line in [*blocks, *re.findall(r"`([^`\n]+)`", text)] if CALL.fullmatch(line)]


def arguments(line: str) -> list[str]:
    """Return the words after `fewshot`: `python -m gan.train` is `fewshot gan train`."""
    call = CALL.fullmatch(line)
    words = shlex.split(call["rest"], comments=True)
    for mark in ("|", ">", "&"):
        words = words[: words.index(mark)] if mark in words else words
    if call["command"] == "fewshot":
        return words
    return [*parser.command_name(words[0]).split(), *words[1:]]


@each_page
def test_commands_are_taken_by_the_parsers(page, monkeypatch, capsys):
    def parse(program, make_parser, argv, interrupted):
        args = make_parser().parse_args(argv)
        args.command = ""
        study = getattr(importlib.import_module(FRONT._find(line)[0].module), "STUDY", None)
        if study and not args.plugin:
            study.request(args)  # knows the methods, too
        return 0

    monkeypatch.setattr(parser, "_run", parse)
    for text in commands(page):
        line = arguments(text)
        if " ".join(line) in MENTIONED or "…" in line:
            continue
        try:
            code = FRONT.main(line)
        except SystemExit as exit:  # `--help` ends so, too
            code = exit.code
        assert code == 0, f"{text}: {capsys.readouterr().err}"


def test_the_quick_commands_run(study, tmp_path, capsys):
    out, printed = study  # by the command that all pages show where no download is wanted
    quick = {" ".join(arguments(text)) for page in PAGES for text in commands(page) if "digits" in text}
    assert {text for text in quick if "--quick" in text} == {"augment --data digits --method flip --quick"}
    assert printed.returncode == 0
    assert "--data digits --quick --method flip" in " ".join(printed.args)
    for line in (["methods"], ["report", str(out), "--out", str(tmp_path / "page.html")], ["--version"]):
        assert FRONT.main(line) == 0, capsys.readouterr().err


@each_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_page_is_on_the_site():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("nav:")[2]
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert set(re.findall(r"[\w/]+\.md", nav)) == pages


def test_the_readme_fits_one_sitting_and_names_every_command():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("## Commands")[2].partition("\n## ")[0]
    assert set(FRONT.commands) <= set(re.findall(r"`(?:fewshot )?([a-z -]+)`", table))
    assert len(readme.splitlines()) <= 250
