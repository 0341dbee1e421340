"""A core's home: its keys, its settings, its store."""

from __future__ import annotations

from dataclasses import dataclass

from kit.clock import Clock, open_clock
from kit.errors import KitError
from kit.home import Home
from kit.identity import Identity, load_or_create_curve_keys, load_or_create_identity
from kit.settings import Settings, load_settings, settings_as_toml
from sync.core.sqlite_store import SqliteCoreStore, store_file


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
        return SqliteCoreStore(store_file(self.home, self.settings.core), self.identity)


def prepare_core(home: Home) -> Core:
    """Make in a home what a core needs and does not have yet; nothing that is there is changed.

    Raises:
        KitError: the home cannot be written, or it is a kit's.
        SettingsError: its kit.toml cannot be used.
    """
    home.prepare()
    if home.database.exists():
        raise KitError(f"{home.path} is the home of a kit; give the core a home of its own with --home DIR")
    if not home.settings_file.exists():
        home.settings_file.write_text(settings_as_toml(), encoding="utf-8")
    load_or_create_curve_keys(home)
    core = Core(home, load_settings(home.settings_file), open_clock(home.clock_file), _identity(home))
    with core.open_store():
        return core


def open_core(home: Home) -> Core:
    """An existing core.

    Raises:
        KitError: there is none in that home.
    """
    if not (home.keys / "unit.json").exists() or home.database.exists():
        raise KitError(f"{home.path} is no core's home; make one with: kit core init --home DIR")
    return Core(home, load_settings(home.settings_file), open_clock(home.clock_file), _identity(home))


def _identity(home: Home) -> Identity:
    return load_or_create_identity(home, role="core")
