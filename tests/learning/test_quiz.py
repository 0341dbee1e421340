from __future__ import annotations

import re
from typing import Any

import cbor2
import pytest
from flask.testing import FlaskClient

from village_apps.learning.library import lessons
from village_apps.learning.results import DIGEST_EVERY_MS, store_attempt, write_due_digests
from village_apps.web.trial import TrialKit

LESSON = lessons()["frost"]
RIGHT = [question.right for question in LESSON.questions]
FORM = {question.key: str(question.right) for question in LESSON.questions}


@pytest.fixture
def pupil(kit: TrialKit) -> FlaskClient:
    return kit.app.test_client()


def digests(kit: TrialKit) -> list[dict[str, Any]]:
    with kit.store() as database:
        rows = database.connection.execute("SELECT body FROM records WHERE kind = 'quiz' ORDER BY seq").fetchall()
    return [cbor2.loads(row[0]) for row in rows]


def hand_in(kit: TrialKit, sheet: str, chosen: list[int] | None = None) -> None:
    with kit.store() as database, database.atomic() as connection:
        store_attempt(connection, LESSON, chosen or RIGHT, sheet=sheet, at_ms=kit.now_ms)


def sweep(kit: TrialKit) -> int:
    with kit.store() as database, database.atomic() as connection:
        return write_due_digests(connection, now_ms=kit.now_ms)


def test_the_lesson_is_read_in_two_languages(pupil: FlaskClient) -> None:
    assert "Cold air is heavy. It flows downhill like water." in pupil.get("/learn/frost/").text
    assert "Hewa baridi ni nzito." in pupil.get("/learn/frost/?lang=sw").text


def test_a_finished_quiz_shows_at_once_what_was_right_and_why(kit: TrialKit, pupil: FlaskClient) -> None:
    answer = pupil.post("/learn/frost/quiz", data=FORM | {"sky": "0"})
    assert answer.status_code == 303
    page = pupil.get(answer.location).text
    assert "4 of 5 right" in page
    assert "Your answer" in page
    assert "Without clouds and wind the ground loses its warmth to the sky." in page
    assert digests(kit)[0]["right"] == [0, 1, 1, 1, 1]


def test_a_forgotten_question_is_pointed_at_and_no_answer_is_lost(kit: TrialKit, pupil: FlaskClient) -> None:
    answer = pupil.post("/learn/frost/quiz", data={"sky": "1", "fire": "2", "sheet": "abc"})
    assert answer.status_code == 422
    assert "3 questions have no answer yet." in answer.text
    assert 'href="#question-2"' in answer.text
    assert len(re.findall(" checked", answer.text)) == 2
    assert 'value="abc"' in answer.text
    assert digests(kit) == []


def test_a_double_tap_counts_once(kit: TrialKit, pupil: FlaskClient) -> None:
    sheet = re.search(r'name="sheet" value="(\w+)"', pupil.get("/learn/frost/quiz").text)
    assert sheet is not None
    for _ in range(2):
        pupil.post("/learn/frost/quiz", data=FORM | {"sheet": sheet[1]})
    assert [digest["attempts"] for digest in digests(kit)] == [1]
    kit.clock.advance(2 * DIGEST_EVERY_MS / 1000)
    assert sweep(kit) == 0


def test_every_sheet_has_its_own_name(pupil: FlaskClient) -> None:
    sheets = {re.search(r'name="sheet" value="(\w+)"', pupil.get("/learn/frost/quiz").text) for _ in range(3)}
    assert len(sheets) == 3


def test_thirty_pupils_cost_two_records_and_each_counts_once(kit: TrialKit) -> None:
    for number in range(30):
        hand_in(kit, f"sheet-{number}")
    assert [digest["attempts"] for digest in digests(kit)] == [1]
    kit.clock.advance(DIGEST_EVERY_MS / 1000)
    sweep(kit)
    sweep(kit)
    assert [digest["attempts"] for digest in digests(kit)] == [1, 29]


def test_a_digest_says_how_it_went_and_names_nobody(kit: TrialKit) -> None:
    hand_in(kit, "secret-sheet", [1, 2, 0, 1, 0])
    assert digests(kit) == [
        {
            "lesson": "frost",
            "version": 1,
            "since_ms": kit.now_ms,
            "until_ms": kit.now_ms,
            "attempts": 1,
            "questions": 5,
            "mean_score": 4.0,
            "right": [1, 1, 1, 1, 0],
        }
    ]


def test_a_clock_that_was_set_back_holds_no_digest_for_years(kit: TrialKit) -> None:
    hand_in(kit, "one")
    kit.clock.at_s -= 10 * 365 * 86400
    hand_in(kit, "two")
    assert len(digests(kit)) == 2


def test_a_result_that_is_withdrawn_takes_its_digest_with_it(kit: TrialKit) -> None:
    with kit.store() as database:
        with pytest.raises(RuntimeError), database.atomic() as connection:  # noqa: PT012 - the crash is in the middle
            store_attempt(connection, LESSON, RIGHT, sheet="one", at_ms=kit.now_ms)
            raise RuntimeError("power cut")
        assert digests(kit) == []
    hand_in(kit, "one")
    assert len(digests(kit)) == 1


@pytest.mark.parametrize("path", ["/learn/none/", "/learn/frost/result?answers=9-9-9-9-9", "/learn/frost/result"])
def test_what_is_no_lesson_or_no_result_is_not_found(pupil: FlaskClient, path: str) -> None:
    assert pupil.get(path).status_code == 404
