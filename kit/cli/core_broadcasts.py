"""`kit core warn | publish`: what the city says to many villages at once."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.cli.core_messages import OpenCore, unit_called
from kit.cli.output import print_json
from kit.cli.readings_command import time_of
from kit.errors import UsageError
from kit.health.times import rfc3339
from kit.model.alert import Alert, AlertText, Area, Certainty, Severity, Urgency, to_record_body
from kit.model.letters import LetterError, make_letter
from kit.model.published import KINDS, MAX_FILE_BYTES, PublishedError, PublishedFile, published_body
from sync.protocol.records import Priority

if TYPE_CHECKING:
    from sync.core.setup import Core
    from sync.core.store import CoreStore

HOLDS_S = 24 * 3600
"""Unless it is said until when."""

LONGEST_HEADLINE = 160
LONGEST_S = 366 * 24 * 3600
SEVERITIES = {each.value.lower(): each for each in Severity if each is not Severity.UNKNOWN}


def add_core_broadcasts(words: Any, open_core: OpenCore) -> None:
    """Add the commands to those of `kit core`.

    Args:
        words: the subparsers of `kit core`.
        open_core: finds the core that the arguments name.
    """
    warn = words.add_parser("warn", help="warn all villages, or some: on their pages, feeds, MQTT and sirens")
    warn.add_argument("text", metavar="TEXT", help="what is coming; at most 500 characters")
    warn.add_argument("--headline", required=True, metavar="H", help="one line; at most 160 characters")
    warn.add_argument("--instruction", default="", metavar="TEXT", help="what to do")
    warn.add_argument("--event", default="warning", metavar="WORD", help="the danger in a word (default: warning)")
    warn.add_argument("--area", default="", metavar="A", help="whom it concerns (default: the core's name)")
    warn.add_argument("--until", type=time_of, metavar="T", help="when it ends by itself (default: in a day)")
    warn.add_argument(
        "--severity", choices=tuple(SEVERITIES), default="severe", help="from severe on sirens sound (default: severe)"
    )
    warn.add_argument("--language", default="en", metavar="L", help="of the text, for example sw (default: en)")
    _add_kits(warn)
    warn.set_defaults(run=lambda arguments: warn_kits(arguments, open_core(arguments)))
    publish = words.add_parser("publish", help="send a file to all kits, or some; nothing waits for it")
    publish.add_argument("file", type=Path, metavar="FILE", help="at most 256 KiB; one of the same name is replaced")
    publish.add_argument("--kind", choices=KINDS, default="file", help="below content/KIND at the kits (default: file)")
    publish.add_argument("--name", default="", metavar="N", help="what it is called there (default: as here)")
    _add_kits(publish)
    publish.set_defaults(run=lambda arguments: publish_file(arguments, open_core(arguments)))


def warn_kits(arguments: argparse.Namespace, core: Core) -> int:
    """Write the warning; it leaves at once by every way there is."""
    now_ms = core.now_ms()
    until_ms = now_ms + HOLDS_S * 1000 if arguments.until is None else arguments.until
    if not now_ms < until_ms <= now_ms + LONGEST_S * 1000:
        raise UsageError("--until: write a time that is still to come, within a year, like 2030-01-31T06:00:00Z")
    alert = Alert(
        identifier=f"{core.identity.unit}-{secrets.token_hex(4)}",
        sender=f"{core.identity.unit}@village-kit",
        sent_ms=now_ms,
        event=_line(arguments.event, "--event", 40),
        urgency=Urgency.EXPECTED,
        severity=SEVERITIES[arguments.severity],
        certainty=Certainty.LIKELY,
        expires_ms=until_ms,
        area=Area(_line(arguments.area or core.settings.core.name or core.identity.unit, "--area", 80)),
        infos=(
            AlertText(
                language=_line(arguments.language, "--language", 35),
                event=_line(arguments.event, "--event", 40),
                headline=_line(arguments.headline, "--headline", LONGEST_HEADLINE),
                description=_prose(arguments.text, "TEXT"),
                instruction=_prose(arguments.instruction, "--instruction") if arguments.instruction else "",
            ),
        ),
    )
    with core.open_store() as store:
        units = _units(store, arguments.kits)
        record = store.publish(
            kind="alert",
            priority=Priority.DISTRESS,
            body=to_record_body(alert, texts=True),
            now_ms=now_ms,
            lifetime_s=max((until_ms - now_ms) // 1000, 1),
            units=units,
            alert=alert.identifier,
        )
        known = len(store.kits()) if units is None else len(units)
    if arguments.json:
        print_json(
            {
                "alert": alert.identifier,
                "origin": record.origin,
                "epoch": record.epoch,
                "seq": record.seq,
                "kits": known,
                "expires": rfc3339(until_ms),
            }
        )
        return 0
    to = "all kits" if units is None else f"{known} kit{'' if known == 1 else 's'}"
    print(f"Warning {alert.identifier} is on its way to {to}; it holds until {rfc3339(until_ms)}.")
    print("kit core queue shows which kits have it, and who has read it there.")
    return 0


def publish_file(arguments: argparse.Namespace, core: Core) -> int:
    """Write the file as a record of bulk; it goes when the air is free."""
    try:
        with arguments.file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{arguments.file} cannot be read ({error.strerror})") from error
    if len(content) > MAX_FILE_BYTES:
        raise UsageError(f"{arguments.file} is larger than {MAX_FILE_BYTES} bytes; publish it in parts")
    try:
        body = published_body(PublishedFile(name=arguments.name or arguments.file.name, content=content))
    except PublishedError as error:
        raise UsageError(f"{error}; give it another with --name") from error
    with core.open_store() as store:
        units = _units(store, arguments.kits)
        record = store.publish(
            kind=arguments.kind, priority=Priority.BULK, body=body, now_ms=core.now_ms(), units=units
        )
        known = len(store.kits()) if units is None else len(units)
    if arguments.json:
        print_json(
            {
                "origin": record.origin,
                "epoch": record.epoch,
                "seq": record.seq,
                "kind": arguments.kind,
                "bytes": len(body),
                "kits": known,
            }
        )
        return 0
    to = "all kits" if units is None else f"{known} kit{'' if known == 1 else 's'}"
    print(f"Published for {to}: {len(body)} bytes on the way; kit core queue shows which kits have it.")
    return 0


def _add_kits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kits", nargs="+", default=["all"], metavar="KIT", help="unit ids or names (default: all)")


def _units(store: CoreStore, told: Sequence[str]) -> tuple[str, ...] | None:
    """The kits named; None = all, those that join later included."""
    if list(told) == ["all"]:
        return None
    return tuple(dict.fromkeys(unit_called(store, name) for name in told))


def _line(text: str, what: str, longest: int) -> str:
    kept = _prose(text, what).replace("\n", " ")
    if len(kept) > longest:
        raise UsageError(f"{what} has {len(kept)} characters; at most {longest} can be sent")
    return kept


def _prose(text: str, what: str) -> str:
    """Without what a terminal or a page could obey, as in messages."""
    try:
        return make_letter(text).text
    except LetterError as error:
        raise UsageError(f"{what}: {str(error).replace('the message', 'it')}") from error
