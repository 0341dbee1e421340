"""ESPHome with its `mqtt:` component: one plain number per topic, `<topic prefix>/sensor/<object id>/state`.

Unit and class come with the discovery that it sends at every start (`discovery: true`, the default). Without it the
object id says what is measured, and the unit is the kit's own.
"""

from __future__ import annotations

from kit.collect.dialects import discovery
from kit.collect.dialects.port import (
    NOTHING,
    Access,
    BelowPrefix,
    DialectError,
    Guide,
    Heard,
    Parsed,
    Setting,
)
from kit.collect.dialects.reading import observe, read_number

_DEPTH = 3
"""sensor/<object id>/state"""


class EsphomeDialect(BelowPrefix):
    """See the module."""

    name = "esphome"
    prefix = "esphome"
    hear = ("homeassistant/#", "esphome/discover/#")
    read = ("esphome/discover",)
    guide = Guide(
        title="ESPHome",
        what="boards with an ESP chip that run ESPHome, bought ready or home-made",
        where="the `mqtt:` block of its YAML file",
        reads="`<topic prefix>/sensor/<object id>/state`; units from its discovery messages",
        notes=(
            "Name the sensor after what it measures (`Temperature`, `BME280 Temperature`); other names become labels.",
            "With `mqtt:` a board restarts when it has no broker for 15 minutes; `reboot_timeout: 0s` stops that.",
        ),
        sources=("https://esphome.io/components/mqtt.html",),
    )

    def settings(self, base: str, access: Access) -> list[Setting]:
        """The lines of its `mqtt:` block."""
        return [
            Setting("mqtt: broker", access.host),
            Setting("mqtt: port", str(access.port)),
            Setting("mqtt: username", access.username),
            Setting("mqtt: password", access.password),
            Setting("mqtt: client_id", base.replace("/", "-")),
            Setting("mqtt: topic_prefix", base),
        ]

    def recognise(self, topic: str, payload: bytes) -> str | None:
        """By the end of the topic, its own or an announced one."""
        if discovery.is_discovery(topic):
            return next(filter(None, (_prefix(sensor.topic) for sensor in discovery.announced(topic, payload))), None)
        return _prefix(topic) if read_number(payload) is not None else None

    def parse(self, heard: Heard) -> Parsed:
        """Learn from a discovery message, or read a value."""
        if discovery.is_discovery(heard.topic):
            return discovery.learn(heard)
        levels = (heard.below or "").split("/")
        if len(levels) != _DEPTH or levels[0] != "sensor" or levels[2] != "state":
            return NOTHING
        value = read_number(heard.payload)
        if value is None:
            if heard.payload.strip().lower() == b"nan":
                return Parsed((), (f"the sensor '{levels[1][:60]}' gives no value (nan); check it and its lead",))
            raise DialectError(f"the value of '{levels[1][:60]}' is no number")
        everything = discovery.all_sensors(heard.known)
        told = next((sensor for sensor in everything if sensor.topic == heard.topic), None)
        if told is not None:
            return Parsed([discovery.observe_as(told, value, everything)])
        return Parsed([observe(levels[1], value)])


DIALECT = EsphomeDialect()


def _prefix(topic: str) -> str | None:
    levels = topic.split("/")
    is_state = len(levels) > _DEPTH and levels[-3] == "sensor" and levels[-1] == "state"
    return "/".join(levels[:-3]) if is_state else None
