"""What a process does once before it serves, in a child whose memory ends with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.home import Home
from kit.run import schema
from kit.run.before_serving import in_a_child, make_store_ready
from kit.run.schema import open_unit_store, unit_migrations
from kit.store.database import Database

NOW_MS = 1_700_000_000_000


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.prepare()
    return made


def test_a_child_leaves_what_it_wrote_and_nothing_that_it_remembered(tmp_path: Path) -> None:
    remembered: list[int] = []

    def work() -> None:
        remembered.append(os.getpid())
        (tmp_path / "written").write_text(str(os.getpid()))

    assert in_a_child(work)
    assert not remembered
    assert int((tmp_path / "written").read_text()) != os.getpid()


@pytest.mark.parametrize("work", [lambda: 1 // 0, lambda: sys.exit(3), lambda: os.kill(os.getpid(), 9)])
def test_a_child_that_fails_or_is_killed_says_so(work: Callable[[], object]) -> None:
    assert not in_a_child(work)


def test_a_service_keeps_no_module_that_only_getting_ready_needs(home: Home) -> None:
    """Even at the first start, when every table is made and the keys are."""
    code = (
        "import sys; from pathlib import Path; from kit.home import Home\n"
        "from kit.run.before_serving import make_store_ready\n"
        "from kit.run.schema import open_unit_store\n"
        f"home = Home(Path({str(home.path)!r})); make_store_ready(home, now_ms=lambda: {NOW_MS})\n"
        "with open_unit_store(home) as store:\n"
        "    store.connection.execute('SELECT * FROM readings, frost_forecasts, devices').fetchall()\n"
        "print(*(name for name in sys.modules if name.startswith(('sqlite_utils', 'cryptography', 'kit.backup',"
        " 'kit.store.mqtt', 'kit.store.schema', 'village_apps.frost.tables', 'xml', 'tarfile'))))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "\n"


def test_an_older_store_gets_the_tables_it_lacks(home: Home) -> None:
    with Database(home.database, migrations=unit_migrations()[:4]):
        pass
    make_store_ready(home, now_ms=lambda: NOW_MS)
    with open_unit_store(home) as store:
        applied = store.connection.execute("SELECT count(*) FROM _sqlite_migrations").fetchone()[0]
    assert applied == len(unit_migrations())


def test_what_the_child_cannot_do_is_done_here_and_says_what_is_wrong(home: Home) -> None:
    with open_unit_store(home):
        pass
    home.database.write_bytes(b"no database at all" * 1000)
    make_store_ready(home, now_ms=lambda: NOW_MS)
    assert home not in schema._up_to_date, "the child saw nothing wrong"
    with open_unit_store(home) as store:
        assert store.connection.execute("PRAGMA quick_check").fetchone()[0] == "ok"
    assert list(home.set_aside.iterdir()), "the damaged file is kept"
