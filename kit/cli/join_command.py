"""`kit join INVITE`: enrol this kit at a city core."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kit.cli.output import print_json
from kit.cli.unit import Unit, unit_of
from kit.health.services import service_states
from kit.health.times import rfc3339
from kit.health.words import local_moment

if TYPE_CHECKING:
    from sync.join import Membership


def add_join(parser: argparse.ArgumentParser) -> None:
    """`kit join INVITE [--force]`."""
    parser.add_argument(
        "invite", metavar="INVITE", nargs="+", help="what `kit core invite NAME` printed; spaces do not matter"
    )
    parser.add_argument(
        "--force", action="store_true", help="leave the core this kit belongs to, or do not believe this kit's clock"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Keep the invite; the sync service says hello with it."""
    from sync.join import join

    unit = unit_of(arguments)
    membership = join(unit.home, " ".join(arguments.invite), clock=unit.clock, force=arguments.force)
    ways = _ways(unit, membership)
    if arguments.json:
        invite = membership.invite
        print_json(
            {
                "core": invite.core,
                "name": invite.name,
                "address": invite.address,
                "expires": rfc3339(invite.expires_ms),
                "enrolled": membership.enrolled,
                "ways": ways,
            }
        )
    elif membership.enrolled:
        print(f"This kit is already enrolled at {membership.known_as} with this invite; nothing was changed.")
    else:
        print(_next_steps(unit, membership, ways))
    return 0


def _ways(unit: Unit, membership: Membership) -> list[str]:
    """The links by which this kit can reach the core."""
    lora = ["lora"] if unit.settings.links.lora.radio else []
    address = unit.settings.links.cellular.core or membership.invite.address
    return [*lora, *(["cellular"] if address and membership.invite.curve_public else [])]


def _next_steps(unit: Unit, membership: Membership, ways: list[str]) -> str:
    invite = membership.invite
    lines = [
        f"The invite is kept: this kit joins {invite.core} as '{invite.name}'.",
        f"It is good until {local_moment(invite.expires_ms, unit.settings.unit.timezone)}, for this kit only.",
    ]
    words = {
        "lora": "the LoRa radio",
        "cellular": f"the mobile network ({unit.settings.links.cellular.core or invite.address})",
    }
    if not ways:
        lines.append("There is no way to the core yet: set [links.lora] radio in kit.toml, then start the kit again.")
    elif service_states(unit.home.services_file).running:
        lines.append(f"The kit is running and says hello now, by {' and '.join(words[way] for way in ways)}.")
    else:
        lines.append(f"Start the kit (kit run); it says hello by {' and '.join(words[way] for way in ways)}.")
    return "\n".join([*lines, "Whether the core has answered: kit status"])
