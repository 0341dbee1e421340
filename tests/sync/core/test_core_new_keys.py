"""What a core makes of a kit's new keys: who may tell them, when they count, and who gets in with which."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kit.errors import UsageError
from kit.identity import unit_id
from kit.model.new_key import known_key_from_body, new_key_body
from kit.run.core import may_come_in
from sync.core.invites import make_invite
from sync.protocol.enrolment import Invite
from sync.protocol.peers import Peer, Refusal, RefusalReason


def told_by(city: Any, kit: Any, fresh: Any, *, offer: int = 1) -> None:
    """That kit says that it will have those keys."""
    body = new_key_body(fresh.identity.exchange_public, fresh.curve_public, offer)
    city.take(kit.record("new-key", body, priority=1, created_ms=city.now_ms))


def peer_of(city: Any, kit: Any) -> Peer:
    (peer,) = (each for each in city.store.all() if each.unit == kit.unit)
    found: Peer = peer
    return found


def answers(city: Any, kit: Any) -> list[tuple[bytes, int]]:
    waiting = city.store.outgoing(kit.unit, now_ms=city.now_ms, limit=100)
    return [known_key_from_body(each.body) for each in waiting if each.kind == "new-key"]


def wears(kit: Any, fresh: Any) -> Any:
    """The same unit under the other's keys."""
    return replace(kit, identity=replace(fresh.identity, unit=kit.unit), curve_public=fresh.curve_public)


def vouched(city: Any, unit: str) -> Invite:
    return Invite.decode(make_invite(city.core, "Orchard village", days=7.0, unit=unit))


def test_next_keys_are_kept_beside_those_in_use_and_answered_in_the_same_transaction(city: Any) -> None:
    kit, fresh = city.joined(), city.kit()
    told_by(city, kit, fresh)
    peer = peer_of(city, kit)
    assert peer.exchange_public == kit.identity.exchange_public
    assert peer.next_public == fresh.identity.exchange_public
    assert answers(city, kit) == [(fresh.identity.exchange_public, 1)]
    for key in (kit.curve_public, fresh.curve_public):
        assert city.store.may_connect(key, now_ms=city.now_ms)
    for key in (kit.identity.exchange_public, fresh.identity.exchange_public):
        assert may_come_in(city.core, peer.link_id, key)


def test_once_heard_under_them_they_are_its_keys_and_the_old_ones_open_nothing(city: Any) -> None:
    kit, fresh = city.joined(), city.kit()
    told_by(city, kit, fresh)
    link_id = peer_of(city, kit).link_id
    assert city.store.speaks_under_next_key(kit.unit)
    assert not city.store.speaks_under_next_key(kit.unit)
    peer = peer_of(city, kit)
    assert (peer.exchange_public, peer.next_public) == (fresh.identity.exchange_public, b"")
    assert peer.curve_public == fresh.curve_public
    assert not city.store.may_connect(kit.curve_public, now_ms=city.now_ms)
    assert city.store.may_connect(fresh.curve_public, now_ms=city.now_ms)
    assert not may_come_in(city.core, link_id, kit.identity.exchange_public)
    assert may_come_in(city.core, link_id, fresh.identity.exchange_public)


def test_of_two_offers_the_later_written_counts_in_whatever_order_they_come(city: Any) -> None:
    kit, first, second = city.joined(), city.kit(), city.kit()
    early = kit.record("new-key", new_key_body(first.identity.exchange_public, first.curve_public, 1), priority=1)
    told_by(city, kit, second, offer=2)
    city.take(early)
    assert peer_of(city, kit).next_public == second.identity.exchange_public
    assert answers(city, kit) == [(second.identity.exchange_public, 2)]


def test_a_kit_that_lost_its_store_is_heard_whatever_epoch_it_begins(city: Any) -> None:
    kit, first, second = city.joined(), city.kit(), city.kit()
    told_by(city, kit, first)
    kit.epoch, kit.seq = kit.epoch - 1, 0
    told_by(city, kit, second)
    assert peer_of(city, kit).next_public == second.identity.exchange_public


def test_keys_in_use_already_are_answered_and_need_no_next(city: Any) -> None:
    kit = city.joined()
    told_by(city, kit, kit, offer=3)
    assert peer_of(city, kit).next_public == b""
    assert answers(city, kit) == [(kit.identity.exchange_public, 3)]


@pytest.mark.parametrize("body", [b"", b"\xff", b"\x83\x01\x41\x00\x02", new_key_body(bytes(32), bytes(32), 1)])
def test_keys_that_cannot_be_used_are_kept_as_unreadable_and_change_nothing(city: Any, body: bytes) -> None:
    kit = city.joined()
    city.take(kit.record("new-key", body, priority=1))
    assert len(city.store.undecodable(limit=9)) == 1
    assert peer_of(city, kit).next_public == b""
    assert answers(city, kit) == []


def test_nobody_takes_another_kit_s_keys_for_its_next(city: Any) -> None:
    victim, thief = city.joined("Orchard"), city.joined("River")
    told_by(city, thief, victim)
    assert peer_of(city, thief).next_public == b""
    fresh = city.kit()
    told_by(city, victim, fresh)
    told_by(city, thief, fresh)
    assert peer_of(city, thief).next_public == b""


def test_a_unit_with_renewed_keys_joins_again_if_they_are_known(city: Any) -> None:
    kit, fresh = city.joined(), city.kit()
    told_by(city, kit, fresh)
    peer = city.enrol(city.hello(wears(kit, fresh), city.invite()))
    assert isinstance(peer, Peer)
    assert (peer.exchange_public, peer.next_public) == (fresh.identity.exchange_public, b"")
    again = city.enrol(city.hello(wears(kit, fresh), city.invite()))
    assert isinstance(again, Peer)
    # and the keys of before, which somebody may have stolen, do not come back with an ordinary invite
    assert city.enrol(city.hello(kit, city.invite())) == Refusal(RefusalReason.TAKEN)


def test_joining_again_under_the_old_keys_does_not_forget_the_next_ones(city: Any) -> None:
    kit, fresh = city.joined(), city.kit()
    told_by(city, kit, fresh)
    assert isinstance(city.enrol(city.hello(kit, city.invite())), Peer)
    assert peer_of(city, kit).next_public == fresh.identity.exchange_public
    assert city.store.may_connect(fresh.curve_public, now_ms=city.now_ms)


def test_the_first_hello_said_again_after_a_renewal_is_refused(city: Any) -> None:
    kit, fresh, invite = city.kit(), city.kit(), city.invite()
    hello = city.hello(kit, invite)
    assert isinstance(city.enrol(hello), Peer)
    told_by(city, kit, fresh)
    assert isinstance(city.enrol(hello), Peer)
    city.store.speaks_under_next_key(kit.unit)
    assert city.enrol(hello) == Refusal(RefusalReason.TAKEN)


def test_an_operator_vouches_for_a_unit_and_for_no_other(city: Any) -> None:
    kit, fresh = city.joined(), city.kit()
    stranger = wears(kit, fresh)
    assert city.enrol(city.hello(stranger, city.invite())) == Refusal(RefusalReason.TAKEN)
    invite = vouched(city, kit.unit)
    assert city.enrol(city.hello(fresh, invite)) == Refusal(RefusalReason.MISFIT)
    peer = city.enrol(city.hello(stranger, invite))
    assert isinstance(peer, Peer)
    assert peer.exchange_public == fresh.identity.exchange_public
    assert not city.store.may_connect(kit.curve_public, now_ms=city.now_ms)
    assert city.enrol(city.hello(kit, vouched(city, kit.unit))) != Refusal(RefusalReason.TAKEN)


def test_a_core_that_never_knew_the_unit_wants_somebody_to_vouch_for_renewed_keys(city: Any) -> None:
    kit, fresh = city.kit(), city.kit()
    stranger = wears(kit, fresh)
    assert city.enrol(city.hello(stranger, city.invite())) == Refusal(RefusalReason.MISFIT)
    assert isinstance(city.enrol(city.hello(stranger, vouched(city, kit.unit))), Peer)


def test_a_unit_whose_first_key_is_another_one_s_next_is_refused_and_the_core_goes_on(city: Any) -> None:
    kit, fresh = city.joined(), city.kit()
    told_by(city, kit, fresh)
    assert fresh.unit == unit_id(fresh.identity.exchange_public)
    assert city.enrol(city.hello(fresh, city.invite())) == Refusal(RefusalReason.TAKEN)
    city.store.speaks_under_next_key(kit.unit)
    assert city.enrol(city.hello(fresh, city.invite())) == Refusal(RefusalReason.TAKEN)


@pytest.mark.parametrize("unit", ["orchard", "kit-UPPER234", "core-abcdefgh", "kit-abcdefg1", "kit-abc"])
def test_an_invite_for_what_is_no_unit_is_refused(city: Any, unit: str) -> None:
    with pytest.raises(UsageError, match="is no kit's id"):
        make_invite(city.core, "Orchard", days=1.0, unit=unit)
