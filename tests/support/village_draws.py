"""Batches as a village of four sensors sends them on a frost night, drawn by chance."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

SENSORS = ("gh1", "fld-n", "fld-s", "orch")
ROUNDS = 25
STEP_S = 900


class Drawn(NamedTuple):
    """One row of a batch."""

    time_s: int
    sensor: str
    temperature_c: float
    humidity_pct: float


def draw_batch(seed: int, *, fine: bool) -> list[Drawn]:
    """A hundred rows: 0.1 °C and 1 %RH, or (`fine`) 0.01 °C and 0.1 %RH with the sensors' noise in them."""
    chance = random.Random(seed)
    start_s = 1_700_000_000 + chance.randint(0, 10**8)
    evening_c, fall, turn = chance.uniform(2, 8), chance.uniform(0.6, 1.2), chance.randint(12, 19)
    morning, slope, damp = chance.uniform(0.05, 0.25), chance.uniform(2.5, 4), chance.uniform(88, 98)
    places = [chance.uniform(-2, 3) for _ in SENSORS]
    air = [chance.gauss(0, 0.15) for _ in SENSORS]
    moisture = [chance.gauss(0, 0.8) for _ in SENSORS]
    rows = []
    for step in range(ROUNDS):
        night_c = evening_c - fall * math.sqrt(min(step, turn)) + morning * max(0, step - turn)
        for at, sensor in enumerate(SENSORS):
            air[at] = 0.65 * air[at] + chance.gauss(0, 0.16)
            moisture[at] = 0.6 * moisture[at] + chance.gauss(0, 0.65)
            temperature = night_c + places[at] + air[at]
            humidity = min(100.0, damp - slope * (temperature - places[at] * 0.3) + moisture[at])
            time_s = start_s + step * STEP_S + at * 2 + round(chance.gauss(0, 0.6))
            rows.append(Drawn(time_s, sensor, round(temperature, 1 + fine), round(humidity, int(fine))))
    return sorted(rows)
