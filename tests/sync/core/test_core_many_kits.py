"""A core with many kits: what is new for one of them is no work for the others."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from sync.core.sqlite_store import SqliteCoreStore, store_file
from sync.engine import SyncEngine
from sync.engine.offering import REFRESH_S
from sync.engine.talks import SETTLED_S
from sync.links.port import Arrival, LinkState
from sync.protocol.frames import LORA_FRAME_BYTES, frame_link_id

KITS = 12


class Radio:
    """Takes every frame and hears nothing."""

    name, mtu_bytes, lowest_priority = "lora", LORA_FRAME_BYTES, 5

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def state(self) -> LinkState:
        return LinkState.UP

    def explain(self) -> str:
        return ""

    def send(self, frame: bytes, *, priority: int, to: str | None = None) -> bool:
        del priority, to
        self.frames.append(frame)
        return True

    def receive(self, timeout_s: float) -> Sequence[Arrival]:
        del timeout_s
        return ()


class Network(Radio):
    """The mobile network, to which nobody is connected yet."""

    name, mtu_bytes = "cellular", 60_000


def write(city: Any, unit: str, **more: Any) -> None:
    """As the operator's command does, beside the running service."""
    with city.core.open_store() as store:
        store.write(addressee=unit, kind="note", priority=2, body=b"the road is open", now_ms=city.now_ms, **more)


class WatchedStore(SqliteCoreStore):
    """Remembers for which kits it was asked."""

    asked: list[str]

    def outgoing(self, peer: str, *, now_ms: int, limit: int) -> Any:
        self.asked.append(peer)
        return super().outgoing(peer, now_ms=now_ms, limit=limit)


def test_what_is_written_for_one_kit_leaves_at_once_and_the_store_is_not_asked_for_the_others(city: Any) -> None:
    kits = [city.joined(f"Village {number}") for number in range(KITS)]
    with WatchedStore(store_file(city.core.home, city.core.settings.core), city.core.identity) as store:
        store.asked = []
        _only_the_one_is_asked_for(city, store, kits)


def _only_the_one_is_asked_for(city: Any, store: WatchedStore, kits: list[Any]) -> None:
    radio, asked = Radio(), store.asked
    engine = SyncEngine(
        identity=city.core.identity, store=store, peers=store, links=[radio], clock=city.clock,
        rng=random.Random(1), on_links=lambda _: None, changed=store.changed,
    )  # fmt: skip
    engine.step()
    assert len(asked) == KITS
    asked.clear()
    write(city, kits[3].unit)
    engine.step()
    assert asked == [kits[3].unit]
    to = city.store.by_link_id(frame_link_id(radio.frames[-1]))
    assert to is not None
    assert to.unit == kits[3].unit
    asked.clear()
    city.clock.advance(REFRESH_S + 1.0)
    engine.step()
    assert len(asked) == KITS, "every now and then all are looked at: lifetimes end without anybody writing"


def test_a_kit_is_waited_for_exactly_as_long_as_there_is_something_to_send_it(city: Any) -> None:
    kits = [city.joined(f"Village {number}") for number in range(4)]

    def waited_for() -> set[str]:
        told = city.store.waited_for_by(now_ms=city.now_ms)
        one_by_one = {each.unit for each in kits if city.store.outgoing(each.unit, now_ms=city.now_ms, limit=1)}
        assert told == one_by_one
        return set(told)

    assert waited_for() == set()
    write(city, kits[0].unit, lifetime_s=60)
    write(city, kits[1].unit)
    assert waited_for() == {kits[0].unit, kits[1].unit}
    city.store.publish(
        kind="advice", priority=5, body=b"sow late", now_ms=city.now_ms, lifetime_s=600, units=[kits[2].unit]
    )
    assert waited_for() == {kits[0].unit, kits[1].unit, kits[2].unit}
    city.clock.at_s += 61.0
    assert waited_for() == {kits[1].unit, kits[2].unit}
    for each in kits[1:3]:
        coming = city.store.outgoing(each.unit, now_ms=city.now_ms, limit=9)
        city.store.accepted([one.id for one in coming], peer=each.unit, link="lora", at_ms=city.now_ms)
    assert waited_for() == set()


def test_after_a_restart_the_core_knows_by_which_link_it_heard_each_kit_last(city: Any) -> None:
    kit, other = city.joined("Orchard village"), city.joined("River village")
    city.clock.at_s += 60.0
    city.store.heard(kit.unit, link="cellular", via="a key", now_ms=city.now_ms)
    with city.core.open_store() as store:  # as another process does
        assert (store.heard_by(kit.unit), store.heard_by(other.unit)) == ("cellular", "lora")
        assert store.heard_by("kit-of-nobody") == ""
        radio = Radio()
        engine = SyncEngine(
            identity=city.core.identity, store=store, peers=store, links=[radio, Network()], clock=city.clock,
            rng=random.Random(1), on_links=lambda _: None, changed=store.changed, heard_by=store.heard_by,
        )  # fmt: skip
        for unit in (kit.unit, other.unit):
            store.write(addressee=unit, kind="note", priority=2, body=bytes(80), now_ms=city.now_ms)
        engine.step()
        called = {store.by_link_id(frame_link_id(frame)).unit for frame in radio.frames}
        assert called == {other.unit}, "the one that only the radio reaches; the other is about to connect"
        city.clock.advance(SETTLED_S + 1.0)
        engine.step()
        called = {store.by_link_id(frame_link_id(frame)).unit for frame in radio.frames}
        assert called == {kit.unit, other.unit}, "it has not come"
