"""What needs a person, from a unit's status; pure.

The first thing anybody asks of a status is whether they may close it again. These sentences are that answer: each says
what is wrong and what to do, the most urgent first. A list that is empty means: nothing needs you.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kit.health.backup_view import backup_problems
from kit.health.damage_view import damage_sentences
from kit.health.power_view import loss_sentences
from kit.health.words import actuator_name, age_words, ago_words, needs_a_look, seconds_between

KEEPS_DYING = 3
"""Restarts from which a service is a worry: one kill by a short memory heals itself."""

LOW_BATTERY_PERCENT = 20.0
"""On a 12 V lead-acid battery, about where one more night without sun ends in an unclean stop."""

CORE_SILENT_S = 24 * 3600.0
"""A day: a thin link may well be down for hours."""


def attention(status: Mapping[str, Any]) -> list[str]:
    """Sentences, most urgent first; empty when nothing needs a person."""
    found: list[str] = []
    for look in _LOOKS:
        found += look(status)
    return found


def _store(status: Mapping[str, Any]) -> list[str]:
    problem = status.get("store", {}).get("problem")
    return [str(problem)] if problem else []


def _alerts(status: Mapping[str, Any]) -> list[str]:
    return [
        f"{alert.get('headline') or alert.get('event')}: nobody has confirmed it, raised "
        f'{ago_words(alert.get("sent"), status.get("time"))}; go and tell, then press "I have seen this" on the page'
        for alert in status.get("alerts", [])
        if not alert.get("confirmed")
    ]


def _links(status: Mapping[str, Any]) -> list[str]:
    """What a person has to mend, once for all links that say the same: the core refuses us, a radio is stuck."""
    faults: dict[str, list[str]] = {}
    for link in status.get("links", []):
        if link.get("fault"):
            faults.setdefault(str(link["fault"]), []).append(str(link["name"]))
    return [f"{' and '.join(names)}: {fault}" for fault, names in faults.items()]


def _services(status: Mapping[str, Any]) -> list[str]:
    if status.get("store", {}).get("state") == "missing":
        return []  # one sentence is enough for a unit that has never run
    if not status.get("running"):
        return ["the unit is stopped; start it with `kit run`"]
    found = []
    for service in status.get("services", []):
        why = f": {service['last_error']}" if service.get("last_error") else ""
        if service.get("state") in ("waiting", "stopped", "failed"):
            found.append(f"service {service['name']} is down{why}; see `kit log {service['name']}`")
        elif int(service.get("restarts") or 0) >= KEEPS_DYING:
            found.append(f"service {service['name']} died {service['restarts']} times{why}")
    return found


def _messages(status: Mapping[str, Any]) -> list[str]:
    return [
        f"{sensor['device']} sent {sensor['malformed']} messages that cannot be read: {sensor.get('malformed_reason')}"
        for sensor in status.get("sensors", [])
        if sensor.get("malformed")
    ]


def _waiting(status: Mapping[str, Any]) -> list[str]:
    waiting = status.get("waiting") or []
    if not waiting:
        return []
    said = f" ({waiting[0]['reading']})" if waiting[0].get("reading") else ""
    if len(waiting) > 1:
        return [f"{len(waiting)} new devices wait to be let in; press w, or kit device waiting"]
    return [f"a new device waits to be let in{said}; press w, or kit device waiting"]


def _sensors(status: Mapping[str, Any]) -> list[str]:
    return [
        f"sensor {sensor['device']} has been silent for {age_words(sensor.get('age_s'))}"
        f"{_usually(sensor)}; check its battery and lead"
        if sensor.get("last_seen")
        else f"sensor {sensor['device']} has never sent anything; check its user name and password"
        for sensor in status.get("sensors", [])
        if sensor.get("silent") and (sensor.get("last_seen") or not sensor.get("malformed"))
    ]


def _usually(sensor: Mapping[str, Any]) -> str:
    every_s = sensor.get("every_s")
    return f" (it usually speaks every {age_words(every_s)})" if every_s else ""


def _doubts(status: Mapping[str, Any]) -> list[str]:
    return [
        f"sensor {sensor['device']}: {value['quantity']} is {value['quality'].replace('+', ', ')}; "
        f"{value['quality_words'][0]}"
        for sensor in status.get("sensors", [])
        for value in sensor.get("latest", [])
        if not sensor.get("silent") and value.get("quality_words") and needs_a_look(value["quality"])
    ]


def _actuators(status: Mapping[str, Any]) -> list[str]:
    return [
        f"{actuator_name(row)} was to be {row['wanted']}, and is not known to be: {row['why']}; see kit actuator ls"
        for row in status.get("actuators", [])
        if row.get("failed_lately")
    ]


def _power(status: Mapping[str, Any]) -> list[str]:
    power = status.get("power") or {}
    percent = power.get("battery_percent")
    if percent is None or percent >= LOW_BATTERY_PERCENT or power.get("charging"):
        return []
    return [f"the battery is at {percent:.0f} % and does not charge; check the panel or the charger"]


def _clock(status: Mapping[str, Any]) -> list[str]:
    if status.get("clock", {}).get("trusted", True):
        return []
    todo = "tell it from a phone on the first page, or type: kit clock set 'YYYY-MM-DD HH:MM'"
    return [f"the clock is not trusted: nothing has set it since boot; {todo}"]


def _core(status: Mapping[str, Any]) -> list[str]:
    core = status.get("core")
    if not core:
        return []
    age_s = seconds_between(core.get("last_heard"), status.get("time"))
    if age_s is None or age_s < CORE_SILENT_S:
        return []
    return [f"the city core was last heard {age_words(age_s)} ago; what waits is kept (kit queue ls)"]


def _losses(status: Mapping[str, Any]) -> list[str]:
    zone = str(status.get("timezone") or "UTC")
    damage = damage_sentences(status.get("damage") or [], status.get("mending"))
    return [*damage, *loss_sentences(status.get("power_cuts"), zone)]


def _backup(status: Mapping[str, Any]) -> list[str]:
    return backup_problems(status.get("backup"), status.get("time"))


def _problems(status: Mapping[str, Any]) -> list[str]:
    return [str(sentence) for sentence in status.get("problems") or []]


def _apps(status: Mapping[str, Any]) -> list[str]:
    told = status.get("problems") or []  # an app's problem may stand there, too; once is enough
    return [
        f"{line['label']}: {line['value']}"
        for line in status.get("apps", [])
        if not line.get("ok", True) and line["value"] not in told
    ]


_LOOKS: tuple[Callable[[Mapping[str, Any]], list[str]], ...] = (
    _alerts,
    _store,
    _losses,
    _services,
    _links,
    _actuators,
    _power,
    _sensors,
    _waiting,
    _doubts,
    _messages,
    _problems,
    _backup,
    _clock,
    _core,
    _apps,
)
