"""`kit backup` and `kit restore`: an encrypted copy while the unit runs, the proof of it, and the way back."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.cli.output import print_json
from kit.cli.unit import Unit, unit_of
from kit.errors import KitError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def add_backup(parser: argparse.ArgumentParser) -> None:
    """`kit backup [--to FOLDER] [--show-code]`."""
    parser.add_argument("--to", metavar="FOLDER", type=Path, help="where to (default: backups/ in the home)")
    parser.add_argument(
        "--show-code", action="store_true", help="print the recovery code, to be kept on paper away from the unit"
    )
    parser.set_defaults(run=backup)


def add_restore(parser: argparse.ArgumentParser) -> None:
    """`kit restore [--verify] FILE [--code CODE]`."""
    parser.add_argument("file", nargs="?", metavar="FILE", type=Path, help="a backup")
    parser.add_argument("--verify", action="store_true", help="only prove that it can be restored; touch nothing")
    parser.add_argument("--code", metavar="CODE", help="the recovery code of the unit it was made by")
    parser.set_defaults(run=restore)


def backup(arguments: argparse.Namespace) -> int:
    """Make a backup, or print the code that opens it elsewhere."""
    from kit.backup.making import backup_secret, make_backup
    from kit.backup.recovery_code import encode_code

    unit = unit_of(arguments)
    if not unit.home.database.exists():
        raise KitError(
            f"{unit.home.path} holds no store yet: this unit has never run; start it with `kit run`, "
            f"or name another home with --home DIR"
        )
    if arguments.show_code:
        code = encode_code(backup_secret(unit.home))
        if arguments.json:
            print_json({"code": code})
        else:
            print(f"Recovery code: {code}")
            print("Whoever has it and a backup can read everything in it. Keep it on paper, away from the unit.")
        return 0
    made = make_backup(
        unit.home, arguments.to or unit.home.backups, name=unit.settings.unit.name, now_ms=unit.now_ms()
    ).as_json()
    if arguments.json:
        print_json(made)
    else:
        print(f"Backed up to {made['file']} ({made['bytes'] / 1e6:.1f} MB, {made['rows']} rows, read back).")
        print("Copy it to another disk or a USB stick: a backup beside what it backs up dies with it.")
        print("Another machine opens it with the recovery code: kit backup --show-code")
    return 0


def restore(arguments: argparse.Namespace) -> int:
    """Prove a backup, or put it in the place of the store."""
    if arguments.file is None:
        raise UsageError("restore: say kit restore --verify FILE to prove a backup, or kit restore FILE to restore it")
    if not arguments.file.is_file():
        raise KitError(f"there is no file {arguments.file}; the backups of a unit are in backups/ below its home")
    unit = unit_of(arguments)
    secret = _secret(unit, arguments.file, arguments.code)
    return _verify(unit, arguments, secret) if arguments.verify else _restore(unit, arguments, secret)


def _verify(unit: Unit, arguments: argparse.Namespace, secret: bytes) -> int:
    import tempfile

    from kit.backup.archive import read_head
    from kit.backup.restoring import unpacked

    # beside the backups, not in /tmp: that is often a small piece of memory
    place = unit.home.spool if unit.home.spool.is_dir() else arguments.file.parent
    with (
        tempfile.TemporaryDirectory(dir=place, prefix="verify-", ignore_cleanup_errors=True) as work,
        unpacked(arguments.file, secret, Path(work)) as (_, manifest),
    ):
        found = _found(arguments.file, read_head(arguments.file).created_ms, manifest)
    if arguments.json:
        print_json(found)
        return 0
    print(f"{arguments.file} can be restored: sound, {found['bytes'] / 1e6:.1f} MB, {found['rows']} rows.")
    for table, rows in found["tables"].items():
        print(f"  {table:<24} {rows:>10}")
    return 0


def _restore(unit: Unit, arguments: argparse.Namespace, secret: bytes) -> int:
    from kit.backup.restoring import restore as put_back
    from kit.run.unclean_ends import settle_for_replaced_store
    from kit.run.unit import only_one

    unit.home.prepare()
    with only_one(unit.home):
        settle_for_replaced_store(unit.home, unit.clock)
        done = put_back(unit.home, arguments.file, secret, now_ms=unit.now_ms())
    found = _found(arguments.file, done.head.created_ms, done.manifest) | {
        "epoch": done.epoch,
        "set_aside": None if done.set_aside is None else str(done.set_aside),
        "restored_files": list(done.files),
    }
    if arguments.json:
        print_json(found)
        return 0
    print(f"{unit.home.path} is {done.head.unit} as it was: {found['rows']} rows, in a new epoch ({done.epoch}).")
    if done.set_aside is not None:
        print(f"What was there before is kept in {done.set_aside}; delete it when nothing is missed.")
    if done.files:
        print(f"Also back: {', '.join(done.files)}.")
    print("Devices that were removed since then are let in again: kit device list. Start the unit: kit run")
    return 0


def _found(file: Path, created_ms: int, manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "file": str(file),
        "ok": True,
        "unit": manifest["unit"],
        "created_ms": created_ms,
        "bytes": file.stat().st_size,
        "migrations": manifest["migrations"],
        "rows": sum(manifest["tables"].values()),
        "tables": dict(manifest["tables"]),
    }


def _secret(unit: Unit, file: Path, code: str | None) -> bytes:
    from kit.backup.archive import read_head
    from kit.backup.making import KEY_FILE, backup_secret
    from kit.backup.recovery_code import RecoveryCodeError, decode_code
    from kit.backup.sealing import key_mark

    head = read_head(file)
    if code is None and (unit.home.keys / KEY_FILE).exists():
        own = backup_secret(unit.home)
        if key_mark(own) == head.key:
            return own
    if code is None and sys.stdin.isatty():
        code = input(f"Recovery code of {head.unit}: ")
    if code is None:
        raise UsageError(
            f"{file} is a backup of {head.unit}, whose key is not in {unit.home.keys}; add --code CODE "
            f"(on that unit: kit backup --show-code)"
        )
    try:
        return decode_code(code)
    except RecoveryCodeError as error:
        raise UsageError(str(error)) from error
