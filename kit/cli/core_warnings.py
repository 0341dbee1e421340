"""`kit core warn | warnings`: what the city warns many villages of, what it corrects, and what it ends."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kit.cli.core_messages import OpenCore
from kit.cli.core_words import add_kits, kit_count, line, prose, units_named
from kit.cli.output import print_json, print_table
from kit.cli.readings_command import time_of
from kit.errors import UsageError
from kit.health.times import rfc3339
from kit.health.words import local_moment, local_time
from kit.model.alert import (
    Alert,
    AlertText,
    Area,
    Certainty,
    MsgType,
    Severity,
    Urgency,
    to_record_body,
)
from kit.model.incident import cancel_of, update_of
from sync.protocol.records import Priority

if TYPE_CHECKING:
    from sync.core.setup import Core
    from sync.core.store import CoreStore, WarningRow
    from sync.protocol.records import RecordId

HOLDS_S = 24 * 3600
"""Unless it is said until when."""

LONGEST_HEADLINE = 160
LONGEST_S = 366 * 24 * 3600
SHORTEST_S = 60
"""What follows a warning is carried at least so long."""

SEVERITIES = {each.value.lower(): each for each in Severity if each is not Severity.UNKNOWN}

ENDED = {"en": "Ended: {}", "sw": "Limekwisha: {}", "fr": "Terminé : {}"}
"""Before the headline of a warning that is over, for whoever shows a headline and nothing else; by language."""

WORDS = ("text", "headline", "instruction", "event", "area", "until", "severity", "language")
"""What a warning says; none of it goes with `--end`."""


def add_core_warnings(words: Any, open_core: OpenCore) -> None:
    """Add the commands to those of `kit core`.

    Args:
        words: the subparsers of `kit core`.
        open_core: finds the core that the arguments name.
    """
    warn = words.add_parser("warn", help="warn all villages, or some: on their pages, feeds, MQTT and sirens")
    warn.add_argument("text", metavar="TEXT", nargs="?", help="what is coming; at most 500 characters")
    warn.add_argument("--headline", metavar="H", help="one line; at most 160 characters")
    warn.add_argument("--instruction", metavar="TEXT", help="what to do")
    warn.add_argument("--event", metavar="WORD", help="the danger in a word (default: warning)")
    warn.add_argument("--area", metavar="A", help="whom it concerns (default: the core's name)")
    warn.add_argument("--until", type=time_of, metavar="T", help="when it ends by itself (default: in a day)")
    warn.add_argument("--severity", choices=tuple(SEVERITIES), help="from severe on sirens sound (default: severe)")
    warn.add_argument("--language", metavar="L", help="of the text, for example sw (default: en)")
    warn.add_argument("--update", metavar="NUMBER", help="say it in the place of that warning; what is left out stays")
    warn.add_argument("--end", metavar="NUMBER", help="end that warning now (kit core warnings tells the numbers)")
    warn.add_argument("--reason", metavar="TEXT", help="with --end: why, for the villages; at most 500 characters")
    add_kits(warn)
    warn.set_defaults(run=lambda arguments: warn_kits(arguments, open_core(arguments)))
    words.add_parser("warnings", help="the core's own warnings: which hold, and how far each has come").set_defaults(
        run=lambda arguments: list_warnings(arguments, open_core(arguments))
    )


def warn_kits(arguments: argparse.Namespace, core: Core) -> int:
    """Warn, correct a warning, or end one; it leaves at once by every way there is."""
    check_together(arguments)
    with core.open_store() as store:
        if arguments.end:
            return _end(arguments, core, store)
        if arguments.update:
            return _update(arguments, core, store)
        return _warn(arguments, core, store)


def check_together(arguments: argparse.Namespace) -> None:
    """Refuse what makes no sense together.

    Raises:
        UsageError: the sentence says what.
    """
    if arguments.end and arguments.update:
        raise UsageError("--end and --update: a warning is either ended or corrected")
    if arguments.reason is not None and not arguments.end:
        raise UsageError("--reason says why a warning is ended; it goes with --end NUMBER")
    if (arguments.end or arguments.update) and list(arguments.kits) != ["all"]:
        raise UsageError("--kits: what follows a warning goes to the kits that the warning went to")
    if arguments.end:
        told = [name for name in WORDS if getattr(arguments, name) is not None]
        if told:
            name = "TEXT" if told[0] == "text" else f"--{told[0]}"
            raise UsageError(f"--end takes nothing but --reason; leave out {name}, or use --update")
        return
    if arguments.text is None:
        raise UsageError("TEXT is missing: say what is coming")
    if arguments.headline is None and not arguments.update:
        raise UsageError("--headline is missing: one line that says what is coming")


def _warn(arguments: argparse.Namespace, core: Core, store: CoreStore) -> int:
    now_ms = core.now_ms()
    default = Alert(
        identifier=f"{core.identity.unit}-{secrets.token_hex(4)}",
        sender=f"{core.identity.unit}@village-kit",
        sent_ms=now_ms,
        event="warning",
        urgency=Urgency.EXPECTED,
        severity=Severity.SEVERE,
        certainty=Certainty.LIKELY,
        expires_ms=now_ms + HOLDS_S * 1000,
        area=Area(core.settings.core.name or core.identity.unit),
        infos=(AlertText(language="en", event="warning", headline=""),),
    )
    alert = _as_told(default, arguments, now_ms)
    units = units_named(store, arguments.kits)
    record = store.publish(
        kind="alert",
        priority=Priority.DISTRESS,
        body=to_record_body(alert, texts=True),
        now_ms=now_ms,
        lifetime_s=_lifetime_s(alert.expires_ms, now_ms),
        units=units,
        alert=alert.identifier,
    )
    number = store.warnings()[-1].number
    known = len(store.kits()) if units is None else len(units)
    _tell(arguments, alert, record, number, known)
    if not arguments.json:
        until = local_moment(alert.expires_ms, core.settings.unit.timezone)
        if not known:
            print(f"No kit has joined this core yet. Warning {number} is kept for those that join before {until}.")
        else:
            print(f"Warning {number} is on its way to {kit_count(units, known)}; it holds until {until}.")
            print("kit core queue shows which kits have it, and who has read it there.")
        print(f"To end it before: kit core warn --end {number} --reason TEXT")
    return 0


def _update(arguments: argparse.Namespace, core: Core, store: CoreStore) -> int:
    now_ms, zone = core.now_ms(), core.settings.unit.timezone
    incident = find_incident(store.warnings(), arguments.update)
    last = incident[-1].alert
    if last.msg_type is MsgType.CANCEL:
        raise UsageError(f"warning {incident[0].number} was ended at {local_moment(last.sent_ms, zone)}; warn anew")
    if last.expires_ms <= now_ms:
        raise UsageError(f"warning {incident[0].number} was over at {local_moment(last.expires_ms, zone)}; warn anew")
    fresh = replace(last, identifier=f"{last.incident}-u{len(incident)}", sent_ms=now_ms)
    alert = update_of(last, _as_told(fresh, arguments, now_ms))
    record = _follow(store, incident, alert, until_ms=alert.expires_ms, now_ms=now_ms, wants_receipt=True)
    _tell(arguments, alert, record, incident[0].number, incident[0].kits)
    if not arguments.json:
        print(f"Warning {incident[0].number} is corrected; it holds until {local_moment(alert.expires_ms, zone)}.")
        print("kit core queue shows which kits know.")
    return 0


def _end(arguments: argparse.Namespace, core: Core, store: CoreStore) -> int:
    now_ms, zone = core.now_ms(), core.settings.unit.timezone
    incident = find_incident(store.warnings(), arguments.end)
    number, last = incident[0].number, incident[-1].alert
    if last.msg_type is MsgType.CANCEL:
        raise UsageError(f"warning {number} was ended already, at {local_moment(last.sent_ms, zone)}; nothing was sent")
    if last.expires_ms <= now_ms:
        over = local_moment(last.expires_ms, zone)
        raise UsageError(f"warning {number} was over by itself at {over}; nothing was sent")
    reason = "" if arguments.reason is None else prose(arguments.reason, "--reason")
    alert = cancel_of(
        last,
        sender=f"{core.identity.unit}@village-kit",
        now_ms=now_ms,
        infos=[_ended_text(text, reason) for text in last.infos],
    )
    # the longest that any message of it holds: a kit may know of an earlier one only
    until_ms = max(each.alert.expires_ms for each in incident)
    record = _follow(store, incident, alert, until_ms=until_ms, now_ms=now_ms, wants_receipt=False)
    _tell(arguments, alert, record, number, incident[0].kits)
    if not arguments.json:
        known = incident[0].kits
        print(
            f"Warning {number} is ended. That is on its way to {kit_count((), known)}; kit core queue shows which know."
        )
    return 0


def _follow(
    store: CoreStore,
    incident: Sequence[WarningRow],
    alert: Alert,
    *,
    until_ms: int,
    now_ms: int,
    wants_receipt: bool,
) -> RecordId:
    return store.follow(
        [each.number for each in incident],
        body=to_record_body(alert, texts=True),
        now_ms=now_ms,
        lifetime_s=_lifetime_s(until_ms, now_ms),
        alert=alert.identifier if wants_receipt else "",
    )


def find_incident(warnings: Sequence[WarningRow], told: str) -> list[WarningRow]:
    """The warning that somebody names by its number (or a later message's) or identifier, and all that followed it.

    Raises:
        UsageError: there is none.
    """
    for each in warnings:
        if told in (str(each.number), each.alert.identifier):
            return [other for other in warnings if other.alert.incident == each.alert.incident]
    if not warnings:
        raise UsageError(f"there is no warning {told}: this core has given none yet")
    raise UsageError(f"there is no warning {told}; kit core warnings lists them")


def list_warnings(arguments: argparse.Namespace, core: Core) -> int:
    """One line for each, however often it was corrected."""
    now_ms = core.now_ms()
    with core.open_store() as store:
        warnings = store.warnings()
    incidents: dict[str, list[WarningRow]] = {}
    for each in warnings:
        incidents.setdefault(each.alert.incident, []).append(each)
    rows = [_row(incident, now_ms) for incident in incidents.values()]
    if arguments.json:
        print_json(rows)
        return 0
    zone = core.settings.unit.timezone
    lines = [
        (
            row["number"],
            local_time(row["sent"], zone, day=True),
            row["state"],
            local_time(row["until"], zone, day=True),
            _reached(row),
            row["headline"],
        )
        for row in rows
    ]
    print_table(("number", "sent", "state", "until", "known at", "headline"), lines, empty="No warning was given yet.")
    return 0


def _row(incident: Sequence[WarningRow], now_ms: int) -> dict[str, Any]:
    last = incident[-1]
    said = [each for each in incident if each.alert.msg_type is not MsgType.CANCEL]
    newest, ended = said[-1].alert, last.alert.msg_type is MsgType.CANCEL
    text, why = newest.text("en"), last.alert.text("en")
    return {
        "number": incident[0].number,
        "alert": newest.incident,
        "state": "ended" if ended else "holds" if newest.expires_ms > now_ms else "over",
        "sent": rfc3339(incident[0].alert.sent_ms),
        "until": rfc3339(last.alert.sent_ms if ended else newest.expires_ms),
        "corrected": len(said) - 1,
        "severity": newest.severity.value.lower(),
        "headline": text.headline if text else newest.event,
        "reason": why.description if ended and why else "",
        "kits": last.kits,
        "accepted": last.accepted,
        "read": max(each.read for each in said),
    }


def _reached(row: dict[str, Any]) -> str:
    read = f", read at {row['read']}" if row["read"] else ""
    return f"{row['accepted']} of {row['kits']} kits{read}"


def _as_told(before: Alert, arguments: argparse.Namespace, now_ms: int) -> Alert:
    """The alert with what was said on the command line."""
    if arguments.until is not None and not now_ms < arguments.until <= now_ms + LONGEST_S * 1000:
        raise UsageError("--until: write a time that is still to come, within a year, like 2030-01-31T06:00:00Z")
    text = before.infos[0]
    event = before.event if arguments.event is None else line(arguments.event, "--event", 40)
    headline = arguments.headline
    instruction = arguments.instruction
    return replace(
        before,
        event=event,
        expires_ms=before.expires_ms if arguments.until is None else arguments.until,
        severity=before.severity if arguments.severity is None else SEVERITIES[arguments.severity],
        area=before.area if arguments.area is None else Area(line(arguments.area, "--area", 80)),
        infos=(
            AlertText(
                language=text.language if arguments.language is None else line(arguments.language, "--language", 35),
                event=event,
                headline=text.headline if headline is None else line(headline, "--headline", LONGEST_HEADLINE),
                description=prose(arguments.text, "TEXT"),
                instruction=text.instruction if instruction is None else prose(instruction, "--instruction"),
            ),
        ),
    )


def _ended_text(text: AlertText, reason: str) -> AlertText:
    said = ENDED.get(text.language.partition("-")[0], ENDED["en"])
    return AlertText(language=text.language, event=text.event, headline=said.format(text.headline), description=reason)


def _lifetime_s(until_ms: int, now_ms: int) -> int:
    return max((until_ms - now_ms) // 1000, SHORTEST_S)


def _tell(arguments: argparse.Namespace, alert: Alert, record: RecordId, number: int, known: int) -> None:
    if arguments.json:
        print_json(
            {
                "number": number,
                "alert": alert.identifier,
                "type": alert.msg_type.value.lower(),
                "origin": record.origin,
                "epoch": record.epoch,
                "seq": record.seq,
                "kits": known,
                "expires": rfc3339(alert.expires_ms),
            }
        )
