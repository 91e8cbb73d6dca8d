"""Whole datasets: choices apart from the test, trainings that are resumed, what each class came to."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import kept
from PIL import Image

from experiments.full.command import STUDY, main
from experiments.full.details import details, pooled, runs
from fewshot.augment.offline import expand
from fewshot.data import Prepared
from fewshot.errors import FewshotError, UsageError
from fewshot.learners.keras_network import KerasLearner
from fewshot.methods.catalogue import methods
from fewshot.training import engine
from fewshot.training.checkpoints import load, save
from fewshot.training.curves import Trace
from fewshot.training.engine import compiled
from fewshot.training.recipe import Recipe
from fewshot.trials.store import Store, read

pytestmark = pytest.mark.usefixtures("started")

RECIPE = Recipe(epochs=10, batch=40, online="flip", ema=0.9, schedule="one-cycle")
SMALL = (
    "--data",
    "digits",
    "--limit-train",
    "100",
    "--epochs",
    "1",
    "--threads",
    "1",
    "--jobs",
    "1",
    "--json",
)


@pytest.fixture
def whole(tmp_path, capsys):
    """Run the study in this process; return its exit code, its document and what it said."""

    def run(*args):
        code = main([*SMALL, "--out", str(tmp_path), *args])
        printed = capsys.readouterr()
        return code, json.loads(printed.out) if printed.out else None, printed.err

    return run


def test_every_class_and_every_optimizer_has_its_place(whole, tmp_path):
    methods = ["mlp:width=16", "mlp:width=16,learning_rate=0.1"]
    code, document, errors = whole("--method", *methods)
    assert code == 0, errors
    assert [row["method"] for row in document["methods"]] == ["lenet", *methods]
    assert document["protocol"]["limit"] == 100
    found = document["details"]["lenet"]
    assert set(found) == {"accuracy", "precision", "recall", "f1", "classes", "confused"}
    assert found["accuracy"] == pytest.approx(document["methods"][0]["mean"])
    run = document["runs"]["lenet"]
    whole_seconds = run["seconds"]["mean"] + run["setup_seconds"]["mean"]
    assert run["accuracy"] == {"mean": pytest.approx(found["accuracy"]), "standard_error": None}
    assert 0 < run["setup_seconds"]["mean"] < whole_seconds
    assert whole_seconds == pytest.approx(document["methods"][0]["trials"][0]["seconds"], abs=1e-3)
    assert np.mean(list(found["classes"].values())) == pytest.approx(found["recall"])
    names = [path.rsplit("/", 1)[1] for path in document["figures"]]
    assert {"confusion.png", "curves-mlp-width-16-sgd.png"} <= set(names)
    assert all((tmp_path / "full" / name).stat().st_size > 1000 for name in names)
    assert not list(tmp_path.glob("checkpoints/*"))  # what has ended needs none


@pytest.fixture
def no_pictures(monkeypatch):
    monkeypatch.setattr("fewshot.report.plots.write_plot", lambda *_: [])
    monkeypatch.setattr("experiments.full.command.pictures", lambda *_: [])


def test_choices_never_see_the_test_images(whole, no_pictures, tmp_path):
    prng = np.random.default_rng(0)
    for part, count in (("train", 20), ("test", 5)):
        for name in ("cat", "dog"):
            (tmp_path / "photos" / part / name).mkdir(parents=True)
            for number in range(count):
                picture = Image.fromarray(prng.integers(0, 256, (32, 32, 3), np.uint8))
                picture.save(tmp_path / "photos" / part / name / f"{number}.png")
    code, document, errors = whole("--validate", "--method", "lenet", "--data", str(tmp_path / "photos"))
    assert code == 0, errors
    trial = document["methods"][0]["trials"][0]
    assert trial["seed"] == 1000
    (record,) = read(tmp_path / "trials.jsonl")[0].values()
    assert record.curve["held_out_accuracy"]
    predictions = Store(tmp_path).arrays(record.key)
    assert predictions["part"] == "train"
    assert not set(predictions["index"]) & set(predictions["train_index"])


def test_published_numbers_stand_beside_the_protocol_they_are_of():
    data = Prepared("cifar10", Path(), ("a",) * 10, "", "testbed", 2)

    def protocol(*options):
        args = STUDY.parser().parse_args(options)
        args.command = "full"
        return STUDY.request(args).draws.resolve(data)

    assert STUDY.reported_protocol == protocol()
    assert STUDY.reported_protocol != protocol("--limit-train", "2000")


def test_a_recipe_for_all_methods(whole, no_pictures):
    """Of the methods the networks stay, with their switches; the first is the baseline."""
    code, document, errors = whole("--recipe", "report", "--method", "lenet", "mlp:width=16,batch=4")
    assert code == 0, errors
    assert [row["method"] for row in document["methods"]] == [
        "lenet5",
        "mlp:width=16",
    ]
    assert document["baseline"] == "lenet5"
    code, _, errors = whole("--recipe", "speedrum")
    assert code == 2
    assert "unknown recipe 'speedrum': did you mean 'speedrun'?" in errors


def test_runs_are_timed_as_record_holders_time_theirs():
    """Mean with its standard error; compilation and loading are taken out of the seconds, and told."""
    timed = [
        kept("a", seed, 94.0 + seed, seconds=seconds, setup_seconds=setup)
        for seed, (seconds, setup) in enumerate([(40.0, 38.0), (2.5, 0.5), (2.0, 0.0)])
    ]
    older = [kept("old", 0, 90.0)]
    entries, lines = runs({"a": timed, "old": older})
    assert entries == {
        "a": {
            "n": 3,
            "accuracy": {"mean": 95.0, "standard_error": pytest.approx(1 / 3**0.5)},
            "seconds": {"mean": 2.0, "standard_error": 0.0},
            "setup_seconds": {"mean": pytest.approx(38.5 / 3), "standard_error": pytest.approx(12.585, 1e-3)},
            "longest_setup_seconds": 38.0,
        }
    }
    assert "95.000 ± 0.577" in lines[-1]
    assert runs({"old": older}) == ({}, [])


def test_details_without_predictions(tmp_path):
    assert details(pooled({"lost": [kept("lost", 0, 60.0)]}, str(tmp_path)))[0] == {}


def test_cut_off_and_resumed_is_the_same(task, tmp_path, monkeypatch):
    """Statistics, moving averages and the order of random draws resume where they stood."""
    monkeypatch.setattr(engine, "STRETCH", 4)
    monkeypatch.setattr(engine, "KEPT_EVERY", 0.0)
    examples, path = expand(task.train, "none", 0), tmp_path / "cut.npz"
    trained = compiled("baseline:norm=batch,width=4", RECIPE, task.train.image_shape, 10)
    undisturbed = trained.fit(examples, RECIPE, 3, task.test)
    weights = trained.weights()

    run, calls = trained.loop.run, []

    def cut(*args):
        calls.append(len(args[1]))
        if sum(calls) > 20:
            raise KeyboardInterrupt
        return run(*args)

    monkeypatch.setattr(trained.loop, "run", cut)
    with pytest.raises(KeyboardInterrupt):
        trained.fit(examples, RECIPE, 3, task.test, path)
    monkeypatch.setattr(trained.loop, "run", run)
    trained.fit(examples, RECIPE, 4)  # another training in between
    curve = trained.fit(examples, RECIPE, 3, task.test, path)
    assert trained.seconds_before > 0
    assert curve == undisturbed
    assert all(np.array_equal(a, b) for a, b in zip(weights, trained.weights(), strict=True))

    unwatched = trained.fit(examples, RECIPE, 3, None, path)  # what was watched before is no curve by itself
    assert (unwatched.loss, unwatched.held_out_loss) == (undisturbed.loss, [])
    path.unlink()
    monkeypatch.setattr(trained.loop, "run", cut)
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        trained.fit(examples, RECIPE, 3, None, path)
    monkeypatch.setattr(trained.loop, "run", run)
    assert trained.fit(examples, RECIPE, 3, task.test, path) == undisturbed  # begun anew, for its curve
    assert trained.seconds_before == 0


def test_a_checkpoint_of_another_network_or_torn(task, tmp_path, monkeypatch):
    examples, path = expand(task.train, "none", 0), tmp_path / "cut.npz"
    for network in ("baseline:width=4", "baseline:width=6"):
        trained = compiled(network, Recipe(), task.train.image_shape, 10)
        if path.exists():
            with pytest.raises(FewshotError, match="of another network: delete it"):
                trained.fit(examples, Recipe(epochs=1), 0, checkpoint=path)
        trained.fit(examples, Recipe(epochs=1), 0, checkpoint=None if path.exists() else path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FewshotError, match="cannot be read: delete it"):
        load(path)


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / "kept.npz"
    save(path, {"done": 1}, {"x": np.arange(3)})

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(FewshotError, match="the checkpoint before it stays; free some space"):
        save(path, {"done": 2}, {"x": np.arange(4)})
    note, arrays = load(path)
    assert (note, arrays["x"].tolist()) == ({"done": 1}, [0, 1, 2])
    assert [file.name for file in tmp_path.iterdir()] == ["kept.npz"]


def test_a_batch_that_does_not_fit(task, monkeypatch):
    """The advice is the largest half that fits, found by trying."""
    recipe = Recipe(epochs=1, batch=100)
    trained = compiled("baseline:width=4", recipe, task.train.image_shape, 10)
    run = trained.loop.run

    def small_memory(placed, batches, rates):
        if max(map(len, batches)) > 30:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 123 bytes.")
        return run(placed, batches, rates)

    monkeypatch.setattr(trained.loop, "run", small_memory)
    with pytest.raises(UsageError, match="fit the device's memory: take batch=25, which does"):
        trained.fit(expand(task.train, "none", 0), recipe, 0)


def test_curves_of_long_trainings_have_their_points_at_the_ends_of_epochs():
    assert Trace(30 * 7, 7).points[:3] == [14, 21, 28]
    assert all(point % 7 == 0 for point in Trace(30 * 7, 7).points)
    assert len(Trace(3 * 391, 391).points) == 20


def test_bfloat16_is_close_to_float32_and_leaves_others_alone(task):
    scores = {}
    for precision in ("bfloat16", "float32"):
        learner = KerasLearner("compact:width=4", Recipe(epochs=3, precision=precision))
        scores[precision] = learner.fit(task.train, 0).predict(task.test.x[:100])
    assert scores["bfloat16"].dtype == np.float32
    gap = np.abs(scores["bfloat16"] - scores["float32"])
    assert 1e-6 < gap.max() < 0.5
    assert {layer.compute_dtype for layer in learner.members()[0].layers} == {"float32"}


@pytest.mark.parametrize("name", [*STUDY.methods(), *(m.name for m in methods.tagged("full-long"))])
def test_every_recipe_can_be_read(name):
    from helpers import learner

    learner(name, {}).check((32, 32, 3))
