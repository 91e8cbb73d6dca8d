"""The grammar of combinations: `flip+rotation`, `mixing(flip+rotation)+patchshuffle`.

    expression := term { "+" term }
    term       := name | name "(" expression ")" | "albumentations:" file

`a+b` puts expansions side by side with the originals; `mixing(…)` mixes the set inside, which is the
originals and the inner expansions, and bare `mixing` the originals. A file ends in .yaml, .yml or .json.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fewshot.errors import UsageError, unknown
from fewshot.registry import Registry

FILE = "albumentations:"

_NAME = re.compile(r"[\w-]+")
_PATH = re.compile(r".+?\.(?:ya?ml|json)(?= *(?:[+)]|$))", re.IGNORECASE)


@dataclass(frozen=True)
class Term:
    """One term: a registered name or `albumentations:FILE`, and for a mixing the terms inside."""

    name: str
    inside: tuple[Term, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({canonical(self.inside)})" if self.inside else self.name

    @property
    def file(self) -> str | None:
        """The path of an albumentations file; None for a registered name."""
        return self.name.removeprefix(FILE) if self.name.startswith(FILE) else None


def canonical(terms: tuple[Term, ...]) -> str:
    """Return the one way to write the terms, without spaces."""
    return "+".join(map(str, terms))


def parse(expression: str, known: Registry) -> tuple[Term, ...]:
    """Return the terms of an expression over the `known` expansions; mixings carry the trait `mixes`.

    Raises `UsageError` with the expression and a caret under the place that is wrong.
    """
    return _Reader(expression, known).whole()


class _Reader:
    """Reads an expression from left to right; `at` is the position of the next character."""

    def __init__(self, expression: str, known: Registry):
        self.text = re.sub(r"\s", " ", expression).strip()
        self.known, self.at = known, 0

    def whole(self) -> tuple[Term, ...]:
        terms = self.terms(mixed=False)
        if self.next() == ")":
            raise self.error("this parenthesis closes nothing")
        if self.next():
            raise self.error("a '+' is missing")
        return terms

    def terms(self, mixed: bool) -> tuple[Term, ...]:
        terms, seen = [], set()
        while True:
            self.next()
            start = self.at
            term = self.term(mixed)
            if (term.name, frozenset(term.inside)) in seen:
                raise self.error(f"'{term}' stands there twice", start)
            if term.name == "none" and (mixed or terms or self.next() == "+"):
                raise self.error("'none' stands alone: the originals belong to every set", start)
            terms.append(term)
            seen.add((term.name, frozenset(term.inside)))
            if self.next() != "+":
                return tuple(terms)
            self.at += 1

    def term(self, mixed: bool) -> Term:
        start = self.at
        if self.text.startswith(FILE, start):
            path = _PATH.match(self.text, start + len(FILE))
            if path is None:
                raise self.error("a file that ends in .yaml, .yml or .json is missing", start + len(FILE))
            self.at = path.end()
            return Term(FILE + path[0].strip())
        name = _NAME.match(self.text, start)
        if name is None:
            raise self.error("the name of an expansion is missing")
        if name[0] not in self.known:
            raise self.error(str(unknown("expansion", name[0], [*self.known, f"{FILE}FILE"])))
        mixes = self.known[name[0]].traits.get("mixes", False)
        if mixes and mixed:
            raise self.error("mixtures cannot be mixed again")
        self.at = name.end()
        if self.next() != "(":
            return Term(name[0])
        if not mixes:
            raise self.error(f"'{name[0]}' takes no parentheses: only mixings do")
        return Term(name[0], self.parentheses(name[0]))

    def parentheses(self, name: str) -> tuple[Term, ...]:
        opened = self.at
        self.at += 1
        if self.next() == ")":
            raise self.error(f"{name}() of nothing: write '{name}' to mix the originals")
        if not self.next():
            raise self.error("this parenthesis is never closed", opened)
        inside = self.terms(mixed=True)
        if not self.next():
            raise self.error("this parenthesis is never closed", opened)
        if self.next() != ")":
            raise self.error("a '+' is missing")
        self.at += 1
        return inside

    def next(self) -> str:
        """Skip spaces and return the next character, "" at the end."""
        while self.text[self.at : self.at + 1] == " ":
            self.at += 1
        return self.text[self.at : self.at + 1]

    def error(self, message: str, at: int | None = None) -> UsageError:
        # The expression has a line of its own: whatever is printed before the message, the caret fits.
        return UsageError(f"{message}\n  {self.text}\n  {' ' * (self.at if at is None else at)}^")
