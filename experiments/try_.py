"""Try a saved model in the browser: drop a photo, see what it says. On this machine only.

python -m experiments.try_ results/compare/photos/model.keras

The page is Gradio's (Apache-2.0), an extra: pip install 'fewshot-testbed[try]'. It listens on 127.0.0.1
alone, shares nothing and reports nothing; dropped photos are deleted when the command ends. The most similar
training photos are shown as long as they lie where they lay: the model's card has their paths, and no photo.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from experiments.saved_model import UNKNOWN, add_model, add_threshold, add_unknown, check_model, open_model
from fewshot import cli
from fewshot.errors import FewshotError, UsageError, field
from fewshot.report.page.markup import Markup, embedded, join, tag
from fewshot.stats.calibration import MOST_SURE
from fewshot.wording import EVIDENCE, one_line

if TYPE_CHECKING:
    from PIL import Image

    from fewshot.deploy.explain import Explainer
    from fewshot.deploy.saved import Look, Saved

MISSING = "this page needs gradio: pip install 'fewshot-testbed[try]'"
HOST = "127.0.0.1"
LARGEST = "50mb"  # a photo
LISTED = 10  # classes
KEPT = 600  # seconds that a dropped photo is kept
SIDE = 320  # pixels of the pictures, at most
COLUMN = 300  # pixels of a column, at least


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return cli.run(_run, _parser, argv, interrupted="closed")


def _parser() -> cli.Parser:
    parser = cli.Parser(
        prog=cli.prog("experiments.try_"),
        description="Open a page in the browser where photos can be dropped on a saved model: its answer, "
        "how sure it is, 'unsure' below a threshold, 'none of these' where the model can tell. The page is "
        "for this machine alone, and needs the extra: pip install 'fewshot-testbed[try]'. Ctrl-C ends it.",
    )
    add_model(parser)
    add_threshold(parser)
    add_unknown(parser)
    parser.add_argument(
        "--port", type=cli.positive, metavar="N", help="default: the first free one from 7860"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    cli.add_machine(parser)
    return parser


def _run(args: argparse.Namespace) -> None:
    check_model(args)
    if importlib.util.find_spec("gradio") is None:
        raise UsageError(MISSING)
    saved = open_model(args)
    with tempfile.TemporaryDirectory(prefix="fewshot-try-") as uploads:
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["GRADIO_TEMP_DIR"] = uploads
        page = _page(saved, args.threshold)
        try:
            _, address, _ = page.launch(
                server_name=HOST,
                server_port=args.port,
                share=False,
                inbrowser=not args.no_browser,
                prevent_thread_lock=True,
                quiet=True,
                max_file_size=LARGEST,
                enable_monitoring=False,
                ssr_mode=False,
                footer_links=[],
            )
        except OSError as error:
            raise FewshotError(f"{field('port')} is taken, or none is free: {one_line(error)}") from error
        print(f"{args.model} answers at {address} (on this machine only); Ctrl-C ends it", flush=True)
        page.block_thread()


def _page(saved: Saved, threshold: float):
    """Return the page: a photo on the left, what the model says of it on the right."""
    import gradio

    with gradio.Blocks(title="Try a model", analytics_enabled=False, delete_cache=(KEPT, KEPT)) as page:
        gradio.HTML(_heading(saved))
        with gradio.Row():  # on a phone, one below the other
            with gradio.Column(min_width=COLUMN):
                photo = gradio.Image(type="filepath", sources=["upload", "clipboard"], label="a photo")
            # The file as it was dropped, torn or not: it is decoded as photos are in training, and not
            # written anew. (Gradio takes a class of our own for a component with a front end of its own.)
            photo.preprocess = lambda payload: payload and payload.path
            with gradio.Column(min_width=COLUMN):
                told = gradio.HTML()
        photo.change(lambda file: answer(saved, file, threshold), photo, told, api_visibility="private")
    return page


def _heading(saved: Saved) -> Markup:
    classes = ", ".join(saved.classes[:LISTED]) + (", …" if len(saved.classes) > LISTED else "")
    novel = (
        f"Of a photo that is unlike all these it says '{UNKNOWN}'."
        if saved.card.get("novelty")
        else f"It cannot say '{UNKNOWN}': a photo of something else gets an answer, too."
    )
    return join(
        tag("h2", str(saved.card.get("method", "a model"))),
        tag("p", f"It knows {len(saved.classes)} classes: {classes}. {novel}"),
    )


def answer(saved: Saved, file: str | None, threshold: float) -> Markup:
    """Return what the model says of a photo, as part of the page; a line where the file is no photo."""
    if file is None:
        return Markup("")
    ((_, look),) = saved.stream([Path(file)])
    if isinstance(look, Exception):
        return tag("p", f"This file cannot be read: {one_line(look).replace(file, Path(file).name)}")
    told = _told(look, saved.classes, threshold)
    return join(told, _looks(saved, Path(file), look), _similar(saved, look))


def _looks(saved: Saved, file: Path, look: Look) -> Markup | None:
    """Return the photo with what speaks for the answer; None for a model that has no places."""
    from fewshot.deploy.overlays import looked_at, overlay

    explainer = _explainer(saved.path, saved.card["sha256"])
    if explainer is None:
        return None
    pixels, shown = looked_at(saved, file)
    evidence = explainer(pixels, int(look.probabilities.argmax()))
    return join(tag("h3", "Where it looks"), tag("p", EVIDENCE), _image(overlay(shown, evidence)))


@functools.lru_cache(maxsize=1)
def _explainer(path: Path, sha256: str) -> Explainer | None:
    """Return the model taken apart, kept from photo to photo; None where it has no places."""
    from fewshot.deploy.explain import Explainer
    from fewshot.deploy.saved import read

    try:
        return Explainer(read(path))
    except UsageError:
        return None


def _similar(saved: Saved, look: Look) -> Markup | None:
    """Return the most similar training photos, as far as they can still be read."""
    from fewshot.data.photo import read_photo

    photos = saved.similar(look)
    if not photos:
        return None
    items = []
    for photo in photos:
        try:
            picture = _image(read_photo(photo.file, SIDE // 2, saved.levels))
        except Exception:  # moved, or no longer a photo: Pillow's readers raise whatever comes up
            picture = tag("span", "(no longer there) ")
        text = f"{photo.label}, {100 * photo.cosine:.0f} % alike: {photo.file.name}"
        items.append(tag("div", picture, tag("div", text), style="flex: 1 1 8rem"))
    row = tag("div", *items, style="display: flex; flex-wrap: wrap; gap: 1rem")
    return join(tag("h3", "The most similar training photos"), row)


def _image(image: Image.Image) -> Markup:
    """Return a picture that is part of the page."""
    image = image.convert("RGB")
    image.thumbnail((SIDE, SIDE))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=85)
    return tag("img", src=embedded(content.getvalue(), "jpeg"), alt="", style="width: min(100%, 16rem)")


def _told(look: Look, classes: list[str], threshold: float) -> Markup:
    order = np.argsort(-look.probabilities, kind="stable")
    best, sure = classes[order[0]], float(look.probabilities[order[0]])
    if look.novel:
        heading, more = UNKNOWN, f"It is unlike the photos that the model knows; the nearest is {best}."
    elif sure < threshold:
        heading, more = "unsure", f"Perhaps {best}: its probability is below {100 * threshold:g} %."
    else:
        heading, more = best, ""
    others = [classes[i] for i in order if look.named is not None and look.named[i] and classes[i] != best]
    if others and not look.novel:
        more = f"{more} It may be {' or '.join(others)}, too.".strip()
    bars = [_bar(classes[i], float(look.probabilities[i])) for i in order[:LISTED]]
    rest = len(classes) - len(bars)
    return join(
        tag("h2", heading, id="answer"),
        tag("p", more) if more else None,
        *bars,
        tag("p", f"and {rest} classes more") if rest else None,
        tag("p", "Probabilities are calibrated."),
    )


def _bar(name: str, probability: float) -> Markup:
    share = min(probability, MOST_SURE)
    line = f"height: .5rem; border-radius: .25rem; background: currentColor; width: {100 * share:.1f}%"
    text = f"{name}: {'>' if probability > MOST_SURE else ''}{100 * share:.1f} %"
    return tag("div", tag("div", text), tag("div", style=line), style="margin: .5rem 0")


if __name__ == "__main__":
    sys.exit(main())
