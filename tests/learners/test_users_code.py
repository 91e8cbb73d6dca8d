"""A user's code that fails, or does something else than the contract says: one line, with the place in it."""

import functools
import sys
import types
from dataclasses import dataclass

import numpy as np
import pytest
from helpers import forgetting
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import fewshot as fs
from fewshot.baselines import estimators
from fewshot.errors import UsageError
from fewshot.learners.contract import Fit, Learner, learners
from fewshot.learners.estimator import GivenEstimatorLearner, identified
from fewshot.models import networks

pytestmark = pytest.mark.usefixtures("started")


@pytest.fixture(autouse=True)
def forgotten():
    """What a method is given as is registered as it is resolved."""
    with forgetting(networks, estimators, learners):
        yield


def no_outputs(shape):
    return None


def raises(shape, outputs):
    raise KeyError("width")


def returns_a_layer(shape, outputs):
    import keras

    return keras.layers.Dense(outputs)


def one_output_more(shape, outputs):
    import keras

    pixels = keras.Input(shape)
    return keras.Model(pixels, keras.layers.Dense(outputs + 1)(keras.layers.Flatten()(pixels)))


def images_out(shape, outputs):
    import keras

    pixels = keras.Input(shape)
    return keras.Model(pixels, keras.layers.Dense(outputs)(pixels))


def subclassed(shape, outputs):
    import keras

    class Mine(keras.Model):
        pass

    return Mine()


class Failing(ClassifierMixin, BaseEstimator):
    def fit(self, x, y):
        return self.no_such_method(x)


class OddProbabilities(ClassifierMixin, BaseEstimator):
    def fit(self, x, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, x):
        return np.zeros((len(x), 7))


def fails(x):
    raise RuntimeError("two\nlines")


@dataclass
class NeverFitted(Learner):
    def fit(self, train, seed, watch=None, checkpoint=None):
        return self

    def predict(self, x):
        return np.full((len(x), 10), 0.1)


@dataclass
class OneColumn(NeverFitted):
    def fit(self, train, seed, watch=None, checkpoint=None):
        self.fitted = Fit(len(train), 0, 0, 0, {})

    def predict(self, x):
        return np.full(len(x), 0.5)


@dataclass
class Divides(OneColumn):
    def predict(self, x):
        return 1 // 0


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (no_outputs, "the network 'no_outputs' fails (test_users_code.py, line "),
        (no_outputs, "takes 1 positional argument but 2 were given"),
        (raises, f"line {raises.__code__.co_firstlineno + 1}): KeyError: 'width'"),
        (returns_a_layer, "returns no keras.Model. Received: Dense"),
        (one_output_more, "has outputs of shape (None, 11), and the task wants (None, 10)"),
        (images_out, "has outputs of shape (None, 32, 32, 10)"),
        (subclassed, "is no graph of layers: return keras.Model(inputs, logits)"),
        (Failing(), "the estimator 'Failing' does not fit (test_users_code.py, line "),
        (Failing(), "AttributeError: 'Failing' object has no attribute 'no_such_method'"),
        (OddProbabilities(), "the estimator 'OddProbabilities' does not predict (test_users_code.py, "),
        (
            make_pipeline(FunctionTransformer(fails), LogisticRegression()),
            f"'Pipeline' does not fit (test_users_code.py, line {fails.__code__.co_firstlineno + 1}): "
            "RuntimeError: two lines",
        ),
        (Ridge(), "the estimator 'Ridge' is no classifier: fitted, it has no classes_. Received: Ridge"),
        (LogisticRegression(C="x"), "the estimator 'LogisticRegression' does not fit: "),
        (NeverFitted(), "does not set `fitted`"),
        (OneColumn(), "predicts probabilities of shape (338,), and the task wants (338, 10)"),
        (Divides(), "the method 'Divides' fails (test_users_code.py, line "),
    ],
)
def test_one_line_names_the_method_and_the_place(method, message, tmp_path):
    with pytest.raises(UsageError) as error:
        fs.run(method, _few(), 1, **_small(tmp_path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_estimators_builder_that_fails_or_returns_something_else(tmp_path):
    fs.register_estimator("test-fails")(lambda: 1 // 0)
    fs.register_estimator("test-returns")(lambda: 3)
    with pytest.raises(UsageError, match=r"the estimator 'test-fails' fails \(test_users_code.py, line"):
        fs.run("test-fails", _few(), 1, **_small(tmp_path))
    with pytest.raises(UsageError, match=r"returns no scikit-learn estimator. Received: int"):
        fs.run("test-returns", _few(), 1, **_small(tmp_path))


def _few():
    return fs.load("digits", classes=("3", "8"))


def _small(tmp_path):
    return {"out": tmp_path, "jobs": 1, "progress": False, "shots": 5, "epochs": 1}


def with_input(shape, outputs):
    import keras
    from keras import layers

    return keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(outputs)])


def without_input(shape, outputs):
    import keras
    from keras import layers

    return keras.Sequential([layers.Flatten(), layers.Dense(outputs)])


@pytest.mark.parametrize("build", [with_input, without_input])
def test_a_sequential_network_is_trained_and_exported(build, tmp_path):
    results = fs.run(build, _few(), 1, **_small(tmp_path))
    assert results.summary()[0].n == 1
    model = fs.export(build, _few(), tmp_path / "m.keras", epochs=1)
    assert model.predict(np.zeros((32, 32, 3), np.uint8)).shape == (1, 2)


def module(name: str, source: str, folder) -> types.ModuleType:
    """Return a module as a user's script would be, with a version of its own."""
    file = folder / f"{name}.py"
    file.write_text(source)
    made = types.ModuleType(name)
    made.__file__ = str(file)
    sys.modules[name] = made
    exec(compile(source, file, "exec"), vars(made))
    return made


SCRIPT = """
from dataclasses import dataclass
from sklearn.base import BaseEstimator, ClassifierMixin
__version__ = "1.0"

class Mine(ClassifierMixin, BaseEstimator):
    def __init__(self, scale=None):
        self.scale = scale
    def fit(self, x, y):
        return self, NUMBER

def double(x, by=2):
    return x * NUMBER

class Scale:
    def __call__(self, x):
        return x * NUMBER
    def method(self, x):
        return x * NUMBER
"""


@pytest.mark.parametrize(
    "make",
    [
        lambda m: m.Mine(),
        lambda m: FunctionTransformer(functools.partial(m.double, by=3)),
        lambda m: FunctionTransformer(m.double),
        lambda m: FunctionTransformer(m.Scale()),
        lambda m: FunctionTransformer(m.Scale().method),
        lambda m: FunctionTransformer(kw_args={"by": [functools.partial(m.double)]}),
        lambda m: FunctionTransformer(functools.partial(np.multiply, m.double)),
        lambda m: FunctionTransformer(m.Scale),
        lambda m: LogisticRegression(class_weight={"a": m.Scale()}),
    ],
)
def test_an_edit_of_a_users_code_is_seen_wherever_an_estimator_holds_it(make, tmp_path):
    seen = []
    try:
        for run, number in enumerate((1, 1, 2)):
            folder = tmp_path / str(run)
            folder.mkdir()
            script = module("users_script", SCRIPT.replace("NUMBER", str(number)), folder)
            seen.append(identified(make(script)))
    finally:
        del sys.modules["users_script"]
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]


def test_libraries_are_identified_by_their_version():
    description = GivenEstimatorLearner(LogisticRegression()).describe()["estimator"]
    assert description["class"].startswith("sklearn.linear_model._logistic.LogisticRegression of sklearn 1.")


def test_what_cannot_be_identified_is_said():
    with pytest.raises(UsageError, match="a parameter of an estimator cannot be identified: generator"):
        identified(FunctionTransformer(x for x in "ab"))


def test_code_that_was_sent_by_value_is_a_users_too():
    import cloudpickle

    from fewshot.identity import is_users, place_of

    sent = cloudpickle.loads(
        cloudpickle.dumps(eval("lambda shape, outputs: 1 // 0", {"__name__": "__main__"}))
    )
    sent.__code__ = sent.__code__.replace(co_filename="<dynamic-code>")
    assert is_users(sent)
    assert place_of(sent) == "your session's code"
