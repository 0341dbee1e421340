"""`kit sync rotate-keys`: new keys for this kit, while nothing is lost on the way."""

from __future__ import annotations

import argparse

from kit.cli.output import print_json
from kit.cli.unit import Unit, unit_of, writing_store
from kit.errors import KitError
from kit.health.rotation_view import rotation_row, rotation_words
from kit.health.services import service_states


def add_rotate_keys(parser: argparse.ArgumentParser) -> None:
    """`kit sync rotate-keys [--lost]`."""
    parser.add_argument(
        "--lost", action="store_true", help="keys/unit.json is gone: make new keys under the id that the store knows"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw new keys and tell the core; the sync service and sticks do the rest."""
    unit = unit_of(arguments)
    if unit.home.core_database.exists():
        raise KitError(
            f"{unit.home.path} is the home of a city core, whose kits know it by its key: a core with another key is "
            f"another core, at which each kit joins anew (docs/core.md)"
        )
    return _make_anew(unit, json=arguments.json) if arguments.lost else _rotate(unit, json=arguments.json)


def _rotate(unit: Unit, *, json: bool) -> int:
    from sync import rotation
    from sync.join import read_membership

    membership = read_membership(unit.home)
    if membership is None:
        raise KitError("this kit has joined no city core yet, so nobody knows its keys; type: kit join INVITE")
    if not membership.enrolled:
        raise KitError("the city core has not welcomed this kit yet; renew its keys once it has (kit status)")
    core = membership.invite.core
    _, begun = rotation.begin(unit.home, core=core, now_ms=unit.now_ms())
    with writing_store(unit) as database:
        rotation.advance(unit.home, database, core=core, now_ms=unit.now_ms())
    row = rotation_row(unit.home)
    if json:
        print_json({"core": core, "begun": begun, "rotation": row})
    elif not begun:
        print(f"A renewal is under way already, and goes on: {rotation_words(row)}.")
    else:
        print(f"New keys are drawn, and {membership.known_as} is told of them; until it has answered, the old ones")
        print("are used. Nothing else is to be done, nothing that waits is lost. How far it has come: kit status")
        if not service_states(unit.home.services_file).running:
            print("The kit does not run: start it (kit run), or carry it by stick (kit bundle export PATH).")
    return 0


def _make_anew(unit: Unit, *, json: bool) -> int:
    from kit.identity import load_or_create_identity
    from sync import rotation

    if (unit.home.keys / "unit.json").exists():
        name = load_or_create_identity(unit.home).unit  # one that is damaged says so, and that a backup has it
        raise KitError(f"the keys of {name} are there; to renew them type: kit sync rotate-keys")
    if service_states(unit.home.services_file).running:
        raise KitError("the kit runs; stop it first")
    if not unit.home.database.exists():
        raise KitError(f"{unit.home.path} holds no store that knows an id; restore a backup (kit restore FILE)")
    with writing_store(unit) as database:
        row = database.connection.execute("SELECT origin FROM unit_epoch").fetchone()
    if row is None:
        raise KitError("the store knows no id yet; the kit makes keys of its own when it first runs (kit run)")
    rotation.make_anew(unit.home, str(row[0]))
    if json:
        print_json({"unit": str(row[0]), "made": True})
    else:
        print(f"{row[0]} has new keys, which nobody knows yet. At the city core: kit core invite NAME --unit {row[0]}")
        print("Then here: kit join INVITE")
    return 0
