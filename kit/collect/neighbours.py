"""The sensors of a unit as each other's neighbours: what each said last, and how it usually differs.

Kept in memory beside the writer's, and dropped with it when a transaction was rolled back. What was learned is written
every `SAVE_EVERY` comparisons: losing a few to a power cut teaches nothing wrong.
"""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass, field

from kit.model.neighbourhood import NEIGHBOURS_AT_MOST, WITHIN_KM, WITHIN_MS, Usual, median_of
from kit.model.quantities import QUANTITIES
from kit.model.readings import UNFIT, Quality
from kit.store.neighbours import Placed, load_placed, save_usual

SAVE_EVERY = 25

CHECK_EVERY_MS = 30_000
"""A sensor that speaks more often is compared this often, and what was found holds in between: weather is slower."""

_UNFIT = int(UNFIT)
_NEIGHBOUR = int(Quality.NEIGHBOUR)
_NOT_HEARD = int(UNFIT | Quality.NEIGHBOUR)
"""Who is doubted has no say about others."""

_FLOORS = {name: known.neighbour for name, known in QUANTITIES.items() if known.neighbour is not None}


@dataclass(slots=True, eq=False)
class Member:
    """A series among its neighbours: what it said last, and what was found when it was last compared."""

    placed: Placed
    usual: Usual
    time_ms: int
    value: float
    heard: bool
    around: list[Member] | None = None
    unsaved: int = 0
    checked_ms: int = -CHECK_EVERY_MS
    flag: int = 0


@dataclass
class Neighbours:
    """Belongs to the thread that writes readings."""

    _groups: dict[tuple[str, str], dict[int, Member]] = field(default_factory=dict)
    _changed: dict[int, Member] = field(default_factory=dict)
    _loaded: bool = False

    def begin(self, connection: sqlite3.Connection, *, anew: bool) -> None:
        """Start a transaction's worth; `anew` when memory may not be what the store holds."""
        if self._loaded and not anew:
            return
        self._groups.clear()
        self._changed.clear()
        for placed, usual, time_ms, value, quality in load_placed(connection, sorted(_FLOORS)):
            heard = not quality & _NOT_HEARD
            self._group(placed.quantity, placed.unit)[placed.series] = Member(placed, usual, time_ms, value, heard)
        self._loaded = True

    def member(self, series: int, *, device: str, quantity: str, unit: str) -> Member | None:
        """The series among its neighbours, until the next `begin`; None if it has none, whatever stands around it."""
        if quantity not in _FLOORS:
            return None
        group = self._group(quantity, unit)
        own = group.get(series)
        if own is None:
            own = group[series] = Member(Placed(series, device, quantity, unit), Usual(), 0, 0.0, heard=False)
            for member in group.values():
                member.around = None
        return own

    def judge(self, own: Member, time_ms: int, value: float, quality: int) -> int:
        """The flag that a value earns beside its neighbours'; learns from it."""
        if not quality & _UNFIT and not 0 <= time_ms - own.checked_ms < CHECK_EVERY_MS:
            own.checked_ms, own.flag = time_ms, self._compare(own, time_ms, value)
        if time_ms >= own.time_ms:
            own.time_ms, own.value, own.heard = time_ms, value, not (quality | own.flag) & _NOT_HEARD
        return own.flag

    def _compare(self, own: Member, time_ms: int, value: float) -> int:
        if own.around is None:
            own.around = _nearest(own, self._group(own.placed.quantity, own.placed.unit))
        told = [one.value for one in own.around if one.heard and abs(time_ms - one.time_ms) <= WITHIN_MS]
        if not told:
            return 0
        median, floor = median_of(told), _FLOORS[own.placed.quantity]
        flag = _NEIGHBOUR if own.usual.is_far(value, median, floor=floor) else 0
        own.usual = own.usual.learn(value, median, floor=floor)
        own.unsaved += 1
        if own.unsaved >= SAVE_EVERY:
            self._changed[own.placed.series] = own
        return flag

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write what was learned, where it is worth a row."""
        if not self._changed:
            return
        save_usual(connection, [(series, member.usual) for series, member in self._changed.items()])
        for member in self._changed.values():
            member.unsaved = 0
        self._changed.clear()

    def _group(self, quantity: str, unit: str) -> dict[int, Member]:
        return self._groups.setdefault((quantity, unit), {})


def _nearest(own: Member, group: dict[int, Member]) -> list[Member]:
    others = [(_km(own.placed, one.placed), series, one) for series, one in group.items() if one is not own]
    others = [other for other in others if other[2].placed.device != own.placed.device and other[0] <= WITHIN_KM]
    return [one for _, _, one in sorted(others, key=lambda other: other[:2])[:NEIGHBOURS_AT_MOST]]


def _km(one: Placed, other: Placed) -> float:
    """Between two places; 0 where one of them is not known."""
    if one.latitude is None or one.longitude is None or other.latitude is None or other.longitude is None:
        return 0.0
    north = (one.latitude - other.latitude) * 111.2
    east = (one.longitude - other.longitude) * 111.2 * math.cos(math.radians(one.latitude))
    return math.hypot(north, east)
