"""The commands that read and change the store, run as a person runs them, on a real store."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from kit.broker.ports import Claim
from kit.certificates import authority_file, broker_context
from kit.cli.__main__ import main
from kit.home import Home
from kit.model.local_days import LocalDays
from kit.model.readings import Quality, Raw
from kit.store.database import Database
from kit.store.device_users import DeviceUsers
from kit.store.packed_value import DECIMAL_BITS
from kit.store.reading_writer import ReadingWriter
from kit.store.rollups import advance, roll, thin

HOUR_MS = 3_600_000


def told(capsys: pytest.CaptureFixture[str], home: Home, *words: str) -> Any:
    """What a command prints with --json."""
    assert main([*words, "--home", str(home.path), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def text(capsys: pytest.CaptureFixture[str], home: Home, *words: str, code: int = 0) -> str:
    assert main([*words, "--home", str(home.path)]) == code
    streams = capsys.readouterr()
    return streams.out if code == 0 else streams.err


def measure(home: Home, device: str, quantity: str, *values: float, raw: Raw | None = None) -> None:
    writer = ReadingWriter()
    with Database(home.database) as database, database.atomic() as connection:
        writer.begin(connection)
        series = writer.series(connection, device, quantity, "Cel")
        assert series is not None
        for hour, value in enumerate(values):
            writer.add(
                connection,
                series,
                time_ms=1_460_419_200_000 + hour * HOUR_MS,
                value=value,
                quality=Quality.GOOD,
                raw=raw,
                arrived_ms=0,
                own_time=True,
            )
        writer.flush(connection)


def test_the_credentials_of_a_new_device_open_the_broker(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    shown = told(capsys, unit, "device", "add", "orchard-low")
    assert shown.keys() >= {"device", "username", "password", "host", "port", "topic"}
    assert (shown["username"], shown["topic"], shown["port"]) == ("orchard-low", "sensors/orchard-low", 1883)
    with Database(unit.database, read_only=True) as database:
        users = DeviceUsers(database, services={})
        assert users.sign_in(Claim("orchard-low", shown["password"].encode()))
        assert users.sign_in(Claim("orchard-low", b"wrong")) is None


def test_a_device_of_any_kind_is_told_what_to_type_into_its_own_page(
    unit: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = told(capsys, unit, "device", "add", "pump", "--kind", "tasmota", "--place", "pump house")
    assert (shown["kind"], shown["topic"], shown["topics"]) == ("tasmota", "tele/pump", ["tele/pump", "stat/pump"])
    typed = {line["label"]: line["value"] for line in shown["settings"]}
    assert typed["Full Topic"] == "%prefix%/%topic%/"
    assert (typed["User"], typed["Password"], typed["Topic"]) == ("pump", shown["password"], "pump")
    said = text(capsys, unit, "device", "add", "lora", "--kind", "chirpstack")
    assert 'event_topic    "chirpstack/lora/application/{{application_id}}/device/{{dev_eui}}/event/{{event}}"' in said
    assert "did you mean 'tasmota'?" in text(capsys, unit, "device", "add", "x", "--kind", "tasmoto", code=2)
    for topic in ("alerts/x", "a/#", "homeassistant", "$SYS/x", "a//b"):
        assert "cannot be a device's topic" in text(capsys, unit, "device", "add", "x", "--topic", topic, code=2)
    taken = text(capsys, unit, "device", "add", "thief", "--kind", "tasmota", "--topic", "pump", code=1)
    assert "belongs to the device 'pump' already" in taken
    assert {row["kind"] for row in told(capsys, unit, "device", "kinds")} >= {"native", "tasmota", "ttn"}
    assert told(capsys, unit, "device", "rotate", "pump")["topics"] == ["tele/pump", "stat/pump"]


def test_a_device_stands_where_it_is_said_to(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, unit, "device", "add", "gauge")
    at = ("--latitude", "-0.37", "--longitude", "36.32")
    assert told(capsys, unit, "device", "place", "gauge", "river bank", *at)["place"] == "river bank"
    rows = {row["device"]: row for row in told(capsys, unit, "device", "list")}
    assert [rows["gauge"][key] for key in ("place", "latitude", "longitude")] == ["river bank", -0.37, 36.32]
    assert "river bank" in text(capsys, unit, "device", "list")
    (sensor,) = [row for row in told(capsys, unit, "status")["sensors"] if row["device"] == "gauge"]
    assert (sensor["place"], sensor["kind"]) == ("river bank", "native")
    assert "did you mean 'gauge'" in text(capsys, unit, "device", "place", "gage", "x", code=1)
    assert "needs both" in text(capsys, unit, "device", "place", "gauge", "x", "--latitude", "1", code=2)


def test_a_device_can_be_let_in_before_the_unit_has_ever_run(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    home = Home(tmp_path / "fresh")
    assert told(capsys, home, "device", "add", "orchard-low")["device"] == "orchard-low"
    assert [row["device"] for row in told(capsys, home, "device", "list")] == ["orchard-low"]


def test_the_running_broker_knows_better_than_the_settings_which_port_it_got(
    unit: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    services = [{"name": "broker", "state": "running", "address": "0.0.0.0:41883"}]
    unit.services_file.write_text(json.dumps({"supervisor_pid": 1, "services": services}))
    assert told(capsys, unit, "device", "add", "orchard-low")["port"] == 41883


def test_a_device_that_listens_on_one_address_only_is_told_that_one(
    unit: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    unit.settings_file.write_text('[broker]\nlisten = "127.0.0.1:1999"\n')
    shown = told(capsys, unit, "device", "add", "orchard-low")
    assert (shown["host"], shown["port"]) == ("127.0.0.1", 1999)


def test_a_devices_password_is_replaced_by_one_command(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    old = told(capsys, unit, "device", "add", "orchard-low")
    new = told(capsys, unit, "device", "rotate", "orchard-low")
    assert new.keys() == old.keys()
    assert new["password"] != old["password"]
    assert "old password of 'orchard-low' is refused" in text(capsys, unit, "device", "rotate", "orchard-low")
    assert "did you mean 'orchard-low'" in text(capsys, unit, "device", "rotate", "orchard", code=1)


def test_the_authority_is_printed_once_there_is_one(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert "set tls_listen" in text(capsys, unit, "device", "ca", code=1)
    broker_context(unit, unit="kit-1", names=["kit.local"])
    assert text(capsys, unit, "device", "ca") == authority_file(unit).read_text()
    unit.settings_file.write_text('[broker]\ntls_listen = "127.0.0.1:8883"\n')
    shown = told(capsys, unit, "device", "ca")
    assert (shown["host"], shown["port"], len(shown["sha256"])) == ("127.0.0.1", 8883, 95)
    assert "port 8883" in text(capsys, unit, "device", "add", "orchard-high")


def test_a_removed_device_is_listed_no_more(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    text(capsys, unit, "device", "add", "orchard-low")
    assert "is shut out" in text(capsys, unit, "device", "remove", "orchard-low")
    assert told(capsys, unit, "device", "list") == []


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("add", "Orchard Low"), 2, "use 1 to 32 small letters"),
        (("add", "kit-collect"), 2, "the kit's own services"),
        (("remove", "orchad"), 1, "did you mean 'orchard'?"),
        (("add", "orchard"), 1, "there is a device named 'orchard' already"),
    ],
)
def test_what_cannot_be_done_with_a_device_is_explained(
    unit: Home, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, sentence: str
) -> None:
    text(capsys, unit, "device", "add", "orchard")
    assert sentence in text(capsys, unit, "device", *words, code=code)


def test_readings_come_as_rows_in_the_order_of_time(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    measure(unit, "low", "temperature", 1.0, 0.5)
    measure(unit, "high", "temperature", 3.0, 2.5)
    rows = told(capsys, unit, "readings")
    assert [(row["time"], row["device"], row["value"]) for row in rows] == [
        ("2016-04-12T00:00:00Z", "high", 3.0),
        ("2016-04-12T00:00:00Z", "low", 1.0),
        ("2016-04-12T01:00:00Z", "high", 2.5),
        ("2016-04-12T01:00:00Z", "low", 0.5),
    ]
    assert rows[0] == {
        "time": "2016-04-12T00:00:00Z",
        "device": "high",
        "quantity": "temperature",
        "unit": "Cel",
        "value": 3.0,
        "quality": "good",
        "quality_words": [],
        "qc": "S",
    }


def test_csv_holds_what_json_holds(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    measure(unit, "low", "temperature", 1.0, 0.5, 0.1)
    rows = told(capsys, unit, "readings")
    from_csv = csv.DictReader(io.StringIO(text(capsys, unit, "readings", "--format", "csv")))
    assert [row | {"value": float(row["value"]), "quality_words": [], "qc": "S"} for row in from_csv] == rows


def test_a_doubtful_reading_is_explained_on_request(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    measure(unit, "low", "temperature", 99.0)
    with Database(unit.database) as database, database.atomic() as connection:
        connection.execute("UPDATE readings SET code = code | ?", (int(Quality.IMPOSSIBLE) << DECIMAL_BITS,))
    assert "physically possible" not in text(capsys, unit, "readings")
    assert "The value lies outside what is physically possible" in text(capsys, unit, "readings", "--explain")
    assert told(capsys, unit, "readings")[0]["qc"] == "X"


def test_what_a_device_said_in_its_own_unit_is_told_on_request(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    measure(unit, "low", "temperature", 25.0, raw=Raw(77.0, "degF"))
    assert "degF" not in text(capsys, unit, "readings")
    assert "The device said 77 degF." in text(capsys, unit, "readings", "--explain")


def test_since_is_within_and_until_is_without(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    measure(unit, "low", "temperature", 1.0, 0.5, 0.1)
    rows = told(capsys, unit, "readings", "--since", "2016-04-12T01:00:00Z", "--until", "2016-04-12T05:00:00+03:00")
    assert [row["value"] for row in rows] == [0.5]


def test_no_reading_at_all_is_an_empty_array(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, unit, "readings") == []
    assert text(capsys, unit, "readings") == "No readings.\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--device", "lwo"), "nothing was ever heard of a device 'lwo'; did you mean 'low'?"),
        (("--quantity", "temprature"), "did you mean 'temperature'?"),
    ],
)
def test_a_misspelt_name_is_no_empty_answer(
    unit: Home, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    measure(unit, "low", "temperature", 1.0)
    assert sentence in text(capsys, unit, "readings", *words, code=2)


def test_the_queue_has_the_alert_before_the_backlog(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    rows = told(capsys, unit, "queue", "ls")
    assert [row["kind"] for row in rows] == ["alert", "readings", "readings", "readings"]
    assert rows[0].keys() >= {"origin", "epoch", "seq", "kind", "priority", "bytes", "state", "links"}
    assert {row["state"] for row in rows} == {"written"}
    assert "alarms" in text(capsys, unit, "queue", "ls")


def test_retry_makes_everything_due_that_waits(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, unit, "queue", "retry") == {"due": 4}


def test_alerts_of_a_quiet_unit_are_none(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, unit, "alerts", "ls") == []
    assert "there is no warning 'x'" in text(capsys, unit, "alerts", "show", "x", code=2)


def test_hours_and_days_come_with_minimum_mean_and_maximum(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    measure(unit, "low", "temperature", *(float(number) for number in range(30)))
    hours = told(capsys, unit, "readings", "--resolution", "hour")
    assert len(hours) == 30
    assert hours[0]["resolution"] == "hour"
    days = told(capsys, unit, "readings", "--resolution", "day")
    assert [(day["time"], day["min"], day["mean"], day["max"], day["count"]) for day in days] == [
        ("2016-04-11T21:00:00Z", 0, 10, 20, 21),  # the village's day begins at 21:00 UTC
        ("2016-04-12T21:00:00Z", 21, 25, 29, 9),
    ]
    assert "day  2016-04-12T21:00:00Z" in text(capsys, unit, "readings", "--resolution", "day")


def test_where_readings_are_gone_their_hours_stand_for_them_and_it_is_said(
    unit: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    measure(unit, "low", "temperature", *(float(number) for number in range(96)))
    days = LocalDays(ZoneInfo("Africa/Nairobi"))
    with Database(unit.database) as database:
        for step in range(1000):
            with database.atomic() as connection:
                advance(connection, to_ms=1_460_419_200_000 + 96 * HOUR_MS)
                if roll(connection, days) and step > 20:
                    break
        with database.atomic() as connection:
            assert thin(connection, before_ms=1_460_419_200_000 + 48 * HOUR_MS, days=days) == 48
    code = main(["readings", "--home", str(unit.path), "--format", "csv"])
    streams = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(streams.out)))
    assert (code, len(rows), [row["resolution"] for row in rows[47:49]]) == (0, 96, ["hour", "raw"])
    assert [row["value"] for row in rows[:2]] == ["0.0", "1.0"]
    assert "before 2016-04-14T00:00:00Z the readings are gone" in streams.err
    assert told(capsys, unit, "readings", "--since", "2016-04-14T00:00:00Z")[0].keys() == {
        *("time", "device", "quantity", "unit", "value", "quality", "quality_words", "qc"),
    }


def test_a_backup_made_while_somebody_writes_can_be_restored(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    measure(unit, "low", "temperature", *(float(number) for number in range(500)))
    with Database(unit.database) as writer, writer.atomic() as connection:
        connection.execute("DELETE FROM series")
        made = told(capsys, unit, "backup")
    found = told(capsys, unit, "restore", "--verify", made["file"])
    assert (found["ok"], found["tables"]["readings"], found["tables"]["series"]) == (True, 500, 1)
    assert found["tables"]["records"] == 4
    assert list(unit.backups.glob("*.new")) == []
    assert "can be restored: sound" in text(capsys, unit, "restore", "--verify", made["file"])


def test_what_is_no_backup_is_refused(unit: Home, tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.db"
    sqlite3.connect(other).execute("CREATE TABLE t (a)").connection.close()
    assert "is no backup of a kit" in text(capsys, unit, "restore", "--verify", str(other), code=1)
    assert "there is no file" in text(capsys, unit, "restore", "--verify", str(tmp_path / "none.db"), code=1)


def test_restoring_says_what_it_can_do(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert "kit restore --verify FILE" in text(capsys, unit, "restore", code=2)


@pytest.mark.parametrize("words", [("readings",), ("queue", "ls"), ("alerts", "ls"), ("device", "list"), ("backup",)])
def test_a_home_that_never_ran_is_explained_and_not_made(
    tmp_path: Any, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    home = Home(tmp_path / "nowhere")
    assert "this unit has never run" in text(capsys, home, *words, code=1)
    assert not home.path.exists()


def test_status_and_doctor_agree_on_a_unit_that_is_stopped(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    status = told(capsys, unit, "status")
    assert status["running"] is False
    assert main(["doctor", "--home", str(unit.path), "--json"]) == 1
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["services"]["ok"] is False
    assert checks["store"]["ok"] is True
