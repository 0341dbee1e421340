"""What a view needs to know of the request: the reader's language, the store, the kit.

Views import this module only where they run, inside an app's `blueprint` function, because it brings Flask with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask import current_app, g, has_request_context

from village_apps.phrases import SOURCE_LANGUAGE, Phrase, Phrases
from village_apps.web.cache import PageCache
from village_apps.web.moments import Moments

if TYPE_CHECKING:
    from kit.store.database import Database
    from village_apps.app import AppContext, VillageApp
    from village_apps.web.connections import Connections
    from village_apps.web.static_files import StaticFiles

EXTENSION = "village_kit"


@dataclass(frozen=True)
class Frame:
    """What the web process knows, the same for every request."""

    context: AppContext
    apps: tuple[VillageApp, ...]
    phrases: Phrases
    languages: tuple[str, ...]
    connections: Connections
    static_files: StaticFiles
    moments: Moments
    cache: PageCache = field(default_factory=PageCache)
    opened: dict[tuple[str, str], tuple[int, ...]] = field(default_factory=dict)
    """Which files of the city were noted as opened, and as of which version of what has come (`web.opened`)."""


def frame() -> Frame:
    """The frame of the application that answers this request."""
    found: Frame = current_app.extensions[EXTENSION]
    return found


def context() -> AppContext:
    """The kit: home, settings, clock."""
    return frame().context


def database() -> Database:
    """This thread's connection to the store. Read as you like; write within `atomic()`."""
    return frame().connections.database()


def now_ms() -> int:
    """Kit time, Unix milliseconds."""
    return int(context().clock.now() * 1000)


def language() -> str:
    """The language this request is answered in."""
    return str(g.get("language", SOURCE_LANGUAGE)) if has_request_context() else SOURCE_LANGUAGE


def gettext(msgid: str, **values: object) -> str:
    """The phrase in the reader's language; import it as `_`."""
    return frame().phrases.gettext(language(), msgid, **values)


def ngettext(singular: str, plural: str, number: int, **values: object) -> str:
    """The phrase in the reader's language, in the form that goes with `number` (also `%(num)s`)."""
    return frame().phrases.ngettext(language(), singular, plural, number, **values)


def say(said: Phrase | str) -> str:
    """A `Phrase` in the reader's language; plain text as it is."""
    return said if isinstance(said, str) else frame().phrases.say(language(), said)
