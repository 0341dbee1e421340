"""Commands to actuators and how far each has come; pure.

Invariants. *Safe by silence*: an actuator holds what it was told only for a short lease, which the kit renews while it
lives; a kit that is dead, cut off or restarted elsewhere means the safe state (off) within one lease, without anybody's
help. *Nothing happened unless the device said so*: a command is asked until its device has acknowledged it; no
publish, however well delivered, counts.

Times are kit seconds since boot: a wrong wall clock neither opens nor closes a valve.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

RETRY_S = 2.0
"""Between two tries while the device is silent."""

ANSWER_WITHIN_S = 20.0
"""A device that has not acknowledged by then has not done it; it is told no more, and never acts on it later."""

LEASE_S = 30.0
"""How long a device holds a state without hearing from the kit, and so how long after the kit's death it is safe."""

RENEWALS_PER_LEASE = 3
"""Two may be lost."""

SHORTEST_S = 1.0
"""No device is told a shorter lease: rounded to nothing, one refuses it, and another's timer never runs out."""

EARLY_S = 1.0
"""A device's own timer may run so much fast over a lease (3 %): off so shortly before the end is no failure."""

LONGEST_S = 12 * 3600.0
"""Nothing in a village is left open longer without somebody asking again."""


class CommandState(StrEnum):
    """How far a command has come."""

    ASKED = "asked"
    HELD = "acknowledged"
    RELEASING = "ending"
    ENDED = "ended"
    EXPIRED = "expired"
    FAILED = "failed"


OVER = frozenset({CommandState.ENDED, CommandState.EXPIRED, CommandState.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command.

    Attributes:
        output: which of the device's outputs: "" = its only one.
        on: the wanted state; off is the safe one.
        for_s: how long to hold it, from the acknowledgement on.
        asked_s: when it was asked for.
        acked_s: when the device first acknowledged it.
        sent_s: when it was last sent.
        heard_s: when the device last acknowledged anything about it.
        why: what to tell the technician.
    """

    id: str
    device: str
    output: str
    on: bool
    for_s: float
    asked_s: float
    state: CommandState = CommandState.ASKED
    acked_s: float | None = None
    sent_s: float | None = None
    heard_s: float | None = None
    why: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in OVER


@dataclass(frozen=True, slots=True)
class Ack:
    """What a device said about a command.

    Attributes:
        id: the command's; "" where the device cannot say (a relay's own dialect): then it is about the latest one.
        on: the output's state now; None if it was refused.
        error: why it was refused.
    """

    device: str
    id: str
    output: str
    on: bool | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Send:
    """Tell a device.

    Attributes:
        on: the state.
        lease_s: hold it so long at most; 0 for off.
        answer_within_s: a device that gets this later does nothing.
    """

    command: Command
    on: bool
    lease_s: float
    answer_within_s: float


def step(
    command: Command, now_s: float, *, lease_s: float = LEASE_S, retry_s: float = RETRY_S
) -> tuple[Command, Send | None]:
    """What is due now."""
    if command.state is CommandState.ASKED:
        return _ask(command, now_s, lease_s, retry_s)
    if command.state is CommandState.HELD:
        return _hold(command, now_s, lease_s, retry_s)
    if command.state is CommandState.RELEASING:
        if now_s - (command.heard_s or command.asked_s) > lease_s + retry_s:
            why = f"{command.why}; the device did not say that it is off, but its lease has run out"
            return replace(command, state=CommandState.ENDED, why=why), None
        return _send(command, now_s, on=False, lease_s=0.0, every_s=retry_s)
    return command, None


def hear(command: Command, ack: Ack, now_s: float) -> Command:
    """What the device's word makes of the command."""
    if command.over:
        return command
    if ack.on is None:
        return replace(
            command, state=CommandState.FAILED, why=f"the device refused: {ack.error or 'it gave no reason'}"
        )
    command = replace(command, heard_s=now_s)
    if command.state is CommandState.ASKED:
        return _hear_first(command, ack, now_s)
    return command if ack.on else _hear_off(command, ack, now_s)


def _hear_off(command: Command, ack: Ack, now_s: float) -> Command:
    if command.state is CommandState.RELEASING:
        return replace(command, state=CommandState.ENDED, why=f"{command.why}; the device is off")
    # the last lease ends with the command's time, which a device counts from when it was told, not from its answer: it
    # may be off before a kit that is busy tells it to
    if now_s >= command.asked_s + command.for_s - EARLY_S:
        return replace(command, state=CommandState.ENDED, why="its time is over; the device is off")
    why = f"the device went off by itself ({ack.error or 'somebody switched it, or it restarted'})"
    return replace(command, state=CommandState.FAILED, why=why)


def _hear_first(command: Command, ack: Ack, now_s: float) -> Command:
    if ack.on is not command.on:
        return command  # an old word
    if not command.on:
        return replace(command, state=CommandState.ENDED, acked_s=now_s, why="the device is off")
    return replace(command, state=CommandState.HELD, acked_s=now_s)


def end(command: Command, why: str) -> Command:
    """End it before its time: the device is told to be off."""
    if command.over:
        return command
    if command.state is CommandState.ASKED and command.sent_s is None:
        return replace(command, state=CommandState.ENDED, why=why)
    return replace(command, state=CommandState.RELEASING, sent_s=None, why=why)


def _ask(command: Command, now_s: float, lease_s: float, retry_s: float) -> tuple[Command, Send | None]:
    left_s = command.asked_s + max(ANSWER_WITHIN_S, 3 * retry_s) - now_s
    if left_s <= 0:
        why = "the device did not acknowledge it in time"
        return replace(command, state=CommandState.EXPIRED, why=why), None
    lease = min(lease_s, command.for_s) if command.on else 0.0
    return _send(command, now_s, on=command.on, lease_s=lease, every_s=retry_s, answer_within_s=left_s)


def _hold(command: Command, now_s: float, lease_s: float, retry_s: float) -> tuple[Command, Send | None]:
    assert command.acked_s is not None
    left_s = command.acked_s + command.for_s - now_s
    if left_s <= 0:
        ending = replace(command, state=CommandState.RELEASING, sent_s=None, why="its time is over")
        return _send(ending, now_s, on=False, lease_s=0.0, every_s=retry_s)
    if now_s - (command.heard_s or command.acked_s) > lease_s + retry_s:
        why = "the device fell silent; it is in its safe state, for its lease has run out"
        return replace(command, state=CommandState.FAILED, why=why), None
    return _send(command, now_s, on=True, lease_s=min(lease_s, left_s), every_s=lease_s / RENEWALS_PER_LEASE)


def _send(
    command: Command,
    now_s: float,
    *,
    on: bool,
    lease_s: float,
    every_s: float,
    answer_within_s: float = ANSWER_WITHIN_S,
) -> tuple[Command, Send | None]:
    if command.sent_s is not None and now_s - command.sent_s < every_s:
        return command, None
    sent = replace(command, sent_s=now_s)
    return sent, Send(sent, on, max(lease_s, SHORTEST_S) if on else 0.0, answer_within_s)
