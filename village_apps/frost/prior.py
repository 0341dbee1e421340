"""The shipped prior, read from the package."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from village_apps.frost.hourly_model import Prior

FILE = Path(__file__).with_name("prior.json")


@cache
def load_prior() -> Prior:
    """What the kit knows before it has seen a site (see docs/frost.md for where it comes from)."""
    return Prior.from_json(json.loads(FILE.read_text(encoding="utf-8")))
