"""Scores on stations the prior has not seen: `python benchmarks/bench_frost.py WEATHER_DIR`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fit_frost_prior import held_out_priors, load

from village_apps.frost.backtest import backtest
from village_apps.frost.verdict import Rule


def main() -> None:
    years = load(Path(sys.argv[1]))
    rule = Rule(probability=float(sys.argv[2])) if len(sys.argv) > 2 else Rule()
    print(
        "station-year        rmse dusk  eve / reuter  ffst-nights / ffst   pod  far  csi  cover brier/clim  lead hit/late/miss/false"
    )
    for name, prior in held_out_priors(years).items():
        year = next(y for y in years if y.name == name)
        _, s = backtest(year.observations, place=year.place, prior=prior, rule=rule)
        print(
            f"{name:19} {s.rmse_c:.3f} {s.rmse_after_dusk_c:.2f} {s.rmse_evening_c:.2f} / {s.rmse_reuter_c:.2f}   "
            f"{s.rmse_evening_ffst_nights_c or 0:.2f} / {s.rmse_ffst_c or 0:.2f}   {s.pod:.3f} {s.far:.3f} {s.csi:.3f} {s.coverage:.3f} "
            f"{s.brier:.3f}/{s.brier_climatology:.3f} {s.median_lead_h:.1f} {s.hits}/{s.late}/{s.misses}/{s.false_alarms} ({s.unwarnable}), nights {s.nights}"
        )


if __name__ == "__main__":
    main()
