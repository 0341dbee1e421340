"""How an app declares itself, and what it is given.

An app is one folder (or one third-party package) that exposes a `VillageApp` through the entry-point group
`village_kit.apps`. The declaration is cheap to import: everything heavy is behind a function that imports when called.
Apps never import each other; they meet in records, alerts, facts and the bus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from kit.entry_points import entry_points

if TYPE_CHECKING:
    import argparse
    import threading
    from pathlib import Path

    from flask import Blueprint

    from kit.bus import Bus
    from kit.clock import Clock
    from kit.home import Home
    from kit.model.published import PublishedFile
    from kit.settings import Settings
    from kit.store.database import Database
    from kit.store.migrations import Migration

ENTRY_POINT_GROUP = "village_kit.apps"


@dataclass(frozen=True, kw_only=True)
class AppContext:
    """What the kit gives an app's services and pages.

    Attributes:
        open_database: opens a new connection for the calling thread (use it as a context manager).
        bus: the MQTT client of this process, or None where there is none (the web process reads the store only).
    """

    home: Home
    settings: Settings
    clock: Clock
    unit: str
    open_database: Callable[[], Database]
    bus: Bus | None = None


class AppService(Protocol):
    """A thread of the `collect` process that belongs to an app."""

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set. An exception ends it; the supervisor starts the process anew with back-off."""
        ...


@dataclass(frozen=True)
class Card:
    """What an app shows on the portal.

    Attributes:
        title: in the reader's language.
        text: one or two short sentences.
        href: where it leads.
        picture: id of a symbol in the shared sprite.
        urgency: 0 = stands first and looks like a warning, 1 = news, 2 = always there.
    """

    title: str
    text: str
    href: str
    picture: str
    urgency: int = 2


@dataclass(frozen=True)
class StatusLine:
    """A line for the technician (TUI, `kit status`): label, value, and whether it is all right."""

    label: str
    value: str
    ok: bool = True


@dataclass(frozen=True, kw_only=True)
class VillageApp:
    """The one declaration of an app.

    Attributes:
        name: also the folder's name.
        blueprint: makes the Flask blueprint (pages below the app's own prefix).
        card: what it shows on the portal, for a language; None = nothing.
        card_subjects: the subjects (see `kit.store.facts.count_change`) that its card depends on.
        record_kinds: kind → one sentence about its body, for the docs and for the core.
        migrations: its own tables; a function, so that declaring stays cheap.
        services: its threads in the `collect` process.
        status_lines: for the technician; must be quick, reads the store only.
        commands: adds `kit <name> …` to the CLI: gets a parser and adds subcommands with `set_defaults(run=f)`,
            where `f(arguments) -> int`.
        command: the word of those commands, if it is not its name.
        prepares: kind of a file that the core publishes (`kit.model.published.KINDS`) → reads such a file as it is to
            be sent, knowing those of its kind that were sent before; raises `kit.errors.KitError` with the sentence
            that says what is wrong with it.
        phrases: the folder of its catalogues, `<language>.po`.
    """

    name: str
    blueprint: Callable[[AppContext], Blueprint] | None = None
    card: Callable[[AppContext, str], Card | None] | None = None
    card_subjects: tuple[str, ...] = ()
    record_kinds: Mapping[str, str] = field(default_factory=dict)
    migrations: Callable[[], Sequence[Migration]] | None = None
    services: Callable[[AppContext], Sequence[AppService]] | None = None
    status_lines: Callable[[AppContext], Sequence[StatusLine]] | None = None
    commands: Callable[[argparse.ArgumentParser], None] | None = None
    command: str = ""
    prepares: Mapping[str, Callable[[Path, Sequence[PublishedFile]], PublishedFile]] = field(default_factory=dict)
    phrases: Path | None = None


def standing_card(
    phrases: Path, *, title: str, text: str, href: str, picture: str
) -> Callable[[AppContext, str], Card]:
    """A card that always says the same; `script/phrases` finds its title and text here."""

    def card(_context: AppContext, language: str) -> Card:
        from village_apps.phrases import phrases_in

        said = phrases_in(phrases)
        return Card(said.gettext(language, title), said.gettext(language, text), href=href, picture=picture)

    return card


def find_apps() -> list[VillageApp]:
    """Every installed app, by name. One that fails to import is left out; `kit doctor` names it (see `broken_apps`)."""
    return [app for app, _ in _load_all() if app is not None]


def broken_apps() -> list[str]:
    """A sentence for each app that could not be loaded."""
    return [problem for app, problem in _load_all() if app is None]


def _load_all() -> list[tuple[VillageApp | None, str]]:
    found: list[tuple[VillageApp | None, str]] = []
    for point in entry_points(ENTRY_POINT_GROUP):
        try:
            app = point.load()
        except Exception as error:  # noqa: BLE001 - a third party's app may fail in any way and must not take the kit down
            found.append((None, f"app '{point.name}' cannot be loaded: {error}"))
            continue
        if isinstance(app, VillageApp):
            found.append((app, ""))
        else:
            found.append((None, f"app '{point.name}' does not expose a VillageApp but {type(app).__name__}"))
    return found
