"""Command line, Python and compare: the same images and options give the same tasks, keys and records."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import photos, records

import fewshot as fs
from experiments import augment
from fewshot.compare import course
from fewshot.compare import run as comparison
from fewshot.trials.predictions import read_predictions
from fewshot.trials.store import Store

# No network, as its baseline runs with every command, and no pictures.
STUDY = replace(augment.STUDY, baseline="ridge", plots=())
SEEDS = 3


@pytest.fixture
def folder(tmp_path):
    return photos(tmp_path / "photos", 12, side=32)


@pytest.mark.parametrize(
    ("line", "options"),
    [
        (["--protocol", "folds"], {"protocol": "folds"}),
        (["--shots", "3"], {"shots": 3}),
        (["--protocol", "stratified", "--image-size", "16"], {"protocol": "stratified", "image_size": 16}),
        (
            ["--protocol", "distinct", "--classes", "dog", "cat", "--unbalanced"],
            {"protocol": "distinct", "classes": ["dog", "cat"], "balanced": False},
        ),
    ],
)
def test_the_same_tasks_and_keys_from_all_three(folder, tmp_path, monkeypatch, line, options):
    monkeypatch.setattr(course, "ROUNDS", 1)
    monkeypatch.setattr(course, "SHOTS", ())
    monkeypatch.setattr(comparison, "inspected", lambda *_: None)
    monkeypatch.setattr(comparison.Findings, "written", lambda findings: findings)
    methods = ["ridge", "centroid"]
    out = [tmp_path / face for face in ("command", "python", "compare")]
    arguments = ["--method", *methods, "--data", str(folder), "--seeds", f"{2 * SEEDS}", "--jobs", "1", *line]
    assert STUDY.main([*arguments, "--out", str(out[0])]) == 0
    results = fs.run(methods, folder, 2 * SEEDS, jobs=1, out=out[1], progress=False, **options)
    fs.compare(folder, "5m", methods, jobs=1, out=out[2], export=False, progress=False, **options)

    by_command = records(out[0])
    assert records(out[1]) == by_command
    assert results.computed == len(by_command) == 4 * SEEDS
    compared = records(out[2])
    for method in methods:
        assert sum(record.key in compared for record in results.records[method]) >= SEEDS
    task = fs.load(folder, **options).task(0)
    for face in out:
        predictions = read_predictions(Store(face), results.records["ridge"][0].key)
        assert np.array_equal(predictions.index, task.test_index)


def test_a_face_does_not_compute_what_another_has_recorded(folder, tmp_path, capsys):
    arguments = ["--method", "centroid", "--data", str(folder), "--seeds", "2", "--out", str(tmp_path)]
    assert fs.run(["ridge", "centroid"], folder, 2, jobs=1, out=tmp_path, progress=False).computed == 4
    assert STUDY.main([*arguments, "--jobs", "1"]) == 0
    assert "4 of 4 trials were in the records already" in capsys.readouterr().err
    assert fs.run("ridge", folder, 3, jobs=1, out=tmp_path, progress=False).computed == 1


def test_a_recipe_from_all_faces_is_one(folder, tmp_path):
    arguments = ["--method", "baseline", "--data", str(folder), "--seeds", "1", "--epochs", "2"]
    assert STUDY.main([*arguments, "--jobs", "1", "--out", str(tmp_path)]) == 0
    for training in ({"epochs": 2}, {"training": {"epochs": 2}}):
        results = fs.run(["ridge", "baseline"], folder, 1, jobs=1, out=tmp_path, progress=False, **training)
        assert results.computed == 0
    assert fs.run("baseline:epochs=2", folder, 1, jobs=1, out=tmp_path, progress=False).computed == 0


@pytest.mark.processes
def test_a_cluster_from_python(folder, tmp_path):
    pytest.importorskip("distributed")
    results = fs.run(["ridge", "centroid"], folder, 2, jobs=1, cluster="local", out=tmp_path, progress=False)
    assert results.computed == 4
    assert fs.run(["ridge", "centroid"], folder, 2, jobs=1, out=tmp_path, progress=False).computed == 0
