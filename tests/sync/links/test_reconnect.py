"""A thousand kits that lost the core in the same second do not come back in the same second."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from sync.links.reconnect import LEAST_S, MOST_S, wait_s

KITS = 1000


def attempts(kits: int, *, down_s: float, seed: int) -> Counter[int]:
    """Attempts by second after the connections broke; the core is back after `down_s` and takes everybody."""
    rng = random.Random(seed)
    seconds: Counter[int] = Counter()
    for _ in range(kits):
        at_s, failures = 0.0, 0
        while True:
            at_s += wait_s(failures, rng.random())
            seconds[int(at_s)] += 1
            if at_s >= down_s:
                break
            failures += 1
    return seconds


@pytest.mark.parametrize("down_s", [1.0, 20.0, 120.0, 3600.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_core_that_comes_back_is_not_overrun(down_s: float, seed: int) -> None:
    seconds = attempts(KITS, down_s=down_s, seed=seed)
    busiest = max(seconds[second] for second in range(int(down_s), int(down_s) + 200))
    assert busiest <= KITS * 0.3  # libzmq does some 1,000 CURVE handshakes a second on a small computer
    assert max(seconds) <= down_s + MOST_S + LEAST_S + 1  # and everybody is back about a minute later


def test_while_the_core_is_gone_for_long_it_costs_little() -> None:
    seconds = attempts(KITS, down_s=3600.0, seed=3)
    late = [seconds[second] for second in range(600, 3600)]
    assert sum(late) / len(late) < KITS / 25


def test_a_wait_is_never_nothing_and_never_longer_than_the_ceiling() -> None:
    assert wait_s(0, 0.0) == LEAST_S
    assert wait_s(1000, 1.0) == LEAST_S + MOST_S
