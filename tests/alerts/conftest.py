"""A store, a clock that is moved by hand, and a frost warning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.alerts.lifecycle import Alerts
from kit.clock import ManualClock
from kit.model.alert import Alert, AlertText, Area, Certainty, Severity, Urgency
from kit.store.database import Database
from kit.store.records import set_origin
from kit.store.schema import MIGRATIONS

EVENING_S = 1_460_480_400


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kit.db"


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    with Database(file, migrations=MIGRATIONS) as opened:
        with opened.atomic() as connection:
            set_origin(connection, "k-7f3ab2c9")
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(at_s=EVENING_S)


@pytest.fixture
def alerts(database: Database, clock: ManualClock) -> Alerts:
    return Alerts(database, clock, sender="k-7f3ab2c9", area="village")


@pytest.fixture
def frost() -> Alert:
    return Alert(
        identifier="k-7f3ab2c9-frost-20160412",
        sender="k-7f3ab2c9",
        sent_ms=EVENING_S * 1000,
        event="frost",
        urgency=Urgency.EXPECTED,
        severity=Severity.SEVERE,
        certainty=Certainty.LIKELY,
        onset_ms=(EVENING_S + 6 * 3600) * 1000,
        expires_ms=(EVENING_S + 14 * 3600) * 1000,
        area=Area("village"),
        infos=(AlertText(language="en", event="Frost", headline="Frost tonight: −1.3 °C", instruction="Cover beds."),),
        parameters={"tmin_c": -1.3},
    )
