"""`kit bundle export|import PATH` and `kit core bundle export|import PATH`: records carried by hand."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from kit.cli.output import print_json
from kit.cli.unit import Unit, reading_store, unit_of
from kit.home import find_home

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sync.bundles.exchange import Exchange, Exported, Imported

PATH_HELP = "the folder at which the stick is mounted, or a file"
SHOWN_DAMAGED = 10


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """`kit bundle export PATH | import PATH`."""
    _add_words(parser, export=export_from_kit, take=import_to_kit)


def add_core_bundle(parser: argparse.ArgumentParser) -> None:
    """`kit core bundle export PATH | import PATH`."""
    _add_words(parser, export=export_from_core, take=import_to_core)


def export_from_kit(arguments: argparse.Namespace) -> int:
    """Put what waits for the core on a stick."""
    from kit.run.bundles import put

    unit = unit_of(arguments)
    with reading_store(unit):
        pass  # a home that has never run must not be made by asking
    with _exchange(unit) as exchange:
        told = put(exchange, _path(arguments))
    return _tell_export(arguments, told, there="the city core", back="kit bundle import")


def import_to_kit(arguments: argparse.Namespace) -> int:
    """Take what the core has put on a stick."""
    from kit.run.bundles import note_welcome, take

    unit = unit_of(arguments)
    with reading_store(unit):
        pass
    with _exchange(unit) as exchange:
        told, answers = take(exchange, _path(arguments))
    if note_welcome(unit.home, told) and not arguments.json:
        print(f"{told.welcomed or 'The city core'} has welcomed this kit.")
    return _tell_import(arguments, told, answers)


def export_from_core(arguments: argparse.Namespace) -> int:
    """Put what is for the kits, and what was received of them, on a stick."""
    from kit.run.bundles import core_exchange, put
    from sync.core.setup import open_core

    with core_exchange(open_core(find_home(arguments.home))) as exchange:
        told = put(exchange, _path(arguments))
    return _tell_export(arguments, told, there="the kits", back="kit core bundle import")


def import_to_core(arguments: argparse.Namespace) -> int:
    """Take what kits have put on a stick, and put the answers on it."""
    from kit.run.bundles import core_exchange, take
    from sync.core.setup import open_core

    with core_exchange(open_core(find_home(arguments.home))) as exchange:
        told, answers = take(exchange, _path(arguments))
    return _tell_import(arguments, told, answers)


def _exchange(unit: Unit) -> AbstractContextManager[Exchange]:
    from kit.run.bundles import kit_exchange

    carry = unit.settings.sync.carry_for_others
    return kit_exchange(unit.home, unit.clock, name=unit.settings.unit.name, carry=carry)


def _add_words(
    parser: argparse.ArgumentParser,
    *,
    export: Callable[[argparse.Namespace], int],
    take: Callable[[argparse.Namespace], int],
) -> None:
    words = parser.add_subparsers(metavar="export|import")
    putting = words.add_parser("export", help="put what waits on a stick, sealed; what is on it already stays")
    putting.add_argument("path", metavar="PATH", help=PATH_HELP)
    putting.set_defaults(run=export)
    taking = words.add_parser("import", help="take what is for us from a stick, and put the answers on it")
    taking.add_argument("path", metavar="PATH", help=PATH_HELP)
    taking.set_defaults(run=take)


def _path(arguments: argparse.Namespace) -> Path:
    return Path(arguments.path).expanduser()


def _tell_export(arguments: argparse.Namespace, told: Exported, *, there: str, back: str) -> int:
    if arguments.json:
        print_json(asdict(told))
    else:
        for line in export_words(told, path=str(_path(arguments)), there=there, back=back):
            print(line)
    return 1 if told.trouble else 0


def _tell_import(arguments: argparse.Namespace, told: Imported, answers: Exported | None) -> int:
    if arguments.json:
        print_json(
            {
                "bundles": told.bundles,
                "records": told.records,
                "accepted": told.accepted,
                "unlike": told.unlike,
                "foreign": told.foreign,
                "kept": told.kept,
                "expired": told.expired,
                "enrolled": told.enrolled,
                "welcomed": told.welcomed,
                "damaged": [{"file": name, "why": why} for name, why in told.damaged],
                "answers": None if answers is None else asdict(answers),
            }
        )
    else:
        for line in import_words(told, answers):
            print(line)
    return 1 if told.damaged or (answers is not None and answers.trouble) else 0


def export_words(told: Exported, *, path: str, there: str, back: str) -> list[str]:
    """What was put on the stick, for a person."""
    lines: list[str] = []
    if told.records or told.already:
        new = f"{_count(told.records, 'record')} put there" if told.records else "nothing new"
        already = f", {told.already} were there already" if told.already else ""
        lines.append(f"{path}: {new}{already}; sealed for {there}, nobody else can read them.")
        lines.append(f"They count as accepted when the stick has come back and was read with: {back} {path}")
    else:
        lines.append(f"{path}: no record waits for {there}.")
    if told.acknowledged:
        lines.append(f"It also says of {_count(told.acknowledged, 'record')} of {there} that they have arrived here.")
    if told.removed:
        lines.append(f"{_count(told.removed, 'bundle')} whose records have all arrived were taken off it.")
    if told.passed_on:
        lines.append(f"{_count(told.passed_on, 'bundle')} of other kits, kept here for them, are on it now.")
    if told.trouble:
        lines.append(f"Stopped before the end: {told.trouble}")
    return lines


def import_words(told: Imported, answers: Exported | None) -> list[str]:
    """What was taken, for a person."""
    lines = [f"{_count(told.records, 'record')} taken from {_count(told.bundles, 'bundle')}; they are committed here."]
    if not told.bundles and not told.foreign and not told.damaged:
        lines = ["There is nothing for us here."]
    if told.accepted:
        lines.append(f"{_count(told.accepted, 'record')} of ours have arrived over there and count as accepted now.")
    if told.unlike:
        lines.append(
            f"{_count(told.unlike, 'record')} of ours stay here: over there other ones are held under their names. "
            f"Was this kit's SD card copied? Switch one of the two off."
        )
    lines += [f"{unit} has joined by this stick; it is welcomed on it." for unit in told.enrolled]
    if told.foreign:
        kept = f"; {told.kept} were copied and go on with the next stick" if told.kept else ""
        lines.append(f"{_count(told.foreign, 'bundle')} for somebody else were left where they are{kept}.")
    lines += [f"Not used: {name}: {why}" for name, why in told.damaged[:SHOWN_DAMAGED]]
    if len(told.damaged) > SHOWN_DAMAGED:
        lines.append(f"… and {len(told.damaged) - SHOWN_DAMAGED} more that were not used.")
    if answers is not None and answers.trouble:
        lines.append(f"The answers could not be put there: {answers.trouble}")
    elif answers is not None and (answers.records or answers.already or answers.acknowledged):
        lines.append("The answers are on it: carry it back.")
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
