"""One way to the peer, as a session sees it: how long an answer takes, and how patient to be.

Kit time may run hundreds of times as fast as the machine, so no time-out may be taken for granted: the round trip is
measured by echoes. An echo names the frame it answers, so it counts for frames that were sent again, too (with Karn's
rule, which leaves those out, a time-out that is too short would never be put right).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

SLOW_MTU_BYTES = 1_000
"""A link with smaller frames is a radio: airtime is dear, the round trip is long, and the air is shared."""

_REMEMBERED_FRAMES = 256
_DOUBTED_AFTER = 3
"""Time-outs with nothing heard in between before another link is used, too."""

_SURE_TIMEOUTS = 4.0
"""A silence shorter than so many time-outs says nothing about the peer."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait on a kind of link. All in kit seconds.

    Attributes:
        first_s: the time-out before any round trip was measured.
        least_s: never less, however fast the answers are.
        most_s: between two attempts at a peer that does not answer at all.
        urgent_most_s: the same for priority 0.
        gather_s: how long acknowledgements wait for more to share their frame; `gather_most_s` in all.
        beacon_s: silence after which a kit asks for a sign of life.
        window_frames: frames in flight before the first is acknowledged.
    """

    first_s: float
    least_s: float
    most_s: float
    urgent_most_s: float
    gather_s: float
    gather_most_s: float
    beacon_s: float
    window_frames: int


LORA = Patience(
    first_s=30.0,  # longer than a LongFast round trip over three hops, with room for one collision
    least_s=8.0,
    most_s=1800.0,
    urgent_most_s=120.0,  # a 150-byte alert every two minutes is 1.4 % duty cycle
    gather_s=2.5,  # a full LongFast frame takes 1.9 s
    gather_most_s=10.0,
    beacon_s=900.0,
    window_frames=4,
)
FAST = Patience(
    first_s=5.0,
    least_s=1.0,
    most_s=120.0,
    urgent_most_s=60.0,
    gather_s=0.0,
    gather_most_s=0.0,
    beacon_s=300.0,
    window_frames=4,
)


def patience_for(mtu_bytes: int) -> Patience:
    """By the size of the frames."""
    return LORA if mtu_bytes <= SLOW_MTU_BYTES else FAST


@dataclass
class Path:
    """What is known of one link to the peer. Times are kit seconds of one monotonic clock."""

    name: str
    mtu_bytes: int
    patience: Patience
    heard_at: float | None = None
    sent_at: float | None = None
    beacon_at: float | None = None
    silent_timeouts: int = 0
    smoothed_s: float | None = None
    deviation_s: float = 0.0
    _frames: OrderedDict[int, float] = field(default_factory=OrderedDict)

    @property
    def timeout_s(self) -> float:
        """How long to wait for an acknowledgement (RFC 6298)."""
        if self.smoothed_s is None:
            return self.patience.first_s
        return max(self.patience.least_s, self.smoothed_s + 4.0 * self.deviation_s)

    @property
    def doubtful(self) -> bool:
        """Whether it takes frames but nothing comes back."""
        return self.silent_timeouts >= _DOUBTED_AFTER

    def retry_after_s(self, *, silent: int, priority: int, now: float) -> float:
        """When to send something again that was sent `silent` times with nothing heard from the peer since.

        The wait doubles, but not beyond the silence itself: on a bad evening six frames in a row may be lost though the
        peer is there.
        """
        most_s = self.patience.urgent_most_s if priority == 0 else self.patience.most_s
        silence_s = most_s if self.heard_at is None else now - self.heard_at
        most_s = min(most_s, max(_SURE_TIMEOUTS * self.timeout_s, silence_s))
        return min(self.timeout_s * 2.0 ** min(silent, 10), max(most_s, self.timeout_s))

    def note_sent(self, counter: int, now: float) -> None:
        """A frame has left."""
        self.sent_at = now
        self._frames[counter & 0xFFFF] = now
        while len(self._frames) > _REMEMBERED_FRAMES:
            self._frames.popitem(last=False)

    def note_heard(self, now: float) -> None:
        """A frame of the peer has come."""
        self.heard_at = now
        self.silent_timeouts = 0

    def note_echo(self, counter_low: int, now: float) -> None:
        """The peer answers that frame: one round trip was measured (RFC 6298, section 2)."""
        sent_at = self._frames.pop(counter_low, None)
        if sent_at is None:
            return
        took_s = max(0.0, now - sent_at)
        if self.smoothed_s is None:
            self.smoothed_s, self.deviation_s = took_s, took_s / 2.0
        else:
            self.deviation_s += (abs(took_s - self.smoothed_s) - self.deviation_s) / 4.0
            self.smoothed_s += (took_s - self.smoothed_s) / 8.0
