from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from village_apps.learning.lesson import LessonError, chosen_answers, lesson_words, mark
from village_apps.learning.lesson_file import parse_lesson
from village_apps.learning.library import LESSONS, lessons
from village_apps.web.pictures import symbols

FROST = lessons()["frost"]
FILE = LESSONS / "frost" / "lesson.toml"


def test_the_frost_lesson_has_five_questions_with_three_answers_each() -> None:
    assert [len(question.answers) for question in FROST.questions] == [3] * 5


def test_the_right_answer_is_not_always_at_the_same_place() -> None:
    assert len({question.right for question in FROST.questions}) == 3


def test_every_picture_and_figure_of_the_lesson_exists() -> None:
    pictures = {FROST.picture, *(question.picture for question in FROST.questions)}
    for part in FROST.parts:
        pictures |= {item.picture for item in (*part.signs, *part.steps)} | ({part.picture} - {""})
        if part.figure:
            assert FROST.figures[part.figure].startswith("<svg")
            assert part.figure_says
    assert pictures <= set(symbols())


def test_sentences_are_short_enough_to_be_read_by_somebody_who_reads_little() -> None:
    sentences = [sentence for words in lesson_words(FILE.read_text()) for sentence in re.split(r"(?<=[.!?]) ", words)]
    assert max(len(sentence.split()) for sentence in sentences) <= 20


def test_all_right_answers_are_marked_right() -> None:
    assert all(mark(FROST, [question.right for question in FROST.questions]))


@given(form=st.dictionaries(st.sampled_from([q.key for q in FROST.questions] + ["x"]), st.text(max_size=4)))
def test_whatever_a_form_holds_only_offered_answers_count(form: dict[str, str]) -> None:
    for question, place in zip(FROST.questions, chosen_answers(FROST, form), strict=True):
        assert place is None or question.answers[place]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("right = 1\nwhy", "right = 7\nwhy"), "right = 7 is none of them"),
        (('title = "When frost comes"', 'titel = "x"'), "title is missing; is it .titel"),
        (("version = 1", "version = "), "not valid TOML"),
    ],
)
def test_a_lesson_with_a_mistake_says_where(change: tuple[str, str], says: str, tmp_path: Path) -> None:
    text = FILE.read_text().replace(*change, 1)
    with pytest.raises(LessonError, match=says):
        parse_lesson(text, source="lesson.toml", beside=lambda name: (FILE.parent / name).read_text())
