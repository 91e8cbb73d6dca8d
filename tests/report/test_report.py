import json
import xml.etree.ElementTree as xml

import pytest
from helpers import keep, kept

from fewshot.methods.plugins import load
from fewshot.report.groups import gather
from fewshot.report.page.html import page
from fewshot.report.plots import Compared, make_plot, plots, shown, write_plot
from fewshot.report.result import result
from fewshot.report.table import markdown, table
from fewshot.stats.comparison import analyse


def record(seed, accuracy, **fields):
    curve = {"update": [10, 500, 1000], "loss": [0.7, 0.2, 0.1], "accuracy": [50.0, 90.0, 95.0 + seed]}
    measured = {"n_train": 100, "updates": 1000, "images_seen": 32000, "curve": curve}
    return kept("a", seed, accuracy, **{**measured, "balanced_accuracy": accuracy - 1, **fields})


def failure(seed):
    return kept("a", seed, None)


@pytest.fixture
def study():
    return {
        "baseline": [record(0, 60.0), record(1, 64.0), record(2, 68.0)],
        "flip": [record(0, 62.0, n_train=1200), record(1, 68.0, n_train=1200), record(2, 69.0, n_train=1200)],
        "mixup": [record(0, 59.0), failure(1), failure(2)],
    }


@pytest.fixture
def results(study):
    return analyse(study, "baseline")


TABLE = """\
method    images  updates    seen             n    mean ± std  95 % interval       Δ to baseline  p (Holm)  wins  s/trial
────────  ──────  ───────  ──────  ────────────  ────────────  ─────────────  ──────────────────  ────────  ────  ───────
baseline     100    1,000  32,000             3  64.00 ± 4.00   [54.1, 73.9]                   –         –     –      2.0
flip       1,200    1,000  32,000             3  66.33 ± 3.79   [56.9, 75.7]  +2.33 [-1.5, +6.1]     0.250   3/3      2.0
mixup        100    1,000  32,000  1 (2 failed)         59.00              –               -1.00         –   0/1      2.0

The least p that 3 paired tasks can reach after Holm's correction over 2 methods is 0.5: no difference can be significant at .05 here. Use 20 seeds.
"""  # noqa: E501

MARKDOWN = """\
| method | images | updates | seen | n | mean ± std | 95 % interval | Δ to baseline | p (Holm) | wins | s/trial | reported |
| :-- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |
| baseline | 100 | 1,000 | 32,000 | 3 | 64.00 ± 4.00 | [54.1, 73.9] | – | – | – | 2.0 | – |
| flip | 1,200 | 1,000 | 32,000 | 3 | 66.33 ± 3.79 | [56.9, 75.7] | +2.33 [-1.5, +6.1] | 0.250 | 3/3 | 2.0 | 66.11 ± 2.71 |
| mixup | 100 | 1,000 | 32,000 | 1 (2 failed) | 59.00 | – | -1.00 | – | 0/1 | 2.0 | – |
"""  # noqa: E501


def test_table_text(results):
    assert table(results, "baseline") == TABLE.rstrip()


def test_markdown_has_the_same_cells_as_the_table(results):
    assert markdown(results, "baseline", reported={"flip": "66.11 ± 2.71"}) == MARKDOWN.rstrip()


def test_the_table_says_nothing_of_p_when_nothing_is_compared():
    assert "least p" not in table(analyse({"baseline": [record(0, 60.0)]}, "baseline"), "baseline")


def test_a_method_that_failed_on_all_tasks_leaves_nothing_to_test():
    tasks = {"baseline": [record(seed, 60.0) for seed in range(3)], "b": [failure(seed) for seed in range(3)]}
    assert table(analyse(tasks, "baseline"), "baseline").endswith(
        "No method has two tasks in common with the baseline: nothing can be tested."
    )


def test_ten_seeds_are_enough_for_three_methods():
    study = {name: [record(seed, 60.0 + seed) for seed in range(10)] for name in ("baseline", "a", "b", "c")}
    assert table(analyse(study, "baseline"), "baseline").endswith(
        "\n\nThe least p that 10 paired tasks can reach after Holm's correction over 3 methods is 0.0059."
    )


@pytest.mark.parametrize(
    ("protocol", "advice"),
    [
        ({"name": "testbed", "data": "cifar10"}, "here. Use 20 seeds, or the protocol pairs45."),
        ({"name": "testbed", "data": "cifar10", "classes": ["cat", "dog"]}, "here. Use 20 seeds."),
        ({"name": "distinct", "data": "photos"}, "here. Use 20 seeds."),
        ({"name": "deic", "data": "cifar10"}, "here: deic has no more than 3 tasks."),
        ({"name": "pairs45", "data": "cifar10"}, "here. Use 20 seeds."),
    ],
)
def test_the_advice_is_one_that_works(protocol, advice):
    protocol = {**record(0, 60.0).protocol, **protocol}
    study = {name: [record(seed, 60.0, protocol=protocol) for seed in range(3)] for name in ("a", "b", "c")}
    assert table(analyse(study, "a"), "a").endswith(advice)


def test_too_few_draws_to_say_are_said_so(results):
    apart = analyse({"a": [record(0, 10.0), record(1, 90.0)], "b": [record(0, 90.0), record(1, 10.0)]}, "a")
    text = table(apart, "a")
    assert "too few to say" in text
    assert "+0.00 (too few to say)" in text
    assert "-292" not in text


def test_balanced_accuracy_has_its_own_column_beside_the_accuracy(study):
    text = markdown(analyse(study, "baseline", "balanced_accuracy"), "baseline")
    header, _, first, *_ = (line.split(" | ") for line in text.split("\n"))
    assert header[5:7] == ["accuracy", "balanced mean ± std"]
    assert first[5:7] == ["64.00 ± 4.00", "63.00 ± 4.00"]


def test_a_bar_in_a_name_does_not_end_a_markdown_cell():
    text = markdown(analyse({"a|b": [record(0, 60.0)]}, "a|b"), "a|b")
    assert r"| a\|b | 100 |" in text


def test_a_name_in_a_markdown_cell_is_no_html():
    text = markdown(analyse({"<b>": [record(0, 60.0)]}, "<b>"), "<b>")
    assert r"| \<b> | 100 |" in text


def test_result_document():
    study = {
        "baseline": [record(0, 60.0), record(1, 64.0)],
        "flip": [record(0, 62.0, nll=0.7), failure(1)],
    }
    results = analyse(study, "baseline")
    document = result(
        "augment",
        {"name": "pairs", "shots": 50},
        "baseline",
        results,
        ["a.png"],
        "trials.jsonl",
        "python -m x",
        ["accuracy"],
        {"flip": "66.11 ± 2.71"},
    )
    keys = [record(seed, 60.0).key for seed in (0, 1)]
    shared = {"classes": ["cat", "dog"], "n_train": 100, "updates": 1000, "images_seen": 32000}
    half = 12.706204736174694 * 2  # t(0.975, 1) times the standard error
    assert json.loads(json.dumps(document, allow_nan=False)) == {
        "study": "augment",
        "command": "python -m x",
        "protocol": {"name": "pairs", "shots": 50},
        "baseline": "baseline",
        "reported": {"flip": "66.11 ± 2.71"},
        "methods": [
            {
                "method": "baseline",
                "n": 2,
                "failed": 0,
                "mean": 62.0,
                "std": pytest.approx(8**0.5),
                "ci95": [pytest.approx(62 - half), pytest.approx(62 + half)],
                "delta": None,
                "trials": [
                    {"key": keys[0], "seed": 0, **shared, "accuracy": 60.0, "nll": 0.5, "seconds": 2.0},
                    {"key": keys[1], "seed": 1, **shared, "accuracy": 64.0, "nll": 0.5, "seconds": 2.0},
                ],
            },
            {
                "method": "flip",
                "n": 1,
                "failed": 1,
                "mean": 62.0,
                "std": None,
                "ci95": None,
                "delta": {"n": 1, "mean": 2.0, "std": None, "ci95": None, "p": None, "wins": 1},
                "trials": [
                    {"key": keys[0], "seed": 0, **shared, "accuracy": 62.0, "nll": 0.7, "seconds": 2.0},
                    {
                        "key": keys[1],
                        "seed": 1,
                        "classes": ["cat", "dog"],
                        "n_train": None,
                        "updates": None,
                        "images_seen": None,
                        "accuracy": None,
                        "nll": None,
                        "seconds": 2.0,
                    },
                ],
            },
        ],
        "plots": ["accuracy"],
        "figures": ["a.png"],
        "records": "trials.jsonl",
    }


def test_trials_name_their_balanced_accuracy_where_it_is_the_metric(study):
    document = result("s", {}, "baseline", analyse(study, "baseline", "balanced_accuracy"), [], "r", "c")
    assert document["methods"][0]["trials"][0]["balanced_accuracy"] == 59.0


def draw(results, folder):
    """Draw both pictures; return their bytes by file name."""
    compared = Compared(results, "baseline", "pairs")
    paths = write_plot("accuracy", compared, folder / "accuracy")
    paths += write_plot("curves", compared, folder / "curves")
    return {path.name: path.read_bytes() for path in paths}


def test_pictures_drawn_twice_are_the_same_bytes(results, tmp_path):
    first = draw(results, tmp_path / "a")
    assert first == draw(results, tmp_path / "b")
    assert sorted(first) == ["accuracy.png", "accuracy.svg", "curves.png", "curves.svg"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(
        first
    )  # nothing temporary stays
    for name, content in first.items():
        if name.endswith("png"):
            assert content.startswith(b"\x89PNG")
        else:
            assert xml.fromstring(content).tag.endswith("svg")


@pytest.mark.parametrize(
    "study",
    [
        {"baseline": [record(0, 60.0)]},
        {"baseline": [failure(0)]},
        {"baseline": [record(0, 60.0), record(1, 61.0)], "knn": [record(0, 60.0, curve=None), failure(1)]},
        {"baseline": [record(0, 60.0, curve={})]},
        {"baseline": [record(0, 60.0)], "_under_$core$ & <co>": [record(0, 60.0)]},
        {"baseline": [record(0, 60.0, classes=["a", "b", "c"]), record(1, 60.0)]},
    ],
    ids=["one seed", "all failed", "some failed", "no curve", "odd name", "ways differ"],
)
def test_pictures_of_scant_studies(study, tmp_path):
    assert len(draw(analyse(study, "baseline"), tmp_path)) == 4


def test_learning_curves_of_unequal_length_and_of_vanishing_loss(tmp_path):
    short = {"update": [5, 400], "loss": [0.7, 0.0001], "accuracy": [50.0, 99.0]}
    short |= {"held_out_loss": [0.7, 0.9], "held_out_accuracy": [50.0, 60.0]}
    study = {"baseline": [record(0, 60.0), record(1, 61.0, curve=short)], "b": [record(0, 60.0, curve=short)]}
    assert len(draw(analyse(study, "baseline"), tmp_path)) == 4


PLOT = """
from fewshot.report.plots import plots

@plots.register("seconds", caption="Seconds of {methods}", at_most=2)
def plot_seconds(compared):
    '''What a trial takes.'''
    from matplotlib.figure import Figure

    figure = Figure()
    figure.add_subplot().bar([result.method for result in compared.results], [1.0] * len(compared.results))
    return figure
"""


def test_a_plot_of_a_plugin_is_written_listed_and_shown_on_the_page(tmp_path):
    """One decorated function; the study names it, `result.json` and the page follow."""
    (tmp_path / "plot.py").write_text(PLOT)
    load(tmp_path / "plot.py")
    try:
        by_method = {method: [kept(method, seed, 60.0) for seed in range(2)] for method in ("a", "b", "c")}
        out = keep(tmp_path / "results", *(record for records in by_method.values() for record in records))
        results = analyse(by_method, "a")
        names = ["seconds", "curves", "elsewhere"]
        document = result("s", by_method["a"][0].protocol, "a", results, [], "r", "c", names)
        paths = write_plot("seconds", Compared(results, "a", "x"), out / "s" / "seconds")
        (out / "s" / "result.json").write_text(json.dumps(document))
        gathered = gather(out)
        text = page(gathered, "x")
    finally:
        plots.remove("seconds")
    assert [path.suffix for path in paths] == [".png", ".svg"]
    assert "Seconds of 2 methods: the baseline and the best of 3" in text
    assert "Learning curves of 3 methods" in text
    assert "Accuracy of" not in text
    assert gathered.pictures == []
    assert gathered.notes == ["s/result.json names an unknown plot, 'elsewhere': left out."]


def test_a_plot_that_no_method_can_be_shown_in_says_so(results, tmp_path):
    assert shown("calibration", Compared(results, "baseline", "x")).results == []
    figure = make_plot("calibration", Compared(results, "baseline", "x"))
    assert "no predictions were kept" in [text.get_text() for text in figure.texts]
