"""The text of an ensemble: members, weights and settings, and what is said of a wrong one."""

import json
import re

import pytest

from fewshot.compare.strategies import cost_of
from fewshot.errors import UsageError
from fewshot.learners.mean import MeanLearner
from fewshot.methods.catalogue import methods
from fewshot.methods.resolve import resolve
from fewshot.methods.specification import canonical_name, changed, parse, setting_names


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (
            "mean(best, patches:expansion=flip,mirror)",
            "mean(compact:recipe=best, patches:offline=flip,tta_flip=yes)",
        ),
        (
            "mean( 0.3*bn,0.7 * ridge ):average=plain",
            "mean(0.3*baseline:norm=batch, 0.7*ridge):average=plain",
        ),
        ("mean(0.5*bn, 0.5*ridge):average=log", "mean(baseline:norm=batch, ridge)"),
        ("mean(baseline:norm=batch,se, ridge)", "mean(baseline:norm=batch,se=yes, ridge)"),
        ("mean(se, baseline:norm=batch)", "mean(baseline:norm=batch,se=yes, baseline:norm=batch)"),
        (
            "mean(mixing(flip+rotation), online:flip,epochs=3)",
            "mean(baseline:offline=mixing(flip+rotation), baseline:epochs=3,online=flip)",
        ),
        (
            "mean(ridge, mean(knn, bn):average=plain)",
            "mean(ridge, mean(knn, baseline:norm=batch):average=plain)",
        ),
        ("mean(ridge, knn):synthetic=100", "mean(ridge, knn):synthetic=100"),
    ],
)
def test_one_way_to_write_an_ensemble(text, canonical):
    assert str(parse(text)) == canonical
    assert parse(canonical) == parse(text) == parse(canonical_name(text))


def test_members_are_the_learners_of_their_own_texts():
    name, learner = resolve("mean(0.25*bn:epochs=3, 0.75*ridge)", {"epochs": 7})
    assert name == "mean(0.25*bn:epochs=3, 0.75*ridge)"
    assert isinstance(learner, MeanLearner)
    assert learner.members == (resolve("bn", {"epochs": 7})[1], resolve("ridge")[1])
    assert learner.weights == (0.25, 0.75)
    assert changed(name, average="plain") == f"{name}:average=plain"
    assert {"average", "calibrate", "synthetic"} & set(setting_names(name)) == {"average", "calibrate"}


def test_an_ensemble_as_an_object_is_called_by_its_members():
    members = resolve("ridge")[1], resolve("bn")[1]
    assert resolve(MeanLearner(members))[0] == "mean(EstimatorLearner, KerasLearner)"


def test_an_ensemble_costs_what_its_members_do():
    assert cost_of("mean(best, patches)") == cost_of("best") + cost_of("patches")


def test_keys_tell_ensembles_apart():
    texts = (
        "mean(ridge, knn)",
        "mean(knn, ridge)",
        "mean(0.4*ridge, 0.6*knn)",
        "mean(ridge, knn):average=plain",
    )
    identities = [json.dumps(resolve(text)[1].identity(), sort_keys=True) for text in texts]
    assert len(set(identities)) == len(texts)


@pytest.mark.parametrize(
    ("text", "message", "under"),
    [
        ("mean(best", "never closed", "("),
        ("mean()", "a member is missing", ")"),
        ("mean(ridge)", "two members or more", "ridge"),
        ("mean(ridge,)", "a member is missing", ")"),
        ("mean(0.5*ridge, 0.5*)", "a member is missing", ")"),
        ("mean(ridge, pathces)", "unknown method 'pathces': did you mean 'patches'", "pathces"),
        ("mean(knn, ridge:aplha=3)", "'aplha': did you mean 'alpha'", "ridge"),
        ("mean(0.3*knn, ridge)", "every member has a weight, or none has", "ridge"),
        ("mean(0.3*knn, 0.6*ridge)", "sum to 1. Received: 0.3, 0.6, 0.9 in all", "0.3"),
        ("mean(-1*knn, 2*ridge)", "are above 0", "-1"),
        ("mean(nan*knn, 2*ridge)", "are above 0", "nan"),
        ("mean(x*knn, 0.6*ridge)", "'x' is no weight", "x*"),
        ("mean(best, compact:recipe=best)", "the same member stands there twice", "compact"),
        ("mean(mean(mean(mean(bn, se), ridge), knn), best)", "nested deeper than 3 levels", "mean(bn"),
        ("mean(ridge, knn) bn", "after the members come settings", "bn"),
        ("mean(ridge, epochs=3)", "settings follow a method and a colon", "epochs"),
        ("mean(ridge, mean(knn, bnn))", "unknown method 'bnn'", "bnn"),
        ("mean(ridge, bn:offline=mixing(flp))", "unknown expansion 'flp'", "flp"),
    ],
)
def test_what_is_wrong_has_a_caret_under_it(text, message, under):
    with pytest.raises(UsageError, match=re.escape(message)) as raised:
        parse(text)
    _, shown, caret = str(raised.value).split("\n")
    assert shown == f"  {text}"
    assert shown[caret.index("^") :].startswith(under)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mean", "'mean' is an ensemble, and wants members"),
        (
            "mean(ridge, knn):averge=log",
            "unknown setting of the ensemble 'mean' 'averge': did you mean 'average'",
        ),
        ("mean(ridge, knn):average=geometric", "unknown average of the ensemble 'mean'"),
    ],
)
def test_what_is_wrong_of_the_whole_is_said_in_a_line(text, message):
    with pytest.raises(UsageError, match=message) as raised:
        parse(text)
    assert "\n" not in str(raised.value)


def test_a_method_that_is_made_of_itself():
    try:
        methods.define("loop", "mean(knn, around)", "a loop")
        methods.define("around", "loop:average=plain", "around it")
        with pytest.raises(UsageError, match="the method 'loop' is made of itself"):
            parse("loop")
    finally:
        methods.remove("loop")
        methods.remove("around")
