"""What the technician reads of states, backups and a damaged store, in both languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import village_apps.portal
from kit.store.facts import put_fact
from kit.timekeeping import SOURCES
from village_apps.phrases import Phrase, Phrases
from village_apps.portal import technician_words as words
from village_apps.web.trial import TrialKit

NOW = "2016-04-12T03:00:00Z"
PORTAL = Path(village_apps.portal.__file__).parent


@pytest.fixture(scope="module")
def phrases() -> Phrases:
    return Phrases.load([PORTAL / "phrases"])


def backup(*, ok: bool, sentence: str = "") -> dict[str, Any]:
    return {
        "at": "2016-04-12T01:30:00Z",
        "ok": ok,
        "file": "/b/kit-a.kitbackup",
        "bytes": 2_340_000,
        "sentence": sentence,
    }


@pytest.mark.parametrize(
    ("seconds", "english", "swahili"),
    [
        (None, "never", "kamwe"),
        (12, "12 s", "sekunde 12"),
        (180, "3 min", "dakika 3"),
        (7500, "2 h 5 min", "saa 2 na dakika 5"),
        (90_000, "1 day", "siku 1"),
        (400_000, "4 days", "siku 4"),
    ],
)
def test_a_duration_is_said_in_both_languages(
    phrases: Phrases, seconds: float | None, english: str, swahili: str
) -> None:
    said = words.duration(seconds)
    assert (phrases.say("en", said), phrases.say("sw", said)) == (english, swahili)


def test_a_backup_on_a_stick_says_that_it_may_be_pulled_out_and_a_failure_why(phrases: Phrases) -> None:
    told = {"nightly": backup(ok=False, sentence="no room"), "stick": backup(ok=True)}
    lines = words.backup_lines(told, NOW)
    assert [phrases.say("en", line) for line in lines] == [
        "Each night: FAILED 1 h 30 min ago. no room",
        "On a USB stick: made 1 h 30 min ago and checked. The stick may be pulled out. kit-a.kitbackup, 2.3 MB",
    ]
    assert phrases.say("sw", lines[1]).startswith("Kwenye kijiti cha USB: ilitengenezwa saa 1 na dakika 30 nyuma")


def test_what_was_lost_is_named_in_both_languages(phrases: Phrases) -> None:
    row = {"problem": "malformed", "set_aside": "/k/set-aside/1", "salvaged": 1204, "backup": "/b/kit-a.kitbackup"}
    row |= {"incomplete": {"readings": ["3: between 10 and 20"], "series": []}}
    told = " ".join(phrases.say("en", line) for line in words.damage_lines(row, None))
    assert "goes on with 1,204 rows. Not wholly readable: readings (3: between 10 and 20), series." in told
    assert "The backup kit-a.kitbackup filled in" in told
    swahili = " ".join(phrases.say("sw", line) for line in words.damage_lines(row, None))
    assert "readings (3: between 10 and 20), series" in swahili
    assert "The " not in swahili


def test_a_store_that_is_being_mended_says_how_far_it_is_and_what_to_leave_alone(phrases: Phrases) -> None:
    row = {"problem": "malformed", "set_aside": "/k/set-aside/1", "unfinished": True}
    mending = {"rows": 5000, "table": "readings", "done": 1, "of": 4}
    told = " ".join(phrases.say("en", line) for line in words.damage_lines(row, mending))
    assert "5,000 rows so far; now readings, series 2 of 4." in told
    assert "Leave /k/set-aside/1 alone" in told


def test_who_told_the_time_is_said_as_everywhere_else() -> None:
    for name, source in SOURCES.items():
        said = words.clock_source({"source": name})
        assert isinstance(said, Phrase)
        assert said.msgid == source.words
    assert words.clock_source({"source": "simulation"}) == "simulation"


def test_the_technicians_page_says_the_backups_in_swahili(kit: TrialKit) -> None:
    from kit.identity import set_technician_password

    set_technician_password(kit.home, "a long enough password")
    with kit.store() as database, database.atomic() as connection:
        told = {"at_ms": kit.now_ms - 3_600_000, "ok": True, "file": "/b/x.kitbackup", "bytes": 1, "sentence": "x"}
        put_fact(connection, "backup", {"nightly": told}, at_ms=kit.now_ms)
    client = kit.app.test_client()
    client.post("/technician/sign-in", data={"password": "a long enough password"})
    client.get("/language/sw")
    page = client.get("/technician/", headers={"Accept-Language": "sw"}).text
    assert "Kila usiku: ilitengenezwa saa 1 nyuma na kukaguliwa." in page
