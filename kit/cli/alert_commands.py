"""`kit alerts ls | show ID`: the warnings, and who has said that they saw them."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping
from typing import Any

from kit.cli.output import WIDTH, print_json
from kit.cli.parser import nearest
from kit.cli.unit import Unit, reading_store, unit_of
from kit.errors import UsageError
from kit.health.alert_view import alert_rows, one_alert
from kit.health.words import local_time


def add_alert_commands(parser: argparse.ArgumentParser) -> None:
    """`kit alerts ls | show ID`."""
    words = parser.add_subparsers(metavar="ls|show")
    listing = words.add_parser("ls", help="every warning, those that hold first")
    listing.set_defaults(run=list_alerts)
    show = words.add_parser("show", help="one warning whole")
    show.add_argument("id", metavar="ID", help="as kit alerts ls shows it")
    show.set_defaults(run=show_alert)


def list_alerts(arguments: argparse.Namespace) -> int:
    """One warning after the other."""
    unit = unit_of(arguments)
    with reading_store(unit) as database:
        rows = alert_rows(database.connection, now_ms=unit.now_ms())
    if arguments.json:
        print_json(rows)
        return 0
    for row in rows:
        print(_line(row, unit))
    if not rows:
        print("No warning was ever raised here.")
    return 0


def show_alert(arguments: argparse.Namespace) -> int:
    """Everything about one."""
    unit = unit_of(arguments)
    with reading_store(unit) as database:
        row = one_alert(database.connection, arguments.id, now_ms=unit.now_ms())
        known = [] if row else [str(r["identifier"]) for r in alert_rows(database.connection, now_ms=unit.now_ms())]
    if row is None:
        raise UsageError(f"there is no warning '{arguments.id}'{nearest(arguments.id, known[:10])}")
    if arguments.json:
        print_json(row)
    else:
        print(_whole(row, unit))
    return 0


def standing(row: Mapping[str, Any]) -> str:
    """How it stands, as short as a column."""
    if row.get("msgType") == "Cancel":
        return "all-clear"
    if row["state"] == "ended":
        return f"ended, seen by {row['confirmed_by']}" if row["confirmed"] else "ended, nobody confirmed it"
    return f"seen by {', '.join(row['seen_by'])}" if row["confirmed"] else "NOT CONFIRMED"


def _line(row: Mapping[str, Any], unit: Unit) -> str:
    sent = local_time(row["sent"], unit.settings.unit.timezone, day=True)
    title = row.get("headline") or row["event"]
    lines = textwrap.wrap(f"{sent}  {title}", WIDTH, subsequent_indent="  ")
    return "\n".join([*lines, f"  {standing(row)}  ({row['identifier']})"])


def _whole(row: Mapping[str, Any], unit: Unit) -> str:
    zone = unit.settings.unit.timezone
    lines = [str(row.get("headline") or row["event"]), f"{standing(row)}", ""]
    times = {"sent": "raised", "onset": "begins", "expires": "until"}
    lines += [
        f"{label:<10} {local_time(row[key], zone, day=True)} {zone}" for key, label in times.items() if row.get(key)
    ]
    known = [word for word in (row["severity"], row["urgency"], row["certainty"]) if word != "Unknown"]
    lines.append(f"{'how bad':<10} {', '.join(known) or 'not said'}")
    lines.append(f"{'area':<10} {row['area']}")
    if str(row.get("sender", "")).startswith("core-"):
        lines.append(f"{'from':<10} the city core ({row['sender']})")
    lines += [f"{name:<10} {value}" for name, value in row.get("parameters", {}).items()]
    for key in ("description", "instruction"):
        if row.get(key):
            lines += ["", *textwrap.wrap(row[key], WIDTH)]
    if row["receipts"]:
        lines += ["", "Seen by"]
    for receipt in row["receipts"]:
        at = local_time(receipt["time"], zone, day=True)
        lines.append(f"  {receipt['person'] or 'somebody':<24} {at}  by {receipt['channel']}")
    return "\n".join(lines)
