"""Documents with foreign content, for property-based tests: any JSON, or a valid one with a part replaced."""

import copy

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FEW = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,  # the same examples in every run: a failure is one of this change
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(
        [10**400, -1, 0, 2**63, 1e308, float("inf"), float("nan"), "", "\ud800", "../x", "a\nb"]
    )
    | st.floats()
    | st.text(max_size=5)
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def spoiled(draw, document):
    """Return a copy of a document with one to three parts, wherever they are, replaced, removed or added."""
    spoilt = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(spoilt))
        if not places:
            return draw(JSON)
        holder, key = draw(st.sampled_from(places))
        if draw(st.integers(0, 4)) == 0:
            del holder[key]
        else:
            holder[key] = draw(JSON)
    return spoilt


def _places(value):
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return
    for key, inner in items:
        yield value, key
        yield from _places(inner)
