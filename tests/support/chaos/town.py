"""A kit and a city core as real processes, joined over the cellular link, that can be killed in parts or whole."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forgetful import ForgetfulDisk
from ports import free_ports
from powercut import ImageDisk

KIT = [sys.executable, "-m", "kit.cli"]

DISKS: dict[str, Callable[[Path, Path], ForgetfulDisk | ImageDisk | None]] = {
    "kept": lambda _home, _scratch: None,
    "forgetful": ForgetfulDisk,
    "ext4": ImageDisk,
}
"""What a half's home lies on: the machine's own disk, or one that loses what was not synced when the half is killed."""

START_S = 40.0
"""How long a unit may take to serve again on a busy machine before the run is called a failure."""


class ChaosError(Exception):
    """The run itself could not go on; the sentence says why."""


def wait_for(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Poll until it is so.

    Raises:
        ChaosError: it did not become so in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ChaosError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.05)


@dataclass
class Side:
    """One half: a home, the command that runs it, and the disk it lies on."""

    home: Path
    command: tuple[str, ...]
    alive: Callable[[], bool]
    disk: ForgetfulDisk | ImageDisk | None = None
    started: int = 0

    def start(self) -> None:
        """Start it and wait until it serves."""
        environment = self.disk.environment if self.disk is not None else None
        log = (self.home.parent / f"{self.home.name}.log").open("ab")
        with log:
            subprocess.Popen(
                [*KIT, *self.command, "--home", str(self.home)],
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        self.started += 1
        try:
            wait_for(self.alive, seconds=START_S, what=f"{self.home.name} to serve")
        except ChaosError as error:
            told = (self.home.parent / f"{self.home.name}.log").read_text(errors="replace").splitlines()[-5:]
            raise ChaosError(f"{error}; it said: {' / '.join(told)}") from error

    def processes(self) -> dict[int, str]:
        """Every living process of this half with its command line."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if str(self.home).encode() in words:
                        found[int(entry.name)] = b" ".join(words).decode(errors="replace")
        return found

    def services(self) -> list[int]:
        """The processes of its services."""
        try:
            told = json.loads((self.home / "run" / "services.json").read_text())
        except (OSError, ValueError):
            return []
        return [service["pid"] for service in told["services"] if service["pid"]]

    def kill_one(self, rng: random.Random) -> bool:
        """SIGKILL to a service chosen by chance; its supervisor starts it again."""
        alive = sorted(self.services())
        if not alive:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(alive), signal.SIGKILL)
        return True

    def kill_all(self) -> None:
        """SIGKILL to everything of this half, until nothing is left."""
        deadline = time.monotonic() + START_S
        while left := self.processes():
            # all stand still first: at their supervisor's death the kernel asks services to end, and some would in time
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
            if time.monotonic() > deadline:
                raise ChaosError(f"processes that cannot be killed: {left}")
            time.sleep(0.01)

    def power_cut(self, rng: random.Random) -> int:
        """Kill everything; where the disk forgets, lose what was not synced. Returns how many writes or files."""
        self.kill_all()
        return self.disk.power_cut(rng) if self.disk is not None else 0


@dataclass
class Town:
    """Kit and core below one directory."""

    directory: Path
    disk: str = "kept"
    ports: list[int] = field(default_factory=lambda: free_ports(5))

    def __post_init__(self) -> None:
        web, _, core_web, *_ = self.ports
        self.kit = self._side("kit", ("run",), lambda: _answers(f"http://127.0.0.1:{web}/healthz"))
        self.core = self._side("core", ("core", "run"), lambda: _answers(f"http://127.0.0.1:{core_web}/healthz"))

    @property
    def portal(self) -> str:
        """Where the pages are."""
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def broker_port(self) -> int:
        """Where devices publish."""
        return self.ports[1]

    def found(self) -> None:
        """Write settings, start both, join them."""
        web, broker, core_web, core, https = (f"127.0.0.1:{port}" for port in self.ports)
        (self.kit.home / "kit.toml").write_text(f'[web]\nlisten = "{web}"\n[broker]\nlisten = "{broker}"\n')
        (self.core.home / "kit.toml").write_text(
            f'[core]\nlisten = "{core}"\nhttps = "{https}"\nweb = "{core_web}"\npublic = "tcp://{core}"\n'
        )
        os.sync()  # whoever wrote the settings has seen to that
        self.core.start()
        self.kit.start()
        invite = self.ask("core", "invite", "Chaos village", home=self.core.home)["invite"]
        self.ask("join", invite)

    def ask(self, *arguments: str, home: Path | None = None) -> Any:
        """`kit … --json`.

        Raises:
            ChaosError: the command failed.
        """
        command = [*KIT, "--home", str(home or self.kit.home), *arguments, "--json"]
        side = self.core if home == self.core.home else self.kit
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            # commands write to the same disk, and must forget with it
            env=side.disk.environment if side.disk is not None else None,
        )
        if done.returncode != 0:
            raise ChaosError(f"kit {' '.join(arguments)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def close(self) -> None:
        """Leave no process behind."""
        self.kit.kill_all()
        self.core.kill_all()
        for side in (self.kit, self.core):
            if isinstance(side.disk, ImageDisk):
                side.disk.close()

    def _side(self, name: str, command: tuple[str, ...], alive: Callable[[], bool]) -> Side:
        home = self.directory / name
        home.mkdir(parents=True)
        return Side(home.resolve(), command, alive, DISKS[self.disk](home, self.directory / f"{name}-disk"))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True  # it says that something is not well, so it serves
    except (OSError, ValueError):
        return False
