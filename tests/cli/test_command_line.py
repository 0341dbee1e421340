"""The command line itself: what it says to somebody who typed something wrong, and what it costs to start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kit.cli.__main__ import main, overview, parser_for, split_words
from kit.cli.commands import COMMANDS, GROUPS
from kit.cli.mishaps import CRASH_FILE, explain_mishap
from kit.errors import KitError

HEAVY = ("flask", "textual", "numpy", "zmq", "meshtastic", "sqlite_utils", "cryptography", "paho", "waitress")
NEEDLESS = {"importlib.metadata", "email.message", "hashlib", "secrets", "logging", "socket", "decimal", "difflib"}


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit code and what went to standard error."""
    code = main(words)
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("sttaus",), "kit: 'sttaus' is no command of kit; did you mean 'status'?"),
        (("devise", "list"), "kit: 'devise' is no command of kit; did you mean 'device'?"),
        (("device", "ad", "x"), "kit: device: 'ad' is not known here; did you mean 'add'?"),
        (("device", "add", "x", "--knd", "y"), "kit: device add has no option '--knd'; did you mean '--kind'?"),
        (("device", "add"), "kit: device add: say also NAME; see kit device add --help"),
        (
            ("device",),
            "kit: device: say what to do: add, join, waiting, accept, refuse, list, place, kinds, rotate, ca, remove",
        ),
        (("log", "sync", "web"), "kit: log: 'web' is one word too many; see kit log --help"),
        (("--jsn", "status"), "kit: status has no option '--jsn'; did you mean '--json'?"),
        (("--vresion",), "kit: there is no option '--vresion'; did you mean '--version'?"),
        (("readings", "--format", "xml"), "kit: readings: 'xml' is not known here; it is one of: json, csv"),
        (("run", "--speed", "200"), "kit: --speed is for a simulation; write kit run --sim --speed N"),
        (("status", "--home"), "kit: status: --home: expected one argument; see kit status --help"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_one(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, *words) == (2, sentence + "\n")


def test_a_time_that_cannot_be_read_is_answered_with_one_that_can(capsys: pytest.CaptureFixture[str]) -> None:
    code, error = said(capsys, "readings", "--since", "yesterday")
    assert code == 2
    assert "'yesterday' is not a time; write it like 2016-04-12T03:00:00Z" in error


@pytest.mark.parametrize("before", [True, False])
def test_the_home_may_stand_before_or_after_the_command(
    before: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(tmp_path / "unit")]
    assert main([*home, "init"] if before else ["init", *home]) == 0
    assert (tmp_path / "unit" / "kit.toml").exists()
    capsys.readouterr()


def test_the_home_may_stand_between_a_command_and_its_subcommand(tmp_path: Path) -> None:
    from argparse import Namespace

    values = parser_for("device").parse_args(
        ["--home", str(tmp_path), "list", "--json"], Namespace(home=None, json=False)
    )
    assert (values.home, values.json) == (str(tmp_path), True)


def test_the_command_is_found_behind_the_home() -> None:
    assert split_words(["--home", "status", "doctor", "--json"]) == (["--home", "status"], "doctor", ["--json"])


def test_help_lists_every_command_that_is_not_hidden() -> None:
    text = overview()
    assert all(f"  {word} " in text for word, command in COMMANDS.items() if command.group)
    assert "  service " not in text
    assert {command.group for command in COMMANDS.values()} <= {*GROUPS, ""}
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("word", sorted(COMMANDS))
def test_every_command_can_be_asked_for_help(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([word, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "--home" in text
    assert "--json" in text


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("kit 0.")


@pytest.mark.parametrize(
    "module", ["kit.cli.__main__", "kit.cli.status_command", "kit.cli.device_commands", "kit.health.status"]
)
def test_starting_loads_nothing_heavy(module: str) -> None:
    names = ",".join(repr(name) for name in HEAVY)
    code = f"import sys, {module}; print([name for name in ({names}) if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


@pytest.mark.parametrize("words", ["status", "device list"])
def test_looking_waits_for_no_module_that_only_changing_needs(tmp_path: Path, words: str) -> None:
    """Each of these costs a hundredth of `kit status` or more; together they were a third of it."""
    kit = [sys.executable, "-m", "kit.cli", "--home", str(tmp_path)]
    subprocess.run([*kit, "device", "add", "mast"], capture_output=True, check=True)
    code = (
        "import sys; before = set(sys.modules); from kit.cli.__main__ import main; "
        f"main(['--home', {str(tmp_path)!r}, *{words.split()}]); "
        f"print(*sorted({NEEDLESS} & sys.modules.keys() - before), file=sys.stderr)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "mast" in told.stdout
    assert told.stderr == "\n"


def test_a_reader_who_leaves_early_gets_no_complaint(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "kit.cli", "--help"], stdout=write, stderr=subprocess.PIPE, check=False, cwd=tmp_path
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_setting_with_a_typo_ends_with_the_nearest_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kit.toml").write_text("[frost]\ntreshold_c = -1.0\n")
    code, error = said(capsys, "status", "--home", str(tmp_path))
    assert code == 2
    assert "did you mean 'threshold_c'?" in error


def test_a_home_that_is_a_file_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("")
    code, error = said(capsys, "init", "--home", str(file))
    assert code == 1
    assert error == f"kit: {file} is not a directory; choose another place with --home DIR\n"


def test_a_defect_becomes_a_sentence_and_keeps_its_traceback_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 / len("")
    sentence = explain_mishap(caught.value, ["status", f"--home={tmp_path}"])
    assert sentence.startswith("this is a defect of the kit (ZeroDivisionError: division by zero)")
    assert "test_a_defect_becomes" in (tmp_path / "log" / CRASH_FILE).read_text()


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ("database is locked", "the store is busy"),
        ("database or disk is full", "free some space"),
        ("file is not a database", "mends it by itself"),
        ("no such table: series", "start the unit once"),
        ("attempt to write a readonly database", "use the user the unit runs as"),
    ],
)
def test_what_sqlite_says_becomes_what_to_do(problem: str, words: str) -> None:
    import sqlite3

    assert words in explain_mishap(sqlite3.OperationalError(problem), [])


def test_a_full_disk_is_explained_by_its_home(tmp_path: Path) -> None:
    import errno

    error = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "kit.db"))
    assert "is full; free some space" in explain_mishap(error, ["--home", str(tmp_path)])


def test_errors_of_the_outside_world_end_with_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert KitError.exit_code == 1
    code, error = said(capsys, "readings", "--home", str(tmp_path))
    assert code == 1
    assert "this unit has never run; start it with `kit run`" in error
