"""A backup is made while somebody writes, proven, and brought back here or elsewhere in a new epoch."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from stored import measure, write

from kit.backup.archive import SUFFIX, BackupError, WrongKeyError, read_head
from kit.backup.making import backup_secret, keep_newest, list_backups, make_backup
from kit.backup.recovery_code import encode_code
from kit.backup.restoring import restore, unpacked
from kit.cli.__main__ import main
from kit.home import Home
from kit.store.database import StoreError

NOW_MS = 1_800_000_500_000


def back_up(home: Home, folder: Path | None = None, *, now_ms: int = NOW_MS) -> Path:
    return make_backup(home, folder or home.backups, name="Kinamba", now_ms=now_ms).file


def told(capsys: pytest.CaptureFixture[str], home: Home, *words: str) -> Any:
    assert main([*words, "--home", str(home.path), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], home: Home, *words: str, code: int = 1) -> str:
    assert main([*words, "--home", str(home.path)]) == code
    return capsys.readouterr().err


def rows(home: Home, statement: str) -> list[Any]:
    connection = sqlite3.connect(home.database)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def test_nothing_readable_is_in_the_file_and_nothing_is_left_beside_it(unit: Home) -> None:
    file = back_up(unit)
    content = file.read_bytes()
    assert b"roof" not in content
    assert b"SQLite format" not in content
    assert read_head(file).unit.encode() in content
    assert file.stat().st_mode & 0o077 == 0
    assert sorted(each.name for each in unit.backups.iterdir()) == [file.name]
    assert [each.name for each in unit.spool.iterdir()] == ["backup.lock"]


def test_a_backup_is_one_moment_however_fast_others_commit(unit: Home) -> None:
    stop = threading.Event()

    def keep_writing() -> None:
        number = 0
        while not stop.is_set():
            write(unit, "receipt", b"%d" % number)
            number += 1

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        file = back_up(unit)
    finally:
        stop.set()
        writer.join()
    with unpacked(file, backup_secret(unit), unit.spool) as (folder, manifest):
        connection = sqlite3.connect(folder / "kit.db")
        (last,) = connection.execute("SELECT last_seq FROM unit_epoch").fetchone()
        (records,) = connection.execute("SELECT count(*) FROM records").fetchone()
        connection.close()
    assert last == records == manifest["tables"]["records"] == manifest["last_seq"]


def test_a_dead_unit_comes_back_elsewhere_with_its_printed_code(
    unit: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = told(capsys, unit, "backup", "--show-code")["code"]
    assert code == encode_code(backup_secret(unit))
    file = told(capsys, unit, "backup", "--to", str(tmp_path / "stick"))["file"]
    spare = Home(tmp_path / "spare")
    assert "add --code CODE" in refused(capsys, spare, "restore", file, code=2)
    assert "mistyped" in refused(capsys, spare, "restore", file, "--code", "0" * 27 + "1", code=2)
    done = told(capsys, spare, "restore", file, "--code", code)
    assert done["set_aside"] is None
    assert "keys/unit.json" in done["restored_files"]
    assert "kit.toml" in done["restored_files"]
    assert (spare.keys / "unit.json").read_bytes() == (unit.keys / "unit.json").read_bytes()
    assert rows(spare, "SELECT count(*) FROM readings") == [(2000,)]
    assert (spare.keys / "backup.json").stat().st_mode & 0o077 == 0


def test_a_disk_that_runs_full_over_a_restored_key_leaves_no_half_key_and_changes_nothing(
    unit: Home, tmp_path: Path
) -> None:
    made = make_backup(unit, tmp_path / "stick", name="x", now_ms=NOW_MS)
    spare = Home(tmp_path / "spare")
    spare.prepare()
    (spare.keys / "unit.json.new").symlink_to("/dev/full")  # a device on which no write finds room
    with pytest.raises(OSError, match="No space left"):
        restore(spare, made.file, backup_secret(unit), now_ms=NOW_MS)
    assert not (spare.keys / "unit.json").exists()
    assert not spare.database.exists()
    restore(spare, made.file, backup_secret(unit), now_ms=NOW_MS)
    assert (spare.keys / "unit.json").read_bytes() == (unit.keys / "unit.json").read_bytes()


def test_verifying_touches_nothing_of_the_unit(unit: Home, capsys: pytest.CaptureFixture[str]) -> None:
    file = back_up(unit)
    before = {each: each.stat().st_mtime_ns for each in unit.path.rglob("*") if each.is_file()}
    found = told(capsys, unit, "restore", "--verify", str(file))
    assert (found["ok"], found["tables"]["readings"], found["tables"]["records"]) == (True, 2000, 1)
    assert {each: each.stat().st_mtime_ns for each in unit.path.rglob("*") if each.is_file()} == before


def test_restoring_begins_a_new_epoch_later_than_any_before_and_sets_the_old_store_aside(unit: Home) -> None:
    secret = backup_secret(unit)
    file = back_up(unit)
    measure(unit, "river", 1.0)
    epochs = [rows(unit, "SELECT epoch FROM unit_epoch")[0][0]]
    for _ in range(3):
        done = restore(unit, file, secret, now_ms=NOW_MS)
        epochs.append(done.epoch)
        assert rows(unit, "SELECT epoch, last_seq FROM unit_epoch") == [(done.epoch, 0)]
        assert done.set_aside is not None
        assert (done.set_aside / "kit.db").exists()
    assert epochs == sorted(set(epochs))
    assert rows(unit, "SELECT DISTINCT device FROM series") == [("roof",)]
    assert rows(unit, "PRAGMA journal_mode") == [("wal",)]
    aside = sqlite3.connect(unit.set_aside / min(each.name for each in unit.set_aside.iterdir()) / "kit.db")
    assert ("river",) in aside.execute("SELECT device FROM series").fetchall()
    aside.close()


def test_a_backup_of_another_unit_is_refused(unit: Home, tmp_path: Path) -> None:
    from kit.identity import load_or_create_identity

    other = Home(tmp_path / "other")
    other.prepare()
    load_or_create_identity(other)
    with pytest.raises(BackupError, match="is a backup of"):
        restore(other, back_up(unit), backup_secret(unit), now_ms=NOW_MS)


def test_a_running_unit_is_not_restored_over(unit: Home) -> None:
    from kit.run.schema import open_unit_store

    file = back_up(unit)
    with open_unit_store(unit), pytest.raises(StoreError, match="stop the unit first"):
        restore(unit, file, backup_secret(unit), now_ms=NOW_MS)
    assert not unit.set_aside.exists()


@pytest.mark.parametrize("where", [0, 10, 40, 200, 5_000, -1])
def test_a_damaged_backup_is_refused_wherever_the_damage_is(unit: Home, where: int) -> None:
    file = back_up(unit)
    content = bytearray(file.read_bytes())
    content[where] ^= 0x55
    file.write_bytes(content)
    with pytest.raises(BackupError), unpacked(file, backup_secret(unit), unit.spool):
        pass


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_backup_that_was_cut_short_is_refused(unit: Home, share: float) -> None:
    file = back_up(unit)
    with file.open("r+b") as stream:
        stream.truncate(int(file.stat().st_size * share))
    with pytest.raises(BackupError), unpacked(file, backup_secret(unit), unit.spool):
        pass


def test_another_units_key_is_told_from_damage(unit: Home) -> None:
    file = back_up(unit)
    with pytest.raises(WrongKeyError, match="recovery code of that unit"), unpacked(file, b"x" * 16, unit.spool):
        pass


def test_a_disk_without_room_is_explained_before_anything_is_written(unit: Home) -> None:
    size = unit.database.stat().st_size
    with pytest.raises(BackupError, match="delete old backups"):
        make_backup(unit, unit.backups, name="Kinamba", now_ms=NOW_MS, room=lambda _: 2 * size - 1)
    assert list(unit.backups.iterdir()) == []


def test_only_this_units_oldest_backups_make_room(unit: Home) -> None:
    files = [back_up(unit, now_ms=NOW_MS + number) for number in range(4)]
    stranger = unit.backups / f"other{SUFFIX}"
    stranger.write_bytes(b"somebody else's")
    assert keep_newest(unit.backups, 2, unit=read_head(files[0]).unit) == [files[1], files[0]]
    assert [file for file, _ in list_backups(unit.backups)] == [files[3], files[2]]
    assert stranger.exists()
