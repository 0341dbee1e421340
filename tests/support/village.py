"""A real kit and a real core beside it, started and stopped as their users do; nothing is simulated."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from ports import free_ports
from whole_unit import KIT, wait_until

from kit.clock import ManualClock
from kit.collect.batching import Batcher
from kit.health.services import process_lives
from kit.home import Home
from kit.run.schema import open_unit_store


class Village:
    """A kit and a core as their users start them."""

    def __init__(self, folder: Path, *, log: Path | None = None) -> None:
        self.home, self.core = folder / "kit", folder / "core"
        self.web, self.broker, core, self.core_web, https = free_ports(5)
        self.home.mkdir(exist_ok=True)
        self.core.mkdir(exist_ok=True)
        (self.home / "kit.toml").write_text(
            f'[web]\nlisten = "127.0.0.1:{self.web}"\n'
            f'[broker]\nlisten = "127.0.0.1:{self.broker}"\n[backup]\nkeep = 0\n'
        )
        (self.core / "kit.toml").write_text(
            f'[core]\nlisten = "127.0.0.1:{core}"\nhttps = "127.0.0.1:{https}"\n'
            f'web = "127.0.0.1:{self.core_web}"\npublic = "tcp://127.0.0.1:{core}"\n'
        )
        self.log = log or folder / "log.txt"
        self.processes: dict[Path, subprocess.Popen[bytes]] = {}

    def start(self, home: Path, *words: str) -> None:
        (home / "run" / "services.json").unlink(missing_ok=True)  # a killed unit's still says that all runs
        with self.log.open("ab") as log:
            self.processes[home] = subprocess.Popen([*KIT, *words, "--home", str(home)], stdout=log, stderr=log)
        wait_until(lambda: self.serves(home), seconds=60, what=f"{home.name} serves")

    def serves(self, home: Path) -> bool:
        try:
            services = json.loads((home / "run" / "services.json").read_text())["services"]
        except (OSError, ValueError):
            return False
        return all(service["state"] == "running" for service in services)

    def stop(self, home: Path) -> None:
        process = self.processes.pop(home, None)
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)

    def kit(self, *words: str, home: Path | None = None) -> Any:
        done = subprocess.run(
            [*KIT, "--home", str(home or self.home), *words, "--json"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def measure(self, device: dict[str, Any], values: range) -> None:
        client = Client(CallbackAPIVersion.VERSION2, client_id="roof")
        client.username_pw_set(device["username"], device["password"])
        client.connect("127.0.0.1", self.broker)
        client.loop_start()
        for value in values:
            told = [{"n": "temperature", "u": "Cel", "v": value, "t": 1_790_000_000 + value}]
            client.publish("sensors/roof", json.dumps(told), qos=1).wait_for_publish(10)
        client.disconnect()
        client.loop_stop()

    def batch(self) -> None:
        """A quarter of an hour later: what was measured goes into a record for the core."""
        with open_unit_store(Home(self.home)) as store:
            Batcher(store, ManualClock(at_s=time.time() + 1000)).step()

    def records(self) -> list[dict[str, Any]]:
        return list(self.kit("core", "records", home=self.core))

    def all_accepted(self) -> bool:
        queued = self.kit("queue", "ls")
        return bool(queued) and all(row["state"] != "written" and row["state"] != "left" for row in queued)

    def power_cut(self, home: Path) -> None:
        """Everything of that home is gone at once."""
        services = json.loads((home / "run" / "services.json").read_text())["services"]
        process = self.processes.pop(home)
        # the supervisor last: at its death the kernel asks its services to end, and some would still end cleanly
        process.send_signal(signal.SIGSTOP)
        pids = [service["pid"] for service in services if service["pid"]]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()
        wait_until(lambda: not any(map(process_lives, pids)), seconds=60, what="every process is gone")
