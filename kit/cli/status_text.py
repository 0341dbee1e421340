"""The text of `kit status`, at most 80 columns wide; pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from kit.cli.output import WIDTH
from kit.health.attention import attention
from kit.health.backup_view import backup_words
from kit.health.power_view import summary_words
from kit.health.rotation_view import rotation_words
from kit.health.words import (
    actuator_name,
    actuator_words,
    age_words,
    ago_words,
    air_words,
    alert_words,
    clock_words,
    data_words,
    forecast_words,
    local_time,
    power_words,
    queue_words,
    service_words,
    uncarried_words,
    value_words,
)

LABEL = 11
"""Width of the labels on the left."""

Status = Mapping[str, Any]


def status_text(status: Status) -> str:
    """The whole overview."""
    zone = str(status.get("timezone") or "UTC")
    lines = [*_title(status, zone), "", *_needs(status), ""]
    lines += _block("Services", _services(status))
    if status.get("store", {}).get("state") != "missing":
        lines += _block("Tonight", [forecast_words(status.get("forecast"), zone)])
        lines += _block("Warnings", [alert_words(a, status.get("time")) for a in status.get("alerts", [])] or ["none"])
        lines += _block("Sensors", _sensors(status))
        if status.get("actuators"):
            lines += _block(
                "Actuators", [f"{actuator_name(row)}  {actuator_words(row, zone)}" for row in status["actuators"]]
            )
        lines += _block("Clock", clock_words(status))
        lines += _block("Power", [power_words(status.get("power")), summary_words(status.get("power_cuts"), zone)])
        if status.get("clients") is not None:
            lines += _block("Clients", [str(status["clients"])])
        lines += _block("Sync", _links(status))
        lines += _block("City core", _core(status))
        lines += _block("Received", _received(status))
        lines += _block("Backup", backup_words(status.get("backup"), status.get("time")))
        lines += _block("Apps", [f"{line['label']}: {line['value']}" for line in status.get("apps", [])])
    return "\n".join(lines).rstrip()


def _received(status: Status) -> list[str]:
    """Files from the city, and those that could not be kept."""
    kept = [f"{row['kind']}/{row['name']}  {row['bytes']} bytes" for row in status.get("content") or []]
    refused = [f"REFUSED a {row['kind']}: {row['why']}" for row in status.get("content_refused") or []]
    return [*kept, *refused]


def _title(status: Status, zone: str) -> list[str]:
    unit = f" ({status['unit']})" if status.get("unit") else ""
    clock = status.get("clock", {})
    trust = "" if clock.get("trusted") else ", clock NOT trusted"
    speed = f", simulated, {clock['speed']:g}× as fast" if clock.get("speed") else ""
    return [f"{status.get('name')}{unit}", f"{local_time(status.get('time'), zone, day=True)} {zone}{trust}{speed}"]


def _needs(status: Status) -> list[str]:
    sentences = attention(status)
    if not sentences:
        return ["Nothing needs you."]
    lines = ["This needs you:"]
    for sentence in sentences:
        lines += textwrap.wrap(sentence, WIDTH - 2, initial_indent="! ", subsequent_indent="  ")
    return lines


def _services(status: Status) -> list[str]:
    listed = status.get("services", [])
    if not listed:
        return ["none has run yet"]
    lines = []
    for service in listed:
        pid = f" (process {service['pid']})" if service.get("pid") else ""
        lines.append(f"{service['name']:<8} {service_words(service)}{pid}")
        if service.get("last_error"):
            lines.append(f"         last error: {service['last_error']}")
    return lines


def _sensors(status: Status) -> list[str]:
    sensors = status.get("sensors", [])
    width = max((len(sensor["device"]) for sensor in sensors), default=0)
    lines = []
    for sensor in sensors:
        heard = f"{age_words(sensor['age_s'])} ago" if sensor.get("last_seen") else "never heard"
        silent = "SILENT, " if sensor.get("silent") and sensor.get("last_seen") else ""
        latest = ", ".join(f"{value.get('quantity')} {value_words(value)}" for value in sensor.get("latest", []))
        place = f"at {sensor['place']}, " if sensor.get("place") else ""
        open_word = "NO PASSWORD, " if sensor.get("open") else ""
        lines.append(f"{sensor['device']:<{width}}  {open_word}{silent}{place}{heard}{'  ' + latest if latest else ''}")
    return lines or ["none yet: kit device add NAME"]


def _links(status: Status) -> list[str]:
    links = status.get("links", [])
    width = max((len(link["name"]) for link in links), default=0)
    lines = []
    for link in links:
        heard = ago_words(link.get("last_heard"), status.get("time"))
        waiting = queue_words(link.get("queued", {}))
        lines.append(f"{link['name']:<{width}}  {link['state']}, {waiting}, heard {heard}")
        # whoever stands before the unit with a stick in it wants to know whether it may be pulled out
        if link.get("explain") and (link.get("state") not in ("up", "busy") or link["name"] == "stick"):
            lines.append(f"{'':<{width}}  {link['explain']}")
        facts = link.get("facts")
        lines += [f"{'':<{width}}  {told}" for told in (air_words(facts), data_words(facts)) if told]
    return lines or ["no link yet"]


def _core(status: Status) -> list[str]:
    keys = rotation_words(status.get("rotation"))
    return [_core_heard(status), *([keys] if keys else [])]


def _core_heard(status: Status) -> str:
    core = status.get("core")
    if not core:
        return "not joined (kit join INVITE)"
    by = f" by {core['link']}" if core.get("link") else ""
    left_over = uncarried_words(core)
    more = f"; {left_over}" if left_over else ""
    return f"heard {ago_words(core.get('last_heard'), status.get('time'))}{by}{more}"


def _block(label: str, lines: Iterable[str]) -> list[str]:
    shown: list[str] = []
    for number, line in enumerate(lines):
        head = f"{label:<{LABEL}}" if number == 0 else " " * LABEL
        indent = " " * (LABEL + len(line) - len(line.lstrip()))
        shown += textwrap.wrap(line, WIDTH, initial_indent=head, subsequent_indent=indent, drop_whitespace=True) or [
            head
        ]
    return shown
