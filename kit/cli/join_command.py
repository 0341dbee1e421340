"""`kit join INVITE`: enrol this kit at a city core."""

from __future__ import annotations

import argparse

from kit.cli.output import print_json
from kit.cli.unit import unit_of
from kit.health.times import rfc3339


def add_join(parser: argparse.ArgumentParser) -> None:
    """`kit join INVITE [--force]`."""
    parser.add_argument("invite", metavar="INVITE", help="what `kit core invite NAME` printed")
    parser.add_argument("--force", action="store_true", help="leave the core that this kit belongs to now")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Keep the invite; the sync service says hello with it."""
    from sync.join import join, read_membership

    unit = unit_of(arguments)
    unit.home.prepare()
    invite = join(unit.home, arguments.invite, clock=unit.clock, force=arguments.force)
    membership = read_membership(unit.home)
    enrolled = membership is not None and membership.enrolled
    if arguments.json:
        told = {"core": invite.core, "name": invite.name, "address": invite.address, "enrolled": enrolled}
        print_json(told | {"expires": rfc3339(invite.expires_ms)})
        return 0
    if enrolled:
        print(f"This kit is enrolled at {membership.core_name or invite.core} already." if membership else "")
        return 0
    print(f"Invite of {invite.core} for '{invite.name}' accepted; it is good until {rfc3339(invite.expires_ms)}.")
    print("The kit says hello as soon as a link is up (start it with: kit run). See: kit status")
    return 0
