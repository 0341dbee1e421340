from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from village_apps.phrases import Phrases
from village_apps.web import PHRASES
from village_apps.web.moments import Moments

NAIROBI = Moments("Africa/Nairobi")
SAID = Phrases.load([PHRASES])


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Africa/Nairobi")).timestamp() * 1000)


@pytest.mark.parametrize(
    ("moment", "now", "words"),
    [
        ("2016-04-12 23:00", "2016-04-12 19:00", "tonight at 23:00"),
        ("2016-04-13 02:30", "2016-04-12 19:00", "tonight at 02:30"),
        ("2016-04-13 02:30", "2016-04-13 01:00", "tonight at 02:30"),
        ("2016-04-13 06:10", "2016-04-12 19:00", "tomorrow at 06:10"),
        ("2016-04-13 06:10", "2016-04-13 01:00", "today at 06:10"),
        ("2016-04-12 09:00", "2016-04-12 10:00", "today at 09:00"),
        ("2016-04-11 14:00", "2016-04-12 10:00", "yesterday at 14:00"),
        ("2016-03-01 14:00", "2016-04-12 10:00", "on 01/03 at 14:00"),
    ],
)
def test_a_moment_is_said_as_people_say_it(moment: str, now: str, words: str) -> None:
    assert SAID.say("en", NAIROBI.when(at(moment), now_ms=at(now))) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "just now"), (59, "just now"), (180, "3 min ago"), (7200, "2 h ago"), (3 * 86400, "3 days ago")],
)
def test_how_long_ago_is_said_roughly(seconds: int, words: str) -> None:
    now_ms = at("2016-04-12 10:00")
    assert SAID.say("en", NAIROBI.ago(now_ms - seconds * 1000, now_ms=now_ms)) == words


def test_a_day_is_named_in_the_readers_language() -> None:
    assert NAIROBI.day(at("2016-04-12 10:00"), "en") == "Tuesday, 12 April"
    assert NAIROBI.day(at("2016-04-12 10:00"), "sw") == "Jumanne, 12 Aprili"
