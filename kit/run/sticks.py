"""A labelled stick is plugged in: its bundles are taken and ours are put on it, without anybody typing.

Whoever plugs it in sees in `kit status`, in the terminal and on the technician's page when it may be pulled out again.
The work is `sync.bundles`'s; pulling the stick out in the middle of it is harmless.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hardware.ports import PluggedStick, StickWatcher
from kit.clock import Clock
from kit.errors import KitError
from kit.run import adapters
from kit.run.bundles import core_exchange, kit_exchange, note_welcome
from kit.run.schema import open_unit_store
from kit.store.database import Database
from kit.store.links import LinkRow, put_link
from kit.store.records import storing
from sync.bundles.exchange import LINK, Exchange, Exported, Imported
from sync.bundles.shelf import Stick
from sync.links.port import LinkState
from sync.protocol.records import CannotStoreNow

if TYPE_CHECKING:
    from kit.run.unit_process import UnitProcess
    from sync.core.setup import Core

LOOK_S = 2.0
"""Real seconds between two looks whether a stick was plugged in."""

AGAIN_S = 600.0
"""Kit seconds after which a stick that is still there is filled up with what was written meanwhile."""

LOG = logging.getLogger("sticks")


@dataclass
class _Handled:
    serial: str
    at_s: float
    sentence: str
    fault: str = ""


class StickService:
    """Waits for sticks.

    Args:
        watcher: knows which are plugged in.
        exchange: opens what deals with one; may raise `KitError`.
        told: the store in which links are told, of this thread.
        clock: kit time.
        taken: what to do with what was taken (a kit may have been welcomed).
        label: for people.
    """

    def __init__(
        self,
        *,
        watcher: StickWatcher,
        exchange: Callable[[], AbstractContextManager[Exchange]],
        told: Database,
        clock: Clock,
        taken: Callable[[Imported], object] = lambda _: None,
        label: str = "VILLAGE-KIT",
    ) -> None:
        self._watcher, self._exchange, self._told, self._clock = watcher, exchange, told, clock
        self._taken, self._label = taken, label
        self._handled: dict[str, _Handled] = {}
        self._shown = ("", "", "")
        self._ever = False

    def run(self, stop: threading.Event) -> None:
        """Look every two seconds until `stop`."""
        while not stop.wait(LOOK_S):
            self.look()

    def look(self) -> None:
        """Deal with every stick that is plugged in and was not dealt with yet."""
        there = list(self._watcher.sticks())
        self._handled = {key: done for key, done in self._handled.items() if key in {_key(each) for each in there}}
        for stick in there:
            done = self._handled.get(_key(stick))
            if done is None or self._clock.monotonic() - done.at_s >= AGAIN_S:
                self._handled[_key(stick)] = self._deal_with(stick)
        self._ever = self._ever or bool(there)
        if not self._ever:
            return  # a kit that never saw a stick need not speak of one
        if not there:
            self._show(LinkState.DOWN, f"no stick labelled {self._label} is plugged in")
        for done in self._handled.values():
            self._show(LinkState.DOWN if done.fault else LinkState.UP, done.sentence, fault=done.fault)

    def _deal_with(self, stick: PluggedStick) -> _Handled:
        now_s = self._clock.monotonic()
        if stick.path is None:
            return _Handled(stick.serial, now_s, stick.trouble, stick.trouble)
        self._show(LinkState.BUSY, f"working on the stick {stick.label}; do not pull it out yet")
        try:
            with self._exchange() as exchange:
                imported = exchange.take_from(Stick(stick.path))
                self._taken(imported)
            with self._exchange() as exchange:  # anew: a kit that was just welcomed puts its records on it at once
                exported = exchange.put_on(Stick(stick.path))
        except (KitError, CannotStoreNow) as error:
            trouble = stick.trouble or str(error)
            LOG.warning("%s", trouble)
            return _Handled(stick.serial, now_s, trouble, trouble)
        sentence = stick_words(stick.label, imported, exported)
        LOG.info("%s", sentence)
        now_ms = int(self._clock.now() * 1000)
        self._show(LinkState.UP, sentence, heard_ms=now_ms if imported.bundles else None, sent_ms=now_ms)
        return _Handled(stick.serial, now_s, sentence, exported.trouble and (stick.trouble or exported.trouble))

    def _show(
        self,
        state: LinkState,
        sentence: str,
        *,
        fault: str = "",
        heard_ms: int | None = None,
        sent_ms: int | None = None,
    ) -> None:
        shown = (state.value, sentence, fault)
        if shown == self._shown and heard_ms is None:
            return
        row = LinkRow(
            name=LINK,
            state=state.value,
            explain=sentence,
            lowest_priority=5,
            last_heard_ms=heard_ms,
            last_sent_ms=sent_ms,
            airtime_left_ms=None,
            updated_ms=int(self._clock.now() * 1000),
            fault=fault,
        )
        with suppress(CannotStoreNow), storing(), self._told.atomic() as connection:
            put_link(connection, row)
            self._shown = shown


def unit_sticks(unit: UnitProcess, stop: threading.Event) -> None:
    """Serve the sticks of a kit until `stop`."""
    watcher = adapters.sticks(unit.home, unit.settings.sticks)
    if watcher is None:
        stop.wait()
        return
    with open_unit_store(unit.home) as told:
        StickService(
            watcher=watcher,
            exchange=lambda: kit_exchange(
                unit.home, unit.clock, name=unit.settings.unit.name, carry=unit.settings.sync.carry_for_others
            ),
            told=told,
            clock=unit.clock,
            taken=lambda imported: note_welcome(unit.home, imported),
            label=unit.settings.sticks.label,
        ).run(stop)


def core_sticks(core: Core, told: Database, stop: threading.Event) -> None:
    """Serve the sticks of a core until `stop`; `told` belongs to this thread."""
    watcher = adapters.sticks(core.home, core.settings.sticks)
    if watcher is None:
        stop.wait()
        return
    with told:
        StickService(
            watcher=watcher,
            exchange=lambda: core_exchange(core),
            told=told,
            clock=core.clock,
            label=core.settings.sticks.label,
        ).run(stop)


def stick_words(label: str, imported: Imported, exported: Exported) -> str:
    """What became of a stick, in one sentence."""
    parts = [f"{exported.records + exported.already} records are on the stick {label}"]
    if imported.records:
        parts.append(f"{imported.records} were taken from it")
    if imported.accepted:
        parts.append(f"{imported.accepted} of ours have arrived")
    if imported.unlike:
        parts.append(f"{imported.unlike} of ours stay, because others are held under their names (a copied SD card?)")
    if imported.damaged:
        parts.append(f"{len(imported.damaged)} files on it were not used")
    if exported.trouble:
        return f"{', '.join(parts)}; stopped before the end: {exported.trouble}"
    return f"{', '.join(parts)}; it may be pulled out now"


def _key(stick: PluggedStick) -> str:
    return f"{stick.label}:{stick.serial}:{stick.path}"
