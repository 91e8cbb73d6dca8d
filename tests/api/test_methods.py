"""`fs.methods`: every name, what it is and what it costs."""

import pytest

import fewshot as fs
from fewshot.errors import UsageError


def test_all_methods():
    listed = fs.methods()
    assert len(listed) > 50
    assert {"baseline", "flip", "ridge", "best"} <= set(listed.names)
    assert all(method.summary for method in listed)


def test_the_methods_of_a_study():
    listed = fs.methods("compare")
    assert "best" in listed.names
    assert "flip" not in listed.names
    assert len(repr(listed).splitlines()) == len(listed) + 2
    assert "<table" in listed._repr_html_()


def test_an_unknown_tag():
    with pytest.raises(UsageError, match="unknown tag 'compar': did you mean 'compare'"):
        fs.methods("compar")
