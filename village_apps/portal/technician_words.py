"""What the technician's page says of states, durations, backups and a damaged store, in the reader's language; pure.

What a program said (an error, a table's name, the path of a file) stays as it is: it is what one looks up or types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any

from kit.health.words import seconds_between
from village_apps.phrases import Phrase, phrase

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
MOST_NAMES = 8
"""Tables that are named; all of them are told by `kit status`."""

STATES: dict[str, Phrase] = {
    "running": phrase("running"),
    "starting": phrase("starting"),
    "waiting": phrase("waiting to be started again"),
    "stopped": phrase("stopped"),
    "up": phrase("connected"),
    "down": phrase("not connected"),
    "connecting": phrase("connecting"),
    "busy": phrase("connected, but may not send now"),
}
"""Of services and links; any other is shown as it is."""

CLOCK_SOURCES: dict[str, Phrase] = {
    "none": phrase("nothing; it counts on from the last time it knew"),
    "machine": phrase("the machine's own clock, which nothing has set since it started"),
    "phone": phrase("phones"),
    "technician": phrase("the technician"),
    "core": phrase("the city core"),
    "radio": phrase("the LoRa radio's GPS"),
    "gps": phrase("GPS"),
    "ntp": phrase("the network (NTP)"),
}
"""Who told the time, as `kit.timekeeping` says it elsewhere."""

COMMANDS: dict[str, Phrase] = {
    "asked": phrase("asked, no answer yet"),
    "acknowledged": phrase("done, as the device says"),
    "ending": phrase("being ended"),
    "ended": phrase("ended"),
    "expired": phrase("no answer came in time"),
    "failed": phrase("NOT done"),
}
_WANTED: dict[str, Phrase] = {"on": phrase("on"), "off": phrase("off")}
_KINDS: dict[str, Phrase] = {"nightly": phrase("Each night"), "stick": phrase("On a USB stick")}


def at_ms(told: str) -> int:
    """A time of the status as pages want it, Unix ms."""
    return round(datetime.fromisoformat(told).timestamp() * 1000)


def state_word(state: str) -> Phrase | str:
    """How a service or link is."""
    return STATES.get(state, state)


def clock_source(clock: Mapping[str, Any]) -> Phrase | str:
    """Who told the unit the time."""
    source = str(clock.get("source") or "–")
    return CLOCK_SOURCES.get(source, source)


def duration(seconds: float | None) -> Phrase:
    """How long."""
    if seconds is None:
        return phrase("never")
    told = max(0, int(seconds))
    if told < MINUTE_S:
        return phrase("%(count)s s", count=told)
    if told < HOUR_S:
        return phrase("%(count)s min", count=told // MINUTE_S)
    if told < DAY_S:
        return _hours(*divmod(told // MINUTE_S, 60))
    return phrase("1 day") if told < 2 * DAY_S else phrase("%(count)s days", count=told // DAY_S)


def _hours(hours: int, minutes: int) -> Phrase:
    if minutes:
        return phrase("%(hours)s h %(minutes)s min", hours=hours, minutes=minutes)
    return phrase("%(hours)s h", hours=hours)


def age(seconds: float | None) -> Phrase:
    """How long ago."""
    return phrase("never") if seconds is None else phrase("%(time)s ago", time=duration(seconds))


def stop_words(cut: Mapping[str, Any]) -> Phrase:
    """What an unclean end was."""
    if cut["kind"] != "power cut":
        return phrase("Killed: %(names)s", names=", ".join(cut["processes"]))
    if cut["off_s"] is None:
        return phrase("Off, for how long no clock can tell")
    return phrase("Off for %(time)s", time=duration(cut["off_s"]))


def backup_lines(backup: Mapping[str, Any] | None, now: str | None) -> list[Phrase]:
    """A line per kind of backup."""
    if not backup:
        return [phrase("None yet. The first is made a minute after the start, or with: kit backup")]
    lines = []
    for which, told in backup.items():
        kind, ago = _KINDS.get(which, which), age(seconds_between(told["at"], now))
        if not told["ok"]:
            lines.append(phrase("%(kind)s: FAILED %(ago)s. %(why)s", kind=kind, ago=ago, why=told["sentence"]))
            continue
        name, size = PurePath(told["file"]).name, f"{told['bytes'] / 1e6:,.1f} MB"
        if which == "stick":
            lines.append(
                phrase(
                    "%(kind)s: made %(ago)s and checked. The stick may be pulled out. %(file)s, %(size)s",
                    kind=kind,
                    ago=ago,
                    file=name,
                    size=size,
                )
            )
        else:
            lines.append(
                phrase(
                    "%(kind)s: made %(ago)s and checked. %(file)s, %(size)s", kind=kind, ago=ago, file=name, size=size
                )
            )
    return lines


def actuator_words(row: Mapping[str, Any]) -> list[Phrase]:
    """What was wanted, and how far it has come; nothing is claimed that the device did not say."""
    return [_WANTED[row["wanted"]], COMMANDS[row["state"]]]


def until_ms(row: Mapping[str, Any]) -> int | None:
    """Until when it holds, Unix ms."""
    return at_ms(row["until"]) if row["state"] == "acknowledged" and row.get("until") else None


def damage_lines(row: Mapping[str, Any], mending: Mapping[str, Any] | None) -> list[Phrase]:
    """What became of a damaged store, sentence by sentence."""
    folder = row.get("set_aside", "")
    found = [phrase("The store was damaged (%(problem)s).", problem=row.get("problem", "?"))]
    if row.get("unfinished"):
        found.append(phrase("The unit serves again, and brings the older readings back meanwhile."))
        if mending:
            found.append(_so_far(mending))
        return [*found, phrase("Nothing is to be done. Leave %(folder)s alone until it is over.", folder=folder)]
    rows, lost = f"{row.get('salvaged', 0):,}", row.get("incomplete") or {}
    if not lost:
        found.append(phrase("Everything in it was saved: %(rows)s rows.", rows=rows))
    else:
        found.append(phrase("The unit goes on with %(rows)s rows.", rows=rows))
        found.append(phrase("Not wholly readable: %(tables)s.", tables=_tables(lost)))
        found.append(_filled(row.get("backup")))
    return [
        *found,
        phrase("The unit went on by itself. When nothing is missed, delete %(folder)s.", folder=folder),
        phrase("Think of a new SD card."),
    ]


def _so_far(mending: Mapping[str, Any]) -> Phrase:
    rows = f"{mending['rows']:,}"
    if mending["of"] and mending["done"] < mending["of"]:
        return phrase(
            "%(rows)s rows so far; now %(table)s, series %(done)s of %(of)s.",
            rows=rows,
            table=mending["table"],
            done=mending["done"] + 1,
            of=mending["of"],
        )
    return phrase("%(rows)s rows so far; now %(table)s.", rows=rows, table=mending["table"])


def _filled(backup: str | None) -> Phrase:
    if backup is None:
        return phrase("There was no backup.")
    return phrase("The backup %(file)s filled in what it holds.", file=PurePath(backup).name)


def _tables(lost: Mapping[str, Sequence[str]]) -> str:
    names = [f"{name} ({'; '.join(gaps[:2])})" if gaps else name for name, gaps in lost.items()]
    return ", ".join(names[:MOST_NAMES]) + (f" … (+{len(names) - MOST_NAMES})" if len(names) > MOST_NAMES else "")
