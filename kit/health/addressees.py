"""Whom records of this kit are for: the core, and the villages that it has told of, by the names that it gives them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass

from kit.home import Home
from kit.model.villages import Village
from kit.store.villages import villages
from sync.join import read_membership


@dataclass(frozen=True)
class Directory:
    """The core and the other villages.

    Attributes:
        core: unit id of the city core; "" where the kit has joined none.
        others: the other villages, by name.
    """

    core: str
    others: tuple[Village, ...]

    def label(self, unit: str) -> str:
        """The village's name, with its id where another has the same name; "" for one that the core does not name."""
        names = Counter(each.name.casefold() for each in self.others)
        for each in self.others:
            if each.unit == unit:
                return each.name if names[each.name.casefold()] == 1 else f"{each.name} ({unit})"
        return ""

    def whom(self, addressee: str) -> str:
        """Whom a record is for, as a technician reads it: a village's name, `the core`, or a unit that is not known."""
        return "the core" if addressee in ("", self.core) else self.label(addressee) or addressee


def read_directory(connection: sqlite3.Connection, home: Home, *, unit: str) -> Directory:
    """As the core last told it.

    Args:
        connection: to the kit's store.
        home: the kit's: which core it belongs to.
        unit: this kit's id; nobody writes to their own village.

    Raises:
        KitError: `keys/core.json` is damaged.
    """
    membership = read_membership(home)
    if membership is None:
        return Directory("", ())
    core = membership.invite.core
    return Directory(core, tuple(each for each in villages(connection, core) if each.unit != unit))
