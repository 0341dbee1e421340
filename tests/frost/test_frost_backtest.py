from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from kit.cli.__main__ import main
from kit.data import make_frost_night
from village_apps.frost.scorecard import Issued, score
from village_apps.frost.series import Observation

NIGHT = Path(make_frost_night.__file__).with_name("frost-night.csv.gz")
PLACE = ["--latitude", "41.33", "--longitude", "-122.33", "--elevation", "1077", "--timezone", "America/Los_Angeles"]


def test_the_command_writes_the_forecasts_and_prints_a_scorecard(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    assert main(["frost", "backtest", str(NIGHT), *PLACE, "--forecasts", str(out)]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("RMSE", "POD, lead ≥ 2 h", "FAR", "CSI", "nights compared"))
    rows = list(csv.DictReader(out.open()))
    assert list(rows[0]) == [
        "issued_utc", "night", "hours_to_sunrise", "tmin_c", "tmin_p10_c", "tmin_p90_c", "p_frost", "alert",
    ]  # fmt: skip
    assert {row["alert"] for row in rows} == {"0", "1"}
    assert rows[0]["issued_utc"].endswith("Z")
    assert len({(row["night"], row["issued_utc"]) for row in rows}) == len(rows)


def test_the_scorecard_is_there_as_json_with_another_threshold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*PLACE, "--forecasts", str(tmp_path / "o.csv"), "--threshold-c", "-2", "--json"]
    assert main(["frost", "backtest", str(NIGHT), *words]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["nights"] > 50
    assert scores["rmse_c"] < scores["rmse_reuter_c"]
    assert 0.6 < scores["coverage"] <= 1


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["nowhere.csv", *PLACE], 2, "there is no file nowhere.csv"),
        ([str(NIGHT), *PLACE[:-1], "Pacific"], 2, "is no time zone"),
        ([str(NIGHT), "--latitude", "95", *PLACE[2:]], 2, "latitude 95 is not possible"),
        ([str(NIGHT), *PLACE, "--threshold-c", "cold"], 2, "cold"),
        ([str(NIGHT), *PLACE, "--warn-probability", "40"], 2, "between 0 and 1"),
        ([str(NIGHT), *PLACE, "--forecasts", "/proc/none/out.csv"], 1, "cannot be written"),
    ],
)
def test_wrong_use_says_what_would_be_right(
    words: list[str], code: int, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "--forecasts" not in words:
        words = [*words, "--forecasts", str(tmp_path / "out.csv")]
    assert main(["frost", "backtest", *words]) == code
    told = capsys.readouterr().err
    assert sentence in told
    assert "Traceback" not in told


def test_a_file_without_a_single_temperature_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "empty.csv"
    file.write_text(
        "time_utc,air_temp_c,dew_point_c,sea_level_pressure_hpa,wind_dir_deg,wind_speed_ms,sky_oktas,rain_1h_mm\n"
        "2016-04-12T03:00:00Z,,1,,,,,\n"
    )
    assert main(["frost", "backtest", str(file), *PLACE, "--forecasts", str(tmp_path / "o.csv")]) == 1
    assert "holds no night" in capsys.readouterr().err


def test_nothing_to_compare_gives_no_scores(recorded: list[Observation]) -> None:
    from village_apps.frost.series import Series

    nothing: list[Issued] = []
    scores = score(nothing, Series(recorded).temperature, threshold_c=0.0)
    assert scores.nights == 0
    assert scores.pod is None
    assert scores.rmse_c is None
