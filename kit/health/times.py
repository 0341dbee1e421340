"""Unix milliseconds, as records keep them, to the RFC 3339 of every JSON shape."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(at_ms: float | None) -> str | None:
    """`2016-04-12T03:00:00Z`, or None."""
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
