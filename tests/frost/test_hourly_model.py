"""The regression in plain Python, against numpy as the oracle."""

from __future__ import annotations

import json
import math
from importlib.resources import files
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from village_apps.frost.hourly_model import HOURS, PRIOR_NIGHTS, REMEMBER, HourlyModel, Spread, inverse
from village_apps.frost.prior import load_prior


def told() -> dict[str, Any]:
    shipped: dict[str, Any] = json.loads((files("village_apps.frost") / "prior.json").read_text(encoding="utf-8"))
    return shipped


def test_every_hour_starts_from_its_shipped_cross_products() -> None:
    size = len(told()["mean"]) + 1
    for hour, matrix in enumerate(load_prior().precision):
        rows = np.array(matrix)
        assert (rows == rows.T).all()
        assert rows[np.triu_indices(size)].tolist() == told()["precision"][hour // 3]


@given(st.lists(st.lists(st.floats(-9, 9), min_size=5, max_size=5), min_size=5, max_size=5))
def test_the_inverse_is_numpys(rows: list[list[float]]) -> None:
    matrix = np.array(rows) @ np.array(rows).T + np.eye(5)  # as every sum of cross products is
    assert np.allclose(inverse(matrix.tolist()), np.linalg.inv(matrix), rtol=1e-6, atol=1e-9)


def test_rows_are_exchanged_where_a_zero_stands_on_the_diagonal() -> None:
    assert inverse([[0.0, 2.0], [4.0, 0.0]]) == [[0.0, 0.25], [0.5, 0.0]]
    with pytest.raises(ValueError, match="no inverse"):
        inverse([[1.0, 2.0], [2.0, 4.0]])


def test_a_season_is_learned_as_recursive_least_squares_says() -> None:
    """Ljung's equations, written down again with numpy, over 150 nights of made-up but never repeated looks."""
    prior, hour = load_prior(), 5
    mean, spread = np.array(prior.mean), np.array(prior.spread)
    size = len(mean) + 1
    weights = np.array(prior.weights[hour])
    covariance = np.linalg.inv(np.array(prior.precision[hour]) * PRIOR_NIGHTS + 1e-3 * np.eye(size))
    model = HourlyModel(prior)
    for night in range(150):
        offsets = [3 * math.sin(night * (at + 1)) for at in range(size - 1)]
        values = [math.nan if (night + at) % 11 == 0 else mean[at] + spread[at] * offsets[at] for at in range(size - 1)]
        fall = 6 + 3 * math.sin(night)
        x = np.concatenate([[1.0], [0.0 if math.isnan(v) else o for v, o in zip(values, offsets, strict=True)]])
        assert model.fall_c(hour, values) == pytest.approx(float(x @ weights), abs=1e-9)
        along = covariance @ x
        gain = along / (1 + x @ along)
        weights = weights + gain * (fall - x @ weights)
        covariance = (covariance - np.outer(gain, along)) / REMEMBER
        model.learn(hour, values, fall_c=fall)
    other = (hour + 1) % HOURS
    assert model.fall_c(other, prior.mean) == pytest.approx(prior.weights[other][0]), "an hour learns from its own"


@given(st.floats(0.001, 0.999))
def test_between_the_quantiles_the_line_is_followed_as_numpy_does(level: float) -> None:
    prior = load_prior()
    spread = Spread(0.0, 1.0, prior.levels, prior.quantiles)
    expected = -float(np.interp(1.0 - level, prior.levels, prior.quantiles))
    assert spread.quantile_c(level) == pytest.approx(expected, abs=1e-12)


def test_the_colder_the_temperature_the_smaller_the_chance_to_reach_it() -> None:
    prior = load_prior()
    spread = Spread(0.0, 1.5, prior.levels, prior.quantiles)
    chances = [spread.chance_at_or_below(tenths / 10) for tenths in range(-200, 201)]
    assert all(0 <= chance <= 1 for chance in chances)
    assert all(before <= after + 1e-12 for before, after in pairwise(chances))
