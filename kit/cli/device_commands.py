"""`kit device add | list | place | kinds | rotate | remove`: who may publish to the broker; no restart needed."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kit.cli.authority_command import print_encrypted_hint, show_authority
from kit.cli.joining_commands import add_joining_commands
from kit.cli.output import print_json, print_table
from kit.cli.parser import nearest
from kit.cli.unit import Unit, reading_store, unit_of, writing_store
from kit.errors import UsageError
from kit.health.door_view import connected_from
from kit.health.joining_view import broker_address
from kit.health.sensor_view import sensor_rows
from kit.health.times import rfc3339
from kit.health.words import age_words
from kit.model.places import Place, PlaceError
from kit.store.devices import (
    NATIVE,
    Credentials,
    add_device,
    check_name,
    list_devices,
    place_device,
    remove_device,
    rotate_password,
)

if TYPE_CHECKING:
    from kit.collect.dialects.port import Access, Dialect


def add_device_commands(parser: argparse.ArgumentParser) -> None:
    """`kit device add NAME [--kind K] | list | place NAME PLACE | kinds | rotate NAME | ca | remove NAME`."""
    words = parser.add_subparsers(metavar="add|list|place|kinds|rotate|ca|remove")
    add = words.add_parser("add", help="let a device in; shows its password once, and what to type into it")
    add.add_argument("name", metavar="NAME", help="small letters, digits, - and _; also its MQTT user name")
    add.add_argument("--kind", default=NATIVE, metavar="K", help=f"what it speaks, see kit device kinds ({NATIVE})")
    add.add_argument("--topic", default="", metavar="BASE", help="where its topics begin, if it cannot be told another")
    add.add_argument("--place", default="", metavar="P", help='where it stands, for example "upper field"')
    _add_position(add)
    add.set_defaults(run=add_one)
    add_joining_commands(words)
    listing = words.add_parser("list", help="all devices, where they stand, and when each was last heard")
    listing.set_defaults(run=list_all)
    place = words.add_parser("place", help="say where a device stands")
    place.add_argument("name", metavar="NAME")
    place.add_argument("place", metavar="PLACE", help='in words, for example "river bank"')
    _add_position(place)
    place.set_defaults(run=place_one)
    kinds = words.add_parser("kinds", help="the kinds of device that are understood")
    kinds.set_defaults(run=list_kinds)
    rotate = words.add_parser("rotate", help="a new password in place of the old one; shows it once")
    rotate.add_argument("name", metavar="NAME")
    rotate.set_defaults(run=rotate_one)
    authority = words.add_parser("ca", help="the certificate for devices that connect with TLS")
    authority.set_defaults(run=show_authority)
    remove = words.add_parser("remove", help="shut a device out; its readings stay")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=remove_one)


def _add_position(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--latitude", type=float, metavar="D", help="degrees north of the equator; south is negative")
    parser.add_argument("--longitude", type=float, metavar="D", help="degrees east of Greenwich; west is negative")


def add_one(arguments: argparse.Namespace) -> int:
    """Make credentials and show them, this once, in the words of the device's own settings page."""
    from kit.collect.joining import check_base

    unit, dialect = unit_of(arguments), _dialect(arguments.kind)
    check_name(arguments.name)  # before a home is made that has never run
    place = _place(arguments, arguments.place)
    base = check_base(arguments.topic) if arguments.topic else dialect.base(arguments.name)
    with writing_store(unit) as database, database.atomic() as connection:
        credentials = add_device(
            connection,
            arguments.name,
            now_ms=unit.now_ms(),
            kind=dialect.name,
            base=arguments.topic,
            grants=dialect.grants(base),
            place=place,
        )
    shown = _as_json(dialect, base, _access(unit, credentials))
    if arguments.json:
        print_json(shown)
        return 0
    print(f"Device '{credentials.username}' ({dialect.guide.title}) may sign in now; the password is shown only now.")
    print(f"Type this into {dialect.guide.where}:")
    print()
    width = max(len(line["label"]) for line in shown["settings"])
    for line in shown["settings"]:
        print(f"  {line['label']:<{width}}  {line['value']}")
    print()
    for note in dialect.guide.notes:
        print(f"- {note}")
    print_encrypted_hint(unit)
    if dialect.name == NATIVE:
        print('For example: [{"n": "temperature", "u": "Cel", "v": 3.4}]')
    print("Then look for it: kit status")
    return 0


def list_all(arguments: argparse.Namespace) -> int:
    """Every device with its place and its age."""
    unit = unit_of(arguments)
    with reading_store(unit) as database:
        devices = list_devices(database.connection)
        heard = {row["device"]: row for row in sensor_rows(database.connection, now_ms=unit.now_ms())}
        own = unit.settings.broker.kind == "own"
        clients = connected_from(database.connection, unit.home.services_file) if own else None
    rows = [
        {
            "device": device.name,
            "kind": device.kind,
            "added": rfc3339(device.added_ms),
            "last_seen": heard[device.name]["last_seen"],
            "age_s": heard[device.name]["age_s"],
            "place": device.place.name,
            "latitude": device.place.latitude,
            "longitude": device.place.longitude,
            "open": device.open,
            "connected": None if clients is None else device.name in clients,
            "address": None if clients is None else clients.get(device.name),
        }
        for device in devices
    ]
    if arguments.json:
        print_json(rows)
        return 0
    lines = [
        (
            row["device"],
            row["kind"],
            row["place"] or "-",
            age_words(row["age_s"]),
            "?" if row["connected"] is None else row["address"] or "no",
            row["added"][:10],
        )
        for row in rows
    ]
    heads = ("device", "kind", "place", "last heard", "connected", "added")
    print_table(heads, lines, empty="No device yet: kit device add NAME")
    if any(device.open for device in devices):
        print()
        print("Without a password (anybody in the network can pretend to be it):", _names(rows))
    return 0


def _names(rows: list[dict[str, Any]]) -> str:
    return ", ".join(row["device"] for row in rows if row["open"])


def place_one(arguments: argparse.Namespace) -> int:
    """Say where it stands."""
    unit = unit_of(arguments)
    place = _place(arguments, arguments.place)
    with reading_store(unit):
        pass  # a home that has never run has no device to place, and must not be made by trying
    with writing_store(unit) as database, database.atomic() as connection:
        place_device(connection, arguments.name, place)
    if arguments.json:
        print_json({"device": arguments.name, **place._asdict(), "place": place.name})
    else:
        print(f"Device '{arguments.name}' stands at: {place.name or '(no place)'}")
    return 0


def list_kinds(arguments: argparse.Namespace) -> int:
    """What is understood."""
    from kit.collect.dialects import left_out

    known = _dialects().values()
    if arguments.json:
        print_json(
            [{"kind": dialect.name, "title": dialect.guide.title, "what": dialect.guide.what} for dialect in known]
        )
        return 0
    print_table(("kind", "what is sold"), [(one.name, one.guide.what) for one in known], empty="")
    for sentence in left_out():
        print(sentence)
    return 0


def remove_one(arguments: argparse.Namespace) -> int:
    """Shut it out."""
    unit = unit_of(arguments)
    with reading_store(unit):
        pass  # a home that has never run has nothing to remove from, and must not be made by trying
    with writing_store(unit) as database, database.atomic() as connection:
        remove_device(connection, arguments.name)
    if arguments.json:
        print_json({"device": arguments.name, "removed": True})
    else:
        print(f"Device '{arguments.name}' is shut out; a connection it has is closed. Its readings stay.")
    return 0


def rotate_one(arguments: argparse.Namespace) -> int:
    """Make a new password and show it, this once."""
    unit = unit_of(arguments)
    with reading_store(unit):
        pass  # as in remove_one
    with writing_store(unit) as database, database.atomic() as connection:
        credentials = rotate_password(connection, arguments.name)
        device = next(device for device in list_devices(connection) if device.name == arguments.name)
    dialect = _dialects().get(device.kind, _dialects()[NATIVE])
    shown = _as_json(dialect, device.base or dialect.base(device.name), _access(unit, credentials))
    if arguments.json:
        print_json(shown)
        return 0
    print(f"The old password of '{credentials.username}' is refused from now on; a connection made with it is closed.")
    print(f"Type this into {dialect.guide.where}; it is shown only now:")
    print()
    print(f"  {'Password':<10} {credentials.password}")
    return 0


def _dialects() -> Mapping[str, Dialect]:
    from kit.collect.dialects import dialects  # a list of devices is shown without them

    return dialects()


def _access(unit: Unit, credentials: Credentials) -> Access:
    from kit.collect.dialects.port import Access

    host, port = broker_address(unit.home, unit.settings)
    return Access(host, port, credentials.username, credentials.password)


def _dialect(kind: str) -> Dialect:
    known = _dialects()
    kind = "native" if kind == "senml" else kind
    if kind not in known:
        hint = nearest(kind, list(known)) or f"; there are {', '.join(known)}"
        raise UsageError(f"there is no kind of device '{kind}'{hint}")
    return known[kind]


def _place(arguments: argparse.Namespace, name: str) -> Place:
    try:
        return Place.of(name, arguments.latitude, arguments.longitude)
    except PlaceError as error:
        raise UsageError(str(error)) from None


def _as_json(dialect: Dialect, base: str, access: Access) -> dict[str, Any]:
    own = [wanted.removesuffix("/#") for wanted in dialect.grants(base).publish]
    return {
        "device": access.username,
        "username": access.username,
        "password": access.password,
        "host": access.host,
        "port": access.port,
        "topic": own[0],
        "kind": dialect.name,
        "topics": own,
        "where": dialect.guide.where,
        "settings": [setting._asdict() for setting in dialect.settings(base, access)],
        "notes": list(dialect.guide.notes),
    }
