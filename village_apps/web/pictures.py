"""The pictures beside the words: symbols of one SVG sprite, drawn into the page itself.

Inlined because an external sprite would be one more request on the first page, and some captive-portal mini-browsers
draw nothing for an external `<use>`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path

from markupsafe import Markup

SPRITE = Path(__file__).parent / "static" / "sprite.svg"
UNKNOWN = "info"
"""Drawn for an id that the sprite does not have: a missing picture must not take a warning's page down."""

_SVG = "{http://www.w3.org/2000/svg}"


@cache
def symbols() -> dict[str, tuple[str, str]]:
    """Every symbol of the sprite: id → (viewBox, markup inside)."""
    ET.register_namespace("", "http://www.w3.org/2000/svg")
    found: dict[str, tuple[str, str]] = {}
    for symbol in ET.parse(SPRITE).getroot().iter(f"{_SVG}symbol"):  # noqa: S314 - the kit's own file
        inside = "".join(ET.tostring(child, encoding="unicode") for child in symbol)
        found[symbol.attrib["id"]] = (
            symbol.attrib["viewBox"],
            " ".join(inside.replace(' xmlns="http://www.w3.org/2000/svg"', "").split()).replace("> <", "><"),
        )
    return found


def picture(name: str, kind: str = "") -> Markup:
    """The picture as inline SVG. It only repeats what the words say, so it is hidden from a screen reader.

    Args:
        name: id of a symbol in `static/sprite.svg`.
        kind: further CSS classes, such as "large".
    """
    known = symbols()
    box, inside = known.get(name) or known[UNKNOWN]
    return Markup('<svg class="picture {}" viewBox="{}" aria-hidden="true" focusable="false">{}</svg>').format(
        kind,
        box,
        Markup(inside),  # noqa: S704 - from the kit's own file
    )
