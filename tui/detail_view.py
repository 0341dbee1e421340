"""The lines of the screens behind the home screen: what needs a person, alerts, the queue, the logs, the keys; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kit.health.attention import attention
from kit.health.logs import LogLine
from kit.health.power_view import history_lines
from kit.health.words import PRIORITY_WORDS, age_words, ago_words, custody_words, local_time
from tui.facts import JoinCode, Newcomer
from tui.line import Line, Tone

KEYS = (
    ("n", "what needs you, in whole sentences"),
    ("a", "warnings: who was told, who has seen them"),
    ("k", "the queue: how far each record has come, to whom it goes, why it waits"),
    ("f", "in the queue: show another priority, or also what has arrived"),
    ("t", "in the queue: send again now what waits"),
    ("w", "new devices: the join code, who waits to be let in"),
    ("y", "there: let the chosen one in, with a name and a place"),
    ("x", "there: turn it away"),
    ("o", "there: choose another one"),
    ("c", "there: show a join code"),
    ("l", "the services' logs"),
    ("p", "power cuts: what was acknowledged before, and found after"),
    ("r", "look again now (it looks every second by itself)"),
    ("Esc", "back"),
    ("Ctrl+P", "all commands, to search in"),
    ("?", "this"),
    ("q", "leave; the unit goes on"),
)


def needs_lines(status: Mapping[str, Any]) -> list[Line]:
    """Every sentence whole."""
    sentences = attention(status)
    return [Line(f"! {sentence}") for sentence in sentences] or [Line("Nothing needs you.", Tone.GOOD)]


def alert_lines(alerts: Sequence[Mapping[str, Any]], *, now: str | None, timezone: str) -> list[Line]:
    """Every warning with what is known of it, those that stand first."""
    if not alerts:
        return [Line("No warning was ever raised here.")]
    lines: list[Line] = []
    for alert in alerts:
        lines += [*_alert(alert, now=now, timezone=timezone), Line("")]
    return lines[:-1]


def waiting_lines(
    newcomers: Sequence[Newcomer], *, chosen: Newcomer | None, code: JoinCode | None, timezone: str = "UTC"
) -> list[Line]:
    """Who waits with its last reading, the chosen one marked; then the join code and its picture."""
    lines = []
    for one in newcomers:
        mark = "> " if one == chosen else "  "
        said = f"{one.reading or 'no reading yet'}, {age_words(one.age_s)} ago" if one.age_s is not None else "silent"
        lines.append(
            Line(f"{mark}{one.kind or 'not recognised yet'}: {said}", Tone.HEAD if one == chosen else Tone.PLAIN)
        )
        lines.append(Line(f"    {one.client_id or '-'}", Tone.PLAIN))
        if one.open:
            lines.append(Line("    no password: anybody in the network can pretend to be it", Tone.WARN))
    lines.append(Line("Let it in: y") if newcomers else Line("No device waits."))
    if code is None:
        return [*lines, Line(""), Line("Show a join code: c")]
    told = f"host {code.host}  port {code.port}  user join  password {code.text}"
    lines += [Line(""), Line("Type this into the new device's MQTT settings:"), Line(told, Tone.HEAD)]
    lines += [Line(f"good for one device, until {local_time(code.until, timezone)}"), Line("")]
    return [*lines, *(Line(row, Tone.PAPER) for row in code.picture)]


def queue_lines(rows: Sequence[Mapping[str, Any]], *, what: str = "") -> list[Line]:
    """Two lines per record, the most urgent first: how far it has come; whom it is for, and why it waits.

    Args:
        rows: of `kit.health.queue_view`.
        what: the filter in words, where there is one.
    """
    if not rows:
        nothing = f"Nothing of that is here: {what}." if what else "Nothing waits: everything is at the core."
        return [Line(nothing, Tone.PLAIN if what else Tone.GOOD)]
    head = f"{'priority':<9} {'kind':<9} how far"
    lines = [Line(head, Tone.HEAD)]
    for row in rows:
        number = int(row["priority"])
        priority = PRIORITY_WORDS[number] if number < len(PRIORITY_WORDS) else str(number)
        text = f"{priority:<9} {row['kind'][:9]:<9} {custody_words(row)}"
        urgent = number == 0 and not row.get("accepted")
        lines.append(Line(text, Tone.BAD if row.get("expired") else Tone.WARN if urgent else Tone.PLAIN))
        lines.append(Line(f"  to {row['to']}" + (f": {row['why']}" if row.get("why") else "")))
    return lines


def log_lines(lines: Sequence[LogLine], *, timezone: str = "UTC") -> list[Line]:
    """Oldest first, on the village's clock; errors and warnings are named so by the log itself."""
    shown = []
    for line in lines:
        tone = Tone.BAD if " ERROR " in line.text else Tone.WARN if " WARNING " in line.text else Tone.PLAIN
        stamp, _, rest = line.text.partition(" ")
        text = f"{local_time(stamp, timezone, day=True)} {rest}" if stamp[:4].isdecimal() else line.text
        shown.append(Line(f"{line.service}: {text}", tone))
    return shown or [Line("Nothing was logged yet.")]


def power_lines(status: Mapping[str, Any]) -> list[Line]:
    """The latest unclean ends; one that lost something stands out."""
    recent = (status.get("power_cuts") or {}).get("recent", [])
    lines = [
        Line(text, Tone.BAD if text.startswith("    LOST") else Tone.PLAIN if text.startswith(" ") else Tone.HEAD)
        for text in history_lines(recent, str(status.get("timezone") or "UTC"))
    ]
    return lines or [Line("No power cut so far, and no process was killed.", Tone.GOOD)]


def key_lines() -> list[Line]:
    """The keys."""
    return [Line(f"{key:<7} {meaning}") for key, meaning in KEYS]


def _alert(alert: Mapping[str, Any], *, now: str | None, timezone: str) -> list[Line]:
    title = str(alert.get("headline") or alert.get("event") or alert.get("identifier"))
    raised = f"raised {local_time(alert.get('sent'), timezone, day=True)} ({ago_words(alert.get('sent'), now)})"
    ended = alert.get("state") == "ended"
    if alert.get("msgType") == "Cancel":
        standing = Line("  the all-clear", Tone.GOOD)
    elif alert.get("confirmed"):
        seen = ", ".join(map(str, alert.get("seen_by") or [])) or "somebody"
        standing = Line(f"  seen by {seen}", Tone.GOOD)
    elif ended:
        standing = Line("  nobody confirmed it", Tone.WARN)
    else:
        standing = Line("! NOT CONFIRMED by anybody", Tone.BAD)
    lines = [Line(title + (" (ended)" if ended else ""), Tone.HEAD), standing, Line(f"  {raised}")]
    if alert.get("onset"):
        lines.append(Line(f"  expected from {local_time(alert['onset'], timezone, day=True)}"))
    lines += [Line(f"  {alert[key]}") for key in ("description", "instruction") if alert.get(key)]
    lines.append(Line(f"  {alert.get('identifier')}"))
    return lines
