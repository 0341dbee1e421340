"""`kit init`, `kit log`, `kit password`: what they do to a home, and what they leave alone."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kit.cli.__main__ import main
from kit.home import Home
from kit.identity import check_technician_password, create_technician_password
from kit.settings import Settings, load_settings
from kit.store.database import suspect_file


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "unit")


def test_init_writes_every_setting_and_changes_nothing_by_it(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--home", str(home.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] is True
    assert load_settings(home.settings_file) == Settings()


def test_init_never_overwrites_what_a_person_wrote(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.path.mkdir()
    home.settings_file.write_text('[unit]\nname = "Kinamba"\n')
    assert main(["init", "--home", str(home.path)]) == 0
    assert "was left as it is" in capsys.readouterr().out
    assert home.settings_file.read_text() == '[unit]\nname = "Kinamba"\n'


def test_init_says_when_the_file_that_is_there_cannot_be_used(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.path.mkdir()
    home.settings_file.write_text("[unit]\nnam = 1\n")
    assert main(["init", "--home", str(home.path)]) == 2
    assert "did you mean 'name'?" in capsys.readouterr().err


def write_log(home: Home, service: str, *lines: str) -> None:
    home.log.mkdir(parents=True, exist_ok=True)
    (home.log / f"{service}.log").write_text("".join(line + "\n" for line in lines))


def test_the_logs_of_all_services_are_told_in_the_order_of_time(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(home, "sync", "2016-04-12T00:00:01Z INFO a", "2016-04-12T00:00:05Z ERROR c", "Traceback of c")
    write_log(home, "web", "2016-04-12T00:00:03Z INFO b", "2016-04-12T00:00:07Z INFO d")
    assert main(["log", "--home", str(home.path), "--json"]) == 0
    told = [line["line"][-1] for line in json.loads(capsys.readouterr().out)]
    assert told == ["a", "b", "c", "c", "d"]


def test_only_the_last_lines_of_a_long_log_are_read(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(home, "web", *(f"2016-04-12T00:00:00Z INFO line {number:06}" for number in range(20_000)))
    assert main(["log", "web", "--lines", "3", "--home", str(home.path)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line[-6:] for line in shown] == ["019997", "019998", "019999"]


def test_a_log_that_is_not_there_names_those_that_are(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(home, "sync", "2016-04-12T00:00:01Z INFO a")
    assert main(["log", "snyc", "--home", str(home.path)]) == 2
    assert "there is no log of 'snyc'; did you mean 'sync'?" in capsys.readouterr().err


def change_password(home: Home, typed: str) -> tuple[int, str]:
    """Run `kit password` as a program that reads what a script pipes into it."""
    command = [sys.executable, "-m", "kit.cli", "password", "--home", str(home.path)]
    done = subprocess.run(command, input=typed, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_password_changes_only_for_who_knows_it(home: Home) -> None:
    first = create_technician_password(home)
    assert first is not None
    code, said = change_password(home, "wrong-password\nnew-password-1\n")
    assert code == 1
    assert "nothing was changed" in said
    code, said = change_password(home, f"{first}\nnew-password-1\n")
    assert code == 0
    assert "is changed" in said
    assert check_technician_password(home, "new-password-1") == (True, False)
    assert stat.S_IMODE((home.keys / "technician.json").stat().st_mode) == 0o600


def test_a_short_password_is_refused(home: Home) -> None:
    first = create_technician_password(home)
    code, said = change_password(home, f"{first}\nshort\n")
    assert code == 2
    assert "it takes at least 10" in said


@pytest.mark.parametrize("number", ["0", "-1", "9" * 30, "9" * 5000, "²", "seven"])
def test_a_number_that_nothing_can_have_is_refused_in_words(
    home: Home, capsys: pytest.CaptureFixture[str], number: str
) -> None:
    for words in (["device", "refuse", number], ["log", "--lines", number], ["queue", "retry", f"x.{number}"]):
        assert main([*words, "--home", str(home.path)]) == 2
        assert number in capsys.readouterr().err
    assert not home.path.exists()


@pytest.mark.parametrize(
    "words", [("a b",), ("roof", "--latitude", "91", "--longitude", "1"), ("roof", "--topic", "#")]
)
def test_a_device_that_cannot_be_added_makes_no_home(
    home: Home, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert main(["device", "add", *words, "--home", str(home.path)]) == 2
    assert capsys.readouterr().err.startswith("kit: ")
    assert not home.path.exists()


def test_damage_that_a_command_meets_is_looked_into_by_the_unit(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.path.mkdir()
    home.database.write_bytes(b"no database at all, but for its length" * 500)
    assert main(["alerts", "ls", "--home", str(home.path)]) == 1
    assert "start it: kit run" in capsys.readouterr().err
    assert suspect_file(home.database).exists()


def test_nobody_is_a_valve_for_a_unit_that_is_stopped(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["actuator", "simulate", "valve", "--home", str(home.path)]) == 1
    assert "the unit is stopped" in capsys.readouterr().err
    assert not home.path.exists()
