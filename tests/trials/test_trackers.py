"""Trackers: what a run shows in TensorBoard and MLflow is what it recorded, read back by these libraries."""

import importlib.util
import os
import re
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from helpers import ALONE, Brightness, forgetting, kept, trials_of

import fewshot as fs
from experiments import augment
from fewshot.errors import UsageError
from fewshot.methods.plugins import load
from fewshot.trials.processes import Processes
from fewshot.trials.run import run
from fewshot.trials.store import Store
from fewshot.trials.trackers import Trackers, names, settings, trackers

tensorboard = pytest.mark.skipif(not importlib.util.find_spec("tensorboard"), reason="needs TensorBoard")
mlflow = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("mlflow", "sqlalchemy", "alembic"))), reason="needs MLflow"
)


@dataclass
class Shown:
    """A tracker that keeps what it is shown."""

    where: str
    records: list = field(default_factory=list)
    broken: bool = False
    closed: bool = False

    def add(self, record):
        if self.broken:
            raise OSError("no route\nto the host")
        self.records.append(record)

    def close(self):
        self.closed = True


@pytest.fixture
def shown():
    """A registered tracker "shown", and the ones that it made."""
    made = []
    with forgetting(trackers):

        @trackers.register("shown")
        def make(where):
            """A list."""
            made.append(Shown(where))
            return made[-1]

        yield made


def compute(data, folder, track, *learners):
    """Run two trials of each learner with trackers; return the records."""
    with Store(folder).open(track) as store:
        return run(trials_of(data, *(learners or [Brightness()]), seeds=2), store, Processes(1))


def test_every_trial_is_shown_recorded_ones_too(data, tmp_path, shown):
    first = compute(data, tmp_path / "out", ["shown"])
    again = compute(data, tmp_path / "out", ["shown:there"])
    assert [tracker.where for tracker in shown] == [str(tmp_path / "out" / "shown"), "there"]
    assert shown[0].records == shown[1].records == first == again
    assert all(tracker.closed for tracker in shown)


def test_a_tracker_that_fails_costs_nothing(data, tmp_path, shown, capsys):
    with Store(tmp_path / "out").open(["shown"]) as store:
        shown[0].broken = True
        records = run(trials_of(data, Brightness(), seeds=3), store, Processes(1))
    assert all(record.ok for record in records)
    assert capsys.readouterr().err.count("shown shows no more trials: no route to the host") == 1


def test_names_are_checked_before_anything_is_computed(tmp_path, capsys):
    assert names("tensorboard") == ("tensorboard",)
    with pytest.raises(UsageError, match="did you mean 'mlflow'"):
        names(["mlfow:x"])
    with pytest.raises(UsageError, match="track= wants names"):
        names(3)
    with pytest.raises(UsageError, match="unknown tracker 'wandb'"):
        fs.run("ridge", "digits", track="wandb", out=tmp_path, progress=False)
    with pytest.raises(UsageError, match="unknown tracker"):
        fs.compare(tmp_path, track="wandb")
    assert augment.main([*ALONE, "--track", "wandb", "--out", str(tmp_path / "out")]) == 2
    assert "unknown tracker 'wandb'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["tensorboard:http://here", "mlflow:databricks://x", "mlflow:s3://bucket"])
def test_a_folder_or_a_server_only(text, tmp_path):
    with pytest.raises(UsageError, match="folder"):
        Trackers([text], tmp_path)


def test_a_place_that_cannot_be_is_one_line(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    monkeypatch.setattr("fewshot.trials.trackers.tensorboard.TensorBoard", os.listdir)  # which raises OSError
    place = f"tensorboard:{tmp_path / 'nowhere'}"
    with pytest.raises(UsageError, match=f"track='{place}' cannot be opened: ") as raised:
        Trackers([place], tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_package_is_named(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    for module in [module for module in sys.modules if module.startswith(f"{name}.")]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"fewshot-testbed\[{name}\]"):
        Trackers([name], tmp_path)


def test_command_line_and_python_show_the_same(tmp_path, shown):
    study = replace(augment.STUDY, baseline="ridge")  # no network: its baseline runs with every command
    fs.run(["ridge", "centroid"], "digits", 2, jobs=1, out=tmp_path / "a", track="shown", progress=False)
    line = ["--data", "digits", "--jobs", "1", "--method", "centroid", "--seeds", "2", "--track", "shown"]
    assert study.main([*line, "--out", str(tmp_path / "b")]) == 0
    by_python, by_command = ({record.key for record in tracker.records} for tracker in shown)
    assert len(by_python) == 4
    assert by_python == by_command


def test_the_plugin_of_the_guide_is_a_tracker(tmp_path):
    guide = Path(__file__).parents[2] / "docs" / "guides" / "tracking.md"
    source = re.findall(r"```python\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)[-1]
    (tmp_path / "mine.py").write_text(source)
    with forgetting(trackers):
        load(str(tmp_path / "mine.py"))
        shown = Trackers([f"lines:{tmp_path / 'lines.txt'}"], tmp_path)
        shown.add(kept("bn", 3, 71.5))
        shown.close()
    assert (tmp_path / "lines.txt").read_text() == "bn 3 71.5\n"


def scalars(folder):
    """Return what TensorBoard reads of a run: name → pairs of step and value."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}


@tensorboard
def test_tensorboard_reads_back_what_was_recorded(data, tmp_path):
    compute(data, tmp_path / "out", ["tensorboard"], Brightness(), Brightness(scale=30.0, diverges=(1,)))
    records = compute(data, tmp_path / "out", ["tensorboard"], Brightness(), Brightness(30.0, (1,)))
    runs = sorted((tmp_path / "out" / "tensorboard").glob("*/*"))
    assert [run.parent.name for run in runs] == ["a", "a", "b", "b"]
    for record in records:
        (run,) = (tmp_path / "out" / "tensorboard" / record.method).glob(f"{record.seed}-*")
        read = scalars(run)
        assert read["trial/seconds"][0][1] == pytest.approx(record.seconds)
        if record.ok:
            assert read["trial/accuracy"] == [(1, pytest.approx(record.accuracy))]
            assert read["training/loss"] == [(1, 1.0)]
        else:
            assert "trial/accuracy" not in read


@tensorboard
def test_tensorboard_shows_curves_at_their_updates(tmp_path):
    record = kept(
        "bn:width=8", 3, 71.5, curve={"update": [1, 10], "loss": [0.7, 0.1], "held_out_loss": [0.8, 0.4]}
    )
    board = Trackers(["tensorboard"], tmp_path)
    board.add(record)
    board.add(record)
    board.close()
    (run,) = (tmp_path / "tensorboard" / "bn-width-8").glob("*")
    assert scalars(run)["held_out/loss"] == [(1, pytest.approx(0.8)), (10, pytest.approx(0.4))]
    assert len(list(run.iterdir())) == 1


@mlflow
def test_mlflow_reads_back_what_was_recorded(data, tmp_path):
    from mlflow import MlflowClient

    records = compute(data, tmp_path / "out", ["mlflow"], Brightness(), Brightness(30.0, (1,)))
    compute(data, tmp_path / "out", ["mlflow"], Brightness(), Brightness(30.0, (1,)))
    client = MlflowClient(f"sqlite:///{tmp_path}/out/mlflow/mlflow.db")
    (experiment,) = [e for e in client.search_experiments() if e.name != "Default"]
    assert experiment.name == "blobs, testbed"
    runs = {run.data.tags["fewshot.key"]: run for run in client.search_runs([experiment.experiment_id])}
    assert len(runs) == len(records) == 4  # each once
    for record in records:
        run = runs[record.key]
        assert run.data.params["method"] == record.method
        assert run.data.params["protocol.shots"] == "50"
        assert run.info.status == ("FINISHED" if record.ok else "FAILED")
        if record.ok:
            assert run.data.metrics["trial/accuracy"] == pytest.approx(record.accuracy)
            (point,) = client.get_metric_history(run.info.run_id, "training/loss")
            assert (point.step, point.value) == (1, 1.0)
        else:
            assert "finite" in run.data.tags["fewshot.failed"]


@mlflow
def test_an_mlflow_server_that_is_not_there_costs_nothing(data, tmp_path, capsys):
    (record, _) = compute(data, tmp_path / "out", ["mlflow:http://127.0.0.1:9"])
    assert record.ok
    assert "mlflow:http://127.0.0.1:9 shows no more trials" in capsys.readouterr().err


def test_settings_are_those_of_the_record():
    told = settings(kept("a", 1, 60.0, learner={"recipe": {"epochs": 5}}))
    assert told["learner.recipe.epochs"] == "5"
    assert told["protocol.ways"] == "2"
    assert not any("libraries" in name or "content" in name for name in told)
