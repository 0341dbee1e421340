"""Record bodies that only the core reads: forecasts and quiz digests. Pure.

Invariant: everything that comes out can be stored, compared and shown. Bodies are hostile input: a kit may be stolen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

LATEST_MS = 253_402_300_799_000
"""9999-12-31T23:59:59Z: no calendar goes further."""

MAX_TEXT = 200
"""Characters of a name, a lesson, an identifier: what is longer is none."""


class BodyError(ValueError):
    """This body is not what its kind says; the sentence says why."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """A night's forecast as a record tells it: degrees Celsius, probability 0 to 1."""

    night: str
    device: str
    tmin_c: float
    tmin_p10_c: float
    tmin_p90_c: float
    p_frost: float
    warning: bool


@dataclass(frozen=True, kw_only=True)
class QuizDigest:
    """Results of a lesson's quiz since its last digest; nobody is named in it."""

    lesson: str
    version: int
    attempts: int
    questions: int
    mean_score: float
    until_ms: int


def forecast_of(body: bytes) -> Forecast:
    """Read {n: night, d: device, t: [tmin, p10, p90] in hundredths, p: per cent, w: whether a warning stands}.

    Raises:
        BodyError: it is no forecast.
    """
    told = _mapping(body)
    hundredths, percent = told.get("t"), _number(told.get("p"), "the probability")
    if not isinstance(hundredths, list) or len(hundredths) != 3:  # noqa: PLR2004 - expected, low, high
        raise BodyError("the forecast has no three temperatures")
    expected, low, high = (_number(value, "a temperature") / 100 for value in hundredths)
    return Forecast(
        night=text_of(told.get("n"), "the night"),
        device=text_of(told.get("d"), "the device"),
        tmin_c=expected,
        tmin_p10_c=low,
        tmin_p90_c=high,
        p_frost=min(max(percent / 100, 0.0), 1.0),
        warning=bool(told.get("w")),
    )


def quiz_of(body: bytes) -> QuizDigest:
    """Read {lesson, version, attempts, questions, mean_score, until_ms, …}.

    Raises:
        BodyError: it is no digest.
    """
    told = _mapping(body)
    return QuizDigest(
        lesson=text_of(told.get("lesson"), "the lesson"),
        version=_count(told.get("version"), "the version"),
        attempts=_count(told.get("attempts"), "the attempts"),
        questions=_count(told.get("questions"), "the questions"),
        mean_score=_number(told.get("mean_score"), "the mean score"),
        until_ms=time_of(told.get("until_ms"), "the end"),
    )


def time_of(told: Any, what: str) -> int:
    """Unix ms that a calendar can show.

    Raises:
        BodyError: it is none.
    """
    if not isinstance(told, int) or isinstance(told, bool) or not 0 <= told <= LATEST_MS:
        raise BodyError(f"{what} is no time")
    return told


def text_of(told: Any, what: str) -> str:
    """Text of a sensible length.

    Raises:
        BodyError: it is none.
    """
    if not isinstance(told, str) or len(told) > MAX_TEXT:
        raise BodyError(f"{what} is no text of at most {MAX_TEXT} characters")
    return told


def _mapping(body: bytes) -> dict[Any, Any]:
    import cbor2

    try:
        told = cbor2.loads(body, max_depth=8)
    except (cbor2.CBORError, ValueError, TypeError) as error:
        raise BodyError(f"the body is no CBOR ({error})") from error
    if not isinstance(told, dict):
        raise BodyError("the body is no map")
    return told


def _number(told: Any, what: str) -> float:
    if not isinstance(told, int | float) or isinstance(told, bool) or abs(told) > 1e9 or not math.isfinite(told):  # noqa: PLR2004 - no temperature, score or per cent comes near
        raise BodyError(f"{what} is no usable number")
    return float(told)


def _count(told: Any, what: str) -> int:
    if not isinstance(told, int) or isinstance(told, bool) or not 0 <= told < 2**31:
        raise BodyError(f"{what} is no count")
    return told
