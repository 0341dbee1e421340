"""How an actuator is told, and how it answers, by the kind of device; pure.

The native kind is told on `commands/<device>/set` and answers on `sensors/<device>/ack`:

    {"id": "9f31c2aa", "output": "valve", "state": "on", "lease_s": 30, "answer_within_s": 20}
    {"id": "9f31c2aa", "output": "valve", "state": "on"}            or  {"id": …, "error": "no water"}

A Tasmota relay is told by a `Backlog` of PulseTime (100 + seconds) and POWER, and answers on `stat/<base>/RESULT`
(https://tasmota.github.io/docs/Commands/#control); a Shelly Gen2 by the RPC `Switch.Set` with `toggle_after`, and
answers where its `src` says (https://shelly-api-docs.shelly.cloud/gen2/ComponentsAndServices/Switch). Both switch
themselves off when their own timer runs out, which is the lease.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from kit.model.commands import Ack, Send

SET = "set"
ACK = "ack"
LONGEST_PAYLOAD = 4_096
LONGEST_TEXT = 200
PULSE_OFFSET = 100
LONGEST_PULSE_S = 64_800
_RELAY = re.compile(r"POWER(\d*)")


class Actuator(NamedTuple):
    """A device that may be told something: its name, its kind, and where its topics begin."""

    name: str
    kind: str
    base: str


def is_ack_topic(topic: str) -> bool:
    """Whether this is where a native device acknowledges: no reading, whatever it holds."""
    levels = topic.split("/")
    return len(levels) == 3 and levels[0] == "sensors" and levels[2] == ACK  # noqa: PLR2004 - sensors/<device>/ack


def tell(actuator: Actuator, send: Send) -> list[tuple[str, bytes]]:
    """The messages that tell a device, (topic, payload)."""
    command = send.command
    if actuator.kind == "tasmota":
        relay = f"POWER{command.output}"
        seconds = min(LONGEST_PULSE_S, max(12, round(send.lease_s)))  # PulseTime counts whole seconds from 112 on
        words = f"PulseTime{command.output or 1} {PULSE_OFFSET + seconds}; {relay} ON" if send.on else f"{relay} OFF"
        return [(f"cmnd/{actuator.base}/Backlog", words.encode())]
    if actuator.kind == "shelly":
        number = int(command.output) if command.output.isdecimal() else 0
        params: dict[str, Any] = {"id": number, "on": send.on}
        if send.on:
            params["toggle_after"] = round(send.lease_s, 1)
        call = {
            "id": f"{command.id}.{'on' if send.on else 'off'}",
            "src": f"{actuator.base}/{ACK}",
            "method": "Switch.Set",
            "params": params,
        }
        return [(f"{actuator.base}/rpc", json.dumps(call).encode())]
    told = {
        "id": command.id,
        "output": command.output,
        "state": "on" if send.on else "off",
        "lease_s": round(send.lease_s, 3),
        "answer_within_s": round(send.answer_within_s, 3),
    }
    return [(f"commands/{actuator.name}/{SET}", json.dumps(told).encode())]


def answers_on(actuator: Actuator) -> list[str]:
    """The topic filters on which the device answers."""
    if actuator.kind == "tasmota":
        return [f"stat/{actuator.base}/RESULT"]
    if actuator.kind == "shelly":
        return [f"{actuator.base}/{ACK}/rpc"]
    return [f"sensors/{actuator.name}/{ACK}"]


def listen(actuator: Actuator, payload: bytes) -> list[Ack]:
    """What a device said; nothing where it is no word about an output. Safe against any bytes."""
    told = _object(payload)
    if actuator.kind == "tasmota":
        return _tasmota(actuator, told)
    if actuator.kind == "shelly":
        return _shelly(actuator, told)
    state, error = told.get("state"), told.get("error")
    on = {"on": True, "off": False}.get(state) if isinstance(state, str) else None
    if on is None and not error:
        return []
    return [Ack(actuator.name, _text(told.get("id")), _text(told.get("output")), on, _text(error))]


def _object(payload: bytes) -> Mapping[str, Any]:
    """The payload as a JSON object; an empty one if it is none."""
    try:
        told = json.loads(payload) if len(payload) <= LONGEST_PAYLOAD else None
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, Mapping) else {}


def _tasmota(actuator: Actuator, told: Mapping[str, Any]) -> list[Ack]:
    acks = []
    for key, value in told.items():
        found = _RELAY.fullmatch(str(key))
        if found and value in ("ON", "OFF"):
            acks.append(Ack(actuator.name, "", found[1], value == "ON"))
    return acks


def _shelly(actuator: Actuator, told: Mapping[str, Any]) -> list[Ack]:
    """The answer to `Switch.Set` says only what was before; what was asked for is in the call's id."""
    number, _, asked = _text(told.get("id")).partition(".")
    error = told.get("error")
    if isinstance(error, Mapping):
        return [Ack(actuator.name, number, "", None, _text(error.get("message")) or "an RPC error")]
    return [Ack(actuator.name, number, "", asked == "on")] if isinstance(told.get("result"), Mapping) and asked else []


def _text(value: object) -> str:
    """A device's word as it may be shown: printable, bounded."""
    text = value if isinstance(value, str) else "" if value is None else str(value)
    return "".join(letter for letter in text if letter.isprintable())[:LONGEST_TEXT]
