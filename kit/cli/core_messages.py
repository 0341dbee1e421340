"""`kit core send | messages | read | queue`: words to the villages and from them, and how far each has come."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kit.cli.output import print_json, print_table
from kit.cli.parser import whole_number
from kit.errors import UsageError
from kit.health.times import rfc3339
from kit.health.words import local_time
from kit.model.letters import KIND, LetterError, letter_body, make_letter

if TYPE_CHECKING:
    from sync.core.setup import Core
    from sync.core.store import CoreStore, OwnRecord

SHOWN = 40
NOT_READ_BY_PEOPLE = ("core-key", "custody", "new-key", "villages")
"""These are for the kit itself."""
FILES = ("lesson", "advice", "file")
"""Of these nobody is asked whether they have read them: a kit says when somebody has opened them, and no more."""
DAY_S = 24 * 3600
OpenCore = Callable[[argparse.Namespace], "Core"]


def add_core_messages(words: Any, open_core: OpenCore) -> None:
    """Add the commands to those of `kit core`.

    Args:
        words: the subparsers of `kit core`.
        open_core: finds the core that the arguments name.
    """
    send = words.add_parser("send", help="write to a village")
    send.add_argument("kit", metavar="KIT", help="its unit id or its name")
    send.add_argument("text", metavar="TEXT", help="at most 500 characters")
    send.add_argument("--by", default="", metavar="NAME", help="who writes")
    send.add_argument("--days", type=float, default=7.0, metavar="N", help="worth carrying for so long (default 7)")
    send.set_defaults(run=lambda arguments: send_message(arguments, open_core(arguments)))
    listing = words.add_parser("messages", help="what was written to the city and by it, the newest first")
    listing.set_defaults(run=lambda arguments: list_messages(arguments, open_core(arguments)))
    read = words.add_parser("read", help="say that you have read a message; its author is told")
    read.add_argument("number", type=whole_number, metavar="NUMBER", help="as kit core messages shows it")
    read.add_argument("--by", required=True, metavar="NAME", help="who has read it")
    read.set_defaults(run=lambda arguments: say_read(arguments, open_core(arguments)))
    queue = words.add_parser("queue", help="what is on its way to the kits, and how far it has come")
    queue.set_defaults(run=lambda arguments: list_queue(arguments, open_core(arguments)))


def send_message(arguments: argparse.Namespace, core: Core) -> int:
    """Write a message for a kit; it leaves when that kit is heard."""
    try:
        letter = make_letter(arguments.text, arguments.by)
    except LetterError as error:
        raise UsageError(str(error)) from error
    if not 0 < arguments.days <= 365:  # noqa: PLR2004 - a year
        raise UsageError(f"--days {arguments.days:g}: write a number above 0, at most 365")
    with core.open_store() as store:
        unit = unit_called(store, arguments.kit)
        record = store.write(
            addressee=unit,
            kind=KIND,
            priority=2,
            body=letter_body(letter),
            now_ms=core.now_ms(),
            lifetime_s=int(arguments.days * DAY_S),
        )
    if arguments.json:
        print_json({"kit": unit, "origin": record.origin, "epoch": record.epoch, "seq": record.seq})
    else:
        print(f"Kept for {unit}. It leaves when that kit is heard; kit core queue shows how far it has come.")
    return 0


def list_messages(arguments: argparse.Namespace, core: Core) -> int:
    """Both ways."""
    now_ms = core.now_ms()
    with core.open_store() as store:
        names = {kit.unit: kit.name for kit in store.kits()}
        letters = store.messages(limit=1 << 31 if arguments.json else SHOWN)
    rows = [
        {
            "number": each.number,
            "from": each.sent.id.origin,
            "to": "" if each.for_core else each.sent.addressee,
            "author": each.author,
            "text": each.text,
            **_custody(each.sent, now_ms),
        }
        for each in letters
    ]
    if arguments.json:
        print_json(rows)
        return 0
    zone = core.settings.unit.timezone
    lines = [
        (
            row["number"],
            local_time(row["written"], zone, day=True),
            names.get(row["from"], "here"),
            names.get(row["to"], row["to"]) or "here",
            _how_far(row, zone, for_core=not row["to"]),
            _on_one_line(f"{row['author']}: {row['text']}" if row["author"] else row["text"]),
        )
        for row in rows
    ]
    print_table(("number", "written", "from", "to", "how far", "message"), lines, empty="Nobody has written yet.")
    return 0


def say_read(arguments: argparse.Namespace, core: Core) -> int:
    """A person here has read it."""
    person = arguments.by.strip()
    if not person:
        raise UsageError("--by: write the name of whoever has read it")
    with core.open_store() as store:
        news = store.mark_read(arguments.number, person=person, now_ms=core.now_ms())
        known = {each.number: each for each in store.messages(limit=1 << 31)}
    found = known.get(arguments.number)
    if found is None or not found.for_core:
        raise UsageError(f"there is no message {arguments.number} for the city; kit core messages lists them")
    if arguments.json:
        print_json({"number": arguments.number, "read_by": found.sent.read_by, "news": news})
    elif news:
        print(f"Read by {person}; {found.sent.id.origin} is told when it is heard.")
    else:
        print(f"{found.sent.read_by} has read it before; nothing was changed.")
    return 0


def list_queue(arguments: argparse.Namespace, core: Core) -> int:
    """What is for the kits."""
    now_ms = core.now_ms()
    with core.open_store() as store:
        records = store.own_records(limit=1 << 31 if arguments.json else SHOWN)
        names = {kit.unit: kit.name for kit in store.kits()}
    rows = [
        {
            "origin": each.id.origin,
            "epoch": each.id.epoch,
            "seq": each.id.seq,
            "kind": each.kind,
            "priority": int(each.priority),
            "bytes": each.size_bytes,
            "addressee": each.addressee,
            **_custody(each, now_ms),
        }
        for each in records
    ]
    if arguments.json:
        print_json(rows)
        return 0
    zone = core.settings.unit.timezone
    lines = [
        (
            names.get(row["addressee"], row["addressee"]),
            f"no {row['kind']} more" if row["withdraws"] else row["kind"],
            row["bytes"],
            local_time(row["written"], zone, day=True),
            _how_far(row, zone),
        )
        for row in rows
    ]
    print_table(("to", "kind", "bytes", "written", "how far"), lines, empty="Nothing was ever sent to a kit.")
    return 0


def unit_called(store: CoreStore, name: str) -> str:
    """The unit id of the kit with that id or name.

    Raises:
        UsageError: there is none, or more than one.
    """
    kits = store.kits()
    found = [kit.unit for kit in kits if name == kit.unit] or [
        kit.unit for kit in kits if kit.name.casefold() == name.casefold()
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{len(found)} kits are called '{name}'; say which: {', '.join(found)}")
    from kit.cli.parser import nearest

    raise UsageError(f"no kit is called '{name}'{nearest(name, [*(k.unit for k in kits), *(k.name for k in kits)])}")


def _custody(record: OwnRecord, now_ms: int) -> dict[str, Any]:
    steps = (
        ("read", record.read_ms),
        ("opened", record.opened_ms),
        ("accepted", record.accepted_ms),
        ("left", record.left_ms),
    )
    return {
        "state": next((name for name, at_ms in steps if at_ms is not None), "written"),
        "written": rfc3339(record.created_ms),
        "link": record.link,
        "left": rfc3339(record.left_ms),
        "accepted": rfc3339(record.accepted_ms),
        "read": rfc3339(record.read_ms),
        "read_by": record.read_by,
        "opened": rfc3339(record.opened_ms),
        "asks": record.asks,
        "undeliverable": record.undeliverable,
        "withdrawn": record.withdrawn,
        "withdraws": record.withdraws,
        "expires": None if record.lifetime_s is None else rfc3339(record.created_ms + record.lifetime_s * 1000),
        "expired": record.expired(now_ms),
    }


def _how_far(row: Mapping[str, Any], zone: str, *, for_core: bool = False) -> str:
    if row["read"]:
        return f"read by {row['read_by'] or 'somebody'}"
    if row["opened"]:
        return f"opened on a page there {local_time(row['opened'], zone, day=True)}"
    came_to = _came_to(row)
    if came_to:
        return came_to
    if row["accepted"]:
        return _arrived(row, for_core=for_core)
    return f"left by {row['link']}" if row["left"] else "waits until the kit is heard"


def _came_to(row: Mapping[str, Any]) -> str:
    """What it has come to, where it goes no further; "" where it does, or has arrived."""
    ends = (
        (row["withdraws"] and row["accepted"], "withdrawn at the kit"),
        (row["withdrawn"] and not row["accepted"], "withdrawn before it arrived"),
        (row["undeliverable"], "cannot be delivered: no such kit is here (any more)"),
        (row["expired"], "expired before it arrived"),
    )
    return next((words for so, words in ends if so), "")


def _on_one_line(text: str) -> str:
    return " / ".join(filter(None, text.split("\n")))


def _arrived(row: Mapping[str, Any], *, for_core: bool) -> str:
    if row.get("kind") in FILES:
        return "at the kit; nobody is known to have opened it"
    if row.get("kind") in NOT_READ_BY_PEOPLE or not row["asks"]:
        return "at the kit"
    return "came; NOT READ by anybody" if for_core else "at the kit; not read by anybody"
