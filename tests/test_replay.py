from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ports import free_ports

from hardware.simulated.weather_station import SimulatedWeatherStation
from kit.cli.__main__ import main
from kit.clock import ManualClock, SystemClock
from kit.data import load_frost_night
from kit.errors import KitError
from kit.home import Home
from kit.identity import load_or_create_service_passwords
from kit.model.senml import parse_senml
from kit.replay import BrokerAccount, Publisher, as_senml, measurements_of, replay, run_station
from kit.run.schema import open_unit_store
from kit.store.devices import add_device
from kit.store.readings import find_readings
from kit.store.records import set_origin

NIGHT = Path(load_frost_night.__code__.co_filename).with_name("frost-night.csv.gz")
SERVER = Path(__file__).with_name("replay_broker.py")
PATIENCE_S = 20.0


@dataclass
class Unit:
    """A home whose broker runs as a process of its own and can be killed."""

    home: Home
    port: int
    process: subprocess.Popen[str] | None = field(default=None)

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SERVER), str(self.home.path)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == str(self.port)

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def temperatures(self, device: str) -> list[int]:
        with open_unit_store(self.home) as database:
            found = find_readings(database.connection, device=device, quantity="temperature")
            return [reading.time_ms for reading in found]

    def account(self, device: str) -> BrokerAccount:
        with open_unit_store(self.home) as database, database.atomic() as connection:
            made = add_device(connection, device, now_ms=0)
        return BrokerAccount(host="127.0.0.1", port=self.port, username=made.username, password=made.password)


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    home = Home(tmp_path / "home")
    home.prepare()
    (port,) = free_ports(1)
    home.settings_file.write_text(f'[broker]\nlisten = "127.0.0.1:{port}"\n')
    load_or_create_service_passwords(home)
    with open_unit_store(home) as database, database.atomic() as connection:
        set_origin(connection, "kit-trial")
    made = Unit(home, port)
    made.start()
    yield made
    made.kill()


def until(condition: object, told: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, told
        time.sleep(0.02)


def test_a_recorded_file_is_in_the_store_once_however_often_it_is_replayed(
    unit: Unit, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["replay", str(NIGHT), "--device", "orchard", "--home", str(unit.home.path), "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    rows = load_frost_night().rows
    assert told == {"device": "orchard", "rows": len(rows), "acknowledged": len(rows)}
    assert main(words) == 0
    assert unit.temperatures("orchard") == [row.at_s * 1000 for row in rows if row.air_temp_c is not None]


def test_a_broker_killed_in_the_middle_of_a_replay_loses_and_doubles_nothing(unit: Unit) -> None:
    rows = load_frost_night().rows
    account = BrokerAccount(
        host="127.0.0.1",
        port=unit.port,
        username="kit-replay",
        password=load_or_create_service_passwords(unit.home)["kit-replay"],
    )
    killed = threading.Event()

    def kill_once(acknowledged: int) -> None:
        if acknowledged > 300 and not killed.is_set():
            killed.set()
            unit.kill()
            threading.Timer(0.3, unit.start).start()

    with Publisher(account, client_id="kit-replay") as publisher:
        publisher.connect()
        count = replay(
            rows, device="orchard", publisher=publisher, speed=float("inf"), clock=SystemClock(), on_progress=kill_once
        )
    assert killed.is_set()
    assert count == len(rows)
    assert unit.temperatures("orchard") == [row.at_s * 1000 for row in rows if row.air_temp_c is not None]


def test_the_simulated_station_sends_its_past_then_lives_on_and_remembers_where_it_was(
    unit: Unit, tmp_path: Path
) -> None:
    night = load_frost_night()
    clock = ManualClock(at_s=night.start_s)
    station = SimulatedWeatherStation(night.rows, clock)
    account, memory = unit.account("station-1"), tmp_path / "memory.json"

    def live(until_s: float) -> None:
        stop = threading.Event()
        thread = threading.Thread(
            target=run_station,
            args=(station,),
            kwargs={"account": account, "clock": clock, "stop": stop, "memory": memory},
        )
        thread.start()
        until(lambda: memory.exists() and json.loads(memory.read_text())["acknowledged_until_s"] >= until_s, "no word")
        stop.set()
        thread.join(5)
        assert not thread.is_alive()

    live(night.start_s)
    history = unit.temperatures("station-1")
    assert len(history) > 1200
    assert history[-1] == night.start_s * 1000
    clock.advance(1800)
    unit.kill()
    unit.start()
    live(night.start_s + 1800)
    assert unit.temperatures("station-1")[len(history) :] == [(night.start_s + s) * 1000 for s in (900, 1800)]


def test_a_message_is_senml_with_units_and_its_own_time() -> None:
    row = next(row for row in load_frost_night().rows if row.rain_1h_mm is not None and row.sky_oktas is not None)
    pack = parse_senml(as_senml(measurements_of(row), at_s=row.at_s))
    assert {record.name: record.unit for record in pack.records}["temperature"] == "Cel"
    assert {record.time_s for record in pack.records} == {row.at_s}
    assert not pack.ignored


def test_a_replay_at_a_given_speed_takes_its_time(unit: Unit) -> None:
    rows = load_frost_night().rows[:4]
    account = BrokerAccount(
        host="127.0.0.1",
        port=unit.port,
        username="kit-replay",
        password=load_or_create_service_passwords(unit.home)["kit-replay"],
    )
    clock = ManualClock()
    with Publisher(account, client_id="kit-replay") as publisher:
        publisher.connect()
        replay(rows, device="orchard", publisher=publisher, speed=2.0, clock=clock)
    assert sum(clock.slept) == pytest.approx(3 * 3600 / 2)


def test_wrong_credentials_and_a_broker_that_is_not_there_are_told_apart(unit: Unit) -> None:
    wrong = BrokerAccount(host="127.0.0.1", port=unit.port, username="kit-replay", password="wrong")
    with Publisher(wrong, client_id="x") as publisher, pytest.raises(KitError, match="does not let 'kit-replay' in"):
        publisher.connect()
    unit.kill()
    with Publisher(wrong, client_id="x") as publisher, pytest.raises(KitError, match="no MQTT broker answers"):
        publisher.connect(timeout_s=0.5)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["nowhere.csv", "--device", "a"], 2, "there is no file nowhere.csv"),
        ([str(NIGHT), "--device", "Orchard 1"], 2, "cannot be a device's name"),
        ([str(NIGHT), "--device", "kit-collect"], 2, "kit-"),
        ([str(NIGHT), "--device", "a", "--speed", "0"], 2, "is no speed"),
        ([str(NIGHT), "--device", "a", "--speed", "fast"], 2, "is no speed"),
        ([str(NIGHT), "--device", "a"], 1, "there is no unit in"),
    ],
)
def test_wrong_words_say_what_would_be_right(
    words: list[str], code: int, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", *words, "--home", str(tmp_path / "none")]) == code
    told = capsys.readouterr().err
    assert sentence in told
    assert "Traceback" not in told
