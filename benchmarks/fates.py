"""What became of messages, and what can be said of that: shares, medians, means with bootstrapped intervals."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

RESAMPLES = 4000


@dataclass(frozen=True)
class Fate:
    """What became of one message: seconds until it was there (None = never), and of air that all of it took."""

    arrived_s: float | None
    airtime_s: float


@dataclass(frozen=True)
class Point:
    """At one loss rate.

    Attributes:
        loss: the share of LoRa packets that are lost.
        delivered: the share of messages that arrived.
        median_s: of the times of those.
        airtime_s: the mean over all, also those that did not arrive.
        spread_s: the standard deviation of that.
        interval_s: the mean's, at 95 %, bootstrapped.
        fates: they.
    """

    loss: float
    delivered: float
    median_s: float | None
    airtime_s: float
    spread_s: float
    interval_s: tuple[float, float]
    fates: tuple[Fate, ...]


def point(loss: float, fates: Sequence[Fate]) -> Point:
    """The sum of some fates."""
    came = [fate.arrived_s for fate in fates if fate.arrived_s is not None]
    airtimes = [fate.airtime_s for fate in fates]
    return Point(
        loss,
        len(came) / len(fates),
        statistics.median(came) if came else None,
        statistics.mean(airtimes),
        statistics.stdev(airtimes) if len(airtimes) > 1 else 0.0,
        interval(airtimes),
        tuple(fates),
    )


def interval(values: Sequence[float]) -> tuple[float, float]:
    """In which the mean of such values lies, 95 of 100 times: a percentile bootstrap that is always the same."""
    rng = random.Random(len(values))
    means = sorted(statistics.fmean(rng.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return means[RESAMPLES // 40], means[-RESAMPLES // 40]


def more_than(ours: Point, theirs: Point) -> tuple[float, tuple[float, float]]:
    """How much more air they need than we, in seconds a message: the difference of the means, and its 95 % interval."""
    rng = random.Random(len(theirs.fates))

    def drawn(some: Point) -> float:
        return statistics.fmean(rng.choices([each.airtime_s for each in some.fates], k=len(some.fates)))

    differences = sorted(drawn(theirs) - drawn(ours) for _ in range(RESAMPLES))
    return theirs.airtime_s - ours.airtime_s, (differences[RESAMPLES // 40], differences[-RESAMPLES // 40])
