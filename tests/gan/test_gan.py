"""GANs: the report's networks, recipes, training that stops and resumes, generators that are kept."""

import json
import resource

import numpy as np
import pytest

from fewshot import machine
from fewshot.data.dataset import Dataset
from fewshot.errors import DivergedError, FewshotError, NoRoom, UsageError
from gan.generators import cached, sample_images
from gan.networks import build, to_images
from gan.recipe import GanRecipe, architectures, parse, presets
from gan.training import Run, marks, separate

pytestmark = pytest.mark.usefixtures("started")

TINY = "best:width=4,latent=8,batch=8,fakes=8,updates=6"
REPORT = "report:batch=4,fakes=4,epochs=1"


@pytest.fixture
def images(task):
    """Twelve images of two classes, numbered from 0."""
    return task.train.take(np.r_[0:6, 50:56]).compact()


@pytest.mark.parametrize(
    ("preset", "side"), [("best:width=20000", 32), ("report", 8192), ("best:batch=60000", 256)]
)
def test_a_training_that_memory_does_not_hold_is_refused_before_anything_is_allocated(
    preset, side, monkeypatch
):
    monkeypatch.setattr(machine, "memory", lambda: 8 * 10**9)
    with pytest.raises(NoRoom, match=rf"training a generator .*{side:,}×{side:,}, .* parameters, would take"):
        _engine()(parse(preset), (side, side, 3), 2)


def _engine():
    from gan.engine import Engine  # which imports Keras: after the backend has started

    return Engine


def test_the_report_s_networks_have_their_parameters():
    generator, discriminator = build("dcgan", (32, 32, 3), 0)
    assert (generator.count_params(), discriminator.count_params()) == (1_466_115, 522_497)


@pytest.mark.parametrize("name", architectures)
@pytest.mark.parametrize("labels", [0, 3])
def test_every_architecture_makes_images_and_judges_them(name, labels):
    generator, discriminator = build(name, (24, 24, 3), labels)
    latents = np.random.default_rng(0).standard_normal((5, generator.inputs[0].shape[-1])).astype(np.float32)
    one_hot = [np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1]]] if labels else []
    pixels = generator([latents, *one_hot]).numpy()
    assert pixels.shape == (5, 24, 24, 3)
    assert 0 <= pixels.min() < 127.5 < pixels.max() <= 255
    assert discriminator([pixels, *one_hot]).numpy().shape == (5, 1)


def test_labels_matter_to_both_networks(images):
    generator, discriminator = build("light", (16, 16, 3), 2)
    latents = np.ones((2, 64), np.float32)
    pixels = generator([latents, np.eye(2, dtype=np.float32)]).numpy()
    assert not np.allclose(pixels[0], pixels[1])
    same = np.stack([pixels[0]] * 2)
    logits = discriminator([same, np.eye(2, dtype=np.float32)]).numpy()
    assert abs(logits[0] - logits[1]) > 1e-6


@pytest.mark.parametrize("shape", [(30, 30, 3), (32, 16, 3)])
def test_sides_that_do_not_fit(shape):
    with pytest.raises(UsageError, match="multiple of 8"):
        build("light", shape, 0)


def test_spectral_layers_have_norm_one():
    from gan.layers import SpectralDense

    layer = SpectralDense(5, use_bias=False)
    x = np.random.default_rng(0).standard_normal((20, 9)).astype(np.float32)
    for _ in range(50):
        layer(x, training=True)
    kernel = np.linalg.lstsq(x, layer(x).numpy(), rcond=None)[0]
    assert np.linalg.norm(kernel, 2) == pytest.approx(1, abs=1e-3)
    assert np.linalg.norm(layer.kernel.numpy(), 2) != pytest.approx(1, abs=1e-3)  # its own weights stay


def test_presets_and_their_settings():
    report = parse("report")
    assert report == GanRecipe()
    assert (report.architecture, report.labels, report.fakes, report.epochs) == (
        "dcgan",
        "separate",
        128,
        200,
    )
    changed = parse("best:width=16,loss=logistic,epochs=3")
    assert (changed.architecture, changed.loss, changed.epochs) == ("light:width=16", "logistic", 3)
    assert changed.steps(100) == 3 * 7  # epochs given on the command line count, not the preset's updates
    assert set(presets) == {"report", "best"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bets", "did you mean 'best'"),
        ("best:widht=3", "did you mean 'width'"),
        ("best:loss=hing", "did you mean 'hinge'"),
        ("best:online=flop", "did you mean 'flip'"),
        ("best:updates=0", "above 0"),
        ("best:learning_rate=nan", "above 0"),
        ("report:labels=both", "unknown labels"),
        ("best:ema=1", "below 1"),
    ],
)
def test_presets_that_are_wrong(text, message):
    with pytest.raises(UsageError, match=message):
        parse(text)


def test_an_epoch_is_a_step_of_a_whole_batch_at_least():
    recipe = GanRecipe(batch=8)
    assert [recipe.epoch_steps(n) for n in (1, 7, 8, 9, 50_000)] == [1, 1, 1, 2, 6250]
    few = recipe.batch_at(0, 5, seed=0)
    assert len(few) == 8  # drawn with replacement
    assert few.max() < 5
    both = np.concatenate([recipe.batch_at(step, 12, seed=0) for step in (0, 1)])
    assert set(both) == set(range(12))  # every image once, the last batch filled up
    assert len(both) == 16
    again = np.concatenate([recipe.batch_at(step, 12, seed=0) for step in (2, 3)])
    assert not np.array_equal(both, again)


def test_losses_by_hand(images):
    """With a discriminator that says 2 to real and −0.5 to fake images."""
    from gan.engine import Engine

    expected = {
        "hinge": ((max(0, 1 - 2) + max(0, 1 - 0.5)) / 2, 0.5),
        "logistic": ((np.log1p(np.exp(-2)) + np.log1p(np.exp(-0.5))) / 2, np.log1p(np.exp(0.5))),
    }
    for loss, (discriminator, generator) in expected.items():
        engine = Engine(parse(f"{TINY},loss={loss},online=none"), (16, 16, 3), 2)
        placed = engine.place(images)
        said = np.float32([2] * 8 + [-0.5] * 8)
        engine._judge = lambda x, y, said=said: said[-len(x) :]
        index = np.arange(8, dtype=np.int32)
        assert float(engine._discriminate(placed, index)[0]) == pytest.approx(discriminator)
        assert float(engine._discriminate(placed, index)[1]) == 1.0
        assert float(engine._generate(placed, index)[0]) == pytest.approx(generator)


def test_every_weight_of_both_networks_learns(images):
    from gan.engine import compiled

    for text in (TINY, REPORT):  # with hinge, a bias may stay
        recipe = parse(text)
        parts = separate(recipe, images)
        engine = compiled(recipe, (16, 16, 3), len(parts[0].classes))
        engine.reset(0)
        weights = [*engine.generator.trainable_variables, *engine.discriminator.trainable_variables]
        before = [weight.numpy() for weight in weights]
        batches = [recipe.batch_at(step, len(parts[0]), 0) for step in range(3)]
        engine.run(engine.place(parts[0]), batches, 0)
        for weight, value in zip(weights, before, strict=True):
            assert not np.array_equal(weight.numpy(), value), weight.path


def test_a_generator_a_class(images, own_cache):
    recipe = parse(REPORT)
    assert [part.classes for part in separate(recipe, images)] == [("f",), ("j",)]
    generators = cached(recipe, images, seed=0)
    assert len(generators) == 2
    assert sample_images(generators, 3, seed=0).classes == ("f", "j")
    with pytest.raises(UsageError, match="knows of no classes"):
        cached(parse("report:labels=together"), images, seed=0)


def _finished(run):
    for _ in run.advance(run.total):
        pass
    return run.weights()


def test_stopped_and_resumed_is_the_same(images, tmp_path):
    whole = _finished(Run(parse(TINY), images, seed=1))
    traces = None
    first = Run(parse(TINY), images, seed=1)
    for _ in first.advance(4):
        pass
    first.save(tmp_path / "checkpoint.npz", [{"update": 4}])
    other = Run(parse(TINY), images, seed=2)  # something else in between, on the same engine
    _finished(other)
    second = Run(parse(TINY), images, seed=1)
    assert second.resume(tmp_path / "checkpoint.npz") == [{"update": 4}]
    assert second.done == 4
    for resumed, straight in zip(_finished(second), whole, strict=True):
        assert np.array_equal(resumed, straight)
    traces = second.traces
    assert traces.shape == (6, 4)


def test_checkpoints_of_another_run(images, tmp_path):
    path = tmp_path / "checkpoint.npz"
    Run(parse(TINY), images, seed=1).save(path, [])
    for text, seed, message in [
        (TINY.replace("width=4", "width=8"), 1, "width=4.*not light:.*width=8"),
        (f"{TINY},loss=hinge", 1, "loss: logistic, not hinge"),
        (TINY, 2, "seed: 1, not 2"),
    ]:
        with pytest.raises(UsageError, match=message):
            Run(parse(text), images, seed).resume(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(FewshotError, match="cannot be read"):
        Run(parse(TINY), images, seed=1).resume(path)


def test_a_full_disk_leaves_the_last_good_checkpoint(images, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.npz"
    run = Run(parse(TINY), images, seed=1)
    run.save(path, [])
    good = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(FewshotError, match=r"No space left.*the checkpoint before it stays"):
        run.save(path, [{"update": 1}])
    assert path.read_bytes() == good
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_a_loss_that_is_no_number_stops_the_training(images):
    run = Run(parse(TINY), images, seed=1)
    for weight in run.engine.generator.trainable_variables:
        weight.assign(np.full(weight.shape, np.nan))
    with pytest.raises(DivergedError, match=r"a loss was no longer finite at update 1$"):
        _finished(run)


@pytest.mark.filterwarnings("error")
def test_a_diverged_generator_draws_black():
    images = to_images(lambda latents: np.where(latents > 0, latents, np.nan), np.array([[-1.0, 300.0, 7.4]]))
    assert images.tolist() == [[0, 255, 7]]


def test_generators_are_kept_and_repeat(images, own_cache):
    samples = sample_images(cached(parse(TINY), images, seed=3), 5, seed=0)
    assert samples.x.shape == (10, 16, 16, 3)
    assert samples.x.dtype == np.uint8
    assert samples.y.tolist() == [0] * 5 + [1] * 5
    trained = []
    again = cached(parse(TINY), images, 3, trained.append)
    assert trained == []  # from the cache
    assert np.array_equal(sample_images(again, 5, seed=0).x, samples.x)
    more = sample_images(again, 8, seed=0)
    assert np.array_equal(more.x[:5], samples.x[:5])  # of more, the first ones are the same
    assert not np.array_equal(sample_images(again, 5, seed=1).x, samples.x)


def test_one_image_is_enough_to_train_on(task):
    recipe = parse(f"{TINY},online=none")  # which compiles sooner
    _finished(Run(recipe, task.train.take(np.array([0])).compact(), seed=0))


def test_trainings_do_not_grow(images):
    def size():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 2**20

    recipe = parse(TINY)
    _finished(Run(recipe, images, seed=0))
    before = size()
    for seed in range(5):
        _finished(Run(recipe, images, seed))
    assert size() - before < 15  # MB


def test_marks():
    assert marks(10, 4) == [4, 8, 10]
    assert marks(8, 4) == [4, 8]


def test_compact_numbers_the_classes_that_are_there():
    compact = Dataset(np.zeros((3, 8, 8, 3), np.uint8), np.array([7, 2, 7]), tuple("abcdefgh")).compact()
    assert (compact.classes, compact.y.tolist()) == (("c", "h"), [1, 0, 1])


def test_descriptions_are_json(images):
    assert json.loads(json.dumps(parse("best").describe())) == parse("best").describe()
