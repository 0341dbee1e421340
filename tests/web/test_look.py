from __future__ import annotations

import re

import pytest

from village_apps.web.static_files import FOLDER

STYLE = (FOLDER / "style.css").read_text()
COLOURS = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", STYLE)) | {"white": "#ffffff"}

AA = 4.5
"""WCAG 2.2, 1.4.3: the least contrast of text."""

PAIRS = [
    ("ink", "paper"),
    ("ink", "panel"),
    ("ink", "red-pale"),
    ("ink", "amber-pale"),
    ("ink", "green-pale"),
    ("ink", "blue-pale"),
    ("soft", "paper"),
    ("soft", "panel"),
    ("white", "green"),
    ("white", "red"),
    ("white", "red-dark"),
    ("green-dark", "paper"),
    ("green-dark", "white"),
    ("red-dark", "red-pale"),
    ("red-dark", "paper"),
]


def luminance(colour: str) -> float:
    """WCAG's relative luminance."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_can_be_read_in_the_sun(text: str, ground: str) -> None:
    lighter, darker = sorted((luminance(COLOURS[text]), luminance(COLOURS[ground])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= AA


def test_the_style_asks_for_nothing_from_elsewhere() -> None:
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def test_what_is_sent_to_every_phone_stays_small() -> None:
    assert len(STYLE) < 16_000
