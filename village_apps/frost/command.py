"""`kit frost backtest`: how good the forecast would have been on recorded weather."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from kit.errors import KitError, UsageError
from village_apps.frost.scorecard import Scorecard
from village_apps.frost.verdict import DEFAULT_PROBABILITY, Rule


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands of `kit frost`."""
    commands = parser.add_subparsers(dest="frost_command", required=True, metavar="COMMAND")
    backtest = commands.add_parser(
        "backtest",
        help="walk through recorded weather, forecasting every night from what was known",
        description="Walk through an hourly weather file, issue a forecast every hour from 15:00 local time to "
        "sunrise, each from what was observed before it, write them to a CSV and print how good they were.",
    )
    backtest.add_argument("file", type=Path, metavar="FILE", help="hourly weather, .csv or .csv.gz")
    backtest.add_argument("--latitude", type=_number, required=True, metavar="D", help="degrees north")
    backtest.add_argument("--longitude", type=_number, required=True, metavar="D", help="degrees east")
    backtest.add_argument("--elevation", type=_number, required=True, metavar="M", help="metres above sea level")
    backtest.add_argument("--timezone", required=True, metavar="Z", help="IANA name, for example Africa/Nairobi")
    backtest.add_argument("--forecasts", type=Path, metavar="OUT.csv", help="where to write the forecasts")
    backtest.add_argument("--threshold-c", type=_number, default=0.0, metavar="C", help="what counts as frost (0)")
    backtest.add_argument(
        "--warn-probability",
        type=_number,
        default=DEFAULT_PROBABILITY,
        metavar="P",
        help=f"warn when frost is at least this likely and near ({DEFAULT_PROBABILITY:g})",
    )
    backtest.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print the scorecard as JSON")
    backtest.set_defaults(run=run_backtest)


def run_backtest(arguments: argparse.Namespace) -> int:
    """Run `kit frost backtest`.

    Raises:
        KitError: the file is damaged or the output cannot be written.
        UsageError: a file that is not there, a place that cannot be.
    """
    from kit.weather_file import read_weather
    from village_apps.frost.backtest import backtest, forecasts_as_csv, observations_of
    from village_apps.frost.place import Place
    from village_apps.frost.prior import load_prior

    place = Place(
        latitude=arguments.latitude,
        longitude=arguments.longitude,
        elevation_m=arguments.elevation,
        timezone=arguments.timezone,
    )
    if not 0 < arguments.warn_probability < 1:
        raise UsageError(
            f"--warn-probability {arguments.warn_probability:g} is no chance; give a number between 0 and 1"
        )
    rule = Rule(threshold_c=arguments.threshold_c, probability=arguments.warn_probability)
    observations = observations_of(read_weather(arguments.file))
    issued, scores = backtest(observations, place=place, prior=load_prior(), rule=rule)
    if not issued:
        raise KitError(f"{arguments.file} holds no night with temperatures; a forecast needs hourly air_temp_c")
    if arguments.forecasts is not None:
        _write(arguments.forecasts, forecasts_as_csv(issued))
    text = (
        json.dumps(scores.as_json(), indent=2)
        if getattr(arguments, "json", False)
        else describe(scores, threshold_c=rule.threshold_c)
    )
    sys.stdout.write(text + "\n")
    return 0


def describe(scores: Scorecard, *, threshold_c: float) -> str:
    """The scorecard as plain lines."""
    rows = [
        ("nights compared", f"{scores.nights} ({scores.forecasts} hourly forecasts)"),
        ("RMSE, all hours", f"{_text(scores.rmse_c)} °C (bias {_text(scores.bias_c)} °C)"),
        ("RMSE, after dusk", f"{_text(scores.rmse_after_dusk_c)} °C"),
        (
            "RMSE, evening",
            f"{_text(scores.rmse_evening_c)} °C; persistence of cooling {_text(scores.rmse_reuter_c)} °C",
        ),
        (
            "  radiation nights",
            f"{_text(scores.rmse_evening_ffst_nights_c)} °C; FAO's equation alone {_text(scores.rmse_ffst_c)} °C",
        ),
        ("inside p10 to p90", f"{_percent(scores.coverage)} (80 % would be perfect)"),
        ("Brier score", f"{_text(scores.brier)} (climatology {_text(scores.brier_climatology)})"),
        (
            f"nights ≤ {threshold_c:g} °C",
            f"{scores.frost_nights}, {scores.unwarnable} of them within 2 h of 15:00 and not counted below",
        ),
        ("POD, lead ≥ 2 h", f"{_text(scores.pod)} ({scores.hits} warned, {scores.late} late, {scores.misses} missed)"),
        ("FAR", f"{_text(scores.far)} ({scores.false_alarms} false alarms)"),
        ("CSI", _text(scores.csi)),
        ("median lead", f"{_text(scores.median_lead_h)} h"),
    ]
    return "\n".join(f"{label:<20} {value}" for label, value in rows)


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if abs(value) < float("inf"):  # also refuses nan
        return value
    raise argparse.ArgumentTypeError(f"'{text}' is no number")


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise KitError(f"{file} cannot be written ({error.strerror}); choose another place with --forecasts") from error
