"""A core's home: its keys, its settings, its store."""

from __future__ import annotations

from dataclasses import dataclass

from kit.clock import Clock, open_clock
from kit.errors import KitError
from kit.home import Home, explain_home_error, write_new
from kit.identity import Identity, load_or_create_curve_keys, load_or_create_identity
from kit.settings import Settings, load_settings, settings_as_toml
from sync.core.room import CoreRoom
from sync.core.sqlite_store import SqliteCoreStore, store_file
from sync.join import has_joined

ROLE = "core"


@dataclass(frozen=True)
class Core:
    """A core as a command or a service sees it.

    Attributes:
        home: where it lives.
        settings: its kit.toml.
        clock: its clock.
        identity: its name and keys.
    """

    home: Home
    settings: Settings
    clock: Clock
    identity: Identity

    def now_ms(self) -> int:
        """Unix milliseconds by the core's clock."""
        return int(self.clock.now() * 1000)

    def open_store(self) -> SqliteCoreStore:
        """A connection of its own for the calling thread; use it as a context manager."""
        return SqliteCoreStore(store_file(self.home, self.settings.core), self.identity, room=self.room())

    def room(self) -> CoreRoom:
        """What there is on its store's disk."""
        return CoreRoom(store_file(self.home, self.settings.core))


def prepare_core(home: Home) -> Core:
    """Make in a home what a core needs and does not have yet; nothing that is there is changed.

    Raises:
        KitError: the home cannot be written, or it is a kit's.
        SettingsError: its kit.toml cannot be used.
    """
    if home.database.exists() or has_joined(home):
        raise KitError(_home_of_a_kit(home))
    settings = load_settings(home.settings_file)
    store_file(home, settings.core)  # a store that cannot be used is said before anything is made
    home.prepare()
    identity = _identity(home)
    load_or_create_curve_keys(home)
    _write_settings(home)
    core = Core(home, settings, open_clock(home.clock_file), identity)
    core.room().make_way()
    with core.open_store():
        return core


def open_core(home: Home) -> Core:
    """An existing core.

    Raises:
        KitError: there is none in that home.
        SettingsError: its kit.toml cannot be used.
    """
    if home.database.exists():
        raise KitError(_home_of_a_kit(home))
    if not (home.keys / "unit.json").exists():
        raise KitError(
            f"{home.path} holds no city core; make one with `kit core init`, or name its home with --home DIR"
        )
    return Core(home, load_settings(home.settings_file), open_clock(home.clock_file), _identity(home))


def core_toml() -> str:
    """A commented `kit.toml` with the settings that concern a core."""
    tables = settings_as_toml().split("\n\n")
    return "\n\n".join(table for table in tables if "\n[core" in table) + "\n"


def _write_settings(home: Home) -> None:
    if home.settings_file.exists():
        return
    try:
        write_new(home.settings_file, core_toml().encode())
    except FileExistsError:
        return  # one that is there, or that somebody writes at this moment, stays
    except OSError as error:
        raise KitError(explain_home_error(home.path, error)) from error


def _identity(home: Home) -> Identity:
    identity = load_or_create_identity(home, role=ROLE)
    if not identity.unit.startswith(f"{ROLE}-"):
        raise KitError(_home_of_a_kit(home))
    return identity


def _home_of_a_kit(home: Home) -> str:
    return f"{home.path} is the home of a kit; give the city core a home of its own with --home DIR"
