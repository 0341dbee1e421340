"""Pages for machines."""

from __future__ import annotations

from flask import Blueprint


def blueprint() -> Blueprint:
    """The routes."""
    return Blueprint("machine", __name__)
