"""`experiments.try_`: a page for photos, without its extra, with a stand-in for Gradio, and with Gradio."""

import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from experiments import try_
from fewshot.data import Dataset
from fewshot.deploy.saved import Look
from fewshot.learners.estimator import EstimatorLearner

pytestmark = pytest.mark.usefixtures("started")

CLASSES = ["<b>dark</b>", "light", "other"]
DARK, LIGHT = 20, 235


@pytest.fixture(scope="module")
def model(tmp_path_factory, started):
    """A model that tells dark images from light ones."""
    from fewshot.deploy.export import export

    y = np.arange(40) % 2
    noise = np.random.default_rng(0).integers(-15, 15, (40, 24, 24, 3))
    x = (np.where(y, LIGHT, DARK)[:, None, None, None] + noise).astype(np.uint8)
    path = tmp_path_factory.mktemp("models") / "model.keras"
    export(EstimatorLearner("logistic"), Dataset(x, y, ("<b>dark</b>", "light")), 0, path, {})
    return path


class Part:
    """Anything on the stand-in's page: keeps what it is made and called with."""

    made: list  # of all parts

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs, self.called = args, kwargs, {}
        Part.made.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def change(self, *args, **kwargs):
        self.called["change"] = args, kwargs

    def launch(self, **kwargs):
        self.called["launch"] = kwargs | {"temporary": os.environ["GRADIO_TEMP_DIR"]}
        if kwargs["server_port"] == 1:
            raise OSError("Cannot find empty port")
        return None, "http://127.0.0.1:7860/", None

    def block_thread(self):
        self.called["block_thread"] = ()


@pytest.fixture
def gradio(monkeypatch):
    """A stand-in for Gradio; returns the parts of the page."""
    module = ModuleType("gradio")
    module.__spec__ = ModuleSpec("gradio", None)
    for name in ("Blocks", "Row", "Column", "HTML", "Image"):
        setattr(module, name, type(name, (Part,), {}))
    monkeypatch.setitem(sys.modules, "gradio", module)
    for name in ("GRADIO_ANALYTICS_ENABLED", "GRADIO_TEMP_DIR"):
        monkeypatch.setenv(name, "")
    Part.made = []
    return Part.made


def ran(capsys, *args):
    code = try_.main([*map(str, args), "--threads", "1", "--device", "cpu"])
    return code, *capsys.readouterr()


def test_without_its_extra_it_is_one_line_with_the_command(model, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    code, out, err = ran(capsys, model)
    assert (code, out) == (2, "")
    assert err.strip().endswith("pip install 'fewshot-testbed[try]'")
    assert len(err.splitlines()) == 1


def test_without_a_model_it_is_one_line(tmp_path, capsys):
    code, _, err = ran(capsys, tmp_path / "none.keras")
    assert code == 2
    assert "no such model" in err


def test_the_page_is_for_this_machine_alone_and_reports_nothing(model, capsys, gradio):
    code, out, err = ran(capsys, model, "--no-browser", "--port", "7871")
    assert code == 0, err
    assert "http://127.0.0.1:7860/ (on this machine only)" in out
    page = gradio[0]
    launched = page.called["launch"]
    assert (launched["server_name"], launched["share"], launched["server_port"]) == ("127.0.0.1", False, 7871)
    assert not launched["inbrowser"]
    assert not launched["enable_monitoring"]
    assert launched["max_file_size"] == try_.LARGEST
    assert page.kwargs["analytics_enabled"] is False
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert "block_thread" in page.called
    assert not Path(launched["temporary"]).exists()  # dropped photos are gone


def test_a_photo_that_is_dropped_is_answered(model, capsys, gradio, tmp_path):
    assert ran(capsys, model, "--no-browser")[0] == 0
    photo = next(part for part in gradio if "change" in part.called)
    (handler, *_), _ = photo.called["change"]
    file = tmp_path / "photo.jpg"
    Image.new("RGB", (60, 40), (DARK,) * 3).save(file)
    assert photo.preprocess(SimpleNamespace(path=str(file))) == str(file)
    assert photo.preprocess(None) is None
    assert '<h2 id="answer">&lt;b&gt;dark&lt;/b&gt;</h2>' in handler(str(file))
    assert handler(None) == ""
    file.write_bytes(b"torn <b>")
    assert "This file cannot be read" in handler(str(file))
    assert str(tmp_path) not in handler(str(file))
    heading = next(part.args[0] for part in gradio if part.args)
    assert "2 classes: &lt;b&gt;dark&lt;/b&gt;, light." in heading
    assert "It cannot say 'none of these'" in heading


def test_a_port_that_is_taken_is_one_line(model, capsys, gradio):
    code, _, err = ran(capsys, model, "--no-browser", "--port", "1")
    assert code == 1
    assert "--port is taken" in err
    assert len(err.splitlines()) == 1


def told(probabilities, threshold=0.8, **fields):
    return try_._told(Look(np.array(probabilities), **fields), CLASSES, threshold)


def test_what_is_told_of_an_answer():
    sure = told([0.9, 0.06, 0.04])
    assert '<h2 id="answer">&lt;b&gt;dark&lt;/b&gt;</h2><div' in sure
    assert [sure.index(f"{share} %") for share in ("90.0", "6.0", "4.0")] == sorted(
        sure.index(f"{share} %") for share in ("90.0", "6.0", "4.0")
    )
    unsure = told([0.6, 0.3, 0.1], named=np.array([True, True, False]))
    told_unsure = "Perhaps &lt;b&gt;dark&lt;/b&gt;: its probability is below 80 %. It may be light, too."
    assert f'<h2 id="answer">unsure</h2><p>{told_unsure}</p>' in unsure
    novel = told([0.97, 0.02, 0.01], novel=True)
    assert '<h2 id="answer">none of these</h2><p>It is unlike the photos' in novel
    certain = told([1.0, 0.0, 0.0])
    assert "&gt;99.9 %" in certain
    assert "100.0 %" not in certain
    assert "unsure" not in told([0.6, 0.3, 0.1], threshold=0.5)


@pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="needs the extra 'try'")
def test_gradio_makes_the_page(model):
    from fewshot.deploy.saved import load

    config = try_._page(load(model), 0.8).get_config_file()
    assert [part["type"] for part in config["components"]].count("image") == 1
