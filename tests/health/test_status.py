"""The status of a unit, from a home filled through the real store."""

from __future__ import annotations

import json
import os
import sqlite3
from typing import Any

import pytest

from kit.alerts.lifecycle import Alerts
from kit.cli.status_text import status_text
from kit.health import sensor_view
from kit.health.attention import attention
from kit.health.services import process_began
from kit.health.status import unit_status
from kit.health.words import named_value_words, uncarried_words, value_words
from kit.home import Home
from kit.model.alert import Alert, AlertText, Area, Severity
from kit.model.readings import Quality
from kit.settings import Settings
from kit.store.facts import put_fact
from sync.protocol.records import Priority

RUNNING = [
    {"name": name, "state": "running", "pid": 1, "restarts": 0, "last_error": ""}
    for name in ("broker", "collect", "web", "sync")
]


def status_of(village: Any) -> dict[str, Any]:
    return unit_status(village.home, village.settings, village.clock)


def raise_frost(village: Any) -> tuple[Alerts, str]:
    alerts = Alerts(village.database, village.clock, sender="kit-7gq2mzk4@village-kit", area="orchard")
    text = AlertText(language="en", event="Frost", headline="Frost warning", instruction="Light the heaters.")
    alert = Alert(
        identifier="kit-7gq2mzk4-1",
        sender="kit-7gq2mzk4@village-kit",
        sent_ms=village.now_ms,
        event="frost",
        severity=Severity.SEVERE,
        expires_ms=village.now_ms + 8 * 3_600_000,
        area=Area("orchard"),
        infos=(text,),
    )
    alerts.raise_alert(alert)
    return alerts, alert.identifier


def test_the_shape_is_the_one_that_tools_rely_on(village: Any) -> None:
    village.measure("orchard-low", 1.0, 0.2, -0.4, every_s=600, last_age_s=60)
    village.link("lora", "up", heard_age_s=120)
    village.supervise(RUNNING)
    status = status_of(village)
    assert {"unit", "time", "clock", "services", "links", "sensors", "alerts", "power"} <= status.keys()
    assert status["time"] == "2016-04-12T00:12:00Z"
    assert status["clock"]["trusted"] is True
    assert status["services"][0].keys() >= {"name", "state", "pid", "restarts", "last_error"}
    assert status["links"][0].keys() >= {"name", "state", "queued", "last_heard"}
    assert status["sensors"][0].keys() >= {"device", "last_seen", "age_s"}
    assert json.loads(json.dumps(status)) == status


def test_a_sensor_has_its_age_and_its_latest_value(village: Any) -> None:
    village.measure("orchard-low", 1.0, 0.2, -0.4, every_s=600, last_age_s=60)
    (sensor,) = status_of(village)["sensors"]
    assert (sensor["device"], sensor["last_seen"], sensor["age_s"]) == ("orchard-low", "2016-04-12T00:11:00Z", 60.0)
    latest = {"quantity": "temperature", "unit": "Cel", "value": -0.4, "quality": "good", "quality_words": []}
    assert sensor["latest"] == [latest]
    assert (sensor["every_s"], sensor["silent_after_s"]) == (600, 1800)
    assert sensor["silent"] is False


def test_a_value_that_needs_a_look_is_named_with_what_is_doubtful(village: Any) -> None:
    village.measure("leaf", 99.0, every_s=600, last_age_s=60)
    with village.database.atomic() as connection:
        connection.execute("UPDATE latest_readings SET quality = ?", (int(Quality.IMPOSSIBLE),))
    assert any(
        "sensor leaf: temperature is impossible; The value lies outside" in a for a in attention(status_of(village))
    )


@pytest.mark.parametrize(
    ("gaps_s", "silent_after_s"),
    [
        ([60] * 20, 900),  # every minute: not below a quarter of an hour
        ([1800] * 20, 5400),  # every half hour: three rounds
        ([300] * 18 + [7200, 7200], 14_400),  # mostly often, now and then a long pause
        ([86_400] * 20, 172_800),  # once a day: not beyond two days
    ],
)
def test_how_long_a_sensor_may_be_silent_is_learned_from_its_own_pauses(gaps_s: list[int], silent_after_s: int) -> None:
    times = [sum(gaps_s[:number]) * 1000 for number in range(len(gaps_s) + 1)]
    assert silent_after_s == sensor_view.silent_after_s(sensor_view.rhythm_of(times))


def test_silence_is_measured_by_the_sensors_own_rhythm(village: Any) -> None:
    village.measure("hourly", 1.0, 1.0, 1.0, 1.0, every_s=3600, last_age_s=2.5 * 3600)
    village.measure("quick", 1.0, 1.0, 1.0, 1.0, every_s=60, last_age_s=2.5 * 3600)
    silent = {sensor["device"]: sensor["silent"] for sensor in status_of(village)["sensors"]}
    assert silent == {"hourly": False, "quick": True}
    assert any("sensor quick has been silent for 2 h 30 min" in line for line in attention(status_of(village)))


def test_a_sensor_that_was_taken_away_worries_nobody(village: Any) -> None:
    village.measure("present", 1.0, 1.0, 1.0, every_s=60, last_age_s=60)
    village.measure("removed", 1.0, 1.0, 1.0, every_s=60, last_age_s=86_400, known=False)
    assert [sensor["device"] for sensor in status_of(village)["sensors"]] == ["present"]


def test_tonights_forecast_is_told_until_the_morning(village: Any) -> None:
    village.forecast()
    forecast = status_of(village)["forecast"]
    assert (forecast["tmin_c"], forecast["issued"]) == (-2.1, "2016-04-12T00:00:00Z")
    village.clock.advance(7 * 3600)
    assert status_of(village)["forecast"] is None


def test_a_warning_needs_a_person_until_a_person_has_confirmed_it(village: Any) -> None:
    alerts, identifier = raise_frost(village)
    village.supervise(RUNNING)
    assert attention(status_of(village))[0].startswith("Frost warning: nobody has confirmed it")
    alerts.confirm(identifier, person="Wanjiru", channel="web")
    status = status_of(village)
    assert (status["alerts"][0]["confirmed"], status["alerts"][0]["seen_by"]) == (True, ["Wanjiru"])
    assert attention(status) == []


def test_what_an_app_says_as_a_problem_of_the_unit_is_said_once() -> None:
    line = {"label": "frost", "value": "No thermometer has reported yet.", "ok": False}
    other = {"label": "agri", "value": "No field yet.", "ok": False}
    status = {"running": True, "problems": [line["value"]], "apps": [line, other]}
    assert attention(status) == ["No thermometer has reported yet.", "agri: No field yet."]


def test_what_waits_is_counted_per_link_and_priority(village: Any) -> None:
    village.link("lora", "up", heard_age_s=120)
    village.link("cellular", "down", "no network")
    village.write_records(alert=(Priority.DISTRESS, 1), readings=(Priority.READING, 3), lesson=(Priority.BULK, 2))
    village.supervise(RUNNING)
    links = {link["name"]: link for link in status_of(village)["links"]}
    assert links["lora"]["queued"] == {"0": 1, "1": 0, "2": 0, "3": 0, "4": 3}
    assert links["cellular"]["queued"]["5"] == 2
    assert status_of(village)["core"] == {"last_heard": "2016-04-12T00:10:00Z", "link": "lora", "uncarried": {}}


def test_what_no_link_carries_is_not_passed_over_in_silence(village: Any) -> None:
    village.link("lora", "up", heard_age_s=120)
    village.write_records(readings=(Priority.READING, 3), lesson=(Priority.BULK, 2))
    village.supervise(RUNNING)
    core = status_of(village)["core"]
    assert core["uncarried"] == {"5": 2}
    assert uncarried_words(core) == "no link carries 2 bulk now (kit queue ls says why)"


def test_a_link_is_not_called_up_when_nobody_serves_it(village: Any) -> None:
    village.link("lora", "up", heard_age_s=120)
    (link,) = status_of(village)["links"]
    assert (link["state"], link["explain"]) == ("down", "the sync service does not run")


def test_power_is_the_fact_the_collector_left(village: Any) -> None:
    with village.database.atomic() as connection:
        told = {"source": "battery", "battery_percent": 12, "charging": False}
        put_fact(connection, "power", told, at_ms=village.now_ms)
    village.supervise(RUNNING)
    assert status_of(village)["power"]["battery_percent"] == 12
    assert "the battery is at 12 % and does not charge; check the panel or the charger" in attention(status_of(village))


def test_a_supervisor_that_was_killed_leaves_no_service_running(village: Any) -> None:
    village.supervise(RUNNING, pid=2**22 - 1)
    status = status_of(village)
    assert status["running"] is False
    assert {service["state"] for service in status["services"]} == {"stopped"}
    assert attention(status)[0] == "the unit is stopped; start it with `kit run`"


def test_another_process_that_got_the_supervisors_number_after_a_power_cut_is_not_taken_for_it(village: Any) -> None:
    village.supervise(RUNNING)
    told = json.loads(village.home.services_file.read_text())
    village.home.services_file.write_text(json.dumps(told | {"supervisor_began": process_began(os.getpid())}))
    assert status_of(village)["running"] is True
    village.home.services_file.write_text(json.dumps(told | {"supervisor_began": 1}))
    assert status_of(village)["running"] is False


def test_a_service_that_keeps_dying_is_told_with_its_last_error(village: Any) -> None:
    dying = RUNNING[3] | {"state": "waiting", "restarts": 4, "last_error": "the radio does not answer"}
    village.supervise([*RUNNING[:3], dying])
    assert attention(status_of(village)) == [
        "service sync is down: the radio does not answer; see `kit log sync`",
    ]


def test_a_home_that_never_ran_is_told_and_not_made(tmp_path: Any, village: Any) -> None:
    home = Home(tmp_path / "nowhere")
    status = unit_status(home, Settings(), village.clock)
    assert status["store"]["state"] == "missing"
    assert "this unit has never run" in attention(status)[0]
    assert not home.path.exists()


def test_a_damaged_store_is_told(village: Any) -> None:
    village.database.close()
    village.home.database.write_bytes(b"this is no database" * 1000)
    for suffix in ("-wal", "-shm"):
        village.home.database.with_name(f"kit.db{suffix}").unlink(missing_ok=True)
    status = status_of(village)
    assert status["store"]["state"] == "damaged"
    assert "the store is damaged; see `kit doctor`" in attention(status)


def test_a_table_that_is_missing_costs_its_own_field_only(village: Any) -> None:
    village.measure("orchard-low", 1.0, 0.2, -0.4, every_s=600, last_age_s=60)
    village.database.connection.execute("DROP TABLE link_state")
    status = status_of(village)
    assert status["store"]["state"] == "incomplete"
    assert status["links"] == []
    assert status["sensors"]


def test_a_status_changes_nothing(village: Any) -> None:
    before = sorted(path.name for path in village.home.path.rglob("*"))
    status_of(village)
    assert sorted(path.name for path in village.home.path.rglob("*")) == before


def test_a_store_that_is_held_is_read_all_the_same(village: Any) -> None:
    village.measure("orchard-low", 1.0, 0.2, -0.4, every_s=600, last_age_s=60)
    writer = sqlite3.connect(village.home.database, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        assert status_of(village)["sensors"]
    finally:
        writer.close()


@pytest.mark.parametrize("full", [True, False])
def test_the_text_fits_80_columns_and_says_first_what_needs_a_person(village: Any, full: bool) -> None:
    if full:
        raise_frost(village)
        village.measure("orchard-low", 1.0, 0.2, -0.4, every_s=600, last_age_s=60)
        village.forecast()
        village.link("lora", "connecting", "the radio at /dev/ttyUSB0 does not answer; check its cable and its power")
        village.write_records(alert=(Priority.DISTRESS, 1), readings=(Priority.READING, 3))
    village.supervise(RUNNING)
    lines = status_text(status_of(village)).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[3] == ("This needs you:" if full else "Nothing needs you.")


def test_a_share_says_what_it_is_of_and_a_temperature_need_not() -> None:
    cloud = {"quantity": "cloud_cover", "unit": "%", "value": 0.0}
    assert named_value_words(cloud) == "0 % cloud"
    assert named_value_words({"quantity": "humidity:probe1", "unit": "%RH", "value": 81.0}) == "81 % humidity"
    assert named_value_words({"quantity": "temperature", "unit": "Cel", "value": -0.4}) == "-0.4 °C"


def test_a_value_has_the_digits_that_its_quantity_is_worth() -> None:
    assert value_words({"quantity": "water_level:bridge", "unit": "m", "value": 3.427}) == "3.43 m"
    assert value_words({"quantity": "battery_voltage", "unit": "V", "value": 3.6}) == "3.60 V"
    assert value_words({"quantity": "co2", "unit": "ppm", "value": 412.4}) == "412 ppm"
    assert value_words({"quantity": "chlorine", "unit": "mg/l", "value": 0.35}) == "0.35 mg/l"
