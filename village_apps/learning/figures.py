"""Figures of lessons: what of an SVG may stand inside a page of the kit. Pure.

Invariant: what comes out holds shapes and text only, each element and attribute from the lists below, with ids that
belong to this figure alone. Scripts, style sheets, links, animations and whatever points out of the figure are refused
with a sentence that says what to mend; what an editor leaves behind (its own elements, metadata, comments) is left out.

Sources: SVG 2 (W3C), appendix C (element index); the presentation attributes of section 6.6.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from village_apps.learning.lesson import LessonError

MAX_FIGURE_BYTES = 48 * 1024
MAX_ELEMENTS = 3000
MAX_DEPTH = 24
"""Drawings of a lesson have a tenth of that; a parser of a phone's browser should not be led further."""

SVG = "http://www.w3.org/2000/svg"
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"

SHAPES = frozenset(
    (
        "svg",
        "g",
        "defs",
        "path",
        "rect",
        "circle",
        "ellipse",
        "line",
        "polyline",
        "polygon",
        "text",
        "tspan",
        "linearGradient",
        "radialGradient",
        "stop",
        "clipPath",
    )
)
"""Not `use`, `pattern`, `mask`, `marker`: a few lines of them can draw more than a phone ever finishes."""

LEFT_OUT = frozenset(
    (
        "title",
        "desc",
        "metadata",
    )
)
"""Words about the figure: a lesson has its own, in `figure_says`."""

GEOMETRY = frozenset(
    (
        "viewBox",
        "preserveAspectRatio",
        "x",
        "y",
        "x1",
        "y1",
        "x2",
        "y2",
        "cx",
        "cy",
        "r",
        "rx",
        "ry",
        "fx",
        "fy",
        "dx",
        "dy",
        "d",
        "points",
        "width",
        "height",
        "transform",
        "rotate",
        "offset",
        "gradientUnits",
        "gradientTransform",
        "spreadMethod",
        "clipPathUnits",
        "textLength",
        "lengthAdjust",
    )
)

LOOKS = frozenset(
    (
        "fill",
        "fill-opacity",
        "fill-rule",
        "stroke",
        "stroke-width",
        "stroke-opacity",
        "stroke-linecap",
        "stroke-linejoin",
        "stroke-miterlimit",
        "stroke-dasharray",
        "stroke-dashoffset",
        "opacity",
        "color",
        "display",
        "visibility",
        "font-family",
        "font-size",
        "font-style",
        "font-weight",
        "text-anchor",
        "dominant-baseline",
        "letter-spacing",
        "word-spacing",
        "text-decoration",
        "stop-color",
        "stop-opacity",
        "clip-path",
        "clip-rule",
        "paint-order",
        "vector-effect",
    )
)

_ID = re.compile(r"[A-Za-z_][\w.-]{0,79}")
_OWN_PAINT = re.compile(r"url\(\s*[\"']?#([A-Za-z_][\w.-]{0,79})[\"']?\s*\)")
_UNSAFE = re.compile(r"[\\<>@]|/\*|url\s*\(|expression|javascript", re.IGNORECASE)


def clean_figure(svg: str, *, prefix: str = "") -> str:
    """The figure as it may stand in a page.

    Args:
        svg: the text of an SVG file.
        prefix: put before each id, so that two figures on a page do not share any.

    Raises:
        LessonError: it is no SVG, or holds what a figure must not; the sentence says what.
    """
    if len(svg.encode()) > MAX_FIGURE_BYTES:
        raise LessonError(f"has {len(svg.encode())} bytes; at most {MAX_FIGURE_BYTES}")
    if "<!DOCTYPE" in svg or "<!ENTITY" in svg:
        raise LessonError("holds a <!DOCTYPE> or <!ENTITY>; leave it out")
    try:
        root = ET.fromstring(svg)  # noqa: S314 - without a DOCTYPE there are no entities to blow up
    except (ET.ParseError, ValueError) as error:
        raise LessonError(f"is no SVG: {error}") from error
    if root.tag != f"{{{SVG}}}svg":
        raise LessonError(f'is no SVG: it must begin with <svg xmlns="{SVG}">')
    if not re.fullmatch(r"\s*-?[\d.]+([\s,]+-?[\d.]+){3}\s*", root.get("viewBox", "")):
        raise LessonError('has no viewBox, like viewBox="0 0 360 190": it could not be fitted to a phone')
    for size in ("width", "height", "x", "y"):
        root.attrib.pop(size, None)  # the page gives it its width
    kept = _Copy(prefix).of(root, depth=0)
    return "" if kept is None else _text_of(kept)


class _Copy:
    """Copies what is allowed; counts, so that no figure is endless."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._left = MAX_ELEMENTS

    def of(self, element: ET.Element, *, depth: int) -> ET.Element | None:
        """The element without what is left out; None if all of it is."""
        if depth > MAX_DEPTH:
            raise LessonError(f"is nested more than {MAX_DEPTH} deep")
        self._left -= 1
        if self._left < 0:
            raise LessonError(f"has more than {MAX_ELEMENTS} elements")
        space, _, name = str(element.tag).rpartition("}")
        if space.removeprefix("{") != SVG:
            if space.endswith("xhtml") or not space:
                raise LessonError(f"holds <{name}>, which is no SVG")
            return None  # an editor's own
        if name in LEFT_OUT:
            return None
        if name not in SHAPES:
            raise LessonError(f"holds <{name}>; a figure may hold only shapes and text")
        copy = ET.Element(name, self._attributes(element, name))
        copy.text, copy.tail = _clean_text(element.text, name), _clean_text(element.tail, name)
        for child in element:
            inside = self.of(child, depth=depth + 1)
            if inside is not None:
                copy.append(inside)
        return copy

    def _attributes(self, element: ET.Element, name: str) -> dict[str, str]:
        told = dict(element.attrib)
        for declaration in told.pop("style", "").split(";"):
            looks, colon, value = declaration.partition(":")
            if colon:
                told[looks.strip()] = value.strip()  # as CSS has it: style goes before attributes
        kept: dict[str, str] = {}
        for key, value in told.items():
            if key.lower().startswith("on"):
                raise LessonError(f"holds {key}= at <{name}>, which is a script; leave it out")
            if key in ("href", _XLINK_HREF):
                kept["href"] = f"#{self._own_id(value.removeprefix('#'), value)}"
            elif key == "id":
                kept["id"] = self._own_id(value, value)
            elif key in GEOMETRY or key in LOOKS:
                kept[key] = self._value(key, value)
        return kept

    def _own_id(self, name: str, told: str) -> str:
        if not _ID.fullmatch(name):
            raise LessonError(f"points to '{told[:60]}'; it may point only to an id of its own, like #sky")
        return f"{self._prefix}{name}"

    def _value(self, key: str, value: str) -> str:
        mine = _OWN_PAINT.fullmatch(value.strip())
        if mine:
            return f"url(#{self._prefix}{mine[1]})"
        if _UNSAFE.search(value):
            raise LessonError(f'holds {key}="{value[:60]}"; write a plain value, or url(#an-id) of this figure')
        return value


def _clean_text(text: str | None, name: str) -> str | None:
    """Only text elements have words; the rest is line breaks between elements."""
    return text if text and text.strip() and name in ("text", "tspan") else None


def _text_of(root: ET.Element) -> str:
    root.set("xmlns", SVG)
    return ET.tostring(root, encoding="unicode").replace(" />", "/>")
