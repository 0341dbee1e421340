"""All tables of the kit's store, in the order in which they came to be; apps bring their own."""

from __future__ import annotations

from kit.store import (
    alerts,
    boots,
    commands,
    devices,
    facts,
    ingest_state,
    joining,
    links,
    mqtt,
    neighbours,
    readings,
    records,
)
from kit.store.migrations import Migration

MIGRATIONS: tuple[Migration, ...] = (
    *facts.MIGRATIONS,
    *records.MIGRATIONS,
    *devices.MIGRATIONS,
    *mqtt.MIGRATIONS,
    *readings.MIGRATIONS,
    *ingest_state.MIGRATIONS,
    *joining.MIGRATIONS,
    *alerts.MIGRATIONS,
    *links.MIGRATIONS,
    *boots.MIGRATIONS,
    *neighbours.MIGRATIONS,
    *commands.MIGRATIONS,
)
