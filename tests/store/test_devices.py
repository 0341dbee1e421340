"""Who may sign in: names, passwords, and what the broker asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.broker.access import SERVICE_PREFIX as BROKERS_PREFIX
from kit.broker.ports import Claim, Mark
from kit.clock import ManualClock
from kit.errors import UsageError
from kit.model.grants import Grants, native_grants
from kit.model.places import Place, PlaceError
from kit.store import devices, facts, schema
from kit.store.database import Database
from kit.store.device_users import DeviceUsers
from kit.store.devices import (
    SERVICE_PREFIX,
    DuplicateDevice,
    TakenTopic,
    UnknownDevice,
    add_device,
    check_name,
    grants_of,
    list_devices,
    place_device,
    remove_device,
    rotate_password,
    set_grants,
)
from kit.store.joining import PREFIX, turn_away, wait_openly


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "kit.db", migrations=(*facts.MIGRATIONS, *devices.MIGRATIONS)) as opened:
        yield opened


@pytest.mark.parametrize("good", ["roof", "field-3", "0", "a_b", "x" * 32])
def test_a_plain_name_is_fine(good: str) -> None:
    check_name(good)


@pytest.mark.parametrize("bad", ["", "Roof", "-roof", "_x", "a/b", "a+", "#", "x" * 33, "é", "a b", "roof\n"])
def test_a_name_that_would_not_fit_a_topic_is_refused_with_an_example(bad: str) -> None:
    with pytest.raises(UsageError, match="for example 'field-3'"):
        check_name(bad)


def test_no_device_can_pose_as_a_service() -> None:
    assert SERVICE_PREFIX == BROKERS_PREFIX
    with pytest.raises(UsageError, match="kit's own services"):
        check_name("kit-collect")


@given(st.text(max_size=8))
def test_whatever_is_accepted_as_a_name_is_one_literal_topic_level(name: str) -> None:
    try:
        check_name(name)
    except UsageError:
        return
    assert not set(name) & set("/+#$\0")


def test_a_password_is_shown_once_and_never_stored(database: Database) -> None:
    with database.atomic() as connection:
        one = add_device(connection, "roof", now_ms=5)
        two = add_device(connection, "field", kind="tasmota", now_ms=6)
    assert one.password != two.password
    assert len(one.password) * 6 >= 128
    assert one.password.encode() not in database.file.read_bytes() + Path(f"{database.file}-wal").read_bytes()
    assert [(d.name, d.kind, d.added_ms) for d in list_devices(database.connection)] == [
        ("field", "tasmota", 6),
        ("roof", "native", 5),
    ]


def test_a_second_device_of_the_same_name_is_refused_and_the_first_keeps_its_password(database: Database) -> None:
    users = DeviceUsers(database, services={})
    first = add_device(database.connection, "roof", now_ms=0)
    with pytest.raises(DuplicateDevice, match="kit device rotate roof"):
        add_device(database.connection, "roof", now_ms=0)
    assert users.sign_in(Claim("roof", first.password.encode()))


def test_removing_a_device_that_is_not_there_names_the_nearest(database: Database) -> None:
    add_device(database.connection, "roof", now_ms=0)
    with pytest.raises(UnknownDevice, match="did you mean 'roof'"):
        remove_device(database.connection, "rof")
    remove_device(database.connection, "roof")
    with pytest.raises(UnknownDevice, match="kit device list"):
        remove_device(database.connection, "roof")


def test_users_know_devices_and_services_and_nobody_else(database: Database) -> None:
    users = DeviceUsers(database, services={"kit-collect": "secret"})
    roof = add_device(database.connection, "roof", now_ms=0)
    assert users.sign_in(Claim("roof", roof.password.encode()))
    assert users.sign_in(Claim("kit-collect", b"secret"))
    for username, password in [("roof", b"secret"), ("kit-collect", b""), ("kit-x", b"secret"), ("", b""), ("x", b"")]:
        assert users.sign_in(Claim(username, password)) is None


def test_a_mark_changes_when_a_device_is_removed_and_added_again(database: Database) -> None:
    with Database(database.file) as other:
        users = DeviceUsers(other, services={"kit-collect": "secret"})
        roof = add_device(database.connection, "roof", now_ms=0)
        mark = _mark(users, "roof", roof.password)
        assert users.marks() == {"roof": mark, "kit-collect": _mark(users, "kit-collect", "secret")}
        remove_device(database.connection, "roof")
        assert "roof" not in users.marks()
        add_device(database.connection, "roof", now_ms=0)
        assert users.marks()["roof"] != mark


def test_a_new_password_takes_the_old_ones_place_and_the_device_stays_the_same(database: Database) -> None:
    with Database(database.file) as other:
        users = DeviceUsers(other, services={})
        old = add_device(database.connection, "roof", now_ms=0)
        before = users.marks()["roof"]
        new = rotate_password(database.connection, "roof")
        assert users.sign_in(Claim("roof", old.password.encode())) is None
        assert users.sign_in(Claim("roof", new.password.encode()))
        after = users.marks()["roof"]
        assert (after.holder, after.secret == before.secret) == (before.holder, False)
        with pytest.raises(UnknownDevice, match="did you mean 'roof'"):
            rotate_password(database.connection, "rof")


def test_marks_are_looked_up_anew_only_when_a_device_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "whole.db"
    with Database(file, migrations=schema.MIGRATIONS) as database, Database(file) as other:
        users = DeviceUsers(other, services={}, clock=ManualClock(at_s=0.0))
        add_device(database.connection, "roof", now_ms=0)
        before = users.marks()
        facts.put_fact(database.connection, "weather", {}, at_ms=0)  # as every stored reading, it changes the file
        assert users.marks() is before
        with database.atomic() as connection:
            number = wait_openly(connection, client_id="tin", address="10.0.0.9", now_ms=0)
        assert users.marks().keys() == {"roof", f"{PREFIX}{number}"}
        with database.atomic() as connection:
            turn_away(connection, number or 0)
        assert users.marks().keys() == {"roof"}


def test_a_mark_changes_with_what_the_device_may_do(database: Database) -> None:
    with Database(database.file) as other:
        users = DeviceUsers(other, services={})
        roof = add_device(database.connection, "roof", now_ms=0)
        mark = _mark(users, "roof", roof.password)
        assert users.marks()["roof"] == mark
        set_grants(database.connection, "roof", Grants(publish=("tele/roof/#",)))
        assert users.marks()["roof"] != mark
        assert users.marks()["roof"] == _mark(users, "roof", roof.password)


def test_credentials_carry_their_topics(database: Database) -> None:
    pump = Grants(publish=("tele/pump/#", "stat/pump/#"), hear=("tasmota/discovery/#",), read=("cmnd/pump/#",))
    made = add_device(database.connection, "pump", kind="tasmota", grants=pump, now_ms=0)
    found = DeviceUsers(database, services={}).sign_in(Claim("pump", made.password.encode()))
    assert found is not None
    assert {use: set(getattr(found.grants, use)) for use in ("publish", "hear", "read")} == {
        use: set(getattr(pump, use)) for use in ("publish", "hear", "read")
    }


@pytest.mark.parametrize("topic", ["tele/pump/#", "tele/#", "tele/+/SENSOR", "#", "sensors/roof"])
def test_no_two_devices_speak_on_one_topic(database: Database, topic: str) -> None:
    add_device(database.connection, "pump", grants=Grants(publish=("tele/pump/#",)), now_ms=0)
    add_device(database.connection, "roof", now_ms=0)
    with pytest.raises(TakenTopic, match=r"belongs to the device '(pump|roof)' already"):
        add_device(database.connection, "thief", grants=Grants(publish=(topic,)), now_ms=0)


def test_a_device_of_an_older_kit_keeps_its_topics(database: Database) -> None:
    add_device(database.connection, "roof", now_ms=0)
    database.connection.execute("DELETE FROM device_topics")
    assert grants_of(database.connection, "roof") == native_grants("roof")
    with pytest.raises(TakenTopic):
        add_device(database.connection, "thief", grants=Grants(publish=("sensors/#",)), now_ms=0)


def test_a_removed_device_leaves_no_topics_behind(database: Database) -> None:
    add_device(database.connection, "roof", now_ms=0)
    remove_device(database.connection, "roof")
    assert database.connection.execute("SELECT count(*) FROM device_topics").fetchone()[0] == 0
    add_device(database.connection, "other", grants=Grants(publish=("sensors/roof/#",)), now_ms=0)


def test_a_device_stands_where_a_person_says(database: Database) -> None:
    add_device(database.connection, "roof", now_ms=0, place=Place.of(" upper \n field "))
    assert list_devices(database.connection)[0].place == Place("upper field")
    place_device(database.connection, "roof", Place.of("river bank", -0.37, 36.32))
    assert list_devices(database.connection)[0].place == Place("river bank", -0.37, 36.32)
    with pytest.raises(UnknownDevice, match="did you mean 'roof'"):
        place_device(database.connection, "rof", Place())


@pytest.mark.parametrize(
    ("name", "latitude", "longitude"),
    [
        ("x" * 61, None, None),
        ("", 1.0, None),
        ("", None, 1.0),
        ("", 90.1, 0.0),
        ("", 0.0, 181.0),
        ("", float("nan"), 0.0),
    ],
)
def test_a_place_that_is_none_is_refused(name: str, latitude: float | None, longitude: float | None) -> None:
    with pytest.raises(PlaceError):
        Place.of(name, latitude, longitude)


def _mark(users: DeviceUsers, username: str, password: str) -> Mark:
    found = users.sign_in(Claim(username, password.encode()))
    assert found is not None
    return found.mark


def test_a_position_is_typed_in_one_field() -> None:
    assert Place.typed("river bank", " -0.37, 36.32 ") == Place("river bank", -0.37, 36.32)
    assert Place.typed("river bank", "") == Place("river bank")
    for bad in ("north", "1", "1,2,3", "91,0"):
        with pytest.raises(PlaceError):
            Place.typed("", bad)
