"""The technician's terminal lets a new device in: code, picture, who waits, accept, refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kit.broker.ports import Claim
from kit.cli.__main__ import main
from kit.clock import SystemClock
from kit.collect.ingest import Ingest
from kit.home import Home
from kit.model.join_code import read_code
from kit.model.messages import Published
from kit.run.schema import open_unit_store
from kit.store.device_users import DeviceUsers
from kit.store.joining import wait_openly
from kit.store.mqtt import MqttJournal


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "unit")
    made.prepare()
    with open_unit_store(made):
        pass
    return made


def said(capsys: pytest.CaptureFixture[str], home: Home, *words: str, code: int = 0) -> str:
    assert main(["--home", str(home.path), *words]) == code
    told = capsys.readouterr()
    return told.out + told.err


def told(capsys: pytest.CaptureFixture[str], home: Home, *words: str) -> Any:
    return json.loads(said(capsys, home, *words, "--json"))


def knock(home: Home, code: str, topic: str, payload: str) -> str | None:
    """A device that presents a code and says something; its name at the broker."""
    clock = SystemClock()
    with open_unit_store(home) as database, open_unit_store(home) as store:
        found = DeviceUsers(database, services={}, clock=clock).sign_in(Claim("join", code.encode(), "c1", "10.0.0.7"))
        if found is None:
            return None
        published = Published(
            username=found.username,
            client_id="c1",
            topic=topic,
            payload=payload.encode(),
            qos=1,
            retain=False,
            duplicate=False,
            packet_id=1,
            received_ms=int(clock.now() * 1000),
        )
        MqttJournal(store, ingest=Ingest(clock)).commit([published])
        return found.username


def test_a_device_is_let_in_from_the_terminal(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    shown = told(capsys, home, "device", "join")
    assert read_code(shown["code"]) == shown["password"]
    assert shown["link"] == f"mqtt://join:{shown['password']}@{shown['host']}:{shown['port']}"
    text = said(capsys, home, "device", "join")
    assert shown["code"] in text
    assert "▀" in text, "the picture"
    assert "No device waits" in said(capsys, home, "device", "waiting")
    assert knock(home, shown["code"], "tele/t1/SENSOR", '{"AM2301":{"Temperature":4.5}}') == "waiting/1"
    (row,) = told(capsys, home, "device", "waiting")
    assert (row["number"], row["kind"], row["reading"], row["open"]) == (1, "tasmota", "temperature 4.5 Cel", False)
    assert [one["number"] for one in told(capsys, home, "status")["waiting"]] == [1]
    assert "a new device waits to be let in (temperature 4.5 Cel)" in said(capsys, home, "status")
    assert "no device waits under number 7" in said(capsys, home, "device", "accept", "7", "orchard", code=1)
    accepted = told(capsys, home, "device", "accept", "1", "orchard", "--place", "upper field")
    assert accepted == {"device": "orchard", "kind": "tasmota", "place": "upper field"}
    assert knock(home, shown["code"], "tele/t1/SENSOR", '{"AM2301":{"Temperature":4.6}}') == "orchard"
    assert [row["value"] for row in told(capsys, home, "readings")] == [4.6]


def test_of_a_device_without_a_password_no_code_is_claimed(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with open_unit_store(home) as database, database.atomic() as connection:
        number = wait_openly(connection, client_id="cheap", address="10.0.0.8", now_ms=int(SystemClock().now() * 1000))
    told_so = said(capsys, home, "device", "accept", str(number), "cheap", "--kind", "tasmota")
    assert "without a password: anybody could pretend to be it" in told_so
    assert "the code" not in told_so


def test_a_device_is_turned_away_and_a_code_withdrawn_from_the_terminal(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    code = told(capsys, home, "device", "join")["code"]
    knock(home, code, "x", "hello")
    assert told(capsys, home, "device", "refuse", "1") == {"number": 1, "refused": True}
    assert told(capsys, home, "device", "waiting") == []
    code = told(capsys, home, "device", "join")["code"]
    assert told(capsys, home, "device", "join", "--withdraw") == {"code": None}
    assert knock(home, code, "x", "hello") is None
