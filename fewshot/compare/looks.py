"""Where the saved model looks on photos that are worth a look: pictures for the report.

The model is the one that is delivered, trained on these photos, too: a picture shows what in a photo speaks
for the answer that was given while it was held out.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fewshot.compare.photos import SIDE, Photo
from fewshot.data import Prepared, open_splits
from fewshot.data.photo import load_pixels

LOOKS = "looks"
AT_MOST = {"wrong": 9, "unsure": 3, "right": 6}


def write_looks(
    photos: Sequence[tuple[int, Photo]],
    data: Prepared,
    part: str,
    model: Path,
    folder: Path,
    left: Callable[[], float],
) -> dict[int, str]:
    """Write where a saved model looks on some of the photos, as far as there is time.

    Returns position → file, below the folder of the document.

    Parameters
    ----------
    photos
        Positions and photos to look at.
    data, part
        The images in the rendition that the model was trained on.
    model
        Its file.
    folder
        Of the document; earlier pictures there are deleted.
    left
        Tells how many seconds there are.

    Raises
    ------
    UsageError
        For a model without feature maps.
    OSError
        Where pictures cannot be written.
    """
    from fewshot.deploy.explain import Explainer
    from fewshot.deploy.saved import card_path, read

    clear(folder)
    (folder / LOOKS).mkdir(parents=True)
    explainer = Explainer(read(model))
    classes = json.loads(card_path(model).read_text(encoding="utf-8"))["classes"]
    looks: dict[int, str] = {}
    for kind, most in AT_MOST.items():
        for index, photo in [one for one in photos if one[1].kind == kind][:most]:
            if left() > 0 and index not in looks:
                picture = _picture(explainer, _pixels(data, part, index), classes.index(photo.answer))
                picture.save(folder / LOOKS / f"{index}.jpg", quality=80)
                looks[index] = f"{LOOKS}/{index}.jpg"
    return looks


def clear(folder: Path) -> None:
    """Delete pictures of an earlier model."""
    shutil.rmtree(folder / LOOKS, ignore_errors=True)


def _pixels(data: Prepared, part: str, index: int) -> np.ndarray:
    """Return a photo as the model takes it."""
    images = open_splits(data.folder).parts[part]
    if images.x.ndim == 4 or data.directory is None:
        return np.asarray(images.x[index])
    return load_pixels(data.directory / data.files(part)[index], images.image_shape[0], data.levels)


def _picture(explainer, pixels: np.ndarray, label: int):
    """Return a photo in grey, what speaks for a class in colour, not larger than a thumbnail."""
    from PIL import Image

    from fewshot.deploy.overlays import overlay

    photo = Image.fromarray(pixels)
    scale = SIDE / max(photo.size)
    photo = photo.resize([max(1, round(scale * side)) for side in photo.size], Image.Resampling.LANCZOS)
    return overlay(photo, explainer(pixels, label))
