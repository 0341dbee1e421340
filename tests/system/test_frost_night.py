"""The frost night with real processes, a radio that loses 30 % of its frames, and services killed at random moments."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
import urllib.error
from collections import Counter
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from whole_unit import Unit, wait_until

from kit.data import load_frost_night

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]

SPEED = 700
KILLED = ("broker", "collect", "web", "sync")
KILLED_AT_CORE = ("sync", "web")


class Thermometer:
    """A device that keeps what was not acknowledged and sends it again, as a good one does, and remembers what was."""

    def __init__(self, credentials: dict[str, Any], port: int) -> None:
        self.topic = credentials["topic"]
        self.acknowledged: dict[int, float] = {}
        self._sent: dict[int, tuple[int, float]] = {}
        self._port = port
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=credentials["device"], clean_session=False)
        self._client.username_pw_set(credentials["username"], credentials["password"])
        self._client.reconnect_delay_set(1, 1)
        self._client.on_publish = self._on_publish

    def _on_publish(self, _client: Any, _userdata: Any, mid: int, _reason: Any, _properties: Any) -> None:
        time_s, value = self._sent[mid]
        self.acknowledged[time_s] = value

    def publish_until(self, stop: threading.Event, rng: random.Random) -> None:
        self._client.connect_async("127.0.0.1", self._port)  # the broker may be dead just now
        self._client.loop_start()
        time_s = 1_420_000_000  # a logger that was off for months tells its past
        while not stop.wait(0.03):
            time_s += 60
            value = round(rng.uniform(-5, 25), 1)
            payload = json.dumps([{"n": "temperature", "u": "Cel", "v": value, "t": time_s}])
            message = self._client.publish(self.topic, payload, qos=1)
            self._sent[message.mid] = (time_s, value)

    def wait_for_every_acknowledgement(self) -> None:
        wait_until(lambda: len(self.acknowledged) == len(self._sent), seconds=60, what="the last acknowledgements")
        self._client.disconnect()
        self._client.loop_stop()


def kill_at_random(unit: Unit, stop: threading.Event, rng: random.Random, killed: Counter[str]) -> None:
    while not stop.wait(rng.uniform(1.0, 4.0)):
        name = rng.choice((*KILLED, *(f"core {each}" for each in KILLED_AT_CORE)))
        home = unit.core_home if name.startswith("core ") else unit.home
        unit.kill(name.removeprefix("core "), home)
        killed[name] += 1


def confirm(unit: Unit, person: str) -> str:
    """Press "I have seen this" as a phone does, again and again until the page has answered."""

    def press() -> str | None:
        try:
            alerts = [alert for alert in unit.kit("alerts", "ls") if not alert.get("ended")]
            if not alerts:
                return None
            identifier: str = alerts[0]["identifier"]
            unit.post(f"/alerts/{identifier}/seen", name=person)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return None
        return identifier

    identifier: str = wait_until(press, seconds=150, what="a warning to confirm")
    return identifier


def rows(file: Path, question: str, *values: object) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)
    try:
        return connection.execute(question, values).fetchall()
    finally:
        connection.close()


def test_the_night_is_survived_by_every_reading_every_record_and_the_receipt(unit: Unit) -> None:
    rng = random.Random(20160424)
    night = load_frost_night()
    (unit.home / "simulation").mkdir()
    (unit.home / "simulation" / "air.json").write_text(json.dumps({"loss": 0.3, "reorder": 0.05, "duplicate": 0.05}))
    unit.start("--speed", str(SPEED))
    wait_until(unit.all_running, seconds=60, what="all services to run")

    thermometer = Thermometer(unit.kit("device", "add", "probe-1"), unit.broker_port)
    stop, killed = threading.Event(), Counter[str]()
    threads = [
        threading.Thread(target=thermometer.publish_until, args=(stop, rng)),
        threading.Thread(target=kill_at_random, args=(unit, stop, random.Random(7), killed)),
    ]
    for thread in threads:
        thread.start()
    try:
        identifier = confirm(unit, "Amina")
        morning = night.sunrise_s + 3 * 3600
        wait_until(lambda: (told := _kit_time(unit)) is not None and told > morning, seconds=240, what="the morning")
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    thermometer.wait_for_every_acknowledgement()
    written = Counter[tuple[Any, ...]]()
    wait_until(lambda: _all_accepted(unit, written), seconds=120, what="everything to reach the core")
    assert sum(killed.values()) >= 15
    assert unit.stop() < 3.5

    _every_acknowledged_reading_is_stored_exactly_once(unit, thermometer)
    _every_record_is_at_the_core_exactly_once(unit, written)
    _the_warning_came_two_hours_before_the_frost(unit, identifier)
    receipts = [r for r in unit.kit("core", "records", home=unit.core_home) if r["kind"] == "receipt"]
    assert len(receipts) == 1
    assert "Amina has seen the warning" in unit.story()


def _kit_time(unit: Unit) -> float | None:
    try:
        return float(json.loads((unit.home / "simulation" / "time.json").read_text())["now_s"])
    except (OSError, ValueError):
        return None


def _all_accepted(unit: Unit, written: Counter[tuple[Any, ...]]) -> bool:
    """Whether all is at the core; then `written` names what that is."""
    time.sleep(1)
    records = unit.kit("queue", "ls")
    if not all(record["state"] in {"accepted", "delivered", "read"} for record in records):
        return False
    written.update(_names(records))
    return True


def _every_acknowledged_reading_is_stored_exactly_once(unit: Unit, thermometer: Thermometer) -> None:
    assert len(thermometer.acknowledged) > 500
    stored = Counter(
        (reading["time"], reading["value"])
        for reading in unit.kit("readings", "--device", "probe-1", "--quantity", "temperature")
    )
    expected = Counter(
        (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_s)), value)
        for time_s, value in thermometer.acknowledged.items()
    )
    assert stored == expected


def _names(records: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    return Counter((r["origin"], r["epoch"], r["seq"], r["kind"]) for r in records)


def _every_record_is_at_the_core_exactly_once(unit: Unit, written: Counter[tuple[Any, ...]]) -> None:
    """What was `written` when all was accepted; the station goes on measuring until the unit stops."""
    ours, theirs = _names(unit.kit("queue", "ls")), _names(unit.kit("core", "records", home=unit.core_home))
    assert len(written) > 20
    assert written <= theirs <= ours


def _the_warning_came_two_hours_before_the_frost(unit: Unit, identifier: str) -> None:
    sent = next(alert for alert in unit.kit("alerts", "ls") if alert["identifier"] == identifier)["sent"]
    cold = [
        reading["time"]
        for reading in unit.kit("readings", "--device", "station-1", "--quantity", "temperature", "--since", sent)
        if reading["value"] <= 0.0
    ]
    assert cold, "the night was no frost night"
    assert _seconds(min(cold)) - _seconds(sent) >= 2 * 3600


def _seconds(rfc3339: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(rfc3339).timestamp()
