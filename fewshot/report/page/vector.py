"""Matplotlib's pictures as part of a page: one SVG element each, in the page's colours by day and night."""

from __future__ import annotations

import io
import warnings
import xml.etree.ElementTree as xml
from collections.abc import Callable

from fewshot.report.page.markup import Markup
from fewshot.report.plots.figures import COLOURS, GREY, INK, STYLE

SVG, XLINK = "http://www.w3.org/2000/svg", "{http://www.w3.org/1999/xlink}"
# Colours of the pictures → variables of page.css, where dark mode has others for them.
VARIABLES = {
    "#ffffff": "--paper",
    "#e6e6e6": "--line",
    "#000000": "--ink",
    INK: "--ink",
    GREY: "--muted",
    COLOURS[0].lower(): "--blue",
    COLOURS[1].lower(): "--orange",
    COLOURS[2].lower(): "--green",
    COLOURS[3].lower(): "--pink",
    COLOURS[4].lower(): "--sky",
}


def inline(draw: Callable[[], object], label: str, prefix: str) -> Markup:
    """Return the figure that `draw` returns as an SVG element for a page.

    label: what a screen reader says. prefix: makes the element's ids its own, as a page may hold many.
    """
    from matplotlib import rc_context

    buffer = io.BytesIO()
    # Letters, which can be searched, not their outlines. The browser has fonts for what matplotlib's lacks.
    with rc_context(STYLE | {"svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # nothing but the drawing
        draw().savefig(buffer, format="svg", metadata=metadata, transparent=True)
    root = xml.fromstring(buffer.getvalue())
    for unwanted in [child for child in root if child.tag.endswith("metadata")]:
        root.remove(unwanted)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{SVG}}}")
        for name, value in list(element.attrib.items()):
            if name.startswith(XLINK):
                del element.attrib[name]
            name = name.removeprefix(XLINK)
            element.set(name, _own(name, value, prefix))
    width, height = (float(root.get(side).removesuffix("pt")) for side in ("width", "height"))
    # The page makes it as wide as it has room; never so narrow that its letters cannot be read.
    root.set("style", f"width: {width * 4 / 3:.0f}px; min-width: {width:.0f}px")
    for name, value in {
        "role": "img",
        "aria-label": label,
        "width": f"{width:g}",
        "height": f"{height:g}",
    }.items():
        root.set(name, value)
    return Markup(xml.tostring(root, encoding="unicode"))


def _own(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name == "href":
        return f"#{prefix}-{value.removeprefix('#')}"
    value = value.replace("url(#", f"url(#{prefix}-")
    if name == "style":
        for colour, variable in VARIABLES.items():
            value = value.replace(colour, f"var({variable})")
    return value
