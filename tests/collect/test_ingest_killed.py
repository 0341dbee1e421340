"""Ingest in a real process that is killed with -9: what was acknowledged is there, once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

from kit.store.database import Database
from kit.store.readings import count_unsynced, find_readings
from kit.store.schema import MIGRATIONS

KILLS = 6

SENSOR = """
import sys
from pathlib import Path
from kit.clock import ManualClock
from kit.collect.ingest import Ingest
from kit.model.messages import Published
from kit.store.database import Database
from kit.store.schema import MIGRATIONS

number = first = int(sys.argv[2])
ingest = Ingest(ManualClock(at_s=2e9))
with Database(Path(sys.argv[1])) as database:
    while True:
        payload = b'[{"n":"temperature","u":"Cel","v":%d}]' % number  # undated: only the packet can tell a repetition
        with database.atomic() as connection:
            ingest(connection, [Published(
                username="f", client_id="f", topic="sensors/f", payload=payload, qos=1, retain=False,
                duplicate=number == first, packet_id=number % 65535 + 1, received_ms=1_460_000_000_000 + number)])
        print(number, flush=True)
        number += 1
"""


def test_what_was_acknowledged_before_a_kill_is_there_exactly_once(tmp_path: Path) -> None:
    file, chance, acknowledged = tmp_path / "kit.db", random.Random(3), 0
    with Database(file, migrations=MIGRATIONS) as database:
        for _ in range(KILLS):
            # a device sends again, marked as a duplicate, what was not acknowledged
            command = [sys.executable, "-c", SENSOR, str(file), str(acknowledged + 1)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                for _ in range(chance.randint(1, 60)):
                    acknowledged = int(process.stdout.readline())
                process.send_signal(signal.SIGKILL)
                acknowledged = max([acknowledged, *(int(line) for line in _whole_lines(process.stdout.read()))])
        stored = [row.value for row in find_readings(database.connection)]
        assert len(stored) == len(set(stored))
        assert set(stored) >= set(range(1, acknowledged + 1))
        assert len(stored) <= acknowledged + 1
        assert count_unsynced(database.connection, at_most=10**6)[0] == len(stored)


def _whole_lines(text: str) -> list[str]:
    return text[: text.rfind("\n") + 1].split()
