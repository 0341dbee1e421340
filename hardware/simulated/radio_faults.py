"""The control file through which simulated radios are told to misbehave while they run.

JSON; every key may be absent. Probabilities and switches hold while they are written; the counts under `do` happen
once each time they grow, so that a script can say "close again" by adding one:

    {"loss": 0.3, "duplicate": 0.1, "reorder": 0.1,
     "radios": {"0": {"mute": true, "stuck_queue": true, "unplugged": true}},
     "do": {"0": {"close": 1, "reboot": 1, "truncate": 1}}}

`mute`: tells its client nothing. `stuck_queue`: says that its queue is full and sends nothing. `unplugged`: no antenna.
`refuse`: "NO_CHANNEL" or another of Meshtastic's routing errors; that is what becomes of every packet.
`close`: drops its client without a word. `truncate`: cuts the next frame to its client in half. `position`: tells its
client a position of its own GPS, with `"gps_s"` (Unix seconds, beside `do`) as the time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ACTIONS = ("close", "reboot", "truncate", "position")


@dataclass(frozen=True)
class Faults:
    """What the control file says.

    Attributes:
        mute: numbers of radios that tell their clients nothing.
        stuck: numbers of radios whose queue is stuck at no free slot.
        unplugged: numbers of radios without antenna.
        refuse: by number of the radio, the error with which it refuses every packet.
        done: for each (radio number, action), how often it is to have happened since the start.
        gps_s: the time that the radios' GPS receivers tell.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    mute: frozenset[int] = frozenset()
    stuck: frozenset[int] = frozenset()
    unplugged: frozenset[int] = frozenset()
    done: tuple[tuple[tuple[int, str], int], ...] = ()
    refuse: tuple[tuple[int, str], ...] = ()
    gps_s: float = 0.0

    def due(self, before: Faults) -> list[tuple[int, str]]:
        """The (radio number, action) pairs to do now, each as often as its count has grown."""
        old = dict(before.done)
        return [what for what, count in self.done for _ in range(count - old.get(what, 0))]


def read_faults(file: Path, last: Faults) -> Faults:
    """What the file says now; while it is absent or half written, what it said last."""
    try:
        told = json.loads(file.read_text())
        return _parse(told)
    except (OSError, ValueError, TypeError, AttributeError):
        return last


def _parse(told: dict[str, Any]) -> Faults:
    radios = told.get("radios", {})

    def which(switch: str) -> frozenset[int]:
        return frozenset(int(number) for number, switches in radios.items() if switches.get(switch))

    done = [
        ((int(number), action), int(counts[action]))
        for number, counts in told.get("do", {}).items()
        for action in ACTIONS
        if action in counts
    ]
    return Faults(
        loss=float(told.get("loss", 0.0)),
        duplicate=float(told.get("duplicate", 0.0)),
        reorder=float(told.get("reorder", 0.0)),
        mute=which("mute"),
        stuck=which("stuck_queue"),
        unplugged=which("unplugged"),
        done=tuple(sorted(done)),
        refuse=tuple((int(number), str(it["refuse"])) for number, it in radios.items() if it.get("refuse")),
        gps_s=float(told.get("gps_s", 0.0)),
    )
