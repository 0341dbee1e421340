"""What the lessons put on the first page."""

from __future__ import annotations

from village_apps.app import AppContext, Card
from village_apps.learning import PHRASES
from village_apps.learning.library import KIND, Shelved, library
from village_apps.phrases import phrases_in


def make_card(context: AppContext, language: str) -> Card:
    """The way to the lessons; a new one stands on the card itself."""
    phrases = phrases_in(PHRASES)
    now_ms = int(context.clock.now() * 1000)
    here = library(context.home.content / KIND)
    new: list[Shelved] = []
    text = phrases.gettext(language, "When frost comes: a lesson with pictures and five questions.")
    if not here.empty:
        with context.open_database() as database:
            shelf = here.shelf(database.connection)
        new = [each for each in shelf.lessons.values() if each.is_new(now_ms)]
        if len(shelf.lessons) > 1:
            text = phrases.gettext(language, "Lessons with pictures and questions.")
    if new:
        newest = max(new, key=lambda each: each.since_ms or 0).lesson
        own = newest.own_word(newest.title, language)
        title = own if own is not None else phrases.translate(language, newest.title)
        text = phrases.gettext(language, "A new lesson: %(title)s", title=title)
    return Card(
        title=phrases.gettext(language, "Learn"),
        text=text,
        href="/learn/",
        picture="book",
        urgency=1 if new else 2,
    )
