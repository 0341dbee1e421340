"""A whole unit as real processes: started, killed, asked and stopped from outside, as a technician would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ports import free_ports

KIT = [sys.executable, "-m", "kit.cli"]


def wait_until(condition: Callable[[], Any], *, seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.1)


@dataclass
class Unit:
    """A kit with simulated hardware and a city core beside it, in homes below one directory."""

    directory: Path
    ports: list[int] = field(default_factory=lambda: free_ports(5))
    process: subprocess.Popen[str] | None = None

    @property
    def home(self) -> Path:
        return self.directory / "kit"

    @property
    def core_home(self) -> Path:
        return self.directory / "kit-core"

    @property
    def portal(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def broker_port(self) -> int:
        return self.ports[1]

    def write_settings(self) -> None:
        """The simulation's own settings, on ports that are free on this machine."""
        from kit.data import load_frost_night
        from kit.run.simulation import simulated_settings
        from kit.settings import settings_as_toml

        web, broker, core_web, core, https = (f"127.0.0.1:{port}" for port in self.ports)
        text = settings_as_toml(simulated_settings(load_frost_night()))
        text = text.replace('# listen = "0.0.0.0:8080"', f'listen = "{web}"')
        text = text.replace('# listen = "0.0.0.0:1883"', f'listen = "{broker}"')
        for home in (self.home, self.core_home):
            home.mkdir(parents=True)
        (self.home / "kit.toml").write_text(text)
        (self.core_home / "kit.toml").write_text(
            f'[core]\nlisten = "{core}"\nhttps = "{https}"\nweb = "{core_web}"\npublic = "tcp://{core}"\n'
            '[core.links.lora]\nradio = "simulated"\n'
        )

    def start(self, *arguments: str) -> None:
        log = (self.directory / "story.txt").open("a")
        self.process = subprocess.Popen(
            [*KIT, "run", "--sim", "--core", "--home", str(self.home), *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def story(self) -> str:
        return (self.directory / "story.txt").read_text()

    def stop(self) -> float:
        """Ctrl-C; how many seconds it took until the process had ended."""
        assert self.process is not None
        before = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=20)
        return time.monotonic() - before

    def kit(self, *arguments: str, home: Path | None = None) -> Any:
        """`kit … --json` on this unit."""
        done = subprocess.run(
            [*KIT, "--home", str(home or self.home), *arguments, "--json"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"kit {' '.join(arguments)}: {done.stderr}"
        return json.loads(done.stdout)

    def services(self, home: Path | None = None) -> dict[str, dict[str, Any]]:
        try:
            told = json.loads(((home or self.home) / "run" / "services.json").read_text())
        except (OSError, ValueError):
            return {}
        return {service["name"]: service for service in told["services"]}

    def all_running(self) -> bool:
        kit, core = self.services(), self.services(self.core_home)
        return (
            bool(kit)
            and bool(core)
            and all(service["state"] == "running" for service in (*kit.values(), *core.values()))
        )

    def kill(self, name: str, home: Path | None = None) -> None:
        pid = self.services(home).get(name, {}).get("pid")
        if pid:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.portal + path, timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    def post(self, path: str, **fields: str) -> None:
        request = urllib.request.Request(
            self.portal + path, urllib.parse.urlencode(fields).encode(), {"Origin": self.portal}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()
