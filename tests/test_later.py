"""Packages that are imported at their first use."""

import importlib
import sys
from types import ModuleType

import pytest

from fewshot.later import import_later


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The name of a package that is imported later, and a list that tells when it was."""
    folder = tmp_path / "put_off"
    folder.mkdir()
    (folder / "__init__.py").write_text("import builtins\nbuiltins.put_off_ran.append(1)\nvalue = 7\n")
    (folder / "part.py").write_text("from put_off import value\ndouble = 2 * value\n")
    ran: list[int] = []
    monkeypatch.setattr("builtins.put_off_ran", ran, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    import_later("put_off")
    yield "put_off", ran
    for name in [name for name in sys.modules if name.partition(".")[0] == "put_off"]:
        del sys.modules[name]


def test_an_import_runs_nothing_and_a_look_into_it_does_once(package):
    name, ran = package
    module = importlib.import_module(name)
    assert importlib.import_module(name) is module
    assert not ran
    assert module.value == module.value == 7
    assert ran == [1]
    assert type(module) is ModuleType
    with pytest.raises(AttributeError, match="put_off"):
        module.nothing  # noqa: B018


@pytest.mark.parametrize("statement", ["import put_off.part as part", "from put_off import part"])
def test_the_import_of_a_part_runs_the_package_first(package, statement):
    _, ran = package
    names: dict = {}
    exec(statement, names)
    assert names["part"].double == 14
    assert ran == [1]
    assert sys.modules["put_off"].part is names["part"]


def test_what_is_imported_already_or_missing_stays_as_it_is():
    import_later("json")
    assert type(sys.modules["json"]) is ModuleType
    import_later("no_such_package")
    assert "no_such_package" not in sys.modules
