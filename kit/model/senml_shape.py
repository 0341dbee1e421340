"""Reading the packs of a sensor that always says the same thing with other numbers.

A sensor's messages differ in their values and times only. Once one of them has been parsed the long way
(`kit.model.senml`), its *shape* is known: the same bytes with holes for the numbers. A message that fits needs one
regular expression instead of a JSON parser and the rules of RFC 8428, at a tenth of the time.

Invariant: a shape either reads exactly what `parse_senml` would, or gives None and leaves the message to it. A hole is
where a JSON number stands that is the value of `v`, `t` or `bt`; whether it really is one (and no text that looks like
it) is found out by parsing the message with other numbers put in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kit.model.senml import LATEST_S, RELATIVE_BELOW_S, Record, SenMLError, parse_senml

LEARN_BYTES = 1_024
LEARN_HOLES = 32
"""Longer messages come seldom; they may go the long way."""

LARGE = 2.0**53
"""Larger numbers go the long way, which knows what is too large."""

_NUMBER = rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_SHORT = rb"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]+)?"
"""What nearly all sensors say: a number that cannot be `LARGE`."""

_HOLES = re.compile(rb'"(v|t|bt)"[ \t\r\n]*:[ \t\r\n]*(' + _NUMBER + rb")(?=[ \t\r\n]*[,}])")
_FIELDS = frozenset({"bn", "bu", "bt", "n", "u", "v", "t"})


class Place(NamedTuple):
    """Where a record's numbers are.

    Attributes:
        name, unit: as `kit.model.senml.Record` has them.
        value: the number of its hole.
        time: the hole of its time; -1 if it has none.
        since_s: to be added to that; without a hole the whole, relative time.
    """

    name: str
    unit: str
    value: int
    time: int
    since_s: float


@dataclass(frozen=True, slots=True)
class Shape:
    """The bytes of a message (`short`: with none but short numbers), and what the numbers in its holes are."""

    pattern: re.Pattern[bytes]
    short: re.Pattern[bytes]
    places: tuple[Place, ...]

    @property
    def undated(self) -> bool:
        """Whether it says no times: each of its holes is a place's value, in the order of the places."""
        return all(place.time < 0 and place.value == number for number, place in enumerate(self.places))

    def values(self, payload: bytes) -> list[float] | None:
        """The values alone, by place, of an `undated` shape; None if the message has to go the long way."""
        match = self.short.fullmatch(payload)
        if match is not None:
            return [float(number) + 0.0 for number in match.groups()]  # -0 is 0 when a base value is added
        match = self.pattern.fullmatch(payload)
        if match is None:
            return None
        found = [float(number) + 0.0 for number in match.groups()]
        return found if min(found) > -LARGE and max(found) < LARGE else None

    def columns(self, payloads: Sequence[bytes], at: int) -> list[list[float]]:
        """`values` of the messages from `at` on, as long as they hold short numbers only, by place."""
        rows = []
        match = self.short.fullmatch
        for place in range(at, len(payloads)):
            found = match(payloads[place])
            if found is None:
                break
            rows.append(found.groups())
        columns = [list(map(float, column)) for column in zip(*rows, strict=True)]
        # -0 is 0 when a base value is added
        return [[number + 0.0 for number in column] if 0.0 in column else column for column in columns]

    def read(self, payload: bytes) -> list[tuple[float, float, bool]] | None:
        """Value, time and whether that is relative, for each place; None if the message has to go the long way."""
        match = self.pattern.fullmatch(payload)
        if match is None:
            return None
        numbers = list(map(float, match.groups()))
        found = []
        for _, _, hole, time, since_s in self.places:
            value = numbers[hole]
            if not -LARGE < value < LARGE:
                return None
            value += 0.0  # -0 is 0 when a base value is added
            if time < 0:
                found.append((value, since_s, True))
                continue
            time_s = numbers[time] + since_s
            if not RELATIVE_BELOW_S <= time_s < LATEST_S:
                return None
            found.append((value, time_s, False))
        return found


def learn_shape(payload: bytes) -> Shape | None:
    """The shape of a message that `parse_senml` reads; None if it is none of the plain kind."""
    if len(payload) > LEARN_BYTES:
        return None
    holes = [hole for hole in _HOLES.finditer(payload) if hole[1] == b"v" or abs(float(hole[2])) >= RELATIVE_BELOW_S]
    if not 0 < len(holes) <= LEARN_HOLES:
        return None
    # numbers that stand nowhere else; where they turn up again shows what each hole means
    told = [1000.5 + n if hole[1] == b"v" else 1_600_000_000.0 + 1000 * n for n, hole in enumerate(holes)]
    pieces, filled, at = [], [], 0
    for hole, number in zip(holes, told, strict=True):
        before = payload[at : hole.start(2)]
        pieces.append(re.escape(before))
        filled += [before, repr(number).encode()]
        at = hole.end(2)
    try:
        filled.append(payload[at:])
        records, ignored = parse_senml(b"".join(filled))
        entries = json.loads(b"".join(filled))
    except (SenMLError, ValueError):
        return None
    if ignored or len(records) != len(entries):
        return None
    places = _find_places(records, entries, told)
    values = [n for n, hole in enumerate(holes) if hole[1] == b"v"]
    if places is None or sorted(place.value for place in places) != values:
        return None
    pieces.append(re.escape(payload[at:]))
    whole, short = (re.compile((b"(" + number + b")").join(pieces)) for number in (_NUMBER, _SHORT))
    return Shape(whole, short, places)


def _find_places(records: list[Record], entries: list[dict[str, Any]], told: list[float]) -> tuple[Place, ...] | None:
    places = []
    base_hole, base_s = -1, 0.0
    for record, entry in zip(records, entries, strict=True):
        if not entry.keys() <= _FIELDS or record.value not in told or record.value != entry.get("v"):
            return None
        if "bt" in entry:
            base_hole, base_s = _hole_of(entry["bt"], told)
        time_hole, passed_s = _hole_of(entry.get("t", 0.0), told)
        if base_hole >= 0 and time_hole >= 0:
            return None
        hole, since_s = max(base_hole, time_hole), base_s + passed_s
        if record.time_s != (told[hole] if hole >= 0 else 0.0) + since_s or record.relative is not (hole < 0):
            return None
        places.append(Place(record.name, record.unit, told.index(record.value), hole, since_s))
    return tuple(places)


def _hole_of(number: float, told: list[float]) -> tuple[int, float]:
    """The hole that a time stands in, or -1 and the time itself."""
    return (told.index(number), 0.0) if number in told else (-1, float(number))
