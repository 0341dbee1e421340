"""A core with a thousand enrolled kits: what its sync service costs while nothing happens, how long a message waits.

The service is the real one (`kit core run --service sync`) in a process of its own; the kits joined by real invites,
and those that are connected lead real sessions over real CURVE connections (`core_kits.py`), each asking every five
minutes whether anything has changed, as an idle kit does.

    .venv/bin/python benchmarks/bench_core.py [kits] [stick] [--count N] [--seconds N] [--records N]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from core_kits import Caller, Callers, enrol_many

from kit.home import Home
from kit.identity import load_or_create_curve_keys
from kit.model.letters import letter_body, make_letter
from kit.model.record_kinds import MESSAGE
from kit.run.bundles import core_exchange
from kit.supervise import READY_FILE_VARIABLE, python_command
from sync.bundles.shelf import Stick
from sync.core.setup import Core, open_core, prepare_core
from sync.protocol.records import Priority, Record, RecordId

MESSAGES = 20
TAKEN_AT_ONCE = 100
TICKS = os.sysconf("SC_CLK_TCK")


def a_core(home: Path) -> Core:
    """A core that listens where nobody else does."""
    home.mkdir(parents=True)
    (home / "kit.toml").write_text('[core]\nlisten = "127.0.0.1:0"\nhttps = ""\nweb = "127.0.0.1:0"\n')
    return prepare_core(Home(home))


@contextmanager
def sync_service(core: Core) -> Iterator[tuple[int, str, float]]:
    """The core's sync service; gives its process id, its address, and the seconds until it was ready."""
    ready = core.home.path / "ready.json"
    ready.unlink(missing_ok=True)
    start_s = time.perf_counter()
    service = subprocess.Popen(
        python_command("core", "run", "--service", "sync", "--home", str(core.home.path)),
        env=os.environ | {READY_FILE_VARIABLE: str(ready)},
    )
    try:
        while not ready.exists():
            assert service.poll() is None
            time.sleep(0.02)
        took_s = time.perf_counter() - start_s
        yield service.pid, f"tcp://{json.loads(ready.read_text())['address']}", took_s
    finally:
        service.terminate()
        service.wait()


def processor_s(process: int) -> float:
    """What that process has used of the processors."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(process: int, what: str = "VmRSS") -> float:
    """What that process holds, or with `VmHWM`, the most it has held."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:")) / 1024.0


def share_of_a_core(process: int, live: Callable[[], object]) -> float:
    """Of one processor, while that goes on."""
    before_s, start_s = processor_s(process), time.monotonic()
    live()
    return (processor_s(process) - before_s) / (time.monotonic() - start_s)


def kits(home: Path, arguments: argparse.Namespace) -> None:
    """Idle cost and a message's wait, with no kit and with many."""
    seconds: float = arguments.seconds
    for count in (0, arguments.count):
        core = a_core(home / str(count))
        callers = enrol_many(core, count)
        with sync_service(core) as (process, address, took_s):
            time.sleep(5.0)
            idle = share_of_a_core(process, lambda: time.sleep(seconds))
            held = f"{idle:.1%} of a processor, {memory_mib(process):.0f} MiB"
            print(f"{count:6} kits, none connected: ready after {took_s:.1f} s, {held}")
            if callers:
                connected(core, callers, process, address, seconds)


def connected(core: Core, callers: list[Caller], process: int, address: str, seconds: float) -> None:
    """All of them at once."""
    kits = Callers(callers, address, load_or_create_curve_keys(core.home).public)
    before_s = processor_s(process)
    took_s = kits.live(120.0, until_all=True)
    kits.live(15.0)
    print(f"  all connect at once: answered after {took_s:.1f} s, {processor_s(process) - before_s:.1f} s of processor")
    kits.spread()
    idle = share_of_a_core(process, lambda: kits.live(seconds))
    print(f"  all connected, each asks every five minutes: {idle:.1%}, {memory_mib(process):.0f} MiB")
    waits_ms = []
    with core.open_store() as store:
        for number in range(MESSAGES):
            one = callers[(number * 37) % len(callers)]
            kits.live(0.7)
            start_s = time.perf_counter()
            store.write(
                addressee=one.unit, kind=MESSAGE, priority=2, body=letter_body(make_letter("Road open", "Asha")),
                now_ms=core.now_ms(),
            )  # fmt: skip
            kits.live(30.0, until=one)
            waits_ms.append(1000.0 * (one.taken[-1][0] - start_s))
    median_ms = statistics.median(waits_ms)
    print(f"  a message to one of them: median {median_ms:.0f} ms, worst of {MESSAGES} {max(waits_ms):.0f}")
    kits.close()


def stick(home: Path, arguments: argparse.Namespace) -> None:
    """Filling a stick with what is to be said to every kit, in a process of its own."""
    core = a_core(home / "core")
    callers = enrol_many(core, arguments.count)
    with core.open_store() as store:
        for first in range(0, arguments.records, TAKEN_AT_ONCE):
            for each in callers:
                some = range(first, min(first + TAKEN_AT_ONCE, arguments.records))
                store.take([_note(each.unit, n) for n in some], peer=each.unit, link="stick", at_ms=core.now_ms() - 9)
    size_mib = sum(each.stat().st_size for each in core.home.path.glob("core.db*")) / 2**20
    print(f"{arguments.count} kits with {arguments.records} records each: core.db {size_mib:.0f} MiB")
    for told in ("all by hand", "once more", "all heard by a link today"):
        if told.endswith("today"):
            with core.open_store() as store:
                for each in callers:
                    store.heard(each.unit, link="cellular", via="", now_ms=core.now_ms())
        with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as process:
            took_s, peak_mib, count, on_it = process.submit(_fill_a_stick, core.home.path, home / "stick").result()
        on_it_mib = on_it / 2**20
        print(f"  {told}: {took_s:.1f} s, at most {peak_mib:.0f} MiB, {count} acknowledged, {on_it_mib:.1f} MiB on it")


def _note(unit: str, number: int) -> Record:
    return Record(
        id=RecordId(unit, 1, number + 1), kind="note", priority=Priority.READING, created_ms=1_790_000_000_000,
        body=number.to_bytes(8, "big") * 16,
    )  # fmt: skip


def _fill_a_stick(home: Path, stick: Path) -> tuple[float, float, int, int]:
    stick.mkdir(exist_ok=True)
    core = open_core(Home(home))
    start_s = time.perf_counter()
    with core_exchange(core) as exchange:
        told = exchange.put_on(Stick(stick))
    took_s = time.perf_counter() - start_s
    assert not told.trouble, told.trouble
    on_it = sum(size for _, size, _ in Stick(stick).sizes())
    return took_s, memory_mib(os.getpid(), "VmHWM"), told.acknowledged, on_it


PARTS: dict[str, Callable[[Path, argparse.Namespace], None]] = {"kits": kits, "stick": stick}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which; all if none is named")
    parser.add_argument("--count", type=int, default=1000, help="of kits")
    parser.add_argument("--seconds", type=float, default=60.0, help="for which an idle core is watched")
    parser.add_argument("--records", type=int, default=500, help="of each kit, when a stick is filled")
    arguments = parser.parse_args()
    for part in arguments.parts or list(PARTS):
        with tempfile.TemporaryDirectory() as home:
            PARTS[part](Path(home), arguments)


if __name__ == "__main__":
    main()
