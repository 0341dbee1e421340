"""An acknowledgement that is lost costs a whole message: it is said twice where something was lost, and only there."""

from __future__ import annotations

from typing import Any

import pytest

from sync.protocol.acks import Owed
from sync.protocol.path import radio_patience

PATIENCE = radio_patience(0.2)
GREETED_S = 120.0


def frame_comes(owed: Owed, counter: int, *, more: bool = False) -> None:
    owed.note(float(counter), priority=2, more=more)
    owed.take(counter, uncommitted=set())


def times_said(owed: Owed) -> int:
    """How often it is due at once until nothing is owed."""
    said = 0
    while owed.due_at(PATIENCE) is not None:
        owed.told((), ())
        said += 1
        assert said < 10
    return said


def test_over_a_good_air_an_acknowledgement_is_said_once() -> None:
    owed = Owed()
    for counter in (5, 6, 7):
        frame_comes(owed, counter)
        assert times_said(owed) == 1


def test_after_a_frame_that_was_missed_it_is_said_twice_and_then_once_again() -> None:
    owed = Owed()
    frame_comes(owed, 5)
    assert times_said(owed) == 1
    frame_comes(owed, 7)
    assert times_said(owed) == 2
    frame_comes(owed, 8)
    assert times_said(owed) == 1


def test_a_frame_that_comes_late_is_not_one_that_was_missed() -> None:
    owed = Owed()
    for counter in (5, 7, 6):
        owed.take(counter, uncommitted=set())
    owed.doubted = False
    frame_comes(owed, 8)
    assert times_said(owed) == 1


def test_what_need_not_be_answered_at_once_is_not_answered_twice() -> None:
    owed = Owed()
    frame_comes(owed, 5)
    owed.told((), ())
    frame_comes(owed, 9, more=True)
    assert times_said(owed) == 1


@pytest.mark.parametrize("priority", [0, 2])
def test_a_message_that_comes_again_is_acknowledged_twice_because_the_first_word_was_lost(
    make_world: Any, priority: int
) -> None:
    world = make_world()
    world.live(GREETED_S)
    sent = world.air.log
    world.kit.write("message", priority=priority, body=b"water is short")
    answer = len(sent) + 1  # the message is the next frame on the air, its acknowledgement the one after
    world.air.faults.eaten = {answer}
    world.live(600.0, until=lambda: world.kit.waiting == 0)
    world.live(60.0)
    assert [("core" if "core" in who else "kit") for _, who, _, _ in sent[answer - 1 :]] == [
        "kit", "core", "kit", "core", "core",
    ]  # fmt: skip
    assert len(world.core.taken) == 1


def test_the_first_repeat_is_still_short_and_the_second_can_be_opened_by_a_new_life(make_world: Any) -> None:
    world = make_world()
    world.live(GREETED_S)
    world.kit.write("message", priority=2, body=b"good morning")
    world.live(600.0, until=lambda: world.kit.waiting == 0)
    world.live(GREETED_S)
    world.air.faults.loss = 1.0
    before = len(world.air.log)
    world.kit.write("message", priority=2, body=b"water is short")
    world.live(600.0, until=lambda: len(world.air.log) >= before + 3)
    assert [frame[0] & 0x07 for *_, frame in world.air.log[before : before + 3]] == [6, 6, 2]
