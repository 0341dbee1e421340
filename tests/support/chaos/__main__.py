"""`script/chaos`: see docs/chaos.md."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from powercut import lacking

from chaos.devices import Device
from chaos.judge import Line, Promises, at_the_core, at_the_kit, not_batched, rows, table
from chaos.people import AlertLog, People
from chaos.town import ChaosError, Side, Town, wait_for
from kit.collect.batching import ROWS

PEOPLE = 4

KILLS = ("one of the kit", "one of the core", "the whole kit", "the whole core", "everything")
"""What a kill may hit; the first two four times as often, as parts die more often than wholes."""
WEIGHTS = (4, 4, 1, 1, 1)


@dataclass(frozen=True)
class Plan:
    """What is done; the same plan makes the same choices.

    Attributes:
        seed: of every random choice.
        kills: how often something is killed.
        devices: how many sensors publish.
        disk: on what the homes lie, one of `chaos.town.DISKS`.
    """

    seed: int
    kills: int
    devices: int
    disk: str


@dataclass(frozen=True)
class Result:
    """How it ended."""

    plan: Plan
    killed: dict[str, int]
    forgotten: int
    kit: list[Line]
    core: list[Line]

    @property
    def clean(self) -> bool:
        """Nothing lost, nothing doubled."""
        return all(line.lost == 0 and line.doubled == 0 for line in (*self.kit, *self.core))

    def text(self) -> str:
        """As the terminal shows it."""
        disk = {
            "kept": "",
            "forgetful": f", {self.forgotten:,} unsynced writes taken back",
            "ext4": f", {self.forgotten:,} files set back or gone",
        }[self.plan.disk]
        hits = ", ".join(f"{name} {times}×" for name, times in sorted(self.killed.items()))
        return "\n".join(
            [
                f"seed {self.plan.seed}: {sum(self.killed.values())} kills ({hits}){disk}",
                table("at the kit", self.kit),
                table("at the core", self.core),
                "Nothing acknowledged was lost, nothing was doubled." if self.clean else "NOT CLEAN",
            ]
        )


class Load:
    """Everybody who writes to the kit while it is being killed."""

    def __init__(self, town: Town, plan: Plan) -> None:
        rng = random.Random(plan.seed + 1)
        self.devices = []
        pause_s = (0.05 * plan.devices / 50, 0.5 * plan.devices / 50)
        for number in range(plan.devices):
            made = town.ask("device", "add", f"probe-{number}")
            self.devices.append(
                Device(made["username"], made["password"], made["topic"], random.Random(rng.random()), pause_s)
            )
        self.alerts = AlertLog(town)
        self.people = People(town, random.Random(rng.random()), self.alerts)
        self._stop = threading.Event()
        self._port = town.broker_port
        self._threads = [
            threading.Thread(target=self.people.live, args=(self._stop, f"person-{number}")) for number in range(PEOPLE)
        ]
        self._threads.append(threading.Thread(target=lambda: asyncio.run(self._measure())))

    def start(self) -> None:
        """Begin."""
        self.alerts.start()
        for thread in self._threads:
            thread.start()

    def finish(self, seconds: float) -> None:
        """Stop making new things; wait until what was begun is acknowledged."""
        self._stop.set()
        for thread in self._threads:
            thread.join(seconds)
            if thread.is_alive():
                raise ChaosError(f"a writer was not acknowledged within {seconds:.0f} s after the last kill")
        self.alerts.stop()

    async def _measure(self) -> None:
        stop = asyncio.Event()
        sensors = [asyncio.create_task(device.live(self._port, stop)) for device in self.devices]
        while not self._stop.is_set():
            await asyncio.sleep(0.1)
        stop.set()
        await asyncio.gather(*sensors)

    def promises(self) -> Promises:
        """What everybody was told is safe."""
        return Promises(
            readings={
                (device.name, time_s, value) for device in self.devices for time_s, value in device.acknowledged.items()
            },
            receipts=set(self.people.receipts),
            quizzes=set(self.people.quizzes),
            alerts=set(self.alerts.raised),
        )


class Reaper:
    """Kills by chance; counts what the disks forgot."""

    def __init__(self, town: Town, load: Load, rng: random.Random) -> None:
        self._town, self._load, self._rng = town, load, rng
        self.killed: Counter[str] = Counter()
        self.forgotten = 0

    def strike(self) -> None:
        """One kill, and a new start where a whole half died."""
        what = self._rng.choices(KILLS, WEIGHTS)[0]
        self.killed[what] += 1
        if what == "one of the kit":
            self._town.kit.kill_one(self._rng)
        elif what == "one of the core":
            self._town.core.kill_one(self._rng)
        else:
            self._cut(
                [
                    *([self._town.core] if what != "the whole kit" else []),
                    *([self._town.kit] if what != "the whole core" else []),
                ]
            )

    def _cut(self, sides: list[Side]) -> None:
        if self._town.kit in sides:
            self._town.kit.kill_all()
            self._load.alerts.stop()
        for side in sides:
            self.forgotten += side.power_cut(self._rng)
        for side in sides:
            side.start()
        if self._town.kit in sides:
            self._load.alerts.start()


def run(plan: Plan, directory: Path, say: Any = lambda _line: None) -> Result:
    """Live through it.

    Raises:
        ChaosError: a half did not come back, or was not done in time.
    """
    town = Town(directory, disk=plan.disk)
    rng = random.Random(plan.seed)
    try:
        town.found()
        load = Load(town, plan)
        reaper = Reaper(town, load, rng)
        load.start()
        began = time.monotonic()
        for number in range(plan.kills):
            time.sleep(rng.uniform(0.1, 1.5))
            reaper.strike()
            if number % 10 == 9:
                say(f"{number + 1} kills in {time.monotonic() - began:.0f} s")
        load.finish(60)
        kit_store, core_store = town.kit.home / "kit.db", town.core.home / "core.db"
        wait_for(lambda: _settled(kit_store), seconds=120, what="everything to reach the core")
        promises = load.promises()
        return Result(
            plan,
            dict(reaper.killed),
            reaper.forgotten,
            at_the_kit(kit_store, promises),
            at_the_core(kit_store, core_store, promises),
        )
    finally:
        town.close()


def _settled(store: Path) -> bool:
    """No full batch of readings waits, and the core has acknowledged every record."""
    (pending,) = rows(store, "SELECT count(*) FROM records WHERE pending = 1")[0]
    return int(pending) == 0 and len(not_batched(store)) < ROWS


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="script/chaos", description="Kill a kit and its core again and again; then call every acknowledgement in."
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same choices (default 1)")
    parser.add_argument("--kills", type=int, default=100, help="how many SIGKILLs (default 100)")
    parser.add_argument("--devices", type=int, default=50, help="how many sensors publish (default 50)")
    disks = parser.add_mutually_exclusive_group()
    disks.add_argument(
        "--forgetful", dest="disk", action="store_const", const="forgetful", help="the disk loses what was not synced"
    )
    disks.add_argument(
        "--ext4", dest="disk", action="store_const", const="ext4", help="a real one whose power is cut; needs root"
    )
    parser.add_argument("--keep", action="store_true", help="leave the homes for a look afterwards")
    parser.add_argument("--json", action="store_true", help="the result as JSON")
    parser.set_defaults(disk="kept")
    told = parser.parse_args()
    if told.disk == "ext4" and (reason := lacking()):
        parser.error(reason)
    plan = Plan(seed=told.seed, kills=told.kills, devices=told.devices, disk=told.disk)
    directory = Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        result = run(plan, directory, say=lambda line: print(line, file=sys.stderr))
    except ChaosError as error:
        print(f"chaos: {error}; the homes are in {directory}", file=sys.stderr)
        return 1
    if told.keep or not result.clean:
        print(f"the homes are in {directory}", file=sys.stderr)
    else:
        shutil.rmtree(directory)
    print(json.dumps(asdict(result), indent=2) if told.json else result.text())
    return 0 if result.clean else 1


if __name__ == "__main__":
    sys.exit(main())
