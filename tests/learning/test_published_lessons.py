"""Lessons that the city has published: on the pages like those that came with the kit, and never in their way."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import pytest

from kit.cli.__main__ import main
from kit.model.custody import custody_from_body
from kit.model.published import PublishedFile, Withdrawal, published_body, withdrawal_body
from kit.run.received import ReceivedFiles
from kit.store.records import SqliteRecordStore
from sync.protocol.records import Priority, Record, RecordId
from village_apps.app import find_apps
from village_apps.learning.lesson import LessonError
from village_apps.learning.lesson_file import MAX_LESSON_BYTES, lesson_from_bytes, parse_lesson
from village_apps.learning.library import LESSONS, NEW_FOR_MS, Library
from village_apps.learning.publishing import UnreadyLessonError, ready_lesson
from village_apps.learning.service import LessonWatch
from village_apps.web.trial import TrialKit

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 36 19"><path d="M0 0h36v19z" fill="#22304f"/></svg>'

WATER = f"""
key = "water"
version = 1
title = "Water that lasts"
summary = "When and how to water."
picture = "water"
minutes = 5
source = "the district's agronomist"

[[parts]]
heading = "At dusk"
figure = "drop.svg"
figure_says = "A drop falls on a plant."
sentences = ["Water at dusk. Less of it dries away."]

[[questions]]
key = "when"
text = "When do you water?"
answers = ["At noon", "At dusk"]
right = 1
why = "The sun is gone."

[figures]
"drop.svg" = '''{SVG}'''

[translations.sw]
"Water that lasts" = "Maji yanayodumu"
"At dusk" = "Jioni"
"""


class City:
    """Publishes to a kit: the records come in, and the kit writes the files as its care process does."""

    def __init__(self, kit: TrialKit) -> None:
        self.kit, self.seq = kit, 0

    def record(self, body: bytes, *, kind: str = "lesson", seq: int = 0) -> Record:
        self.seq = seq or self.seq + 1
        return Record(id=RecordId("core-a", 1, self.seq), kind=kind, priority=Priority.BULK, created_ms=1, body=body)

    def take(self, record: Record) -> None:
        with self.kit.store() as database:
            SqliteRecordStore(database).take([record], peer="core-a", link="lora", at_ms=self.kit.now_ms)
            ReceivedFiles(self.kit.home, database, self.kit.clock).look()

    def publish(self, text: str | bytes, *, name: str = "water.toml", kind: str = "lesson", seq: int = 0) -> None:
        content = text.encode() if isinstance(text, str) else text
        file = PublishedFile(name=name, content=content, by="Asha, agronomist")
        self.take(self.record(published_body(file), kind=kind, seq=seq))


@pytest.fixture
def city(kit: TrialKit) -> City:
    return City(kit)


def page(kit: TrialKit, path: str) -> str:
    answer = kit.app.test_client().get(path)
    assert answer.status_code == 200, path
    return answer.text


def lines(kit: TrialKit) -> list[str]:
    (app,) = [each for each in find_apps() if each.name == "learning"]
    with kit.store() as database:
        LessonWatch(kit.context).look(database)
    assert app.status_lines is not None
    return [line.value for line in app.status_lines(kit.context)]


def version(number: int, text: str = WATER) -> str:
    return text.replace("version = 1", f"version = {number}")


def test_a_published_lesson_stands_in_its_place_and_is_new_for_a_week(kit: TrialKit, city: City) -> None:
    assert "Water that lasts" not in page(kit, "/learn/")
    city.publish(WATER)
    shown = page(kit, "/learn/")
    assert shown.index("When frost comes") < shown.index("Water that lasts")
    assert "New · Asha, agronomist" in shown
    assert "Maji yanayodumu" in page(kit, "/learn/?lang=sw")
    assert "A new lesson: Water that lasts" in page(kit, "/")
    lesson = page(kit, "/learn/water/")
    assert "Sent by the city: Asha, agronomist" in lesson
    assert 'fill="#22304f"' in lesson
    assert "Jioni" in page(kit, "/learn/water/?lang=sw")
    kit.clock.advance(NEW_FOR_MS / 1000)
    assert "badge" not in page(kit, "/learn/?lang=en")
    assert "Lessons with pictures and questions." in page(kit, "/?lang=en")
    assert "Sent by the city: Asha, agronomist" in page(kit, "/learn/water/?lang=en")
    assert lines(kit) == []


def digests(kit: TrialKit) -> list[tuple[str, int, int]]:
    with kit.store() as database:
        rows = database.connection.execute("SELECT body FROM records WHERE kind = 'quiz' ORDER BY seq").fetchall()
    told = [cbor2.loads(row[0]) for row in rows]
    return [(each["lesson"], each["version"], each["attempts"]) for each in told]


def test_its_quiz_is_marked_stored_and_told_like_any_other_by_lesson_and_version(kit: TrialKit, city: City) -> None:
    city.publish(WATER)
    pupil = kit.app.test_client()
    answer = pupil.post("/learn/water/quiz", data={"when": "1", "version": "1", "sheet": "a"})
    assert answer.status_code == 303
    assert "1 of 1 right" in pupil.get(answer.location).text
    old_result = answer.location
    city.publish(version(2).replace("right = 1", "right = 0"))
    late = pupil.post("/learn/water/quiz", data={"when": "1", "version": "1", "sheet": "b"})
    assert late.status_code == 409
    assert "This lesson is new since you opened it." in late.text
    assert pupil.get(old_result).headers["Location"] == "/learn/water/"
    fresh = re.search(r'name="version" value="(\d)"', late.text)
    assert fresh is not None
    pupil.post("/learn/water/quiz", data={"when": "0", "version": fresh[1], "sheet": "c"})
    assert digests(kit) == [("water", 1, 1), ("water", 2, 1)]


def test_a_newer_version_replaces_the_older_in_whatever_order_they_come(kit: TrialKit, city: City) -> None:
    city.publish(version(2).replace("Water that lasts", "Water, again"), seq=9)
    city.publish(WATER, seq=4)
    assert "Water, again" in page(kit, "/learn/")
    city.publish(version(3).replace("Water that lasts", "Water, at last"), name="other.toml", seq=10)
    assert "Water, at last" in page(kit, "/learn/")
    assert page(kit, "/learn/").count("/learn/water/") == 1
    (told,) = lines(kit)
    assert told == "content/lesson/water.toml is not shown: 'other.toml' holds the lesson 'water', too, in version 3"


def test_an_update_of_a_lesson_that_came_with_the_kit_takes_its_place(kit: TrialKit, city: City) -> None:
    ready = ready_lesson(LESSONS / "frost" / "lesson.toml").file.content.decode()
    newer = version(2, ready).replace('title = "When frost comes"', 'title = "When frost comes, again"')
    city.publish(newer, name="frost.toml")
    shown = page(kit, "/learn/")
    assert "When frost comes, again" in shown
    assert shown.count("/learn/frost/") == 1
    assert "Cold air is heavy." in page(kit, "/learn/frost/")
    assert "Hewa baridi ni nzito." in page(kit, "/learn/frost/?lang=sw"), "what it did not change is still translated"


def test_an_older_one_than_came_with_the_kit_is_not_shown(kit: TrialKit, city: City, tmp_path: Path) -> None:
    shutil.copytree(LESSONS / "frost", tmp_path / "shipped" / "frost")
    shipped = tmp_path / "shipped" / "frost" / "lesson.toml"
    shipped.write_text(version(2, shipped.read_text(encoding="utf-8")), encoding="utf-8")
    city.publish(ready_lesson(LESSONS / "frost" / "lesson.toml").file.content, name="frost.toml")
    with kit.store() as database:
        here = Library(kit.home.content / "lesson", shipped=tmp_path / "shipped").shelf(database.connection)
    assert (here.lessons["frost"].lesson.version, here.lessons["frost"].is_new(kit.now_ms)) == (2, False)
    assert "version 2 came with the kit" in here.problems["frost.toml"]


def opened(kit: TrialKit) -> list[tuple[int, int]]:
    """The records, by epoch and number, of which the core is told that they were opened."""
    with kit.store() as database:
        rows = database.connection.execute(
            "SELECT body, priority, addressee FROM records WHERE kind = 'custody' AND taken_ms IS NULL ORDER BY number"
        ).fetchall()
    notes = [(custody_from_body(row["body"]), row["priority"], row["addressee"]) for row in rows]
    assert all(note.opened and not note.read and note.person == "" for note, _, _ in notes)
    assert {(priority, addressee) for _, priority, addressee in notes} <= {(Priority.RECEIPT, "core-a")}
    return [name for note, _, _ in notes for name in note.told]


def test_the_core_is_told_once_that_a_lesson_was_opened_and_only_by_a_page_that_somebody_asked_for(
    kit: TrialKit, city: City
) -> None:
    city.publish(WATER)
    pupil = kit.app.test_client()
    for path in ("/", "/learn/", "/learn/water/quiz", "/learn/frost/", "/learn/none/"):
        pupil.get(path)
    pupil.head("/learn/water/")
    pupil.get("/learn/water/", headers={"Sec-Purpose": "prefetch"})
    assert opened(kit) == [], "a title in a list is not opened, nor is what a browser fetches ahead"
    for language in ("en", "sw", "en"):
        assert pupil.get(f"/learn/water/?lang={language}").status_code == 200
    assert opened(kit) == [(1, 1)]
    city.publish(version(2))
    pupil.get("/learn/")
    assert opened(kit) == [(1, 1)], "nobody has opened the new version yet"
    pupil.get("/learn/water/")
    assert opened(kit) == [(1, 1), (1, 2)]


def test_a_unit_that_cannot_write_shows_the_lesson_and_says_nothing_until_it_can(kit: TrialKit, city: City) -> None:
    city.publish(WATER)
    pupil = kit.app.test_client()
    with kit.store() as database:
        database.connection.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON records BEGIN SELECT raise(ABORT, 'database or disk is full'); END"
        )
        assert pupil.get("/learn/water/").status_code == 200
        database.connection.execute("DROP TRIGGER full")
    assert opened(kit) == []
    pupil.get("/learn/water/")
    assert opened(kit) == [(1, 1)]


def test_a_lesson_that_a_technician_put_there_is_no_news_for_the_city(kit: TrialKit) -> None:
    (kit.home.content / "lesson").mkdir()
    (kit.home.content / "lesson" / "mine.toml").write_text(WATER)
    page(kit, "/learn/water/")
    assert opened(kit) == []


def test_a_lesson_that_is_taken_back_leaves_the_pages_and_what_came_with_the_kit_is_there_again(
    kit: TrialKit, city: City
) -> None:
    ready = ready_lesson(LESSONS / "frost" / "lesson.toml").file.content.decode()
    city.publish(WATER)
    city.publish(version(2, ready).replace('"When frost comes"', '"When frost comes, again"'), name="frost.toml")
    assert "When frost comes, again" in page(kit, "/learn/")
    for name in ("water.toml", "frost.toml"):
        city.take(city.record(withdrawal_body(Withdrawal(name))))
    shown = page(kit, "/learn/")
    assert "Water that lasts" not in shown
    assert "When frost comes" in shown
    assert "again" not in shown
    pupil = kit.app.test_client()
    assert pupil.get("/learn/water/").status_code == 404
    assert pupil.post("/learn/water/quiz", data={"when": "1"}).status_code == 404
    assert lines(kit) == []


HOSTILE: dict[str, tuple[bytes, str]] = {
    "broken.toml": (b"key = ", "is not valid TOML"),
    "binary.toml": (b"\xff\xfe\x00", "is no UTF-8 text"),
    "huge.toml": (b"#" * (MAX_LESSON_BYTES + 1), "more than 131072 bytes"),
    "deep.toml": (b"a = " + b"[" * 50_000, "is not valid TOML"),
    "script.toml": (WATER.replace("<path", "<script>alert(1)</script><path").encode(), "holds <script>"),
    "readme.txt": (b"hello", "is no lesson: the name of a lesson ends in .toml"),
    "figure.toml": (WATER.replace('"drop.svg"', '"../../keys/x.svg"').encode(), "is no name of a figure"),
    "key.toml": (WATER.replace('key = "water"', 'key = "../x"').encode(), "is no name"),
    "markup.toml": (WATER.replace("minutes = 5", 'minutes = "<b>"').encode(), "minutes must be a whole number"),
}


def test_what_is_damaged_or_meant_ill_breaks_no_page_and_is_listed_for_the_technician(
    kit: TrialKit, city: City
) -> None:
    for name, (content, _) in HOSTILE.items():
        city.publish(content, name=name)
    city.take(city.record(cbor2.dumps([1, "../../kit.toml", False, b"x"])))
    city.take(city.record(b"\xff"))
    (kit.home.content / "lesson" / "folder.toml").mkdir()
    city.publish(WATER.replace("Water that lasts", "<script>alert(1)</script>"))
    shown = page(kit, "/learn/")
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>" not in shown + page(kit, "/learn/water/") + page(kit, "/learn/water/quiz")
    told = lines(kit)
    assert len(told) == len(HOSTILE) + 1
    for name, (_, why) in HOSTILE.items():
        assert any(line.startswith(f"content/lesson/{name} ") and why in line for line in told), name
    assert not (kit.home.path / "x").exists()
    with kit.store() as database:
        from kit.health.content_view import refused_rows

        reasons = [row["why"] for row in refused_rows(database.connection)]
    assert "the body is no CBOR" in reasons[0]
    assert "is no name for a published file" in reasons[1]


def test_a_lesson_put_there_by_hand_is_shown_without_a_sender(kit: TrialKit) -> None:
    (kit.home.content / "lesson").mkdir()
    (kit.home.content / "lesson" / "mine.toml").write_text(WATER)
    assert "Put here by the technician" in page(kit, "/learn/water/")


def test_a_forgotten_version_with_other_questions_still_makes_digests(kit: TrialKit, city: City) -> None:
    city.publish(WATER)
    pupil = kit.app.test_client()
    pupil.post("/learn/water/quiz", data={"when": "1", "sheet": "a"})
    pupil.post("/learn/water/quiz", data={"when": "1", "sheet": "b"})
    more = '\n[[questions]]\nkey = "how"\ntext = "How?"\nanswers = ["Much", "Little"]\nright = 0\nwhy = "So."\n'
    city.publish(WATER.replace("\n[figures]", f"{more}\n[figures]"))
    pupil.post("/learn/water/quiz", data={"when": "1", "how": "0", "sheet": "c"})
    kit.clock.advance(7200)
    pupil.post("/learn/water/quiz", data={"when": "1", "how": "0", "sheet": "d"})
    assert sum(attempts for _, _, attempts in digests(kit)) == 4


def check(*words: str) -> int:
    return main(["lessons", "check", *words])


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        file = tmp_path / "lesson.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def test_a_teacher_checks_a_lesson_with_its_figures_beside_it(
    written: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(WATER.partition("[figures]")[0])
    assert check(str(file)) == 1
    assert "the figure 'drop.svg' lies neither in [figures] nor beside the file" in capsys.readouterr().err
    (tmp_path / "drop.svg").write_text(SVG)
    assert check(str(file), "--page", str(tmp_path / "look.html")) == 0
    out = capsys.readouterr().out
    assert "Water that lasts: When and how to water." in out
    assert "1. When do you water? At dusk" in out
    assert "It can be published" in out
    look = (tmp_path / "look.html").read_text()
    assert all(words in look for words in ("At dusk", "1 of 1 right", "--green", 'fill="#22304f"'))
    assert check(str(file), "--json") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "water.toml"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('picture = "water"', 'picture = "watr"'), "no picture 'watr'; did you mean 'water'?"),
        (("right = 1", "right = 2"), "has 2 answers, counted from 0; right = 2 is none of them"),
        (('heading = "At dusk"', 'headin = "At dusk"'), "parts[1].heading is missing; is it 'headin'?"),
        (('why = "The sun is gone."', 'why = ""'), "questions[1].why is empty"),
        (("minutes = 5", "minutes = 5\nauthor = 'me'"), "author is unknown"),
        (("minutes = 5", ""), "minutes is missing"),
        (('figure_says = "A drop falls on a plant."', ""), "say in words what the figure shows"),
        (('key = "when"', 'key = "sheet"'), "'sheet' is taken"),
        (('"At dusk" = "Jioni"', '"At dawn" = "Asubuhi"'), "'At dawn' stands nowhere in the lesson"),
        (('answers = ["At noon", "At dusk"]', 'answers = ["At dusk"]\nx = 1'), "questions[1].x is unknown"),
        (('"Water at dusk. Less of it dries away."', "7"), "sentences[1] must be text in quotes"),
        (("[[parts]]", "[parts]"), "must be a list"),
        (("title =", f'title = "{"x" * 121}"\nt ='), "title has 121 characters; at most 120"),
        (('"drop.svg" =', '"other.svg" = "x"\n"drop.svg" ='), "'other.svg' is shown by no part"),
    ],
)
def test_a_mistake_is_named_with_its_place(
    written: Any, capsys: pytest.CaptureFixture[str], change: tuple[str, str], says: str
) -> None:
    assert change[0] in WATER
    assert check(str(written(WATER.replace(*change, 1)))) == 1
    assert says in capsys.readouterr().err


def test_what_is_packed_is_the_same_lesson(written: Any, tmp_path: Path) -> None:
    (tmp_path / "drop.svg").write_text(SVG.replace("</svg>", "<text>it's 5 o'clock</text></svg>"))
    ready = ready_lesson(written(WATER.partition("[figures]")[0]))
    again = lesson_from_bytes(ready.file.content, source="x")
    assert again == ready.lesson
    assert "it's 5 o'clock" in again.figures["drop.svg"]
    with pytest.raises(UnreadyLessonError, match="cannot be read"):
        ready_lesson(tmp_path / "none.toml")
    with pytest.raises(LessonError, match="is not in"):
        parse_lesson(WATER.partition("[figures]")[0], source="x")


def test_the_lesson_of_the_documentation_can_be_published_as_it_stands(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "lessons.md").read_text(encoding="utf-8")
    (tmp_path / "lesson.toml").write_text(text.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    (tmp_path / "dusk.svg").write_text(SVG)
    assert ready_lesson(tmp_path / "lesson.toml").lesson.key == "water"


def test_the_advice_of_the_documentation_can_be_published_as_it_stands(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "lessons.md").read_text(encoding="utf-8")
    (tmp_path / "locusts.txt").write_text(text.partition("```text\n")[2].partition("```")[0], encoding="utf-8")
    (prepare,) = [app.prepares["advice"] for app in find_apps() if "advice" in app.prepares]
    file = prepare(tmp_path / "locusts.txt", [])
    assert (file.name, file.content[:24]) == ("locusts.txt", b"Locusts are two days awa")
