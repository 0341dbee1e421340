"""One way to the peer, as a session sees it: how long an answer takes, how patient to be, and what is on its way.

Kit time may run hundreds of times as fast as the machine, so no time-out may be taken for granted: the round trip is
measured. An acknowledgement names the frame it answers, so it counts for frames that were sent again, too (with Karn's
rule, which leaves those out, a time-out that is too short would never be put right).

As in QUIC (RFC 9002), what tells that a frame was lost is a later one that was heard; a time-out only sends two frames
as probes, so that a silence costs little air and a lost acknowledgement does not send everything again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sync.protocol.outgoing import Outgoing

SLOW_MTU_BYTES = 1_000
"""A link with smaller frames is a radio: airtime is dear, the round trip is long, and the air is shared."""

LONG_FAST_FRAME_S = 2.03
"""A full frame in Meshtastic's default preset: what a radio is taken for that does not tell."""

_REMEMBERED_FRAMES = 512
_DOUBTED_AFTER = 3
"""Time-outs with nothing heard in between before another link is used, too."""

_DEVIATIONS = 1.5
_LOSS_MEMORY = 32.0
_SURE_TIMEOUTS = 4.0
"""A silence shorter than so many time-outs says nothing about the peer."""

_CHEAP_TIMEOUTS = 2
"""Time-outs in silence after which the wait doubles: at 40 % loss two of three questions stay without an answer."""

_PROBES = 3
"""Frames that a time-out sends again at least; at a peer that is there, as many as are lost by experience."""

_LONGEST_SURPRISE = 2.0
"""A round trip is not believed to be more than so many time-outs: the first acknowledgement may have been lost."""

_LISTENING = 1.5
"""A radio listens before it talks: on a busy channel half as long as a full frame takes."""

_QUEUE_FRAMES = 5.0
"""At most so many wait for the air: two in the link, two in the radio (`sync.links`), and the one that goes."""

_IDLE_SHARE = 0.5e-4
"""Of the air for beacons and their answers when nothing else is said: half of a hundredth of a 1 % duty cycle."""

_BEACON_SHARE = 0.7
"""A beacon and its answer take so much of a full frame's time."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait on a kind of link. All in kit seconds.

    Attributes:
        first_s: the time-out before any round trip was measured.
        least_s: never less, however fast the answers are.
        most_s: between two attempts at a peer that does not answer at all.
        urgent_most_s: the same for priority 0.
        quiet_s: an acknowledgement that may wait waits until no frame has come for so long, `gather_most_s` in all.
        beacon_s: silence after which a kit asks for a sign of life; longer and longer, to `beacon_most_s`, while there
            is nothing to say.
        frame_s: what a full frame takes on a radio, the wait for the air included; 0 = no time worth counting.
        first_frames: frames in flight before anything was acknowledged.
        window_frames: at most, once it was.
    """

    first_s: float
    least_s: float
    most_s: float
    urgent_most_s: float
    quiet_s: float
    gather_most_s: float
    beacon_s: float
    beacon_most_s: float
    frame_s: float
    first_frames: int
    window_frames: int


FAST = Patience(
    first_s=5.0,
    least_s=1.0,
    most_s=120.0,
    urgent_most_s=60.0,
    quiet_s=0.0,
    gather_most_s=0.0,
    beacon_s=300.0,
    beacon_most_s=300.0,
    frame_s=0.0,
    first_frames=4,
    window_frames=8,
)


def radio_patience(frame_s: float) -> Patience:
    """For a radio on which a full frame takes so long."""
    return Patience(
        first_s=max(4.0, 15.0 * frame_s),  # longer than a round trip over three hops, with room for one collision
        least_s=max(1.0, 3.0 * frame_s),
        most_s=1800.0,
        urgent_most_s=120.0,  # a 150-byte alert every two minutes is 1.4 % duty cycle
        quiet_s=max(0.5, 12.0 * frame_s),
        gather_most_s=max(5.0, 240.0 * frame_s),
        beacon_s=900.0,
        beacon_most_s=max(900.0, _BEACON_SHARE * frame_s / _IDLE_SHARE),
        frame_s=_LISTENING * frame_s,
        first_frames=8,
        window_frames=160,
    )


def patience_for(mtu_bytes: int, frame_s: float | None = None) -> Patience:
    """By the size of the frames, and the time that a full one takes on a radio."""
    if mtu_bytes > SLOW_MTU_BYTES:
        return FAST
    return radio_patience(LONG_FAST_FRAME_S if frame_s is None else frame_s)


class Sending(NamedTuple):
    """What of a record is in a frame: the bytes from `start` to `end` of its encoding, or all of it (`end` 0)."""

    outgoing: Outgoing
    start: int = 0
    end: int = 0


@dataclass(slots=True)
class Flight:
    """A frame that was handed to the link.

    Attributes:
        due_at: when an urgent one is sent again; the others follow the path's one timer.
        queued_s: how long it waits for those handed over before it.
        lost: what was in it is to be sent again; an acknowledgement may come all the same.
    """

    counter: int
    sent_at: float
    priority: int
    size: int
    sendings: tuple[Sending, ...] = ()
    due_at: float = float("inf")
    silent: int = 0
    queued_s: float = 0.0
    context: bool = False
    life: bool = False
    lost: bool = False


@dataclass
class Path:
    """What is known of one link to the peer. Times are kit seconds of one monotonic clock."""

    name: str
    mtu_bytes: int
    patience: Patience
    heard_at: float | None = None
    sent_at: float | None = None
    beacon_at: float | None = None
    idle_beacons: int = 0
    silent_timeouts: int = 0
    smoothed_s: float | None = None
    deviation_s: float = 0.0
    window: float = 0.0
    loss: float = 0.0
    air_free_at: float = float("-inf")
    credits: int = 0
    unasked: int = 0
    asked_in_vain: int = 0
    timer_at: float | None = None
    flights: dict[int, Flight] = field(default_factory=dict)
    live: dict[int, Flight] = field(default_factory=dict)
    live_bytes: int = 0

    def __post_init__(self) -> None:
        self.window = float(self.patience.first_frames)

    @property
    def slow(self) -> bool:
        """Whether it is a radio."""
        return self.mtu_bytes <= SLOW_MTU_BYTES

    @property
    def timeout_s(self) -> float:
        """How long to wait for an acknowledgement: RFC 6298, but less patient; asking too early costs little."""
        if self.smoothed_s is None:
            return self.patience.first_s
        return max(self.patience.least_s, self.smoothed_s + _DEVIATIONS * self.deviation_s)

    @property
    def doubtful(self) -> bool:
        """Whether it takes frames but nothing comes back."""
        return self.silent_timeouts >= _DOUBTED_AFTER

    @property
    def has_room(self) -> bool:
        """Whether a frame that is not urgent may go now."""
        return self.credits > 0 or self.live_bytes < self.window * self.mtu_bytes

    def retry_after_s(self, *, silent: int, priority: int, now: float) -> float:
        """When to send something again that was sent `silent` times with nothing heard from the peer since.

        The wait doubles, but not beyond the silence itself: on a bad evening six frames in a row may be lost though the
        peer is there.
        """
        most_s = self.patience.urgent_most_s if priority == 0 else self.patience.most_s
        silence_s = most_s if self.heard_at is None else now - self.heard_at
        most_s = min(most_s, max(_SURE_TIMEOUTS * self.timeout_s, silence_s))
        doublings = min(max(silent - _CHEAP_TIMEOUTS, 0), 10)
        return min(self.timeout_s * 2.0**doublings, max(most_s, self.timeout_s))

    def note_sent(self, flight: Flight, now: float, *, jitter: float) -> None:
        """A frame has left."""
        self.sent_at = now
        free_at = max(self.air_free_at, now) + self.patience.frame_s * flight.size / self.mtu_bytes
        self.air_free_at = min(free_at, now + _QUEUE_FRAMES * self.patience.frame_s)
        flight.queued_s = self.air_free_at - now
        self.flights[flight.counter] = flight
        while len(self.flights) > _REMEMBERED_FRAMES:
            del self.flights[next(iter(self.flights))]
        if not flight.sendings:
            return
        self.idle_beacons = 0
        flight.silent = max(each.outgoing.silent.get(self.name, 0) for each in flight.sendings)
        wait_s = jitter * self.retry_after_s(silent=flight.silent, priority=flight.priority, now=now)
        wait_s += flight.queued_s
        self.live[flight.counter] = flight
        if flight.priority == 0:
            flight.due_at = now + wait_s
        else:
            self.live_bytes += flight.size
            self.credits = max(self.credits - 1, 0)
            self.timer_at = now + wait_s

    def note_heard(self, now: float) -> bool:
        """A frame of the peer has come; whether that ends a silence."""
        was_silent, self.silent_timeouts = self.silent_timeouts > 0, 0
        self.heard_at = now
        if was_silent:
            for flight in self.live.values():
                flight.due_at = min(flight.due_at, flight.sent_at + self.timeout_s)
                flight.silent = 0
            self.timer_at = now if self.live_bytes else None
        return was_silent

    def note_round_trip(self, flight: Flight, now: float) -> None:
        """The peer answers that frame: one round trip was measured (RFC 6298, section 2)."""
        took_s = min(max(0.0, now - flight.sent_at - flight.queued_s), _LONGEST_SURPRISE * self.timeout_s)
        if self.smoothed_s is None:
            self.smoothed_s, self.deviation_s = took_s, took_s / 2.0
        else:
            self.deviation_s += (abs(took_s - self.smoothed_s) - self.deviation_s) / 4.0
            self.smoothed_s += (took_s - self.smoothed_s) / 8.0

    def note_fate(self, *, lost: bool) -> None:
        """What became of a frame, for the estimate of how many are lost."""
        self.loss += ((1.0 if lost else 0.0) - self.loss) / _LOSS_MEMORY

    def ended(self, flight: Flight) -> None:
        """It is not on its way any more, whatever became of it."""
        if self.live.pop(flight.counter, None) is not None and flight.priority > 0:
            self.live_bytes -= flight.size
            if not self.live_bytes:
                self.timer_at = None

    def overdue(self, now: float) -> Iterator[Flight]:
        """Frames to be sent again because nothing came in time; from each urgent one, and two of the others."""
        for flight in [each for each in self.live.values() if each.due_at <= now]:
            yield self._timed_out(flight)
        if self.timer_at is None or self.timer_at > now:
            return
        waiting = sorted((each for each in self.live.values() if each.priority > 0), key=lambda each: each.priority)
        least = _PROBES if self.slow else 1
        self.credits = least if self.doubtful else max(least, round(self.loss * len(waiting)))
        self.timer_at = now + self.retry_after_s(silent=self.silent_timeouts + 1, priority=5, now=now)
        for flight in waiting[: self.credits]:
            yield self._timed_out(flight)

    def _timed_out(self, flight: Flight) -> Flight:
        if self.heard_at is None or self.heard_at <= flight.sent_at:
            for each in flight.sendings:
                each.outgoing.silent[self.name] = flight.silent + 1
            self.silent_timeouts = max(self.silent_timeouts, flight.silent + 1)
            if self.doubtful:
                self.window = min(self.window, float(self.patience.first_frames))
        return flight

    def next_timeout_at(self) -> float | None:
        """When `overdue` will have something."""
        times = [each.due_at for each in self.live.values() if each.priority == 0]
        if self.timer_at is not None:
            times.append(self.timer_at)
        return min(times, default=None)
