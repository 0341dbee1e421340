"""Two bell curves as tables of integers: how much weight lies below a point.

Made at import by integer recurrences, so that every machine has the same tables; no library's exp() is asked. Points
are `STEPS` to the standard deviation, weights are out of `WHOLE`; between points a straight line is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

STEPS_BITS = 4
STEPS = 1 << STEPS_BITS
"""Table entries to a standard deviation."""

WHOLE_BITS = 22
WHOLE = 1 << WHOLE_BITS
"""All the weight."""

REACH = 8 * STEPS
"""Entries on either side of the middle; eight deviations."""

_ONE = 1 << 62
_EXP_512TH = 4602687609541841169
"""exp(-1/512) × 2^62."""
_EXP_LOGISTIC = 4117772125319600807
"""exp(-29/256) × 2^62: an entry of the logistic curve, whose deviation pi / sqrt 3 = 1.8138 is about 29/16 scales."""


def _normal() -> tuple[int, ...]:
    # exp(-(n/16)^2 / 2): each height is the one before times exp(-(2n + 1) / 512)
    heights, fall = [_ONE], _EXP_512TH
    fall_of_fall = _EXP_512TH * _EXP_512TH >> 62
    for _ in range(REACH):
        heights.append(heights[-1] * fall >> 62)
        fall = fall * fall_of_fall >> 62
    # trapezium rule from the middle outwards; the two halves mirror each other exactly
    areas = [0]
    for inner, outer in pairwise(heights):
        areas.append(areas[-1] + inner + outer)
    half = WHOLE // 2
    upper = [half + half * area // areas[-1] for area in areas]
    return tuple([WHOLE - weight for weight in reversed(upper[1:])] + upper)


def _logistic() -> tuple[int, ...]:
    # the weight below z is 1 / (1 + exp(-z)); an entry is z = 29/16 / 16
    upper, tail = [], _ONE
    for _ in range(REACH + 1):
        upper.append(WHOLE * _ONE // (_ONE + tail))
        tail = tail * _EXP_LOGISTIC >> 62
    return tuple([WHOLE - weight for weight in reversed(upper[1:])] + upper)


NORMAL: Sequence[int] = _normal()
LOGISTIC: Sequence[int] = _logistic()
