"""Joining: hello until welcome, over a bad radio, once."""

from __future__ import annotations

from typing import Any

import pytest

from sync.protocol.enrolment import Invite
from sync.protocol.peers import RefusalReason, SinglePeerBook
from sync.protocol.sealing import Counters

HOUR_S = 3600.0


def joining(world: Any, invite: Invite, side: Any = None) -> Any:
    """Start that unit with the invite."""
    side = side or world.kit
    side.invite = Invite.decode(invite.encode())
    side.peers = SinglePeerBook(side.invite.peer, pending=True)
    side.start()
    return side


@pytest.fixture
def world(make_world: Any) -> Any:
    """Nobody knows anybody yet."""
    made = make_world(joined=False)
    made.core.start()
    return made


@pytest.mark.parametrize("loss", [0.0, 0.5])
def test_a_kit_joins_over_the_radio_and_its_records_follow(world: Any, loss: float) -> None:
    world.air.faults.loss = loss
    joining(world, world.invite())
    world.kit.write(body=b"first words")
    world.live(2 * HOUR_S, until=lambda: world.kit.waiting == 0)
    assert world.core.taken == [(1, b"first words")]
    assert [peer.unit for peer in world.core.peers.all()] == ["kit-orchard"]
    assert world.kit.engine.enrolled


def test_no_record_leaves_before_the_core_has_welcomed_the_kit(world: Any) -> None:
    world.air.faults.loss = 1.0
    joining(world, world.invite())
    world.kit.write("alert", priority=0)
    world.live(2 * HOUR_S, step_s=1.0)
    assert len({frame for *_, frame in world.air.log}) == 1  # only the same hello, again and again
    assert 5 <= len(world.air.log) <= 20
    world.live(120)
    assert "waiting for the city core to welcome" in world.kit.reports[0].explain


def test_a_kit_that_dies_before_it_reads_the_welcome_is_welcomed_again(world: Any) -> None:
    invite = world.invite()
    joining(world, invite)
    world.live(2 * HOUR_S, until=lambda: world.kit.engine.enrolled)
    joining(world, invite)  # its enrolment was not on the disk yet
    assert not world.kit.engine.enrolled
    world.kit.write()
    world.live(HOUR_S, until=lambda: world.kit.waiting == 0)
    assert len(world.core.taken) == 1


def test_an_expired_invite_is_refused_with_the_reason(world: Any) -> None:
    joining(world, world.invite(lasts_s=-1))
    world.live(300)
    assert world.kit.engine.refused is RefusalReason.EXPIRED
    assert "has expired; ask the city core for a new one" in world.kit.reports[0].explain
    assert world.core.peers.all() == ()


def test_an_invite_lets_in_one_kit_and_the_second_is_told_so(world: Any, tmp_path: Any) -> None:
    invite = world.invite()
    joining(world, invite)
    world.live(300, until=lambda: world.kit.engine.enrolled)
    other = type(world.kit)("kit-other", tmp_path, world, 9)
    world.lora(other)
    world.sides.append(other)
    joining(world, invite, other)
    world.live(300)
    assert other.engine.refused is RefusalReason.USED
    assert world.kit.engine.enrolled
    assert [peer.unit for peer in world.core.peers.all()] == ["kit-orchard"]
    world.kit.write()
    world.live(300, until=lambda: world.kit.waiting == 0)
    assert len(world.core.taken) == 1


def test_who_made_up_a_token_is_not_answered_at_all(world: Any) -> None:
    invite = world.invite()
    joining(world, Invite(**(vars(invite) | {"token": bytes(16)})))
    world.live(600)
    assert not any("core" in who for _, who, *_ in world.air.log)
    assert dict(world.core.engine._links[0].dropped)["forged"] >= 2
    assert not world.kit.engine.enrolled


def test_a_refusal_that_was_forged_by_somebody_else_is_not_believed(world: Any) -> None:
    from sync.protocol import keys
    from sync.protocol.refusal import sealed_refusal

    joining(world, world.invite())
    stranger = keys.agree(bytes(range(32)), world.kit.identity.exchange_public)
    frame = sealed_refusal(stranger, link_id=7, salt=1, reason=RefusalReason.EXPIRED)
    world.air.carry(world.core.links[0], frame, world.clock.monotonic(), 1)
    world.live(1.0)
    assert world.kit.engine.refused is None


def test_a_refusal_is_heard_by_a_kit_that_has_taken_thousands_of_frames_of_the_core(world: Any) -> None:
    counters = Counters()
    counters.take(9000)
    world.kit.store.save_session("core-city", counters.dump())  # it belonged to this core before
    joining(world, world.invite(lasts_s=-1))
    world.live(300)
    assert world.kit.engine.refused is RefusalReason.EXPIRED


def test_an_old_refusal_played_again_does_not_silence_a_kit_that_was_taken_in_meanwhile(world: Any) -> None:
    joining(world, world.invite(lasts_s=-1))
    world.live(300, until=lambda: world.kit.engine.refused is not None)
    refusals = [frame for _, who, _, frame in world.air.log if "core" in who]
    token, _ = world.core.peers.tokens[7]
    world.core.peers.tokens[7] = (token, world.now_ms + 10**9)  # somebody has made the invite good for longer
    world.live(2 * HOUR_S, until=lambda: world.kit.engine.enrolled)
    assert world.kit.engine.enrolled
    world.live(60)
    world.air.carry(world.core.links[0], refusals[0], world.clock.monotonic(), 1)
    world.live(10)
    world.kit.write(body=b"still heard")
    world.air.faults.loss = 0.0
    assert world.live(600, until=lambda: world.kit.waiting == 0) < 60
    assert world.kit.reports[0].fault == ""


def test_a_hello_played_again_neither_turns_the_core_s_frames_away_nor_makes_it_talk(world: Any, tmp_path: Any) -> None:
    joining(world, world.invite())
    world.live(300, until=lambda: world.kit.engine.enrolled)
    hello = next(frame for _, who, _, frame in world.air.log if "kit" in who)
    world.kit.write(body=b"here")
    world.live(300, until=lambda: world.kit.waiting == 0)
    (radio,) = world.core.links
    thief = type(world.kit)("kit-thief", tmp_path, world, 9)
    theirs = world.lora(thief)
    told: list[str | None] = []
    send = radio.send

    def look_on(frame: bytes, *, priority: int, to: str | None = None) -> bool:
        told.append(to)
        return bool(send(frame, priority=priority, to=to))

    radio.send = look_on
    for _ in range(20):
        world.air.carry(theirs, hello, world.clock.monotonic(), 1)
        world.live(3)
    assert len(told) <= 2
    world.core.write("alert", priority=0, body=b"frost tonight", addressee="kit-orchard")
    world.live(60, until=lambda: world.core.waiting == 0)
    assert world.kit.taken
    assert "!kit-thief" not in told
    thief.database.close()
