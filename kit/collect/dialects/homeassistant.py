"""Whatever announces itself to Home Assistant: its discovery messages say where its values are and what they mean.

For everything that has no dialect of its own: EMS-ESP, ESPEasy, OpenMQTTGateway, rtl_433 scripts, Theengs, home-made
boards. Nothing is read before the discovery came; a device sends it when it connects.
"""

from __future__ import annotations

from kit.collect.dialects import discovery
from kit.collect.dialects.port import (
    NOTHING,
    Access,
    BelowPrefix,
    Guide,
    Heard,
    Parsed,
    Setting,
    plain_settings,
)


class HomeAssistantDialect(BelowPrefix):
    """See the module."""

    name = "homeassistant"
    prefix = "devices"
    hear = ("homeassistant/#",)
    read = ("homeassistant/status",)
    guide = Guide(
        title="Home Assistant discovery",
        what="anything that offers “Home Assistant MQTT discovery”: EMS-ESP, ESPEasy, OpenMQTTGateway, own boards",
        where="its MQTT page; switch its Home Assistant discovery on",
        reads="`homeassistant/…/config`, then the state topics named there, as long as they lie below its own topic",
        notes=(
            "A sensor whose template calculates (`value_json.t / 10`) is not read; the technician is told which.",
            "Restart the device after changing its settings, so that it announces itself again.",
        ),
        sources=("https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery",),
    )

    def settings(self, base: str, access: Access) -> list[Setting]:
        """What such devices ask for."""
        own = Setting("Base topic (topic prefix)", base)
        return plain_settings(access, base.replace("/", "-"), own, Setting("Discovery prefix", "homeassistant"))

    def recognise(self, topic: str, payload: bytes) -> str | None:
        """By its discovery; its own topic is where its values come, without the last level."""
        if not discovery.is_discovery(topic):
            return None
        above = (sensor.topic.rpartition("/")[0] for sensor in discovery.announced(topic, payload))
        return next((own for own in above if own and not set(own) & set("+#")), None)

    def parse(self, heard: Heard) -> Parsed:
        """Learn from a discovery message, or read a state by what was learned."""
        if discovery.is_discovery(heard.topic):
            return discovery.learn(heard)
        return NOTHING if heard.below is None else discovery.read_state(heard)


DIALECT = HomeAssistantDialect()
