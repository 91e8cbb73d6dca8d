"""The plan: what is left open is decided in one place, whoever asks."""

from contextlib import nullcontext

import numpy as np
import pytest
from helpers import Brightness, photos
from PIL import Image

from fewshot.data import Dataset, DataSpec
from fewshot.data.duplicates import groups
from fewshot.errors import UsageError
from fewshot.trials import plan as plans
from fewshot.trials.plan import Draws, Machine, Training, load_images, make_plan
from fewshot.trials.processes import Processes
from fewshot.trials.store import Store


@pytest.mark.parametrize(("count", "shots"), [(60, 42), (50, 35), (3, 2), (200, 50)])
def test_a_folder_leaves_three_tenths_of_a_class_to_be_held_out(tmp_path, count, shots):
    images = load_images(DataSpec(str(photos(tmp_path / "photos", count, side=8))))
    assert Draws().resolve(images.small).shots == shots
    assert Draws(shots=1).resolve(images.small).shots == 1


def test_as_many_classes_as_there_are_is_all_of_them(tmp_path):
    """One task has one name: what is left open, and what is not heeded, makes no second record of it."""
    images = load_images(DataSpec(str(photos(tmp_path / "photos", 10, side=8))))
    for protocol in ("full", "folds"):
        asked = [Draws(protocol), Draws(protocol, ways=2), Draws(protocol, shots=3)]
        assert len({draws.resolve(images.small) for draws in asked}) == 1
    assert Draws("distinct", ways=2).resolve(images.small) == Draws("distinct").resolve(images.small)


def test_near_duplicates_stay_on_one_side_of_a_folder_by_default(tmp_path):
    images = load_images(DataSpec(str(photos(tmp_path / "photos", 10))))
    assert Draws().resolve(images.small).name == "distinct"
    assert Draws("stratified").resolve(images.small).name == "stratified"


def test_backbones_see_a_folder_in_larger_images(tmp_path):
    class Backbone(Brightness):
        looks_at = "large"

    folder, small, large = str(photos(tmp_path / "photos", 10)), Brightness(), Backbone()
    images = load_images(DataSpec(folder), learners=[small, large])
    plan = make_plan({"small": small, "large": large}, images, Draws(), range(2))
    sides = {trial.method: plans.open_splits(trial.data.folder).train.image_shape[0] for trial in plan.trials}
    assert sides == {"small": 32, "large": 48}
    tasks = [
        trial.protocol.sample_task(plans.open_splits(trial.data.folder), trial.seed)
        for trial in plan.trials[:2]
    ]
    assert np.array_equal(tasks[0].train_index, tasks[1].train_index)
    given = load_images(DataSpec(folder, 16), learners=[small, large])
    assert given.small == given.large


def test_tasks_are_the_same_whatever_a_method_looks_at(tmp_path):
    """Pairs of photos about as alike as near-duplicates must be: small and large copies disagree on some."""

    class Large(Brightness):
        looks_at = "large"

    class Views(Brightness):
        looks_at = "views"

    generator = np.random.default_rng(0)
    for name in ("ants", "bees"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i, share in enumerate(np.linspace(0.79, 0.84, 24)):
            scene = generator.uniform(0, 255, (64, 64, 3))
            for copy in range(2):
                noise = generator.uniform(0, 255, scene.shape)
                image = Image.fromarray((share * scene + (1 - share) * noise).astype(np.uint8))
                image.save(tmp_path / "photos" / name / f"{i}-{copy}.png")
    learners = {"small": Brightness(), "large": Large(), "views": Views()}
    images = load_images(DataSpec(str(tmp_path / "photos")), learners=learners.values())
    small, large = (plans.open_splits(data.folder).train for data in (images.small, images.large))
    alone = [groups(Dataset(part.x, part.y, part.classes)) for part in (small, large)]
    assert len(np.unique(alone[0])) != len(np.unique(alone[1]))  # or this test tests nothing
    plan = make_plan(learners, images, Draws(shots=5), range(3))
    shapes, drawn = set(), {}
    for trial in plan.trials:
        splits = plans.open_splits(trial.data.folder)
        shapes.add(splits.train.x.shape[1:])
        task = trial.protocol.sample_task(splits, trial.seed)
        drawn.setdefault(trial.seed, set()).add((tuple(task.train_index), tuple(task.test_index)))
    assert shapes == {(32, 32, 3), (64, 64, 3), (5, 64, 64, 3)}
    assert all(len(tasks) == 1 for tasks in drawn.values())


def test_trials_go_seed_by_seed(data):
    learners = {"a": Brightness(), "b": Brightness(10)}
    plan = make_plan(learners, plans.Images(data, data, data), Draws(), range(2))
    assert [(trial.method, trial.seed) for trial in plan.trials] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]


@pytest.mark.parametrize(
    ("protocol", "asked", "count"),
    [(None, {}, 10), ("pairs45", {}, 45), ("pairs45", {"at_most": 2}, 2), (None, {"usual_seeds": 1}, 1)],
)
def test_how_many_tasks_there_are_where_nobody_says_it(data, protocol, asked, count):
    plan = make_plan({"a": Brightness()}, plans.Images(data, data, data), Draws(protocol), **asked)
    assert list(plan.seeds) == list(range(count))


def test_seeds_do_not_mix_tuning_tasks_with_reported_ones(data):
    with pytest.raises(UsageError, match="seeds="):
        make_plan({"a": Brightness()}, plans.Images(data, data, data), Draws(), range(990, 1010))


def test_a_gpu_gets_one_process(monkeypatch):
    monkeypatch.setattr(plans, "cores", lambda: 8)
    assert Machine().resolve().jobs == 8
    assert Machine(threads=4).resolve().jobs == 2
    assert Machine(device="gpu").resolve().jobs == 1
    with pytest.raises(UsageError, match=r"jobs=4: processes would share the GPU"):
        Machine(jobs=4, device="gpu").resolve()


def test_whole_datasets_get_all_cores(monkeypatch):
    monkeypatch.setattr(plans, "cores", lambda: 8)
    assert Machine().resolve(whole=True) == Machine(1, 8, "cpu")


def test_a_foreign_cluster_has_workers_of_its_own():
    with pytest.raises(UsageError, match="has its own workers"):
        Machine(jobs=2, cluster="tcp://10.0.0.1:8786").resolve()


def test_the_executor_is_chosen_in_one_place(data, monkeypatch):
    plan = make_plan(
        {"a": Brightness()}, plans.Images(data, data, data), Draws(), range(2), Machine(jobs=2, device="cpu")
    )
    with plan.machine.open(plan.trials) as executor:
        assert executor == Processes(2)
    together = object()
    monkeypatch.setattr(plans.together, "executor", lambda trials: together)
    with plan.machine.open(plan.trials) as executor:
        assert executor is together
    monkeypatch.setattr(plans.dask, "Cluster", lambda address, jobs: nullcontext((address, jobs)))
    with Machine(2, 1, "cpu", "local").open(plan.trials) as executor:
        assert executor == ("local", 2)


def test_a_plan_returns_records_by_method(data, tmp_path):
    learners = {"a": Brightness(), "b": Brightness(10)}
    plan = make_plan(
        learners, plans.Images(data, data, data), Draws(), range(2), Machine(jobs=1, device="cpu")
    )
    with Store(tmp_path).open() as store:
        records = plan.run(store)
    assert list(records) == ["a", "b"]
    assert [len(of_method) for of_method in records.values()] == [2, 2]


def test_how_long_to_train_is_said_once():
    assert Training().fields() == {}
    assert Training(epochs=3).fields() == {"epochs": 3, "updates": None}
    assert Training(updates=9).fields() == {"updates": 9}
    with pytest.raises(UsageError, match="exclude each other"):
        Training(3, 9).fields()


@pytest.mark.parametrize(
    "machine", [Machine(), Machine(jobs=2), Machine(cluster="local"), Machine(cluster="tcp://10.0.0.1:8786")]
)
def test_a_machine_is_resolved_once(machine):
    resolved = machine.resolve()
    assert resolved.resolve() == resolved
