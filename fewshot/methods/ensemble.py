"""The text of an ensemble, taken apart: `mean(0.3*best, 0.7*patches:symmetric,threshold=1.5):average=plain`.

    ensemble = name , "(" , member , { "," , member } , ")" , [ ":" , settings ] ;
    member   = [ weight , "*" ] , method ;

Commas stand between members and between a member's settings. What follows one is a setting of the member
before it if it is written `key=value`, or if that member has settings already and knows one of this name;
otherwise it is the next member.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from fewshot.errors import UsageError
from fewshot.learners.contract import ensembles
from fewshot.learners.mean import checked_weights
from fewshot.settings import ALIASES

DEEPEST = 2  # ensembles around an ensemble: more would be slow to train and hard to read
INSIDE = "("  # stands for an ensemble among the names that a text is part of: no name is like it

_OPENED = re.compile(r"([\w-]+)\s*\(")
_WEIGHT = re.compile(r"([^*:,()]*)\*\s*")
_SETTING = re.compile(r"[\w-]+\s*=")


@dataclass(frozen=True)
class MemberText:
    """A member as it is written, and where it begins in the text of the ensemble."""

    text: str
    at: int

    @contextlib.contextmanager
    def blamed(self, whole: str) -> Iterator[None]:
        """Add to a `UsageError` of the block the whole text with a caret under the member."""
        try:
            yield
        except UsageError as error:
            message, *lines = str(error).split("\n")
            behind = 0
            if len(lines) == 2 and lines[1].strip() == "^":  # a part of the member, with a caret under it
                behind = max(0, self.text.find(lines[0].strip())) + len(lines[1]) - 3
            raise _error(message, whole, self.at + behind) from error


@dataclass(frozen=True)
class EnsembleText:
    """An ensemble's name, members and weights, and the settings behind it with their colon."""

    name: str
    members: tuple[MemberText, ...]
    weights: tuple[float, ...]
    rest: str


def name_of(text: str) -> str | None:
    """Return the ensemble that a text begins with; None for other methods."""
    opened = _OPENED.match(text)
    return opened[1] if opened and opened[1] in ensembles else None


def written(name: str, members: Iterable[object], weights: Sequence[float]) -> str:
    """Return the one text of an ensemble, without its settings."""
    texts = list(map(str, members))
    if weights:
        texts = [f"{weight!r}*{text}" for weight, text in zip(weights, texts, strict=True)]
    return f"{name}({', '.join(texts)})"


def parse(text: str, setting_names: Callable[[str], Iterable[str]]) -> EnsembleText:
    """Return the parts of an ensemble's text.

    setting_names: returns the settings that a method takes.

    Raises `UsageError` with the text and a caret where parentheses do not match, a member is missing, only
    some have a weight, or the weights do not sum to 1.
    """
    opened = _OPENED.match(text)
    assert opened is not None  # `name_of` has seen it
    end, commas = _closed(text, opened.end() - 1)
    members: list[MemberText] = []
    for begin, stop in zip([opened.end(), *(at + 1 for at in commas)], [*commas, end], strict=True):
        part = text[begin:stop]
        begin += len(part) - len(part.lstrip())
        part = part.strip()
        if not part:
            raise _error("a member is missing", text, begin)
        if _SETTING.match(part) and (not members or ":" not in members[-1].text):
            raise _error(f"'{part}' is a setting: settings follow a method and a colon", text, begin)
        if _SETTING.match(part) or (members and _is_flag(part, members[-1].text, setting_names)):
            members[-1] = MemberText(text[members[-1].at : stop].strip(), members[-1].at)
        else:
            members.append(MemberText(part, begin))
    if len(members) < 2:
        raise _error("an ensemble has two members or more", text, members[0].at)
    rest = text[end + 1 :].strip()
    if rest and not rest.startswith(":"):
        raise _error("after the members come settings, behind a colon", text, text.index(rest, end))
    methods, weights = _weighed(members, text)
    return EnsembleText(opened[1], methods, weights, rest)


def _closed(text: str, opened: int) -> tuple[int, list[int]]:
    """Return where the parenthesis closes, and the commas inside it that no other parentheses enclose."""
    depth = 0
    commas: list[int] = []
    for at in range(opened, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return at, commas
        if text[at] == "," and depth == 1:
            commas.append(at)
    raise _error("this parenthesis is never closed", text, opened)


def _is_flag(part: str, member: str, setting_names: Callable[[str], Iterable[str]]) -> bool:
    """Return whether a part is a flag of the member before it, which has settings already."""
    _, colon, _ = _WEIGHT.sub("", member, count=1).rpartition(")")[2].partition(":")
    if not colon or not re.fullmatch(r"[\w-]+", part):
        return False
    try:
        known = set(setting_names(_WEIGHT.sub("", member, count=1)))
    except UsageError:  # what is wrong of it is said when it is read
        return False
    return part in known or ALIASES.get(part) in known


def _weighed(members: list[MemberText], text: str) -> tuple[tuple[MemberText, ...], tuple[float, ...]]:
    """Return the members without their weights, and these; none where all count alike."""
    methods, weights = [], []
    for member in members:
        weight = _WEIGHT.match(member.text)
        if weight:
            try:
                weights.append(float(weight[1]))
            except ValueError:
                raise _error(f"'{weight[1].strip()}' is no weight", text, member.at) from None
            member = MemberText(member.text[weight.end() :], member.at + weight.end())
            if not member.text:
                raise _error("a member is missing", text, member.at)
        methods.append(member)
        if len(weights) not in (0, len(methods)):
            raise _error("every member has a weight, or none has", text, member.at)
    try:
        return tuple(methods), checked_weights(weights, len(methods))
    except UsageError as error:
        raise _error(str(error), text, members[0].at) from None


def _error(message: str, text: str, at: int) -> UsageError:
    return UsageError(f"{message}\n  {text}\n  {' ' * at}^")
