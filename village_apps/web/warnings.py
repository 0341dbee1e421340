"""The warnings that stand, as a page shows them: in the reader's language, with who has confirmed them."""

from __future__ import annotations


def standing_warnings() -> list[object]:
    """Alerts that are active now."""
    return []


def confirm_warning(identifier: str, *, person: str) -> bool:
    """."""
    return False
