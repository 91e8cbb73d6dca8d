"""`experiments.benchmark --full`: the arithmetic behind its table."""

import numpy as np
import pytest
from helpers import one_line

from experiments.benchmark import command
from experiments.benchmark import full as benchmark_full
from fewshot.models import cost as summary
from fewshot.training.recipe import Recipe, recipes

pytestmark = pytest.mark.usefixtures("started")


def test_the_time_of_an_epoch_is_computed_from_updates(blobs):
    recipe = Recipe(batch=50)
    row = benchmark_full._epoch(blobs.train, "baseline:width=4", recipe, 1, "cpu")
    assert row["updates"] == benchmark_full.CPU_UPDATES
    assert row["epoch"] == pytest.approx(11_000 / row["images"])
    multiply_adds = summary.cost(summary.outline("baseline:width=4", (16, 16, 3), 10)).multiply_adds
    assert row["tflops"] == pytest.approx(row["images"] * 6 * multiply_adds / 1e12)


def test_networks_are_chosen_and_each_is_told_of_when_it_is_measured(data, monkeypatch, capsys):
    told = []

    def epoch(train, network, recipe, rounds, kind):
        told.append(capsys.readouterr().err)
        return {"epoch": 2.0, "images": 25_000.0, "tflops": 0.05, "updates": 3, "compiled": recipe.epochs}

    monkeypatch.setattr(benchmark_full, "_epoch", epoch)
    monkeypatch.setattr(benchmark_full, "_products", lambda precision, side: 0.1)
    monkeypatch.setattr(benchmark_full.backend, "start", lambda threads, device: None)
    chosen = ["wrn:width=1", "airbench"]
    rows = benchmark_full.measure(data, 1, "cpu", chosen)["rows"]
    assert [row["network"] for row in rows] == ["wrn:width=1"] * 2 + ["airbench"] * 2
    used = ("whole", "whole", "speedrun", "speedrun")
    assert [row["compiled"] for row in rows] == [recipes[name]().epochs for name in used]
    assert told[0].splitlines() == ["wrn:width=1, float32"]
    assert told[1].splitlines()[0].startswith("  s/epoch 2.00, images/s 25,000")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["--network", "wrn"], "--network is of --full"),
        (["--augment", "--network", "wrn"], "--network is of --full"),
        (["--full", "--network", "wrm"], "did you mean 'wrn'"),
        (["--full", "--network", "wrn:depht=10"], "depth"),
    ],
)
def test_wrong_networks_are_refused_before_anything_is_fetched(capsys, line, message):
    assert command.main(line) == 2
    assert message in one_line(capsys.readouterr().err)


def test_the_table_says_what_was_measured():
    row = {"network": "n", "precision": "float32", "reported": "–", "epoch": 2.0, "images": 25_000.0}
    row |= {"tflops": 0.05, "share": 0.5, "compiled": 1.0, "updates": 3}
    measured = {"device": "cpu", "peak_tflops": {"float32": 0.1}, "rows": [row], "memory_mb": {"host": 500.0}}
    text = benchmark_full.table(measured)
    assert [cell for cell in text.splitlines()[2].split() if cell] == (
        ["n", "float32", "2.00", "25,000", "50", "50", "%", "1.0", "s", "–"]
    )
    assert "The time of an epoch is computed from 3 updates." in text
    assert "100 in float32 GFLOP/s. Most memory: host 500 MB." in text
    assert np.isfinite(benchmark_full._products("float32", 64))
