"""HTML elements as function calls: text is escaped where it enters, so that no name can be markup.

tag("p", "bn < 5×5 & ", tag("b", name), id="first")
"""

from __future__ import annotations

import base64
import html
import re


class Markup(str):
    """Text that is HTML already. Only `tag` and whoever knows what it wraps make it."""


VOID = ("img", "meta", "wbr")


def tag(element: str, *children: str | None, **attributes: str | int | None) -> Markup:
    """Return an element. Children that are not markup are escaped; None is nothing.

    `class_` is the attribute class, `aria_label` is aria-label; an attribute that is None is left out.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if element in VOID:
        return Markup(f"<{element}{written}>")
    return Markup(f"<{element}{written}>{join(*children)}</{element}>")


def embedded(content: bytes, kind: str) -> str:
    """Return a picture as an address that holds it, for `src`. kind: png or jpeg."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def breakable(name: str) -> Markup:
    """Return a name that may go on in the next line after its punctuation."""
    parts = re.split(r"(?<=[:,+/_=@])", name)
    return join(*(piece for part in parts for piece in (part, tag("wbr"))))


def join(*children: str | None) -> Markup:
    """Return pieces one after the other, escaped where they are not markup."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else html.escape(child, quote=False)
            for child in children
            if child is not None
        )
    )
