"""Specifications and the catalogue: one name, one meaning; texts are parsed once and printed in one way."""

import importlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fewshot import settings
from fewshot.baselines.numpy_net import nets
from fewshot.errors import UsageError
from fewshot.learners.contract import Learner, learners, settings_of, wrappers
from fewshot.learners.keras_network import KerasLearner
from fewshot.learners.transfer import TransferLearner
from fewshot.methods.catalogue import methods
from fewshot.methods.resolve import resolve
from fewshot.methods.specification import CHOICES, FIELDS, canonical_name, changed, parse, setting_names
from fewshot.models import networks
from fewshot.training.recipe import Recipe, recipes

DOCS = (Path(__file__).parents[2] / "docs" / "guides" / "methods.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(methods))
def test_every_name_of_the_catalogue(name):
    method, specification = methods[name], parse(name)
    assert method.summary
    assert parse(str(specification)) == specification == parse(method.specification)
    assert str(parse(str(specification))) == str(specification)
    shown, learner = resolve(name)
    assert shown == name == canonical_name(name)
    assert learner == parse(str(specification)).learner()


def test_every_tag_and_every_alias():
    for tag in {tag for method in methods.values() for tag in method.tags}:
        assert methods.tagged(tag)
    with pytest.raises(UsageError, match="unknown tag 'fintune': did you mean 'finetune'"):
        methods.tagged("fintune")
    for old, name in {
        "none": "baseline",
        "real": "baseline",
        "lite": "lite-logistic",
        "k-nn": "knn-cosine",
    }.items():
        assert methods[old].name == name
        assert resolve(old) == resolve(name)
        assert resolve(f"{old}:tta_flip") == resolve(f"{name}:tta_flip")


def test_no_two_names_mean_one_thing_but_by_intent():
    """`strong`-like duplicates confuse; a name for what an augmentation or network is anyway does not."""
    names = {}
    for name in methods:
        names.setdefault(parse(name), []).append(name)
    twice = [same for same in names.values() if len(same) > 1]
    assert sorted(map(sorted, twice)) == [
        ["compact", "compact-scratch"],
        ["conv-16-16", "numpy-conv16"],
        ["conv-32-32", "numpy-conv32"],
        ["conv-32-32-64-64", "numpy-conv4"],
        ["expand", "flip"],
        ["fc3-he", "numpy-fc3"],
        ["fc5-he", "numpy-fc5"],
    ]


@pytest.mark.parametrize(
    ("old", "today"),
    [
        ("bn:policy=flip+cutout", "bn:online=flip+cutout"),
        ("best:members=2,mirror=no", "best:ensemble_size=2,tta_flip=no"),
        ("ridge:mirror", "ridge:tta_flip"),
        ("lite:expansion=flip,mirror", "lite-logistic:offline=flip,tta_flip"),
        ("baseline:synthetic=100,expansion=flip", "baseline:synthetic=100,offline=flip"),
    ],
)
def test_old_names_of_settings_mean_the_same(old, today):
    assert canonical_name(old) == today
    assert resolve(old) == resolve(today)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("none", "baseline"),
        ("flip", "baseline:offline=flip"),
        ("online:flip+cutout", "baseline:online=flip+cutout"),
        ("online:flip,epochs=3", "baseline:epochs=3,online=flip"),
        ("mixing( flip + rotation )+patchshuffle", "baseline:offline=mixing(flip+rotation)+patchshuffle"),
        ("flip+rotation:epochs=3", "baseline:epochs=3,offline=flip+rotation"),
        ("albumentations:my.yaml:epochs=3", "baseline:epochs=3,offline=albumentations:my.yaml"),
        ("baseline:width=16,norm=none,momentum=0.9", "baseline"),
        ("best:epochs=400", "compact:recipe=best"),
        ("bn:norm=none", "baseline"),
        ("imagenet/alexnet", "imagenet/alexnet:head=logistic"),
        ("lite:weights=random,head=ridge", "imagenet/efficientnet-lite0@160:head=ridge,weights=random"),
        ("compact:last=0,transfer=cifar10", "compact:transfer=cifar10"),
    ],
)
def test_one_way_to_write_a_method(text, canonical):
    assert str(parse(text)) == canonical


def test_settings_go_to_their_owners():
    specification = parse("compact:width=8,epochs=4,transfer=cifar10,last=2,synthetic=100,offline=flip")
    assert (specification.switches, specification.training) == ((("width", 8),), (("epochs", 4),))
    assert specification.offline == "none"  # the wrapper takes it: generators see the enlarged set
    outer = specification.learner({"epochs": 2})
    assert (outer.synthetic, outer.offline) == (100, "flip")
    assert isinstance(outer.base, TransferLearner)
    assert (outer.base.last, outer.base.base.network, outer.base.base.recipe.epochs) == (
        2,
        "compact:width=8",
        2,
    )


@pytest.fixture
def colliding():
    @networks.register("colliding", least_size=1)
    def colliding(shape, outputs, *, momentum=0.5, width=3):
        """A switch that is called as a field of every recipe."""

    yield
    networks.remove("colliding")


def test_a_setting_of_two_owners_is_refused(colliding):
    assert parse("colliding:width=4").switches == (("width", 4),)
    message = "momentum is both a setting of the network 'colliding' and a field of the recipe"
    with pytest.raises(UsageError, match=message):
        parse("colliding:momentum=0.1")
    with pytest.raises(UsageError, match=r"last is both a setting of the network 'tuned' and .* 'transfer'"):
        parse("tuned:transfer=cifar10,last=3")


def test_no_settings_of_ours_collide():
    fields = {*FIELDS, "recipe", "offline", *settings.ALIASES}
    for registry in (networks, nets):
        for name in registry:
            assert not fields & set(registry.switches(name)), name
    for name in wrappers:
        taken = set(wrappers[name].traits.get("takes", ()))
        assert not (fields - taken) & set(settings_of(wrappers[name].make)[0]), name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bm", "unknown method 'bm': did you mean 'bn'"),
        ("ridge:aplha=3", "unknown setting of the method 'ridge' 'aplha': did you mean 'alpha'"),
        ("bn:synthetc=3", "did you mean 'synthetic'"),
        ("bn:online=flp", "unknown online policy 'flp': did you mean 'flip'"),
        ("bn:mirror,tta_flip", "two of these are one setting"),
        ("bn:width=3,width=4", "sets width twice"),
        ("bn:", "settings are written NAME:key=value"),
        ("imagenet/alexnet:head=rigde", "unknown head 'rigde': did you mean 'ridge'"),
        ("imagenet/alexnett", "did you mean 'alexnet'"),
        ("numpy-fc3:recipe=bets", "unknown recipe 'bets': did you mean 'best'"),
        ("ridge:transfer=cifar10", "transfer= is for networks"),
        ("baseline:synthetic=3,keep=agreed", "did you mean 'agree'"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(text, message):
    with pytest.raises(UsageError, match=message) as raised:
        parse(text).learner()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["mixing(flip", "bn:offline=mixing(flip", "mixing(flip:epochs=3"])
def test_carets_stay(text):
    with pytest.raises(UsageError, match=r"never closed\n  mixing\(flip\n        \^"):
        parse(text)


def test_changed_settings():
    assert changed("bn:width=32", learning_rate=0.1) == "bn:learning_rate=0.1,width=32"
    assert changed("online:flip", epochs=3) == "online:flip,epochs=3"
    assert changed("lite", weights="random") == "lite-logistic:weights=random"
    assert "weights" in setting_names("lite-ridge")
    assert "weights" not in setting_names("ridge")


def test_choices_and_recipes_are_named_in_one_place():
    assert set(CHOICES) < set(FIELDS)
    assert recipes["report"]() == Recipe()


def test_a_name_is_defined_anew_and_a_taken_one_refused():
    try:
        methods.define("mine", "ridge:alpha=3", "mine")
        assert resolve("mine:tta_flip")[1] == resolve("ridge:alpha=3,tta_flip")[1]
        methods.define("mine", "ridge:alpha=4", "mine")
        assert str(parse("mine")) == "ridge:alpha=4"
        with pytest.raises(ValueError, match="taken by the method 'mine'"):
            networks.register("mine", least_size=1)(np.zeros)
        with pytest.raises(ValueError, match="taken by the network 'compact'"):
            methods.define("compact", "baseline")
    finally:
        methods.remove("mine")
    assert "mine" not in methods


@dataclass
class Constant(Learner):
    """Always the same probabilities."""

    share: float = 0.5

    def fit(self, train, seed, watch=None, checkpoint=None):
        return self

    def predict(self, x):
        return np.tile([self.share, 1 - self.share], (len(x), 1))


def test_learners_estimators_and_builders_are_methods():
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    name, learner = resolve(Constant(0.3))
    assert (name, learner.share) == ("Constant", 0.3)
    try:
        assert resolve("Constant:share=0.3")[1] == learner
        assert learner.describe()["versions"]["learner"] != 1
    finally:
        learners.remove("Constant")
    first, second, third = (
        resolve(make_pipeline(StandardScaler(), RidgeClassifier(alpha=alpha)))[1].describe()
        for alpha in (1, 1, 2)
    )
    assert first == second != third
    assert json.loads(json.dumps(first)) == first

    def my_network(shape, outputs, *, width=4):
        """A network."""

    try:
        assert resolve(my_network, {"epochs": 3}) == (
            "my_network",
            KerasLearner("my_network", Recipe(epochs=3)),
        )
        assert resolve(my_network)[0] == "my_network"
    finally:
        networks.remove("my_network")
    with pytest.raises(UsageError, match="without a name"):
        resolve(lambda shape, outputs: None)
    with pytest.raises(UsageError, match="RidgeClassifier is a class: give an object"):
        resolve(RidgeClassifier)
    with pytest.raises(UsageError, match="a method is a name"):
        resolve(3)


def test_an_estimator_as_an_object_is_what_its_name_is(task):
    from fewshot.baselines import estimators

    _, learner = resolve(estimators.build("ridge"))
    assert np.array_equal(
        learner.fit(task.train, 0).predict(task.test.x),
        resolve("ridge")[1].fit(task.train, 0).predict(task.test.x),
    )


@pytest.mark.parametrize(
    "study", ["augment", "cnn", "zoo", "full", "transfer", "finetune", "baselines_few_shot"]
)
def test_every_study_is_a_tag_and_takes_every_name(study):
    name = "full.command" if study == "full" else study
    question = importlib.import_module(f"experiments.{name}").STUDY
    assert {question.baseline, *question.methods()} <= set(methods)
    args = question.parser().parse_args(["--method", "lite", "k-nn", "bn:policy=flip"])
    args.command = ""
    assert question.request(args).methods == ("lite-logistic", "knn-cosine", "bn:online=flip")


def test_the_examples_of_the_documentation_are_methods():
    (block,) = re.findall(r"<!-- examples -->\n(.*?)<!-- end -->", DOCS, re.S)
    examples = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", block, re.M)
    assert len(examples) > 12
    for text, canonical in examples:
        assert str(parse(text)) == canonical
    for key, today in settings.ALIASES.items():
        assert f"`{key}` is `{today}`" in re.sub(r"\s+", " ", DOCS)
