"""Photos to look at: what the winner said of them while they were held out, each with a thumbnail."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fewshot.data import Dataset
from fewshot.inspection.findings import Inspection
from fewshot.stats.calibration import MOST_SURE
from fewshot.wording import readable

THUMBNAILS = "thumbnails"
SIDE = 224  # pixels of a thumbnail: it is enlarged at a click
AT_MOST = {"wrong": 40, "suspicious": 40, "unsure": 12, "right": 12}


@dataclass(frozen=True)
class Photo:
    """A photo that is worth a look.

    kind: "wrong", "suspicious", "unsure" or "right". file: its path in the folder of photos, or which image
    it is. label, answer: the given class and the winner's. probability: of the answer, 0 to 1. note: why it
    is suspicious. thumbnail: a file beside the document. looks: another, of where the model looks, or "".
    """

    kind: str
    file: str
    label: str
    answer: str
    probability: float
    note: str
    thumbnail: str
    looks: str = ""


def photos_to_look_at(
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    files: Sequence[str],
    inspection: Inspection | None,
    hard: Mapping[int, int] | None = None,
) -> tuple[list[tuple[int, Photo]], dict[str, int]]:
    """Return positions and photos, at most `AT_MOST` of a kind, and how many of each kind there are.

    probabilities: what was said of each photo while it was held out, (N, classes); NaN of the others.
    hard: the photos that every strategy gets wrong, each with the answer that most give.
    """
    asked = ~np.isnan(probabilities[:, 0])
    sure = probabilities.max(1)
    answers = np.nan_to_num(probabilities, nan=-1.0).argmax(1)
    wrong = asked & (answers != labels)
    surest, least_sure = np.argsort(-sure, kind="stable"), np.argsort(sure, kind="stable")
    tested = int(asked.sum())
    notes: dict[int, str] = {}
    for finding in inspection.findings if inspection else ():
        how_much = f"(suspicion {100 * finding.suspicion:.0f}\N{NO-BREAK SPACE}%)"
        doubted = finding.kind == "wrong label"  # what the answer says beside it
        told = f"label may be wrong {how_much}" if doubted else f"{finding.kind} {how_much}: {finding.why}"
        notes.setdefault(finding.position, told)
    suspicious = list(notes)
    for index, answer in (hard or {}).items():
        told = "every strategy gets it wrong"
        if answer != answers[index]:
            told += f", most say {classes[answer]}"
        notes[index] = f"{notes[index]}; {told}" if index in notes else told
    positions = {
        "wrong": [int(index) for index in surest[:tested] if wrong[index]],
        "suspicious": suspicious,
        "unsure": [int(index) for index in least_sure[:tested]],
        "right": [int(index) for index in surest[:tested] if not wrong[index]],
    }
    photos = []
    for kind, of_kind in positions.items():
        for index in of_kind[: AT_MOST[kind]]:
            probability = 0.0 if np.isnan(sure[index]) else min(float(sure[index]), MOST_SURE)
            photos.append(
                (
                    index,
                    Photo(
                        kind,
                        readable(files[index]) if files else f"image {index}",
                        classes[labels[index]],
                        classes[answers[index]] if asked[index] else "",
                        probability,
                        notes.get(index, ""),
                        f"{THUMBNAILS}/{index}.jpg",
                    ),
                )
            )
    return photos, {kind: len(of_kind) for kind, of_kind in positions.items()}


def write_thumbnails(photos: Sequence[tuple[int, Photo]], shown: Dataset, folder: Path) -> None:
    """Write the photos' thumbnails in place of earlier ones. Raises `OSError`."""
    from PIL import Image

    shutil.rmtree(folder / THUMBNAILS, ignore_errors=True)
    (folder / THUMBNAILS).mkdir(parents=True)
    for index, photo in {photo.thumbnail: (index, photo) for index, photo in photos}.values():
        image = Image.fromarray(np.asarray(shown.x[index]))
        if max(image.size) > SIDE:
            image.thumbnail((SIDE, SIDE))
        image.save(folder / photo.thumbnail, quality=85)


def document(photos: Sequence[tuple[int, Photo]], counts: dict[str, int]) -> dict:
    """Return the photos, ready for JSON. counts: how many there are of each kind, shown or not."""
    return {"counts": counts, "shown": [asdict(photo) for _, photo in photos]}
