"""`kit clock [set TIME | reports]`: what the kit knows about the time, and telling it."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any

from kit.cli.output import print_json, print_table
from kit.cli.unit import Unit, reading_store, unit_of, writing_store
from kit.errors import KitError
from kit.health.times import rfc3339
from kit.health.words import age_words, local_time, zone_of
from kit.timekeeping import YEAR_S, unlikely_ahead_s
from kit.unit_clock import UnitClock, describe_clock


def add_clock(parser: argparse.ArgumentParser) -> None:
    """`kit clock [show] | set TIME | boots`."""
    parser.set_defaults(run=show_clock)
    words = parser.add_subparsers(metavar="show|set|boots")
    words.add_parser("show", help="who vouches for the time, since when, and the last step").set_defaults(
        run=show_clock
    )
    setting = words.add_parser("set", help="tell the kit the time; it keeps it until the next reboot")
    setting.add_argument("time", metavar="TIME", help='local, "2026-11-25 08:30", or with a zone, 2026-11-25T05:30:00Z')
    setting.add_argument("--force", action="store_true", help="also a time years after the last one the kit knew")
    setting.set_defaults(run=set_clock)
    words.add_parser("boots", help="the boots of this machine, and how their time became known").set_defaults(
        run=list_boots
    )


def show_clock(arguments: argparse.Namespace) -> int:
    """Print it."""
    unit = unit_of(arguments)
    told = {"time": rfc3339(unit.now_ms()), **describe_clock(unit.clock)}
    if arguments.json:
        print_json(told)
        return 0
    zone = unit.settings.unit.timezone
    print(f"{local_time(str(told['time']), zone, day=True)} {zone}")
    for line in clock_lines(told, zone):
        print(line)
    return 0


def clock_lines(told: dict[str, Any], zone: str) -> list[str]:
    """What a person reads."""
    lines = []
    if told["trusted"]:
        since = f" since {local_time(told['trusted_since'], zone, day=True)}" if told.get("trusted_since") else ""
        lines.append(f"Trusted{since}, by {told.get('source_words') or told.get('source') or 'the machine'}.")
    else:
        lines.append(f"NOT trusted. It comes from {told.get('source_words') or 'the machine'}.")
        lines.append("Tell it: kit clock set 'YYYY-MM-DD HH:MM', or from a phone on the first page.")
    if told.get("last_step"):
        step = told["last_step"]
        lines.append(f"Last step: {step['why']} ({local_time(step['time'], zone, day=True)}).")
    if told.get("disagrees"):
        lines.append(f"Contradicted: {told['disagrees']}.")
    if told.get("up_s") is not None:
        lines.append(f"This machine has been on for {age_words(float(told['up_s']))}.")
    return lines


def set_clock(arguments: argparse.Namespace) -> int:
    """Tell the kit the time, as its technician."""
    from kit.collect.timekeeper import Timekeeper, tell_time

    unit = unit_of(arguments)
    wall_s = _parse(arguments.time, unit)
    clock = unit.clock
    if not isinstance(clock, UnitClock):
        raise KitError("a simulated unit has its own time; it cannot be set")
    ahead_s = unlikely_ahead_s(clock.state, wall_s)
    if ahead_s and not arguments.force:
        last = local_time(rfc3339(int((wall_s - ahead_s) * 1000)), unit.settings.unit.timezone, day=True)
        raise KitError(
            f"that is {ahead_s / YEAR_S:.1f} years after the last time the kit knew ({last}); what it dates would be "
            f"years ahead of all other readings. If it is right, add --force"
        )
    with writing_store(unit) as database:
        tell_time(database, clock, source="technician", who="cli", wall_s=wall_s)
        Timekeeper(database, clock).step()
    clock.look_again()
    told = describe_clock(clock)
    taken = told["source"] == "technician" and abs(clock.now() - wall_s) < 60  # noqa: PLR2004 - a minute of moving readings
    if arguments.json:
        print_json({"time": rfc3339(int(clock.now() * 1000)), "taken": taken, **told})
    elif taken:
        print(f"The kit's time is now {local_time(rfc3339(int(clock.now() * 1000)), unit.settings.unit.timezone)}.")
        print("Readings, warnings and records that were dated by a guess have their true time.")
    else:
        print(f"Not taken: {told['disagrees'] or 'it is the time already'}. The kit goes by {told['source_words']}.")
    return 0 if taken else 1


def list_boots(arguments: argparse.Namespace) -> int:
    """Every boot with how its time became known."""
    from kit.store.boots import boots
    from kit.store.undated import count_undated

    unit = unit_of(arguments)
    with reading_store(unit) as database:
        rows = [
            {
                "number": row.number,
                "boot": row.boot,
                "from": rfc3339(row.first_ms + row.offset_ms),
                "to": rfc3339(row.last_ms + row.offset_ms),
                "source": row.source,
                "known": bool(row.known),
                "undated_readings": count_undated(database.connection, row.number),
            }
            for row in boots(database.connection)
        ]
    if arguments.json:
        print_json(rows)
        return 0
    lines = [
        (row["number"], row["from"], row["to"], row["source"], "yes" if row["known"] else "no", row["undated_readings"])
        for row in rows
    ]
    print_table(("boot", "from", "to", "source", "known", "undated"), lines, empty="No boot was recorded yet.")
    return 0


def _parse(text: str, unit: Unit) -> float:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone_of(unit.settings.unit.timezone))
        return moment.timestamp()
    except (ValueError, OverflowError):
        raise KitError(
            f"'{text}' is not a time; write it like '2026-11-25 08:30' (local) or 2026-11-25T05:30:00Z"
        ) from None
