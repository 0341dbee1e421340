"""Scores on stations the prior has not seen: `python benchmarks/bench_frost.py WEATHER_DIR [PROBABILITY]`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fit_frost_prior import held_out_priors, load

from village_apps.frost.backtest import backtest
from village_apps.frost.verdict import Rule

COLUMNS = (
    "rmse",
    "dusk",
    "evening",
    "reuter",
    "ffst-nights",
    "ffst",
    "pod",
    "far",
    "csi",
    "cover",
    "brier",
    "clim",
    "lead",
)


def main() -> None:
    years = load(Path(sys.argv[1]))
    rule = Rule(probability=float(sys.argv[2])) if len(sys.argv) > 2 else Rule()
    print(f"{'station-year':19}", *(f"{name:>11}" for name in COLUMNS), " hit/late/miss/false (unwarnable)")
    for name, prior in held_out_priors(years).items():
        year = next(y for y in years if y.name == name)
        _, s = backtest(year.observations, place=year.place, prior=prior, rule=rule)
        errors = (s.rmse_c, s.rmse_after_dusk_c, s.rmse_evening_c, s.rmse_reuter_c)
        radiation = (s.rmse_evening_ffst_nights_c, s.rmse_ffst_c)
        rates = (s.pod, s.far, s.csi, s.coverage, s.brier, s.brier_climatology, s.median_lead_h)
        counts = f"{s.hits}/{s.late}/{s.misses}/{s.false_alarms} ({s.unwarnable})"
        print(f"{name:19}", *(f"{value or 0:11.3f}" for value in (*errors, *radiation, *rates)), f" {counts}")


if __name__ == "__main__":
    main()
