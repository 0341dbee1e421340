"""What the home screen says, as lines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui import home_view
from tui.line import Line, Shape, Tone, cut, fit, spread, wrapped

WIDE = Shape(38, 5)
NARROW = Shape(40, 3, narrow=True)


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def test_an_unconfirmed_warning_says_so_in_words_and_stands_first(frost_night: Any) -> None:
    first = home_view.tonight(frost_night.told, WIDE)[0]
    assert first.text == "! Frost warning NOT CONFIRMED, 7 h"
    assert first.tone is Tone.BAD


def test_a_confirmed_warning_names_who_has_seen_it(frost_night: Any) -> None:
    frost_night.told["alerts"][0] |= {"confirmed": True, "seen_by": ["Wanjiru"]}
    assert home_view.tonight(frost_night.told, WIDE)[0].text == "Frost warning: seen by Wanjiru"


def test_the_silent_sensor_stands_before_those_that_speak(frost_night: Any) -> None:
    assert home_view.sensors(frost_night.told, WIDE)[0].text.startswith("! school")
    assert "SILENT 6 h 1 min ago" in home_view.sensors(frost_night.told, WIDE)[0].text


def test_a_service_that_is_down_stands_first_with_its_last_error(frost_night: Any) -> None:
    first = home_view.services(frost_night.told, Shape(60, 5))[0]
    assert first == Line("! sync waiting, 4 restarts: the radio at /dev/ttyUSB0 does…", Tone.WARN)


def test_a_unit_that_is_stopped_is_said_in_one_line(stopped: Any) -> None:
    assert texts(home_view.services(stopped.told, WIDE)) == ["! all services stopped"]


def test_seven_running_services_take_two_lines_of_the_wide_screen(frost_night: Any) -> None:
    names = ("air", "core", "broker", "collect", "web", "sync", "station")
    running = [{"name": name, "state": "running", "restarts": 0} for name in names]
    shown = home_view.services(frost_night.told | {"services": running}, WIDE)
    assert len(shown) == 2
    assert all(len(line.text) <= WIDE.width for line in shown)
    assert all(name in " ".join(texts(shown)) for name in names)


def test_every_priority_of_every_link_is_seen_on_a_phone(frost_night: Any) -> None:
    assert texts(home_view.sync(frost_night.told, NARROW)) == [
        "link     state  P0  P1  P2  P3  P4  P5",
        "lora     conn…   1   2   ·   · 940   ·",
        "cellular down    1   2   ·   ·  1k   3",
    ]


def test_the_wide_screen_names_the_priorities(frost_night: Any) -> None:
    head = home_view.sync(frost_night.told, Shape(78, 4))[0].text
    assert all(word in head for word in ("alarms", "receipts", "messages", "summaries", "readings", "bulk"))


def test_a_quiet_day_needs_nobody(quiet: Any) -> None:
    assert texts(home_view.needs(quiet.told, WIDE)) == ["Nothing needs you."]


def test_several_needs_are_counted_on_a_phone_and_told_on_a_wide_screen(frost_night: Any) -> None:
    assert texts(home_view.needs(frost_night.told, NARROW)) == ["! 3 things need you: press n"]
    assert len(home_view.needs(frost_night.told, Shape(80, 3))) == 3


def test_a_clock_nobody_vouches_for_is_marked_beside_the_time(fresh_home: Any) -> None:
    assert home_view.header(fresh_home.told, Shape(40, 1, narrow=True))[0].text.endswith("03:12 ?clock")


@pytest.mark.parametrize("missing", ["links", "sensors", "alerts", "services", "forecast", "power", "core", "clock"])
def test_a_panel_survives_a_status_that_lacks_a_part(frost_night: Any, missing: str) -> None:
    del frost_night.told[missing]
    views = [getattr(home_view, name) for name in ("header", "needs", "tonight", "services", "sensors", "unit", "sync")]
    for view in views:
        for shape in (WIDE, NARROW):
            assert view(frost_night.told, shape)


@given(st.lists(st.text(max_size=60), max_size=12), st.integers(1, 60), st.integers(1, 6))
def test_lines_never_leave_their_panel(told: list[str], width: int, rows: int) -> None:
    shown = fit([Line(text) for text in told], Shape(width, rows), more="more")
    assert len(shown) <= rows
    assert all(len(line.text) <= width for line in shown)


def test_what_is_left_out_keeps_its_alarm() -> None:
    lines = [Line("fine"), Line("fine"), Line("! silent", Tone.BAD)]
    assert fit(lines, Shape(20, 2), more="sensors")[-1] == Line("+2 sensors", Tone.BAD)


@given(st.text(max_size=40), st.text(max_size=20), st.integers(1, 50))
def test_both_ends_of_a_row_fit_into_it(left: str, right: str, width: int) -> None:
    assert len(spread(left, right, width)) <= width


def test_long_sentences_are_folded_with_their_continuation_indented() -> None:
    assert texts(wrapped([Line("one two three four")], 10)) == ["one two", "  three", "  four"]
    assert cut("abcdef", 4) == "abc…"
