"""The memory of every process of a unit and of a core, idle and at work.

    .venv/bin/python benchmarks/bench_memory.py [--uplinks 20000] [--night 90]

First a real unit (`kit run`): idle, and at its peak while a gateway delivers a backlog and somebody reads pages
(`bench_burst.py`). Then what `script/run` starts: the simulated night with a city core beside it, `--night` seconds
after everything serves, with the kit joined, frames on the air and a warning out. Floors: broker and collect together
below 80 MB RSS under load; the whole unit below 160 MB PSS, so that it lives on a Raspberry Pi with 512 MB.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from bench_burst import FLOOR_BYTES, KIT, read_pages, unit_in
from ingest_sides import free_port
from process_memory import NOTHING, Memory, Watch, unit_processes

IDLE_S = 20
AFTER_S = 15
FLOOR_UNIT_PSS_BYTES = 160_000_000
PATIENCE_S = 120


def table(title: str, columns: Mapping[str, Mapping[str, Memory]]) -> None:
    """As Markdown, with the sum of all."""
    names = list(next(iter(columns.values())))
    print(f"\n| {title} | " + " | ".join(f"{column}: RSS | PSS" for column in columns) + " |")
    print("|---" + "|---:|---:" * len(columns) + "|")
    for name in [*names, "together"]:
        cells = [
            sum(column.values(), NOTHING) if name == "together" else column.get(name, NOTHING)
            for column in columns.values()
        ]
        print(f"| {name} | " + " | ".join(f"{one.rss / 1e6:.0f} | {one.pss / 1e6:.0f}" for one in cells) + " |")


def look_at(pids: Mapping[str, int]) -> dict[str, Memory]:
    watch = Watch(dict(pids))
    watch.look()
    return watch.at_peak


def measure_unit(home: Path, count: int) -> bool:
    """A real unit; whether it stayed below the floors."""
    with unit_in(home) as unit:
        time.sleep(IDLE_S)
        pids = unit_processes(home)
        idle, both = look_at(pids), Watch({name: pids[name] for name in ("broker", "collect")})
        everything = Watch(dict(pids))
        read_pages(unit.web, both, while_runs=unit.start_gateway(count, 100))
        for _ in range(AFTER_S * 2):
            both.look()
            everything.look()
            time.sleep(0.5)
    table("`kit run`", {"idle": idle, "load": everything.at_peak})
    print(f"\nbroker and collect at their common peak: {both.peak}")
    return both.peak.rss < FLOOR_BYTES and everything.peak.pss < FLOOR_UNIT_PSS_BYTES


def measure_night(home: Path, seconds: float) -> None:
    """What `script/run` starts."""
    core_home = home.with_name(home.name + "-core")
    core_home.mkdir()
    web, broker, core_web, core, https = (f"127.0.0.1:{free_port()}" for _ in range(5))
    (core_home / "kit.toml").write_text(
        f'[core]\nlisten = "{core}"\nhttps = "{https}"\nweb = "{core_web}"\npublic = "tcp://{core}"\n'
        '[core.links.lora]\nradio = "simulated"\n'
    )
    (home / "kit.toml").write_text(_night_settings(web=web, broker=broker))
    unit = subprocess.Popen([*KIT, "run", "--sim", "--core", "--home", str(home)], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (_serves(home) and _serves(core_home)):
            assert time.monotonic() < deadline, "it does not serve"
            time.sleep(0.5)
        time.sleep(seconds)
        kit, city = unit_processes(home), unit_processes(core_home, "kit core run")
        kit.pop("core")  # the same process as the city's `kit core run`
        table("`script/run`: the kit", {f"after {seconds:.0f} s": look_at(kit)})
        table("a city core", {f"after {seconds:.0f} s": look_at(city)})
    finally:
        unit.send_signal(signal.SIGTERM)
        unit.wait(30)


def _night_settings(*, web: str, broker: str) -> str:
    from kit.data import load_frost_night
    from kit.run.simulation import simulated_settings
    from kit.settings import settings_as_toml

    text = settings_as_toml(simulated_settings(load_frost_night()))
    text = text.replace('# listen = "0.0.0.0:8080"', f'listen = "{web}"')
    return text.replace('# listen = "0.0.0.0:1883"', f'listen = "{broker}"')


def _serves(home: Path) -> bool:
    try:
        services = json.loads((home / "run" / "services.json").read_text())["services"]
    except (OSError, ValueError):
        return False
    return all(each["state"] == "running" for each in services)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uplinks", type=int, default=20_000)
    parser.add_argument("--night", type=float, default=90)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "kit"
        home.mkdir()
        sound = measure_unit(home, arguments.uplinks)
    if arguments.night:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder) / "kit"
            home.mkdir()
            measure_night(home, arguments.night)
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
