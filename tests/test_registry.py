"""Names: registered once, found, and the nearest one suggested; whose code it is, and what identifies it."""

import functools
import linecache
import subprocess
import sys
from pathlib import Path

import pytest

import fewshot
from fewshot import identity
from fewshot.errors import UsageError
from fewshot.registry import Registry, visiting
from fewshot.seeding import rng, stream_seed


@pytest.fixture
def fruit():
    registry = Registry("fruit")

    @registry.register("apple", version=2, colour="red")
    def apple():
        """A pome.

        More of it.
        """
        return "apple!"

    return registry


def test_a_definition_carries_what_was_registered(fruit):
    definition = fruit["apple"]
    assert (definition(), definition.declared, definition.traits["colour"]) == ("apple!", 2, "red")
    assert definition.version.startswith("2 of test_registry.py ")
    assert definition.summary == "A pome."
    assert list(fruit) == ["apple"]


def test_unknown_names_suggest_the_nearest(fruit):
    with pytest.raises(UsageError, match="unknown fruit 'aple': did you mean 'apple'"):
        fruit["aple"]
    with pytest.raises(UsageError, match="unknown fruit 'xyz': known are apple"):
        fruit["xyz"]


def test_a_name_can_be_taken_once(fruit):
    with pytest.raises(ValueError, match="registered already"):
        fruit.register("apple")(lambda: None)


def test_registries_of_one_namespace_refuse_each_other_s_names(fruit):
    first, second = Registry("herb", namespace="plant"), Registry("tree", namespace="plant")
    first.register("mint")(lambda: None)
    with pytest.raises(ValueError, match="'mint' is taken by the herb 'mint': a tree needs another"):
        second.register("mint")(lambda: None)
    fruit.register("mint")(lambda: None)  # another namespace


def test_all_methods_share_one_namespace():
    from fewshot.augment.offline import expansions
    from fewshot.baselines import estimators
    from fewshot.baselines.numpy_net import nets
    from fewshot.models import networks

    for registry, taken in (
        (networks, "ridge"),
        (nets, "baseline"),
        (estimators, "flip"),
        (expansions, "knn"),
    ):
        with pytest.raises(ValueError, match=f"the name '{taken}' is taken by"):
            registry.register(taken)(lambda: None)


# Whose code, and what identifies it


@pytest.fixture
def run_cell(fruit):
    """Run source as a notebook's cell: a module `__main__`, a file of no disk, its lines in `linecache`."""
    names = {"__name__": "__main__", "fruit": fruit, "functools": functools}

    def run(source: str, cell: int = 1) -> str | None:
        file = f"<cell {cell} {hash(source)}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        exec(compile(source, file, "exec"), names)
        return fruit["pear"].version if "pear" in fruit else None

    return run


PEAR = """
@fruit.register("pear")
def pear(shape, outputs, size=3):
    return size * 2
"""


def test_a_cell_run_twice_replaces_and_an_edited_one_is_another_version(run_cell, fruit):
    first = run_cell(PEAR)
    assert first.startswith("1 of this session ")
    assert run_cell(PEAR) == first
    edited = run_cell(PEAR.replace("size * 2", "size * 3"))
    assert edited != first
    assert fruit["pear"](0, 0) == 9
    assert run_cell(PEAR.replace("size=3", "size=4")) not in (first, edited)
    assert run_cell(PEAR) == first


def test_what_a_cell_names_of_the_notebook_is_seen(run_cell):
    names = "def helper(x):\n    return x * FACTOR\n"
    source = PEAR.replace("size * 2", "helper(size)")
    run_cell("FACTOR = 2\n" + names)
    first = run_cell(source, 2)
    assert run_cell("FACTOR = 3\n", 3) != first  # asked when it is needed, not when it is registered
    assert run_cell("FACTOR = 2\n", 3) == first
    assert run_cell(names.replace("x * F", "x + F")) != first
    assert run_cell(names + "unrelated = 5\n") == first


def test_closures_classes_and_partials_are_seen(run_cell):
    maker = "def make(k):\n    return lambda: k\nfruit.register('pear')(make({}))\n"
    assert run_cell(maker.format(1)) != run_cell(maker.format(2))
    of_a_function = "def make(k):\n    return k\nfruit.register('pear')(functools.partial(make, {}))\n"
    assert run_cell(of_a_function.format(1)) != run_cell(of_a_function.format(2))
    cls = "@fruit.register('pear')\nclass Pear:\n    size: int = {}\n    def grow(self):\n        return {}\n"
    versions = {run_cell(cls.format(*values)) for values in ((1, 1), (1, 2), (2, 1))}
    assert len(versions) == 3
    assert run_cell(cls.format(1, 1)) in versions


def test_a_name_of_ours_is_not_replaced_from_a_notebook():
    from fewshot.models import networks

    source = "@networks.register('baseline')\ndef baseline(shape, outputs):\n    pass\n"
    with pytest.raises(ValueError, match="the network 'baseline' is registered already"):
        exec(compile(source, "<cell>", "exec"), {"__name__": "__main__", "networks": networks})
    assert networks["baseline"].version == 1


def _import(folder: Path, module: str, source: str) -> None:
    path = folder.joinpath(*module.split(".")).with_suffix(".py")
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    code = compile(source, str(path), "exec")
    exec(code, {"__name__": module, "__file__": str(path)})


def test_a_user_s_own_experiments_are_the_user_s(tmp_path):
    """Files decide, not the names of modules."""
    from fewshot.models import networks

    source = (
        "from fewshot.models import networks\nfrom fewshot.models.forms import register_family\n"
        "def _build(k, shape, outputs):\n    pass\nregister_family(_build, {'mine-a': ('A.', 1)})\n"
        "@networks.register('mine')\ndef mine(shape, outputs):\n    pass\n"
    )
    try:
        _import(tmp_path, "experiments.mine", source)
        first = networks["mine"].version
        assert first.startswith("1 of mine.py ")
        assert networks["mine-a"].version == first
        _import(tmp_path, "experiments.mine", source)
        assert networks["mine"].version == first
        _import(tmp_path, "experiments.mine", source + "# edited\n")
        assert networks["mine"].version != first
        with pytest.raises(ValueError, match="registered already"):
            _import(tmp_path, "experiments.other", source)  # another place
        twice = source + source.split("\n", 4)[-1]
        with pytest.raises(ValueError, match="registered already"):
            _import(tmp_path, "experiments.mine", twice)
    finally:
        for name in ("mine", "mine-a"):
            networks.remove(name)


def test_ours_is_what_lies_in_the_three_packages():
    import experiments.augment
    import gan.learner

    for module in (fewshot, gan.learner, experiments.augment):
        assert identity.is_ours(module.__file__)
    assert not identity.is_ours(__file__)
    assert not identity.is_ours(Path(fewshot.__file__).parents[1] / "fewshot_mine" / "a.py")


def test_a_function_of_ours_that_a_user_changes_is_the_user_s():
    from fewshot.models import networks
    from fewshot.models.cnn import baseline

    with visiting("/plugins/wide.py", "d" * 64) as visitor:
        networks.register("wide")(functools.partial(baseline, width=64))
    try:
        assert networks["wide"].version.startswith("1 of wide.py ")
        assert visitor.registered == [(networks, "wide")]
    finally:
        networks.remove("wide")


def test_streams_are_independent_and_repeatable():
    assert rng(3, "shuffle").random() == rng(3, "shuffle").random()
    draws = {rng(seed, stream).random() for seed in range(10) for stream in ("shuffle", "augment")}
    assert len(draws) == 20
    assert 0 <= stream_seed(0, "x") < 2**32
    assert stream_seed(0, "x") != stream_seed(1, "x")


def test_help_imports_nothing_heavy():
    heavy = ["tensorflow", "keras", "albumentations", "matplotlib", "scipy", "sklearn", "joblib", "PIL"]
    heavy += ["filelock", "ssl", "tarfile", "threadpoolctl"]  # milliseconds each, which add up
    code = (
        "import sys, experiments.augment as a, experiments.benchmark\n"
        "try: a.main(['--help'])\n"
        "except SystemExit: pass\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
