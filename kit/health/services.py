"""The supervisor's view of its services, read from the file it writes.

A supervisor that was killed cannot correct its file. So its process id is checked, and everything is called stopped
when it is gone: its services die with it (PR_SET_PDEATHSIG). Where systemd supervises, each service leaves a file of
its own, which is checked likewise.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BEGAN = 22 - 3
"""`starttime` is field 22 of /proc/PID/stat; counted from the third."""


@dataclass(frozen=True)
class ServiceStates:
    """What runs.

    Attributes:
        running: whether the unit's supervisor lives.
        services: [{name, state, pid, restarts, last_error, …}] as the supervisor wrote them.
    """

    running: bool = False
    services: list[dict[str, Any]] = field(default_factory=list)


def process_lives(pid: int) -> bool:
    """Whether a process of that number exists and is no zombie."""
    return process_began(pid) is not None


def process_began(pid: int) -> int | None:
    """When a living process began, in the kernel's ticks since boot; tells it from an earlier one of the same number.

    None where there is none, or a zombie.
    """
    try:
        # "pid (name) S …" (proc(5)): the name may hold anything, so the third field is what follows the last bracket
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] == b"Z" else int(fields[BEGAN])
    except (OSError, IndexError, ValueError):
        return None


def service_states(file: Path, *, began: Callable[[int], int | None] = process_began) -> ServiceStates:
    """The services as they are now; none where the unit has never run."""
    try:
        told = json.loads(file.read_text())
        pid, services = int(told["supervisor_pid"]), list(told["services"])
    except (OSError, ValueError, KeyError, TypeError):
        return _unsupervised(file.parent, began)
    if _is_the_same(pid, told.get("supervisor_began"), began):
        return ServiceStates(running=True, services=[_as_told(service) for service in services])
    alone = _unsupervised(file.parent, began)
    if alone.running:
        return alone
    return ServiceStates(services=[_as_told(service) | {"state": "stopped", "pid": None} for service in services])


def _unsupervised(folder: Path, began: Callable[[int], int | None]) -> ServiceStates:
    """Services that systemd keeps alive: each has left a file of its own."""
    services = []
    for file in sorted(folder.glob("*.self")):
        try:
            told = json.loads(file.read_text())
            alive = _is_the_same(int(told["pid"]), told.pop("began", None), began)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        state = {"state": "running"} if alive else {"state": "stopped", "pid": None}
        services.append(_as_told({"name": file.stem, "restarts": 0, "last_error": "", **told, **state}))
    return ServiceStates(running=any(service["pid"] for service in services), services=services)


def _is_the_same(pid: int, then: object, began: Callable[[int], int | None]) -> bool:
    """Whether the process lives that left its word; after a power cut another one may have its number."""
    now = began(pid)
    return now is not None and then in (None, now)


def _as_told(service: dict[str, Any]) -> dict[str, Any]:
    """With every field that readers rely on, whatever wrote it."""
    told = {"name": "?", "state": "stopped", "pid": None, "restarts": 0, "last_error": ""} | service
    return told | {"last_error": str(told["last_error"] or "").removeprefix("kit: ")}
