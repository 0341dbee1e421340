"""The body of a record of kind "villages": which villages belong to the core, by unit id and name. Pure.

The whole list each time: whoever has the newest record has the list, whatever came before it and in whichever order.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from kit.model.letters import one_line
from sync.packing.coder import Decoder, Encoder
from sync.packing.errors import PackingError
from sync.packing.numbers import Lengths
from sync.packing.text import best_language, code_text

KIND = "villages"

FORM = 1
"""The first byte of a body."""

LIFETIME_S = 366 * 24 * 3600
"""So long a core offers a list that did not change; it says it anew before that has passed."""

MOST = 2000
"""Villages in a list: no core has so many kits, and a hostile body ends here."""

LONGEST_NAME = 60
"""Characters; an invite's name has at most 60 bytes."""

UNIT = re.compile(r"kit-[a-z2-7]{8}")
"""A unit id is 40 bits of its key's hash (`kit.identity.unit_id`), in base32."""

_PREFIX, _ID_BITS = "kit-", 40


class VillagesError(ValueError):
    """This body tells no villages that this version understands."""


@dataclass(frozen=True, order=True)
class Village:
    """A village as its core calls it.

    Attributes:
        unit: the id of its kit.
        name: as the operator of the core wrote it; one line, without anything a page or terminal could obey.
    """

    unit: str
    name: str


@lru_cache(maxsize=4)
def villages_body(villages: tuple[Village, ...]) -> bytes:
    """A byte 1, then in packed bits how many, and of each 40 bits of its id and its name: about 11 bytes a village.

    Raises:
        VillagesError: a unit id is none, or there are too many.
    """
    if len(villages) > MOST:
        raise VillagesError(f"{len(villages)} villages; a list holds at most {MOST}")
    coder = Encoder()
    Lengths(4).natural(coder, len(villages))
    for village in villages:
        if not UNIT.fullmatch(village.unit):
            raise VillagesError(f"'{village.unit}' is no unit id")
        coder.raw(_ID_BITS, int.from_bytes(base64.b32decode(village.unit.removeprefix(_PREFIX).upper())))
        name = one_line(village.name)[:LONGEST_NAME]
        code_text(coder, name, best_language(name))
    return bytes([FORM]) + coder.finish()


@lru_cache(maxsize=4)
def villages_from_body(body: bytes) -> tuple[Village, ...]:
    """Read one: by name, then by id.

    Raises:
        VillagesError: it is none.
    """
    if body[:1] != bytes([FORM]):
        raise VillagesError("the body is no list of villages that this version knows")
    coder = Decoder(body[1:])
    try:
        count = Lengths(4).natural(coder)
        if count > MOST:
            raise VillagesError(f"a list of {count} villages; at most {MOST} are believed")
        told = [_village(coder) for _ in range(count)]
        coder.check_end()
    except PackingError as error:
        raise VillagesError(f"the body is no list of villages ({error})") from error
    return tuple(sorted(told, key=lambda each: (each.name.casefold(), each.unit)))


def called(villages: Sequence[Village], name: str) -> list[Village]:
    """Those with that id, else those with that name; capitals and spaces do not matter."""
    wanted = one_line(name).casefold()
    by_id = [each for each in villages if each.unit == wanted]
    return by_id or [each for each in villages if each.name.casefold() == wanted]


def _village(coder: Decoder) -> Village:
    unit = _PREFIX + base64.b32encode(coder.raw(_ID_BITS).to_bytes(_ID_BITS // 8)).decode().lower()
    # a stolen core could name a village anything: nothing is kept that a page or a terminal could obey
    return Village(unit, one_line(code_text(coder, most=LONGEST_NAME)) or unit)
