"""From a results folder to groups that may be compared, and what is said of them."""

import itertools
import json

import pytest
from helpers import keep, kept, one_line

from fewshot.errors import FewshotError, UsageError
from fewshot.report.groups import Group, gather, labelled
from fewshot.report.kept_table import KeptTable
from fewshot.report.markdown import document as markdown_document
from fewshot.report.page.html import page
from fewshot.report.result import result
from fewshot.report.words import Name, differs, leader, summarise
from fewshot.stats.comparison import Paired, analyse
from fewshot.trials.store import FORMAT

WORSE = {"base": 60.0, "good": 70.0, "bad": 50.0}


def runs(method, mean, seeds=range(10), **fields):
    """Records of a method whose tasks spread around `mean`."""
    return [kept(method, seed, mean + seed % 3, **fields) for seed in seeds]


def study(folder, name, baseline, by_method, **fields):
    """Write the document of a study, as the study does."""
    results = analyse(by_method, baseline)
    protocol = next(iter(by_method.values()))[0].protocol
    document = result(name, protocol, baseline, results, [], "", f"python -m experiments.{name}") | fields
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "result.json").write_text(json.dumps(document))


def said(group) -> str:
    return " ".join("".join(sentence) for sentence in summarise(group))


def names(group):
    return [result.method for result in group.results]


def test_a_study_is_a_group_and_what_is_left_another(tmp_path):
    by_method = {method: runs(method, mean) for method, mean in WORSE.items()}
    keep(tmp_path, *itertools.chain(*by_method.values()), *runs("later", 65.0))
    study(tmp_path, "s", "base", by_method)
    first, left = gather(tmp_path).groups
    assert (first.study, first.command, first.baseline) == ("s", "python -m experiments.s", "base")
    assert names(first) == ["base", "good", "bad"]
    assert first.results == analyse(by_method, "base")
    assert (left.study, left.baseline, names(left)) == ("", "base", ["base", "later"])
    assert left.title == "other trials, testbed"
    assert said(left).startswith("Recorded on 2026-01-02, and part of no verdict")


def test_a_method_has_the_name_that_the_study_gives_it(tmp_path):
    """Two studies share a record: the one that came first has filed it under its own name."""
    none = runs("none", 60.0)
    keep(tmp_path, *none, *runs("wide", 70.0))
    study(tmp_path, "cnn", "baseline", {"baseline": none, "wide": runs("wide", 70.0)})
    (group,) = gather(tmp_path).groups
    assert names(group) == ["baseline", "wide"]


def test_equal_trials_of_two_methods_are_told_apart_by_their_keys(tmp_path):
    """Whatever they are called: the first is recorded under the name that the second has in the study."""
    by_method = {"a": runs("b", 60.0), "b": runs("a", 60.0)}
    keep(tmp_path, *by_method["a"], *by_method["b"])
    study(tmp_path, "s", "a", by_method)
    (group,) = gather(tmp_path).groups
    assert [result.records for result in group.results] == [by_method["a"], by_method["b"]]


def test_a_trial_that_was_measured_again_is_found_by_its_key(tmp_path):
    first, again = runs("a", 60.0), runs("a", 70.0)
    keep(tmp_path, *first, *again)
    study(tmp_path, "s", "a", {"a": first})
    (group,) = gather(tmp_path).groups
    assert group.records == again


def test_a_document_without_keys_is_named_once_and_its_records_are_shown(tmp_path):
    by_method = {"none": runs("none", 60.0), "flip": runs("flip", 70.0)}
    keep(tmp_path, *by_method["none"], *by_method["flip"])
    study(tmp_path, "s", "none", by_method)
    path = tmp_path / "s" / "result.json"
    document = json.loads(path.read_text())
    for row in document["methods"]:
        for trial in row["trials"]:
            del trial["key"]
    path.write_text(json.dumps(document))
    found = gather(tmp_path)
    (note,) = found.notes
    assert note.startswith("s/result.json comes from an older version")
    assert [(group.study, names(group)) for group in found.groups] == [("", ["none", "flip"])]


def test_tuning_tasks_threads_and_protocols_are_not_mixed(tmp_path):
    keep(
        tmp_path,
        *runs("none", 60.0),
        *runs("none", 60.0, seeds=range(1000, 1003)),
        *runs("none", 60.0, threads=2),
        *runs("none", 60.0, shots=20),
    )
    groups = gather(tmp_path).groups
    assert len(groups) == 4
    assert [group.tuning for group in groups] == [False, False, False, True]
    assert "tuning tasks" in groups[-1].title


def test_one_method_configured_in_two_ways_has_two_labels():
    short = runs("flip", 60.0, learner={"recipe": {"epochs": 5}})
    long = runs("flip", 70.0, learner={"recipe": {"epochs": 100}})
    assert labelled([*short, *long, *runs("knn", 50.0)]) == {
        "flip (epochs 5)": short,
        "flip (epochs 100)": long,
        "knn": runs("knn", 50.0),
    }


def test_without_a_usual_baseline_it_is_the_method_with_most_tasks(tmp_path):
    keep(tmp_path, *runs("a", 60.0, seeds=range(2)), *runs("b", 60.0))
    assert gather(tmp_path).groups[0].baseline == "b"


@pytest.mark.parametrize("text", ["torn", "[]", "{}", '{"study": 1, "baseline": "b", "protocol": {}}'])
def test_a_torn_document_is_named_and_its_records_are_shown(tmp_path, text):
    keep(tmp_path, *runs("none", 60.0))
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "result.json").write_text(text)
    found = gather(tmp_path)
    assert [names(group) for group in found.groups] == [["none"]]
    assert any("s/result.json" in text for text in found.notes)


def test_what_is_not_in_the_records_is_named(tmp_path):
    by_method = {method: runs(method, mean) for method, mean in WORSE.items()}
    keep(tmp_path, *by_method["base"], *by_method["good"])
    study(tmp_path, "s", "base", by_method)
    found = gather(tmp_path)
    assert names(found.groups[0]) == ["base", "good"]
    assert "left out: 10 trials of s/result.json, not in the records." in found.notes


def test_a_results_folder_inside_is_named_and_left_to_itself(tmp_path):
    keep(tmp_path, *runs("none", 60.0))
    keep(tmp_path / "search", *runs("other", 60.0))
    study(tmp_path / "search", "s", "other", {"other": runs("other", 60.0)})
    (tmp_path / "search" / "s" / "grid.png").write_bytes(b"")
    found = gather(tmp_path)
    assert [names(group) for group in found.groups] == [["none"]]
    assert not found.pictures
    assert any("search/" in text for text in found.notes)


def test_lines_of_another_version_are_counted(tmp_path):
    keep(tmp_path, *runs("none", 60.0))
    old = kept("old", 0, 60.0).to_json()
    del old["threads"]
    with open(tmp_path / "trials.jsonl", "a") as file:
        file.write(json.dumps({"format": FORMAT, **old}) + "\n")
        file.write('{"format": 0, "key": "x"}\n{"torn')
    found = gather(tmp_path)
    assert [names(group) for group in found.groups] == [["none"]]
    assert found.notes == ["left out of trials.jsonl: 3 lines, torn or of another version."]


def test_tables_of_commands_without_trials_are_shown(tmp_path):
    """On the page and in Markdown; one that is torn is named."""
    columns = (("method", "knn", "<b>"), ("accuracy", "35.39", "33.03"))
    notes = ("ties go to the lowest",)
    kept_table = KeptTable("baselines", "cifar10: 50,000 images", columns, notes, "the command")
    kept_table.write(tmp_path / "baselines")
    (tmp_path / "baselines" / "trials.jsonl").write_text("")
    (tmp_path / "gans").mkdir()
    (tmp_path / "gans" / "table.json").write_text('{"columns": [["a"], ["b", "c"]]}')
    results = gather(tmp_path)
    assert results.tables == [kept_table]
    assert results.notes == ["gans/table.json is no table: left out."]
    for shown in (page(results, ""), markdown_document(results, "")):
        assert "35.39" in shown
        assert "ties go to the lowest" in shown
        assert "<b>" not in shown.partition("<main>")[2]


def test_nothing_to_report(tmp_path):
    with pytest.raises(UsageError, match="no such directory"):
        gather(tmp_path / "nowhere")
    with pytest.raises(FewshotError, match="run a study first"):
        gather(tmp_path)
    (tmp_path / "trials.jsonl").write_text('{"format": 0, "key": "x"}\n')
    with pytest.raises(FewshotError, match="no record among its 1 line"):
        gather(tmp_path)


# What is said of a group


def group_of(by_method, baseline="base"):
    return Group("s", "", baseline, analyse(by_method, baseline))


def test_few_tasks_are_too_few_to_say():
    """One task has no interval; of two that disagree, it would reach from -458 to 558."""
    for accuracies in ([70.0], [70.0, 95.0]):
        by_method = {
            "base": [kept("base", seed, 60.0 - 40 * seed) for seed in range(len(accuracies))],
            "good": [kept("good", seed, value) for seed, value in enumerate(accuracies)],
        }
        text = said(group_of(by_method))
        assert "too few to say on" in text
        assert "distinguishable" not in text
        assert "[" not in text


def test_a_leader_a_rival_and_the_worse():
    by_method = {method: runs(method, mean) for method, mean in WORSE.items()}
    by_method["rival"] = [kept("rival", seed, 69.9 + seed % 4) for seed in range(10)]
    group = group_of(by_method)
    text = said(group)
    assert leader(group).method in text
    assert (
        "rival leads with 71.20 ± 1.16 % accuracy over 10 tasks, +10.30 points against the baseline" in text
    )
    assert "p = 0.006): a clear difference." in text
    assert "Not distinguishable from it: good; 1 method is clearly worse." in text
    assert "Against the baseline base: better rival, good; worse bad." in text


def test_many_methods_on_few_tasks_are_judged_by_intervals_and_it_says_so():
    by_method = {method: runs(method, mean, seeds=range(5)) for method, mean in WORSE.items()}
    text = said(group_of(by_method))
    assert "a likely difference. Likely better than the other method." in text
    assert "Against the baseline base: likely better good; likely worse bad." in text
    assert "with 2 methods on 5 tasks no corrected p can be below 0.12" in text
    assert "clear" not in text


def test_an_interval_decides_only_where_p_cannot():
    delta = Paired(10, 5.0, 1.0, (4.0, 6.0), 0.06, 10)
    assert not differs(delta, least=0.02)
    assert differs(delta, least=0.06)
    assert not differs(Paired(10, 5.0, 9.0, (-1.0, 11.0), 0.06, 7), least=0.06)


def test_a_method_with_fewer_tasks_does_not_lead():
    by_method = {"base": runs("base", 60.0), "lucky": runs("lucky", 90.0, seeds=range(2))}
    assert leader(group_of(by_method)).method == "base"


def test_one_task_and_none():
    assert "One task only" in said(group_of({"base": [kept("base", 0, 60.0)]}))
    failed = group_of({"base": [kept("base", 0, None)]})
    assert said(failed) == "No trial succeeded."


def test_failures_are_counted():
    by_method = {
        "base": runs("base", 60.0),
        "odd": [*runs("odd", 61.0, seeds=range(9)), kept("odd", 9, None)],
    }
    assert "1 trial failed and enters no mean." in said(group_of(by_method))


def test_names_are_told_from_words():
    group = group_of({"base": runs("base", 60.0), "<b>": runs("<b>", 70.0)})
    assert any(isinstance(part, Name) and part == "<b>" for part in summarise(group)[0])


# The command


def test_the_command_writes_both_files_and_names_them(tmp_path, command):
    keep(tmp_path / "results", *runs("none", 60.0), *runs("flip", 70.0))
    done = command("report", tmp_path / "results", out=None)
    assert done.returncode == 0, done.stderr
    paths = [tmp_path / "results" / name for name in ("report.html", "report.md")]
    assert done.stdout.splitlines() == list(map(str, paths))
    text = paths[1].read_text()
    assert "**flip** leads with 70.90 ± 0.88 %" in text
    assert "| flip | 100 | 10 | 1,000 | 10 | 70.90 ± 0.88 |" in text
    assert f"python -m experiments.report {tmp_path / 'results'}" in text


@pytest.mark.parametrize(
    ("args", "message", "code"),
    [
        (["nowhere"], "no such directory", 2),
        (["."], "no records in", 1),
        ([".", "--out", "page.txt"], "wants the name of a page", 2),
        (["old"], "no record among its 1 line is of this version", 1),
    ],
)
def test_wrong_usage_is_one_line(tmp_path, command, args, message, code):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "trials.jsonl").write_text('{"format": 0}\n')
    args = [tmp_path / arg if not arg.startswith("-") else arg for arg in args]
    done = command("report", *args, out=None)
    assert done.returncode == code
    assert message in one_line(done.stderr)
    assert "Traceback" not in done.stderr


def test_an_unwritable_page_is_explained(tmp_path, command):
    keep(tmp_path / "results", *runs("none", 60.0))
    (tmp_path / "file").write_text("")
    done = command("report", tmp_path / "results", out=tmp_path / "file" / "page.html")
    assert done.returncode == 1
    assert "give another --out" in one_line(done.stderr)
