"""Settings in a name."""

import pytest

from fewshot.errors import UsageError
from fewshot.settings import join, split, typed

DEFAULTS = {"width": 16, "rate": 0.1, "norm": "none", "se": False}


def test_a_name_with_settings():
    assert split("baseline") == ("baseline", {})
    assert split("baseline:norm=batch, se") == ("baseline", {"norm": "batch", "se": "yes"})


def test_join_is_what_split_reads():
    text = join("baseline", {"width": 32, "se": True, "norm": "batch"})
    assert text == "baseline:norm=batch,se=yes,width=32"
    name, settings = split(text)
    assert typed(name, settings, DEFAULTS) == {"norm": "batch", "se": True, "width": 32}
    assert join("baseline", {}) == "baseline"


@pytest.mark.parametrize("text", ["a:", "a:=1", "a:width=", "a:width=1,,se"])
def test_torn_settings(text):
    with pytest.raises(UsageError, match="NAME:key=value"):
        split(text)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"widht": "3"}, "unknown setting of bn 'widht': did you mean 'width'"),
        ({"width": "3.5"}, "bn: width wants a whole number. Received: '3.5'"),
        ({"rate": "fast"}, "bn: rate wants a number. Received: 'fast'"),
        ({"se": "perhaps"}, "bn: se is yes or no. Received: 'perhaps'"),
    ],
)
def test_unfit_settings(settings, message):
    with pytest.raises(UsageError, match=message):
        typed("bn", settings, DEFAULTS)


def test_a_setting_given_twice():
    with pytest.raises(UsageError, match="sets width twice"):
        split("a:width=1,width=2")
