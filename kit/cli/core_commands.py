"""`kit core …`: run a city core, and look after its kits. Every command works while the core runs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kit.cli.output import print_json, print_table
from kit.errors import UsageError
from kit.health.services import service_states
from kit.health.times import rfc3339
from kit.health.words import age_words
from kit.home import find_home

if TYPE_CHECKING:
    from sync.core.setup import Core

DAYS = 7.0
LONGEST_NAME = 40


def add_core(parser: argparse.ArgumentParser) -> None:
    """`kit core init | run | invite NAME | status | kits | records`."""
    words = parser.add_subparsers(metavar="init|run|invite|status|kits|records")
    words.add_parser("init", help="make a core's home: keys, kit.toml, store").set_defaults(run=init)
    running = words.add_parser("run", help="start the core and keep it running")
    running.add_argument("--service", choices=("sync", "web"), help=argparse.SUPPRESS)
    running.set_defaults(run=run_core)
    invite = words.add_parser("invite", help="let one kit join; prints the invite once")
    invite.add_argument("name", metavar="NAME", help="what the kit will be called here")
    invite.add_argument(
        "--days", type=float, default=DAYS, metavar="N", help=f"good for so many days (default {DAYS:g})"
    )
    invite.set_defaults(run=make_one)
    words.add_parser("status", help="what the core does now").set_defaults(run=status)
    words.add_parser("kits", help="every kit, and when it was last heard").set_defaults(run=kits)
    records = words.add_parser("records", help="what came from the kits, in the order in which it was applied")
    records.add_argument("--kit", metavar="UNIT", help="only from that kit")
    records.add_argument("--kind", metavar="KIND", help="only of that kind")
    records.set_defaults(run=records_of)


def init(arguments: argparse.Namespace) -> int:
    """Make what is missing; change nothing that is there."""
    from sync.core.setup import prepare_core

    core = prepare_core(find_home(arguments.home))
    if arguments.json:
        print_json({"core": core.identity.unit, "home": str(core.home.path)})
        return 0
    print(f"City core {core.identity.unit} in {core.home.path}")
    print("Next: set [core] public in kit.toml, then kit core run, and kit core invite NAME for each kit.")
    return 0


def run_core(arguments: argparse.Namespace) -> int:
    """In the foreground."""
    from kit.run import run_core as run

    return run(arguments)


def make_one(arguments: argparse.Namespace) -> int:
    """An invite, shown this once."""
    from sync.core.invites import DAY_MS, make_invite

    name = " ".join(arguments.name.split())
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise UsageError(f"a kit's name has 1 to {LONGEST_NAME} characters")
    if not 0 < arguments.days <= 365:  # noqa: PLR2004 - a year
        raise UsageError(f"--days {arguments.days:g}: an invite is good for up to 365 days")
    core = _core(arguments)
    expires_ms = core.now_ms() + int(arguments.days * DAY_MS)
    text = make_invite(core, name, days=arguments.days)
    address = core.settings.core.public
    if arguments.json:
        print_json({"name": name, "invite": text, "expires": rfc3339(expires_ms), "address": address})
        return 0
    print(f"Invite for '{name}', good for one kit until {rfc3339(expires_ms)}. Type this on the kit:")
    print()
    print(f"  kit join {text}")
    if not address:
        print()
        print("It is for radio only: set [core] public in the core's kit.toml for the mobile network.")
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Services, counts, links."""
    core = _core(arguments)
    states = service_states(core.home.services_file)
    with core.open_store() as store:
        counts = store.counts()
        told = {
            "core": core.identity.unit,
            "name": core.settings.core.name,
            "time": rfc3339(core.now_ms()),
            "running": states.running,
            "services": states.services,
            "kits": len(store.kits()),
            "open_invites": len(store.open_invites(now_ms=core.now_ms())),
            "records": {
                "taken": counts.taken,
                "undecodable": counts.undecodable,
                "refused": counts.refused,
            },
        }
    if arguments.json:
        print_json(told)
        return 0
    print(f"{told['name']} ({told['core']}): {'running' if states.running else 'stopped'}")
    for service in states.services:
        print(f"  {service['name']:<6} {service['state']}  {service['last_error']}".rstrip())
    print(f"{told['kits']} kits, {told['open_invites']} open invites, {counts.taken} records")
    if counts.undecodable or counts.refused:
        print(f"{counts.undecodable} records could not be read, {counts.refused} were refused: see the core's page")
    return 0


def kits(arguments: argparse.Namespace) -> int:
    """Every kit with its links."""
    core = _core(arguments)
    with core.open_store() as store:
        found = store.kits()
        shown = [kit_as_json(kit) for kit in found]
    if arguments.json:
        print_json(shown)
        return 0
    rows = [_kit_row(kit, core.now_ms()) for kit in found]
    print_table(("name", "unit", "last heard", "over", "records"), rows, empty="No kit has joined yet.")
    return 0


def records_of(arguments: argparse.Namespace) -> int:
    """What came, first to last."""
    core = _core(arguments)
    with core.open_store() as store:
        taken = list(store.taken(unit=arguments.kit, kind=arguments.kind))
    if arguments.json:
        print_json([record_as_json(record) for record in taken])
        return 0
    rows = [
        (*record.id, record.kind, int(record.priority), rfc3339(record.received_ms), record.link) for record in taken
    ]
    heads = ("origin", "epoch", "seq", "kind", "priority", "applied", "link")
    print_table(heads, rows, empty="Nothing has come yet.")
    return 0


def kit_as_json(kit: Any) -> dict[str, Any]:
    """A kit as `kit core kits --json` and `/api/v1/kits` show it."""
    return {
        "unit": kit.unit,
        "name": kit.name,
        "link_id": kit.link_id,
        "enrolled": rfc3339(kit.enrolled_ms),
        "last_heard": {heard.link: rfc3339(heard.at_ms) for heard in kit.heard},
        "records": kit.records,
    }


def record_as_json(record: Any) -> Mapping[str, Any]:
    """A record as `kit core records --json` shows it."""
    return {
        "origin": record.id.origin,
        "epoch": record.id.epoch,
        "seq": record.id.seq,
        "kind": record.kind,
        "priority": int(record.priority),
        "applied": rfc3339(record.received_ms),
        "link": record.link,
        "outcome": record.outcome.value,
        "bytes": record.size_bytes,
        "reason": record.reason,
    }


def _kit_row(kit: Any, now_ms: int) -> tuple[object, ...]:
    heard = kit.last_heard
    if heard is None:
        return (kit.name, kit.unit, "never", "-", kit.records)
    return (kit.name, kit.unit, f"{age_words((now_ms - heard.at_ms) / 1000)} ago", heard.link, kit.records)


def _core(arguments: argparse.Namespace) -> Core:
    from sync.core.setup import open_core

    return open_core(find_home(arguments.home))
