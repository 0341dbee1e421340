"""A real unit on a small disk that runs full: warnings get through, nothing is damaged, it recovers by itself."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from small_disk import fill, small_disk
from village import Village
from whole_unit import KIT, wait_until

from kit.alerts.lifecycle import Alerts
from kit.clock import SystemClock
from kit.home import Home
from kit.model.alert import Alert, AlertText, Certainty, Severity, Urgency
from kit.run.schema import open_unit_store

DISK_MB = 24


pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Village]:
    with small_disk(tmp_path / "small", megabytes=DISK_MB):
        made = Village(tmp_path / "small", log=tmp_path / "log.txt")
        try:
            yield made
        finally:
            for home in list(made.processes):
                made.stop(home)


def raise_alert(home: Home, identifier: str) -> None:
    clock = SystemClock()
    with open_unit_store(home) as store:
        alerts = Alerts(store, clock, sender="kit", area="village")
        now_ms = int(clock.now() * 1000)
        alerts.raise_alert(
            Alert(
                identifier=identifier,
                sender="kit",
                sent_ms=now_ms,
                event="Frost",
                urgency=Urgency.EXPECTED,
                severity=Severity.SEVERE,
                certainty=Certainty.LIKELY,
                expires_ms=now_ms + 3_600_000,
                area=alerts.area,
                infos=(
                    AlertText(language="en", event="frost", headline="Frost tonight", description="x", instruction="y"),
                ),
            )
        )
        alerts.confirm(identifier, person="Amina", channel="web")


def hears(village: Village, device: dict[str, str], *, count: int, seconds: float) -> list[bytes]:
    heard: list[bytes] = []
    client = Client(CallbackAPIVersion.VERSION2, client_id="listener")
    client.username_pw_set(device["username"], device["password"])
    client.on_message = lambda _client, _userdata, message: heard.append(bytes(message.payload))
    client.connect("127.0.0.1", village.broker)
    client.loop_start()
    client.subscribe("alerts/#", 1)
    deadline = time.monotonic() + seconds
    while len(heard) < count and time.monotonic() < deadline:
        time.sleep(0.1)
    client.disconnect()
    client.loop_stop()
    return heard


def test_a_full_disk_blocks_no_warning_damages_nothing_and_is_got_over(small: Village) -> None:
    small.start(small.home, "run")
    home = Home(small.home)
    roof = small.kit("device", "add", "roof")
    small.measure(roof, range(5))
    wait_until((small.home / "reserve").exists, seconds=60, what="the reserve is made")
    ballast = fill(small.home)
    wait_until(lambda: not (small.home / "reserve").exists(), seconds=60, what="the reserve is given up")
    for number in range(20):
        raise_alert(home, f"frost-{number}")
    assert len(hears(small, roof, count=1, seconds=20)) >= 1
    with urllib.request.urlopen(f"http://127.0.0.1:{small.web}/", timeout=30) as answer:
        page = answer.read().decode()
    assert "Frost tonight" in page
    wait_until(
        lambda: any("disk" in problem for problem in small.kit("status")["problems"]), seconds=60, what="it is told"
    )
    ballast.unlink()
    wait_until((small.home / "reserve").exists, seconds=60, what="the reserve is made again")
    small.measure(roof, range(5, 10))
    values = [row["value"] for row in small.kit("readings", "--device", "roof")]
    assert values == [float(value) for value in range(10)]
    wait_until(
        lambda: not any("disk" in problem for problem in small.kit("status")["problems"]), seconds=60, what="it is over"
    )
    connection = sqlite3.connect(home.database)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("SELECT count(*) FROM alert_receipts").fetchone() == (20,)
    connection.close()


def test_a_first_start_without_room_says_what_is_missing_and_goes_on_by_itself(small: Village) -> None:
    place = small.home.parent
    ballast, said = fill(place), place.parent / "said.txt"
    shutil.move(small.home / "kit.toml", place.parent)
    small.home.rmdir()
    with said.open("wb") as out:
        small.processes[small.home] = subprocess.Popen([*KIT, "run", "--home", str(small.home)], stdout=out, stderr=out)
    told = wait_until(said.read_text, seconds=60, what="it says that it waits")
    assert told == (
        f"kit: the disk that holds {small.home} (file system {place}, 0.0 MB free) is full: 4.0 MB are needed; "
        f"free some space: this waits, and goes on by itself\n"
    )
    assert not small.home.exists()  # nothing half made
    small.home.mkdir()
    ballast.write_bytes(b"")
    shutil.copy(place.parent / "kit.toml", small.home)
    wait_until(lambda: small.serves(small.home), seconds=60, what="the unit starts")
    assert "Technician password" in said.read_text()
