"""What is lost of what was acknowledged when the power goes: on a real ext4, which has its own idea of what is on disk.

    sudo .venv/bin/python benchmarks/bench_powercut.py [--rounds 5]

A file system of its own in an image (root is needed to mount it; `commit=5`, ext4's default). A device publishes a
burst at QoS 1 and reads every PUBACK. Then everything is stopped where it stands and the image is copied: it holds what
the file system had handed to the disk, and nothing that was only in memory. The copy is mounted (its journal played
back) in place of the old one, all is started again, and the burst is counted. Compared are the kit's own broker and its
whole ingest, Mosquitto as it comes, and Mosquitto as `kit broker mosquitto-config` sets it up, with the kit's client
connected or away.

Better than a real disk in one way: the disk keeps all it was handed, flushed or not. A card may lose more, not less.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench_external import Bench
from bench_ingest import Device
from ingest_sides import Side

IMAGE_BYTES = 96 * 1024 * 1024
SETTLE_S = 0.5


class Disk:
    """An ext4 in an image, mounted; `cut` is the power cut."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._number = folder, 0
        self.root = folder / "disk"
        self.root.mkdir()
        with self._image.open("wb") as image:
            image.truncate(IMAGE_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-F", self._image], check=True)
        self._mount()

    @property
    def _image(self) -> Path:
        return self._folder / f"image-{self._number}"

    def _mount(self) -> None:
        subprocess.run(["mount", "-o", "loop", self._image, self.root], check=True)

    def cut(self, processes: list[subprocess.Popen[bytes] | subprocess.Popen[str]]) -> None:
        """The power goes while these run, and comes back."""
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        before = self._image
        self._number += 1
        subprocess.run(["cp", "--sparse=always", before, self._image], check=True)
        for process in processes:
            process.kill()
            process.wait()
        subprocess.run(["umount", self.root], check=True)
        before.unlink()
        self._mount()

    def close(self) -> None:
        subprocess.run(["umount", "-l", self.root], check=True)


@contextmanager
def disk() -> Iterator[Disk]:
    with tempfile.TemporaryDirectory() as folder:
        made = Disk(Path(folder))
        try:
            yield made
        finally:
            made.close()


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
                under.cut([*side.processes])
                side.processes.clear()
                device.socket.close()
                total += size - (side.count() - before)
            return total
        finally:
            side.kill()


def lost_by_mosquitto(size: int, rounds: int, *, generated: bool, away: bool) -> int:
    """Of Mosquitto with the kit's client behind it."""
    with disk() as under:
        bench, total = Bench(under.root, generated=generated), 0
        os.sync()
        try:
            for mark in range(rounds):
                bench.start_mosquitto()
                bench.start_kit()
                if away:
                    bench.kill(bench.kit)
                    time.sleep(SETTLE_S)  # it is known to be away
                bench.burst(size, mark)
                under.cut([each for each in (bench.mosquitto, bench.kit) if each and each.poll() is None])
                bench.start_mosquitto()
                bench.start_kit()
                total += bench.missing(size, mark)
                bench.kill(bench.kit)
                bench.kill(bench.mosquitto)
            return total
        finally:
            bench.kill(bench.kit)
            bench.kill(bench.mosquitto)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds: int = parser.parse_args().rounds
    if os.geteuid() != 0:
        sys.exit("only root can mount the file system whose power is cut: sudo .venv/bin/python benchmarks/…")
    if missing := [each for each in ("mosquitto", "mkfs.ext4") if not shutil.which(each)]:
        sys.exit(f"not installed: {', '.join(missing)}; see script/test-tools")
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
