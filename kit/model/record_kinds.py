"""Names of record kinds that programs count without reading what is in them: importing this costs nothing. Pure."""

from __future__ import annotations

MESSAGE = "message"
"""Words between people (`kit.model.letters`)."""
