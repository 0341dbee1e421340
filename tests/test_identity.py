"""Keys are made once, are secret, and damage to them is said plainly."""

import stat
from pathlib import Path

import pytest

from kit.errors import KitError
from kit.home import Home, find_home
from kit.identity import (
    check_technician_password,
    create_technician_password,
    load_or_create_curve_keys,
    load_or_create_identity,
    load_or_create_service_passwords,
    set_technician_password,
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


def test_a_unit_keeps_its_name_and_keys(home: Home) -> None:
    first = load_or_create_identity(home)
    assert first == load_or_create_identity(home)
    assert first.unit.startswith("kit-")
    assert load_or_create_curve_keys(home) == load_or_create_curve_keys(home)
    assert load_or_create_service_passwords(home) == load_or_create_service_passwords(home)


def test_two_units_share_nothing(tmp_path: Path) -> None:
    homes = [Home(tmp_path / name) for name in ("a", "b")]
    for each in homes:
        each.prepare()
    assert len({load_or_create_identity(each).unit for each in homes}) == 2
    assert len({create_technician_password(each) for each in homes}) == 2


def test_every_secret_is_readable_by_its_owner_only(home: Home) -> None:
    load_or_create_identity(home)
    load_or_create_curve_keys(home)
    create_technician_password(home)
    assert stat.S_IMODE(home.keys.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in home.keys.iterdir()} == {0o600}


def test_the_technician_password_is_shown_once_and_must_be_changed(home: Home) -> None:
    password = create_technician_password(home)
    assert password is not None
    assert create_technician_password(home) is None
    assert check_technician_password(home, password) == (True, True)
    assert check_technician_password(home, "wrong") == (False, True)
    set_technician_password(home, "my own words")
    assert check_technician_password(home, "my own words") == (True, False)


def test_a_damaged_key_file_says_what_to_do_and_is_not_replaced(home: Home) -> None:
    load_or_create_identity(home)
    file = home.keys / "unit.json"
    file.write_text('{"unit": "kit-x"}')
    with pytest.raises(KitError, match="restore it from a backup"):
        load_or_create_identity(home)
    assert file.read_text() == '{"unit": "kit-x"}'


def test_a_home_that_is_a_file_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KitError, match="is not a directory; choose another place with --home DIR"):
        Home(tmp_path / "file").prepare()


def test_the_flag_comes_before_the_environment(tmp_path: Path) -> None:
    assert find_home(str(tmp_path), {"KIT_HOME": "/elsewhere"}).path == tmp_path
    assert find_home(None, {"KIT_HOME": "/elsewhere"}).path == Path("/elsewhere")


def test_a_full_disk_never_truncates_a_key_that_is_there(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prepare()
    set_technician_password(home, "first")
    (home.keys / "technician.json.new").symlink_to("/dev/full")  # a device on which no write finds room
    with pytest.raises(KitError, match="is full; free some space"):
        set_technician_password(home, "second")
    assert check_technician_password(home, "first") == (True, False)
    set_technician_password(home, "third")
    assert check_technician_password(home, "third") == (True, False)
