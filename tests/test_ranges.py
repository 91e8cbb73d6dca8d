"""Every setting of every registry has a range or choices, and a value outside is one line."""

import dataclasses
import math

import pytest

from experiments import augment
from fewshot import settings
from fewshot.errors import UsageError
from fewshot.learners.contract import ensembles, learners, settings_of, wrappers
from fewshot.learners.heads import HeadsLearner
from fewshot.learners.keras_network import KerasLearner
from fewshot.learners.mean import MeanLearner
from fewshot.learners.transfer import TransferLearner
from fewshot.methods import plugins
from fewshot.methods.resolve import resolve
from fewshot.registry import _registries
from fewshot.settings import Configurable, Range
from fewshot.training.recipe import SETTINGS, Recipe
from fewshot.trials.plan import Machine
from gan import generate
from gan import recipe as gan
from gan.learner import SyntheticLearner

plugins.load_installed()


def described():
    """Yield (whose, setting, default, what it takes) of all settings of ours that are numbers."""
    for kind, registry in sorted(_registries.items()):
        if isinstance(registry, Configurable):
            for name in registry:
                if registry[name].origin is None:
                    limits = registry.limits(name)
                    for setting, default in registry.switches(name).items():
                        yield f"{kind} {name}", setting, default, limits.get(setting)
    for registry in (learners, wrappers, ensembles):
        for name in registry:
            if registry[name].origin is None:
                defaults, limits = settings_of(registry[name].make)
                for setting, default in defaults.items():
                    yield f"{registry.kind} {name}", setting, default, limits.get(setting)
    for name, setting in SETTINGS.items():
        yield "recipe", name, vars(Recipe())[name], setting.range or setting.choices
    for name, default in dataclasses.asdict(gan.GanRecipe()).items():
        yield "GAN", name, default, settings.limits_of(gan.GanRecipe).get(name)


def numeric():
    return [
        row for row in described() if isinstance(row[2], int | float | None) and not isinstance(row[2], bool)
    ]


def test_every_number_has_a_range_that_holds_its_default():
    rows = numeric()
    assert len(rows) > 60
    for whose, setting, default, limit in rows:
        assert isinstance(limit, Range), f"{whose}: {setting} has no range"
        assert default is None or limit.holds(default), (whose, setting)
        assert limit.whole == isinstance(default, int | None), (whose, setting)
        assert math.isinf(limit.most) <= (not limit.whole), f"{whose}: {setting} has no upper end"


@pytest.mark.parametrize(
    "text",
    [
        "baseline:width=0",
        "baseline:width=-1",
        "baseline:width=100000",
        "baseline:kernel=0",
        "mlp:dropout=nan",
        "mlp:dropout=1",
        "vgg11:dropout=-0.1",
        "convnext-atto:width=inf",
        "ridge:alpha=0",
        "ridge:alpha=nan",
        "logistic:c=-1",
        "knn:k=0",
        "patches:count=1000000000",
        "patches:size=-3",
        "heads:average=0",
        "baseline:synthetic=0",
        "baseline:synthetic=-1",
        "baseline:synthetic=1000000000",
        "baseline:synthetic=5,share=1",
        "baseline:synthetic=5,share=nan",
        "baseline:transfer=none,last=-1",
        "baseline:transfer=none,pretrain_epochs=0",
        "numpy-fc3:dropout=2",
        "tuned:fade=0",
        "baseline:epochs=0",
        "baseline:updates=-4",
        "baseline:epochs=99999999999999999999999",
        pytest.param(f"baseline:epochs=1{'0' * 400}", id="more than a float can be"),
        "baseline:learning_rate=inf",
    ],
)
def test_a_value_outside_is_one_line_that_says_what_is_wanted(text):
    with pytest.raises(UsageError, match=r"a (whole )?number|0 or more") as caught:
        resolve(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("learner", "wanted"),
    [
        (HeadsLearner(average=0), "average wants a whole number above 0.* Received: 0"),
        (HeadsLearner(average=10**400), "average wants a whole number above 0"),
        (HeadsLearner(average=2.5), "average wants a whole number .* Received: 2.5"),
        (TransferLearner(KerasLearner(), last=-1), "last wants a whole number from 0 on"),
        (TransferLearner(KerasLearner(), pretrain_epochs=0), "pretrain_epochs wants a whole number above 0"),
        (SyntheticLearner(HeadsLearner(average=True), synthetic=4), "HeadsLearner: average wants"),
        (MeanLearner((KerasLearner(), HeadsLearner(average=0))), "HeadsLearner: average wants"),
        (MeanLearner([KerasLearner(), MeanLearner([KerasLearner()] * 2, calibrate="no")]), "'no'"),
        (SyntheticLearner(MeanLearner([KerasLearner(), HeadsLearner(average=0)]), 4), "average wants"),
    ],
    ids=str,
)
def test_an_object_is_checked_as_a_text_is(learner, wanted):
    with pytest.raises(UsageError, match=wanted):
        resolve(learner)


BAD_PRESETS = {
    "width": (-1, 0, 1),
    "latent": (-1, 0),
    "batch": (0,),
    "ema": (1,),
    "beta": ("nan",),
    "updates": (0,),
    "fakes": (10**9,),
    "learning_rate": (-0.1,),
}


@pytest.mark.parametrize("setting", [f"{name}={v}" for name, values in BAD_PRESETS.items() for v in values])
def test_a_preset_refuses_what_is_out_of_range(setting):
    with pytest.raises(UsageError, match=setting.partition("=")[0]):
        gan.parse(f"best:{setting}")


@pytest.mark.parametrize(
    ("limit", "inside", "outside", "wanted"),
    [
        (
            settings.COUNT,
            [1, 100_000_000],
            [0, -1, 100_000_001],
            "a whole number above 0, and at most 100,000,000",
        ),
        (settings.SHARE, [0, 0.99], [1, -0.01, math.nan], "0 or more, and below 1"),
        (settings.POSITIVE, [1e-9, 1e9], [0, -1, math.inf], "a number above 0"),
        (settings.NOT_NEGATIVE, [0, 1e9], [-1e-9, math.nan], "0 or more"),
        (Range(0, 1, above=True), [0.1, 1], [0, 1.1], "a number above 0, and at most 1"),
        (Range(0, 4096, whole=True), [0, 4096], [-1, 4097], "a whole number from 0 on, and at most 4,096"),
    ],
)
def test_a_range_says_what_it_holds(limit, inside, outside, wanted):
    assert all(map(limit.holds, inside))
    assert not any(map(limit.holds, outside))
    assert limit.wanted == wanted


@pytest.mark.parametrize("option", [["--threads", "4294967295"], ["--jobs", "1025"], ["--threads", "0"]])
def test_threads_and_processes_are_as_many_as_a_machine_has(option, capsys):
    with pytest.raises(SystemExit) as ended:
        augment.main(["--data", "digits", *option])
    assert ended.value.code == 2
    assert "wants a whole number from 1 to 1,024" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"whole number"):
        Machine(**{option[0].removeprefix("--"): int(option[1])})


def test_a_grid_is_a_picture(capsys):
    with pytest.raises(SystemExit):
        generate.main(["folder", "--grid", "x.txt"])
    assert "wants the name of a picture, such as grid.png" in capsys.readouterr().err
