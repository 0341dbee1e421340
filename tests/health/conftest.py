"""A unit's home, filled through the kit's own store modules."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kit.clock import ManualClock
from kit.home import Home
from kit.model.forecast import FROST_FACT, NightForecast
from kit.model.readings import Quality
from kit.settings import LinkSettings, LoraSettings, Settings
from kit.store.database import Database
from kit.store.devices import add_device
from kit.store.facts import put_fact
from kit.store.links import LinkRow, put_link
from kit.store.reading_writer import ReadingWriter
from kit.store.records import set_origin, write_record
from kit.store.schema import MIGRATIONS
from sync.protocol.records import Priority

NOW_S = 1_460_419_920.0
"""2016-04-12T00:12:00Z."""


@dataclass
class Village:
    """A home with a store in it."""

    home: Home
    clock: ManualClock
    settings: Settings
    database: Database

    @property
    def now_ms(self) -> int:
        return int(self.clock.now() * 1000)

    def measure(self, device: str, *values: float, every_s: float, last_age_s: float, known: bool = True) -> None:
        """The device measured these temperatures, the last one so long ago."""
        writer = ReadingWriter()
        with self.database.atomic() as connection:
            if known:
                add_device(connection, device, now_ms=self.now_ms - 90 * 86_400_000)
            writer.begin(connection)
            series = writer.series(connection, device, "temperature", "Cel")
            assert series is not None
            for number, value in enumerate(values):
                at_ms = self.now_ms - int((last_age_s + (len(values) - 1 - number) * every_s) * 1000)
                writer.add(
                    connection,
                    series,
                    time_ms=at_ms,
                    value=value,
                    quality=Quality.GOOD,
                    raw=None,
                    arrived_ms=at_ms,
                    own_time=True,
                )
                writer.saw(device, at_ms)
            writer.flush(connection)

    def forecast(self, *, sunrise_in_s: float = 3 * 3600.0) -> None:
        night = NightForecast(
            issued_ms=self.now_ms - 720_000,
            night="2016-04-12",
            device="orchard-low",
            sunset_ms=self.now_ms - 8 * 3_600_000,
            sunrise_ms=self.now_ms + int(sunrise_in_s * 1000),
            tmin_c=-2.1,
            tmin_p10_c=-4.0,
            tmin_p90_c=-0.3,
            p_frost=0.82,
            threshold_c=0.0,
            expected_below_ms=self.now_ms - 3_600_000,
            basis="site",
            nights_learned=14,
            warning=True,
        )
        with self.database.atomic() as connection:
            put_fact(connection, FROST_FACT, night.as_fact(), at_ms=night.issued_ms)

    def link(self, name: str, state: str, explain: str = "", *, heard_age_s: float | None = None) -> None:
        heard = None if heard_age_s is None else self.now_ms - int(heard_age_s * 1000)
        row = LinkRow(
            name=name,
            state=state,
            explain=explain,
            lowest_priority=4 if name == "lora" else 5,
            last_heard_ms=heard,
            last_sent_ms=None,
            airtime_left_ms=None,
            updated_ms=self.now_ms,
        )
        with self.database.atomic() as connection:
            put_link(connection, row)

    def write_records(self, **kinds: tuple[Priority, int]) -> None:
        with self.database.atomic() as connection:
            for kind, (priority, count) in kinds.items():
                for _ in range(count):
                    write_record(connection, kind=kind, priority=priority, body=b"x" * 90, created_ms=self.now_ms)

    def supervise(self, services: Sequence[dict[str, Any]], *, pid: int | None = None) -> None:
        """As the supervisor writes it; by default this very process is the supervisor."""
        told = {"supervisor_pid": os.getpid() if pid is None else pid, "services": list(services)}
        self.home.services_file.write_text(json.dumps(told))


@pytest.fixture
def village(tmp_path: Path) -> Any:
    home = Home(tmp_path / "unit")
    home.prepare()
    settings = Settings(links=LinkSettings(lora=LoraSettings(radio="tcp:127.0.0.1:4403")))
    with Database(home.database, migrations=MIGRATIONS) as database:
        with database.atomic() as connection:
            set_origin(connection, "kit-7gq2mzk4")
        yield Village(home=home, clock=ManualClock(at_s=NOW_S), settings=settings, database=database)
