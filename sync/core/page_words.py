"""What the core's page says, in English and UTC; pure. Every function takes values and returns what a person reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from kit.health.words import age_words, degrees
from kit.model.alert import Alert, Receipt
from kit.model.quantities import quantity_named
from kit.model.readings import explain_quality, is_usable
from sync.core.bodies import LATEST_MS
from sync.core.publications import Copy
from sync.core.reading_rows import DAY_MS
from sync.core.store import DayRow, Fidelity, HourRow, SeriesRow

WEEK = timedelta(days=6)
"""Within it a weekday names one day only."""

DAYS_IN_WORDS = 3

_LINKS = {"lora": "LoRa radio", "cellular": "mobile network", "sneakernet": "USB stick"}
_CHANNELS = {
    "web": "on the kit's page",
    "sms": "by SMS",
    "radio": "by radio",
    "tui": "on the technician's screen",
    "core": "here",
}
_UNITS = {"Cel": "°C", "%RH": "%", "deg": "°", "W/m2": "W/m²", "ug/m3": "µg/m³", "%EL": "%"}
_SPELLED = {"co2": "CO₂", "pm2_5": "PM 2.5", "pm10": "PM 10"}


def moment(at_ms: int | None, now_ms: int) -> str:
    """`19:05 UTC`, `Sun 05:00 UTC` within the week, else with the date."""
    if at_ms is None or not 0 <= at_ms <= LATEST_MS:
        return "an impossible time"
    at, now = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (at_ms, now_ms))
    if at.date() == now.date():
        return f"{at:%H:%M} UTC"
    if abs(at.date() - now.date()) < WEEK:
        return f"{at:%a %H:%M} UTC"
    return f"{at:%a} {at.day} {at:%b %H:%M} UTC" if at.year == now.year else f"{at.day} {at:%b %Y %H:%M} UTC"


def long_moment(at_ms: int) -> str:
    """`Sunday 24 April 2016, 03:12 UTC`."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{at:%A} {at.day} {at:%B %Y, %H:%M} UTC"


def ago(at_ms: int, now_ms: int) -> str:
    """`3 min ago`, `in 2 h 5 min`, `just now`."""
    seconds = (now_ms - at_ms) / 1000
    if abs(seconds) < 10:  # noqa: PLR2004 - the page is not fresher than that itself
        return "just now"
    return f"{age_words(seconds)} ago" if seconds > 0 else f"in {age_words(-seconds)}"


def copy(told: Copy, now_ms: int) -> str:
    """How far a published file has come at one kit."""
    if told.gone_ms is not None:
        return f"gone {ago(told.gone_ms, now_ms)}" + ("" if told.opened_ms is None else ", it had been opened")
    if told.opened_ms is not None:
        return f"opened {ago(told.opened_ms, now_ms)}"
    if told.accepted_ms is not None:
        return "at the kit, not known to be opened"
    return f"left over {link(told.link)}" if told.left_ms is not None else "waits until the kit is heard"


def twin(name: str, since_ms: int, now_ms: int) -> str:
    """What to do about two kits with the keys of one."""
    return (
        f"Two units with the keys of this kit are alive since {moment(since_ms, now_ms)}, so nothing is taken from "
        f'either: its SD card was copied. Switch one off, and let the other join again: kit core invite "{name}"'
    )


def link(name: str) -> str:
    """How people call a link."""
    return _LINKS.get(name, name)


def channel(receipt: Receipt) -> str:
    """How somebody confirmed."""
    return _CHANNELS.get(receipt.channel, receipt.channel)


def person(receipt: Receipt) -> str:
    """Who confirmed."""
    return receipt.person or "Somebody"


def title(alert: Alert) -> str:
    """`Frost warning`."""
    return f"{alert.event.replace('_', ' ').capitalize()} warning"


def number(alert: Alert, name: str) -> float | None:
    """A parameter, if it is a number."""
    told = alert.parameters.get(name)
    return None if told is None or isinstance(told, str) else float(told)


def minimum(alert: Alert) -> str | None:
    """`-2.1 °C`, the expected minimum of a frost warning."""
    told = number(alert, "tmin_c")
    return None if told is None else minus(degrees(told))


def spread(low_c: float | None, high_c: float | None) -> str | None:
    """`-3.4 to -0.8 °C`."""
    if low_c is None or high_c is None:
        return None
    return minus(f"{degrees(low_c).removesuffix(' °C')} to {degrees(high_c)}")


def night(told: str) -> str:
    """`Sun 24 Apr`, of the sunrise; what is no date stays as it is."""
    try:
        day = date.fromisoformat(told)
    except ValueError:
        return told
    return f"{day:%a} {day.day} {day:%b}"


def quantity(name: str) -> str:
    """`Soil temperature`, with the label of one of several behind it."""
    base, _, label = name.partition(":")
    spelled = _SPELLED.get(base) or base.replace("_", " ").capitalize()
    return f"{spelled} ({label})" if label else spelled


def value(row: SeriesRow) -> str:
    """`3.4 °C`, with as many digits as the quantity is worth."""
    return minus(f"{_digits(row.latest_value, row.quantity)} {_UNITS.get(row.unit_symbol, row.unit_symbol)}".strip())


def hour_value(row: HourRow) -> str:
    """`3.4 °C (2.9 to 4.1)`: an hour's mean and its range."""
    mean, low, high = (_digits(each, row.quantity) for each in (row.mean, row.low, row.high))
    return minus(f"{mean} {_UNITS.get(row.unit_symbol, row.unit_symbol)}".strip() + f" ({low} to {high})")


def _digits(told: float, quantity_name: str) -> str:
    known = quantity_named(quantity_name)
    digits = 1 if known is None else max(0, min(2, -math.floor(math.log10(known.resolution))))
    return f"{told:,.{digits}f}" if abs(told) < 1e9 else f"{told:.3g}"  # noqa: PLR2004 - wider than the column


def detail(days: Sequence[DayRow], now_ms: int) -> list[str]:
    """Which fidelity there is of the last days, newest first: `today: all 96`."""
    sentences = []
    for day_ms in sorted({day.day_ms for day in days}, reverse=True)[:DAYS_IN_WORDS]:
        same = [day for day in days if day.day_ms == day_ms]
        here, told = sum(day.readings for day in same), sum(day.told for day in same)
        kinds = {day.fidelity for day in same}
        if kinds == {Fidelity.RAW}:
            what = f"all {count(here, 'reading')} here"
        elif kinds == {Fidelity.SUMMARY}:
            what = f"hourly summaries of {count(told, 'reading')}, which are on their way"
        else:
            what = f"{count(here, 'reading')} here, hourly summaries of those on their way"
        at = datetime.fromtimestamp(day_ms / 1000, UTC)
        today = day_ms == now_ms // DAY_MS * DAY_MS
        sentences.append(f"{'today' if today else f'{at:%a} {at.day} {at:%b}'}: {what}")
    return sentences


def doubts(row: SeriesRow) -> str:
    """What is doubtful about the newest value, in sentences."""
    return " ".join(explain_quality(row.quality))


def unusable(row: SeriesRow) -> bool:
    """Whether nobody should go by it."""
    return not is_usable(row.quality)


def count(how_many: int, one: str, many: str = "") -> str:
    """`1 kit`, `12 kits`, `1,204 readings`."""
    return f"{how_many:,} {one if how_many == 1 else many or one + 's'}"


def sentence(text: str) -> str:
    """With a capital in front; the rest as it is."""
    return text[:1].upper() + text[1:]


def minus(text: str) -> str:
    """With a real minus sign, as wide as a plus, and units that stay on the line of their number."""
    return text.replace("-", "−").replace(" °C", "\u00a0°C").replace(" %", "\u00a0%")
