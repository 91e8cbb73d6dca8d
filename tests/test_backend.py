"""The backend of a process: which one, on which device, and Keras as it comes, whatever a user has set."""

import os
import subprocess
import sys

import pytest

import fewshot as fs
from experiments import augment
from fewshot import backend
from fewshot.errors import UsageError
from fewshot.learners.contract import Learner


@pytest.fixture
def card(monkeypatch, tmp_path):
    """A machine with a card, and TensorFlow without CUDA."""
    monkeypatch.setattr(backend, "CARD", tmp_path)
    monkeypatch.setitem(backend._SEES, "tensorflow", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    backend._sees_card.cache_clear()
    yield monkeypatch
    backend._sees_card.cache_clear()


def test_a_card_that_the_backend_cannot_use_leaves_the_cpu_and_one_line(card, capsys):
    assert backend.resolve_device("auto") == "cpu"
    assert backend.resolve_device("auto") == "cpu"
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "pip install 'tensorflow[and-cuda]'" in lines[0]


def test_a_card_that_the_backend_can_use_is_used(card, capsys):
    card.setitem(backend._SEES, "tensorflow", lambda: True)
    assert backend.resolve_device("auto") == "gpu"
    assert not capsys.readouterr().err


@pytest.mark.parametrize("value", ["", "-1", " -1", "NoDevFiles", "-1,0", "none"])
def test_a_hidden_card_is_not_asked_for(card, capsys, value):
    card.setenv("CUDA_VISIBLE_DEVICES", value)
    card.setitem(backend._SEES, "tensorflow", lambda: True)
    assert backend.resolve_device("auto") == "cpu"
    assert not capsys.readouterr().err


def test_a_device_that_is_named_is_taken_as_it_is(card):
    assert [backend.resolve_device(name) for name in ("cpu", "gpu", "gpus")] == ["cpu", "gpu", "gpus"]


def test_cards_by_number_or_name_are_not_hidden(card):
    card.setitem(backend._SEES, "tensorflow", lambda: True)
    for value in ("0", "1,0", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"):
        card.setenv("CUDA_VISIBLE_DEVICES", value)
        assert backend.resolve_device("auto") == "gpu"


@pytest.mark.parametrize("wanted", ["torch", "foo", "TensorFlow"])
def test_a_backend_that_studies_do_not_run_on_is_one_line_in_every_face(
    monkeypatch, capsys, tmp_path, wanted
):
    monkeypatch.setenv("KERAS_BACKEND", wanted)
    assert augment.main(["--data", "digits", "--out", str(tmp_path)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert f"unknown KERAS_BACKEND '{wanted}'" in errors[0]
    with pytest.raises(UsageError, match="known are tensorflow, jax"):
        fs.run("ridge", "digits", seeds=1, out=tmp_path)


def test_a_backend_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(backend, "_is_installed", lambda package: False)
    with pytest.raises(UsageError, match="KERAS_BACKEND=jax, but jax is not installed"):
        backend.name()


def test_keras_computes_as_it_comes_whatever_its_settings_said(monkeypatch, started):
    import keras

    keras.config.set_floatx("float16")
    keras.config.set_image_data_format("channels_first")
    keras.config.set_epsilon(1e-3)
    backend._import_keras()
    config = keras.config
    assert (config.floatx(), config.image_data_format(), config.epsilon()) == (
        "float32",
        "channels_last",
        1e-7,
    )
    assert config.dtype_policy().name == "float32"


def test_a_variable_with_which_libraries_compute_other_numbers_is_part_of_every_key(monkeypatch):
    class Mine(Learner):
        def describe(self):
            return {"libraries": backend.versions("numpy")}

    for name in backend.CHANGING:
        monkeypatch.delenv(name, raising=False)
    backend.versions.cache_clear()
    plain = Mine().identity()
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    backend.versions.cache_clear()
    assert Mine().identity()["libraries"] == plain["libraries"] | {"TF_ENABLE_ONEDNN_OPTS": "0"}
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    backend.versions.cache_clear()
    assert Mine().identity() == plain


def test_what_a_notebook_or_an_empty_variable_says_is_decided_as_fewshot_is_imported():
    environment = {"KERAS_BACKEND": "", "MPLBACKEND": "module://matplotlib_missing.backend_inline"}
    code = "import os, fewshot; print(os.environ['KERAS_BACKEND'], os.environ.get('MPLBACKEND'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True
    )
    assert done.stdout.split() == ["tensorflow", "None"], done.stderr


SAYS = """
import os, sys
from fewshot import backend
with backend.without_chatter():
    os.write(2, b"I0000 native chatter\\n")
    print("from Python", file=sys.stderr)
    os.write(1, b"still inside\\n")
    os.write(2, b"native news\\n")
"""


def test_what_python_tells_while_native_code_is_held_back_is_not_held():
    """A progress that another thread shows must not fall silent while TensorFlow starts."""
    done = subprocess.run([sys.executable, "-c", SAYS], stderr=subprocess.STDOUT, stdout=subprocess.PIPE)
    assert done.stdout.decode().splitlines() == ["from Python", "still inside", "native news"]
