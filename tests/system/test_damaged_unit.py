"""A real unit whose card has spoiled a page: it finds out by itself, goes on, and says what it lost."""

from __future__ import annotations

import os
import sqlite3
import urllib.request
from typing import TYPE_CHECKING

import pytest
from stored import measure
from whole_unit import wait_until

from kit.home import Home

if TYPE_CHECKING:
    from village import Village

pytestmark = pytest.mark.timeout(300)


def spoil_a_leaf(home: Home) -> None:
    connection = sqlite3.connect(home.database)
    assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'readings'").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with home.database.open("r+b") as stream:
        number, kind = root, 0x02
        while kind == 0x02:
            leaf = number
            stream.seek((leaf - 1) * size)
            page = stream.read(size)
            kind, cell = page[0], int.from_bytes(page[12:14], "big")
            number = int.from_bytes(page[cell : cell + 4], "big")
        stream.seek((leaf - 1) * size)
        stream.write(os.urandom(size))


def test_a_unit_with_a_spoiled_page_serves_again_within_a_minute_and_says_what_it_lost(village: Village) -> None:
    village.start(village.home, "run")
    roof = village.kit("device", "add", "roof")
    measure(Home(village.home), "field", *(float(number) for number in range(5_000)))
    village.measure(roof, range(3))
    village.power_cut(village.home)
    spoil_a_leaf(Home(village.home))
    village.start(village.home, "run")
    (damage,) = wait_until(lambda: village.kit("status")["damage"], seconds=60, what="the damage is found and mended")
    assert "readings" in damage["incomplete"]
    wait_until(lambda: village.serves(village.home), seconds=60, what="all services are back")
    with urllib.request.urlopen(f"http://127.0.0.1:{village.web}/", timeout=30) as answer:
        assert answer.status == 200
    village.measure(roof, range(3, 6))
    values = [row["value"] for row in village.kit("readings", "--device", "roof")]
    assert values == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    events = wait_until(lambda: village.kit("log", "power"), seconds=60, what="the unclean ends are settled")
    accounts = [account for event in events for account in event["accounts"] if account["who"] == "roof"]
    assert sum(account["acknowledged"] for account in accounts) >= 3
    assert sum(account["lost"] for account in accounts) == 0
