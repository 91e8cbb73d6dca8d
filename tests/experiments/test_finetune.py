"""The study of pretrained backbones: its methods, its weights, its grid."""

import json
from pathlib import Path

import pytest
from helpers import ALONE, learner, one_line

from experiments.finetune import BATCHES, RATES, STUDY
from fewshot.learners.estimator import EstimatorLearner
from fewshot.learners.keras_network import KerasLearner

SMALL = "imagenet/squeezenet@48"
ONE = (*ALONE, "--seeds", "1")


def test_every_method_is_a_learner():
    learners = [learner(name) for name in STUDY.methods()]
    for each in learners:
        each.check((32, 32, 3))
    assert len(set(map(repr, learners))) == len(STUDY.methods())


def test_names_become_features_heads_and_recipes():
    network = learner("imagenet/alexnet+resnet50@96:head=hidden,width=3,batch=10,offline=flip")
    assert isinstance(network, KerasLearner)
    assert (network.network, network.features) == ("hidden:width=3", "alexnet+resnet50@96")
    assert (network.recipe.batch, network.offline) == (10, "flip")
    estimator = learner("lite-random:tta_flip")
    assert isinstance(estimator, EstimatorLearner)
    assert (estimator.features, estimator.tta_flip) == ("efficientnet-lite0@160:weights=random", True)


def test_heads_share_the_features_and_the_control_has_a_name(command):
    given = (f"{SMALL}:head=ridge", f"{SMALL}:head=linear", f"{SMALL}:head=centroid,offline=flip,tta_flip")
    done = command("finetune", *ONE, "--weights", "random", "--json", "--method", *given)
    assert done.returncode == 0, done.stderr
    assert "features of 2 tasks ready" in done.stderr
    rows = {row["method"]: row for row in json.loads(done.stdout)["methods"]}
    assert [name for name in rows if name.endswith("weights=random")] == list(rows)[1:]
    assert rows[f"{given[0]},weights=random"]["mean"] > 60
    assert all(row["n"] == 1 for row in rows.values())


def test_a_network_of_keras_is_a_backbone(command):
    done = command(
        "finetune", *ONE, "--weights", "random", "--json", "--method", "imagenet/keras/MobileNet@32"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["methods"][1]["n"] == 1


def test_the_grid_is_all_rates_with_all_batches_and_a_picture(command):
    done = command(
        "finetune", *ONE, "--grid", "--weights", "random", "--json", "--method", f"{SMALL}:head=linear"
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert len(document["methods"]) == 1 + len(RATES) * len(BATCHES)
    (picture,) = [
        path for path in document["figures"] if Path(path).name.startswith("grid") and "png" in path
    ]
    assert Path(picture).stat().st_size > 30_000  # an empty one has 12,000
    assert "features of 1 task" in done.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--method", "imagenet/alexnett"], "did you mean 'alexnet'"),
        (["--method", "imagenet/keras/MobileNett@32"], "did you mean 'keras/MobileNet'"),
        (["--method", f"{SMALL}:head=ridgee"], "unknown head 'ridgee': did you mean 'ridge'"),
        (["--method", f"{SMALL}:head=baseline"], "takes images, not features"),
        (["--method", f"{SMALL}:head=linear,online=flip"], "use offline augmentation (offline=flip)"),
        (
            ["--method", f"{SMALL}:head=ridge", "--weights", "nowhere.pth"],
            "cannot read the weights nowhere.pth",
        ),
        (["--method", "baseline", "--weights", "random"], "--weights is for methods with a backbone"),
        (["--method", f"{SMALL}:head=ridge", "--grid"], "--grid is for heads that a recipe trains"),
    ],
)
def test_wrong_usage(command, args, message):
    done = command("finetune", *ALONE, *args)
    assert done.returncode == 2, done.stderr
    assert message in one_line(done.stderr)


def test_a_file_that_is_no_weight_file(command, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"no weights at all" * 100)
    done = command("finetune", *ALONE, "--method", f"{SMALL}:head=ridge", "--weights", path)
    assert done.returncode == 1
    assert "weights.pth" in one_line(done.stderr)
