"""How long commands take to start, as multiples of `python -c pass` in the same run.

Interleaved, so that a busy machine disturbs all alike; the median of each counts. Usage:
python benchmarks/bench_cli_start.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time

BUDGETS = {"kit --help": 5.0, "kit status": 7.0, "kit status --json": 7.0, "kit device list": 7.0}


def commands(home: str) -> dict[str, list[str]]:
    kit = [sys.executable, "-m", "kit.cli"]
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "kit --help": [*kit, "--help"],
        "kit status": [*kit, "status", "--home", home],
        "kit status --json": [*kit, "status", "--home", home, "--json"],
        "kit device list": [*kit, "device", "list", "--home", home],
        "kit queue ls": [*kit, "queue", "ls", "--home", home],
    }


def measure(rounds: int) -> dict[str, float]:
    """Median seconds of each command on a home that has a store."""
    with tempfile.TemporaryDirectory() as home:
        todo = commands(home)
        subprocess.run([*todo["kit status"][:3], "device", "add", "bench", "--home", home], check=True, stdout=-3)
        took: dict[str, list[float]] = {name: [] for name in todo}
        for _ in range(rounds):
            for name, command in todo.items():
                start = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                took[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) for name, each in took.items()}


def main() -> int:
    medians = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
    base = medians["python -c pass"]
    over = 0
    for name, seconds in medians.items():
        budget = BUDGETS.get(name)
        late = budget is not None and seconds > budget * base
        over += late
        print(f"{name:<20} {seconds * 1000:7.1f} ms  {seconds / base:5.2f}×" + (f"  of {budget:g}×" if budget else ""))
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
