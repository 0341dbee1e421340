"""What is due to a command, and that silence is safe; pure."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.simulated.actuator import ActuatorCore
from kit.collect.actuation.speech import Actuator, answers_on, is_ack_topic, listen, tell
from kit.model.commands import (
    ANSWER_WITHIN_S,
    LEASE_S,
    RETRY_S,
    SHORTEST_S,
    Ack,
    Command,
    CommandState,
    Send,
    end,
    hear,
    step,
)

VALVE = Actuator("valve", "native", "valve")


def _open(for_s: float = 600.0) -> Command:
    return Command(id="c1", device="valve", output="", on=True, for_s=for_s, asked_s=0.0)


def _ack(*, on: bool | None, error: str = "", identifier: str = "c1") -> Ack:
    return Ack("valve", identifier, "", on, error)


def test_it_is_asked_again_until_the_device_answers_and_then_given_up() -> None:
    command, sent = _open(), []
    for second in range(60):
        command, send = step(command, float(second))
        if send is not None:
            sent.append(second)
    assert sent == list(range(0, int(ANSWER_WITHIN_S), int(RETRY_S)))
    assert command.state is CommandState.EXPIRED


def test_nothing_counts_but_the_devices_own_word() -> None:
    command, send = step(_open(), 0.0)
    assert send is not None
    assert command.state is CommandState.ASKED
    assert hear(command, _ack(on=False), 1.0).state is CommandState.ASKED
    assert hear(command, _ack(on=True), 1.0).state is CommandState.HELD
    refused = hear(command, _ack(on=None, error="no water"), 1.0)
    assert (refused.state, refused.why) == (CommandState.FAILED, "the device refused: no water")


def test_when_its_time_is_over_the_device_is_told_and_its_word_ends_it() -> None:
    command = hear(step(_open(60.0), 0.0)[0], _ack(on=True), 1.0)
    command, send = step(command, 61.1)
    assert send is not None
    assert not send.on
    assert hear(command, _ack(on=False), 62.0).state is CommandState.ENDED


def test_a_device_whose_last_lease_runs_out_before_the_kit_tells_it_has_done_as_it_was_told() -> None:
    command = hear(step(_open(25.0), 0.0)[0], _ack(on=True), 3.0)
    command = hear(command, _ack(on=False, error="its lease ran out"), 25.1)  # counted from 0, not from its answer
    assert (command.state, command.why) == (CommandState.ENDED, "its time is over; the device is off")
    command = hear(step(_open(25.0), 0.0)[0], _ack(on=True), 3.0)
    command = hear(command, _ack(on=False, error="somebody pressed its button"), 20.0)
    assert command.state is CommandState.FAILED


def test_the_last_lease_is_never_so_short_that_a_device_would_take_it_for_none() -> None:
    command = hear(step(_open(20.0), 0.0)[0], _ack(on=True), 0.0)
    command, send = step(command, math.nextafter(20.0, 0.0))
    assert send is not None
    assert (send.on, send.lease_s) == (True, SHORTEST_S)
    assert step(command, 20.1)[1] == replace(send, command=step(command, 20.1)[0], on=False, lease_s=0.0)
    _, send = step(_open(0.0001), 0.0)
    assert send is not None
    assert send.lease_s == SHORTEST_S


def test_a_device_that_falls_silent_is_not_said_to_be_on() -> None:
    command = hear(step(_open(), 0.0)[0], _ack(on=True), 1.0)
    command, _ = step(command, 1.0 + LEASE_S + RETRY_S + 0.1)
    assert command.state is CommandState.FAILED
    assert "safe state" in command.why


def test_withdrawn_before_it_was_sent_nothing_is_sent() -> None:
    assert end(_open(), "no").state is CommandState.ENDED
    assert end(replace(_open(), sent_s=1.0), "no").state is CommandState.RELEASING


@given(
    for_s=st.floats(20.0, 300.0),
    lost=st.lists(st.booleans(), min_size=400, max_size=400),
    dies_at=st.floats(0.0, 400.0),
    restarts=st.sets(st.integers(0, 400), max_size=3),
)
def test_whatever_is_lost_and_whoever_dies_the_valve_is_closed_in_time_and_never_claimed_open_in_vain(
    for_s: float, lost: list[bool], dies_at: float, restarts: set[int]
) -> None:
    """One second a step; `lost` says whether what is sent in that second arrives, either way."""
    command, device = _open(for_s), ActuatorCore()
    kit_alive_until, opened = dies_at, False
    for second in range(400):
        now_s = float(second)
        if second in restarts:
            device = ActuatorCore()
        acks = device.tick(now_s)
        if now_s < dies_at:
            command, send = step(command, now_s)
            if send is not None and not lost[second]:
                told = device.told(tell(VALVE, send)[0][1], now_s)
                acks += [told] if told is not None else []
            for ack in acks:
                if not lost[second]:
                    command = hear(command, _ack(on=ack["state"] == "on", error=ack.get("error", "")), now_s)
        opened = opened or device.on.get("", False)
        if command.state is CommandState.HELD and command.acked_s == now_s:
            assert opened
        if now_s >= kit_alive_until + LEASE_S:
            assert not device.on.get("")
    assert not device.on.get("")
    if dies_at >= 400:
        assert command.over
        assert command.acked_s is None or opened


@pytest.mark.parametrize(
    ("kind", "base", "output", "wanted"),
    [
        (
            "native",
            "",
            "left",
            (
                "commands/valve/set",
                b'{"id": "c1", "output": "left", "state": "on", "lease_s": 30.0, "answer_within_s": 20.0}',
            ),
        ),
        ("tasmota", "tasmota_1", "", ("cmnd/tasmota_1/Backlog", b"PulseTime1 130; POWER ON")),
        ("tasmota", "tasmota_1", "2", ("cmnd/tasmota_1/Backlog", b"PulseTime2 130; POWER2 ON")),
        (
            "shelly",
            "shellyplus1",
            "1",
            (
                "shellyplus1/rpc",
                (
                    b'{"id": "c1.on", "src": "shellyplus1/ack", "method": "Switch.Set", '
                    b'"params": {"id": 1, "on": true, "toggle_after": 30.0}}'
                ),
            ),
        ),
    ],
)
def test_each_kind_is_told_in_its_own_words_with_its_own_timer_as_the_lease(
    kind: str, base: str, output: str, wanted: tuple[str, bytes]
) -> None:
    send = Send(replace(_open(), output=output), on=True, lease_s=30.0, answer_within_s=20.0)
    assert tell(Actuator("valve", kind, base), send) == [wanted]


def test_each_kind_is_understood() -> None:
    tasmota, shelly = Actuator("r", "tasmota", "t"), Actuator("s", "shelly", "sh")
    assert listen(tasmota, b'{"POWER":"ON"}') == [Ack("r", "", "", on=True)]
    assert listen(tasmota, b'{"POWER2":"OFF"}') == [Ack("r", "", "2", on=False)]
    assert listen(tasmota, b'{"PulseTime1":{"Set":130,"Remaining":30}}') == []
    assert listen(shelly, b'{"id":"c1.on","src":"sh","result":{"was_on":false}}') == [Ack("s", "c1", "", on=True)]
    assert listen(shelly, b'{"id":"c1.off","result":{"was_on":true}}') == [Ack("s", "c1", "", on=False)]
    bad = listen(shelly, b'{"id":"c1.on","error":{"code":-105,"message":"Argument id 7 not found"}}')
    assert bad == [Ack("s", "c1", "", None, "Argument id 7 not found")]
    assert answers_on(VALVE) == ["sensors/valve/ack"]
    assert is_ack_topic("sensors/valve/ack")
    assert not is_ack_topic("sensors/valve/ack/soil")


@given(
    payload=st.binary(max_size=300) | st.text().map(str.encode), kind=st.sampled_from(["native", "tasmota", "shelly"])
)
def test_no_bytes_of_a_device_break_anything(payload: bytes, kind: str) -> None:
    listen(Actuator("d", kind, "d"), payload)
    ActuatorCore().told(payload, 0.0)
