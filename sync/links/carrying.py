"""Carrying for a village behind the hill: what a kit hears of another kit by radio goes on over its wider link.

The other kit notices nothing: it speaks by radio and is answered by radio. The carrier cannot read what it carries.
What goes on in an envelope (`sync.protocol.envelope`) comes out at the core as if heard there, by the link `relay`; the
answer goes back the same way and is said on the air.

Loops and storms are bounded by construction and by number. Frames go only from the radio to the wider link and from the
wider link to the radio, each of them in one direction only, so nothing can circle. Each frame is carried once, however
often it is heard; at most so many bytes a day; for a kit whom nobody answers (another core's), soon only one frame in
ten minutes; and for one whom the core is heard to answer by radio itself, none.

Nothing is promised: what is lost here, the other kit sends again. So what waits for the wider link is few, and kept in
a file that is written now and then.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.clock import Clock
from sync.links.port import Arrival, Link, LinkState
from sync.links.wrapped import Wrapped
from sync.protocol.envelope import FROM_CORES, FROM_KITS, is_envelope, put_in, take_out, travels

PRIORITY = 2
"""Of what is carried: nobody but its two ends knows how urgent it is. It never takes the reserve for our own alarms."""

REMEMBERED_FRAMES = 1024
MOST_WAITING, MOST_WAITING_PER_KIT = 64, 16
LIFETIME_S = 3 * 86_400.0
"""What has waited for longer has been sent again in another frame long ago."""

UNANSWERED_FRAMES = 24
UNANSWERED_PAUSE_S = 600.0
"""A kit for whom nothing came back after so many frames is another core's, or the core's door is shut."""

SERVED_S = 900.0
"""Kit seconds for which a kit counts as served by the core's own radio after that was heard to answer it."""

MOST_KITS = 256
DAY_S = 86_400.0
SAVE_EVERY_S = 60.0


@dataclass
class _Neighbour:
    """Another kit, known by nothing but its link id."""

    heard_s: float
    unanswered: int = 0
    carried_s: float = float("-inf")
    served_until_s: float = float("-inf")


@dataclass
class Carrier:
    """What a kit carries for others. Belongs to the thread of its links.

    Attributes:
        own_link_id: frames with it are our own business.
        clock: kit time.
        daily_bytes: at most so many are carried in a day.
        file: keeps what waits over a restart; None = it is forgotten.
    """

    own_link_id: int
    clock: Clock
    daily_bytes: int
    file: Path | None = None
    narrow: list[NarrowEnd] = field(default_factory=list)
    wide: list[WideEnd] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: {"heard": 0, "carried": 0, "returned": 0, "refused": 0})
    _neighbours: OrderedDict[int, _Neighbour] = field(default_factory=OrderedDict)
    _seen: OrderedDict[bytes, None] = field(default_factory=OrderedDict)
    _said: OrderedDict[bytes, None] = field(default_factory=OrderedDict)
    _up: list[tuple[float, bytes]] = field(default_factory=list)
    _down: list[bytes] = field(default_factory=list)
    _used: int = 0
    _day_began_s: float = 0.0
    _saved_s: float = 0.0

    def __post_init__(self) -> None:
        self._day_began_s = self.clock.monotonic()
        self._restore()

    # --- what the radio hears ---

    def hear(self, frame: bytes) -> bool:
        """A frame was heard by radio; whether it is somebody else's, so that our own engine need not see it."""
        kit = travels(frame, FROM_KITS)
        if kit is not None and kit != self.own_link_id:
            self._hear_kit(kit, frame)
            return True
        core = travels(frame, FROM_CORES)
        if core is None or core == self.own_link_id:
            return False
        if _digest(frame) not in self._said:  # not our own voice, repeated by another radio
            self._neighbour(core).served_until_s = self.clock.monotonic() + SERVED_S
        return True

    def _hear_kit(self, kit: int, frame: bytes) -> None:
        now_s, digest, neighbour = self.clock.monotonic(), _digest(frame), self._neighbour(kit)
        neighbour.heard_s = now_s
        if digest in self._seen:
            return
        _remember(self._seen, digest)
        self.counts["heard"] += 1
        quiet = neighbour.unanswered >= UNANSWERED_FRAMES and now_s - neighbour.carried_s < UNANSWERED_PAUSE_S
        if now_s < neighbour.served_until_s or quiet or not self._may_use(len(frame)):
            self.counts["refused"] += 1
            return
        neighbour.carried_s = now_s
        self._up.append((now_s, frame))
        same = [each for each in self._up if travels(each[1], FROM_KITS) == kit]
        if len(same) > MOST_WAITING_PER_KIT:
            self._up.remove(same[0])  # the newest frames hold what still matters
        del self._up[:-MOST_WAITING]

    def _neighbour(self, kit: int) -> _Neighbour:
        known = self._neighbours.setdefault(kit, _Neighbour(self.clock.monotonic()))
        self._neighbours.move_to_end(kit)
        while len(self._neighbours) > MOST_KITS:
            self._neighbours.popitem(last=False)
        return known

    def _may_use(self, size: int) -> bool:
        now_s = self.clock.monotonic()
        if now_s - self._day_began_s >= DAY_S:
            self._day_began_s, self._used = now_s, 0
        return self._used + size <= self.daily_bytes

    # --- what the core answers ---

    def bring_back(self, envelope: bytes) -> None:
        """The core answers somebody whom only our radio reaches."""
        frame = take_out(envelope)
        kit = travels(frame, FROM_CORES)
        neighbour = None if kit is None else self._neighbours.get(kit)
        if neighbour is None or kit == self.own_link_id or len(self._down) >= MOST_WAITING_PER_KIT:
            self.counts["refused"] += 1
            return
        neighbour.unanswered = 0
        self._down.append(frame)

    # --- moving on ---

    def move(self) -> None:
        """Hand on what waits, as far as the links take it."""
        now_s = self.clock.monotonic()
        self._up = [each for each in self._up if now_s - each[0] <= LIFETIME_S]
        ready = next((each for each in self.wide if each.state() is LinkState.UP), None)
        while ready is not None and self._up and ready.send_envelope(put_in(self._up[0][1])):
            _, frame = self._up.pop(0)
            self._used += len(frame)
            self.counts["carried"] += 1
            kit = travels(frame, FROM_KITS)
            if kit is not None:
                self._neighbour(kit).unanswered += 1
        while self._down and self.narrow and self.narrow[0].say(self._down[0]):
            frame = self._down.pop(0)
            _remember(self._said, _digest(frame))
            self.counts["returned"] += 1
        if self._up and now_s - self._saved_s >= SAVE_EVERY_S:
            self.save()

    def facts(self) -> dict[str, int]:
        """For `kit status --json`."""
        now_s = self.clock.monotonic()
        kits = sum(now_s - each.heard_s <= DAY_S for each in self._neighbours.values())
        return {**self.counts, "kits": kits, "waiting": len(self._up), "used_bytes": self._used}

    def save(self) -> None:
        """Write down what waits. A full disk costs the memory, nothing else."""
        self._saved_s = now_s = self.clock.monotonic()
        if self.file is None:
            return
        told = [{"age_s": now_s - at_s, "frame": base64.b64encode(frame).decode()} for at_s, frame in self._up]
        temporary = self.file.with_suffix(".new")
        try:
            temporary.write_text(json.dumps(told))
            temporary.rename(self.file)
        except OSError:
            return

    def _restore(self) -> None:
        if self.file is None:
            return
        now_s = self.clock.monotonic()
        try:
            told = json.loads(self.file.read_text())
            found = [(now_s - float(each["age_s"]), base64.b64decode(each["frame"])) for each in told]
        except (OSError, ValueError, KeyError, TypeError):
            return
        self._up = [each for each in found if travels(each[1], FROM_KITS) is not None][-MOST_WAITING:]
        for _, frame in self._up:
            _remember(self._seen, _digest(frame))


class _End(Wrapped):
    """A link with the carrier's hand on it; otherwise the link itself."""

    def __init__(self, link: Link, carrier: Carrier) -> None:
        super().__init__(link)
        self._carrier = carrier

    @property
    def frame_s(self) -> float | None:
        """The link's, if it is a radio."""
        told: float | None = getattr(self._link, "frame_s", None)
        return told

    def close(self) -> None:
        """Write down what waits, and close the link."""
        self._carrier.save()
        super().close()

    def airtime_left_ms(self) -> int | None:
        """The link's, if it is a radio."""
        told = getattr(self._link, "airtime_left_ms", None)
        return None if told is None else told()

    def airtime_free_percent(self) -> int | None:
        """The link's, if it is a radio."""
        told = getattr(self._link, "airtime_free_percent", None)
        return None if told is None else told()


class NarrowEnd(_End):
    """The radio."""

    def __init__(self, link: Link, carrier: Carrier) -> None:
        super().__init__(link, carrier)
        carrier.narrow.append(self)

    def receive(self, timeout_s: float) -> Sequence[Arrival]:
        """What is for us; the rest is the carrier's."""
        return [each for each in self._link.receive(timeout_s) if not self._carrier.hear(each.frame)]

    def facts(self) -> Mapping[str, Any]:
        """The radio's, and what is carried for others."""
        return {**super().facts(), "carrying": self._carrier.facts()}

    def say(self, frame: bytes) -> bool:
        """Say somebody else's answer on the air."""
        return self._link.state() is LinkState.UP and self._link.send(frame, priority=PRIORITY)


class WideEnd(_End):
    """The mobile network."""

    def __init__(self, link: Link, carrier: Carrier) -> None:
        super().__init__(link, carrier)
        carrier.wide.append(self)

    def receive(self, timeout_s: float) -> Sequence[Arrival]:
        """What is for us; envelopes are the carrier's."""
        ours = []
        for each in self._link.receive(timeout_s):
            if is_envelope(each.frame):
                self._carrier.bring_back(each.frame)
            else:
                ours.append(each)
        self._carrier.move()
        return ours

    def send_envelope(self, envelope: bytes) -> bool:
        """To the core."""
        return self._link.send(envelope, priority=PRIORITY)


def _digest(frame: bytes) -> bytes:
    return hashlib.blake2b(frame, digest_size=16).digest()


def _remember(seen: OrderedDict[bytes, None], digest: bytes) -> None:
    seen[digest] = None
    while len(seen) > REMEMBERED_FRAMES:
        seen.popitem(last=False)
