"""A given unit for the screens: its facts are what `kit status --json` and its siblings print."""

from __future__ import annotations

import copy
import sqlite3
from dataclasses import dataclass, field
from typing import Any

import pytest

from kit.errors import UsageError
from kit.health.logs import LogLine
from tui.facts import JoinCode, Newcomer

NOW = "2016-04-12T00:12:00Z"


def sensor(device: str, age_s: int, *, silent: bool = False, celsius: float | None = None) -> dict[str, Any]:
    latest = {"quantity": "temperature", "unit": "Cel", "value": celsius, "quality": "good"}
    row = {"device": device, "last_seen": NOW, "age_s": age_s, "silent": silent}
    return row | {"latest": [] if celsius is None else [latest]}


def service(name: str, state: str = "running", *, restarts: int = 0, last_error: str = "") -> dict[str, Any]:
    pid = 100 + len(name) if state == "running" else None
    return {"name": name, "state": state, "pid": pid, "restarts": restarts, "last_error": last_error}


FROST_NIGHT: dict[str, Any] = {
    "unit": "kit-7gq2mzk4",
    "name": "Kinamba village",
    "time": NOW,
    "timezone": "Africa/Nairobi",
    "clock": {"trusted": True},
    "running": True,
    "store": {"state": "ok", "problem": None},
    "services": [
        service("broker"),
        service("collect", restarts=1),
        service("web"),
        service("sync", "waiting", restarts=4, last_error="the radio at /dev/ttyUSB0 does not answer; check its cable"),
    ],
    "links": [
        {
            "name": "lora",
            "state": "connecting",
            "queued": {"0": 1, "1": 2, "2": 0, "3": 0, "4": 940, "5": 0},
            "last_heard": "2016-04-11T23:50:00Z",
        },
        {
            "name": "cellular",
            "state": "down",
            "queued": {"0": 1, "1": 2, "2": 0, "3": 0, "4": 1940, "5": 3},
            "last_heard": None,
        },
    ],
    "sensors": [
        sensor("orchard-high", 90, celsius=1.2),
        sensor("orchard-low", 60, celsius=-0.4),
        sensor("school", 21_660, silent=True),
    ],
    "alerts": [
        {
            "identifier": "kit-7gq2mzk4-17",
            "event": "frost",
            "headline": "Frost warning",
            "severity": "Severe",
            "sent": "2016-04-11T17:05:00Z",
            "onset": "2016-04-11T23:10:00Z",
            "state": "unconfirmed",
            "confirmed": False,
            "confirmed_by": 0,
            "seen_by": [],
        }
    ],
    "forecast": {
        "issued": "2016-04-12T00:00:00Z",
        "night": "2016-04-12",
        "device": "orchard-low",
        "tmin_c": -2.1,
        "tmin_p10_c": -4.0,
        "tmin_p90_c": -0.3,
        "p_frost": 0.82,
        "threshold_c": 0.0,
        "expected_below": "2016-04-11T23:10:00Z",
        "basis": "site",
        "nights_learned": 14,
        "warning": True,
    },
    "power": {"source": "battery", "battery_percent": 64.0, "charging": False},
    "clients": 4,
    "core": {"last_heard": "2016-04-11T23:50:00Z", "link": "lora"},
    "apps": [],
}


def quiet_day() -> dict[str, Any]:
    status = copy.deepcopy(FROST_NIGHT)
    status["services"] = [service(name) for name in ("broker", "collect", "web", "sync")]
    status["sensors"] = [sensor("orchard-high", 90, celsius=14.2), sensor("orchard-low", 60, celsius=12.9)]
    status["alerts"] = []
    status["forecast"] |= {"tmin_c": 6.5, "tmin_p10_c": 5.0, "tmin_p90_c": 8.1, "p_frost": 0.01, "expected_below": None}
    status["power"] = {"source": "solar", "battery_percent": 91.0, "charging": True}
    for link in status["links"]:
        link |= {"state": "up", "queued": {str(number): 0 for number in range(6)}, "last_heard": "2016-04-12T00:11:00Z"}
    status["core"]["last_heard"] = "2016-04-12T00:11:00Z"
    return status


def never_ran() -> dict[str, Any]:
    return {
        "unit": None,
        "name": "Village kit",
        "time": NOW,
        "timezone": "Africa/Nairobi",
        "clock": {"trusted": False},
        "running": False,
        "services": [],
        "links": [],
        "sensors": [],
        "alerts": [],
        "forecast": None,
        "power": None,
        "clients": None,
        "core": None,
        "apps": [],
        "store": {
            "state": "missing",
            "problem": "this unit has never run (no store in /home/pi/.village-kit); start it: kit run",
        },
    }


@dataclass
class GivenFacts:
    """A unit whose facts are given, and which can be made unreadable."""

    told: dict[str, Any]
    broken: Exception | None = None
    looks: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    retried: int = 0
    waiting: list[Newcomer] = field(default_factory=list)
    accepted: list[tuple[int, str, str, str]] = field(default_factory=list)
    code: JoinCode | None = None

    def status(self) -> dict[str, Any]:
        self.looks += 1
        if self.broken is not None:
            raise self.broken
        return self.told

    def alerts(self) -> list[dict[str, Any]]:
        words = {
            "description": "The air at orchard-low is expected to fall to -2.1 °C before sunrise.",
            "instruction": "Cover seedlings. Light the heaters by 02:00.",
        }
        return [alert | words for alert in self.told["alerts"]]

    def queue(self, *, priority: int | None, waiting_only: bool) -> list[dict[str, Any]]:
        return [
            row
            for row in self.rows
            if priority in (None, row["priority"]) and not (waiting_only and row["state"] == "accepted")
        ]

    def retry(self) -> int:
        self.retried += 1
        return len(self.rows)

    def newcomers(self) -> list[Newcomer]:
        return self.waiting

    def join_code(self) -> JoinCode | None:
        return self.code

    def make_join_code(self) -> None:
        self.code = JoinCode("KXQM-7TRB", "2016-04-12T01:12:00Z", "192.168.4.1", 1883, ("▀▄ █", "█ ▄▀"))

    def let_in(self, number: int, name: str, place: str, position: str) -> None:
        if name.startswith("kit-"):
            raise UsageError(f"'{name}' cannot be a device's name")
        self.accepted.append((number, name, place, position))
        self.waiting = [one for one in self.waiting if one.number != number]

    def turn_away(self, number: int) -> None:
        self.waiting = [one for one in self.waiting if one.number != number]

    def logs(self) -> list[LogLine]:
        return [LogLine("sync", f"2016-04-12T00:00:{number:02}Z INFO sync: look {number}") for number in range(60)]


def queue_of(count: int) -> list[dict[str, Any]]:
    first = {"origin": "kit-7gq2mzk4", "epoch": 1, "seq": 1, "kind": "alert", "priority": 0, "bytes": 128}
    message = {"kind": "message", "priority": 2, "bytes": 60, "to": "River village"}
    left = {"state": "left", "links": [{"link": "lora", "left": NOW, "accepted": None}], "to": "the core"}
    rows = [first | left | {"why": "left by lora; not acknowledged yet, it goes again by lora if no answer comes"}]
    waits = {"state": "written", "links": [], "to": "the core", "kind": "readings", "priority": 4, "bytes": 190}
    return rows + [
        first
        | waits
        | (message if seq == 2 else {})
        | {"seq": seq, "why": f"goes by lora; {seq - 1} more urgent or older records go first"}
        for seq in range(2, count + 1)
    ]


@pytest.fixture
def frost_night() -> GivenFacts:
    return GivenFacts(copy.deepcopy(FROST_NIGHT), rows=queue_of(40))


@pytest.fixture
def quiet() -> GivenFacts:
    return GivenFacts(quiet_day())


@pytest.fixture
def stopped() -> GivenFacts:
    told = copy.deepcopy(FROST_NIGHT)
    told["running"] = False
    told["services"] = [service(name, "stopped") for name in ("broker", "collect", "web", "sync")]
    return GivenFacts(told)


@pytest.fixture
def fresh_home() -> GivenFacts:
    return GivenFacts(never_ran())


@pytest.fixture
def locked() -> sqlite3.OperationalError:
    return sqlite3.OperationalError("database is locked")
