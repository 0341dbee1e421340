"""The technician's screen, driven by keys as a person drives it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from screens import SIZES, on_screen, until

from kit.clock import ManualClock
from kit.errors import KitError
from kit.home import Home
from kit.settings import Settings
from tui.app import KitApp
from tui.facts import UnitFacts
from tui.line import Line
from tui.messages import DetailArrived
from tui.panel import Panel
from tui.screens.detail import DetailScreen
from tui.screens.home import HomeScreen


def text_of(app: KitApp, selector: str) -> str:
    return str(app.screen.query_one(selector, Panel).visual)


@pytest.mark.parametrize("size", SIZES)
async def test_everything_that_matters_is_seen_without_scrolling(frost_night: Any, size: tuple[int, int]) -> None:
    app = KitApp(frost_night, poll_s=0.05)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "lora" in on_screen(app))
        shown = on_screen(app)
    wanted = ["Kinamba", "03:12", "3 things" if size[0] == 40 else "nobody has confirmed", "NOT CONFIRMED"]
    wanted += ["-2.1 °C", "82%", "sync waiting", "battery, 64 %", "school", "SILENT", "orchard-low", "-0.4"]
    wanted += ["orchard-high", "lora", "cellular", "940", "Clients", "22 min", "q Quit"]
    assert [word for word in wanted if word not in shown] == []


@pytest.mark.parametrize(
    ("key", "heading", "words"),
    [
        ("n", "What needs you", "check its battery and lead"),
        ("a", "Warnings", "Light the heaters"),
        ("k", "Waiting to leave", "left by lora"),
        ("l", "Logs", "look 59"),
        ("question_mark", "Keys", "leave; the unit goes on"),
    ],
)
async def test_a_key_opens_its_screen_and_escape_comes_back(
    frost_night: Any, key: str, heading: str, words: str
) -> None:
    app = KitApp(frost_night, poll_s=0.05)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "lora" in on_screen(app))
        await pilot.press(key)
        await until(pilot, lambda: heading in on_screen(app) and words in on_screen(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))


async def test_one_screen_replaces_another_so_that_escape_always_leads_home(frost_night: Any) -> None:
    app = KitApp(frost_night, poll_s=0.05)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("a")
        await until(pilot, lambda: "Warnings" in on_screen(app))
        await pilot.press("k")
        await until(pilot, lambda: "Waiting to leave" in on_screen(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))


async def test_escape_on_the_home_screen_changes_nothing(frost_night: Any) -> None:
    app = KitApp(frost_night, poll_s=0.05)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, HomeScreen)


async def test_a_store_that_is_locked_is_said_and_the_last_facts_stay(frost_night: Any, locked: Exception) -> None:
    app = KitApp(frost_night, poll_s=0.05)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "orchard-low" in on_screen(app))
        frost_night.broken = locked
        await until(pilot, lambda: "cannot be read now: database is locked" in on_screen(app))
        assert "orchard-low" in on_screen(app)
        frost_night.broken = None
        await until(pilot, lambda: "cannot be read" not in on_screen(app))


@pytest.mark.parametrize("size", SIZES)
async def test_a_unit_that_never_ran_says_how_to_start_it(fresh_home: Any, size: tuple[int, int]) -> None:
    app = KitApp(fresh_home, poll_s=0.05)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "No forecast yet" in on_screen(app))
        await pilot.press("n")
        await until(pilot, lambda: "start it: kit run" in " ".join(on_screen(app).split()))


async def test_refresh_looks_at_once(frost_night: Any) -> None:
    app = KitApp(frost_night, poll_s=60.0)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: frost_night.looks == 1)
        await pilot.press("r")
        await until(pilot, lambda: frost_night.looks == 2)


async def test_a_reader_who_scrolled_up_in_the_log_stays_there(frost_night: Any) -> None:
    app = KitApp(frost_night, poll_s=0.05)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("l")
        await until(pilot, lambda: "look 59" in on_screen(app))
        await pilot.press("home")
        await until(pilot, lambda: "look 0" in on_screen(app))
        looks = frost_night.looks
        await until(pilot, lambda: frost_night.looks > looks + 2)
        assert "look 0" in on_screen(app)


async def test_the_terminal_may_change_its_size_at_any_time(frost_night: Any) -> None:
    app = KitApp(frost_night, poll_s=0.05)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "alarms" in on_screen(app))
        await pilot.resize_terminal(40, 20)
        await until(pilot, lambda: "P0  P1" in on_screen(app))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "alarms" in on_screen(app))


async def test_the_command_palette_knows_every_screen(frost_night: Any) -> None:
    app = KitApp(frost_night, poll_s=0.05)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: "how far it has come" in on_screen(app))
        await pilot.press(*"queue")
        await pilot.press("enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen))


async def test_leaving_ends_the_reading_thread_at_once(frost_night: Any) -> None:
    app = KitApp(frost_night, poll_s=60.0)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: frost_night.looks == 1)
        (reading,) = [worker for worker in app.workers if worker.name == "_read"]
        left_s = time.monotonic()
        await pilot.press("q")
    assert reading.is_finished
    assert time.monotonic() - left_s < 30  # it would have slept for 60


async def test_the_queue_can_be_filtered_and_sent_again(frost_night: Any) -> None:
    app = KitApp(frost_night, poll_s=0.05)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("k")
        await until(pilot, lambda: "to River village: goes by lora; 1 more urgent" in on_screen(app))
        assert "to the core: left by lora" in on_screen(app)
        await pilot.press("f")
        await until(pilot, lambda: "Waiting: alarms" in on_screen(app) and "readings" not in on_screen(app))
        assert "not acknowledged yet" in on_screen(app)
        await pilot.press("f")
        await until(pilot, lambda: "no receipts wait" in on_screen(app))
        await pilot.press("t")
        await until(pilot, lambda: "40 records are due now" in on_screen(app))
    assert frost_night.retried == 1


async def test_what_was_read_for_one_screen_is_not_shown_on_the_next(frost_night: Any) -> None:
    app = KitApp(frost_night, poll_s=0.05)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("a")
        await until(pilot, lambda: "Light the heaters" in on_screen(app))
        left = app.screen
        assert isinstance(left, DetailScreen)
        await pilot.press("l")
        app.post_message(DetailArrived(left, [Line("a warning among the logs")]))
        await until(pilot, lambda: "look 59" in on_screen(app))
        assert "among the logs" not in on_screen(app)


def test_a_home_in_which_nothing_has_run_is_not_made_by_a_key(tmp_path: Path) -> None:
    facts = UnitFacts(Home(tmp_path / "unit"), Settings(), ManualClock())
    for change in (facts.make_join_code, facts.retry, lambda: facts.turn_away(1)):
        with pytest.raises(KitError, match="has never run"):
            change()
    assert not (tmp_path / "unit").exists()
