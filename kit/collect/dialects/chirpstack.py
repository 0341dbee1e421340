"""ChirpStack v4: a LoRaWAN network server that publishes each device's events as JSON.

`<base>/application/<id>/device/<DevEUI>/event/up` carries an uplink, decoded in `object` if the device profile has a
codec; `…/event/status` the battery's level. The time is the network server's.
"""

from __future__ import annotations

from typing import Any

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
from kit.collect.dialects.reading import number, observe, part_name, read_object, subobject, text, time_of

_EVENT = "application/{{application_id}}/device/{{dev_eui}}/event/{{event}}"
_COMMAND = "application/{{application_id}}/device/{{dev_eui}}/command/{{command}}"
_EUI_SHOWN = 4
"""The last digits of a DevEUI tell two devices of one name apart."""


class ChirpStackDialect(BelowPrefix):
    """See the module."""

    name = "chirpstack"
    prefix = "chirpstack"
    guide = Guide(
        title="ChirpStack v4",
        what="LoRaWAN sensors of any maker (Dragino, Milesight, Elsys) behind a ChirpStack v4 network server",
        where="`[integration.mqtt]` in its chirpstack.toml",
        reads="`…/event/up` and `…/event/status`, in JSON",
        parts="by device name and the end of the DevEUI: `lora/sensor0-011c`",
        notes=(
            "Give each device profile a codec (JavaScript or Cayenne LPP): without one there is nothing to read.",
            "`json=false` (Protobuf) is not read.",
        ),
        sources=(
            "https://www.chirpstack.io/docs/chirpstack/integrations/events.html",
            "https://www.chirpstack.io/docs/chirpstack/integrations/mqtt.html",
        ),
    )

    def settings(self, base: str, access: Access) -> list[Setting]:
        """The lines of `[integration.mqtt]`."""
        return [
            Setting("server", f'"tcp://{access.host}:{access.port}"'),
            Setting("json", "true"),
            *(
                Setting(setting.label.lower().replace("user", "username").replace(" ", "_"), f'"{setting.value}"')
                for setting in plain_settings(access, base.replace("/", "-"))[2:]
            ),
            Setting("qos", "1"),
            Setting("event_topic", f'"{base}/{_EVENT}"'),
            Setting("command_topic", f'"{base}/{_COMMAND}"'),
        ]

    def recognise(self, topic: str, payload: bytes) -> str | None:
        """By its usual topics; each application is a gateway of its own."""
        del payload
        before, found, rest = topic.partition("application/")
        levels = rest.split("/")
        is_event = found and len(levels) == 5 and levels[1] == "device" and levels[3] == "event"  # noqa: PLR2004 - the levels above
        return f"{before}application/{levels[0]}" if is_event else None

    def parse(self, heard: Heard) -> Parsed:
        """Read an uplink or a device's status."""
        event = (heard.below or "").rpartition("/")[2]
        if event not in {"up", "status"}:
            return NOTHING
        if heard.payload[:1] != b"{":
            raise DialectError("the event is not JSON; set json=true below [integration.mqtt] in chirpstack.toml")
        told = read_object(heard.payload)
        part, time_s = _device(told), time_of(told.get("time"))
        if event == "status":
            level = number(told.get("batteryLevel"))
            if level is None or told.get("batteryLevelUnavailable") is True:
                return NOTHING
            return Parsed([observe("battery_level", level, unit="%EL", part=part, time_s=time_s)])
        signals = told.get("rxInfo")
        signal = lorawan.radio(signals if isinstance(signals, list) else [], part=part, time_s=time_s)
        if not isinstance(told.get("object"), dict):
            if told.get("data") in (None, ""):
                return Parsed(signal)  # an empty frame, as the network sends by itself
            raise DialectError(f"the uplink of '{part}' is not decoded; give its device profile a codec in ChirpStack")
        return Parsed([*lorawan.decoded(told["object"], part=part, time_s=time_s), *signal])


DIALECT = ChirpStackDialect()


def _device(told: dict[str, Any]) -> str:
    info = subobject(told, "deviceInfo")
    eui, name = part_name(text(info, "devEui")), part_name(text(info, "deviceName"))
    if not eui:
        raise DialectError("the event names no device (deviceInfo.devEui); is this ChirpStack older than v4?")
    return f"{name}-{eui[-_EUI_SHOWN:]}" if name and name != eui else eui
