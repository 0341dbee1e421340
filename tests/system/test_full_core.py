"""A city core whose disk has not a byte left stays up, takes nothing, asks its kits to wait, and goes on by itself."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_disk import fill, small_disk
from village import Village
from whole_unit import KIT, wait_until

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def small_core(tmp_path: Path) -> Iterator[Village]:
    with small_disk(tmp_path / "core", megabytes=24):
        made = Village(tmp_path)
        try:
            yield made
        finally:
            for home in list(made.processes):
                made.stop(home)


def sync_service(village: Village) -> dict[str, Any]:
    services = json.loads((village.core / "run" / "services.json").read_text())["services"]
    return next(each for each in services if each["name"] == "sync")


def waits_for_room(village: Village) -> bool:
    """Asked while somebody goes on filling the disk."""
    fill(village.core)
    waiting = [row for row in village.kit("queue", "ls") if row["state"] in ("written", "left")]
    return bool(waiting) and "no room to store" in json.dumps(waiting)


def page(village: Village) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{village.core_web}/", timeout=30) as answer:
        return str(answer.read().decode())


def test_a_core_without_a_byte_of_room_stays_up_says_so_and_takes_everything_later(small_core: Village) -> None:
    village = small_core
    village.start(village.core, "core", "run")
    village.start(village.home, "run")
    village.kit("join", village.kit("core", "invite", "Orchard", home=village.core)["invite"])
    roof = village.kit("device", "add", "roof")
    village.measure(roof, range(5))
    village.batch()
    wait_until(village.all_accepted, seconds=60, what="the first readings are at the core")
    wait_until((village.core / "reserve").exists, seconds=60, what="the core has its reserve")
    before = sync_service(village)

    fill(village.core)
    wait_until(lambda: not (village.core / "reserve").exists(), seconds=60, what="the core gives its reserve up")
    village.measure(roof, range(5, 10))
    village.batch()
    wait_until(lambda: waits_for_room(village), seconds=60, what="the kit is told to wait")
    (problem,) = village.kit("core", "status", home=village.core)["problems"]
    assert f"(file system {village.core}) is full" in problem
    assert "asked to wait" in problem
    assert "is full" in page(village)
    assert sync_service(village) == before  # the same process, never restarted
    assert not any(row["seq"] > 1 for row in village.records() if row["kind"] == "readings")

    # a start without any room says what is missing, and waits
    village.stop(village.core)
    fill(village.core)
    command = [*KIT, "core", "run", "--home", str(village.core)]
    with (village.home.parent / "again.txt").open("wb") as said:
        village.processes[village.core] = subprocess.Popen(command, stdout=said, stderr=said)
    told = wait_until((village.home.parent / "again.txt").read_text, seconds=60, what="it says that it waits")
    assert "0.0 MB free) is full: 0.3 MB are needed; free some space: this waits, and goes on by itself" in told

    (village.core / "ballast").unlink()
    wait_until(lambda: village.serves(village.core), seconds=60, what="the core goes on by itself")
    village.kit("queue", "retry")  # else the kit asks after a minute, as it was told to
    wait_until(village.all_accepted, seconds=90, what="what waited is at the core")
    assert village.kit("core", "status", home=village.core)["problems"] == []
    # nobody goes on saying that there is no room: the queue, the technician's page and screen read the same facts
    wait_until(lambda: "no room" not in json.dumps(village.kit("status")["links"]), seconds=30, what="no word of it")
    assert "no room" not in json.dumps(village.kit("queue", "ls"))
    (kit,) = village.kit("core", "kits", home=village.core)
    assert kit["readings"]["count"] == 10
