"""Power cuts and killed processes, as the status, `kit log power`, the doctor, the TUI and the technician page tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kit.health.times import rfc3339
from kit.health.words import age_words, local_time
from kit.home import Home
from kit.store.power_history import history

RECENT = 10


def power_cut_rows(home: Home) -> list[dict[str, Any]]:
    """Every unclean end, the newest first.

    Each is {kind, processes, started, last_alive, settled, off_s, acknowledged, looked_up, found, lost, accounts,
    missing}; times are RFC 3339.
    """
    return [_row(event) for event in reversed(history(home.ledger))]


def power_cut_summary(home: Home) -> dict[str, Any] | None:
    """{count, killed, lost, recent}: all unclean ends, the newest `RECENT` of them whole; None where there was none."""
    rows = power_cut_rows(home)
    if not rows:
        return None
    return {
        "count": sum(row["kind"] == "power cut" for row in rows),
        "killed": sum(row["kind"] != "power cut" for row in rows),
        "lost": sum(row["lost"] for row in rows),
        "recent": rows[:RECENT],
    }


def off_words(row: Mapping[str, Any]) -> str:
    """`off for 2 h 5 min`, as far as the clock can tell."""
    if row["kind"] != "power cut":
        return f"{', '.join(row['processes'])} killed"
    return "off, for how long no clock can tell" if row["off_s"] is None else f"off for {age_words(row['off_s'])}"


def account_words(row: Mapping[str, Any]) -> str:
    """`acknowledged 1,204, found 1,204, lost 0`."""
    return f"acknowledged {row['acknowledged']:,}, found {row['found']:,}, lost {row['lost']:,}"


def power_cut_words(row: Mapping[str, Any], timezone: str) -> str:
    """One event in one line."""
    when = local_time(row["last_alive"], timezone, day=True)
    what = off_words(row) if row["kind"] != "power cut" else f"power cut, {off_words(row)}"
    return f"{when}: {what}; {account_words(row)}"


def summary_words(summary: Mapping[str, Any] | None, timezone: str) -> str:
    """For the status: the last event, and how many there were."""
    if not summary:
        return "no unclean stop so far"
    count = int(summary["count"]) + int(summary["killed"])
    return f"{power_cut_words(summary['recent'][0], timezone)} ({count} so far, {summary['lost']} lost in all)"


def loss_sentences(summary: Mapping[str, Any] | None, timezone: str = "UTC") -> list[str]:
    """What needs a person: acknowledged things that were not found after one of the recent unclean ends."""
    lost = [row for row in (summary or {}).get("recent", []) if row["lost"]]
    return [
        f"{row['lost']} of {row['acknowledged']} acknowledged readings and records were gone after the {row['kind']} "
        f"of {local_time(row['last_alive'], timezone, day=True)}; see `kit log power`, and replace the SD card: it "
        f"loses what it said it had written"
        for row in lost[:1]
    ]


def history_lines(rows: Sequence[Mapping[str, Any]], timezone: str) -> list[str]:
    """The history as text: a line per event, and below it to whom what was acknowledged, and what is missing."""
    lines = []
    for row in rows:
        lines.append(power_cut_words(row, timezone))
        for account in row["accounts"]:
            who = f"readings of {account['who']}" if account["what"] == "readings" else f"{account['who']} records"
            lines.append(f"    {who}: {account_words(account)} ({account['looked_up']:,} looked up one by one)")
        lines += [f"    LOST: {missing}" for missing in row["missing"]]
    return lines


def _row(event: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        "kind": "killed",
        "processes": [],
        "off_s": None,
        "acknowledged": 0,
        "looked_up": 0,
        "found": 0,
        "lost": 0,
        "accounts": [],
        "missing": [],
    } | dict(event)
    for name in ("started", "last_alive", "settled"):
        told[name] = rfc3339(told.pop(f"{name}_ms", None))
    return {key: value for key, value in told.items() if key not in ("id", "boot")}
