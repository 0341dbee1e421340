"""`kit core published | withdraw`: the files that the city has published, how far each village has them, and an end."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from kit.cli.core_messages import OpenCore
from kit.cli.output import print_json, print_table
from kit.cli.parser import whole_number
from kit.errors import UsageError
from kit.health.times import rfc3339
from kit.health.words import local_moment

if TYPE_CHECKING:
    from sync.core.publications import Copy, Publication
    from sync.core.setup import Core

SHOWN = 40
EVERYTHING = 1 << 31

MEANING = (
    "Opened: a page with it, or the file itself, was given to a browser there. Nobody can say whether it was read."
)


def add_core_published(words: Any, open_core: OpenCore) -> None:
    """Add the commands to those of `kit core`.

    Args:
        words: the subparsers of `kit core`.
        open_core: finds the core that the arguments name.
    """
    listing = words.add_parser("published", help="the files that were published: who has them, where each was opened")
    listing.add_argument(
        "number", nargs="?", type=whole_number, metavar="NUMBER", help="one of them, with every kit (default: all)"
    )
    listing.set_defaults(run=lambda arguments: list_published(arguments, open_core(arguments)))
    back = words.add_parser("withdraw", help="take back a file that was published; the kits that have it take it away")
    back.add_argument("number", type=whole_number, metavar="NUMBER", help="as kit core published shows it")
    back.set_defaults(run=lambda arguments: withdraw(arguments, open_core(arguments)))


def list_published(arguments: argparse.Namespace, core: Core) -> int:
    """The newest first; with a number, how far that one has come at each kit."""
    whole = arguments.json or arguments.number is not None
    with core.open_store() as store:
        found = list(store.publications(limit=EVERYTHING if whole else SHOWN))
        names = {kit.unit: kit.name for kit in store.kits()}
    if arguments.number is not None:
        found = [each for each in found if each.number == arguments.number]
        if not found:
            raise UsageError(f"nothing was published as number {arguments.number}; kit core published lists them")
    if arguments.json:
        print_json([_as_json(each, names) for each in found])
        return 0
    zone = core.settings.unit.timezone
    if arguments.number is not None:
        _print_one(found[0], names, zone)
    else:
        lines = [
            (
                each.number,
                local_moment(each.published_ms, zone),
                each.kind,
                each.name,
                each.by,
                each.size_bytes,
                *_counts(each),
            )
            for each in found
        ]
        heads = ("number", "published", "kind", "name", "by", "bytes", "at the kit", "opened", "")
        print_table(heads, lines, empty="Nothing was published yet: kit core publish FILE")
    if found:
        print(MEANING)
    return 0


def withdraw(arguments: argparse.Namespace, core: Core) -> int:
    """Take it back, with its earlier versions."""
    with core.open_store() as store:
        record = store.withdraw(arguments.number, now_ms=core.now_ms())
        found = next(each for each in store.publications(limit=EVERYTHING) if each.number == arguments.number)
    if arguments.json:
        facts = {"number": found.number, "kind": found.kind, "name": found.name, "kits": len(found.copies)}
        print_json(facts | record._asdict())
        return 0
    print(f"{found.name} ({found.kind}) is withdrawn. Kits that have it take it away when they hear of it;")
    print(f"kit core published {found.number} shows which have. What was saved on a phone stays there.")
    return 0


def _print_one(publication: Publication, names: dict[str, str], zone: str) -> None:
    sender = f" by {publication.by}" if publication.by else ""
    published = local_moment(publication.published_ms, zone)
    print(f"{publication.name} ({publication.kind}), published {published}{sender}, {publication.size_bytes} bytes")
    if publication.withdrawn_ms is not None:
        print(f"withdrawn {local_moment(publication.withdrawn_ms, zone)}")
    lines = [
        (names.get(copy.unit, copy.unit), _how_far(copy, zone, withdrawn=publication.withdrawn_ms is not None))
        for copy in publication.copies
    ]
    print_table(("kit", "how far"), lines, empty="It was for no kit.")


def _counts(publication: Publication) -> tuple[str, str, str]:
    kits = len(publication.copies)
    back = "" if publication.withdrawn_ms is None else f"withdrawn, gone at {publication.gone} of {kits}"
    return f"{publication.arrived} of {kits}", f"at {publication.opened} of {kits}", back


def _how_far(copy: Copy, zone: str, *, withdrawn: bool) -> str:
    def at(at_ms: int | None) -> str:
        return "?" if at_ms is None else local_moment(at_ms, zone)

    opened = f"opened there {at(copy.opened_ms)}"
    if withdrawn:
        seen = f"; it was {opened}" if copy.opened_ms is not None else ""
        here = copy.accepted_ms is not None or copy.opened_ms is not None
        still = "still there, as far as is known" if here else "not known to be there"
        return (f"gone there {at(copy.gone_ms)}" if copy.gone_ms is not None else still) + seen
    return {
        "opened": opened,
        "accepted": f"at the kit since {at(copy.accepted_ms)}; nobody is known to have opened it",
        "left": f"left by {copy.link} {at(copy.left_ms)}",
    }.get(copy.state, "waits until the kit is heard")


def _as_json(publication: Publication, names: dict[str, str]) -> dict[str, Any]:
    return {
        "number": publication.number,
        **publication.record._asdict(),
        "kind": publication.kind,
        "name": publication.name,
        "by": publication.by,
        "bytes": publication.size_bytes,
        "published": rfc3339(publication.published_ms),
        "withdrawn": rfc3339(publication.withdrawn_ms),
        "kits": [
            {
                "unit": copy.unit,
                "name": names.get(copy.unit, ""),
                "state": copy.state,
                "link": copy.link,
                "left": rfc3339(copy.left_ms),
                "accepted": rfc3339(copy.accepted_ms),
                "opened": rfc3339(copy.opened_ms),
                "gone": rfc3339(copy.gone_ms),
            }
            for copy in publication.copies
        ],
    }
