"""The doctor's look at what the unit does: services, sensors, links, warnings. From the status dict; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kit.health.attention import KEEPS_DYING
from kit.health.backup_view import backup_problems, backup_words
from kit.health.check import Check
from kit.health.damage_view import damage_sentences
from kit.health.power_view import loss_sentences, summary_words
from kit.health.rotation_view import rotation_words
from kit.health.words import age_words, ago_words, air_words, data_words, queue_words, seconds_between

Status = Mapping[str, Any]

RENEWAL_LONG_S = 3 * 86_400.0
"""A core that is reached at all answers within a day, by the slowest radio, too; a stick may take a week."""


def check_services(status: Status) -> Iterator[Check]:
    """All running, none dying again and again."""
    listed = status.get("services", [])
    if not status.get("running"):
        yield Check("services", ok=False, sentence="the unit is stopped", todo="start it: kit run")
        return
    for service in listed:
        why = f"; it last said: {service['last_error']}" if service.get("last_error") else ""
        state, restarts = service.get("state"), int(service.get("restarts") or 0)
        fine = state in ("running", "starting") and restarts < KEEPS_DYING
        sentence = (
            f"{service['name']} is {state}, {restarts} restarts{why}"
            if restarts or why
            else f"{service['name']} is {state}"
        )
        yield Check("services", ok=fine, sentence=sentence, todo="" if fine else f"see `kit log {service['name']}`")


def check_sensors(status: Status) -> Iterator[Check]:
    """None silent, none that speaks nonsense."""
    sensors = status.get("sensors", [])
    if not sensors:
        yield Check("sensors", ok=True, sentence="no sensor yet; let one in with `kit device add NAME`")
    for sensor in sensors:
        name = sensor["device"]
        if sensor.get("silent"):
            last = f"silent for {age_words(sensor.get('age_s'))}" if sensor.get("last_seen") else "never heard"
            todo = "check its battery, its lead, and that its user name and password are right"
            yield Check("sensors", ok=False, sentence=f"{name}: {last}", todo=todo)
        else:
            yield Check(
                "sensors", ok=True, sentence=f"{name}: heard {ago_words(sensor.get('last_seen'), status.get('time'))}"
            )
        malformed = int(sensor.get("malformed") or 0)
        if malformed:
            why = f": {sensor['malformed_reason']}" if sensor.get("malformed_reason") else ""
            todo = "look at what it sends: kit device list --json"
            yield Check(
                "messages", ok=False, sentence=f"{name} sent {malformed} messages that cannot be read{why}", todo=todo
            )


def check_links(status: Status) -> Iterator[Check]:
    """Said, not judged: a thin link is often down, and what waits is kept. One that explains a fault is a fault."""
    if not status.get("core"):
        yield Check(
            "links", ok=True, sentence="not joined to a city core; everything here works without (kit join INVITE)"
        )
    for link in status.get("links", []):
        explained = f"; {link['explain']}" if link.get("explain") else ""
        heard = ago_words(link.get("last_heard"), status.get("time"))
        sentence = f"{link['name']} is {link['state']}, heard {heard}, {queue_words(link.get('queued', {}))}{explained}"
        fault = str(link.get("fault") or "")
        if fault:
            what, _, todo = fault.partition("; ")
            yield Check("links", ok=False, sentence=f"{link['name']}: {what}", todo=todo or "see kit status")
            continue
        yield Check("links", ok=True, sentence=sentence)
        for told in (
            _radio_words(link.get("facts")),
            _carrying_words(link.get("facts")),
            air_words(link.get("facts")),
            data_words(link.get("facts")),
        ):
            if told:
                yield Check("links", ok=True, sentence=f"{link['name']}: {told}")


def _radio_words(facts: Mapping[str, Any] | None) -> str:
    """How the radio is set, and that this was read from the radio itself."""
    if not facts or not facts.get("verified"):
        return ""
    channel = f'channel "{facts["channel"]}"' if facts.get("channel") else "the default channel"
    firmware = f", firmware {facts['firmware']}" if facts.get("firmware") else ""
    return (
        f"the radio itself says: {facts['region']}, {facts['preset']}, hop limit {facts['hop_limit']}, "
        f"{channel}{firmware}, as set in kit.toml"
    )


def _carrying_words(facts: Mapping[str, Any] | None) -> str:
    """What this kit carries for villages that only it hears."""
    carrying = (facts or {}).get("carrying")
    if not carrying or not carrying.get("kits"):
        return ""
    kits = "another kit was" if carrying["kits"] == 1 else f"{carrying['kits']} other kits were"
    return (
        f"{kits} heard by radio today; {carrying['carried']} of their frames were handed on, {carrying['returned']} "
        f"answers brought back, {carrying['waiting']} wait"
    )


def check_rotation(status: Status) -> Iterator[Check]:
    """Said while it lasts; a fault once it has lasted for days."""
    row = status.get("rotation")
    if not row:
        return
    age_s = seconds_between(row.get("since"), status.get("time"))
    sentence = f"{rotation_words(row)} (for {age_words(max(age_s or 0.0, 0.0))})"
    fine = age_s is None or age_s < RENEWAL_LONG_S
    todo = (
        "see whether the city core hears this kit (there: kit core kits); if it knows other keys of it: there "
        "kit core invite NAME --unit ID, here kit join INVITE"
    )
    yield Check("new keys", ok=fine, sentence=sentence, todo="" if fine else todo)


def check_problems(status: Status) -> Iterator[Check]:
    """What parts of the kit say of themselves: a siren that does not answer, a device that was turned away."""
    problems = status.get("problems") or []
    for sentence in problems:
        what, _, todo = str(sentence).partition("; ")
        yield Check("problem", ok=False, sentence=what, todo=todo or "see kit log")
    if not problems:
        yield Check("problems", ok=True, sentence="no part of the kit reports one")


def check_power_cuts(status: Status) -> Iterator[Check]:
    """Whatever was acknowledged before an unclean end was found after it."""
    summary = status.get("power_cuts")
    zone = str(status.get("timezone") or "UTC")
    lost = loss_sentences(summary, zone)
    for sentence in lost:
        what, _, todo = sentence.partition("; ")
        yield Check("ledger", ok=False, sentence=what, todo=todo)
    if not lost:
        yield Check("ledger", ok=True, sentence=summary_words(summary, zone))


def check_damage(status: Status) -> Iterator[Check]:
    """No damaged store that the unit had to recover from lies about unread."""
    checks = status.get("checks") or {}
    for which, words in (("quick", "after an unclean stop"), ("full", "in full, as every week")):
        if which in checks:
            ago = ago_words(checks[which]["at"], status.get("time"))
            sentence = f"the store was last looked over {words} {ago}, in {checks[which]['seconds']:g} s"
            yield Check("store", ok=True, sentence=sentence)
    for sentence in damage_sentences(status.get("damage") or [], status.get("mending")):
        parting = "; the unit went on by itself; " if "; the unit went on" in sentence else "; nothing is to be done; "
        what, _, todo = sentence.partition(parting)
        yield Check("damage", ok=False, sentence=what, todo=todo)


def check_backup(status: Status) -> Iterator[Check]:
    """Made, and not long ago."""
    problems = backup_problems(status.get("backup"), status.get("time"))
    for problem in problems:
        what, _, todo = problem.partition("; ")
        yield Check("backup", ok=False, sentence=what, todo=todo or "see `kit log care`, or try: kit backup")
    if not problems:
        for line in backup_words(status.get("backup"), status.get("time")):
            yield Check("backup", ok=True, sentence=line)


def check_alerts(status: Status) -> Iterator[Check]:
    """None that nobody has confirmed."""
    waiting = [alert for alert in status.get("alerts", []) if not alert.get("confirmed")]
    if not waiting:
        yield Check("alerts", ok=True, sentence="none stands unconfirmed")
    for alert in waiting:
        title = alert.get("headline") or alert.get("event") or alert.get("identifier")
        todo = 'go and tell, then press "I have seen this" on the page'
        yield Check("alerts", ok=False, sentence=f"{title}: nobody has confirmed it", todo=todo)


CHECKS: Mapping[str, Callable[[Status], Iterator[Check]]] = {
    "sensors": check_sensors,
    "links": check_links,
    "new keys": check_rotation,
    "damage": check_damage,
    "ledger": check_power_cuts,
    "backup": check_backup,
    "problems": check_problems,
    "alerts": check_alerts,
}
"""In the order of the report; `check_services` comes before them because of the ports between."""
