"""The engine and the Keras learner: PyTorch's initialisation and decay, repeatable, compiled once."""

import numpy as np
import pytest

from fewshot import backend
from fewshot.data.protocols import Protocol
from fewshot.errors import DivergedError, FewshotError
from fewshot.learners.keras_network import KerasLearner
from fewshot.models import build
from fewshot.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("started")

SHORT = Recipe(epochs=6)


def test_the_baseline_has_the_report_s_parameters():
    network = build("baseline", (32, 32, 3), 10)
    assert network.count_params() == 24_666


def test_torch_uniform_draws_what_pytorch_draws():
    """`torch.manual_seed(0); torch.rand(4)` gives 0.4963, 0.7682, 0.0885, 0.1320."""
    import keras

    from fewshot.models.layers import TorchUniform

    keras.utils.set_random_seed(0)
    values = keras.ops.convert_to_numpy(TorchUniform(fan_in=1)((4,)))
    assert np.allclose((values + 1) / 2, [0.4963, 0.7682, 0.0885, 0.1320], atol=5e-5)
    keras.utils.set_random_seed(0)
    kernel = keras.ops.convert_to_numpy(TorchUniform(fan_in=4)((1, 1, 2, 3)))
    assert np.allclose(kernel[0, 0].T.ravel()[:4], values / 2)


def test_weight_decay_goes_through_the_momentum():
    """Two steps by hand: v ← 0.9 v − 0.1 (g + 0.5 w); w ← w + v."""
    import keras

    from fewshot.training.optimizers import coupled

    weight = keras.Variable([2.0])
    optimizer = coupled(keras.optimizers.SGD)(0.1, 0.9, coupled_weight_decay=0.5)
    w, v = 2.0, 0.0
    for gradient in (1.0, -3.0):
        optimizer.apply([keras.ops.convert_to_tensor([gradient])], [weight])
        v = 0.9 * v - 0.1 * (gradient + 0.5 * w)
        w += v
        assert float(weight.numpy()[0]) == pytest.approx(w, rel=1e-6)


def test_the_same_training_as_in_pytorch(task):
    """From the same seed the same losses, update by update, as an independent PyTorch loop."""
    torch = pytest.importorskip("torch")
    from fewshot.models.layers import MEAN, STD

    torch.manual_seed(3)
    layers, channels = [], 3
    for filters, stride in ((16, 1), (16, 2), (32, 1), (32, 2)):
        layers += [torch.nn.Conv2d(channels, filters, 3, stride), torch.nn.ReLU()]
        channels = filters
    model = torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), 0.01, 0.9, weight_decay=5e-4)
    x = torch.from_numpy(((task.train.x / 255 - MEAN) / STD).astype(np.float32)).permute(0, 3, 1, 2)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x.contiguous()), torch.from_numpy(task.train.y))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    ours = KerasLearner(recipe=Recipe(epochs=20)).fit(task.train, 3).fitted.curve["loss"]
    assert np.allclose(ours, losses, rtol=1e-4)


def test_a_seed_repeats_to_the_last_digit_whatever_ran_between(task, blobs):
    learner = KerasLearner(recipe=SHORT)
    first = learner.fit(task.train, 0).predict(task.test.x)
    other = KerasLearner(recipe=SHORT, offline="flip").fit(task.train, 0)
    learner.fit(Protocol().sample_task(blobs, 1).train, 1)
    assert np.array_equal(learner.fit(task.train, 0).predict(task.test.x), first)
    assert not np.array_equal(other.predict(task.test.x), first)
    assert not np.array_equal(learner.fit(task.train, 1).predict(task.test.x), first)


def test_a_learner_predicts_with_its_own_weights(task):
    one = KerasLearner(recipe=SHORT).fit(task.train, 0)
    before = one.predict(task.test.x)
    KerasLearner(recipe=SHORT).fit(task.train, 1)
    assert np.array_equal(one.predict(task.test.x), before)


def test_nothing_is_traced_again_for_new_seeds_or_sizes(task, monkeypatch):
    """Python sees the objective while it is traced, and never again."""
    from fewshot.training.engine import Engine

    traced = []
    objective = Engine._objective
    monkeypatch.setattr(Engine, "_objective", lambda *args: traced.append(1) or objective(*args))
    recipe = Recipe(epochs=3, batch=64, weight_decay=4e-4)  # one that no other test has compiled
    for seed in range(3):
        for expansion in ("none", "flip"):
            KerasLearner(recipe=recipe, offline=expansion).fit(task.train, seed).predict(task.test.x)
    assert len(traced) == 1


def test_fit_says_what_it_took(task):
    fitted = KerasLearner(recipe=Recipe(epochs=40, batch=64)).fit(task.train, 0, watch=task.test).fitted
    assert (fitted.n_train, fitted.updates, fitted.images_seen) == (100, 80, 4000)
    assert len(fitted.curve["update"]) == 20
    assert fitted.curve["update"][-1] == 80
    assert set(map(len, fitted.curve.values())) == {20}
    fitted = KerasLearner(recipe=Recipe(updates=7, batch=64), offline="flip").fit(task.train, 0).fitted
    assert (fitted.n_train, fitted.updates, fitted.images_seen) == (200, 7, 200 + 3 * 64)
    assert "held_out_loss" not in fitted.curve


def test_probabilities_sum_to_one_and_learn(task):
    learner = KerasLearner(recipe=Recipe(epochs=20, batch=10)).fit(task.train, 0)
    probabilities = learner.predict(task.test.x)
    assert probabilities.shape == (700, 10)
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5)
    assert (probabilities.argmax(1) == task.test.y).mean() > 0.9


def test_divergence_is_an_error_with_the_update(task):
    with pytest.raises(DivergedError, match=r"at update [1-9]"):
        KerasLearner(recipe=Recipe(learning_rate=1e12)).fit(task.train, 0)


def test_batches_cover_every_epoch_once():
    batches = Recipe(batch=4).batches(10, np.random.default_rng(0))
    for _ in range(3):
        epoch = [next(batches) for _ in range(3)]
        assert [len(batch) for batch in epoch] == [4, 4, 2]
        assert sorted(np.concatenate(epoch)) == list(range(10))


def test_a_process_keeps_its_number_of_threads():
    with pytest.raises(FewshotError, match="already computes with 1 threads"):
        backend.start(2, "cpu")
