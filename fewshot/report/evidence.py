"""What a comparison's verdict rests on: calibration, confusion, photos to look at, and what is suspicious."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from fewshot.report.typed import count, entries, named, number, share, text
from fewshot.stats.calibration import MOST_SURE

KINDS = {  # of photos → what they are called
    "wrong": "wrong answer",
    "suspicious": "suspicious",
    "unsure": "lowest probability",
    "right": "right answer, highest probability",
}
# Two numbers, two words, the same on the page, in tables and in files.
PROBABILITY = (
    "The probability is the model's own, for its answer, while the photo was held out: of 100 answers with "
    "80 %, about 80 are right."
)
SUSPICION = (
    "The suspicion is not the probability of an answer: it says how likely the finding is right. Of 100 "
    "labels with a suspicion of 80 %, about 80 were wrong where 5 to 10 % of the labels had been changed on "
    "purpose; in a folder without mistakes fewer are. Look at them before you change any."
)


@dataclass(frozen=True)
class Bins:
    """The answers in bins of confidence: mean confidence and accuracy of each, 0 to 1, and how many.

    error: the expected calibration error in points; by_chance: what it would be of perfect probabilities on
    so few photos, None where that is not known.
    """

    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    count: tuple[int, ...]
    error: float
    by_chance: float | None = None


@dataclass(frozen=True)
class Photo:
    """A photo that is worth a look.

    kinds: of `KINDS`, one at least. thumbnail: its file, below the folder of the document. looks: another, of
    where the model looks, or None. The other fields are as the comparison writes them.
    """

    kinds: tuple[str, ...]
    file: str
    label: str
    answer: str
    probability: float
    note: str
    thumbnail: PurePosixPath
    looks: PurePosixPath | None = None

    @property
    def percent(self) -> str:
        """The probability of the answer in percent; nothing is certain."""
        return f"{100 * min(self.probability, MOST_SURE):.1f} %"


@dataclass(frozen=True)
class Suspect:
    """A photo and what is suspicious about it; `suggested`, `other` and its label are empty where unknown.

    suspicion: how likely that is right, 0 to 1; it is of the finding, not of the model's answer.
    """

    kind: str
    file: str
    label: str
    suggested: str
    suspicion: float
    why: str
    other: str
    other_label: str = ""


@dataclass(frozen=True)
class Cue:
    """What tells the classes without looking at the things themselves. Accuracies in percent."""

    cue: str
    accuracy: float
    chance: float
    warning: bool

    def told(self) -> str:
        """Return it in a sentence."""
        return (
            f"{self.cue} alone tells the classes in {self.accuracy:.0f} % of cases (chance "
            f"{self.chance:.0f} %); if that is how they were photographed, new photos will differ."
        )


@dataclass(frozen=True)
class Evidence:
    """All of it; what the comparison did not measure is None or empty.

    Parameters
    ----------
    confusion
        Of 100 new photos of each class (rows), how many get each answer, in the order of the classes; a row
        of a class without photos is 0.
    bins
        Do probabilities mean what they say?
    photos
        Those to look at, each once.
    counts
        Kind → how many there are, shown or not.
    inspected
        How many photos were looked at for what is suspicious.
    suspects, cues
        What was found there.
    """

    confusion: tuple[tuple[float, ...], ...] = ()
    bins: Bins | None = None
    photos: tuple[Photo, ...] = ()
    counts: Mapping[str, int] | None = None
    inspected: int = 0
    suspects: tuple[Suspect, ...] = ()
    cues: tuple[Cue, ...] = ()

    def shown(self, photos: tuple[Photo, ...] | None = None) -> str:
        """Return in a sentence how many of how many photos of each kind are shown."""
        photos = self.photos if photos is None else photos
        shown = {kind: sum(kind in photo.kinds for photo in photos) for kind in KINDS}
        return "; ".join(
            f"{KINDS[kind]}: {shown[kind]:,} of {number:,}" for kind, number in (self.counts or {}).items()
        )

    def warnings(self) -> list[str]:
        """Return what alone gives the classes away, a sentence each."""
        return [cue.told() for cue in self.cues if cue.warning]


def read(document: Mapping, classes: int) -> Evidence:
    """Return the evidence in a comparison's document; ValueError, TypeError or KeyError for what is none."""
    promise, inspection, photos = (document.get(name) for name in ("promise", "inspection", "photos"))
    counts, bins = document.get("confusion"), document.get("calibration")
    # Older documents have nothing but how many of the photos that were held out got each answer.
    expected = named(promise).get("confusion") if promise else None
    return Evidence(
        confusion=() if counts is None else _confusion(expected or counts, classes),
        bins=None if bins is None else _bins(bins, named(promise)),
        photos=() if photos is None else _photos(entries(photos["shown"])),
        counts=None if photos is None else _counts(named(photos["counts"])),
        inspected=0 if inspection is None else count(inspection["photos"]),
        suspects=() if inspection is None else tuple(map(_suspect, entries(inspection["findings"]))),
        cues=() if inspection is None else tuple(map(_cue, entries(inspection["shortcuts"]))),
    )


def _confusion(rows: object, classes: int) -> tuple[tuple[float, ...], ...]:
    """Return counts or shares as shares in percent."""
    matrix = [list(map(number, entries(row))) for row in entries(rows)]
    if any(len(side) != classes for side in (matrix, *matrix)) or min(map(min, matrix)) < 0:
        raise ValueError(f"no confusion of {classes} classes")
    return tuple(tuple(100 * value / (sum(row) or 1) for value in row) for row in matrix)


def _bins(value: Mapping, promise: Mapping) -> Bins:
    by_chance = promise.get("ece_by_chance")
    bins = Bins(
        confidence=tuple(map(share, entries(value["confidence"]))),
        accuracy=tuple(map(share, entries(value["accuracy"]))),
        count=tuple(map(count, entries(value["count"]))),
        error=number(promise["ece"]),
        by_chance=None if by_chance is None else number(by_chance),
    )
    if not len(bins.confidence) == len(bins.accuracy) == len(bins.count) > 0 or not all(bins.count):
        raise ValueError("bins of different lengths, or empty ones")
    return bins


def _counts(value: dict) -> dict[str, int]:
    return {kind: count(value[kind]) for kind in KINDS}


def _photos(rows: list) -> tuple[Photo, ...]:
    """Return the photos, each once: one may be of several kinds."""
    kinds: dict[str, list[str]] = {}
    photos: dict[str, dict] = {}
    for row in map(named, rows):
        if row["kind"] not in KINDS:
            raise ValueError(f"no kind of photo: {row['kind']!r}")
        kinds.setdefault(text(row["file"]), []).append(row["kind"])
        photos.setdefault(row["file"], row)
    return tuple(_photo(photo, tuple(kinds[file])) for file, photo in photos.items())


def _photo(row: Mapping, kinds: tuple[str, ...]) -> Photo:
    return Photo(
        kinds,
        file=text(row["file"]),
        label=text(row["label"]),
        answer=text(row["answer"]),
        probability=share(row["probability"]),
        note=text(row["note"]),
        thumbnail=_below(row["thumbnail"]),
        looks=_below(row["looks"]) if row.get("looks") else None,  # older documents have none
    )


def _below(value: object) -> PurePosixPath:
    """Return a path below the folder of the document."""
    path = PurePosixPath(text(value))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"no picture of this comparison: {path}")
    return path


def _suspect(row: Mapping) -> Suspect:
    words = {name: text(row[name]) for name in ("kind", "file", "label", "suggested", "why", "other")}
    suspicion = row["suspicion"] if "suspicion" in row else row["sure"]  # as older documents call it
    return Suspect(**words, suspicion=share(suspicion), other_label=text(row.get("other_label", "")))


def _cue(row: Mapping) -> Cue:
    if not isinstance(row["warning"], bool):
        raise TypeError(f"no yes or no: {row['warning']!r}")
    return Cue(text(row["cue"]), number(row["balanced_accuracy"]), number(row["chance"]), row["warning"])
