"""Under which keys the sync service speaks, and when it changes them: `sync.rotation` in a running kit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kit.clock import Clock
from kit.errors import KitError
from kit.home import Home
from kit.identity import write_secret
from kit.store.database import Database
from sync import rotation
from sync.links.port import LinkState
from sync.protocol.records import CannotStoreNow
from sync.rotation import KeysInUse, Stage, Write, keys_in_use
from sync.turns import QUICK_TURN_S, RADIO_TURN_S, Turn

if TYPE_CHECKING:
    from sync.engine import LinkReport

RADIO = "lora"

LOG = logging.getLogger("sync")


@dataclass
class Rotating:
    """A kit's keys over the runs of its engine.

    Attributes:
        home: the kit's.
        clock: kit time.
        radio_turn_s: see `sync.turns`.
        quick_turn_s: see there, too.
        write: how a file is written.
        silent_in: the stage in which the core was silent under the pair in use, so that the other one is tried.
    """

    home: Home
    clock: Clock
    radio_turn_s: float = RADIO_TURN_S
    quick_turn_s: float = QUICK_TURN_S
    write: Write = write_secret
    silent_in: Stage | None = None

    def keys(self) -> KeysInUse:
        """Under which keys to speak now."""
        keys = keys_in_use(self.home, silent_in=self.silent_in, write=self.write)
        if keys.stage is not self.silent_in:
            self.silent_in = None
        return keys

    @property
    def under_way(self) -> bool:
        """Whether there is a rotation, or what was left of one."""
        return (self.home.keys / rotation.FILE).exists()

    def now_ms(self) -> int:
        """Unix ms by the kit's clock."""
        return int(self.clock.now() * 1000)


class KeyTurn:
    """One run of the engine under one pair of keys (`sync.engine.rekeying.TwoPairs`).

    Its methods may be called from the engine's thread and from the one that watches.

    Args:
        rotating: the kit's keys.
        core: the core's unit id.
        enrolled: whether the core has welcomed us; before that nothing is told.
    """

    def __init__(self, rotating: Rotating, *, core: str, enrolled: bool) -> None:
        self._rotating, self._core, self._enrolled = rotating, core, enrolled
        self.keys = rotating.keys()
        self._turn = Turn(rotating.clock.monotonic(), radio_s=rotating.radio_turn_s, quick_s=rotating.quick_turn_s)
        self._believed, self._warned = False, ""

    @property
    def other_private(self) -> bytes:
        """Of the pair that is not in use."""
        return self.keys.other

    def heard(self) -> None:
        """The core has answered under the keys in use."""
        self._turn.heard_at = self._rotating.clock.monotonic()
        self._believe()

    def _believe(self) -> None:
        """Let what follows from the core's answer be written down, once."""
        rotating = self._rotating
        if self._believed or self._turn.heard_at is None:
            return
        try:
            public = self.keys.identity.exchange_public
            rotation.heard(rotating.home, public, now_ms=rotating.now_ms(), write=rotating.write)
        except KitError as error:
            self._warn(error)
            return
        self._believed = True

    def _warn(self, error: Exception) -> None:
        """Say it once: a full disk lasts, and is looked at twice a second."""
        if str(error) != self._warned:
            LOG.warning("the keys cannot be renewed now; it is tried again: %s", error)
        self._warned = str(error)

    def overheard(self) -> None:
        """A frame for the other pair came."""
        self._turn.overheard(self._rotating.clock.monotonic())

    def note_links(self, reports: Sequence[LinkReport]) -> None:
        """How the links stand."""
        self._turn.quick |= any(each.state is LinkState.UP and each.name != RADIO for each in reports)

    def is_over(self, open_store: Callable[[], Database]) -> bool:
        """Do the next step of a rotation if it is time to; whether the engine must be set up under other keys.

        Args:
            open_store: gives a store of the calling thread's.
        """
        rotating = self._rotating
        if not (rotating.under_way or self.keys.other):
            return False
        self._believe()
        try:
            if rotating.under_way and self._enrolled:
                rotation.advance(
                    rotating.home, open_store(), core=self._core, now_ms=rotating.now_ms(), write=rotating.write
                )
            now = rotating.keys()
        except (KitError, CannotStoreNow) as error:
            self._warn(error)
            return False
        if now.identity != self.keys.identity or (now.other and not self.keys.other):
            begun = now.identity == self.keys.identity
            LOG.info("new keys are on their way to the city core" if begun else "the other pair of keys is used now")
            return True
        if not now.other or not self._turn.is_over(rotating.clock.monotonic()):
            return False
        rotating.silent_in = None if rotating.silent_in is now.stage else now.stage
        LOG.info("the city core is silent under the keys in use; the other pair is tried")
        return True
