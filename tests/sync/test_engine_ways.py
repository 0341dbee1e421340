"""Two ways to the core: when one falls, the other carries at once; when one comes back, what is lost is asked for."""

from __future__ import annotations

import random
import sqlite3
from itertools import pairwise
from typing import Any

import pytest

from kit.store.records import start_epoch
from sync.engine.calling import FIRST_S
from sync.engine.talks import SETTLED_S
from sync.protocol import keys
from sync.protocol.peers import Peer, Role
from sync.protocol.session import ASK_AGAIN_S, ASK_WITHIN_S, Session

MINUTE_S = 60.0


@pytest.fixture
def world(make_world: Any) -> Any:
    """A radio and a mobile network that have been up for a while, with nothing to say."""
    made = make_world(cellular=True)
    made.kit.write("message", priority=2, body=b"hello")
    made.live(MINUTE_S, until=lambda: made.kit.waiting == 0)
    made.live(2 * MINUTE_S + 7.0)
    return made


def by_radio(world: Any, since: int) -> int:
    """Frames that the kit has sent by radio since then."""
    return sum(1 for _, who, *_ in world.air.log[since:] if "kit" in who)


def test_when_the_mobile_network_falls_the_radio_carries_what_waits_at_once(world: Any) -> None:
    (cellular,) = (link for link in world.kit.links if link.name == "cellular")
    world.live(5.0)  # the last round of everything was a moment ago
    world.cell.faults.loss = 1.0
    world.kit.write("message", priority=2, body=b"the bridge is gone")
    world.live(2.0)
    before = len(world.air.log)
    cellular.plugged = False
    took_s = world.live(2 * MINUTE_S, step_s=0.2, until=lambda: by_radio(world, before) > 0)
    assert took_s < 3.0


def test_a_mobile_network_that_swallows_everything_is_doubted_and_the_radio_carries_in_the_same_second(
    world: Any,
) -> None:
    world.cell.faults.loss = 1.0
    world.kit.write("message", priority=2, body=b"the bridge is gone")
    session = world.kit.engine._talks.of("core-city").session
    way = session.path("cellular", 60_000)
    before = len(world.air.log)
    world.live(5 * MINUTE_S, step_s=0.2, until=lambda: way.doubtful)
    assert way.doubtful
    assert world.live(MINUTE_S, step_s=0.2, until=lambda: by_radio(world, before) > 0) < 2.0


def rebuilt_core(world: Any) -> tuple[int, int]:
    """The core loses its latest records in a fire and is set up anew from its backup; how many it has, and had."""
    backup = sqlite3.connect(":memory:")
    world.core.database.connection.backup(backup)
    for number in range(5):
        world.kit.write("message", priority=2, body=bytes((number,)))
    world.live(MINUTE_S, until=lambda: world.kit.waiting == 0)
    had = len(world.core.taken)
    backup.backup(world.core.database.connection)
    with world.core.database.atomic() as connection:
        start_epoch(connection)
    return len(world.core.taken), had


def test_a_core_rebuilt_from_its_backup_is_refilled_when_the_connection_stands_again(make_world: Any) -> None:
    world = make_world(lora=False, cellular=True)
    world.kit.write("message", priority=2, body=b"hello")
    world.live(MINUTE_S, until=lambda: world.kit.waiting == 0)
    (link,) = world.kit.links
    world.live(2 * MINUTE_S)
    has, had = rebuilt_core(world)
    link.plugged = False
    world.live(20.0)
    world.core.start()
    link.plugged = True
    assert has < had
    assert world.live(10 * MINUTE_S, step_s=0.2, until=lambda: len(world.core.taken) == had) < ASK_WITHIN_S + 3.0


def test_a_core_set_back_so_far_that_it_uses_its_counters_again_is_refilled_as_soon(make_world: Any) -> None:
    world = make_world(lora=False, cellular=True, joined=False)
    backup = sqlite3.connect(":memory:")
    world.core.database.connection.backup(backup)
    world.introduce()
    world.start()
    for number in range(5):
        world.kit.write("message", priority=2, body=bytes((number,)))
        world.live(MINUTE_S, until=lambda: world.kit.waiting == 0)
    world.live(2 * MINUTE_S)
    (link,) = world.kit.links
    link.plugged = False
    world.live(20.0)
    backup.backup(world.core.database.connection)
    world.core.start()
    link.plugged = True
    took_s = world.live(10 * MINUTE_S, step_s=0.2, until=lambda: len(world.core.taken) == 5)
    assert took_s < ASK_WITHIN_S + 5.0


def test_a_kit_set_back_so_far_that_it_uses_its_counters_again_gets_its_letters_as_soon(make_world: Any) -> None:
    world = make_world(lora=False, cellular=True, joined=False)
    backup = sqlite3.connect(":memory:")
    world.kit.database.connection.backup(backup)
    world.introduce()
    world.start()
    for number in range(5):
        world.kit.write("message", priority=2, body=bytes((number,)))
        world.core.write("message", priority=2, body=bytes((number,)), addressee="kit-orchard")
        world.live(MINUTE_S, until=lambda: world.kit.waiting + world.core.waiting == 0)
    world.live(2 * MINUTE_S)
    backup.backup(world.kit.database.connection)
    with world.kit.database.atomic() as connection:
        start_epoch(connection)
    world.kit.start()
    assert world.live(10 * MINUTE_S, step_s=0.2, until=lambda: len(world.kit.taken) == 5) < 15.0


def test_a_kit_whose_connection_came_back_asks_once_and_in_few_bytes(make_world: Any) -> None:
    world = make_world(lora=False, cellular=True)
    world.kit.write("message", priority=2, body=b"hello")
    world.live(30.0, until=lambda: world.kit.waiting == 0)
    (link,) = world.kit.links
    world.live(2 * MINUTE_S)
    link.plugged = False
    world.live(20.0)
    before = len(world.cell.log)
    world.core.start()
    link.plugged = True
    world.live(4 * MINUTE_S)
    said = [(who, len(frame)) for _, who, _, frame in world.cell.log[before:]]
    assert [who for who, _ in said] == ["#kit-orchard", "#core-city"]
    assert sum(size for _, size in said) < 200


def test_on_a_network_that_comes_and_goes_all_the_time_a_kit_asks_at_most_every_twenty_seconds(make_world: Any) -> None:
    world = make_world(lora=False, cellular=True)
    world.live(30.0)
    (link,) = world.kit.links
    before = len(world.cell.log)
    for number in range(200):
        link.plugged = number % 2 == 0
        world.live(3.0)
    asked = sum(1 for _, who, *_ in world.cell.log[before:] if "kit" in who)
    assert 5 <= asked <= 600.0 / ASK_AGAIN_S + 1


def test_a_core_that_is_restarted_again_and_again_is_refilled_after_the_last_time_as_soon(make_world: Any) -> None:
    world = make_world(lora=False, cellular=True)
    world.live(30.0)
    (link,) = world.kit.links
    has, had = rebuilt_core(world)
    for _ in range(5):
        link.plugged = False
        world.live(5.0)
        world.core.start()
        link.plugged = True
        world.live(0.5)
    assert has < had
    took_s = world.live(10 * MINUTE_S, step_s=0.2, until=lambda: len(world.core.taken) == had)
    assert took_s < ASK_AGAIN_S + 3.0


def test_a_thousand_kits_whose_connections_come_back_in_one_second_ask_one_after_the_other() -> None:
    rng = random.Random(5)
    core = Peer(unit="core", link_id=1, exchange_public=keys.public_of(rng.randbytes(32)), role=Role.CORE)
    due: list[float] = []
    for _ in range(1000):
        session = Session(
            unit="kit", exchange_private=rng.randbytes(32), peer=core, salt=1, rng=rng, life=rng.randbytes(32)
        )
        session.path("cellular", 60_000).heard_at = 100.0
        session.came_up("cellular", now=100.0)
        at = session.wake_at(path="cellular", mtu_bytes=60_000, now=100.0)
        assert at is not None
        due.append(at)
    assert min(due) >= 100.0
    assert max(due) <= 100.0 + ASK_WITHIN_S
    assert max(sum(1 for each in due if second <= each < second + 1) for second in range(100, 109)) < 200


def test_a_radio_that_is_plugged_in_again_says_nothing_of_the_core_and_costs_no_air(make_world: Any) -> None:
    world = make_world()
    world.kit.write("message", priority=2, body=b"hello")
    world.live(5 * MINUTE_S, until=lambda: world.kit.waiting == 0)
    world.live(MINUTE_S)
    (link,) = world.kit.links
    before = len(world.air.log)
    for plugged in (False, True, False, True):
        link.plugged = plugged
        world.live(20.0)
    assert len(world.air.log) == before


def said_by_radio(world: Any, since: int) -> list[tuple[str, int]]:
    """Who has said how many bytes since then."""
    return [(who, len(frame)) for _, who, _, frame in world.air.log[since:]]


def test_a_core_rebuilt_from_its_backup_is_refilled_by_an_idle_village_that_only_the_radio_reaches(
    make_world: Any,
) -> None:
    world = make_world()
    world.kit.write("message", priority=2, body=b"hello")
    world.live(MINUTE_S, until=lambda: world.kit.waiting == 0)
    world.live(5 * MINUTE_S)
    has, had = rebuilt_core(world)
    world.live(5 * MINUTE_S)
    world.core.start()
    assert has < had
    took_s = world.live(8 * 60 * MINUTE_S, until=lambda: len(world.core.taken) == had)
    assert took_s < FIRST_S + MINUTE_S


def test_a_core_started_anew_calls_an_idle_village_once_and_in_few_bytes(make_world: Any) -> None:
    world = make_world()
    world.kit.write("message", priority=2, body=b"hello")
    world.live(MINUTE_S, until=lambda: world.kit.waiting == 0)
    world.live(5 * MINUTE_S)
    world.core.start()
    before = len(world.air.log)
    world.live(FIRST_S + 5 * MINUTE_S)
    said = said_by_radio(world, before)
    assert [who for who, _ in said] == ["!core-city", "!kit-orchard", "!core-city"]
    assert said[0][1] < 35
    # the other two are a beacon and its answer, with the keys (33 bytes each) for the short frames that follow
    assert sum(size for _, size in said) < 220


def test_villages_are_called_one_after_the_other_and_who_was_heard_is_not(make_world: Any) -> None:
    world = make_world(joined=False)
    for link_id in range(10, 30):  # twenty villages, of which none answers
        public = keys.public_of(world.rng.randbytes(32))
        world.core.peers.peers[link_id] = Peer(unit=f"kit-{link_id}", link_id=link_id, exchange_public=public)
    world.introduce()
    world.start()
    world.live(20 * MINUTE_S)
    called = [at_s for at_s, who, _, frame in world.air.log if "core" in who and frame[1:3] != b"\x00\x07"]
    assert 5 <= len(called) <= 7
    assert min(later - at_s for at_s, later in pairwise(called)) > 100.0
    world.live(70 * MINUTE_S)
    links = [frame[1:3] for _, who, _, frame in world.air.log if "core" in who and frame[1:3] != b"\x00\x07"]
    assert sorted(links) == [link_id.to_bytes(2, "big") for link_id in range(10, 30)]


def frames_of_the_core(world: Any, since: int) -> int:
    """That it has sent by radio since then, each of those that carry a message."""
    return sum(1 for _, who, _, frame in world.air.log[since:] if "core" in who and len(frame) > 100)


def restart_the_core(world: Any) -> int:
    """As its store remembers it: the kit was heard by the mobile network last. Where the radio's log stands."""
    world.core.heard_by = lambda _unit: "cellular"
    world.core.start()
    return len(world.air.log)


def test_after_its_start_a_core_gives_a_kit_the_time_to_connect_before_it_uses_the_radio(world: Any) -> None:
    cellular = next(link for link in world.kit.links if link.name == "cellular")
    cellular.plugged = False
    since = restart_the_core(world)
    world.core.write("message", priority=2, body=world.rng.randbytes(140))
    world.live(20.0)
    cellular.plugged = True
    world.live(SETTLED_S, until=lambda: world.core.waiting == 0)
    assert world.core.waiting == 0
    assert frames_of_the_core(world, since) == 0, "the village's air was not used"


def test_where_the_kit_does_not_come_back_by_the_mobile_network_the_radio_carries_after_that_time(world: Any) -> None:
    next(link for link in world.kit.links if link.name == "cellular").plugged = False
    since = restart_the_core(world)
    world.core.write("message", priority=2, body=world.rng.randbytes(140))
    world.live(SETTLED_S - 5.0)
    assert frames_of_the_core(world, since) == 0
    world.live(MINUTE_S, until=lambda: world.core.waiting == 0)
    assert world.core.waiting == 0


def test_a_kit_that_is_heard_by_radio_first_and_an_alarm_for_any_kit_are_not_kept_waiting(world: Any) -> None:
    next(link for link in world.kit.links if link.name == "cellular").plugged = False
    restart_the_core(world)
    world.core.write("alert", priority=0, body=b"the dam may break")
    assert world.live(SETTLED_S, until=lambda: world.core.waiting == 0) < 30.0
    restart_the_core(world)
    world.core.write("message", priority=2, body=b"the road is open")
    world.kit.write("message", priority=2, body=b"hello")
    assert world.live(SETTLED_S, until=lambda: world.core.waiting == 0) < 60.0
