"""`/metrics` in Prometheus' text format 0.0.4: few numbers, each cheap however full the store is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from kit.model.alert_state import AlertState
from kit.store.queue import queue_counts
from kit.store.readings import count_unsynced, sensors

COUNT_AT_MOST = 100_000
"""A longer queue is told as this long; counting further would cost more than it says."""

Sample = tuple[dict[str, str], float]


def metrics_text(
    connection: sqlite3.Connection, *, unit: str, now_ms: int, alerts: Sequence[AlertState], pages_rendered: int
) -> str:
    """The page's text.

    Args:
        connection: the kit's store.
        unit: the unit's id, on every sample.
        now_ms: Unix ms.
        alerts: those that hold now.
        pages_rendered: how often the page cache had to render.
    """
    unconfirmed = sum(1 for state in alerts if not state.receipts)
    ages = [({"device": sensor.device}, sensor.age_s) for sensor in sensors(connection, now_ms)]
    waiting, _ = count_unsynced(connection, at_most=COUNT_AT_MOST)
    blocks = [
        _block("kit_alerts_active", "Warnings that hold now", [({}, len(alerts))]),
        _block("kit_alerts_unconfirmed", "Of these, how many nobody has confirmed", [({}, unconfirmed)]),
        _block(
            "kit_sensor_age_seconds",
            "Since a sensor was last heard",
            [(labels, age) for labels, age in ages if age is not None],
        ),
        _block(
            "kit_records_waiting",
            "Records that the city has not accepted, by priority",
            [({"priority": str(priority)}, count) for priority, count in sorted(queue_counts(connection).items())],
        ),
        _block("kit_readings_waiting", "Readings in no batch for the core yet", [({}, waiting)]),
        _block(
            "kit_pages_rendered_total", "Pages made because something had changed", [({}, pages_rendered)], "counter"
        ),
    ]
    return "".join(_lines(blocks, unit))


def _block(name: str, told: str, samples: Sequence[Sample], kind: str = "gauge") -> tuple[str, str, str, list[Sample]]:
    return name, told, kind, list(samples)


def _lines(blocks: Iterable[tuple[str, str, str, list[Sample]]], unit: str) -> Iterable[str]:
    for name, told, kind, samples in blocks:
        yield f"# HELP {name} {told}\n# TYPE {name} {kind}\n"
        for labels, value in samples:
            said = ",".join(f'{key}="{_escape(text)}"' for key, text in {"unit": unit, **labels}.items())
            yield f"{name}{{{said}}} {value:g}\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
