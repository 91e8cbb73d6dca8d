"""The documentation's tables and pictures are drawn from the kept results, and from nothing else."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
from helpers import keep, kept

from experiments.report import main
from fewshot.errors import FewshotError
from fewshot.report import kept_result
from fewshot.report.kept_table import KeptTable
from fewshot.report.result import result
from fewshot.stats.comparison import analyse

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("kept_docs", ROOT / "docs" / "kept.py")
docs = importlib.util.module_from_spec(_spec)
sys.modules["kept_docs"] = docs
_spec.loader.exec_module(docs)


@pytest.mark.parametrize("page", docs.pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_tables_are_those_of_the_kept_results(page):
    text = page.read_text(encoding="utf-8")
    assert docs.rendered(text, page) == text, "`make results` draws it anew"


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "results").glob("*.md")), ids=lambda page: page.name)
def test_no_table_of_results_is_typed(page):
    rest = docs.BLOCK.sub("", page.read_text(encoding="utf-8"))
    tables = re.findall(r"^\|.*\n\| ?:?-", rest, re.MULTILINE)
    assert len(tables) == (page.name == "backbones.md")  # the licences of the weights


@pytest.mark.parametrize("name", docs.names())
def test_kept_results_say_where_they_come_from(name):
    result = docs.kept(name)
    assert result.command.removeprefix("KERAS_BACKEND=jax ").startswith("fewshot ")
    assert result.origin["date"]
    assert result.trials or "not kept" in result.origin["note"] or name == "models"


def test_every_kept_result_is_shown():
    shown = {name for page in docs.pages() for name in docs.shown_on(page.read_text(encoding="utf-8"))}
    assert shown == set(docs.names())


@pytest.mark.parametrize("name", docs.pictured() or [None])
def test_pictures_show_the_kept_numbers(name):
    if name:
        assert docs.picture_source(name) == docs.source(name), "`make results` draws it anew"


def test_the_readme_says_what_the_studies_found():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    cells = docs.row_of(docs.kept("cnn"), "best")
    assert f"| the best small CNN from scratch | {cells['mean ± std']} |" in readme


@pytest.fixture
def pages(tmp_path, monkeypatch):
    """A README and an empty folder of kept results, in place of the project's."""
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    monkeypatch.setattr(docs, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(docs, "KEPT", tmp_path / "docs" / "results")
    monkeypatch.setattr(docs, "IMAGES", tmp_path / "docs" / "images")
    docs.IMAGES.mkdir(parents=True)
    docs.KEPT.mkdir()
    (tmp_path / "README.md").write_text("No results\n")
    return tmp_path


def test_a_study_becomes_table_and_picture(pages, tmp_path, capsys):
    page = docs.KEPT / "tiny.md"
    by_method = {
        name: [kept(name, seed, value + seed) for seed in range(3)]
        for name, value in {"baseline": 60.0, "flip": 64.0}.items()
    }
    study(tmp_path / "out", by_method)
    assert report(tmp_path / "out", "--keep", docs.KEPT / "tiny.json", "--note", "a busy machine") == 0
    page.write_text("![picture](../images/tiny.png)\n")
    docs.main(["tiny"])
    assert "no page shows tiny yet" in capsys.readouterr().out
    page.write_text(page.read_text() + "<!-- result tiny without s/trial -->\nold\n<!-- end -->\n")
    docs.main(["tiny"])
    text = page.read_text()
    assert "| flip | 100 | 10 | 1,000 | 3 | 65.00 ± 1.00 |" in text
    assert "| 60.00" not in text
    assert "65.9 ± 0.1" in text
    assert "s/trial" not in text.replace("without s/trial", "")
    assert "`fewshot tiny` · 2026-01-02, fewshot 0.1.0" in text
    assert "a busy machine" in text
    assert docs.picture_source("tiny") == docs.source("tiny")
    changed = (docs.KEPT / "tiny.json").read_text().replace('"accuracy": 64.0', '"accuracy": 63.0')
    (docs.KEPT / "tiny.json").write_text(changed)
    assert docs.rendered(text, page) != text
    assert docs.picture_source("tiny") != docs.source("tiny")


def study(folder, by_method):
    """Leave a study's folder as its command does."""
    keep(folder, *(record for records in by_method.values() for record in records))
    protocol = by_method["baseline"][0].protocol
    results = analyse(by_method, "baseline")
    reported = {"flip": "65.9 ± 0.1"}
    document = result("tiny", protocol, "baseline", results, [], "", "fewshot tiny", ["accuracy"], reported)
    (folder / "tiny").mkdir()
    (folder / "tiny" / "result.json").write_text(json.dumps(document))
    return results


def report(*arguments):
    return main([str(argument) for argument in arguments])


def test_what_is_kept_gives_the_same_statistics(tmp_path):
    by_method = {
        "baseline": [kept("baseline", seed, 60.0 + seed) for seed in range(4)],
        "b": [kept("b", seed, None if seed == 2 else 61.5 + seed / 3) for seed in range(4)],
    }
    results = study(tmp_path / "out", by_method)
    report(tmp_path / "out", "--keep", tmp_path / "kept.json")
    again = kept_result.read(tmp_path / "kept.json")
    for now, before in zip(again.results, results, strict=True):
        assert (now.mean, now.std, now.ci95, now.delta, now.failed) == (
            before.mean, before.std, before.ci95, before.delta, before.failed,
        )  # fmt: skip
    assert len((tmp_path / "kept.json").read_text().splitlines()) < 60  # a trial a line: changes can be read


def test_a_printed_table_is_kept_as_its_cells(tmp_path):
    columns = (("class", "dog", "cat"), ("KID", "2.21 ± 0.06", "1.68 ± 0.05"))
    printed = KeptTable("gans", "two classes", columns, ("KID: less is better.",), "fewshot gans --out x")
    (tmp_path / "out" / "gans").mkdir(parents=True)
    printed.write(tmp_path / "out" / "gans")
    assert report(tmp_path / "out", "--keep", tmp_path / "kept.json", "--note", "busy") == 0
    again = kept_result.read(tmp_path / "kept.json")
    assert again.columns() == [list(column) for column in columns]
    assert again.command == "fewshot gans"
    assert again.origin["note"] == "KID: less is better. busy"
    assert again.origin["date"]
    assert again.results == []


def test_which_study_is_meant_is_said(tmp_path, capsys):
    by_method = {"baseline": [kept("baseline", seed, 60.0 + seed) for seed in range(3)]}
    study(tmp_path / "out", by_method)
    (tmp_path / "out" / "tiny").rename(tmp_path / "out" / "one")
    (tmp_path / "out" / "two").mkdir()
    (tmp_path / "out" / "two" / "result.json").write_text((tmp_path / "out/one/result.json").read_text())
    assert report(tmp_path / "out", "--keep", tmp_path / "kept.json") == 2
    assert "name one with --study: one, two" in capsys.readouterr().err
    assert report(tmp_path / "out", "--keep", tmp_path / "kept.json", "--study", "tow") == 2
    assert "'two'" in capsys.readouterr().err
    assert report(tmp_path / "out", "--keep", tmp_path / "kept.json", "--study", "two") == 0
    assert report(tmp_path / "out", "--keep", tmp_path / "kept.txt") == 2
    assert report(tmp_path / "out", "--study", "two") == 2


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}', '{"format": 9}', '{"format": 1, "study": 3}'])
def test_a_foreign_file_is_one_line(text, tmp_path):
    (tmp_path / "kept.json").write_text(text)
    with pytest.raises(FewshotError, match="keeps no result"):
        kept_result.read(tmp_path / "kept.json")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("fewshot cnn --method bn --out /tmp/here", "fewshot cnn --method bn"),
        (
            "python -m experiments.baselines_few_shot --out x --method knn",
            "fewshot baselines-few-shot --method knn",
        ),
        ("python -m experiments augment --quick", "fewshot augment --quick"),
        ("python -m gan.train --cache-dir x", "fewshot gan train"),
    ],
)
def test_commands_are_told_without_the_places_of_one_machine(line, told):
    assert kept_result.told_command(line) == told
