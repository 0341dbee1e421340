"""What an existing Mosquitto loses of what it acknowledged when it is killed with -9, by configuration.

    .venv/bin/python benchmarks/bench_external.py [--rounds 5]

A device publishes a burst at QoS 1 and reads every PUBACK; then Mosquitto is killed at once and started again. "kit
there": the kit's client is connected and takes the readings meanwhile. "kit away": it comes back only afterwards (a
restart, an update), so that all of the burst has to be kept by Mosquitto. Compared are Mosquitto's defaults (with
passwords) and what `kit broker mosquitto-config` writes. The kit's own broker loses none (`bench_ingest.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ingest_sides import free_port, wait_for_port

from kit.broker.changes import Change, Fact, Saved
from kit.broker.external import ExternalBroker
from kit.broker.mosquitto_config import acl_text, conf_text, password_line
from kit.broker.protocol.packets import Connect, Puback, Publish
from kit.broker.protocol.writer import encode
from kit.clock import SystemClock
from kit.model.grants import native_grants
from kit.model.messages import Published

PASSWORD = "benchmark"
SETTLE_S = 1.0


class OnDisk:
    """The kit's journal, as far as this is about it: a file, flushed before anything is acknowledged."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def load(self) -> Saved:
        return Saved()

    def commit(self, changes: Sequence[Change | Fact], **_patience: object) -> None:
        with self._file.open("ab") as stream:
            stream.writelines(each.payload + b"\n" for each in changes if isinstance(each, Published))
            stream.flush()
            os.fsync(stream.fileno())


async def serve_kit(port: int, file: Path) -> None:
    client = ExternalBroker(
        host="127.0.0.1",
        port=port,
        username="kit",
        password=PASSWORD,
        client_id="kit-bench",
        journal=OnDisk(file),
        clock=SystemClock(),
        topics=("sensors/#",),
        lasting=lambda _topic: False,
    )
    await client.serve(asyncio.Event(), ready=lambda _address: print("ready", flush=True))


class Bench:
    """A Mosquitto with its kit, in a folder."""

    def __init__(self, folder: Path, *, generated: bool) -> None:
        self.folder, self.port = folder, free_port()
        self.kept = folder / "kept"
        self.kept.touch()
        text = conf_text(host="127.0.0.1", port=self.port, folder=str(folder))
        if not generated:
            wanted = ("listener", "allow_anonymous", "password_file", "acl_file")
            text = "\n".join(line for line in text.splitlines() if line.startswith(wanted)) + "\n"
        (folder / "mosquitto.conf").write_text(text + "user root\n")
        (folder / "acl").write_text(acl_text("kit", {"roof": native_grants("roof")}))
        lines = [password_line(name, PASSWORD, salt=os.urandom(12)) for name in ("kit", "roof")]
        (folder / "passwords").write_text("\n".join(lines) + "\n")
        self.mosquitto: subprocess.Popen[bytes] | None = None
        self.kit: subprocess.Popen[bytes] | None = None

    def start_mosquitto(self) -> None:
        command = ["mosquitto", "-c", str(self.folder / "mosquitto.conf")]
        self.mosquitto = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_for_port(self.port)

    def start_kit(self) -> None:
        command = [sys.executable, __file__, "--serve", str(self.port), str(self.kept)]
        self.kit = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.kit.stdout is not None
        self.kit.stdout.readline()

    def kill(self, process: subprocess.Popen[bytes] | None) -> None:
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def burst(self, size: int, mark: int) -> None:
        """Publish and read every PUBACK."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as client:
            client.sendall(encode(Connect(client_id="roof", username="roof", password=PASSWORD.encode())))
            client.recv(4)
            packets = [Publish("sensors/roof", b"%d-%d" % (mark, n), 1, packet_id=n) for n in range(1, size + 1)]
            client.sendall(b"".join(map(encode, packets)))
            wanted = size * len(encode(Puback(1)))
            while wanted > 0:
                wanted -= len(client.recv(65_536))

    def missing(self, size: int, mark: int) -> int:
        deadline = time.monotonic() + SETTLE_S
        while True:
            kept = {line for line in self.kept.read_bytes().splitlines() if line.startswith(b"%d-" % mark)}
            if len(kept) == size or time.monotonic() > deadline:
                return size - len(kept)
            time.sleep(0.02)


def kill_mosquitto(bench: Bench) -> None:
    bench.kill(bench.mosquitto)


def lost(
    folder: Path,
    *,
    generated: bool,
    away: bool,
    size: int,
    rounds: int,
    end: Callable[[Bench], None] = kill_mosquitto,
) -> int:
    """Messages lost in so many rounds; `end` is what happens behind the last PUBACK of each."""
    bench = Bench(folder, generated=generated)
    os.sync()  # a unit that was set up long ago
    try:
        total = 0
        for mark in range(rounds):
            bench.start_mosquitto()
            bench.start_kit()
            if away:
                bench.kill(bench.kit)
            bench.burst(size, mark)
            end(bench)
            bench.start_mosquitto()
            if bench.kit is None or bench.kit.poll() is not None:
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
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve_kit(int(arguments.serve[0]), Path(arguments.serve[1])))
        return
    if not shutil.which("mosquitto"):
        sys.exit("mosquitto is not installed; see script/test-tools")
    print(f"{'lost of acknowledged':<24}{'burst':>8}{'Mosquitto as it comes':>24}{'generated':>12}")
    for away in (False, True):
        for size in (1, 20, 400):
            counts = []
            for generated in (False, True):
                with tempfile.TemporaryDirectory() as folder:
                    counts.append(
                        lost(Path(folder), generated=generated, away=away, size=size, rounds=arguments.rounds)
                    )
            total = size * arguments.rounds
            who = "kit away" if away else "kit there"
            print(f"{who:<24}{size:>8}{f'{counts[0]} of {total}':>24}{f'{counts[1]} of {total}':>12}", flush=True)


if __name__ == "__main__":
    main()
