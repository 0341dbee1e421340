"""`kit sync rotate-keys`, as it is typed, and what status and doctor say while a renewal lasts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kit.cli.__main__ import main
from kit.cli.status_text import status_text
from kit.clock import ManualClock
from kit.health.doctor_status import check_rotation
from kit.health.status import unit_status
from kit.home import Home
from kit.identity import load_or_create_identity
from kit.run.schema import open_unit_store
from kit.settings import Settings
from kit.store.records import set_origin
from sync.core.invites import make_invite
from sync.core.setup import prepare_core
from sync.join import enrolled, join
from sync.rotation import read_rotation

NOON_S = 1_790_000_000.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A kit that runs no services and has joined nothing."""
    home = Home(tmp_path / "kit")
    home.prepare()
    unit = load_or_create_identity(home).unit
    with open_unit_store(home) as database, database.atomic() as connection:
        set_origin(connection, unit)
    return home


def join_a_core(home: Home, tmp_path: Path, *, welcomed: bool = True) -> str:
    clock = ManualClock(at_s=NOON_S)
    core = replace(prepare_core(Home(tmp_path / "core")), clock=clock)
    membership = join(home, make_invite(core, "Orchard", days=7, address=""), clock=clock)
    if welcomed:
        enrolled(home, core_name="Nakuru")
    return membership.invite.core


def typed(capsys: pytest.CaptureFixture[str], home: Home, *words: str) -> tuple[int, str]:
    code = main(["sync", "rotate-keys", *words, "--home", str(home.path)])
    told = capsys.readouterr()
    return code, " ".join((told.out + told.err).split())


def test_it_is_begun_once_and_says_what_happens(home: Home, tmp_path: Path, capsys: Any) -> None:
    join_a_core(home, tmp_path)
    code, told = typed(capsys, home)
    assert code == 0
    assert "Nakuru is told of them" in told
    assert "kit bundle export" in told  # it does not run
    begun = read_rotation(home)
    assert begun is not None
    assert begun.told
    code, told = typed(capsys, home)
    assert (code, "under way already" in told) == (0, True)
    assert read_rotation(home) == begun
    with open_unit_store(home) as database:
        rows = database.connection.execute("SELECT kind, priority FROM records").fetchall()
    assert [tuple(row) for row in rows] == [("new-key", 1)]


def test_as_json(home: Home, tmp_path: Path, capsys: Any) -> None:
    core = join_a_core(home, tmp_path)
    code, told = typed(capsys, home, "--json")
    assert code == 0
    answer = json.loads(told)
    assert (answer["core"], answer["begun"], answer["rotation"]["stage"]) == (core, True, "offered")
    assert "private" not in told


def test_a_kit_whose_keys_nobody_knows_has_nothing_to_renew(home: Home, tmp_path: Path, capsys: Any) -> None:
    code, told = typed(capsys, home)
    assert (code, "kit join INVITE" in told) == (1, True)
    join_a_core(home, tmp_path, welcomed=False)
    code, told = typed(capsys, home)
    assert (code, "has not welcomed this kit yet" in told) == (1, True)


def test_a_core_is_told_that_its_kits_would_have_to_join_anew(tmp_path: Path, capsys: Any) -> None:
    core = Home(tmp_path / "core")
    prepare_core(core)
    code, told = typed(capsys, core)
    assert (code, "joins anew" in told) == (1, True)
    assert not (core.keys / "rotation.json").exists()


def test_lost_keys_are_made_anew_under_the_id_of_the_store(home: Home, capsys: Any) -> None:
    before = load_or_create_identity(home)
    code, told = typed(capsys, home, "--lost")
    assert (code, "are there" in told) == (1, True)
    (home.keys / "unit.json").unlink()
    code, told = typed(capsys, home, "--lost")
    assert code == 0
    assert f"kit core invite NAME --unit {before.unit}" in told
    now = load_or_create_identity(home)
    assert now.unit == before.unit
    assert now.exchange_public != before.exchange_public


def test_status_says_that_it_is_under_way_and_the_doctor_that_it_hangs(home: Home, tmp_path: Path, capsys: Any) -> None:
    join_a_core(home, tmp_path)
    clock = ManualClock(at_s=NOON_S)
    assert unit_status(home, Settings(), clock)["rotation"] is None
    typed(capsys, home)
    since = read_rotation(home)
    assert since is not None
    status = unit_status(home, Settings(), clock)
    assert "new keys are offered" in " ".join(status_text(status).split())
    told = {**status, "time": status["rotation"]["since"]}
    (check,) = check_rotation(told)
    assert check.ok
    late = ManualClock(at_s=since.since_ms / 1000 + 4 * 86_400)
    (check,) = check_rotation(unit_status(home, Settings(), late))
    assert not check.ok
    assert "--unit ID" in check.todo
    assert "4 d" in check.sentence
    (home.keys / "rotation.json").write_text("{")
    assert unit_status(home, Settings(), clock)["rotation"] is None


def test_a_damaged_file_is_named(home: Home, tmp_path: Path, capsys: Any) -> None:
    join_a_core(home, tmp_path)
    (home.keys / "rotation.json").write_text("{")
    code, told = typed(capsys, home)
    assert (code, "rotation.json cannot be read" in told) == (1, True)
