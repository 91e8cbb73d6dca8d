"""`experiments.benchmark --full`: the arithmetic behind its table."""

import numpy as np
import pytest

from experiments.benchmark import full as benchmark_full
from fewshot.models import cost as summary
from fewshot.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("started")


def test_the_time_of_an_epoch_is_computed_from_updates(blobs):
    recipe = Recipe(batch=50)
    row = benchmark_full._epoch(blobs.train, "baseline:width=4", recipe, 1, "cpu")
    assert row["updates"] == benchmark_full.CPU_UPDATES
    assert row["epoch"] == pytest.approx(11_000 / row["images"])
    multiply_adds = summary.cost(summary.outline("baseline:width=4", (16, 16, 3), 10)).multiply_adds
    assert row["tflops"] == pytest.approx(row["images"] * 6 * multiply_adds / 1e12)


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
