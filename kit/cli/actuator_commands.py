"""`kit actuator ls | set | simulate`: valves, relays, sirens, and the ledger of what they were told."""

from __future__ import annotations

import argparse
import re
import threading

from kit.cli.output import print_json, print_table
from kit.cli.unit import Unit, reading_store, unit_of, writing_store
from kit.errors import KitError
from kit.health.actuator_view import command_row
from kit.health.services import service_states
from kit.health.words import actuator_name, actuator_words, age_words
from kit.settings import listen_address

ROWS = 50
PATIENCE_REAL_S = 22.0
"""A little longer than a device may take to answer."""
OFF_S = 60.0
"""How long an "off" is tried: a device that is off needs no lease."""

_FOR = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)")
_UNIT_S = {"s": 1.0, "m": 60.0, "h": 3600.0}


def add_actuator_commands(parser: argparse.ArgumentParser) -> None:
    """`kit actuator ls | set NAME on|off [--for 10m] [--output O] | simulate NAME`."""
    words = parser.add_subparsers(metavar="ls|set|simulate")
    listing = words.add_parser("ls", help="what actuators were told, and what they said")
    listing.set_defaults(run=list_commands)
    setting = words.add_parser("set", help="switch an output, for a limited time; waits for the device's word")
    setting.add_argument("name", metavar="NAME", help="the device, as in kit device list")
    setting.add_argument("state", choices=("on", "off"))
    setting.add_argument("--for", dest="for_s", type=seconds_of, default=600.0, metavar="TIME", help="90s, 10m or 2h")
    setting.add_argument("--output", default="", metavar="O", help="which of its outputs; none = its only one")
    setting.set_defaults(run=set_one)
    simulate = words.add_parser("simulate", help="be a valve on the network until Ctrl-C, to try it without one")
    simulate.add_argument("name", metavar="NAME", help="let in as a device if it is new")
    simulate.set_defaults(run=simulate_one)


def seconds_of(text: str) -> float:
    """`90s`, `10m`, `2h` in seconds."""
    found = _FOR.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time; write it like 90s, 10m or 2h")
    return float(found[1]) * _UNIT_S[found[2]]


def list_commands(arguments: argparse.Namespace) -> int:
    """The ledger, the newest command first."""
    from kit.store.commands import ledger

    unit = unit_of(arguments)
    with reading_store(unit) as database:
        rows = [command_row(row, now_ms=unit.now_ms()) for row in ledger(database.connection, limit=ROWS)]
    if arguments.json:
        print_json(rows)
        return 0
    lines = [(row["asked"], actuator_name(row), row["by"], actuator_words(row)) for row in rows]
    print_table(("asked", "actuator", "by", "how it stands"), lines, empty="No actuator was ever told anything.")
    return 0


def set_one(arguments: argparse.Namespace) -> int:
    """Ask, and wait for the device's word."""
    from kit.collect.actuation.asking import ask_for, wait_for_word

    unit = unit_of(arguments)
    on = arguments.state == "on"
    _must_run(unit)
    with writing_store(unit) as database:
        identifier = ask_for(
            database,
            unit.clock,
            device=arguments.name,
            output=arguments.output,
            on=on,
            for_s=arguments.for_s if on else OFF_S,
            by="cli",
        )
        row = wait_for_word(database, identifier, real_s=PATIENCE_REAL_S, pause=threading.Event().wait)
    told = command_row(row, now_ms=unit.now_ms())
    good = told["state"] == ("acknowledged" if on else "ended")
    if arguments.json:
        print_json(told)
    elif good and on:
        print(f"{arguments.name} has acknowledged: on for {age_words(arguments.for_s)}. If the kit dies, it goes off.")
    elif good:
        print(f"{arguments.name} has acknowledged: off.")
    else:
        print(f"{arguments.name} has not acknowledged it ({told['why'] or told['state']}); nothing may be assumed.")
    return 0 if good else 1


def _must_run(unit: Unit) -> None:
    if not service_states(unit.home.services_file).running:
        raise KitError("the unit is stopped, so nobody can tell the actuator; start it: kit run")


def simulate_one(arguments: argparse.Namespace) -> int:
    """A simulated actuator in the foreground, with credentials of its own."""
    from hardware.simulated.actuator import SimulatedActuator
    from kit.clock import SystemClock
    from kit.store.devices import add_device, list_devices, rotate_password
    from kit.supervise import stop_on_signals

    unit = unit_of(arguments)
    _must_run(unit)
    with writing_store(unit) as database, database.atomic() as connection:
        known = arguments.name in [device.name for device in list_devices(connection)]
        make = rotate_password(connection, arguments.name) if known else None
        credentials = make or add_device(connection, arguments.name, now_ms=unit.now_ms())
    folder = unit.home.path / "simulation"
    folder.mkdir(exist_ok=True)
    states = {service["name"]: service.get("address") for service in service_states(unit.home.services_file).services}
    host, port = listen_address(str(states.get("broker") or unit.settings.broker.listen), key="[broker] listen")
    stop = stop_on_signals()
    with SimulatedActuator(
        arguments.name,
        credentials.password,
        host={"0.0.0.0": "127.0.0.1"}.get(host, host),  # noqa: S104 - the opposite of binding to it
        port=port,
        clock=unit.clock if unit.clock.real(1.0) < 1 else SystemClock(),
        state_file=folder / f"actuator-{arguments.name}.json",
    ) as actuator:
        print(f"'{arguments.name}' is a valve now, until Ctrl-C. Try: kit actuator set {arguments.name} on --for 1m")
        was = False
        while not stop.wait(0.1):
            if actuator.is_on() != was:
                was = not was
                print("on" if was else "off", flush=True)
    return 0
