from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hardware.simulated.weather_station import SimulatedWeatherStation
from kit.alerts.lifecycle import Alerts
from kit.collect.ingest import Ingest
from kit.data import FrostNight, load_frost_night
from kit.model.messages import Published
from kit.replay import as_senml
from kit.run.schema import unit_migrations
from kit.settings import Settings, UnitSettings, WebSettings
from kit.store.database import Database
from village_apps.app import find_apps
from village_apps.frost import alerting
from village_apps.frost.backtest import observations_of
from village_apps.frost.place import Place
from village_apps.frost.series import Observation
from village_apps.frost.service import FrostService
from village_apps.web.trial import TrialKit, trial_kit

DEVICE = "orchard-1"
HOUR = 3600


@dataclass
class Village:
    """A kit at the place of the recorded night, whose station's messages go through the real ingest."""

    kit: TrialKit
    night: FrostNight
    station: SimulatedWeatherStation
    ingest: Ingest
    service: FrostService = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """As after kill -9: nothing is left but the store."""
        self.service = FrostService(self.kit.context)

    def look(self) -> None:
        with self.kit.store() as database:
            self.service.look(database, self.alerts(database))

    def alerts(self, database: Database) -> Alerts:
        unit = self.kit.context.settings.unit
        return Alerts(database, self.kit.clock, sender=alerting.sender(self.kit.context.unit), area=alerting.area(unit))

    def publish(self, from_s: float, until_s: float, *, every_s: int) -> None:
        """Publish what the station measures, as one batch."""
        first = int(-(-from_s // every_s) * every_s)
        batch = [
            Published(
                username=DEVICE,
                client_id=DEVICE,
                topic=f"sensors/{DEVICE}",
                payload=as_senml(self.station.measure(at_s), at_s=at_s),
                qos=1,
                retain=False,
                duplicate=False,
                packet_id=1,
                received_ms=int(self.kit.clock.now() * 1000),
            )
            for at_s in range(first, int(until_s) + 1, every_s)
        ]
        with self.kit.store() as database, database.atomic() as connection:
            self.ingest(connection, batch)

    def live(self, until_s: float, *, every_s: int = 900, reporting: bool = True) -> None:
        """Let time pass, the station reporting and the service looking."""
        clock = self.kit.clock
        while clock.now() < until_s:
            before = clock.now()
            clock.advance(min(every_s, until_s - before))
            if reporting:
                self.publish(before + 1, clock.now(), every_s=every_s)
            self.look()

    def to(self, hours_after_start: float, *, reporting: bool = True) -> None:
        """Live until so many hours after 15:00."""
        self.live(self.night.start_s + hours_after_start * HOUR, reporting=reporting)


@pytest.fixture
def village(tmp_path: Path) -> Iterator[Village]:
    """At 15:00 before the frost night, with the weeks before it in the store."""
    night = load_frost_night()
    settings = Settings(
        unit=UnitSettings(
            name="Orchard village",
            area="orchard",
            timezone=night.timezone,
            latitude=night.latitude,
            longitude=night.longitude,
            elevation_m=night.elevation_m,
        ),
        web=WebSettings(listen="127.0.0.1:0"),
    )
    with trial_kit(tmp_path / "home", find_apps(), unit_migrations(), settings=settings) as kit:
        kit.clock.at_s = night.start_s
        made = Village(kit, night, SimulatedWeatherStation(night.rows, kit.clock), Ingest(kit.clock))
        made.publish(night.rows[0].at_s, night.start_s, every_s=HOUR)
        yield made


@pytest.fixture(scope="session")
def shasta() -> Place:
    night = load_frost_night()
    return Place(
        latitude=night.latitude, longitude=night.longitude, elevation_m=night.elevation_m, timezone=night.timezone
    )


@pytest.fixture(scope="session")
def recorded() -> list[Observation]:
    return observations_of(load_frost_night().rows)
