"""Pictures of where a model looks: a photo beside itself with the evidence in colour, a file a photo.

Import this after `fewshot.backend.start`.
"""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fewshot.data.photo import load_image, read_photo, square
from fewshot.deploy.explain import Evidence, Explainer
from fewshot.deploy.saved import Saved
from fewshot.errors import FewshotError, UsageError
from fewshot.io.files import mark_output, slug
from fewshot.io.fonts import font_file, legible
from fewshot.wording import EVIDENCE, one_line

if TYPE_CHECKING:
    from PIL import Image, ImageFont

SIDE = 384  # pixels of a photo's longer side in the picture
FOR, AGAINST = (255, 110, 0), (0, 110, 255)
COVER = 0.75  # how much of the photo the strongest evidence hides
STRONG = 99  # percentile of the evidence that counts as strongest: single pixels may be far beyond
MARGIN, LINE = 8, 20  # pixels


class Overlays:
    """Writes pictures into `folder`; nothing there is overwritten.

    Raises `UsageError` for a model that has no feature maps, or a folder that cannot be made.
    """

    def __init__(self, folder: Path, saved: Saved):
        self._folder, self._saved = folder, saved
        self._explainer = Explainer(saved.model)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            mark_output(folder)
        except OSError as error:
            raise UsageError(f"cannot make the folder {folder}: {error.strerror}") from error

    def write(self, file: Path, label: int, caption: str) -> Path:
        """Write the picture of a photo for an answer, and return where it is.

        It is named as the photo; a name that is taken gets a number. Raises `FewshotError`.
        """
        try:
            seen, shown = looked_at(self._saved, file)
        except Exception as error:  # Pillow's readers raise OSError, SyntaxError, ValueError and others
            raise FewshotError(f"{file} cannot be read any more: {one_line(error)}") from error
        picture = side_by_side(shown, self._explainer(seen, label), caption)
        stem = slug(file.stem, " ").strip(" .")[:100] or "photo"
        try:
            for number in itertools.count(1):
                path = self._folder / (f"{stem}.png" if number == 1 else f"{stem}-{number}.png")
                try:
                    with path.open("xb") as target:
                        picture.save(target, "PNG")
                    return path
                except FileExistsError:
                    continue
        except OSError as error:
            raise FewshotError(f"cannot write to {self._folder}: {error.strerror or error}") from error
        raise AssertionError("there are numbers without end")


def looked_at(saved: Saved, file: Path) -> tuple[np.ndarray, Image.Image]:
    """Return a photo as the model takes it, and what of it to show."""
    from PIL import Image

    size, levels = saved.image_size, saved.levels
    if size is None:
        photo = read_photo(file, saved.card["view_size"], levels)
        return np.asarray(photo), photo
    return load_image(file, size, levels), Image.fromarray(square(read_photo(file, SIDE, levels), SIDE))


def overlay(photo: Image.Image, evidence: Evidence) -> Image.Image:
    """Return a photo in grey with the evidence in colour: orange for the class, blue against it.

    photo: of any size; the evidence is stretched to it.
    """
    from PIL import Image

    grey = np.asarray(photo.convert("L"), np.float32)[..., None].repeat(3, 2)
    small = Image.fromarray(evidence.values.astype(np.float32))
    values = np.asarray(small.resize(photo.size, Image.Resampling.BILINEAR))[..., None]
    strongest = max(float(np.percentile(np.abs(values), STRONG)), 1e-30)
    cover = COVER * np.minimum(np.abs(values) / strongest, 1)
    colour = np.where(values > 0, np.array(FOR), np.array(AGAINST))
    return Image.fromarray(np.rint((1 - cover) * grey + cover * colour).astype(np.uint8))


def side_by_side(photo: Image.Image, evidence: Evidence, caption: str) -> Image.Image:
    """Return one picture of a photo, its overlay beside it, and a caption below."""
    from PIL import Image, ImageDraw

    scale = SIDE / max(photo.size)
    width, height = (max(1, round(scale * side)) for side in photo.size)
    photo = photo.resize((width, height), Image.Resampling.LANCZOS)
    full = max(2 * width + 3 * MARGIN, SIDE + 2 * MARGIN)
    picture = Image.new("RGB", (full, height + 3 * MARGIN + 2 * LINE), "white")
    picture.paste(photo, (MARGIN, MARGIN))
    picture.paste(overlay(photo, evidence), (width + 2 * MARGIN, MARGIN))
    file = font_file(caption)
    draw, font, caption = ImageDraw.Draw(picture), _font(file), legible(caption, [file])
    while draw.textlength(caption, font) > full - 2 * MARGIN:
        caption = caption[:-2] + "…"
    draw.text((MARGIN, height + 2 * MARGIN), caption, "black", font)
    draw.text((MARGIN, height + 2 * MARGIN + LINE), EVIDENCE, (90, 90, 90), font)
    return picture


@functools.lru_cache(maxsize=8)
def _font(file: Path) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    try:
        return ImageFont.truetype(str(file), 14)
    except OSError:
        return ImageFont.load_default(14)
