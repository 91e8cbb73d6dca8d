"""The grammar of combinations: what it means, how it is written, and carets under mistakes."""

import re

import pytest

from fewshot.augment.grammar import Term, parse
from fewshot.augment.offline import canonical, expansions, size
from fewshot.errors import UsageError


def test_terms():
    assert parse("mixing(flip+rotation)+patchshuffle", expansions) == (
        Term("mixing", (Term("flip"), Term("rotation"))),
        Term("patchshuffle"),
    )


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("flip", "flip"),
        ("  flip +\trotation\n", "flip+rotation"),
        ("mixing ( flip+ rotation ) +patchshuffle", "mixing(flip+rotation)+patchshuffle"),
        ("flip+albumentations: a b.yaml + mixing", "flip+albumentations:a b.yaml+mixing"),
        ("albumentations:/x (1)/a+b.JSON", "albumentations:/x (1)/a+b.JSON"),
        ("mixing(albumentations:a.yml)", "mixing(albumentations:a.yml)"),
    ],
)
def test_one_way_to_write_it(written, form):
    assert canonical(written) == form
    assert canonical(form) == form


def test_sizes_need_no_set():
    assert size("flip+mixing+mixing-soft", 100) == 200 + 2 * 100**2
    assert size("mixing(flip)", 1_000_000) == 2_000_000 + 4 * 10**12


@pytest.mark.parametrize(
    ("expression", "column", "message"),
    [
        ("", 0, "name of an expansion is missing"),
        ("flp", 0, "unknown expansion 'flp': did you mean 'flip'"),
        ("flip+rotatoin", 5, "did you mean 'rotation'"),
        ("mixing(flip + Mixing)", 14, "did you mean 'mixing'"),
        ("flip+", 5, "name of an expansion is missing"),
        ("flip++rotation", 5, "name of an expansion is missing"),
        ("+flip", 0, "name of an expansion is missing"),
        ("mixing(flip+)", 12, "name of an expansion is missing"),
        ("flip rotation", 5, "a '+' is missing"),
        ("flip,rotation", 4, "a '+' is missing"),
        ("mixing(flip rotation)", 12, "a '+' is missing"),
        ("flip)", 4, "closes nothing"),
        ("mixing(flip))+rotation", 12, "closes nothing"),
        ("mixing(flip", 6, "never closed"),
        ("mixing(", 6, "never closed"),
        ("mixing()", 7, "mixing() of nothing"),
        ("flip+mixing-soft( )", 18, "mixing-soft() of nothing"),
        ("flip(rotation)", 4, "'flip' takes no parentheses"),
        ("mixing(flip+mixing)", 12, "cannot be mixed again"),
        ("flip+rotation+flip", 14, "'flip' stands there twice"),
        ("mixing(flip+rotation)+mixing(rotation+flip)", 22, "twice"),
        ("mixing(flip+flip)", 12, "twice"),
        ("none+flip", 0, "'none' stands alone"),
        ("flip+none", 5, "'none' stands alone"),
        ("mixing(none)", 7, "'none' stands alone"),
        ("flip+albumentations:", 20, "file that ends in"),
        ("albumentations:a.txt", 15, "file that ends in"),
        ("albumentations:a.yamlx+flip", 15, "file that ends in"),
    ],
)
def test_mistakes_get_a_caret(expression, column, message):
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        parse(f" {expression} ", expansions)
    _, quoted, caret = str(caught.value).split("\n")
    assert quoted == f"  {expression}"
    assert caret == " " * (2 + column) + "^"
