"""Pictures of the screens in both sizes. Look at each before accepting it: pytest --snapshot-update."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tui.app import KitApp

SIZES = [pytest.param((80, 24), id="80x24"), pytest.param((40, 20), id="40x20")]


async def settled(pilot: Pilot[None]) -> None:
    """Until the first status has been drawn."""
    for _ in range(100):
        await pilot.pause()
        if getattr(pilot.app, "_status", None):
            break
        await asyncio.sleep(0.01)
    await pilot.pause()


def keys(*pressed: str) -> Callable[[Pilot[None]], Any]:
    async def run(pilot: Pilot[None]) -> None:
        await settled(pilot)
        for key in pressed:
            await pilot.press(key)
        for _ in range(10):
            await pilot.pause(0.02)

    return run


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("unit", ["frost_night", "quiet", "stopped", "fresh_home"])
def test_the_home_screen_looks_as_accepted(
    snap_compare: Any, request: pytest.FixtureRequest, unit: str, size: tuple[int, int]
) -> None:
    facts = request.getfixturevalue(unit)
    assert snap_compare(KitApp(facts, poll_s=60.0), terminal_size=size, run_before=keys())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", ["a", "k", "n", "question_mark"])
def test_the_screens_behind_it_look_as_accepted(
    snap_compare: Any, frost_night: Any, key: str, size: tuple[int, int]
) -> None:
    assert snap_compare(KitApp(frost_night, poll_s=60.0), terminal_size=size, run_before=keys(key))
