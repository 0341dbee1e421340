from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.data import load_frost_night
from kit.errors import KitError, UsageError
from kit.weather_file import COLUMNS, WeatherFileError, parse_weather, read_weather

HEADER = ",".join(COLUMNS)
ROW = "2016-04-12T03:00:00Z,3.9,-3.3,1012,270,4.6,,0.0"


def parse(*lines: str) -> list[object]:
    return list(parse_weather([line + "\n" for line in lines], source="w.csv"))


def test_an_empty_cell_is_a_missing_observation_and_a_hidden_sky_is_unknown(tmp_path: Path) -> None:
    file = tmp_path / "w.csv"
    file.write_text(f"{HEADER}\n{ROW}\n2016-04-12T04:00:00Z,,,,,,9,\n")
    first, second = read_weather(file)
    assert (first.air_temp_c, first.dew_point_c, first.sky_oktas, first.at_s) == (3.9, -3.3, None, 1460430000)
    assert second.air_temp_c is None
    assert second.sky_oktas is None


def test_a_packed_file_reads_like_a_plain_one(tmp_path: Path) -> None:
    plain, packed = tmp_path / "w.csv", tmp_path / "w.csv.gz"
    plain.write_text(f"{HEADER}\n{ROW}\n")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_weather(plain) == read_weather(packed)


def test_a_truncated_download_is_refused_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "w.csv.gz"
    rows = "\n".join(f"2016-04-{day:02}T03:00:00Z,{day}.5,,,,,," for day in range(1, 31))
    file.write_bytes(gzip.compress(f"{HEADER}\n{rows}\n".encode())[:-30])
    with pytest.raises(WeatherFileError, match="cut off or damaged"):
        read_weather(file)


@given(cut=st.integers(0, 11_000))
def test_wherever_a_packed_file_is_cut_the_answer_is_a_sentence(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = (Path(load_frost_night.__code__.co_filename).parent / "frost-night.csv.gz").read_bytes()
    file = tmp_path_factory.mktemp("cut") / "w.csv.gz"
    file.write_bytes(whole[: min(cut, len(whole) - 1)])
    with pytest.raises(KitError) as error:
        read_weather(file)
    assert str(file) in str(error.value)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("2016-04-12T04:00:00Z,3.9,1", "line 3: 3 values where 8 belong"),
        ("2016-04-12T04:00:00Z,warm,,,,,,", "line 3: air_temp_c is 'warm'"),
        ("2016-04-12T04:00:00Z,nan,,,,,,", "line 3: air_temp_c is 'nan'"),
        ("2016-04-12 04:00,3.9,,,,,,", "line 3: '2016-04-12 04:00' is no UTC time"),
        ("2016-04-12T02:00:00Z,3.9,,,,,,", "line 3: 2016-04-12T02:00:00Z is earlier"),
    ],
)
def test_a_bad_line_is_named_by_its_number(line: str, sentence: str) -> None:
    with pytest.raises(WeatherFileError, match=sentence):
        parse(HEADER, ROW, line)


def test_the_same_hour_twice_counts_once() -> None:
    assert len(parse(HEADER, ROW, ROW)) == 1


@pytest.mark.parametrize("header", ["", "a,b,c", HEADER.replace("sky_oktas", "sky")])
def test_another_header_is_refused_with_the_right_one(header: str) -> None:
    with pytest.raises(UsageError, match="time_utc,air_temp_c"):
        parse(*([header] if header else []), ROW) if header else parse()


def test_a_file_that_is_not_there_not_gzip_or_a_directory_says_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "w.csv.gz").write_text("no gzip")
    (tmp_path / "w.csv").write_bytes(b"\xff\xfe\x00")
    for name, sentence in (("none.csv", "there is no file"), ("w.csv.gz", "is not gzip"), ("", "directory")):
        with pytest.raises(UsageError, match=sentence):
            read_weather(tmp_path / name if name else tmp_path)
    with pytest.raises(UsageError, match="is not text"):
        read_weather(tmp_path / "w.csv")


@given(text=st.text(max_size=300))
def test_any_text_ends_in_rows_or_a_sentence(text: str) -> None:
    try:
        list(parse_weather([HEADER + "\n", *text.splitlines(keepends=True)], source="w.csv"))
    except KitError as error:
        assert str(error).startswith("w.csv")  # noqa: PT017 - most texts end here, some are files


def test_the_shipped_night_is_whole_and_freezes_well_after_dusk() -> None:
    night = load_frost_night()
    air = {row.at_s: row.air_temp_c for row in night.rows}
    assert night.start_s - night.rows[0].at_s > 45 * 86_400
    assert night.end_s - night.sunrise_s > 3 * 86_400
    assert (air[int(night.start_s)] or 0) > 5
    below = [at for at in air if night.start_s < at < night.sunrise_s + 3600 and (air[at] or 0) <= 0]
    assert min(below) - night.start_s > 6 * 3600
    assert min(air[at] or 0 for at in below) == pytest.approx(-3.9)
