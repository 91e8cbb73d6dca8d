"""Transfer: what is learnt first comes from other classes alone, is kept, and moves only what it should."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import learner

from fewshot.data import Prepared
from fewshot.data.dataset import Dataset
from fewshot.data.protocols import Protocol
from fewshot.data.sources import save
from fewshot.errors import FewshotError, UsageError
from fewshot.learners import transfer as pretraining
from fewshot.learners.keras_network import KerasLearner
from fewshot.learners.transfer import TransferLearner
from fewshot.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("started")

LEARNER = TransferLearner(
    KerasLearner("baseline:width=4,norm=batch", Recipe(epochs=3)), transfer="blobs", last=1, pretrain_epochs=1
)


@pytest.fixture
def source(blobs, tmp_path, monkeypatch):
    """The blobs as the dataset to transfer from, and a cache of its own."""
    folder = tmp_path / "blobs"
    folder.mkdir()
    save(blobs, folder, "here")
    prepared = Prepared("blobs", folder, blobs.classes, "f" * 64, "testbed", 2)
    monkeypatch.setattr(pretraining, "_source", lambda name: prepared)
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pretrained"


def test_the_task_s_classes_never_come_first(task, source):
    others = LEARNER._others(task.train)
    assert others.classes == tuple(name for name in "abcdefghij" if name not in task.classes)
    assert len(others) == 8 * 1100
    seen = {image.tobytes() for image in others.x}
    assert not seen & {image.tobytes() for image in np.concatenate([task.train.x, task.test.x])}


@pytest.mark.parametrize(("last", "moved"), [(0, 16), (1, 0), (2, 2)])
def test_what_is_trained(task, source, last, moved):
    """Before the head: four kernels and biases, and four variables of each of two BatchNorms."""
    found = replace(LEARNER, last=last)
    start = [array for layer in found._start(task.train, 0)[:-1] for array in layer]
    found.fit(task.train, 0)
    body = [array for layer in found.base.members()[0].layers[:-1] for array in layer.get_weights()]
    kept = sum(np.array_equal(a, b) for a, b in zip(start, body, strict=True))
    assert len(start) - kept == moved


def test_what_is_learnt_first_is_kept_and_the_head_is_new(task, source, capsys):
    first = LEARNER._start(task.train, 0)
    assert len(list(source.glob("[0-9a-f]*"))) == 1
    again = LEARNER._start(task.train, 0)
    assert all(
        np.array_equal(a, b) for x, y in zip(first, again, strict=True) for a, b in zip(x, y, strict=True)
    )
    assert first[-1][0].shape[-1] == 8
    assert replace(LEARNER, last=0)._start(task.train, 0)[0] == first[0]  # shared by all that follow
    for file in source.glob("*/weights.npz"):
        file.write_bytes(b"torn")
    after = LEARNER._start(task.train, 0)
    assert np.array_equal(after[-1][0], first[-1][0])
    assert "computed anew" in capsys.readouterr().err


def test_the_control_has_random_weights(task, source):
    control = replace(LEARNER, transfer="none")
    assert control._start(task.train, 0) is None
    assert control.shared() == ()
    control.fit(task.train, 0)
    assert not source.exists()


def test_no_classes_left_and_other_sizes(task, source, blobs):
    everything = Dataset(blobs.train.x[:50], np.repeat(np.arange(10), 5), blobs.classes)
    with pytest.raises(UsageError, match="no two classes beside those of the task"):
        LEARNER.fit(everything, 0)
    with pytest.raises(UsageError, match="blobs has images of 16×16, not 32×32"):
        LEARNER.check((32, 32, 3))


def test_the_name_of_a_method_says_it_all(source):
    found = learner("compact:transfer=cifar100,last=2,epochs=7,pretrain_epochs=3", {})
    assert (found.transfer, found.last, found.pretrain_epochs, found.base.recipe.epochs) == (
        "cifar100",
        2,
        3,
        7,
    )
    with pytest.raises(UsageError, match="transfer= is for networks"):
        learner("ridge:transfer=cifar10", {})
    with pytest.raises(UsageError, match="unknown setting of the method 'compact' 'lats'"):
        learner("compact:transfer=cifar10,lats=1", {})


def test_a_source_that_cannot_be_had_names_the_other(monkeypatch):
    def fail(spec):
        raise FewshotError("no source for cifar100")

    monkeypatch.setattr(pretraining, "prepare", fail)
    with pytest.raises(FewshotError, match="transfer=cifar10 needs no second dataset"):
        pretraining._source.__wrapped__("cifar100")


def test_held_out_images_of_a_task_are_of_its_classes_alone(blobs):
    """Why other classes may come first: a task is measured on its own classes only."""
    for seed in range(5):
        task = Protocol().sample_task(blobs, seed)
        assert set(np.unique(task.test.y)) == set(np.unique(task.train.y))
