"""A unit's services as processes of their own, to be killed."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ports import free_ports
from whole_unit import KIT, wait_until


@dataclass
class Services:
    """The broker and the collector of a unit as real processes, without a supervisor."""

    home: Path
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        for name in ("broker", "collect"):
            log = (self.home / f"{name}.out").open("ab")
            self.processes.append(
                subprocess.Popen([*KIT, "service", name, "--home", str(self.home)], stdout=log, stderr=log)
            )
            wait_until(partial(self._serves, name), seconds=60, what=f"{name} to serve")

    def _serves(self, name: str) -> bool:
        process = self.processes[-1]
        assert process.poll() is None, (self.home / f"{name}.out").read_text()
        try:
            told = json.loads((self.home / "run" / f"{name}.self").read_text())
        except (OSError, ValueError):
            return False
        return bool(told["pid"] == process.pid)

    def kill(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes.clear()

    def kit(self, *arguments: str, fails: bool = False) -> Any:
        done = subprocess.run(
            [*KIT, "--home", str(self.home), *arguments, "--json"], capture_output=True, timeout=60, check=False
        )
        assert fails or done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)


def make_home(folder: Path) -> tuple[Path, int]:
    """A home whose broker listens on a free port."""
    port = free_ports(1)[0]
    home = folder / "kit"
    home.mkdir()
    (home / "kit.toml").write_text(f'[broker]\nlisten = "127.0.0.1:{port}"\n')
    return home, port
