"""A person's name as they write it on a small screen. Pure."""

from __future__ import annotations

import unicodedata

LONGEST_NAME = 40
"""Characters; a receipt goes over the radio, and the longest names on an identity card are shorter."""


def tidy_name(text: str) -> str | None:
    """The name without control characters and needless spaces, cut to `LONGEST_NAME`; None if no letter is in it."""
    kept = "".join(
        character if unicodedata.category(character)[0] not in "CZ" or _joins(character) else " " for character in text
    )
    name = " ".join(kept.split())[:LONGEST_NAME].strip()
    return name if any(character.isalpha() for character in name) else None


def _joins(character: str) -> bool:
    """Zero-width joiners belong to how Nepali and Persian names are written."""
    return character in "‌‍"
