"""`kit device add | list | rotate | remove`: who may publish to the broker. Works while the unit runs."""

from __future__ import annotations

import argparse

from kit.cli.addresses import reachable_host
from kit.cli.output import print_json, print_table
from kit.cli.unit import Unit, reading_store, unit_of, writing_store
from kit.health.sensor_view import sensor_rows
from kit.health.services import service_states
from kit.health.times import rfc3339
from kit.health.words import age_words
from kit.settings import listen_address
from kit.store.devices import NATIVE, Credentials, add_device, list_devices, remove_device, rotate_password


def add_device_commands(parser: argparse.ArgumentParser) -> None:
    """`kit device add NAME [--kind K] | list | rotate NAME | remove NAME`."""
    words = parser.add_subparsers(metavar="add|list|rotate|remove")
    add = words.add_parser("add", help="let a device in; shows its password once")
    add.add_argument("name", metavar="NAME", help="small letters, digits, - and _; also its MQTT user name")
    add.add_argument("--kind", default=NATIVE, metavar="K", help=f"what it speaks (default {NATIVE})")
    add.set_defaults(run=add_one)
    listing = words.add_parser("list", help="all devices, and when each was last heard")
    listing.set_defaults(run=list_all)
    rotate = words.add_parser("rotate", help="a new password in place of the old one; shows it once")
    rotate.add_argument("name", metavar="NAME")
    rotate.set_defaults(run=rotate_one)
    remove = words.add_parser("remove", help="shut a device out; its readings stay")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=remove_one)


def add_one(arguments: argparse.Namespace) -> int:
    """Make credentials and show them, this once."""
    unit = unit_of(arguments)
    with writing_store(unit) as database, database.atomic() as connection:
        credentials = add_device(connection, arguments.name, kind=arguments.kind, now_ms=unit.now_ms())
    shown = _as_json(unit, credentials)
    if arguments.json:
        print_json(shown)
        return 0
    print(f"Device '{credentials.username}' may sign in now. Type this into it; the password is shown only now:")
    print()
    for label, key in (("broker", "host"), ("port", "port"), ("user name", "username"), ("password", "password")):
        print(f"  {label:<10} {shown[key]}")
    print(f"  {'topic':<10} {shown['topic']}   (SenML JSON or CBOR)")
    print()
    print('For example: [{"n": "temperature", "u": "Cel", "v": 3.4}]')
    print("Then look for it: kit status")
    return 0


def list_all(arguments: argparse.Namespace) -> int:
    """Every device with its age."""
    unit = unit_of(arguments)
    with reading_store(unit) as database:
        devices = list_devices(database.connection)
        heard = {row["device"]: row for row in sensor_rows(database.connection, now_ms=unit.now_ms())}
    if arguments.json:
        rows = [
            {
                "device": device.name,
                "kind": device.kind,
                "added": rfc3339(device.added_ms),
                "last_seen": heard[device.name]["last_seen"],
                "age_s": heard[device.name]["age_s"],
            }
            for device in devices
        ]
        print_json(rows)
        return 0
    lines = [
        (device.name, device.kind, age_words(heard[device.name]["age_s"]), rfc3339(device.added_ms))
        for device in devices
    ]
    print_table(("device", "kind", "last heard", "added"), lines, empty="No device yet: kit device add NAME")
    return 0


def rotate_one(arguments: argparse.Namespace) -> int:
    """Make a new password and show it, this once."""
    unit = unit_of(arguments)
    with reading_store(unit):
        pass  # as in remove_one
    with writing_store(unit) as database, database.atomic() as connection:
        credentials = rotate_password(connection, arguments.name)
    if arguments.json:
        print_json(_as_json(unit, credentials))
        return 0
    print(f"The old password of '{credentials.username}' is refused from now on; a connection made with it is closed.")
    print("Type this into the device; it is shown only now:")
    print()
    print(f"  {'password':<10} {credentials.password}")
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


def _as_json(unit: Unit, credentials: Credentials) -> dict[str, str | int]:
    host, port = _broker_address(unit)
    return {
        "device": credentials.username,
        "username": credentials.username,
        "password": credentials.password,
        "host": host,
        "port": port,
        "topic": f"sensors/{credentials.username}",
    }


def _broker_address(unit: Unit) -> tuple[str, int]:
    broker = unit.settings.broker
    if broker.kind != "own":
        return listen_address(broker.external, key="[broker] external")
    told = {service["name"]: service.get("address") for service in service_states(unit.home.services_file).services}
    host, port = listen_address(broker.listen, key="[broker] listen")
    if told.get("broker"):
        # where the port was left to the system, the running broker knows which one it got
        _, port = listen_address(str(told["broker"]), key="the broker's address")
    return reachable_host(host), port
