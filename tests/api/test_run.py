"""`fs.run`: what methods may be, which records they share, and what a notebook defines."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from helpers import forgetting

import fewshot as fs
from fewshot import backend
from fewshot.errors import FewshotError, UsageError
from fewshot.models import networks
from fewshot.trials import processes

QUICK = {"data": "digits", "shots": 5, "seeds": 2, "jobs": 1, "progress": False}
NETWORK = """
def tiny(shape, outputs):
    import keras

    pixels = keras.Input(shape)
    x = keras.layers.AveragePooling2D(POOL)(keras.layers.Rescaling(1 / 255)(pixels))
    return keras.Model(pixels, keras.layers.Dense(outputs)(keras.layers.Flatten()(x)))
"""


@pytest.fixture
def cell():
    """Run text as a notebook's cell does, all cells in one namespace, which is returned."""
    namespace = {"__name__": "__main__"}

    def execute(source):
        exec(compile(source, "<ipython-input>", "exec"), namespace)
        return namespace

    with forgetting(networks):
        yield execute


def test_names(tmp_path):
    results = fs.run(["ridge", "centroid"], **QUICK, out=tmp_path)
    assert list(results.records) == ["ridge", "centroid"]
    assert results.baseline == "ridge"
    assert results.computed == 4
    assert fs.run(["centroid", "ridge"], **QUICK, out=tmp_path).computed == 0
    assert fs.run("ridge", **QUICK, out=tmp_path, fresh=True).computed == 2


def test_a_dictionary_gives_names(tmp_path):
    results = fs.run({"strict": "ridge:alpha=1000", "loose": "ridge:alpha=1"}, **QUICK, out=tmp_path)
    assert list(results.records) == ["strict", "loose"]
    assert "Δ to strict" in results.table()


def test_an_edited_network_is_another_one(cell, tmp_path):
    """A cell that runs again changes nothing; edited, it gets results of its own."""

    def run(pool):
        tiny = cell(NETWORK.replace("POOL", str(pool)))["tiny"]
        results = fs.run(["ridge", tiny], **QUICK, epochs=1, out=tmp_path)
        return results.computed, results.records["tiny"][0]

    first, again, edited = run(4), run(4), run(8)
    assert [computed for computed, _ in (first, again, edited)] == [4, 0, 2]  # ridge stays as it is
    assert first[1].key == again[1].key != edited[1].key
    assert first[1].parameters != edited[1].parameters


def test_functions_of_one_name_are_told_apart(cell, tmp_path):
    body = textwrap.indent(NETWORK.replace("POOL", "pool"), "    ")
    defined = cell(f"def make(pool):\n{body}\n    return tiny\n\nsmall, large = make(8), make(2)\n")
    small, large = defined["small"], defined["large"]
    with pytest.raises(UsageError, match="two methods are called 'tiny'"):
        fs.run([small, large], **QUICK, out=tmp_path)
    results = fs.run({"small": small, "large": large}, **QUICK, epochs=1, out=tmp_path)
    sizes = [records[0].parameters for records in results.records.values()]
    assert sizes[0] < sizes[1]


def test_a_scikit_learn_classifier(tmp_path):
    from sklearn.neighbors import KNeighborsClassifier

    results = fs.run({k: KNeighborsClassifier(int(k)) for k in "13"}, **QUICK, out=tmp_path)
    assert results.records["1"][0].key != results.records["3"][0].key
    assert fs.run({"three": KNeighborsClassifier(3)}, **QUICK, out=tmp_path).computed == 0


def test_a_network_named_as_one_of_ours_is_refused(cell):
    with pytest.raises(UsageError, match="'baseline'"):
        fs.run({"baseline": cell(NETWORK.replace("POOL", "4"))["tiny"]}, **QUICK)


def test_how_long_to_train(tmp_path):
    options = {**QUICK, "seeds": [3], "training": {"batch": 5}}
    (record,) = fs.run("baseline", **options, epochs=2, out=tmp_path).records["baseline"]
    assert (record.updates, record.seed) == (4, 3)


def test_a_process_that_computes_otherwise_has_workers_do_it(monkeypatch, tmp_path, capsys):
    """After a prediction with all cores, jobs=1 works: one thread, in worker processes."""
    monkeypatch.setattr(backend, "_started", (64, "cpu"))
    results = fs.run("ridge", **QUICK, out=tmp_path)
    assert results.records["ridge"][0].threads == 1
    assert "worker processes run the trials" in capsys.readouterr().err


def test_a_gpu_is_not_shared_with_workers(monkeypatch):
    monkeypatch.setattr(backend, "_started", (64, "gpu"))
    with pytest.raises(FewshotError, match="computes with 64 threads on the gpu"):
        processes._computes_here(type("Trial", (), {"threads": 1, "device": "gpu"}))


@pytest.mark.processes
def test_what_a_script_defines_runs_in_worker_processes(tmp_path):
    script = tmp_path / "script.py"
    main = f"""
import fewshot as fs

results = fs.run(["ridge", tiny], "digits", 2, shots=5, epochs=1, jobs=2, out={str(tmp_path)!r})
print([record.status for record in results.records["tiny"]], results.computed)
"""
    script.write_text(NETWORK.replace("POOL", "8") + main)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert "['ok', 'ok'] 4" in done.stdout, done.stderr


def test_the_data_may_be_loaded_before(tmp_path):
    data = fs.load("digits", shots=5)
    results = fs.run("ridge", data, 2, jobs=1, progress=False, out=tmp_path)
    assert results.title == "digits, stratified: 2 classes × 5 images"
    assert fs.run("ridge", **QUICK, out=tmp_path).computed == 0
    assert fs.run("ridge", data, 2, jobs=1, shots=6, progress=False, out=tmp_path).computed == 2


def test_arrays(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (20, 16, 16, 3), np.uint8), ["cat", "dog"] * 10
    results = fs.run("ridge", (x, y), 2, jobs=1, progress=False, out=tmp_path)
    assert results.records["ridge"][0].classes == ("cat", "dog")
    assert fs.run("ridge", (x, y), 2, jobs=1, progress=False, out=tmp_path).computed == 0
