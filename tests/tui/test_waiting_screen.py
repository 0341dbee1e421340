"""A new device is let in from the technician's terminal, by keys alone."""

from __future__ import annotations

from typing import Any

import pytest
from screens import SIZES, on_screen, until

from tui.app import KitApp
from tui.facts import Newcomer

ORCHARD = Newcomer(7, "DVES_1A2B3C", "tasmota", "temperature 4.5 Cel", "tasmota_1a2b3c", 12.0)
SHED = Newcomer(8, "shelly", "shelly", "temperature 3 Cel", "shed", 3.0, open=True)


@pytest.mark.parametrize("size", SIZES)
async def test_a_device_is_let_in_with_one_key_a_name_and_a_place(quiet: Any, size: tuple[int, int]) -> None:
    quiet.waiting = [SHED, ORCHARD]
    app = KitApp(quiet, poll_s=0.05)
    async with app.run_test(size=size) as pilot:
        await pilot.press("w")
        await until(pilot, lambda: "temperature 4.5 Cel" in on_screen(app))
        assert "no password" in on_screen(app)
        await pilot.press("o", "y")
        await until(pilot, lambda: "tasmota_1a2b3c" in on_screen(app))
        await pilot.press("enter", *"river bank", "enter", *"-0.37, 36.32", "enter")
        await until(pilot, lambda: bool(quiet.accepted))
        await until(pilot, lambda: "let in as" in on_screen(app))
        assert quiet.accepted == [(7, "tasmota_1a2b3c", "river bank", "-0.37, 36.32")]
        await pilot.press("x")
        await until(pilot, lambda: "No device waits." in on_screen(app))


async def test_the_join_code_is_shown_with_what_to_type(quiet: Any) -> None:
    app = KitApp(quiet, poll_s=0.05)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("w")
        await until(pilot, lambda: "Show a join code: c" in on_screen(app))
        await pilot.press("c")
        await until(pilot, lambda: "KXQM-7TRB" in on_screen(app))
        assert "host 192.168.4.1  port 1883  user join" in on_screen(app)
        assert "▀▄ █" in on_screen(app)


async def test_a_name_that_cannot_be_is_said_to_be_so(quiet: Any) -> None:
    quiet.waiting = [Newcomer(1, "x", "native", "", "kit-x")]
    app = KitApp(quiet, poll_s=0.05)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("w")
        await until(pilot, lambda: "silent" in on_screen(app))
        await pilot.press("y")
        await until(pilot, lambda: "kit-x" in on_screen(app))
        await pilot.press("enter", "enter", "enter")
        await until(pilot, lambda: "cannot be a device's name" in on_screen(app))
    assert quiet.accepted == []
