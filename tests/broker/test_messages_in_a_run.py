"""Messages that come together mean what each of them would mean by itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, cast

from hypothesis import given
from hypothesis import strategies as st

from kit.broker.changes import Change, Fact
from kit.broker.hub import Hub
from kit.broker.inbox import Came
from kit.broker.link import size_of
from kit.broker.outcome import Outcome
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import Connect, Packet, Puback, Pubacks, Publish, Publishes, Pubrel, Subscribe
from kit.model.grants import Grants
from kit.model.messages import Published
from tests.broker.conftest import keep

if TYPE_CHECKING:
    from kit.broker.link import Link
    from tests.broker.conftest import Unit

TOPICS = ["sensors/roof", "sensors/roof/2", "heard/roof", "sensors/field", "$SYS/x"]

publishes = st.builds(
    Publish,
    st.sampled_from(TOPICS),
    st.sampled_from([b"", b"1", b"2"]),
    st.just(1) | st.integers(0, 2),
    st.just(False) | st.booleans(),
    st.booleans(),
    st.integers(1, 9),
    properties=st.just(b"") | st.binary(max_size=1),
    expiry_s=st.none() | st.integers(0, 9),
    alias=st.none(),
).map(lambda packet: packet if packet.qos else packet._replace(dup=False, packet_id=None))
others = st.builds(Pubrel, st.integers(1, 9)) | st.just(Subscribe(7, (("sensors/roof/#", 1),)))


def hub_with_roof(version: int) -> Hub:
    hub = Hub(Limits(retained_per_user=2))
    connect = Connect(client_id="roof", username="roof", version=version, session_expiry_s=60, clean_session=False)
    grants = Grants(publish=("sensors/roof/#",), hear=("heard/#",), read=("sensors/roof/#",))
    hub.connected(1, connect, username="roof", grants=grants, address="", now_ms=0)
    hub.finish(now_ms=0)
    hub.settle()
    hub.facts = []
    return hub


def in_runs(packets: list[Packet]) -> list[Packet]:
    """As they are read: messages that come one behind another and have the same flags are one value."""
    found: list[Packet] = []
    for packet in packets:
        if not isinstance(packet, Publish) or (packet.properties, packet.expiry_s, packet.alias) != (b"", None, None):
            found.append(packet)
            continue
        flags, before = (packet.qos, packet.retain, packet.dup), found[-1] if found else None
        if not isinstance(before, Publishes) or (before.qos, before.retain, before.dup) != flags:
            before = Publishes([], [], [], *flags)
            found.append(before)
        before.topics.append(packet.topic)
        before.payloads.append(packet.payload)
        if packet.packet_id is not None:
            before.packet_ids.append(packet.packet_id)
    return found


def all_that(hub: Hub) -> tuple[list[Change], list[Fact], Outcome]:
    hub.finish(now_ms=5)
    return list(hub.changes), list(hub.facts), hub.settle()


@given(st.lists(publishes | publishes | others, max_size=12), st.sampled_from([4, 5]))
def test_a_run_of_messages_comes_to_what_they_come_to_one_by_one(packets: list[Packet], version: int) -> None:
    together, apart = hub_with_roof(version), hub_with_roof(version)
    together.received_all(1, in_runs(packets), now_ms=5)
    for packet in packets:
        apart.received(1, packet, now_ms=5)
    assert all_that(together) == all_that(apart)


def test_what_only_the_kit_reads_is_handed_on_in_its_order_and_answered() -> None:
    hub = hub_with_roof(4)
    sent = [Publish(TOPICS[number % 3], b"%d" % number, 1, packet_id=number) for number in range(1, 9)]
    run = Publishes([p.topic for p in sent], [p.payload for p in sent], list(range(1, 9)), 1, retain=False, dup=False)
    assert in_runs([*sent]) == [run]
    hub.received_all(1, [run], now_ms=5)
    changes, _, outcome = all_that(hub)
    assert changes == [Published("roof", "roof", p.topic, p.payload, 1, False, False, p.packet_id, 5) for p in sent]
    assert outcome.packets == {1: [Pubacks(list(range(1, 9)))]}


def test_a_message_that_may_not_be_ends_the_run_and_what_comes_behind_it_is_not_taken() -> None:
    hub = hub_with_roof(4)
    good, forged = Publish("sensors/roof", b"1", 1, packet_id=1), Publish("sensors/field", b"2", 1, packet_id=2)
    hub.received_all(1, in_runs([good, good, forged, good]), now_ms=5)
    changes, facts, outcome = all_that(hub)
    assert (len(changes), len(facts), list(outcome.closing)) == (2, 1, [1])


def test_messages_that_could_not_be_written_are_not_answered() -> None:
    hub = hub_with_roof(4)
    hub.received_all(1, in_runs([Publish("sensors/roof", b"1", 1, packet_id=1)] * 3), now_ms=5)
    assert hub.roll_back().packets == {}
    assert hub.changes == []


@given(st.lists(publishes | others, max_size=20), st.integers(1, 20))
def test_what_came_can_be_cut_between_any_two_messages(packets: list[Packet], room: int) -> None:
    came = Came.of(cast("Link", None), in_runs(packets), at_ms=5)
    first, rest = came.cut(room)
    apart = [[*chain.from_iterable(map(one_by_one, part.packets))] for part in (first, rest)]
    assert apart == [packets[:room], packets[room:]]
    assert (first.weight, rest.weight) == (len(apart[0]), len(apart[1]))
    assert first.size + rest.size == came.size == sum(map(size_of, packets))


def one_by_one(packet: Packet) -> Iterable[Packet]:
    return packet.apart() if isinstance(packet, Publishes) else [packet]


def test_a_run_that_is_longer_than_a_transaction_goes_into_several_and_is_answered_in_its_order(
    serve: Callable[..., Unit],
) -> None:
    sizes: list[int] = []

    def ingest(connection: sqlite3.Connection, publishes: Sequence[Published]) -> None:
        sizes.append(len(publishes))
        keep(connection, publishes)

    unit = serve(ingest=ingest, limits=Limits(batch=7))
    payloads = [b"%d" % number for number in range(1, 101)]
    with unit.connect() as service:
        service.send(*[Publish("alerts/a", payload, 1, packet_id=int(payload)) for payload in payloads])
        service.expect(*[Puback(number) for number in range(1, 101)])
    assert unit.seen() == payloads
    assert sum(sizes) == len(payloads)
    assert max(sizes) == 7
