"""A real unit on a small disk that runs full: warnings get through, nothing is damaged, it recovers by itself."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import time
import urllib.parse
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


def post(village: Village, path: str, **fields: str) -> str:
    own = f"http://127.0.0.1:{village.web}"
    asked = urllib.request.Request(own + path, urllib.parse.urlencode(fields).encode(), {"Origin": own})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return str(answer.read().decode())


def process_ids(village: Village) -> list[int]:
    services = json.loads((village.home / "run" / "services.json").read_text())["services"]
    return [service["pid"] for service in services]


def test_what_must_not_stop_goes_through_where_somebody_takes_the_reserves_room_as_well(small: Village) -> None:
    small.start(small.home, "run")
    home = Home(small.home)
    small.kit("device", "add", "roof")
    keys = {file.name: file.read_bytes() for file in home.keys.iterdir()}
    wait_until(home.reserve.exists, seconds=60, what="the reserve is made")
    wait_until(lambda: held(home), seconds=60, what="room is held in the store")
    before = process_ids(small)
    fill(small.home)
    wait_until(lambda: not home.reserve.exists() and not held(home), seconds=60, what="both are given up")
    fill(small.home)
    raise_alert(home, "frost-1")
    fill(small.home)
    post(small, "/alerts/frost-1/seen", name="Juma")
    fill(small.home)
    assert "help is needed" in post(small, "/messages/", token="ab" * 11, text="help is needed", name="Asha", days="7")
    fill(small.home)
    post(small, "/learn/frost/quiz", sheet="s1", cover="0", fire="0", place="0", sky="0", sprinkler="0")
    fill(small.home)
    assert small.kit("device", "add", "shed")["username"] == "shed"
    for words in (("backup",), ("bundle", "export", str(small.home / "stick")), ("restore", "--verify", "none")):
        done = subprocess.run(
            [*KIT, "--home", str(small.home), *words], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr[:5], done.stderr.count("\n")) == (1, "kit: ", 1)  # one sentence
    assert process_ids(small) == before
    (small.home / "ballast").unlink()
    wait_until(lambda: home.reserve.exists() and held(home), seconds=60, what="all is as before")
    connection = sqlite3.connect(home.database)
    told = [
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("alert_receipts", "messages_sent", "learning_attempts")
    ]
    assert (told, connection.execute("PRAGMA integrity_check").fetchone()) == ([2, 1, 1], ("ok",))
    connection.close()
    assert all((home.keys / name).read_bytes() == content for name, content in keys.items())


def held(home: Home) -> bool:
    connection = sqlite3.connect(home.database)
    try:
        return connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'room_held'").fetchone() is not None
    finally:
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
