"""A kit with ten days of a temperature, one value of it nonsense."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.model.readings import Quality
from kit.run.schema import unit_migrations
from kit.store.reading_writer import ReadingWriter
from village_apps.app import find_apps
from village_apps.web.trial import HOUR_MS, TrialKit, trial_kit


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[TrialKit]:
    with trial_kit(tmp_path / "home", find_apps(), unit_migrations()) as made:
        writer = ReadingWriter()
        with made.store() as database, database.atomic() as connection:
            writer.begin(connection)
            series = writer.series(connection, "gate/probe 1", "temperature", "Cel")
            assert series is not None
            for quarter in range(10 * 24 * 4):
                at_ms = made.now_ms - quarter * HOUR_MS // 4
                writer.add(
                    connection,
                    series,
                    time_ms=at_ms,
                    value=999.0 if quarter == 10 else round(12 + 8 * math.sin(quarter / 15), 1),
                    quality=int(Quality.IMPOSSIBLE) if quarter == 10 else 0,
                    raw=None,
                    arrived_ms=at_ms,
                    own_time=True,
                )
            writer.flush(connection)
        yield made
