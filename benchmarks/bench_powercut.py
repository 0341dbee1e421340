"""What is lost of what was acknowledged when the power goes: on a real ext4, which has its own idea of what is on disk.

    sudo .venv/bin/python benchmarks/bench_powercut.py [--rounds 5]

A device publishes a burst at QoS 1 and reads every PUBACK. Then the power of the file system under it all is cut (see
`tests/support/powercut.py`; root is needed), all is started again, and the burst is counted. Compared are the kit's own
broker with its whole ingest, Mosquitto as it comes, and Mosquitto as `kit broker mosquitto-config` sets it up, with the
kit's client connected or away.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from bench_external import Bench, lost
from bench_ingest import Device
from ingest_sides import Side
from powercut import ImageDisk, lacking


@contextmanager
def disk() -> Iterator[ImageDisk]:
    with tempfile.TemporaryDirectory() as folder:
        made = ImageDisk(Path(folder) / "disk", Path(folder) / "scratch", mib=96)
        try:
            yield made
        finally:
            made.close()


def cut(under: ImageDisk, processes: list[subprocess.Popen[bytes] | subprocess.Popen[str]]) -> None:
    """The power goes while these run, and comes back."""
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    for process in processes:
        process.kill()
        process.wait()
    under.power_cut()


def lost_by_kit(size: int, rounds: int) -> int:
    """Of the kit's own broker."""
    with disk() as under:
        side, total = Side("kit", under.root), 0
        os.sync()  # a unit that was set up long ago
        try:
            for _ in range(rounds):
                side.start()
                before = side.count()
                device = Device(side, 0, size)
                device.fill_window()
                while device.acknowledged < size:
                    device.take_acknowledgements()
                cut(under, [*side.processes])
                side.processes.clear()
                device.socket.close()
                total += size - (side.count() - before)
            return total
        finally:
            side.kill()


def lost_by_mosquitto(size: int, rounds: int, *, generated: bool, away: bool) -> int:
    """Of Mosquitto with the kit's client behind it."""
    with disk() as under:

        def end(bench: Bench) -> None:
            cut(under, [each for each in (bench.mosquitto, bench.kit) if each and each.poll() is None])

        return lost(under.root, generated=generated, away=away, size=size, rounds=rounds, end=end)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds: int = parser.parse_args().rounds
    if reason := lacking() or (
        None if shutil.which("mosquitto") else "not installed: mosquitto; see script/test-tools"
    ):
        sys.exit(reason)
    sides: dict[str, Callable[[int, bool], int]] = {
        "Mosquitto as it comes": lambda size, away: lost_by_mosquitto(size, rounds, generated=False, away=away),
        "generated": lambda size, away: lost_by_mosquitto(size, rounds, generated=True, away=away),
    }
    names = [*sides, "own broker"]
    print(f"{'lost of acknowledged':<24}{'burst':>8}" + "".join(f"{name:>24}" for name in names))
    for away in (False, True):
        for size in (1, 20, 400):
            total = size * rounds
            told = [f"{count(size, away)} of {total}" for count in sides.values()]
            own = f"{lost_by_kit(size, rounds)} of {total}" if not away else "-"
            who = "kit away" if away else "kit there"
            print(f"{who:<24}{size:>8}" + "".join(f"{each:>24}" for each in [*told, own]), flush=True)


if __name__ == "__main__":
    main()
