"""What the home screen says, from the status that `kit status --json` prints; pure.

One function per panel. Each puts first what would need a person, because at 40×20 the rest may not fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kit.health.attention import attention
from kit.health.rotation_view import rotation_words
from kit.health.words import (
    PRIORITY_WORDS,
    actuator_name,
    actuator_words,
    age_words,
    ago_words,
    degrees,
    frost_words,
    local_time,
    named_value_words,
    power_words,
    seconds_between,
    service_words,
    size_words,
)
from tui.line import Line, Shape, Tone, cut, fit, spread

Status = Mapping[str, Any]


def header(status: Status, shape: Shape) -> list[Line]:
    """Which unit, and what time it has."""
    zone = str(status.get("timezone") or "UTC")
    trusted = status.get("clock", {}).get("trusted", False)
    time = local_time(status.get("time"), zone, day=not shape.narrow)
    name = str(status.get("name") or "Village kit")
    unit = f"  {status.get('unit')}" if status.get("unit") and not shape.narrow else ""
    return [Line(spread(name + unit, time + ("" if trusted else " ?clock"), shape.width), Tone.HEAD)]


def needs(status: Status, shape: Shape) -> list[Line]:
    """Whether anything needs a person: the first half of each sentence; the screen behind `n` has them whole."""
    sentences = attention(status)
    if not sentences:
        return [Line("Nothing needs you.", Tone.GOOD)]
    if shape.narrow and len(sentences) > 1:
        return [Line(f"! {len(sentences)} things need you: press n", Tone.BAD if _alarm(status) else Tone.WARN)]
    tones = [Tone.BAD if _alarm(status) and number == 0 else Tone.WARN for number in range(len(sentences))]
    shown = [Line(f"! {sentence.split('; ')[0]}", tone) for sentence, tone in zip(sentences, tones, strict=True)]
    return fit(shown, shape, more="more: press n")


def tonight(status: Status, shape: Shape) -> list[Line]:
    """The forecast and the warnings that stand; one that nobody has confirmed stands out, in words and colour."""
    zone = str(status.get("timezone") or "UTC")
    lines = [_alert(alert, status, shape) for alert in sorted(status.get("alerts", []), key=_confirmed)]
    forecast = status.get("forecast")
    if not forecast:
        lines.append(Line("No forecast yet."))
        return fit(lines, shape, more="more: press a")
    low, high = forecast.get("tmin_p10_c"), forecast.get("tmin_p90_c")
    lines.append(Line(f"Low {degrees(forecast.get('tmin_c'))}, {frost_words(forecast, zone)}"))
    if not shape.narrow:
        issued = ago_words(forecast.get("issued"), status.get("time"))
        lines += [
            Line(f"8 nights in 10: {degrees(low)} to {degrees(high)}"),
            Line(f"for {forecast.get('device')}, issued {issued}"),
        ]
    if not status.get("alerts"):
        lines.append(Line("No warning stands.", Tone.GOOD))
    return fit(lines, shape, more="more: press a")


def services(status: Status, shape: Shape) -> list[Line]:
    """Those that are down first, each with its last error; the running ones together."""
    listed = status.get("services", [])
    if not listed:
        return [Line("Services: none has run yet" if shape.narrow else "None has run yet.")]
    down = [service for service in listed if service.get("state") not in ("running", "starting")]
    lines = []
    if down and len(down) == len(listed):
        lines.append(Line("! all services stopped", Tone.WARN))
    else:
        for service in down:
            why = f": {service['last_error']}" if service.get("last_error") else ""
            lines.append(Line(f"! {service['name']} {service_words(service)}{why}", Tone.WARN))
    lines += _running([service for service in listed if service not in down], shape)
    return fit(lines, shape, more="services")


def sensors(status: Status, shape: Shape) -> list[Line]:
    """Every sensor with its age, the silent ones first."""
    listed = sorted(status.get("sensors", []), key=lambda sensor: not sensor.get("silent"))
    if not listed:
        return [Line("No sensor yet: kit device add NAME")]
    lines = []
    for sensor in listed:
        age = f"{age_words(sensor.get('age_s'))} ago" if sensor.get("last_seen") else "never"
        mark, tone = ("! ", Tone.WARN) if sensor.get("silent") else ("", Tone.PLAIN)
        shown = 2 if shape.width > 30 else 1  # noqa: PLR2004 - a column of the wide layout
        latest = " ".join(named_value_words(value) for value in sensor.get("latest", [])[:shown])
        right = f"SILENT {age}" if sensor.get("silent") else f"{latest} {age}".strip()
        name = _placed(sensor, shape)
        lines.append(Line(spread(f"{mark}{name}", right, shape.width), tone))
    return fit(lines, shape, more="sensors")


def _placed(sensor: Mapping[str, Any], shape: Shape) -> str:
    """The sensor's name, with its place where there is room."""
    name, place = str(sensor["device"]), sensor.get("place")
    return f"{name} · {place}" if place and shape.width > 30 else name  # noqa: PLR2004 - a column of the wide layout


def unit(status: Status, shape: Shape) -> list[Line]:
    """Power, clients, the core."""
    power = status.get("power")
    clients = status.get("clients")
    people = "not counted" if clients is None else str(clients)
    heard = _core(status)
    keys = [Line(f"Keys    {told}") for told in [rotation_words(status.get("rotation"), short=True)] if told]
    if shape.narrow:
        lines = [Line(f"Power: {power_words(power)}"), Line(f"Clients: {people}; core {heard}"), *keys]
        return fit(lines, shape, more="lines")
    lines = [Line(f"Power   {power_words(power)}"), Line(f"Clients {people}"), Line(f"Core    {heard}"), *keys]
    zone = str(status.get("timezone") or "UTC")
    lines += [_actuator(row, zone) for row in status.get("actuators", [])]
    lines += [
        Line(f"{'' if app.get('ok', True) else '! '}{app['label']}: {app['value']}") for app in status.get("apps", [])
    ]
    return fit(lines, shape, more="lines")


def sync(status: Status, shape: Shape) -> list[Line]:
    """The queue by link and priority."""
    links = [link for link in status.get("links", []) if not _stands_by(link)]
    if not links:
        return [Line("Sync: no link yet" if shape.narrow else "No link yet: kit join INVITE, and [links] in kit.toml")]
    lines = [Line(_sync_heads(shape), Tone.HEAD)]
    lines += [Line(_sync_row(link, status, shape)) for link in links]
    lines += [Line(told) for link in links for told in _left_today(link)]
    return fit(lines, shape, more="links")


def _stands_by(link: Mapping[str, Any]) -> bool:
    """A second way that is not needed takes no row from those that are."""
    return (link.get("facts") or {}).get("in_use") is False


def _left_today(link: Mapping[str, Any]) -> list[str]:
    """What may still be sent today, as short as it goes."""
    facts, lines = link.get("facts") or {}, []
    if facts.get("air"):
        lines.append(f"air today: {facts['air']['frames']:,} frames, {size_words(facts['air']['bytes'])}")
    data = facts.get("data") or {}
    if data.get("daily_bytes"):
        left = max(int(data["daily_bytes"]) - int(data["used_bytes"]), 0)
        lines.append(f"data today: {size_words(left)} of {size_words(int(data['daily_bytes']))} left")
    return lines


def few(count: int, cells: int) -> str:
    """A count in so many cells; a dot for none."""
    if not count:
        return "·"
    if len(str(count)) <= cells:
        return str(count)
    return f"{count // 1000}k" if len(str(count // 1000)) < cells else "lots"


def _cells(shape: Shape) -> tuple[int, int, tuple[int, ...]]:
    """Widths of the link's name, its state, and each priority's count."""
    return (9, 5, (4,) * len(PRIORITY_WORDS)) if shape.narrow else (9, 11, tuple(len(w) + 1 for w in PRIORITY_WORDS))


def _sync_heads(shape: Shape) -> str:
    name, state, cells = _cells(shape)
    heads = [f"P{number}" for number in range(len(PRIORITY_WORDS))] if shape.narrow else PRIORITY_WORDS
    counts = "".join(f"{head:>{cell}}" for head, cell in zip(heads, cells, strict=True))
    return f"{'link':<{name}}{'state':<{state}}{counts}" + ("" if shape.narrow else "  heard")


def _sync_row(link: Mapping[str, Any], status: Status, shape: Shape) -> str:
    name, state, cells = _cells(shape)
    queued = link.get("queued", {})
    counts = "".join(f"{few(queued.get(str(number), 0), cell - 1):>{cell}}" for number, cell in enumerate(cells))
    heard = age_words(seconds_between(link.get("last_heard"), status.get("time")))
    return f"{cut(link['name'], name - 1):<{name}}{cut(str(link['state']), state):<{state}}{counts}" + (
        "" if shape.narrow else f"  {_first_unit(heard)}"
    )


def _first_unit(age: str) -> str:
    """`2 h 5 min` → `2 h`."""
    return " ".join(age.split(" ")[:2])


def _alarm(status: Status) -> bool:
    """Red is for a warning that nobody has confirmed, so that it stands out from a flat battery."""
    return any(not alert.get("confirmed") for alert in status.get("alerts", []))


def _confirmed(alert: Mapping[str, Any]) -> bool:
    return bool(alert.get("confirmed"))


def _alert(alert: Mapping[str, Any], status: Status, shape: Shape) -> Line:
    title = str(alert.get("headline") or alert.get("event") or "Warning")
    if not alert.get("confirmed"):
        age = age_words(seconds_between(alert.get("sent"), status.get("time")))
        standing = f"NOT CONFIRMED, {_first_unit(age)}"
        return Line(f"! {cut(title, shape.width - len(standing) - 3)} {standing}", Tone.BAD)
    seen = ", ".join(map(str, alert.get("seen_by") or [])) or "somebody"
    return Line(f"{title}: seen by {seen}", Tone.WARN)


def _running(running: list[Mapping[str, Any]], shape: Shape) -> list[Line]:
    names = [
        service["name"]
        + ("…" if service.get("state") == "starting" else "")
        + (f" ({service['restarts']}× anew)" if service.get("restarts") and not shape.narrow else "")
        for service in running
    ]
    if not names:
        return []
    words = f"Running: {', '.join(names)}"
    if len(words) <= shape.width or shape.narrow:
        return [Line(words, Tone.GOOD)]
    at = max((at for at in range(1, len(names)) if len("Running: " + ", ".join(names[:at])) < shape.width), default=1)
    rest = ", ".join(names[at:])
    return [Line("Running: " + ", ".join(names[:at]) + ",", Tone.GOOD), Line(" " * 9 + rest, Tone.GOOD)]


def _actuator(row: Mapping[str, Any], zone: str) -> Line:
    failed = bool(row.get("failed_lately"))
    return Line(
        f"{'! ' if failed else ''}{actuator_name(row)}: {actuator_words(row, zone)}",
        Tone.WARN if failed else Tone.PLAIN,
    )


def _core(status: Status) -> str:
    core = status.get("core")
    if not core:
        return "not joined to a city core"
    return f"heard {ago_words(core.get('last_heard'), status.get('time'))}"
