"""Tasks: balanced, disjoint, equal to the protocol's formula; tuning tasks share no image with them."""

import numpy as np
import pytest

from fewshot.data import Dataset, Splits
from fewshot.data.protocols import TUNING, Protocol, count_folds, near_duplicates, protocols, takes_shots
from fewshot.errors import UsageError


@pytest.fixture(scope="module")
def cifar_like():
    """As many images a class as CIFAR-10; the pixel values of an image spell its position."""
    y = np.random.default_rng(1).permutation(np.repeat(np.arange(10), 5000)).astype(np.int64)
    number = np.arange(len(y), dtype=np.uint32)
    x = number.view(np.uint8).reshape(-1, 2, 2, 1)[..., [0, 0, 0]].copy()
    return Splits(
        "like", Dataset(x, y, tuple("abcdefghij")), Dataset(x[:1000], y[:1000], tuple("abcdefghij"))
    )


def test_testbed_is_the_formula_of_the_report(cifar_like):
    for seed in range(5):
        prng = np.random.RandomState(seed)
        perm = prng.permutation(1000)
        pair = prng.permutation(10)[:2]
        index = [np.flatnonzero(cifar_like.train.y == c) for c in pair]
        task = Protocol().sample_task(cifar_like, seed)
        assert task.train_index.tolist() == np.concatenate([i[perm[:50]] for i in index]).tolist()
        assert task.test_index.tolist() == np.concatenate([i[perm[50:400]] for i in index]).tolist()
        assert task.classes == tuple("abcdefghij"[c] for c in pair)


def test_known_pairs():
    """Seeds 0 to 9 never draw airplane, deer or ship."""
    drawn = set()
    for seed in range(10):
        prng = np.random.RandomState(seed)
        prng.permutation(1000)
        drawn |= set(prng.permutation(10)[:2])
    assert drawn == set(range(10)) - {0, 4, 8}


def test_tuning_tasks_share_no_image_with_reported_ones(cifar_like):
    for name in ("testbed", "pairs45"):
        seeds = range(45) if name == "pairs45" else range(100)
        tasks = [[Protocol(name).sample_task(cifar_like, first + s) for s in seeds] for first in (0, TUNING)]
        reported, tuning = ({i for t in ts for i in (*t.train_index, *t.test_index)} for ts in tasks)
        assert reported
        assert tuning
        assert not reported & tuning


@pytest.mark.parametrize("name", list(protocols))
@pytest.mark.parametrize("shots", [5, 50, 60])
def test_balanced_disjoint_repeatable(blobs, name, shots):
    shots_count = takes_shots(name)
    protocol = Protocol(name, 2 if shots_count else None, shots)
    task, again = protocol.sample_task(blobs, 2), protocol.sample_task(blobs, 2)
    assert np.array_equal(task.train_index, again.train_index)
    assert np.array_equal(task.test.x, again.test.x)
    ways = len(task.classes)
    for part in (task.train, task.test):
        counts = np.bincount(part.y, minlength=10)
        assert set(counts[counts > 0]) == {len(part) // ways}
    assert len(np.unique(task.train_index)) == len(task.train_index)
    if task.test_part == "train":
        assert not set(task.train_index) & set(task.test_index)
    assert np.array_equal(blobs.train.x[task.train_index], task.train.x)
    if shots_count:
        assert len(task.train) == shots * ways


def test_fewer_shots_keep_the_held_out_images(blobs):
    few, many = Protocol(shots=10).sample_task(blobs, 0), Protocol(shots=50).sample_task(blobs, 0)
    assert np.array_equal(few.test_index, many.test_index)
    assert set(few.train_index) < set(many.train_index)


def test_fixed_classes_and_ways(blobs):
    assert Protocol(classes=("c", "a")).sample_task(blobs, 3).classes == ("c", "a")
    assert len(set(Protocol(ways=5).sample_task(blobs, 3).classes)) == 5


def test_pairs45_goes_through_every_pair_once(blobs):
    drawn = {frozenset(Protocol("pairs45").sample_task(blobs, seed).classes) for seed in range(45)}
    assert len(drawn) == 45


def test_deic_takes_the_next_images_of_every_class_in_dataset_order():
    y = np.array([1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 1, 0])  # 0 at 1 2 4 7 8 11, 1 at 0 3 5 6 9 10
    x = np.zeros((12, 2, 2, 3), np.uint8)
    data = Splits("tiny", Dataset(x, y, ("a", "b")), Dataset(x[:3], y[:3], ("a", "b")))
    drawn = [Protocol("deic", None, shots=2).sample_task(data, seed) for seed in range(3)]
    assert [task.train_index.tolist() for task in drawn] == [[1, 2, 0, 3], [4, 7, 5, 6], [8, 11, 9, 10]]
    assert {(task.test_part, *task.test_index.tolist()) for task in drawn} == {("test", 1, 2, 0)}
    fixed = Protocol("deic", None, shots=2, classes=("b", "a")).sample_task(data, 0)
    assert (fixed.classes, fixed.train_index.tolist()) == (("b", "a"), [0, 3, 1, 2])


def test_deics_splits_share_no_image_among_them_nor_with_tuning_or_the_testbed(cifar_like):
    protocol = Protocol("deic", None)
    reported, tuning = (
        [protocol.sample_task(cifar_like, first + s) for s in range(3)] for first in (0, TUNING)
    )
    images = [index for task in reported for index in task.train_index]
    assert len(set(images)) == len(images) == 1500
    tuned = {index for task in tuning for index in (*task.train_index, *task.test_index)}
    assert {task.test_part for task in tuning} == {"train"}
    assert len(tuned) == 1500 + 10_000
    testbed = [Protocol().sample_task(cifar_like, seed) for seed in range(100)]
    assert not tuned & {*images, *(i for task in testbed for i in (*task.train_index, *task.test_index))}


def test_deics_tuning_tasks_end_before_their_held_out_images(cifar_like):
    task = Protocol("deic", None).sample_task(cifar_like, TUNING + 59)
    assert not set(task.train_index) & set(task.test_index)
    first = np.flatnonzero(cifar_like.train.y == 0)
    assert task.train_index[:50].tolist() == first[3950:4000].tolist()
    assert task.test_index[:1000].tolist() == first[4000:].tolist()
    with pytest.raises(UsageError, match=r"seed 1060 .* images 4000-4049 .* last for it is 3999"):
        Protocol("deic", None).sample_task(cifar_like, TUNING + 60)


def test_full_uses_everything_and_splits_where_there_is_no_test_part(blobs):
    task = Protocol("full", None).sample_task(blobs, 0)
    assert (len(task.train), len(task.test), task.test_part) == (11000, 200, "test")
    task = Protocol("full", None).sample_task(Splits("blobs", blobs.train), 0)
    assert (len(task.train), len(task.test), task.test_part) == (8800, 2200, "train")
    assert not set(task.train_index) & set(task.test_index)


def test_full_keeps_a_tenth_for_choices(blobs):
    """Tuning seeds share one validation set of training images, and never see the test images."""
    first, second = (Protocol("full", None).sample_task(blobs, TUNING + seed) for seed in range(2))
    assert (len(first.train), len(first.test), first.test_part) == (9900, 1100, "train")
    assert np.bincount(first.test.y).tolist() == [110] * 10
    assert not set(first.train_index) & set(first.test_index)
    assert first.test_index.tolist() == second.test_index.tolist()
    with pytest.raises(UsageError, match="no test images to keep apart"):
        Protocol("full", None).sample_task(Splits("blobs", blobs.train), TUNING)


def test_full_limited(blobs):
    some, more = (Protocol("full", None, limit=limit).sample_task(blobs, 0) for limit in (205, 300))
    assert np.bincount(some.train.y).tolist() == [20] * 10
    assert set(some.train_index) < set(more.train_index)
    assert len(some.test) == 200
    with pytest.raises(UsageError, match="less than an image for each class"):
        Protocol("full", None, limit=9).sample_task(blobs, 0)
    assert "limit" not in Protocol("full", None).describe()  # records without a limit keep their keys


def test_unequal_classes(blobs):
    keep = np.concatenate([np.flatnonzero(blobs.train.y == c)[: 60 + 10 * c] for c in range(2)])
    data = Splits("unequal", blobs.train.take(keep))
    balanced = Protocol("stratified", 2, classes=("a", "b")).sample_task(data, 0)
    assert np.bincount(balanced.test.y).tolist() == [10, 10]
    kept = Protocol("stratified", 2, classes=("a", "b"), balanced=False).sample_task(data, 0)
    assert np.bincount(kept.test.y).tolist() == [10, 20]
    assert np.bincount(kept.train.y).tolist() == [50, 50]
    whole = Protocol("full", None, classes=("a", "b")).sample_task(data, 0)
    assert np.bincount(whole.train.y).tolist() == [48, 56]  # all that is not held out
    assert np.bincount(whole.test.y).tolist() == [12, 12]


def scenes_of(*classes):
    """Return a folder's images: for each class, how often each of its scenes was photographed.

    A copy differs from its scene in a bit or two, which makes them near-duplicates.
    """
    rng = np.random.default_rng(0)
    x, y = [], []
    for label, copies in enumerate(classes):
        for count in copies:
            scene = rng.integers(0, 250, (16, 16, 3), dtype=np.uint8)
            x += [scene + np.uint8(copy) for copy in range(count)]
            y += [label] * count
    order = rng.permutation(len(y))
    names = tuple("abcdef"[: len(classes)])
    return Splits("scenes", Dataset(np.stack(x)[order], np.array(y, np.int64)[order], names))


def test_folds_hold_out_every_image_once_and_train_on_all_others():
    data = scenes_of([1] * 23, [1] * 57, [1] * 14)
    protocol = Protocol("folds", None)
    assert count_folds(protocol, data) == 10
    for first in (0, 10):
        tasks = [protocol.sample_task(data, seed) for seed in range(first, first + 10)]
        assert sorted(i for task in tasks for i in task.test_index) == list(range(94))
        for task in tasks:
            assert sorted([*task.train_index, *task.test_index]) == list(range(94))
            assert task.test_part == "train"
        counts = np.stack([np.bincount(task.test.y, minlength=3) for task in tasks])
        assert np.ptp(counts, axis=0).tolist() == [1, 1, 1]  # stratified within one photo
        assert np.ptp(counts.sum(1)) == 1
    one, other = (protocol.sample_task(data, seed).test_index.tolist() for seed in (0, 10))
    assert one != other
    assert protocol.sample_task(data, 10).test_index.tolist() == other


def test_folds_keep_near_duplicates_on_one_side_and_still_spread_the_classes():
    data = scenes_of([4, 3, 3, 2, *[1] * 18], [6, *[1] * 24])
    protocol = Protocol("folds", None)
    scenes = near_duplicates(data.train, data.train)[0]
    assert len(np.unique(scenes)) == 22 + 25
    for first in (0, 10, 20):
        counts = []
        for seed in range(first, first + 10):
            task = protocol.sample_task(data, seed)
            assert not set(scenes[task.train_index]) & set(scenes[task.test_index])
            counts.append(np.bincount(task.test.y, minlength=2))
        assert np.stack(counts).max(0).tolist() == [4, 6]  # the largest scene
        assert np.stack(counts).min() >= 1


def test_a_small_class_decides_how_many_folds_there_are():
    protocol = Protocol("folds", None)
    assert count_folds(protocol, scenes_of([1] * 30, [1] * 3)) == 3
    assert count_folds(protocol, scenes_of([1] * 30, [3, 2, 1, 1])) == 4  # near-duplicates count once
    data = scenes_of([1] * 30, [1] * 3)
    tasks = [protocol.sample_task(data, seed) for seed in range(3)]
    assert [np.bincount(task.test.y).tolist() for task in tasks] == [[10, 1]] * 3
    with pytest.raises(UsageError, match=r"class 'b' has one image, .*add images of it$"):
        protocol.sample_task(scenes_of([1] * 30, [1]), 0)
    with pytest.raises(UsageError, match="'b' has 4 images, all near-duplicates of one another"):
        protocol.sample_task(scenes_of([1] * 30, [4]), 0)
    with pytest.raises(UsageError, match="every image in turn and keeps none apart for tuning"):
        protocol.sample_task(data, TUNING)
    left_out = Protocol("folds", None, classes=("a", "c"))
    assert count_folds(left_out, scenes_of([1] * 30, [1], [1] * 8)) == 8


def test_what_a_rule_does_not_heed_is_not_in_its_name():
    for name in ("full", "folds"):
        assert Protocol(name, None, 20).describe() == Protocol(name, None, 50).describe()
        assert "images" not in str(Protocol(name, None))
    assert (
        Protocol("folds", None, balanced=True).describe()
        == Protocol("folds", None, balanced=False).describe()
    )
    assert not Protocol("folds", None).describe()["balanced"]
    assert Protocol(shots=20).describe() != Protocol(shots=50).describe()


def test_val_serves_tuning_and_test_the_report(blobs):
    data = Splits("split", blobs.train, test=blobs.test, val=blobs.test)
    assert Protocol("stratified").sample_task(data, 0).test_part == "test"
    assert Protocol("stratified").sample_task(data, TUNING).test_part == "val"


@pytest.mark.parametrize(
    ("protocol", "seed", "message"),
    [
        (Protocol(classes=("a", "k")), 0, "unknown class 'k'"),
        (Protocol(ways=11), 0, "asks for more"),
        (Protocol(classes=("a", "a")), 0, "names a class twice"),
        (Protocol(), 2**32, "seeds go up to"),
        (Protocol(shots=1000), 0, "1000 images a class"),
        (Protocol("stratified", shots=1101), 0, "too few images per class .*f 1100.*1101 each"),
        (Protocol("pairs45"), 45, "seeds 0-44"),
        (Protocol("pairs45", ways=3), 0, "leave out classes= and ways="),
        (Protocol("testbed-test"), TUNING, "no tuning tasks"),
        (Protocol("deic", None), 9, "deic has 3 splits .*: use seeds=3"),
        (Protocol("deic", None), 999, "use seeds=3"),
        (Protocol("deic", None), TUNING, "too few images per class"),
        (Protocol("deic", None, shots=400), 2, "images 800-1199 of each class.*fewer shots="),
        (Protocol("stratified"), TUNING, "keep apart for tuning"),
        (Protocol(), TUNING, "too few images per class"),
        (Protocol("testbd"), 0, "did you mean 'testbed'"),
    ],
)
def test_what_the_data_cannot_give(blobs, protocol, seed, message):
    with pytest.raises(UsageError, match=message):
        protocol.sample_task(blobs, seed)
