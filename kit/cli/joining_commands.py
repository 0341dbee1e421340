"""`kit device join | waiting | accept | refuse`: letting in a device that nobody has typed a password into."""

from __future__ import annotations

import argparse
import io
import sys
from typing import Any

from kit.cli.output import print_json, print_table
from kit.cli.parser import whole_number
from kit.cli.unit import reading_store, unit_of, writing_store
from kit.health.joining_view import JOIN_USER, broker_address, join_address, waiting_rows
from kit.health.times import rfc3339
from kit.health.words import age_words, local_moment
from kit.model.join_code import shown
from kit.model.places import Place, PlaceError
from kit.store.joining import current_code, turn_away, withdraw_codes


def add_joining_commands(words: Any) -> None:
    """The commands, below `kit device`.

    Args:
        words: the subparsers of `kit device`.
    """
    join = words.add_parser("join", help="the code by which a new device asks to be let in, also as a QR code")
    join.add_argument("--withdraw", action="store_true", help="no code is good any more")
    join.set_defaults(run=show_code)
    waiting = words.add_parser("waiting", help="new devices that wait for a person, with their last reading")
    waiting.set_defaults(run=list_all)
    accept = words.add_parser("accept", help="let a waiting device in; nothing has to be typed into it again")
    accept.add_argument("number", type=whole_number, metavar="NUMBER", help="as kit device waiting shows it")
    accept.add_argument("name", metavar="NAME", help="what it is called from now on")
    accept.add_argument("--kind", default="", metavar="K", help="what it speaks, if it was not recognised")
    accept.add_argument("--place", default="", metavar="P", help='where it stands, for example "upper field"')
    accept.add_argument("--latitude", type=float, metavar="D", help="degrees north of the equator")
    accept.add_argument("--longitude", type=float, metavar="D", help="degrees east of Greenwich")
    accept.set_defaults(run=accept_one)
    refuse = words.add_parser("refuse", help="turn a waiting device away")
    refuse.add_argument("number", type=whole_number, metavar="NUMBER")
    refuse.set_defaults(run=refuse_one)


def show_code(arguments: argparse.Namespace) -> int:
    """The code, what to type with it, and its picture."""
    unit = unit_of(arguments)
    with writing_store(unit) as database, database.atomic() as connection:
        if arguments.withdraw:
            withdraw_codes(connection)
            code, until_ms = None, None
        else:
            code, until_ms = current_code(connection, now_ms=unit.now_ms())
    if code is None or until_ms is None:
        print_json({"code": None}) if arguments.json else print("No join code is good any more.")
        return 0
    host, port = broker_address(unit.home, unit.settings)
    told = {
        "code": shown(code),
        "host": host,
        "port": port,
        "username": JOIN_USER,
        "password": code,
        "until": rfc3339(until_ms),
        "link": join_address(code, host, port),
    }
    if arguments.json:
        print_json(told)
        return 0
    print(_picture(str(told["link"])))
    until = local_moment(until_ms, unit.settings.unit.timezone)
    print(f"  Join code  {told['code']}      good for one device, until {until}")
    print()
    print("Type this into the new device's MQTT settings, whatever device it is:")
    print(f"  host {host}   port {port}   user {JOIN_USER}   password {code}")
    print("Leave its topics as they are; give it a client ID if it makes up a new one at every start.")
    print("Then: kit device waiting")
    print()
    print(_open_door(unit.settings.broker.open_listen))
    return 0


def list_all(arguments: argparse.Namespace) -> int:
    """Who waits."""
    unit = unit_of(arguments)
    with reading_store(unit) as database:
        rows = waiting_rows(database.connection, now_ms=unit.now_ms())
    if arguments.json:
        print_json(rows)
        return 0
    lines = [
        (row["number"], row["client_id"] or "-", row["kind"] or "?", row["reading"] or "-", age_words(row["age_s"]))
        for row in rows
    ]
    heads = ("number", "client id", "kind", "last reading", "heard")
    print_table(heads, lines, empty="No device waits. A new one needs the join code: kit device join")
    if any(row["open"] for row in rows):
        print("Without a password: " + ", ".join(str(row["number"]) for row in rows if row["open"]))
    if rows:
        print('Let one in: kit device accept NUMBER NAME --place "upper field"')
    return 0


def accept_one(arguments: argparse.Namespace) -> int:
    """Let it in."""
    from kit.collect.joining import accept
    from kit.store.devices import list_devices

    unit = unit_of(arguments)
    try:
        place = Place.of(arguments.place, arguments.latitude, arguments.longitude)
    except PlaceError as error:
        from kit.errors import UsageError

        raise UsageError(str(error)) from None
    with reading_store(unit):
        pass  # a home that has never run has nobody waiting, and must not be made by looking
    with writing_store(unit) as database, database.atomic() as connection:
        kind = accept(
            connection, arguments.number, arguments.name, now_ms=unit.now_ms(), kind=arguments.kind, place=place
        )
        unlocked = any(device.open for device in list_devices(connection) if device.name == arguments.name)
    if arguments.json:
        print_json({"device": arguments.name, "kind": kind, "place": place.name})
    else:
        how = "without a password: anybody could pretend to be it" if unlocked else "with the code it has"
        print(f"Device '{arguments.name}' ({kind}) is let in. It connects again by itself, {how}.")
    return 0


def refuse_one(arguments: argparse.Namespace) -> int:
    """Turn it away."""
    unit = unit_of(arguments)
    with reading_store(unit):
        pass  # as in accept_one
    with writing_store(unit) as database, database.atomic() as connection:
        turn_away(connection, arguments.number)
    if arguments.json:
        print_json({"number": arguments.number, "refused": True})
    else:
        print("It is turned away; a connection it has is closed.")
    return 0


def _open_door(open_listen: str) -> str:
    if open_listen:
        return f"A device that cannot use a password may knock at {open_listen}, and waits like the others."
    return (
        "A device that cannot use a password is not let in: anybody in the network could pretend to be it.\n"
        "If it must be, set [broker] open_listen in kit.toml."
    )


def _picture(link: str) -> str:
    import segno

    drawn = io.StringIO()
    segno.make(link, error="m", micro=False).terminal(out=drawn, compact=True)
    if not sys.stdout.isatty():
        return drawn.getvalue()
    # dark on light whatever the terminal's own colours are: not every phone reads it the other way round
    return "".join(f"\x1b[97;40m{row}\x1b[0m\n" for row in drawn.getvalue().splitlines())
