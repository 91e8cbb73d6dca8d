"""Files counted by what is said of them, the first ones by name: left out for one reason, or all black."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fewshot.wording import plural, readable

NAMED = 20  # files of a reason whose names are kept
TOLD = 3  # … and told in a line


@dataclass(frozen=True)
class Tally:
    """How many files something is said of. files: the names of the first ones."""

    what: str
    count: int
    files: tuple[str, ...]

    def line(self, before: str = "") -> str:
        """Return it in words: "left out: 5 files, cut off: a.jpg, b.jpg, c.jpg, …"."""
        names = ", ".join(map(readable, self.files[:TOLD]))
        more = ", …" if self.count > TOLD else ""
        return f"{before}{plural(self.count, 'file')}, {self.what}: {names}{more}"

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        return {"what": self.what, "count": self.count, "files": list(self.files)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Tally:
        """Return what a JSON object holds; raises what Python does where it holds something else."""
        return cls(str(content["what"]), int(content["count"]), tuple(map(str, content["files"])))


def tallied(files_of: Mapping[str, Iterable[str]]) -> tuple[Tally, ...]:
    """Return what is said → the files, counted, the most files first."""
    found = [(what, sorted(files)) for what, files in files_of.items()]
    tallies = [Tally(what, len(files), tuple(files[:NAMED])) for what, files in found if files]
    return tuple(sorted(tallies, key=lambda one: (-one.count, one.what)))


def merged(*all_tallies: Iterable[Tally]) -> tuple[Tally, ...]:
    """Return tallies of several places as one, what is said of files of both counted together."""
    counts: dict[str, int] = {}
    files: dict[str, tuple[str, ...]] = {}
    for tallies in all_tallies:
        for one in tallies:
            counts[one.what] = counts.get(one.what, 0) + one.count
            files[one.what] = tuple(sorted((*files.get(one.what, ()), *one.files))[:NAMED])
    found = [Tally(what, count, files[what]) for what, count in counts.items()]
    return tuple(sorted(found, key=lambda one: (-one.count, one.what)))
