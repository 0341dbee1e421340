"""What can be wrong with packed bytes."""

from __future__ import annotations


class PackingError(ValueError):
    """These bytes cannot be unpacked, or these rows cannot be packed; the sentence says why."""
