"""`kit core …`: run a city core, and look after its kits. Every command works while the core runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from kit.addresses import reachable_host
from kit.cli.bundle_commands import add_core_bundle
from kit.cli.core_broadcasts import add_core_broadcasts
from kit.cli.core_messages import add_core_messages
from kit.cli.core_published import add_core_published
from kit.cli.core_warnings import add_core_warnings
from kit.cli.output import print_json, print_table
from kit.cli.parser import whole_number
from kit.errors import KitError, UsageError
from kit.health.services import service_states
from kit.health.times import rfc3339
from kit.health.words import age_words, local_moment
from kit.home import find_home
from kit.settings import listen_address

if TYPE_CHECKING:
    from sync.core.setup import Core
    from sync.core.view import KitState

DAYS = 7.0
LAST = 40
"""Records that a person is shown unless told otherwise; programs get all."""


def add_core(parser: argparse.ArgumentParser) -> None:
    """The commands of `kit core`."""
    metavar = "init|run|invite|remove|status|kits|records|send|messages|read|warn|warnings|publish|queue|bundle"
    words = parser.add_subparsers(metavar=metavar)
    words.add_parser("init", help="make a core's home: keys, kit.toml, store").set_defaults(run=init)
    running = words.add_parser("run", help="start the core and keep it running")
    running.add_argument("--service", choices=("sync", "web"), help=argparse.SUPPRESS)
    running.set_defaults(run=run_core)
    invite = words.add_parser("invite", help="let one kit join; prints the invite once")
    invite.add_argument("name", metavar="NAME", help="what the kit will be called here")
    invite.add_argument(
        "--days", type=float, default=DAYS, metavar="N", help=f"good for so many days (default {DAYS:g})"
    )
    invite.add_argument(
        "--unit", metavar="ID", default="", help="only for the unit with that id, whatever its keys are now"
    )
    invite.set_defaults(run=invite_kit)
    remove = words.add_parser("remove", help="shut a kit out, or withdraw an invite; what it sent stays")
    remove.add_argument("kit", metavar="KIT", help="its unit id, or the name in an invite")
    remove.set_defaults(run=remove_kit)
    words.add_parser("status", help="what the core does now").set_defaults(run=status)
    words.add_parser("kits", help="every kit, when it was last heard, its warnings").set_defaults(run=kits)
    records = words.add_parser("records", help="what came from the kits, in the order in which it came")
    records.add_argument("--kit", metavar="UNIT", help="only from that kit")
    records.add_argument("--kind", metavar="KIND", help="only of that kind")
    records.add_argument("--refused", action="store_true", help="those that were not believed, and why")
    records.add_argument(
        "--last", type=whole_number, metavar="N", help=f"only the last N (default: {LAST} as text, all as JSON)"
    )
    records.set_defaults(run=list_records)
    add_core_messages(words, _core)
    add_core_warnings(words, _core)
    add_core_broadcasts(words, _core)
    add_core_published(words, _core)
    add_core_bundle(words.add_parser("bundle", help="carry records by hand, on a USB stick"))


def init(arguments: argparse.Namespace) -> int:
    """Make what is missing; change nothing that is there."""
    from sync.core.setup import prepare_core

    home = find_home(arguments.home)
    written = not home.settings_file.exists()
    core = prepare_core(home)
    if arguments.json:
        print_json(
            {
                "core": core.identity.unit,
                "home": str(home.path),
                "settings": str(home.settings_file),
                "written": written,
            }
        )
        return 0
    print(f"City core {core.identity.unit} is ready in {home.path}")
    print(f"Its settings{'' if written else ' (left as they were)'}: {home.settings_file}")
    print("Next: set [core] public there to the address at which kits reach it, then kit core run,")
    print("and for each kit: kit core invite NAME")
    return 0


def run_core(arguments: argparse.Namespace) -> int:
    """In the foreground."""
    from kit.run import run_core as run

    return run(arguments)


def invite_kit(arguments: argparse.Namespace) -> int:
    """An invite, shown this once."""
    from sync.core.invites import checked_name, make_invite
    from sync.protocol.enrolment import Invite

    core = _core(arguments)
    name = checked_name(arguments.name)
    with core.open_store() as store:
        known = store.kits()
    namesakes = [kit.unit for kit in known if kit.name.casefold() == name.casefold() and kit.unit != arguments.unit]
    text = make_invite(core, name, days=arguments.days, address=_address(core), unit=arguments.unit)
    invite = Invite.decode(text)
    command = f"kit join {text}"
    if arguments.json:
        print_json(
            {
                "name": name,
                "invite": text,
                "core": invite.core,
                "link_id": invite.link_id,
                "expires": rfc3339(invite.expires_ms),
                "address": invite.address,
                "command": command,
                "unit": arguments.unit,
            }
        )
        return 0
    until = local_moment(invite.expires_ms, core.settings.unit.timezone)
    print(f"An invite for '{name}', good for one kit until {until}. It is shown only now.")
    print("Type this on the kit:")
    print()
    print(f"  {command}")
    print()
    print(f"By the mobile network it will connect to {invite.address}.")
    if not core.settings.core.public:
        print("That is this machine's address here; if kits reach it by another, set [core] public and invite again.")
    if arguments.unit:
        knows = "" if arguments.unit in {kit.unit for kit in known} else " (which is not known here yet)"
        print(
            f"Only {arguments.unit}{knows} can use it. Whoever types it there is believed to be that unit, and its keys"
        )
        print("take the place of those that are known: give it to nobody of whom you are not sure.")
    if namesakes:
        print(f"There is a kit of that name already ({', '.join(namesakes)}); this will be another one.")
    return 0


def remove_kit(arguments: argparse.Namespace) -> int:
    """Shut out a kit, or make an invite worthless."""
    core = _core(arguments)
    with core.open_store() as store:
        removed = store.remove_kit(arguments.kit, now_ms=core.now_ms())
        withdrawn = 0 if removed else store.withdraw_invites(arguments.kit, now_ms=core.now_ms())
        known = [kit.unit for kit in store.kits()]
    if not removed and not withdrawn:
        from kit.cli.parser import nearest

        raise UsageError(f"no kit and no open invite is called '{arguments.kit}'{nearest(arguments.kit, known)}")
    if arguments.json:
        print_json({"kit": arguments.kit, "removed": removed, "withdrawn": withdrawn})
    elif removed:
        print(f"{arguments.kit} is shut out; what it has sent stays. To let it in again: kit core invite NAME")
    else:
        print(f"{withdrawn} open invite{'' if withdrawn == 1 else 's'} for '{arguments.kit}' withdrawn.")
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Services, links, counts."""
    from kit.cli.core_text import status_text
    from sync.core.view import core_json

    core = _core(arguments)
    states, room = service_states(core.home.services_file), core.room().problem()
    try:
        with core.open_store() as store:
            told = core_json(
                store, unit=core.identity.unit, name=core.settings.core.name, now_ms=core.now_ms(), room=room
            )
    except KitError as error:
        if not room:
            raise
        raise KitError(room) from error  # without any room SQLite cannot even open a store for reading
    told |= {"running": states.running, "services": states.services}
    if arguments.json:
        print_json(told)
    else:
        print(status_text(told))
    return 0


def kits(arguments: argparse.Namespace) -> int:
    """Every kit."""
    from sync.core.view import kit_json, kit_states

    core = _core(arguments)
    now_ms = core.now_ms()
    with core.open_store() as store:
        states = kit_states(store, now_ms=now_ms)
    if arguments.json:
        print_json([kit_json(state, now_ms=now_ms) for state in states])
        return 0
    rows = [_kit_row(state, now_ms) for state in states]
    heads = ("name", "unit", "last heard", "over", "readings", "records", "warnings")
    print_table(heads, rows, empty="No kit has joined yet: kit core invite NAME")
    return 0


def list_records(arguments: argparse.Namespace) -> int:
    """What came, first to last."""
    from sync.core.view import record_json, refused_json

    core = _core(arguments)
    last = arguments.last or (None if arguments.json else LAST)
    with core.open_store() as store:
        if arguments.refused:
            rows = [refused_json(each) for each in reversed(store.refused(limit=last or 1 << 31))]
        else:
            rows = [record_json(each) for each in store.taken(unit=arguments.kit, kind=arguments.kind, limit=last)]
        counts = store.counts()
    if arguments.json:
        print_json(rows)
        return 0
    if arguments.refused:
        _print_refused(rows)
        return 0
    heads = ("received", "origin", "epoch", "seq", "kind", "priority", "applied", "link")
    print_table(heads, [_record_row(row) for row in rows], empty="Nothing has come yet.")
    if last is not None and len(rows) == last:
        print(f"(the last {last}; all of them: --json, or --last N)")
    if counts.undecodable or counts.refused:
        print(f"{counts.undecodable} could not be read, {counts.refused} were refused: kit core records --refused")
    return 0


def _print_refused(rows: list[dict[str, Any]]) -> None:
    lines = [
        (
            row["first"],
            row["peer"],
            f"{row['origin']}/{row['epoch']}/{row['seq']}",
            row["kind"],
            row["times"],
            row["reason"],
        )
        for row in rows
    ]
    print_table(("first", "sent by", "record", "kind", "times", "why"), lines, empty="No record was refused.")


def _record_row(row: dict[str, Any]) -> tuple[object, ...]:
    applied = "yes" if row["applied"] else f"no: {row['reason']}"[:60]
    return (
        row["received"],
        row["origin"],
        row["epoch"],
        row["seq"],
        row["kind"],
        row["priority"],
        applied,
        row["link"],
    )


def _kit_row(state: KitState, now_ms: int) -> tuple[object, ...]:
    kit, last = state.kit, state.kit.last_heard
    heard = "never" if last is None else f"{age_words((now_ms - last.at_ms) / 1000)} ago"
    unconfirmed = sum(not each.receipts for each in state.active)
    warnings = f"{len(state.active)}, {unconfirmed} NOT CONFIRMED" if unconfirmed else f"{len(state.active)}"
    over = "-" if last is None else last.link
    if kit.twin_ms is not None:
        over += ", REFUSED: two units have its keys"
    return (kit.name, kit.unit, heard, over, state.readings, kit.records, warnings if state.active else "none")


def _address(core: Core) -> str:
    """Where kits find the core: as set, else where it listens, seen from this network."""
    if core.settings.core.public:
        return core.settings.core.public
    host, port = listen_address(core.settings.core.listen, key="[core] listen")
    host = reachable_host(host)
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def _core(arguments: argparse.Namespace) -> Core:
    from sync.core.setup import open_core

    return open_core(find_home(arguments.home))
