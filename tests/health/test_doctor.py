"""The doctor: what each check says of a home that is well, and of one that is not."""

from __future__ import annotations

import contextlib
import http.server
import sqlite3
import threading
from typing import Any

import pytest

from kit.clock import ManualClock
from kit.health.check import Check
from kit.health.doctor import Diagnosis, diagnose
from kit.health.doctor_home import check_store
from kit.health.doctor_unit import check_devices, check_ports, reachable
from kit.health.status import unit_status
from kit.home import Home
from kit.identity import create_technician_password, load_or_create_service_passwords, set_technician_password
from kit.settings import BrokerSettings, Settings, WebSettings
from kit.store.ingest_state import MALFORMED, Problem, count_problem

RUNNING = [{"name": name, "state": "running"} for name in ("broker", "collect", "web", "sync")]


def examined(village: Any) -> Diagnosis:
    status = lambda settings: unit_status(village.home, settings, village.clock)  # noqa: E731 - as the CLI gives it
    return diagnose(village.home, village.clock, status=status)


def found(village: Any, name: str) -> list[Check]:
    return [check for check in examined(village).checks if check.name == name]


def test_a_sound_home_passes_its_checks(village: Any) -> None:
    load_or_create_service_passwords(village.home)
    set_technician_password(village.home, "a-long-password")
    village.measure("orchard-low", 1.0, 1.0, 1.0, every_s=60, last_age_s=60)
    failed = {check.name for check in examined(village).failed}
    assert failed == {"services"}, "the unit is stopped, all else is well"


def test_every_failed_check_says_what_to_do(village: Any) -> None:
    create_technician_password(village.home)
    village.clock.trusted = False
    village.measure("mute", 1.0, 1.0, 1.0, every_s=60, last_age_s=86_400)
    failed = examined(village).failed
    assert {check.name for check in failed} == {"password", "clock", "services", "sensors"}
    assert all(check.todo for check in failed)


def test_keys_that_others_can_read_are_named(village: Any) -> None:
    load_or_create_service_passwords(village.home)
    (village.home.keys / "services.json").chmod(0o644)
    (check,) = found(village, "keys")
    assert not check.ok
    assert check.sentence == "other users can read services.json"
    assert "chmod 600" in check.todo


def test_a_damaged_store_is_found(village: Any) -> None:
    village.measure("orchard-low", *([1.0] * 2000), every_s=60, last_age_s=60)
    village.database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    village.database.close()
    with village.home.database.open("r+b") as stream:
        stream.seek(-8192, 2)
        stream.write(b"\xff" * 8192)
    (check,) = found(village, "store")
    assert not check.ok
    assert "damaged" in check.sentence
    assert "sets the damaged file aside" in check.todo


def test_a_store_that_somebody_holds_is_not_called_damaged(village: Any) -> None:
    village.database.close()
    with contextlib.closing(sqlite3.connect(village.home.database)) as holder:
        holder.execute("PRAGMA locking_mode=EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        (check,) = check_store(village.home, patience_s=0.1)
    assert not check.ok
    assert "cannot be looked at now: database is locked" in check.sentence
    assert "damaged" not in check.sentence


def test_a_setting_that_is_misspelt_is_a_finding_and_the_other_checks_go_on(village: Any) -> None:
    village.home.settings_file.write_text("[frost]\ntreshold_c = 1.0\n")
    checks = found(village, "settings")
    assert not checks[0].ok
    assert "did you mean 'threshold_c'?" in checks[0].sentence
    assert found(village, "store")[0].ok


def test_a_time_zone_the_machine_does_not_know_is_said(village: Any) -> None:
    village.home.settings_file.write_text('[unit]\ntimezone = "Africa/Nairoby"\n')
    (check,) = found(village, "time zone")
    assert "does not know [unit] timezone 'Africa/Nairoby'" in check.sentence


def test_messages_that_cannot_be_read_are_counted_with_the_reason(village: Any) -> None:
    village.measure("orchard-low", 1.0, 1.0, 1.0, every_s=60, last_age_s=60)
    with village.database.atomic() as connection:
        problem = Problem("orchard-low", MALFORMED, 3, village.now_ms, "sensors/orchard-low", b"{", "no JSON")
        count_problem(connection, problem)
    (check,) = found(village, "messages")
    assert check.sentence == "orchard-low sent 3 messages that cannot be read: no JSON"


def test_a_home_that_does_not_exist_is_a_finding_and_is_not_made(tmp_path: Any) -> None:
    home = Home(tmp_path / "nowhere")
    clock = ManualClock(at_s=1_800_000_000.0)
    diagnosis = diagnose(home, clock, status=lambda settings: unit_status(home, settings, clock))
    assert diagnosis.failed[0].sentence == f"{home.path} does not exist; no unit has run here"
    assert not home.path.exists()


def test_a_check_that_stumbles_is_a_finding_and_no_crash(village: Any) -> None:
    def stumble() -> list[Check]:
        raise RuntimeError("the app is broken")

    diagnosis = diagnose(
        village.home,
        village.clock,
        status=lambda settings: unit_status(village.home, settings, village.clock),
        extra=[stumble],
    )
    assert "this check could not be made: the app is broken" in diagnosis.failed[-1].sentence


class _Page(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b'{"ok": false, "why": "the disk is full"}')

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.mark.parametrize("status", [200, 503])
def test_doors_are_knocked_at_where_the_services_say_they_listen(status: int) -> None:
    page = type("_Answer", (_Page,), {"status": status})
    with http.server.HTTPServer(("127.0.0.1", 0), page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"0.0.0.0:{server.server_port}"
        told = {"services": [{"name": "web", "address": address}, {"name": "broker", "address": address}]}
        broker, pages = check_ports(Settings(), told)
        server.shutdown()
    assert broker.ok
    assert pages.ok is (status == 200)
    assert status == 200 or "answers 503" in pages.sentence


def test_a_door_that_does_not_open_names_the_log_to_read() -> None:
    settings = Settings(web=WebSettings(listen="127.0.0.1:1"), broker=BrokerSettings(listen="127.0.0.1:1"))
    broker, pages = check_ports(settings, {"services": []})
    assert (broker.ok, pages.ok) == (False, False)
    assert broker.todo == "see `kit log broker`"
    assert reachable("0.0.0.0:8080") == ("127.0.0.1", 8080)


def test_a_door_without_a_lock_is_told_of() -> None:
    assert list(check_devices(Settings())) == []
    (told,) = check_devices(Settings(broker=BrokerSettings(open_listen="0.0.0.0:1884")))
    assert told.ok, "it was opened on purpose"
    assert "anybody in the network can pretend" in told.sentence
