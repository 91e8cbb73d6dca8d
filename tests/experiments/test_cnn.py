"""The small CNNs, their switches, and the study of them."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import learner, one_line

from experiments import study
from experiments.cnn import STUDY
from fewshot.data.protocols import Protocol
from fewshot.errors import UsageError
from fewshot.models import build, least_size, networks
from fewshot.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("started")


def trainable(network):
    return sum(int(np.prod(weight.shape)) for weight in network.trainable_variables)


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("baseline", 24_666),
        ("baseline:norm=batch", 24_762),
        ("baseline:kernel=5", 34_074),
        ("baseline:norm=batch,kernel=5", 34_170),
        ("baseline:norm=layer", 24_762),
        ("baseline:norm=instance", 24_762),
        ("baseline:norm=group", 24_762),
    ],
)
def test_parameters(text, parameters):
    assert trainable(build(text, (32, 32, 3), 10)) == parameters


def test_the_report_s_maps_with_5x5_kernels():
    from keras import layers

    network = build("baseline:norm=batch,kernel=5", (32, 32, 3), 10)
    sides = [layer.output.shape[1] for layer in network.layers if isinstance(layer, layers.Conv2D)]
    assert sides == [30, 13, 9, 4]
    assert network.layers[-1].input.shape[1] == 512


@pytest.mark.parametrize("text", ["baseline:depth=2", "baseline:depth=6", "baseline:kernel=5", "baseline:se"])
def test_the_least_size_is_the_least(text):
    least = least_size(text)
    assert build(text, (least, least, 3), 2).output_shape == (None, 2)
    with pytest.raises(UsageError, match=f"from {least}×{least} on"):
        build(text, (least - 1, least - 1, 3), 2)


def test_switches_have_one_order_and_lose_their_defaults():
    assert networks.canonical("baseline:width=16,norm=batch") == "baseline:norm=batch"
    assert networks.canonical("baseline:se=no") == "baseline"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("baseline:depth=3", "an even number"),
        ("baseline:width=0", "width wants a whole number above 0"),
        ("baseline:kernel=0", "kernel wants a whole number above 0"),
        ("baseline:norm=bacth", "unknown norm of the network 'baseline' 'bacth': did you mean 'batch'"),
        ("baseline:nrom=batch", "did you mean 'norm'"),
        ("compact:pool=median", "'median': known are average, max, both"),
    ],
)
def test_unfit_switches(text, message):
    with pytest.raises(UsageError, match=message):
        build(text, (32, 32, 3), 2)


@pytest.mark.parametrize("name", list(STUDY.methods()))
def test_every_method_is_a_learner_and_a_network(name):
    made = learner(name, {})
    assert trainable(build(made.network, (32, 32, 3), 2)) > 0


DEIC = Protocol("deic", None)


def published_beside(data="cifar10", protocol=DEIC, seeds=range(3)):
    """Return the lines that `experiments.study` prints of what papers report."""
    plan = SimpleNamespace(protocol=protocol, seeds=seeds, data=SimpleNamespace(name=data))
    groups = study._published_groups(plan)
    return study._beside(groups, plan) if groups else []


def test_deic_s_published_numbers_name_their_splits_and_images():
    head, gem, workshop, others = published_beside()
    assert "test images of cifair10 (this run on those of cifar10" in head
    assert "three splits" in gem
    assert "Harmonic Networks 58.00" in gem
    assert "baseline) 55.18" in gem
    assert "split 0 alone" in workshop
    assert "baseline) 58.22" in workshop
    assert "not the images of this protocol" in others
    assert "67.30" in others
    assert "70.09" in others
    assert "as here" in published_beside("cifair10")[0]


@pytest.mark.parametrize(
    "changed",
    [
        {"data": "digits"},
        {"protocol": Protocol()},
        {"protocol": Protocol("deic", None, shots=10)},
        {"protocol": Protocol("deic", 2)},
        {"seeds": range(1000, 1003)},
    ],
)
def test_they_stand_beside_the_same_draws_alone(changed):
    assert not published_beside(**changed)


def test_settings_change_network_and_recipe():
    made = learner("bn:width=32,learning_rate=0.1", {"epochs": 7})
    assert made.network == "baseline:norm=batch,width=32"
    assert made.recipe == Recipe(learning_rate=0.1, epochs=7)
    assert learner("bn-5x5-slow", {}).recipe.learning_rate == 0.008
    assert learner("bn-5x5:learning_rate=0.008", {}).describe() == learner("bn-5x5-slow", {}).describe()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bm", "unknown method 'bm': did you mean 'bn'"),
        ("bn:widht=3", "did you mean 'width'"),
        ("bn:recipe=bets", "unknown recipe 'bets'"),
        ("bn:schedule=cosin", "'cosin': did you mean 'cosine'"),
        ("bn:online=flip+strnog", "unknown online policy 'strnog': did you mean 'strong'"),
        ("bn:width=three", "wants a whole number"),
        ("bn:epochs=0", "the recipe's epochs is a whole number above 0"),
        ("bn:norm=bacth", "did you mean 'batch'"),
    ],
)
def test_a_wrong_method_is_refused_at_once(name, message):
    with pytest.raises(UsageError, match=message):
        learner(name, {})


@pytest.fixture
def photos(tmp_path):
    """A folder of two classes, told apart by brightness, with images to tune on."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 10), ("test", 10)):
        for level, name in ((40, "dark"), (200, "light")):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                noise = rng.integers(-30, 30, (16, 16, 3))
                Image.fromarray((level + noise).astype(np.uint8)).save(folder / f"{i}.png")
    return tmp_path / "photos"


NETWORK = "mlp:width=16"  # compiles sooner than those of the study
TUNED = "mlp:learning_rate={},width=16"


def test_a_setting_is_chosen_on_tuning_tasks(photos, tmp_path, capsys):
    """1e12 diverges, 1e-9 learns nothing, 0.02 tells dark from light: both tables show all three."""
    args = ["--data", str(photos), "--shots", "10", "--seeds", "1", "--epochs", "20", "--image-size", "16"]
    args += ["--method", NETWORK, "--tune", "learning_rate", "1e12", "1e-9", "0.02", "--jobs", "1"]
    study = replace(STUDY, baseline="mlp:width=8", plots=())
    assert study.main([*args, "--quick", "--json", "--out", str(tmp_path / "results")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["chosen"] == {NETWORK: TUNED.format("0.02")}
    for part, seeds in ((document, [0]), (document["tuning"], [1000, 1001])):
        methods = {entry["method"]: entry for entry in part["methods"]}
        assert set(methods) == {
            study.baseline,
            *(TUNED.format(rate) for rate in ("1e12", "1e-9", "0.02")),
        }
        assert methods[TUNED.format("1e12")]["failed"] == len(seeds)
        assert [trial["seed"] for trial in methods[TUNED.format("0.02")]["trials"]] == seeds
    assert (tmp_path / "results" / "cnn" / "tuning" / "result.json").exists()
    assert study.main([*args, "--quick", "--out", str(tmp_path / "results")]) == 0
    assert capsys.readouterr().out.count(f"chosen for {NETWORK}: {TUNED.format('0.02')}") == 2


def test_bad_tuning_is_one_line(command, photos):
    for values, message in (
        (["learning_rate", "0.1"], "two values"),
        (["lr", "0.1", "0.2"], "learning_rate"),
    ):
        done = command("cnn", "--data", photos, "--method", "bn", "--tune", *values)
        assert done.returncode == 2
        assert message in one_line(done.stderr)


def test_an_image_size_below_the_least(command, photos):
    done = command("cnn", "--data", photos, "--shots", "10", "--image-size", "12", "--method", "bn-5x5")
    assert done.returncode == 2
    assert "takes images from 13×13 on" in one_line(done.stderr)


def test_an_expansion_is_a_setting_too():
    expanded = learner("bn:offline=mixing(flip)+rotation", {})
    assert (expanded.network, expanded.offline) == ("baseline:norm=batch", "mixing(flip)+rotation")


def test_best_repeats_to_the_last_digit(blobs):
    """All that it draws at random follows from the seed: weights, batches, augmentation."""
    task = Protocol().sample_task(blobs, 0)
    best, other = (learner("best", {"epochs": 3}) for _ in range(2))
    first = best.fit(task.train, 0).predict(task.test.x[:100])
    assert not np.array_equal(best.fit(task.train, 1).predict(task.test.x[:100]), first)
    assert np.array_equal(other.fit(task.train, 0).predict(task.test.x[:100]), first)


def test_every_candidate_of_the_search_is_a_method():
    from experiments.search import ROUNDS

    for _, candidates in ROUNDS.values():
        assert len({repr(learner(candidate, {})) for candidate in candidates}) == len(candidates)


def test_the_search_looks_at_tuning_tasks_only(monkeypatch):
    from experiments import search

    seen = []
    monkeypatch.setattr(type(search.STUDY), "main", lambda self, argv: seen.append(argv) or 0)
    assert search.main(["--round", "2", "--tasks", "3", "--jobs", "1"]) == 0
    (argv,) = seen
    assert argv[argv.index("--seeds") + 1] == "1000-1002"
    assert argv[:2] == ["--jobs", "1"]


@pytest.mark.parametrize("length", [["--quick"], ["--epochs", "3"], ["--updates", "3"]])
@pytest.mark.parametrize("setting", ["epochs", "updates"])
def test_a_length_for_every_method_does_not_defeat_its_tuning(setting, length, capsys):
    assert STUDY.main(["--data", "digits", "--method", "bn", "--tune", setting, "2", "3", *length]) == 2
    said = capsys.readouterr().err
    assert f"--tune {setting} and {length[0]} exclude each other" in said
    assert len(said.splitlines()) == 1
