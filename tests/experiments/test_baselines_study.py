"""The baselines report's tables: right numbers, records that serve and resume, the report's column."""

import argparse
import json
import string
from itertools import pairwise

import numpy as np
import pytest
from helpers import learner, one_line
from sklearn.metrics import confusion_matrix, f1_score
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from experiments import baselines_few_shot
from experiments.baselines import command as baselines
from experiments.baselines import jobs as baselines_jobs
from experiments.baselines import table as baselines_table
from experiments.baselines.command import jobs
from experiments.baselines.jobs import Bench, Network, Search, in_turn, vote
from experiments.baselines.parts import PartRecord
from experiments.baselines.published import PUBLISHED, REMARKS
from experiments.study import Study
from fewshot import cli
from fewshot.baselines.neighbours import Neighbours
from fewshot.data import Dataset, DataSpec, prepare
from fewshot.errors import UsageError
from fewshot.methods.catalogue import methods
from fewshot.report.groups import gather
from fewshot.training.recipe import Recipe

SMALL = ("--data", "digits", "--limit-train", "60", "--limit-test", "30", "--epochs", "1", "--threads", "1")


@pytest.fixture
def measure(tmp_path, capsys):
    """Run the command in this process; return its exit code, its JSON document and what it said."""

    def run(*args, out=tmp_path / "results"):
        code = baselines.main([*SMALL, "--out", str(out), "--json", *args])
        printed = capsys.readouterr()
        return code, json.loads(printed.out) if printed.out else None, printed.err

    return run


@pytest.fixture
def bench():
    """Sixty training and thirty test images of three classes that differ in brightness."""
    prng = np.random.default_rng(0)

    def dataset(n):
        y = np.arange(n) % 3
        x = 60 * y[:, None, None, None] + prng.integers(0, 90, (n, 8, 8, 3))
        return Dataset(x.astype(np.uint8), y, ("a", "b", "c"))

    return Bench(dataset(60), dataset(30))


def digits():
    """Return the rows of the images that `SMALL` names, and their labels: training, then test."""
    args = argparse.Namespace(limit_train=60, limit_test=30)
    found = baselines._bench(prepare(DataSpec("digits")), args)
    return [part for one in (found.train, found.test) for part in (one.x.reshape(len(one), -1) / 255, one.y)]


def test_scores_are_those_of_scikit_learn(measure, tmp_path):
    code, document, _ = measure("--method", "knn-l2-zscore", "nc-l2-minmax", "--k", "1", "5")
    assert code == 0
    x, y, new, labels = digits()
    assert np.bincount(y).tolist() == [6] * 10
    expected = {
        "knn-l2-zscore k=1": KNeighborsClassifier(1),
        "knn-l2-zscore k=5": KNeighborsClassifier(5),
        "nc-l2-minmax": NearestCentroid(),
    }
    assert [row["method"] for row in document["rows"]] == list(expected)
    for row, classifier in zip(document["rows"], expected.values(), strict=True):
        answers = classifier.fit(x, y).predict(new)
        assert row["accuracy"] == pytest.approx(100 * np.mean(answers == labels))
        assert row["f1"] == pytest.approx(100 * f1_score(labels, answers, average="macro"))
        assert row["confusion"] == confusion_matrix(labels, answers, labels=range(10)).tolist()
        assert row["seconds"] > 0
    (table,) = gather(tmp_path / "results").tables
    assert table.columns[0] == ("method", *expected)
    assert table.columns[1] == ("accuracy", *(f"{row['accuracy']:.2f}" for row in document["rows"]))


def test_networks_have_curves_folds_and_pictures(measure):
    code, document, _ = measure("--method", "fc3-he-0.01", "fc3-dropout-30-folds", "--folds", "2")
    assert code == 0
    one, divided = document["rows"]
    assert len(one["curve"]["loss"]) == len(one["curve"]["held_out_loss"]) == 1
    assert one["epoch_seconds"] == pytest.approx(one["seconds"])
    assert one["parameters"] == sum((a + 1) * b for a, b in pairwise((3072, 1024, 512, 256, 10)))
    assert one["folds"] == []
    assert len(divided["folds"]) == 2
    assert np.sum(divided["confusion"]) == 2 * 30  # both networks answer all test images
    trace = np.trace(divided["confusion"])
    assert divided["accuracy"] == pytest.approx(100 * trace / 60)
    stems = {path.rsplit("/", 1)[1] for path in document["figures"]}
    assert stems == {f"{stem}.{kind}" for stem in ("confusion-fc", "loss") for kind in ("png", "svg")}


def test_one_search_serves_every_k(measure, monkeypatch):
    assert measure("--method", "knn-cosine-minmax", "--k", "1")[0] == 0
    monkeypatch.setattr(Search, "compute", None)  # would raise
    code, document, said = measure("--method", "knn-cosine-minmax", "--k", "3", "1")
    assert code == 0
    assert [row["method"][-3:] for row in document["rows"]] == ["k=3", "k=1"]
    assert "in the records already" in said


def test_a_search_goes_on_where_it_was_interrupted(measure, monkeypatch, tmp_path):
    monkeypatch.setattr(baselines_jobs, "BLOCK", 10)
    _, whole, _ = measure("--method", "knn-l2-zscore", out=tmp_path / "whole")
    compute, asked = Search.compute, []

    def interrupted(job, bench, parts, advance):
        asked.append(list(parts))
        for number, part in enumerate(compute(job, bench, parts, advance)):
            yield part
            if len(asked) == 1 and number == 0:
                raise KeyboardInterrupt

    monkeypatch.setattr(Search, "compute", interrupted)
    assert measure("--method", "knn-l2-zscore")[0] == 130
    code, document, _ = measure("--method", "knn-l2-zscore")
    assert code == 0
    assert asked == [[0, 1, 2], [1, 2]]
    assert [row["confusion"] for row in document["rows"]] == [row["confusion"] for row in whole["rows"]]


def test_lost_answers_are_computed_again(measure, tmp_path):
    _, before, _ = measure("--method", "nc-l2-minmax")
    (kept,) = (tmp_path / "results" / "baselines" / "predictions").glob("*.npz")
    kept.unlink()
    code, after, said = measure("--method", "nc-l2-minmax")
    assert code == 0
    assert "in the records already" not in said
    assert after["rows"][0]["confusion"] == before["rows"][0]["confusion"]


def test_what_determines_a_result_determines_its_record(bench):
    described = [json.dumps(job.describe(), sort_keys=True) for job in jobs()]
    assert len(set(described)) == len(described)
    other = [json.dumps(job.describe(), sort_keys=True) for job in jobs("pixel", 3, 4, 7)]
    shared = {job.name for job, a, b in zip(jobs(), described, other, strict=True) if a == b}
    assert shared == {name for name in shared if name.endswith("minmax")}


def test_votes_are_those_of_the_estimator(bench):
    rows = bench.train.x.reshape(60, -1).astype(np.float32)
    new = bench.test.x.reshape(30, -1).astype(np.float32)
    for k in (1, 2, 4):
        estimator = Neighbours(k).fit(rows, bench.train.y)
        positions = estimator.kneighbors(new, 4)[1]
        assert np.array_equal(vote(positions, bench.train.y, k, 3), estimator.predict(new))
    assert vote(np.array([[0, 1]]), np.array([2, 1]), 2, 3) == [1]  # of equals the first


def test_in_turn():
    labels = np.array([0, 0, 0, 0, 1, 2, 2])
    assert in_turn(labels, 4).tolist() == [0, 1, 4, 5]
    assert in_turn(labels, 5).tolist() == [0, 1, 4, 5, 6]
    assert in_turn(labels, None).tolist() == in_turn(labels, 9).tolist() == list(range(7))


def test_a_network_that_diverges_is_a_failed_row(bench):
    job = Network("wild", "fc", 1, "numpy-fc3", Recipe(learning_rate=1e6, epochs=20, batch=5))
    ((part, measured, arrays),) = job.compute(bench, [0], lambda count: None)
    record = PartRecord(key="k", method=job.name, part=part, identity={}, **measured)
    assert not record.ok
    (row,) = baselines_table.rows(job, bench, [(record, arrays)], [1])
    assert row.scores is None
    assert "no longer finite" in row.document()["failed"]


def test_pixels_that_are_no_numbers_are_one_line(bench):
    x = bench.train.x.astype(np.float32)
    x[3, 2, 1] = np.nan
    torn = Bench(Dataset(x, bench.train.y, bench.train.classes), bench.test)
    machine = {"threads": 1, "device": "cpu"}
    for job in (
        job for job in jobs(length=1) if job.name in ("knn-l2-zscore", "nc-l2-minmax", "fc3-he-0.01")
    ):
        with pytest.raises(UsageError) as error:
            list(baselines._computed(job, torn, [0], machine, job.name))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--method", "fc3-he-0.1"], "did you mean 'fc3-he-0.01'"),
        (["--method", "knn-l2-zscore", "--k", "61"], "k must be from 1 to the number of training images, 60"),
        (["--method", "fc3-dropout-30-folds", "--folds", "61"], "60 images make 2 to 60 folds"),
        (["--method", "fc3-dropout-30-folds", "--folds", "1"], "60 images make 2 to 60 folds"),
        (["--method", "nc", "--data", "no/such"], "no such directory"),
    ],
)
def test_what_cannot_be_is_one_line(measure, args, message):
    code, document, said = measure(*args)
    assert (code, document) == (2, None)
    assert message in one_line(said)


# The report's column


def test_every_published_row_is_measured_and_every_remark_is_used():
    names = {f"{job.name} k={k}" if isinstance(job, Search) else job.name for job in jobs() for k in (1, 3)}
    assert set(PUBLISHED) <= names
    assert {said.remark for said in PUBLISHED.values()} == set(REMARKS)
    assert list(REMARKS) == list(string.ascii_lowercase[: len(REMARKS)])


def test_the_table_stands_beside_the_report_on_all_of_cifar10_alone(bench):
    scores = {"accuracy": 35.39, "precision": 41.1, "recall": 35.39, "f1": 35}
    row = baselines_table.Row("knn-l2-minmax k=1", "knn", scores, None, 61.04)
    document = {
        "data": {"data": "cifar10", "limits": {"train": None, "test": None}},
        "figures": ["a.png"],
        "records": "r",
        "zscore": "scalar",
    }
    lines = baselines_table.text([row], document).splitlines()
    assert lines[0].split() == ["method", "accuracy", "precision", "recall", "F1", "seconds", "reported"]
    assert lines[2].endswith("35.39      41.10   35.39  35.00     61.0  35.39 / 41.12 / 35.39 / 34.95 (c)")
    assert any(line.startswith("(c) Right") for line in lines)
    assert not any(line.startswith("(a)") for line in lines)
    document["data"]["limits"]["train"] = 100
    assert "(c)" not in baselines_table.text([row], document)


# The same learners on few-shot tasks


def test_every_few_shot_method_is_one_that_can_run():
    study = baselines_few_shot.STUDY
    assert isinstance(study, Study)
    assert isinstance(study.parser(), cli.Parser)
    for name in study.methods():
        learner(name, {}).check((32, 32, 3))
    grouped = [method.name for tag in study.groups.values() for method in methods.tagged(tag)]
    assert sorted(grouped) == sorted(study.methods())
