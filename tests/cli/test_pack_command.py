"""`kit sync pack`: what it tells, and what it refuses."""

from __future__ import annotations

import gzip
import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from village_draws import draw_batch

from kit.cli.__main__ import main

HEADER = "time_s,sensor,temperature_c,humidity_pct\n"


def write_batch(path: Path, seed: int, *, fine: bool) -> Path:
    lines = [f"{r.time_s},{r.sensor},{r.temperature_c:g},{r.humidity_pct:g}\n" for r in draw_batch(seed, fine=fine)]
    path.write_text(HEADER + "".join(lines))
    return path


def told(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    assert main(["sync", "pack", *map(str, words), "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def refused(capsys: pytest.CaptureFixture[str], code: int, *words: object) -> str:
    assert main(["sync", "pack", *map(str, words)]) == code
    return capsys.readouterr().err


@pytest.mark.parametrize(("fine", "most"), [(False, 110), (True, 195)])
def test_a_batch_of_a_hundred_rows_is_told_with_its_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, fine: bool, most: int
) -> None:
    reports = [told(capsys, write_batch(tmp_path / "a.csv", seed, fine=fine)) for seed in range(5)]
    assert statistics.median(report["bytes"] for report in reports) <= most
    for report in reports:
        assert (report["rows"], report["devices"], report["round_trip"]) == (100, 4, "exact")
        parts = report["head_bytes"] + sum(column["bytes"] for column in report["columns"])
        assert abs(parts - report["bytes"]) < 1.5


def test_a_stated_resolution_bounds_the_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_batch(tmp_path / "fine.csv", 1, fine=True)
    exact = told(capsys, path)
    coarse = told(capsys, path, "--resolution", "temperature_c=0.1,humidity_pct=1")
    assert coarse["bytes"] < exact["bytes"] - 50
    assert coarse["round_trip"] == "within the resolution"
    errors = {column["name"]: column["max_error"] for column in coarse["columns"]}
    assert errors["time_s"] == 0
    assert 0 < errors["temperature_c"] <= 0.05 + 1e-9
    assert 0 < errors["humidity_pct"] <= 0.5 + 1e-9


def test_times_may_be_rounded_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_batch(tmp_path / "a.csv", 1, fine=False)
    rounded = told(capsys, path, "--resolution", "time_s=60")
    assert rounded["bytes"] < told(capsys, path)["bytes"]
    assert 0 < rounded["columns"][0]["max_error"] <= 30


def test_a_person_reads_the_bytes_and_the_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sync", "pack", str(write_batch(tmp_path / "a.csv", 4, fine=False))]) == 0
    out = capsys.readouterr().out
    assert "bytes for 100 rows of 4 sensors" in out
    assert "every row came back exactly" in out


def test_other_columns_gaps_and_no_sensor_column_are_taken_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weather.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write("time_utc,wind_ms,rain_mm\n")
        file.writelines(f"2016-04-12T{hour:02}:00:00Z,{hour / 8},{'' if hour % 3 else -0.0}\n" for hour in range(24))
    report = told(capsys, path)
    assert [column["name"] for column in report["columns"]] == ["time_utc", "wind_ms", "rain_mm"]
    assert report["round_trip"] == "exact"


def test_what_kit_readings_prints_can_be_packed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "readings.csv"
    path.write_text(
        "time,device,quantity,unit,value,quality\n"
        "2016-04-12T00:00:00Z,field,temperature,Cel,3.5,good\n"
        "2016-04-12T00:00:00Z,field,humidity,%RH,90,stuck+time_guessed\n"
        "2016-04-12T00:15:00.250Z,field,temperature,Cel,3.25,good\n"
    )
    report = told(capsys, path)
    assert (report["rows"], report["devices"], report["round_trip"]) == (2, 1, "exact")


def test_rows_that_are_not_in_order_come_back_sorted_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time_s,sensor,x\n900,b,1\n0,b,2\n900,a,3\n900,b,1\n")
    assert main(["sync", "pack", str(path)]) == 0
    assert "come back in the order of time" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no column of times"),
        ("tim_s,sensor,x\n1,a,2\n", "did you mean 'time_s'"),
        ("time_s,sensor\n1,a\n", "no column of values"),
        ("time_s,sensor,x\n", "no row under the header"),
        ("time_s,sensor,x\n1,a\n", "line 2: 2 cells under 3 column names"),
        ("time_s,sensor,x\n1,a,warm\n", "line 2: 'warm' under x is no number"),
        ("time_s,sensor,x\n1,a,nan\n", "line 2: 'nan' under x is no number"),
        ("time_s,sensor,x\nnoon,a,1\n", "line 2: 'noon' under time_s is no time"),
        ("time_s,sensor,x\n1e40,a,1\n", "line 2: '1e40' under time_s is no time"),
        ("time_s,x,x\n1,1,1\n", "two columns have the same name"),
        ("time,device,quantity,value,quality\n1,a,t,2,odd\n", "no quality 'odd'"),
        ("time,device,quantity,value\n1,a,t,2\n1,a,t,3\n", "line 3: a second t of a"),
    ],
)
def test_a_file_that_cannot_be_packed_is_refused_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    assert sentence in refused(capsys, 1, path)


def test_a_file_that_is_not_there_or_no_text_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "No such file" in refused(capsys, 1, tmp_path / "nowhere.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    assert "no text in UTF-8" in refused(capsys, 1, tmp_path / "b.csv")
    (tmp_path / "c.csv.gz").write_bytes(b"no gzip")
    assert "gzip file is damaged" in refused(capsys, 1, tmp_path / "c.csv.gz")


@pytest.mark.parametrize(
    ("resolution", "sentence"),
    [
        ("temprature_c=0.1", "did you mean 'temperature_c'"),
        ("temperature_c", "write it like temperature_c=0.1"),
        ("temperature_c=0", "write it like temperature_c=0.1"),
        ("temperature_c=warm", "write it like temperature_c=0.1"),
        ("time_s=0.0001", "whole thousandths"),
    ],
)
def test_a_resolution_that_cannot_be_meant_is_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], resolution: str, sentence: str
) -> None:
    path = write_batch(tmp_path / "a.csv", 1, fine=False)
    assert sentence in refused(capsys, 2, path, "--resolution", resolution)


def test_without_a_file_the_command_says_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert "FILE" in refused(capsys, 2)


def test_messages_are_packed_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "messages.txt"
    path.write_text("The bridge is open again.\n\nMaji ya shule ni safi tena leo asubuhi.\n", encoding="utf-8")
    assert main(["sync", "pack", "--text", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [line["exact"] for line in report["lines"]] == [True, True]
    assert report["bytes"] < report["utf8_bytes"] / 1.8
    assert main(["sync", "pack", "--text", str(path)]) == 0
    assert "every line came back" in capsys.readouterr().out


def test_a_text_file_and_a_table_are_not_packed_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "say one FILE" in refused(capsys, 2, tmp_path / "a.csv", "--text", tmp_path / "b.txt")


@pytest.mark.parametrize(("data", "sentence"), [(b"", "no line"), (b"\xff\xfe", "no text in UTF-8")])
def test_a_text_file_that_is_none_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, sentence: str
) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(data)
    assert sentence in refused(capsys, 1, "--text", path)
