"""The unit's status in a technician's words; pure. `kit status` and the TUI both say it with these.

Every function takes a piece of the status that `kit.health.status.unit_status` makes, and tolerates what is missing
from it: a status is most wanted when something is broken.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

PRIORITY_WORDS = ("alarms", "receipts", "messages", "summaries", "readings", "bulk")
"""By priority number (DESIGN §6)."""

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400


def age_words(age_s: float | None) -> str:
    """`12 s`, `3 min`, `2 h 5 min`, `4 days`; `never` for None."""
    if age_s is None:
        return "never"
    seconds = max(0, int(age_s))
    if seconds < MINUTE_S:
        return f"{seconds} s"
    if seconds < HOUR_S:
        return f"{seconds // MINUTE_S} min"
    if seconds < DAY_S:
        hours, minutes = divmod(seconds // MINUTE_S, 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days = seconds // DAY_S
    return f"{days} day{'s' if days != 1 else ''}"


def seconds_between(earlier: str | None, later: str | None) -> float | None:
    """Between two RFC 3339 times of a status."""
    if not earlier or not later:
        return None
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def ago_words(then: str | None, now: str | None) -> str:
    """How long ago, or `never`."""
    age_s = seconds_between(then, now)
    return "never" if age_s is None else f"{age_words(age_s)} ago"


def local_time(at: str | None, timezone: str, *, day: bool = False) -> str:
    """A status time on the village's clock: `18:05`, or `Tue 12 Apr 2016 18:05`."""
    if not at:
        return "?"
    moment = datetime.fromisoformat(at).astimezone(zone_of(timezone))
    return moment.strftime("%a %d %b %Y %H:%M" if day else "%H:%M")


def local_moment(at_ms: int, timezone: str) -> str:
    """Unix milliseconds on the village's clock: `Tue 12 Apr 2016 18:05`."""
    return datetime.fromtimestamp(at_ms / 1000, zone_of(timezone)).strftime("%a %d %b %Y %H:%M")


def zone_of(timezone: str) -> ZoneInfo | Any:
    """The zone of that name, or UTC when the machine does not know it (`kit doctor` says so)."""
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def degrees(celsius: float | None) -> str:
    """`-2.1 °C`, never `-0.0`."""
    return "?" if celsius is None else f"{round(celsius, 1) + 0.0:.1f} °C"


def value_words(value: Mapping[str, Any]) -> str:
    """A latest reading: `-0.4 °C`, with a `?` behind it where it is in doubt."""
    unit = {"Cel": "°C", "%RH": "%"}.get(str(value.get("unit")), str(value.get("unit")))
    number = value.get("value")
    doubt = " ?" if needs_a_look(str(value.get("quality") or "good")) else ""
    return "?" if number is None else f"{number:.{_decimals(value)}f} {unit}{doubt}"


def _decimals(value: Mapping[str, Any]) -> int:
    usual = {"Cel": 1, "%RH": 0, "%": 0}.get(str(value.get("unit")))
    if usual is not None:
        return usual  # most of what a village measures: a status need not wait for the table
    from kit.model.quantities import decimals

    return decimals(str(value.get("quantity", "")))


def needs_a_look(quality: str) -> bool:
    """Whether the flags of a value (`stuck+step`) say that a person should look at the sensor, not at the moment."""
    return bool({"impossible", "stuck", "inconsistent", "neighbour", "unit_unknown"} & set(quality.split("+")))


def actuator_name(row: Mapping[str, Any]) -> str:
    """`valve`, or `valve/left` where it has several outputs."""
    return f"{row['device']}/{row['output']}" if row.get("output") else str(row["device"])


def named_value_words(value: Mapping[str, Any]) -> str:
    """A latest reading where nothing else says what it is of: a share of what must be told, a degree need not."""
    of = str(value.get("quantity", "")).partition(":")[0].partition("_")[0]
    return f"{value_words(value)} {of}" if value.get("unit") in {"%", "%RH"} and of else value_words(value)


def power_words(power: Mapping[str, Any] | None) -> str:
    """What the unit runs on."""
    if not power:
        return "no gauge"
    source = {"mains": "mains", "battery": "on battery", "solar": "solar"}.get(str(power.get("source")), "unknown")
    percent = power.get("battery_percent")
    battery = (
        "" if percent is None else f", {percent:.0f} %" if source == "on battery" else f", battery {percent:.0f} %"
    )
    charging = {True: ", charging", False: ", not charging"}.get(power.get("charging"), "") if battery else ""  # type: ignore[arg-type]  # None stands for unknown
    return source + battery + charging


def queue_words(queued: Mapping[str, int]) -> str:
    """What waits, most urgent first: `2 alarms, 40 readings`."""
    waiting = [
        f"{count} {PRIORITY_WORDS[int(priority)] if int(priority) < len(PRIORITY_WORDS) else 'of priority ' + priority}"
        for priority, count in sorted(queued.items())
        if count
    ]
    return ", ".join(waiting) if waiting else "nothing waits"


def uncarried_words(core: Mapping[str, Any] | None) -> str:
    """What waits and no link takes now; "" where there is none of it."""
    uncarried = (core or {}).get("uncarried") or {}
    return f"no link carries {queue_words(uncarried)} now (kit queue ls says why)" if uncarried else ""


def air_words(facts: Mapping[str, Any] | None) -> str:
    """What the air can still carry today, for a radio's link; "" where nothing is known of it."""
    air = (facts or {}).get("air")
    if not air:
        return ""
    kept = f"; {air['alert_frames']:,} in each hour are kept for alarms" if air.get("alert_frames") else ""
    hops = f", {air['hops']} hop{'s' if air['hops'] != 1 else ''} counted" if air.get("hops") else ""
    return (
        f"the air can still carry {air['frames']:,} frames today ({size_words(air['bytes'])}, or about as many short "
        f"messages), {air['frames_now']:,} of them at once{hops}{kept}"
    )


def data_words(facts: Mapping[str, Any] | None) -> str:
    """What is left of the day's mobile data; "" where it is not metered."""
    data = (facts or {}).get("data")
    if not data or not data.get("daily_bytes"):
        return ""
    left = max(int(data["daily_bytes"]) - int(data["used_bytes"]), 0)
    lowest = int(data["lowest_priority"])
    still = "everything" if lowest >= len(PRIORITY_WORDS) - 1 else ", ".join(PRIORITY_WORDS[: lowest + 1])
    return f"{size_words(left)} of today's {size_words(int(data['daily_bytes']))} of mobile data are left, for {still}"


def size_words(size: int) -> str:
    """`312 kB`, `2.1 MB`."""
    return f"{size / 1e6:.1f} MB" if size >= 1_000_000 else f"{size / 1e3:.0f} kB"  # noqa: PLR2004 - a million


def forecast_words(forecast: Mapping[str, Any] | None, timezone: str) -> str:
    """Tonight in one line."""
    if not forecast:
        return "no forecast"
    low, high = forecast.get("tmin_p10_c"), forecast.get("tmin_p90_c")
    range_words = "" if low is None or high is None else f" ({degrees(low).removesuffix(' °C')} to {degrees(high)})"
    return f"{degrees(forecast.get('tmin_c'))}{range_words}, {frost_words(forecast, timezone)}"


def frost_words(forecast: Mapping[str, Any], timezone: str) -> str:
    """How likely the threshold is, and when."""
    chance = f"frost {float(forecast.get('p_frost') or 0):.0%}"
    below = forecast.get("expected_below")
    return f"{chance} from {local_time(below, timezone)}" if below else chance


def alert_words(alert: Mapping[str, Any], now: str | None) -> str:
    """One warning: what, since when, and who has seen it. Unconfirmed is said in words, never by colour alone."""
    seen = alert.get("seen_by") or []
    standing = f"seen by {', '.join(map(str, seen))}" if alert.get("confirmed") and seen else "confirmed"
    if not alert.get("confirmed"):
        standing = "NOT CONFIRMED by anybody"
    title = alert.get("headline") or alert.get("event") or alert.get("identifier")
    return f"{title}: {standing}, raised {ago_words(alert.get('sent'), now)}"


def custody_words(row: Mapping[str, Any]) -> str:
    """How far a record of the queue has come, and by which links or whom: `accepted by lora`, `read by Amina`."""
    if row["state"] == "read":
        return f"read by {row.get('read_by') or 'somebody'}"
    if row["state"] != "delivered" and row.get("undeliverable"):
        return "cannot be delivered: the city core has no such kit"
    if row.get("undelivered"):
        return "accepted; its time ran out, nobody said that the other kit has it"
    links = row.get("links", [])
    acknowledged = [link["link"] for link in links if link.get("accepted")]
    names = acknowledged or [link["link"] for link in links]
    state = "expired, " + str(row["state"]) if row.get("expired") else str(row["state"])
    return state + (f" by {', '.join(names)}" if names and row["state"] != "delivered" else "")


def clock_words(status: Mapping[str, Any]) -> list[str]:
    """Who vouches for the time, since when, and the last step."""
    clock, zone = status.get("clock", {}), str(status.get("timezone") or "UTC")
    if not clock.get("source"):
        return ["trusted" if clock.get("trusted") else "not trusted"]
    if clock.get("speed"):
        return ["simulated"]
    words = str(clock.get("source_words") or clock["source"])
    since = local_time(clock.get("trusted_since"), zone, day=True) if clock.get("trusted_since") else ""
    lines = [f"by {words}" + (f", since {since}" if since else "")]
    if not clock.get("trusted"):
        lines = [f"NOT trusted; it comes from {words}"]
    if clock.get("last_step"):
        step = clock["last_step"]
        lines.append(f"last step {local_time(step['time'], zone, day=True)}: {step['why']}")
    if clock.get("disagrees"):
        lines.append(f"contradicted: {clock['disagrees']}")
    return lines


def actuator_words(row: Mapping[str, Any], zone: str = "") -> str:
    """How a command to an actuator stands: `on, acknowledged, until 12:21`; nothing is claimed that it did not say.

    The time is of the clock in `zone`; without one it stays as programs read it.
    """
    words = f"{row['wanted']}, {row['state']}"
    if row["state"] == "acknowledged" and row.get("until"):
        words += f", until {local_time(str(row['until']), zone) if zone else row['until']}"
    return words + (f": {row['why']}" if row.get("why") else "")


def service_words(service: Mapping[str, Any]) -> str:
    """`running`, `waiting, 3 restarts`."""
    restarts = int(service.get("restarts") or 0)
    again = f", {restarts} restart{'s' if restarts != 1 else ''}" if restarts else ""
    return f"{service.get('state')}{again}"
