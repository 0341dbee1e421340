"""What time it is, decided from what the machine shows and what others report; pure.

A kit without a real-time clock boots in 1970, or years ahead, or a day behind. So its time is never the machine's wall
clock itself but *seconds since boot plus an offset*, and this module decides on the offset. Within a boot everything
dated by the kit is therefore in order and evenly spaced however the machine's clock jumps, and when the true offset
becomes known, everything dated by a guess moves by one and the same amount (`kit.store.boots`).

Trust belongs to a boot: it survives every restart of a process and no reboot. Sources are ranked; a weaker one never
overrules a stronger one, but its contradiction is kept for the technician.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from kit.clock import EARLIEST_BELIEVABLE_S

YEAR_S = 365.25 * 86_400

LONGEST_OFF_S = 3 * YEAR_S
"""A machine that shows a later time than this after the last one known has a broken clock, not a long sleep."""

STEP_S = 1.0
"""Smaller corrections are a clock being steered; from here on it was set."""

PHONES_AGREE_WITHIN_S = 120.0
"""Phones without network drift by seconds a week; a wrong time zone or a typing error is off by more."""

PHONES_NEEDED = 2
PHONES_NEEDED_FOR_THE_UNLIKELY = 3
"""To be taken for the truth; more of them for a time that is over already, or years after the last one known."""

VOTES_KEPT = 16


@dataclass(frozen=True)
class Source:
    """Who may tell the time.

    Attributes:
        rank: a higher one overrules a lower one.
        within_s: how exact it is; a smaller difference is agreement.
        firm: exact enough that what was dated by it is never corrected again.
        words: for the technician.
    """

    rank: int
    within_s: float
    firm: bool
    words: str


SOURCES: Mapping[str, Source] = {
    "none": Source(0, 0.0, firm=False, words="nothing; it counts on from the last time it knew"),
    "machine": Source(1, 0.0, firm=False, words="the machine's own clock, which nothing has set since it started"),
    "phone": Source(2, 60.0, firm=False, words="phones"),
    "technician": Source(3, 30.0, firm=False, words="the technician"),
    "core": Source(4, 5.0, firm=True, words="the city core"),
    "radio": Source(5, 5.0, firm=True, words="the LoRa radio's GPS"),
    "gps": Source(6, 1.0, firm=True, words="GPS"),
    "ntp": Source(7, 0.05, firm=True, words="the network (NTP)"),
}


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the machine shows at one moment; seconds.

    Attributes:
        synchronised: the kernel says that its clock was synchronised, and it shows a believable time.
    """

    boot: str
    monotonic_s: float
    wall_s: float
    synchronised: bool

    @property
    def offset_s(self) -> float:
        """From seconds since boot to the machine's wall time."""
        return self.wall_s - self.monotonic_s


@dataclass(frozen=True, kw_only=True)
class Report:
    """Somebody says what time it is.

    Attributes:
        source: a name in `SOURCES`.
        who: tells two phones apart.
        wall_s: the time told, Unix seconds.
        monotonic_s: seconds since this boot at which it was told.
    """

    source: str
    who: str
    wall_s: float
    monotonic_s: float

    @property
    def offset_s(self) -> float:
        """From seconds since boot to the time told."""
        return self.wall_s - self.monotonic_s


@dataclass(frozen=True, kw_only=True)
class TimeState:
    """What a unit knows about the time in one boot; kept in a file, so that all its processes agree.

    Attributes:
        offset_s: kit time is seconds since boot plus this.
        source: who said so, a name in `SOURCES`.
        trusted_since_s: seconds since boot at which it became trusted; None = it is a guess.
        machine_offset_s: the machine's own offset when it was last looked at, to notice that it was set.
        shown_s: the latest kit time that is known to have been shown to anybody.
        known_s: the latest trusted kit time, of earlier boots too; 0 = never any.
        step_s, step_at_s, step_why: the last step: by how much, when (kit time after it), and of which clock.
        votes: (who, offset) of phones while it is a guess.
        disagrees: what a weaker source said against it; "" = nothing.
        heard: number of the last report that was considered.
    """

    boot: str
    offset_s: float
    source: str
    trusted_since_s: float | None = None
    machine_offset_s: float = 0.0
    shown_s: float = 0.0
    known_s: float = 0.0
    step_s: float = 0.0
    step_at_s: float = 0.0
    step_why: str = ""
    votes: tuple[tuple[str, float], ...] = ()
    disagrees: str = ""
    heard: int = 0

    @property
    def trusted(self) -> bool:
        """Whether somebody vouches for it."""
        return self.trusted_since_s is not None

    @property
    def firm(self) -> bool:
        """Whether what is dated now will never have to be corrected."""
        return self.trusted and SOURCES[self.source].firm

    def as_json(self) -> dict[str, Any]:
        """For the file."""
        return asdict(self)

    @staticmethod
    def from_json(told: Mapping[str, Any]) -> TimeState:
        """From the file.

        Raises:
            ValueError, TypeError, KeyError: it is damaged.
        """
        if not isinstance(told, Mapping):
            raise TypeError("the state is no object")
        votes = tuple((str(who), float(offset)) for who, offset in told.get("votes", ()))
        state = TimeState(**{**told, "votes": votes})
        numbers = [getattr(state, name) for name in _NUMBERS]
        if state.trusted_since_s is not None:
            numbers.append(state.trusted_since_s)
        if not all(isinstance(number, int | float) for number in numbers):
            raise TypeError("a number is none")
        if state.source not in SOURCES:
            raise ValueError(f"no source '{state.source}'")
        return state


_NUMBERS = ("offset_s", "machine_offset_s", "shown_s", "known_s", "step_s", "step_at_s", "heard")


def believable(wall_s: float) -> bool:
    """Whether any kit could have been running then."""
    return wall_s >= EARLIEST_BELIEVABLE_S


def unlikely_ahead_s(state: TimeState, wall_s: float) -> float:
    """By how many seconds a time lies so far after the last one known that it is asked again; 0.0 = it may well be."""
    known_s = state.known_s or state.shown_s
    return wall_s - known_s if believable(known_s) and wall_s > known_s + LONGEST_OFF_S else 0.0


def begin(look: Look, before: TimeState | None, *, floor_s: float = 0.0) -> TimeState:
    """The first guess of a boot.

    Never earlier than what was shown or stored before: a guess that is late keeps the order of things, one that is
    early would put this morning's readings before last night's.

    Args:
        look: the machine now.
        before: the state of an earlier boot.
        floor_s: the latest time the store knows of, Unix seconds.
    """
    floor = max(floor_s, before.shown_s if before else 0.0)
    known = before.known_s if before else 0.0
    state = TimeState(boot=look.boot, offset_s=look.offset_s, source="machine", machine_offset_s=look.offset_s)
    state = replace(state, known_s=known, shown_s=floor, heard=before.heard if before else 0)
    if look.synchronised or _plausible(look.wall_s, floor):
        return state
    if floor:
        return replace(state, offset_s=floor + 1.0 - look.monotonic_s, source="none")
    return replace(state, source="none")


def watch(state: TimeState, look: Look, *, floor_s: float = 0.0) -> TimeState:
    """Take in what the machine shows; to be called now and then, and at every start."""
    if look.boot != state.boot:
        state = begin(look, state, floor_s=floor_s)
    moved = look.offset_s - state.machine_offset_s
    if abs(moved) >= STEP_S:
        state = _stepped(state, moved, look.monotonic_s, f"the machine's clock was set {_by(moved)}")
        if not state.trusted and state.source in ("none", "machine") and _plausible(look.wall_s, state.known_s):
            state = replace(state, offset_s=look.offset_s, source="machine")
    state = replace(state, machine_offset_s=look.offset_s)
    if look.synchronised:
        said = Report(source="ntp", who="kernel", wall_s=look.wall_s, monotonic_s=look.monotonic_s)
        state = hear(state, said)
    now_s = look.monotonic_s + state.offset_s
    return replace(state, shown_s=now_s, known_s=now_s if state.trusted else state.known_s)


def hear(state: TimeState, report: Report) -> TimeState:
    """Take in what somebody says. What cannot be believed changes nothing but `disagrees`."""
    source = SOURCES[report.source]
    delta = report.offset_s - state.offset_s
    if not believable(report.wall_s):
        return replace(state, disagrees=f"{source.words} told a time before this kit was made")
    if state.trusted and source.rank < SOURCES[state.source].rank:
        apart = abs(delta) > max(source.within_s, PHONES_AGREE_WITHIN_S)
        return replace(state, disagrees=f"{source.words} told a time {_by(delta)}" if apart else "")
    if report.source == "phone":
        return _vote(state, report)
    return _adopt(state, report, report.offset_s)


def _vote(state: TimeState, report: Report) -> TimeState:
    votes = [vote for vote in state.votes if vote[0] != report.who][-(VOTES_KEPT - 1) :]
    votes.append((report.who, report.offset_s))
    state = replace(state, votes=tuple(votes))
    near = sorted(offset for _, offset in votes if abs(offset - report.offset_s) <= PHONES_AGREE_WITHIN_S)
    needed = PHONES_NEEDED if _plausible(report.wall_s, state.known_s) else PHONES_NEEDED_FOR_THE_UNLIKELY
    if len(near) >= needed:
        return _adopt(state, report, near[len(near) // 2])
    if state.trusted:
        apart = abs(report.offset_s - state.offset_s) > PHONES_AGREE_WITHIN_S
        return replace(state, disagrees=f"a phone told a time {_by(report.offset_s - state.offset_s)}" if apart else "")
    if not _plausible(report.wall_s, state.known_s):
        return replace(state, disagrees="a phone told an unlikely time; more of them may convince the kit")
    # one phone alone is a better guess than none, and still a guess
    moved = replace(_stepped_if(state, report.offset_s, report, "a phone"), offset_s=report.offset_s, source="phone")
    return replace(moved, disagrees="")


def _adopt(state: TimeState, report: Report, offset_s: float) -> TimeState:
    source = SOURCES[report.source]
    same = state.trusted and state.source == report.source
    if same and abs(offset_s - state.offset_s) <= source.within_s:
        return replace(state, disagrees="")
    state = _stepped_if(state, offset_s, report, source.words)
    since = state.trusted_since_s if state.trusted_since_s is not None else report.monotonic_s
    known = report.monotonic_s + offset_s  # also backwards: what was known before was wrong
    return replace(
        state,
        offset_s=offset_s,
        source=report.source,
        trusted_since_s=since,
        known_s=known,
        shown_s=known,
        votes=() if source.firm else state.votes,
        disagrees="",
    )


def _stepped_if(state: TimeState, offset_s: float, report: Report, who: str) -> TimeState:
    delta = offset_s - state.offset_s
    if abs(delta) < STEP_S:
        return state
    return _stepped(replace(state, offset_s=offset_s), delta, report.monotonic_s, f"{who} set the kit {_by(delta)}")


def _stepped(state: TimeState, seconds: float, monotonic_s: float, why: str) -> TimeState:
    return replace(state, step_s=seconds, step_at_s=monotonic_s + state.offset_s, step_why=why)


def _plausible(wall_s: float, floor_s: float) -> bool:
    if not believable(wall_s) or wall_s < floor_s:
        return False
    return not floor_s or wall_s <= floor_s + LONGEST_OFF_S


def _by(seconds: float) -> str:
    size, unit = next((size, unit) for size, unit in _UNITS if abs(seconds) >= size or size == 1)
    return f"{abs(seconds) / size:.3g} {unit} {'forward' if seconds >= 0 else 'back'}"


_UNITS = ((86_400 * 365.25, "years"), (86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))


@dataclass(frozen=True, kw_only=True)
class Boot:
    """A boot as the store remembers it; milliseconds.

    Attributes:
        number: in the order in which they were.
        first_ms, last_ms: since boot, when the kit was first and last at work in it.
        offset_ms: by which its things are dated now.
        known: whether that is the truth.
    """

    number: int
    first_ms: int
    last_ms: int
    offset_ms: int
    known: bool


def place(boots: list[Boot]) -> dict[int, int]:
    """Where the boots belong whose time never became known: the offset of each, by its number.

    They lie between their neighbours, because boots follow each other. Where the guess fits it stays; where it does
    not, the boot is moved as little as needed, and rather to before the next one than to after the last.

    Args:
        boots: in their order, the last one known.
    """
    placed: dict[int, int] = {}
    latest_end: float = float("inf")
    for boot in reversed(boots):
        end_ms = boot.last_ms + boot.offset_ms
        # a guess from before any kit was made says nothing: such a boot ended not long before the next one, most likely
        if not boot.known and latest_end < 2**62 and (end_ms > latest_end or not believable(end_ms / 1000)):
            placed[boot.number] = int(latest_end) - 1 - boot.last_ms
        latest_end = min(latest_end, boot.first_ms + placed.get(boot.number, boot.offset_ms))
    end: float = float("-inf")
    for boot in boots:
        offset = placed.get(boot.number, boot.offset_ms)
        if not boot.known and boot.first_ms + offset < end:
            room = _start_of_next_known(boots, boot.number)
            offset = min(int(end) - boot.first_ms, room - boot.last_ms)
            placed[boot.number] = offset
        end = max(end, boot.last_ms + offset)
    return placed


def _start_of_next_known(boots: list[Boot], number: int) -> int:
    return next((b.first_ms + b.offset_ms for b in boots if b.number > number and b.known), 2**62)
