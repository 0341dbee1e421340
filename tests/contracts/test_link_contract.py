"""What every link promises, asked of each implementation over its real library: LoRa, cellular, HTTPS."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import zmq
from returning import returns

from hardware.drivers.modem_always import AlwaysOnModem
from hardware.simulated.meshtastic_radio import run_radios
from kit.clock import AcceleratedClock
from sync.links.cellular import CellularKitLink
from sync.links.cellular_core import CellularCoreLink
from sync.links.https_core import HttpsCoreLink
from sync.links.https_kit import HttpsKitLink
from sync.links.meshtastic import MeshtasticLink
from sync.links.port import Arrival, FrameTooLarge, Link, LinkState
from sync.protocol.keys import public_of

SPEED = 400.0
PATIENCE_S = 30.0
"""Real seconds that a busy machine may take for what an idle one does at once."""


def wait_for(condition: Callable[[], Any], *, seconds: float = PATIENCE_S, what: str = "") -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.01)
    return result


def receive_all(link: Link, count: int, *, seconds: float = PATIENCE_S) -> list[Arrival]:
    arrivals: list[Arrival] = []
    deadline = time.monotonic() + seconds
    while len(arrivals) < count and time.monotonic() < deadline:
        arrivals += link.receive(0.05)
    return arrivals


def send_all(link: Link, frames: Sequence[bytes], *, to: str | None = None, priority: int = 2) -> None:
    for frame in frames:
        wait_for(partial(link.send, frame, priority=priority, to=to), what=link.explain())


@dataclass
class LoraPair:
    """Two radios on one air, in a thread, and a link on each."""

    ports: list[int] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    clock: AcceleratedClock = field(
        default_factory=lambda: AcceleratedClock(0.0, time.clock_gettime(time.CLOCK_BOOTTIME), SPEED)
    )

    def start_peer(self) -> None:
        """Both radios, for a kit's radio is worth nothing without the core's."""
        ready = threading.Event()
        self.stop = threading.Event()

        def listening(ports: list[int]) -> None:
            self.ports = ports
            ready.set()

        self.thread = threading.Thread(
            target=run_radios,
            kwargs={
                "ports": self.ports or [0, 0],
                "clock": self.clock,
                "rng": random.Random(7),
                "stop": self.stop,
                "ready": listening,
            },
        )
        self.thread.start()
        assert ready.wait(5)

    def stop_peer(self) -> None:
        self.stop.set()
        assert self.thread is not None
        self.thread.join()

    def link(self, number: int) -> MeshtasticLink:
        return MeshtasticLink(
            radio=f"tcp:127.0.0.1:{self.ports[number]}",
            region="EU_868",
            preset="LONG_FAST",
            hop_limit=3,
            clock=self.clock,
        )

    def near(self) -> Link:
        return self.link(0)

    def far(self) -> Link:
        return self.link(1)


@dataclass
class CellularPair:
    """A core that listens and a kit that connects. The core's link is what is stopped and started."""

    core_keys: tuple[bytes, bytes] = field(default_factory=zmq.curve_keypair)
    kit_keys: tuple[bytes, bytes] = field(default_factory=zmq.curve_keypair)
    core: CellularCoreLink | None = None
    address: str = "tcp://127.0.0.1:0"

    def start_peer(self) -> None:
        self.core = CellularCoreLink(
            listen=self.address,
            public=self.core_keys[0],
            secret=self.core_keys[1],
            allowed=lambda key: key == self.kit_keys[0],
        )
        self.core.open()
        self.address = self.core.address

    def stop_peer(self) -> None:
        assert self.core is not None
        self.core.close()

    def near(self) -> Link:
        return CellularKitLink(
            core=self.address,
            server_public=self.core_keys[0],
            public=self.kit_keys[0],
            secret=self.kit_keys[1],
            modem=AlwaysOnModem(),
            clock=AcceleratedClock(0.0, 0.0, SPEED),
            rng=random.Random(3),
        )

    def far(self) -> Link:
        assert self.core is not None
        return self.core


@dataclass
class HttpsPair:
    """The same frames over HTTPS. The core's link is what is stopped and started."""

    keys: Path
    core: HttpsCoreLink | None = None
    port: int = 0
    clock: AcceleratedClock = field(
        default_factory=lambda: AcceleratedClock(0.0, time.clock_gettime(time.CLOCK_BOOTTIME), SPEED)
    )

    def start_peer(self) -> None:
        self.core = HttpsCoreLink(
            host="127.0.0.1",
            port=self.port,
            keys=self.keys,
            exchange_private=bytes(range(32)),
            allowed=lambda link_id, _public: link_id == 7,
            clock=self.clock,
        )
        self.core.open()
        self.port = self.core.port

    def stop_peer(self) -> None:
        assert self.core is not None
        self.core.close()

    def near(self) -> Link:
        return HttpsKitLink(
            urls=[f"https://127.0.0.1:{self.port}"],
            link_id=7,
            core_public=public_of(bytes(range(32))),
            exchange_private=bytes(range(32, 64)),
            exchange_public=public_of(bytes(range(32, 64))),
            needed=lambda: True,
            clock=self.clock,
            rng=random.Random(3),
        )

    def far(self) -> Link:
        assert self.core is not None
        return self.core


Pair = LoraPair | CellularPair | HttpsPair


@pytest.fixture(params=["lora", "cellular", "https"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    pairs: dict[str, Callable[[], Pair]] = {
        "lora": LoraPair,
        "cellular": CellularPair,
        "https": lambda: HttpsPair(tmp_path),
    }
    pair = pairs[request.param]()
    pair.start_peer()
    yield pair
    pair.stop_peer()


@pytest.fixture
def links(pair: Pair) -> Iterator[tuple[Link, Link]]:
    """The kit's link and the core's, both up."""
    near, far = pair.near(), pair.far()
    near.open()
    far.open()
    wait_for(lambda: near.state() is LinkState.UP and far.state() is LinkState.UP, what=near.explain())
    yield near, far
    near.close()
    far.close()


def test_a_frame_arrives_as_it_was_sent(links: tuple[Link, Link]) -> None:
    near, far = links
    frames = [bytes(range(256))[: near.mtu_bytes], b"\x94\xc3\x00", bytes(near.mtu_bytes)]
    send_all(near, frames)
    assert {arrival.frame for arrival in receive_all(far, len(frames))} == set(frames)


def test_an_arrival_can_be_answered_at_the_address_it_came_from(links: tuple[Link, Link]) -> None:
    near, far = links
    send_all(near, [b"question"])
    (question,) = receive_all(far, 1)
    send_all(far, [b"answer"], to=question.via)
    assert [arrival.frame for arrival in receive_all(near, 1)] == [b"answer"]


def test_an_alert_is_carried_whatever_waits_before_it(links: tuple[Link, Link]) -> None:
    near, far = links
    while near.send(b"reading", priority=4):
        pass
    send_all(near, [b"frost tonight"], priority=0)
    wait_for(lambda: b"frost tonight" in [arrival.frame for arrival in far.receive(0.05)], what=near.explain())


def test_a_frame_larger_than_the_link_carries_is_refused_with_both_sizes(links: tuple[Link, Link]) -> None:
    near, _ = links
    with pytest.raises(FrameTooLarge, match=str(near.mtu_bytes)) as refused:
        near.send(bytes(near.mtu_bytes + 1), priority=0)
    assert refused.value.size == near.mtu_bytes + 1


def test_nothing_is_taken_before_the_link_is_open_or_after_it_was_closed(pair: Pair) -> None:
    link = pair.near()
    assert link.state() is LinkState.DOWN
    assert not link.send(b"too early", priority=0)
    link.open()
    wait_for(lambda: link.state() is LinkState.UP, what=link.explain())
    link.close()
    assert link.state() is LinkState.DOWN
    assert not link.send(b"too late", priority=0)
    assert "closed" in link.explain()


def lets_go(link: Link) -> None:
    """It waits neither for the other side nor for a thread of its own that waits for something."""
    returns(link.close, what="closing")


def test_a_link_lets_go_and_can_be_opened_again(pair: Pair) -> None:
    link = pair.near()
    for _ in range(2):
        link.open()
        wait_for(lambda: link.state() is LinkState.UP, what=link.explain())
        lets_go(link)


def test_a_link_that_never_connected_lets_go(pair: Pair) -> None:
    pair.stop_peer()
    link = pair.near()
    link.open()
    link.receive(0.3)
    assert link.state() is not LinkState.UP
    assert not link.send(b"nobody there", priority=0)
    assert link.explain()
    lets_go(link)
    pair.start_peer()


def test_a_link_finds_the_other_side_again_after_it_was_gone(links: tuple[Link, Link], pair: Pair) -> None:
    near, far = links
    pair.stop_peer()
    wait_for(lambda: near.state() is not LinkState.UP, what="the kit notices")
    assert not near.send(b"into the void", priority=0)
    pair.start_peer()
    far = far if isinstance(pair, LoraPair) else pair.far()
    wait_for(lambda: near.state() is LinkState.UP and far.state() is LinkState.UP, what=near.explain())
    send_all(near, [b"here again"])
    assert b"here again" in [arrival.frame for arrival in receive_all(far, 1)]


def test_receiving_nothing_takes_as_long_as_it_was_told(links: tuple[Link, Link]) -> None:
    near, _ = links
    before = time.monotonic()
    assert list(returns(lambda: near.receive(0.2), what="receiving nothing")) == []
    assert time.monotonic() - before > 0.15


def test_the_state_is_told_in_one_sentence(links: tuple[Link, Link]) -> None:
    for link in links:
        sentence = link.explain()
        assert len(sentence) > 20
        assert "\n" not in sentence
        assert "Error" not in sentence
        assert "None" not in sentence
