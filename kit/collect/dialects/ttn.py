"""The Things Stack v3 (The Things Network): uplinks as JSON, as its Pub/Sub integration or a bridge brings them.

An uplink says which device it is of, so any topic below the base will do: `<base>/up` from Pub/Sub,
`<base>/devices/<id>/up` from a bridge of `v3/<application>@<tenant>`. A normalized payload has units by definition and
goes before the decoded one. The time is the network server's.
"""

from __future__ import annotations

from kit.collect.dialects import lorawan
from kit.collect.dialects.port import (
    NOTHING,
    Access,
    BelowPrefix,
    DialectError,
    Guide,
    Heard,
    Parsed,
    Setting,
    plain_settings,
)
from kit.collect.dialects.reading import part_name, read_object, subobject, text, time_of


class TheThingsStackDialect(BelowPrefix):
    """See the module."""

    name = "ttn"
    prefix = "ttn"
    guide = Guide(
        title="The Things Stack v3",
        what="LoRaWAN sensors of any maker on The Things Network or an own Things Stack",
        where="its console: Applications → Integrations → Pub/Sub → Add (provider MQTT)",
        reads="uplink messages; all others are passed over",
        parts="by their device id: `lora/eui-2cf7f1c044300279`",
        notes=(
            "Give each device a payload formatter: without one there is nothing to read.",
            "The stack must reach the kit: one in the village, or Mosquitto as a bridge from the public one.",
        ),
        sources=(
            "https://www.thethingsindustries.com/docs/the-things-stack/concepts/data-formats/",
            "https://www.thethingsindustries.com/docs/integrations/pubsub/",
        ),
    )

    def settings(self, base: str, access: Access) -> list[Setting]:
        """The fields of Pub/Sub with MQTT."""
        server = Setting("Server URL", f"mqtt://{access.host}:{access.port}")
        own = [Setting("Base topic", base), Setting("Uplink message topic", "up"), Setting("Format", "JSON")]
        return [server, *plain_settings(access, base.replace("/", "-"), *own)[2:]]

    def recognise(self, topic: str, payload: bytes) -> str | None:
        """By the topics of its own MQTT server, or by what the message is."""
        levels = topic.split("/")
        if levels[0] == "v3" and len(levels) == 5 and levels[2] == "devices":  # noqa: PLR2004 - v3/app/devices/id/up
            return "/".join(levels[:2])
        is_uplink = b'"uplink_message"' in payload and b'"end_device_ids"' in payload
        return topic.rpartition("/")[0] or None if is_uplink else None

    def parse(self, heard: Heard) -> Parsed:
        """Read an uplink."""
        if heard.below is None:
            return NOTHING
        told = read_object(heard.payload)
        uplink = told.get("uplink_message")
        if not isinstance(uplink, dict):
            return NOTHING
        part = part_name(text(subobject(told, "end_device_ids"), "device_id"))
        if not part:
            raise DialectError("the uplink names no device (end_device_ids.device_id)")
        time_s = time_of(uplink.get("received_at")) or time_of(told.get("received_at"))
        signals = uplink.get("rx_metadata")
        signal = lorawan.radio(signals if isinstance(signals, list) else [], part=part, time_s=time_s)
        normalized = uplink.get("normalized_payload")
        payload = normalized or uplink.get("decoded_payload")
        if not isinstance(payload, dict | list) or not payload:
            if not uplink.get("frm_payload"):
                return Parsed(signal)
            raise DialectError(f"the uplink of '{part}' is not decoded; give the device a payload formatter")
        return Parsed([*lorawan.decoded(payload, part=part, time_s=time_s), *signal])


DIALECT = TheThingsStackDialect()
