"""A kit's pages in a temporary home, for tests, benchmarks and pictures: the real frame, store and server.

Nothing here is fake but the clock, which moves only when told.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from kit.clock import ManualClock
from kit.home import Home
from kit.model.forecast import FROST_FACT, NightForecast
from kit.settings import Settings, UnitSettings, WebSettings
from kit.store.database import Database
from kit.store.facts import put_fact
from kit.store.records import set_origin
from village_apps.app import AppContext, VillageApp
from village_apps.web import create_app, serve
from village_apps.web.reader import EXTENSION

if TYPE_CHECKING:
    from flask import Flask

    from kit.store.migrations import Migration
    from village_apps.web.reader import Frame

EVENING_S = datetime(2016, 4, 12, 16, 0, tzinfo=UTC).timestamp()
"""19:00 in Nairobi, half an hour after sunset."""

HOUR_MS = 3_600_000

UNIT = "kit-trial"

SETTINGS = Settings(
    unit=UnitSettings(name="Ol Kalou", area="ol-kalou"), web=WebSettings(listen="127.0.0.1:0", threads=8)
)

START_WITHIN_S = 10.0


@dataclass(frozen=True)
class TrialKit:
    """A prepared home with its application."""

    home: Home
    clock: ManualClock
    context: AppContext
    app: Flask

    @property
    def now_ms(self) -> int:
        """Where the clock stands, Unix ms."""
        return int(self.clock.now() * 1000)

    @property
    def frame(self) -> Frame:
        """The frame of the application, with its page cache."""
        frame: Frame = self.app.extensions[EXTENSION]
        return frame

    @contextmanager
    def store(self) -> Iterator[Database]:
        """A connection of one's own, as another process of the kit has it."""
        with self.context.open_database() as database:
            yield database

    def put_forecast(self, forecast: NightForecast) -> None:
        """Let the frost app's fact be this."""
        with self.store() as database, database.atomic() as connection:
            put_fact(connection, FROST_FACT, forecast.as_fact(), at_ms=forecast.issued_ms)

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve the pages with waitress on a free port of 127.0.0.1; gives the address without a final slash."""
        stop, listening = threading.Event(), threading.Event()
        told: list[str] = []

        def note(host: str, port: int) -> None:
            told.append(f"http://{host}:{port}")
            listening.set()

        thread = threading.Thread(
            target=serve, args=(self.app, self.context.settings, stop), kwargs={"listening": note}, daemon=True
        )
        thread.start()
        try:
            if not listening.wait(START_WITHIN_S):
                raise TimeoutError("the server did not begin to listen")
            yield told[0]
        finally:
            stop.set()
            thread.join(START_WITHIN_S)


@contextmanager
def trial_kit(
    folder: Path, apps: Sequence[VillageApp], migrations: Sequence[Migration], *, settings: Settings = SETTINGS
) -> Iterator[TrialKit]:
    """A kit in that folder with these apps, in the evening of a frost night.

    Args:
        folder: becomes its home.
        apps: whose pages it has.
        migrations: of the whole unit (`kit.run.schema.unit_migrations()`).
        settings: listens on a free port unless told otherwise.
    """
    home = Home(folder)
    home.prepare()
    home.database.write_bytes(_migrated(tuple(migrations)))
    clock = ManualClock(EVENING_S)
    context = AppContext(
        home=home, settings=settings, clock=clock, unit=UNIT, open_database=lambda: Database(home.database)
    )
    kit = TrialKit(home, clock, context, create_app(context, apps))
    try:
        yield kit
    finally:
        kit.frame.connections.close()


@cache
def _migrated(migrations: tuple[Migration, ...]) -> bytes:
    """An empty store with these tables; migrating takes a tenth of a second, which hundreds of tests would feel."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "kit.db"
        with Database(file, migrations=migrations) as database:
            with database.atomic() as connection:
                set_origin(connection, UNIT)
            database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return file.read_bytes()


def frosty_night(now_ms: int, *, tmin_c: float = -2.5, spread_c: float = 1.2) -> NightForecast:
    """The forecast of a night that is an hour old and falls to `tmin_c` at sunrise.

    Args:
        now_ms: Unix ms.
        tmin_c: expected minimum, °C.
        spread_c: how far the warm and the cold tenth are from it, °C.
    """
    return NightForecast(
        issued_ms=now_ms - HOUR_MS // 2,
        night="2016-04-13",
        device="field-1",
        sunset_ms=now_ms - HOUR_MS,
        sunrise_ms=now_ms + 11 * HOUR_MS,
        tmin_c=tmin_c,
        tmin_p10_c=tmin_c - spread_c,
        tmin_p90_c=tmin_c + spread_c,
        p_frost=0.9 if tmin_c < 0 else 0.1,
        threshold_c=0.0,
        expected_below_ms=now_ms + 4 * HOUR_MS if tmin_c < 0 else None,
        basis="site",
        nights_learned=24,
        warning=tmin_c < 0,
    )
