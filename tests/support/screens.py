"""Driving the technician's screen by keys, as a person does, and reading what it shows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot

SIZES = [pytest.param((80, 24), id="80x24"), pytest.param((40, 20), id="40x20")]
PATIENCE_S = 30.0


def on_screen(app: App[Any]) -> str:
    """Every row of the terminal as a person sees it."""
    rows = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in row) for row in rows)


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Let the app work until it has come to that."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        await pilot.pause()
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"it never came to that; the screen shows:\n{on_screen(pilot.app)}")
