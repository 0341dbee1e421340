"""The cellular link: who may connect, and what an outage is."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import zmq

from hardware.drivers.modem_always import AlwaysOnModem
from hardware.ports import Modem
from hardware.simulated.modem import SimulatedModem
from kit.clock import AcceleratedClock, ManualClock
from sync.links.cellular import CellularKitLink
from sync.links.cellular_core import CellularCoreLink
from sync.links.data_budget import DataBudget
from sync.links.port import LinkError, LinkState

Keys = tuple[bytes, bytes]


@dataclass
class Network:
    """A core, the kits it knows, and links to be closed at the end."""

    core_keys: Keys = field(default_factory=zmq.curve_keypair)
    known: set[bytes] = field(default_factory=set)
    opened: list[CellularKitLink | CellularCoreLink] = field(default_factory=list)

    def core(
        self, listen: str = "tcp://127.0.0.1:0", allowed: Callable[[bytes], bool] | None = None
    ) -> CellularCoreLink:
        public, secret = self.core_keys
        link = CellularCoreLink(
            listen=listen, public=public, secret=secret, allowed=allowed or (lambda key: key in self.known)
        )
        link.open()
        self.opened.append(link)
        return link

    def kit(
        self,
        address: str,
        *,
        keys: Keys | None = None,
        server: bytes = b"",
        modem: Modem | None = None,
        budget: DataBudget | None = None,
    ) -> CellularKitLink:
        public, secret = keys or zmq.curve_keypair()
        link = CellularKitLink(
            core=address,
            server_public=server or self.core_keys[0],
            public=public,
            secret=secret,
            modem=modem or AlwaysOnModem(),
            clock=AcceleratedClock(0.0, 0.0, 400.0),
            rng=random.Random(3),
            budget=budget,
        )
        self.opened.append(link)
        link.open()
        return link


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    yield network
    for link in network.opened:
        link.close()


def wait_for(condition: Callable[[], Any], *, seconds: float = 8.0, what: str = "") -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.01)


def test_a_kit_that_was_not_invited_is_told_so_and_gets_in_once_it_is(network: Network) -> None:
    keys = zmq.curve_keypair()
    core = network.core()
    kit = network.kit(core.address, keys=keys)
    wait_for(lambda: "kit join INVITE" in kit.explain(), what=kit.explain())
    assert not kit.send(b"let me in", priority=0)
    wait_for(lambda: "turned away" in core.explain(), what=core.explain())
    network.known.add(keys[0])
    wait_for(lambda: kit.state() is LinkState.UP, what=kit.explain())


def test_a_kit_does_not_talk_to_a_core_with_another_key(network: Network) -> None:
    core = network.core(allowed=lambda _key: True)
    kit = network.kit(core.address, server=zmq.curve_keypair()[0])
    kit.receive(0.5)
    assert kit.state() is LinkState.CONNECTING
    assert not kit.send(b"secret", priority=0)


def test_an_arrival_carries_the_key_that_the_handshake_proved(network: Network) -> None:
    core = network.core(allowed=lambda _key: True)
    keys = [zmq.curve_keypair() for _ in range(3)]
    kits = [network.kit(core.address, keys=pair) for pair in keys]
    for number, kit in enumerate(kits):
        wait_for(partial(kit.send, bytes([number]), priority=2), what=kit.explain())
    arrived: dict[bytes, str] = {}
    while len(arrived) < len(kits):
        arrived |= {arrival.frame: arrival.via for arrival in core.receive(1.0)}
    assert arrived == {bytes([number]): pair[0].decode() for number, pair in enumerate(keys)}
    assert core.send(b"only for you", priority=1, to=keys[1][0].decode())
    assert [a.frame for a in kits[1].receive(2.0)] == [b"only for you"]
    assert list(kits[0].receive(0.1)) == list(kits[2].receive(0.1)) == []
    assert "3 kits connected" in core.explain()


def test_a_core_that_cannot_look_a_kit_up_turns_it_away_and_lives(network: Network) -> None:
    broken = True

    def allowed(_key: bytes) -> bool:
        if broken:
            raise OSError("database is locked")
        return True

    core = network.core(allowed=allowed)
    kit = network.kit(core.address)
    kit.receive(0.3)
    assert kit.state() is LinkState.CONNECTING
    broken = False
    wait_for(lambda: kit.state() is LinkState.UP, what=kit.explain())


def test_an_outage_of_the_modem_is_an_outage_of_the_link(network: Network, tmp_path: Path) -> None:
    switch = tmp_path / "modem.json"
    core = network.core(allowed=lambda _key: True)
    kit = network.kit(core.address, modem=SimulatedModem(switch))
    assert kit.state() is LinkState.DOWN
    assert "mobile network" in kit.explain()
    switch.write_text(json.dumps({"online": True}))
    wait_for(lambda: kit.state() is LinkState.UP, what=kit.explain())
    switch.write_text(json.dumps({"online": False}))
    assert kit.state() is LinkState.DOWN
    assert not kit.send(b"no way out", priority=0)
    wait_for(lambda: "0 kits connected" in core.explain(), what=core.explain())


def test_a_frame_for_a_kit_that_has_gone_is_refused(network: Network) -> None:
    core = network.core(allowed=lambda _key: True)
    kit = network.kit(core.address)
    wait_for(lambda: kit.send(b"hello", priority=2), what=kit.explain())
    (arrival,) = core.receive(5.0)
    kit.close()
    wait_for(lambda: not core.send(b"are you there", priority=2, to=arrival.via))
    assert not core.send(b"who", priority=0, to="a key nobody has")
    assert not core.send(b"everybody", priority=0)


def test_nothing_piles_up_when_the_core_does_not_read(network: Network) -> None:
    core = network.core(allowed=lambda _key: True)
    kit = network.kit(core.address)
    wait_for(lambda: kit.state() is LinkState.UP, what=kit.explain())
    taken = 0
    refused = 0
    while refused < 50 and taken < 2000:
        if kit.send(bytes(kit.mtu_bytes), priority=5):
            taken += 1
        else:
            refused += 1
            time.sleep(0.002)
    assert taken < 2000


def test_a_port_in_use_says_which_setting_to_change(network: Network) -> None:
    core = network.core()
    with pytest.raises(LinkError, match=r"already used by another program.*\[core\] listen"):
        network.core(listen=core.address)


@pytest.mark.parametrize("listen", ["tcp://192.0.2.1:7450", "7450", "tcp://127.0.0.1"])
def test_an_address_that_cannot_be_listened_at_says_how_to_write_it(network: Network, listen: str) -> None:
    with pytest.raises(LinkError, match=r"\[core\] listen"):
        network.core(listen=listen)


def test_a_core_address_that_is_none_says_how_to_write_it(network: Network) -> None:
    with pytest.raises(LinkError, match=r"tcp://HOST:PORT"):
        network.kit("core.example")


def test_something_else_on_the_core_s_port_is_not_taken_for_the_core(network: Network) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as other:
        other.linger = 0
        port = other.bind_to_random_port("tcp://127.0.0.1")
        kit = network.kit(f"tcp://127.0.0.1:{port}")
        wait_for(lambda: "not as the city core of the invite" in kit.explain(), what=kit.explain())
        assert not kit.send(b"in the clear", priority=0)


def test_when_the_day_s_bytes_are_used_alarms_still_go_and_bulk_does_not(network: Network) -> None:
    core = network.core(allowed=lambda _key: True)
    budget = DataBudget(10_000, ManualClock(), lambda _now_s: "today")
    kit = network.kit(core.address, budget=budget)
    wait_for(lambda: kit.state() is LinkState.UP, what=kit.explain())
    assert kit.lowest_priority == 5
    budget.count(9_900 - budget.used, "received")
    assert kit.lowest_priority == 2
    assert not kit.send(bytes(400), priority=2)
    assert kit.send(bytes(400), priority=0)
    assert kit.send(bytes(400), priority=1)
    assert kit.lowest_priority == 1
    assert "are used" in kit.explain()
    assert kit.facts()["data"]["used_by"]["0"] > 400
