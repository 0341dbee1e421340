"""Draws how long a message takes and how much air it costs, over loss, and what others make of it, as an SVG.

Nothing but the standard library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Protocol

WIDTH, HEIGHT, LEFT, TOP, GAP = 360, 240, 56, 44, 90
COLOURS = ("#1b5e20", "#b26a00", "#5c6bc0", "#ad1457")
OTHERS = "#78909c"
BAR_LEFT, BAR_WIDTH = 370, 440


class Plotted(Protocol):
    """A point of a line."""

    @property
    def loss(self) -> float: ...

    @property
    def delivered(self) -> float: ...

    @property
    def median_s(self) -> float | None: ...

    @property
    def airtime_s(self) -> float: ...

    @property
    def interval_s(self) -> tuple[float, float]: ...


class Weighed(Protocol):
    """A bar."""

    @property
    def frames(self) -> float: ...

    @property
    def airtime_s(self) -> float: ...


def draw(lines: Mapping[str, Sequence[Plotted]], bars: Mapping[str, Mapping[str, Weighed]]) -> str:
    """Two panels side by side with one legend; below them, bars of what goes by air in the stored forms."""
    width, top = 2 * WIDTH + 2 * LEFT + GAP, HEIGHT + TOP + 116
    below, height = _bars(bars, top)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        '<g font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        *_panel("Median time to arrive, seconds", lines, LEFT, lambda each: each.median_s),
        *_panel(
            "Airtime per message, seconds; 95 % of means",
            lines,
            LEFT + WIDTH + GAP,
            lambda each: each.airtime_s,
            lambda each: each.interval_s,
        ),
    ]
    for number, name in enumerate(lines):
        x, y = LEFT + number * 205, HEIGHT + TOP + 70
        parts.append(f'<rect x="{x}" y="{y - 9}" width="18" height="4" fill="{COLOURS[number]}"/>')
        parts.append(f'<text x="{x + 24}" y="{y}">{escape(name)}</text>')
    return "\n".join([*parts, *below, "</g>", "</svg>", ""])


def _bars(bars: Mapping[str, Mapping[str, Weighed]], top: int) -> tuple[list[str], int]:
    """A block for each payload; and where they end."""
    parts, y = [], top
    longest_s = max((each.airtime_s for rows in bars.values() for each in rows.values()), default=1.0)
    for title, rows in bars.items():
        words = f"{title[0].upper()}{title[1:]}: seconds of LongFast, nothing lost"
        parts.append(f'<text x="{LEFT}" y="{y}" font-weight="bold">{escape(words)}</text>')
        y += 10
        for name, each in rows.items():
            if each.frames == 0:
                continue
            length = BAR_WIDTH * each.airtime_s / longest_s
            colour = COLOURS[0] if name.startswith("this kit") else OTHERS
            parts.append(f'<text x="{LEFT}" y="{y + 12}">{escape(name)}</text>')
            parts.append(f'<rect x="{BAR_LEFT}" y="{y + 2}" width="{length:.1f}" height="12" fill="{colour}"/>')
            parts.append(f'<text x="{BAR_LEFT + length + 6:.1f}" y="{y + 12}" fill="#555">{each.airtime_s:.2f}</text>')
            y += 18
        y += 30
    return parts, y


def _panel(
    title: str,
    lines: Mapping[str, Sequence[Plotted]],
    left: float,
    value: Callable[[Plotted], float | None],
    span: Callable[[Plotted], tuple[float, float] | None] = lambda _: None,
) -> list[str]:
    values = [told for line in lines.values() for each in line if (told := value(each)) is not None and told > 0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    top_loss = max(each.loss for line in lines.values() for each in line)

    def place(loss: float, told: float) -> tuple[float, float]:
        share = (math.log10(told) - low) / max(high - low, 1)
        return left + WIDTH * loss / top_loss, TOP + HEIGHT * (1 - share)

    parts = [f'<text x="{left}" y="{TOP - 16}" font-weight="bold">{escape(title)}</text>']
    for power in range(low, high + 1):
        x, y = place(0.0, 10.0**power)
        parts.append(f'<line x1="{x}" y1="{y:.1f}" x2="{x + WIDTH}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#555">{10.0**power:g}</text>')
    for loss in sorted({each.loss for line in lines.values() for each in line}):
        x, y = place(loss, 10.0**low)
        parts.append(f'<text x="{x:.1f}" y="{y + 20}" text-anchor="middle" fill="#555">{loss:.0%} lost</text>')
    for number, line in enumerate(lines.values()):
        parts += _line(line, COLOURS[number], value, place)
        for each in line:
            between = span(each)
            if between is not None and between[0] > 0:
                (x, low_y), (_, high_y) = (place(each.loss, told) for told in between)
                parts.append(
                    f'<line x1="{x:.1f}" y1="{low_y:.1f}" x2="{x:.1f}" y2="{high_y:.1f}" '
                    f'stroke="{COLOURS[number]}" stroke-width="1.5"/>'
                )
    return parts


def _line(
    line: Sequence[Plotted],
    colour: str,
    value: Callable[[Plotted], float | None],
    place: Callable[[float, float], tuple[float, float]],
) -> list[str]:
    spots = [(place(each.loss, told), each) for each in line if (told := value(each)) is not None and told > 0]
    path = " ".join(f"{x:.1f},{y:.1f}" for (x, y), _ in spots)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for (x, y), each in spots:
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')
        if each.delivered < 1.0:
            words = f"{each.delivered:.0%} arrive"
            side, anchor = (-6, "end") if each is line[-1] else (6, "start")
            parts.append(
                f'<text x="{x + side:.1f}" y="{y - 7:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="11">'
                f"{words}</text>"
            )
    return parts
