"""What a panel is made of: lines with a tone; pure.

A tone colours what the words already say: whoever sees no colours, or reads a 16-colour terminal over SSH on a phone,
loses nothing.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """How a line is meant."""

    PLAIN = "plain"
    HEAD = "head"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    PAPER = "paper"  # a picture that a phone reads: black on white


@dataclass(frozen=True)
class Line:
    """One line of a panel."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True)
class Shape:
    """The room a panel has.

    Attributes:
        width: cells in a row.
        rows: at most so many lines; what matters most comes first and a last line says how many are left out.
        narrow: whether the panel has no title of its own, so that its lines must name themselves.
    """

    width: int
    rows: int
    narrow: bool = False


def fit(lines: Sequence[Line], shape: Shape, *, more: str) -> list[Line]:
    """Cut every line to the width and the list to the rows; `more` names what is left out, as in `+3 sensors`."""
    shown = [Line(cut(line.text, shape.width), line.tone) for line in lines]
    if len(shown) <= shape.rows:
        return shown
    kept = shown[: max(0, shape.rows - 1)]
    left_out = lines[len(kept) :]
    worst = next((tone for tone in (Tone.BAD, Tone.WARN) if any(line.tone is tone for line in left_out)), Tone.PLAIN)
    return [*kept, Line(cut(f"+{len(left_out)} {more}", shape.width), worst)]


def cut(text: str, width: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= width else text[: max(0, width - 1)].rstrip() + "…"


def wrapped(lines: Iterable[Line], width: int) -> list[Line]:
    """Every line folded to the width, continuations indented by two."""
    return [
        Line(part, line.tone)
        for line in lines
        for part in (textwrap.wrap(line.text, max(10, width), subsequent_indent="  ") or [""])
    ]


def spread(left: str, right: str, width: int) -> str:
    """`left` and `right` at the two ends of a row; the left one is cut when both do not fit."""
    room = width - len(right) - 1
    return f"{cut(left, room):<{room}} {right}" if room > 0 else cut(right, width)
