"""What most dialects share: JSON that cannot hurt, numbers, and what a maker's word for a quantity means."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from kit.collect.dialects.port import MAX_BYTES, DialectError, Observation
from kit.model.quantities import QUANTITIES, convert, plain_name, recognise_name, spell_unit
from kit.model.readings import Raw

EARLIEST_S, LATEST_S = 946_771_200.0, 4_102_444_800.0
"""2000-01-02 and 2100: a time outside is a clock that was never set, and counts as none."""

MAX_PART = 40
"""Characters of the name of a device behind a gateway."""

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NUMBERED = re.compile(r"(.+?)[ _:-]?(\d{1,3})")


def read_json(payload: bytes) -> Any:
    """The JSON value of a payload.

    Raises:
        DialectError: it is none, or too large.
    """
    if len(payload) > MAX_BYTES:
        raise DialectError(f"the message has {len(payload)} bytes; at most {MAX_BYTES} are read")
    try:
        return json.loads(payload.decode("utf-8"), parse_constant=lambda _: None)
    except UnicodeDecodeError:
        raise DialectError("the message is not UTF-8 text; set the device to publish JSON") from None
    except RecursionError:
        raise DialectError("the JSON is nested too deeply for a sensor's message") from None
    except ValueError as error:
        raise DialectError(f"the message is not valid JSON ({str(error)[:120]})") from None


def read_object(payload: bytes) -> dict[str, Any]:
    """The JSON object of a payload.

    Raises:
        DialectError: it is none.
    """
    told = read_json(payload)
    if not isinstance(told, dict):
        raise DialectError("the message is not a JSON object { … }")
    return told


def read_number(payload: bytes) -> float | None:
    """A payload that is nothing but a number; None if it is something else."""
    text = payload[:64].decode("utf-8", "replace").strip()
    return number(text) if len(payload) <= 64 else None  # noqa: PLR2004 - as above


def number(value: Any) -> float | None:
    """A finite number, also one in quotes; None for everything else, truth values included."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def subobject(told: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The object under a key; an empty one if there is none."""
    found = told.get(key)
    return found if isinstance(found, dict) else {}


def text(told: Mapping[str, Any], *keys: str) -> str:
    """The first text under these keys; "" if there is none."""
    return next((str(told[key]) for key in keys if isinstance(told.get(key), str)), "")


def time_of(value: Any) -> float | None:
    """Unix seconds of a number or an RFC 3339 text with a zone; None for a clock that was never set."""
    seconds = None
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(_microseconds(value))
            seconds = moment.timestamp() if moment.tzinfo is not None else None
        except (ValueError, OverflowError):
            return None
    elif not isinstance(value, bool):
        seconds = number(value)
    return seconds if seconds is not None and EARLIEST_S <= seconds < LATEST_S else None


def _microseconds(moment: str) -> str:
    # Go and Rust write nanoseconds, which Python 3.11 does not read
    return re.sub(r"(\.\d{6})\d+", r"\1", moment)


def part_name(name: str) -> str:
    """The name of a device behind a gateway: letters of any script, digits, `-`, `_` and `.`; "" if nothing is left."""
    kept = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name.strip())
    return kept.strip("_.")[:MAX_PART].lower()


class Meaning(NamedTuple):
    """A maker's word for a quantity, understood: the quantity, and what tells it from others of the same."""

    quantity: str
    label: str = ""


@lru_cache(maxsize=2048)
def meaning(name: str) -> Meaning | None:
    """What a name means: `Temperature`, `soil_moisture_2`, `DewPoint`; None if the kit has no such quantity."""
    split = _CAMEL.sub("_", name)
    for candidate in (name, split):
        found = recognise_name(candidate)
        if found is not None:
            return Meaning(found)
    numbered = _NUMBERED.fullmatch(plain_name(split))
    if numbered is not None:
        found = recognise_name(numbered[1])
        if found is not None:
            return Meaning(found, numbered[2])
    return None


def observe(
    name: str,
    value: float,
    *,
    unit: str = "",
    quantity: str | None = None,
    label: str = "",
    part: str = "",
    time_s: float | None = None,
) -> Observation:
    """An observation of a value under the maker's name for it.

    Args:
        name: as the device says it.
        value: finite.
        unit: as the device says it; "" = the one in which the kit keeps the quantity.
        quantity: what it is, where the dialect knows better than the name.
        label: tells it from others of the same quantity and device.
        part: the device behind a gateway.
        time_s: Unix seconds by the device's clock; None = it gave none.
    """
    found = Meaning(quantity) if quantity is not None else meaning(name)
    own = plain_name(_CAMEL.sub("_", name)) or "value"
    when, relative = (0.0, True) if time_s is None else (time_s, False)
    if found is None or found.quantity not in QUANTITIES:
        named = f"{plain_name(label)}_{own}" if label else own
        return Observation(named, spell_unit(unit), value, when, relative, part=part)
    series = ":".join(filter(None, (found.quantity, "_".join(filter(None, (plain_name(label), found.label))))))
    stored = QUANTITIES[found.quantity].unit
    converted = convert(value, unit, stored)
    if converted is None or not math.isfinite(converted):
        return Observation(series, spell_unit(unit), value, when, relative, unit_unknown=True, part=part)
    raw = Raw(value, spell_unit(unit)) if converted != value else None
    return Observation(series, stored, converted, when, relative, raw, part=part)


def repeated(quantities: Iterable[str]) -> set[str]:
    """The quantities that occur more than once."""
    seen: set[str] = set()
    return {quantity for quantity in quantities if quantity in seen or seen.add(quantity)}  # type: ignore[func-returns-value]  # set.add returns None, which is falsy
