"""Who may sign in: names, passwords, and what the broker asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.broker.access import SERVICE_PREFIX as BROKERS_PREFIX
from kit.errors import UsageError
from kit.store.database import Database
from kit.store.devices import (
    MIGRATIONS,
    SERVICE_PREFIX,
    DeviceUsers,
    DuplicateDevice,
    UnknownDevice,
    add_device,
    check_name,
    list_devices,
    remove_device,
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "kit.db", migrations=MIGRATIONS) as opened:
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
        ("roof", "senml", 5),
    ]


def test_a_second_device_of_the_same_name_is_refused_and_the_first_keeps_its_password(database: Database) -> None:
    users = DeviceUsers(database, services={})
    first = add_device(database.connection, "roof", now_ms=0)
    with pytest.raises(DuplicateDevice, match="kit device remove roof"):
        add_device(database.connection, "roof", now_ms=0)
    assert users.sign_in("roof", first.password.encode())


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
    assert users.sign_in("roof", roof.password.encode())
    assert users.sign_in("kit-collect", b"secret")
    for username, password in [("roof", b"secret"), ("kit-collect", b""), ("kit-x", b"secret"), ("", b""), ("x", b"")]:
        assert users.sign_in(username, password) is None


def test_a_mark_changes_when_a_device_is_removed_and_added_again(database: Database) -> None:
    with Database(database.file) as other:
        users = DeviceUsers(other, services={"kit-collect": "secret"})
        roof = add_device(database.connection, "roof", now_ms=0)
        mark = users.sign_in("roof", roof.password.encode())
        assert users.marks() == {"roof": mark, "kit-collect": users.sign_in("kit-collect", b"secret")}
        remove_device(database.connection, "roof")
        assert "roof" not in users.marks()
        add_device(database.connection, "roof", now_ms=0)
        assert users.marks()["roof"] != mark
