"""Whether a radio is alive and has room, judged from what it says. Pure: times come in, in kit seconds.

A Meshtastic radio that hangs keeps its connection open and simply says nothing any more, so silence has to be provoked:
a heartbeat is answered by a queueStatus. The same answer tells how many frames wait in the radio.
"""

from __future__ import annotations

from dataclasses import dataclass, field

HEARTBEAT_S, HEARTBEAT_REAL_S = 45.0, 0.5
"""Kit seconds between heartbeats (well below the firmware's idle close at 900), and the least real time."""

ANSWER_S, ANSWER_REAL_S = 15.0, 1.0
"""How long an answer may take: a radio that transmits a slow packet answers late."""

UNANSWERED = 2
"""So many heartbeats in a row without any word from the radio, and it counts as gone."""

POLL_S, POLL_REAL_S = 1.0, 0.005
"""How often to ask a radio whose queue is full whether there is room."""

STUCK_S, STUCK_REAL_S = 300.0, 2.0
"""A queue without a free slot for this long does not drain any more: sixteen LongFast packets take 31 s."""

MAX_IN_RADIO = 2
"""Ordinary frames waiting in the radio: enough to keep the air busy, few enough for an urgent one to be quick."""

MAX_IN_RADIO_URGENT = 12
"""Of sixteen slots; the rest is for the radio's own packets and acknowledgements."""

URGENT = 0


@dataclass(frozen=True)
class Pace:
    """Turns a kit time with its least real time into kit seconds; `real_per_kit` is `clock.real(1.0)`."""

    real_per_kit: float

    def of(self, kit_s: float, real_s: float) -> float:
        """The longer of the two, in kit seconds."""
        return max(kit_s, real_s / self.real_per_kit) if self.real_per_kit > 0 else kit_s


@dataclass
class RadioWatch:
    """What is known of one connection to a radio."""

    pace: Pace
    connected_s: float
    free: int | None = None
    slots: int = 16
    _heard_s: float = field(init=False)
    _asked_s: float = field(init=False)
    _unanswered: int = 0
    _full_since_s: float | None = None

    def __post_init__(self) -> None:
        self._heard_s = self._asked_s = self.connected_s

    def heard(self, now_s: float) -> None:
        """The radio said something."""
        self._heard_s = now_s
        self._unanswered = 0

    def queue_status(self, *, free: int, slots: int, now_s: float) -> None:
        """The radio told how many slots of its queue are free."""
        self.heard(now_s)
        self.free, self.slots = free, max(slots, 1)
        if free > 0:
            self._full_since_s = None
        elif self._full_since_s is None:
            self._full_since_s = now_s

    def asked(self, now_s: float) -> None:
        """A heartbeat was sent."""
        self._unanswered += 1
        self._asked_s = now_s

    def heartbeat_at(self) -> float:
        """When to send the next heartbeat."""
        if not self.has_room(priority=1):
            return self._asked_s + self.pace.of(POLL_S, POLL_REAL_S)
        if self._unanswered:
            return self._asked_s + self.pace.of(ANSWER_S, ANSWER_REAL_S)
        return max(self._heard_s, self._asked_s) + self.pace.of(HEARTBEAT_S, HEARTBEAT_REAL_S)

    def gone(self, now_s: float) -> bool:
        """Whether it has left enough heartbeats unanswered for long enough."""
        silent_s = now_s - self._heard_s
        return self._unanswered >= UNANSWERED and silent_s > UNANSWERED * self.pace.of(ANSWER_S, ANSWER_REAL_S)

    def has_room(self, *, priority: int) -> bool:
        """Whether to hand over another frame of that priority."""
        if self.free is None:
            return True  # old firmware does not tell
        waiting = self.slots - self.free
        return waiting < (MAX_IN_RADIO_URGENT if priority == URGENT else MAX_IN_RADIO)

    def took(self) -> None:
        """A frame was handed over; until the radio tells, there is one slot less."""
        if self.free is not None:
            self.free = max(self.free - 1, 0)

    def stuck(self, now_s: float) -> bool:
        """Whether the queue has been full for longer than it takes to drain."""
        return self._full_since_s is not None and now_s - self._full_since_s > self.pace.of(STUCK_S, STUCK_REAL_S)
