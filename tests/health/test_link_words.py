"""What a technician reads about a link: what is left today, how the radio is set, and what needs a person."""

from __future__ import annotations

from typing import Any

from kit.cli.status_text import status_text
from kit.health.attention import attention
from kit.health.doctor_status import check_links
from kit.health.words import air_words, data_words
from tui.home_view import sync
from tui.line import Shape

LORA: dict[str, Any] = {
    "name": "lora",
    "state": "up",
    "explain": "connected to the radio at /dev/ttyUSB0",
    "queued": {"0": 0, "4": 3},
    "last_heard": None,
    "fault": "",
    "facts": {
        "verified": True,
        "region": "EU_868",
        "preset": "LONG_FAST",
        "channel": "",
        "hop_limit": 3,
        "firmware": "2.7.15",
        "air": {"frames_now": 160, "frames": 1850, "bytes": 395_900, "alert_frames": 18, "hops": 1},
    },
}
CELLULAR: dict[str, Any] = {
    "name": "cellular",
    "state": "up",
    "explain": "connected",
    "queued": {},
    "last_heard": None,
    "fault": "",
    "facts": {"data": {"daily_bytes": 5_000_000, "used_bytes": 4_400_000, "lowest_priority": 3}},
}
STATUS: dict[str, Any] = {"time": "2026-04-23T12:00:00Z", "core": {"last_heard": None}, "links": [LORA, CELLULAR]}


def test_what_is_left_today_is_said_in_frames_bytes_and_messages() -> None:
    told = air_words(LORA["facts"])
    assert told == (
        "the air can still carry 1,850 frames today (396 kB, or about as many short messages), 160 of them at once, "
        "1 hop counted; 18 in each hour are kept for alarms"
    )
    assert data_words(CELLULAR["facts"]) == (
        "600 kB of today's 5.0 MB of mobile data are left, for alarms, receipts, messages, summaries"
    )
    assert air_words({}) == data_words(None) == ""


def test_the_status_says_whether_the_stick_may_be_pulled_out() -> None:
    stick = LORA | {"name": "stick", "explain": "3 records are on the stick; it may be pulled out now", "facts": {}}
    told = " ".join(status_text(STATUS | {"running": True, "links": [stick]}).split())
    assert "it may be pulled out now" in told


def test_status_terminal_and_doctor_all_say_it() -> None:
    assert "1,850 frames" in " ".join(status_text(STATUS | {"running": True}).split())
    standby = {**CELLULAR, "name": "https", "facts": {"in_use": False}}
    shown = [line.text for line in sync({**STATUS, "links": [CELLULAR, standby, LORA]}, Shape(width=80, rows=5))]
    assert not any(line.startswith("https") for line in shown)
    assert any(line.startswith("lora") for line in shown)
    assert "air today: 1,850 frames, 396 kB" in shown
    assert "data today: 600 kB of 5.0 MB left" in shown
    sentences = [check.sentence for check in check_links(STATUS)]
    assert any("1,850 frames" in sentence for sentence in sentences)
    assert any(
        "the radio itself says: EU_868, LONG_FAST, hop limit 3, the default channel, firmware 2.7.15" in sentence
        for sentence in sentences
    )


def test_a_link_at_fault_is_a_failed_check_with_what_to_do() -> None:
    fault = "there is no /dev/ttyUSB0; plug the radio's USB lead in"
    (lora, *_) = check_links({**STATUS, "links": [LORA | {"state": "down", "fault": fault}]})
    assert not lora.ok
    assert lora.sentence == "lora: there is no /dev/ttyUSB0"
    assert lora.todo == "plug the radio's USB lead in"


def test_what_a_person_must_mend_is_among_what_needs_you_once() -> None:
    fault = "two units with the keys of this kit are alive; switch one of them off"
    told = attention({**STATUS, "running": True, "links": [LORA | {"fault": fault}, CELLULAR | {"fault": fault}]})
    assert f"lora and cellular: {fault}" in told


def test_a_link_that_is_merely_down_is_none() -> None:
    assert all(check.ok for check in check_links({**STATUS, "links": [LORA | {"state": "down"}]}))
