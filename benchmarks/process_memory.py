"""How much memory the processes of a unit take, as the kernel counts it.

RSS counts every page that a process has mapped, also those it shares with the others (Python itself, OpenSSL, SQLite);
PSS counts a shared page in parts, so that the sum over all processes is what the machine really gives up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Memory:
    """Bytes of one process, or of several together."""

    rss: int
    pss: int

    def __add__(self, other: Memory) -> Memory:
        return Memory(self.rss + other.rss, self.pss + other.pss)

    def __str__(self) -> str:
        return f"{self.rss / 1e6:.0f} MB RSS, {self.pss / 1e6:.0f} MB PSS"


NOTHING = Memory(0, 0)


def memory_of(pid: int) -> Memory:
    """What the process takes now."""
    told = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in told[1:]}
    return Memory(kilobytes["Rss"] * 1024, kilobytes["Pss"] * 1024)


def unit_processes(home: Path, supervisor: str = "kit run") -> dict[str, int]:
    """The process of each service of the unit (or core) in that home, and of what supervises them."""
    services = json.loads((home / "run" / "services.json").read_text())["services"]
    found = {str(each["name"]): int(each["pid"]) for each in services if each["pid"]}
    status = Path(f"/proc/{next(iter(found.values()))}/status").read_text().splitlines()
    parent = next(int(line.split()[1]) for line in status if line.startswith("PPid"))
    return {supervisor: parent, **found}


class Watch:
    """The largest sum that some processes together ever took, looked at now and then."""

    def __init__(self, pids: dict[str, int]) -> None:
        self.pids = pids
        self.peak, self.at_peak = NOTHING, dict.fromkeys(pids, NOTHING)

    def look(self) -> None:
        """Look now."""
        now = {name: memory_of(pid) for name, pid in self.pids.items()}
        total = sum(now.values(), NOTHING)
        if total.rss > self.peak.rss:
            self.peak, self.at_peak = total, now
