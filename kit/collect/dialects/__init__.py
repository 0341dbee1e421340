"""How devices speak. One small pure module per dialect.

A third party adds one with an entry point of the group `village_kit.dialects` that names an object which keeps to
`kit.collect.dialects.port.Dialect`; a kind that is here already cannot be taken over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from kit.collect.dialects import (
    chirpstack,
    esphome,
    homeassistant,
    homie,
    meshtastic,
    senml,
    shelly,
    tasmota,
    ttn,
    zigbee2mqtt,
)
from kit.collect.dialects.port import Dialect
from kit.entry_points import entry_points

NATIVE = senml.DIALECT
OWN: tuple[Dialect, ...] = (
    NATIVE,
    tasmota.DIALECT,
    zigbee2mqtt.DIALECT,
    esphome.DIALECT,
    shelly.DIALECT,
    homie.DIALECT,
    chirpstack.DIALECT,
    ttn.DIALECT,
    meshtastic.DIALECT,
    homeassistant.DIALECT,
)
"""In the order in which an unknown device is tried: the surest sign first."""

GROUP = "village_kit.dialects"


def dialects() -> Mapping[str, Dialect]:
    """Every installed dialect by its name, the kit's own first."""
    return _load()[0]


def left_out() -> Sequence[str]:
    """A sentence for each installed dialect that cannot be used; one bad package must not silence the others."""
    return _load()[1]


@cache
def _load() -> tuple[dict[str, Dialect], list[str]]:
    found: dict[str, Dialect] = {dialect.name: dialect for dialect in OWN}
    problems: list[str] = []
    for point in entry_points(GROUP):
        what = f"the dialect '{point.name}' ({point.value})"
        try:
            dialect: Dialect = point.load()
            name = dialect.name
        except Exception as error:  # noqa: BLE001 - whatever a foreign package does when it is imported
            problems.append(f"{what} cannot be loaded and is left out: {error}")
            continue
        if name in found:
            problems.append(f"{what} is left out: there is a dialect named '{name}' already")
        else:
            found[name] = dialect
    return found, problems


def recognise(topic: str, payload: bytes) -> tuple[Dialect, str] | None:
    """The dialect and base of an unknown device that said this; None if no dialect knows it."""
    for dialect in dialects().values():
        base = dialect.recognise(topic, payload)
        if base:
            return dialect, base
    return None
