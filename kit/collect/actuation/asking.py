"""Asking an actuator for something and waiting for its word; and the siren on the network, which is one."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from hardware.ports import HardwareError
from kit.clock import Clock
from kit.errors import UsageError
from kit.model.commands import ANSWER_WITHIN_S, LONGEST_S, CommandState
from kit.store import commands as ledger
from kit.store.commands import LedgerRow
from kit.store.database import Database
from kit.store.devices import list_devices

LOOK_S = 0.1
"""Real seconds between two looks at the ledger."""

SIREN = ""
"""The output of a siren: a device that is nothing else."""


def ask_for(database: Database, clock: Clock, *, device: str, output: str = "", on: bool, for_s: float, by: str) -> str:
    """Write the command down; the collect process sends it. Returns its id.

    Raises:
        UsageError: there is no such device, or the time is too long.
    """
    names = [each.name for each in list_devices(database.connection)]
    if device not in names:
        near = difflib.get_close_matches(device, names, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else "`kit device list` shows which there are"
        raise UsageError(f"there is no device named '{device}'; {hint}")
    if not 0 < for_s <= LONGEST_S:
        raise UsageError(
            f"{for_s:g} s is not possible; a state is held for at most {LONGEST_S / 3600:g} hours at a time"
        )
    with database.atomic() as connection:
        return ledger.ask(
            connection,
            device=device,
            output=output,
            on=on,
            for_s=for_s,
            by=by,
            boot=clock.boot,
            now_s=clock.monotonic(),
            now_ms=int(clock.now() * 1000),
        )


def wait_for_word(database: Database, identifier: str, *, real_s: float, pause: Callable[[float], object]) -> LedgerRow:
    """The command once the device has said something about it, or as it stands after that many real seconds."""
    for _ in range(max(1, round(real_s / LOOK_S))):
        row = ledger.find(database.connection, identifier)
        if row is not None and row.command.state is not CommandState.ASKED:
            return row
        pause(LOOK_S)
    row = ledger.find(database.connection, identifier)
    assert row is not None
    return row


class MqttSiren:
    """A siren that is a device on the broker: `hardware.ports.Siren`.

    `sound` returns only when the siren itself has said that it sounds.

    Args:
        name: the device.
        clock: kit time.
        open_database: a connection for one question.
        pause: sleeps that many real seconds.
        patience_s: real seconds to wait for its word.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        open_database: Callable[[], Database],
        pause: Callable[[float], object],
        patience_s: float = 8.0,
    ) -> None:
        self._name, self._clock = name, clock
        self._open, self._pause, self._patience_s = open_database, pause, patience_s

    def sound(self, seconds: float) -> None:
        """Have it sound for that long; extends a sounding."""
        row = self._tell(on=True, for_s=seconds)
        if row.command.state is CommandState.HELD:
            return
        if row.command.state is CommandState.ASKED:
            with self._open() as database, database.atomic() as connection:
                ledger.withdraw(connection, row.command.id)
            raise HardwareError(
                f"the siren '{self._name}' has not acknowledged within {self._patience_s:g} s; "
                f"check its power and its Wi-Fi, and see: kit actuator ls"
            )
        raise HardwareError(f"the siren '{self._name}' does not sound: {row.command.why}; see: kit actuator ls")

    def silence(self) -> None:
        """Stop it; without its word it stops when its lease runs out."""
        self._tell(on=False, for_s=ANSWER_WITHIN_S)

    @property
    def sounding(self) -> bool:
        """Whether it has acknowledged and its time is not over."""
        with self._open() as database:
            return any(
                row.command.device == self._name and row.command.on and row.command.state is CommandState.HELD
                for row in ledger.live(database.connection)
            )

    def _tell(self, *, on: bool, for_s: float) -> LedgerRow:
        with self._open() as database:
            try:
                identifier = ask_for(
                    database, self._clock, device=self._name, output=SIREN, on=on, for_s=for_s, by="siren"
                )
            except UsageError as error:
                raise HardwareError(f"{error}; check [siren] driver in kit.toml") from error
            return wait_for_word(database, identifier, real_s=self._patience_s, pause=self._pause)
