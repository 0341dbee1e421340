"""HTTPS, for kits whose network lets nothing else through: who may come in, and who is taken for the core."""

from __future__ import annotations

import random
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from returning import PATIENCE_S, returns

from kit.clock import AcceleratedClock, ManualClock
from sync.links.fallback import AFTER_S, BACK_S, Fallback
from sync.links.https_core import HttpsCoreLink
from sync.links.https_kit import HttpsKitLink, checked_url
from sync.links.https_wire import MOST_WAIT_S
from sync.links.port import Arrival, LinkError, LinkState
from sync.protocol import keys

CORE, KIT = bytes(range(32)), bytes(range(32, 64))


def wait_for(condition: Callable[[], Any], *, seconds: float = 8.0, what: Callable[[], str] = str) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what()}"
        time.sleep(0.01)
    return result


@dataclass
class Web:
    """A core, kits, and what is to be closed at the end."""

    folder: Path
    known: set[tuple[int, bytes]] = field(default_factory=lambda: {(7, keys.public_of(KIT))})
    opened: list[Any] = field(default_factory=list)
    needed: bool = True

    def clock(self) -> AcceleratedClock:
        return AcceleratedClock(0.0, time.clock_gettime(time.CLOCK_BOOTTIME), 400.0)

    def core(self, *, port: int = 0, private: bytes = CORE, keys_in: str = "core") -> HttpsCoreLink:
        folder = self.folder / keys_in
        folder.mkdir(exist_ok=True)
        link = HttpsCoreLink(
            host="127.0.0.1",
            port=port,
            keys=folder,
            exchange_private=private,
            allowed=lambda link_id, public: (link_id, public) in self.known,
            clock=self.clock(),
        )
        self.opened.append(link)
        link.open()
        return link

    def kit(self, *ports: int, private: bytes = KIT, link_id: int = 7, path: str = "") -> HttpsKitLink:
        link = HttpsKitLink(
            urls=[f"https://127.0.0.1:{port}{path}" for port in ports],
            link_id=link_id,
            core_public=keys.public_of(CORE),
            exchange_private=private,
            exchange_public=keys.public_of(private),
            needed=lambda: self.needed,
            clock=self.clock(),
            rng=random.Random(4),
        )
        self.opened.append(link)
        link.open()
        return link


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    web = Web(tmp_path)
    yield web
    for link in reversed(web.opened):
        link.close()


def up(link: HttpsKitLink) -> bool:
    return link.state() is LinkState.UP


def test_frames_go_both_ways_and_the_answer_comes_at_once(web: Web) -> None:
    core = web.core()
    kit = web.kit(core.port)
    wait_for(partial(up, kit), what=kit.explain)
    frames = [b"alert", bytes(60_000), b""]
    for frame in frames:
        wait_for(partial(kit.send, frame, priority=0))
    arrived: list[Arrival] = []
    while len(arrived) < len(frames):
        arrived += core.receive(1.0)
    assert {each.frame for each in arrived} == set(frames)
    assert core.send(b"seen", priority=0, to=arrived[0].via)
    # it does not wait for the next request, which comes when this one has been held for its time
    came = returns(lambda: wait_for(lambda: kit.receive(0.5)), what="the answer")
    assert [each.frame for each in came] == [b"seen"]
    assert PATIENCE_S < MOST_WAIT_S / 2


def test_while_the_direct_connection_works_it_stands_by_and_then_lets_go_again(web: Web) -> None:
    web.needed = False
    core = web.core()
    kit = web.kit(core.port)
    time.sleep(0.2)
    assert kit.state() is LinkState.DOWN
    assert "standing by" in kit.explain()
    assert not kit.send(b"no", priority=0)
    web.needed = True
    wait_for(partial(up, kit), what=kit.explain)
    web.needed = False
    assert kit.state() is LinkState.DOWN
    web.needed = True
    wait_for(partial(up, kit), what=kit.explain)


def test_a_kit_that_was_not_invited_is_turned_away_and_told_so(web: Web) -> None:
    core = web.core()
    kit = web.kit(core.port, private=bytes(range(64, 96)))
    wait_for(lambda: (kit.state(), kit.fault())[1], what=kit.explain)
    assert "kit join INVITE" in kit.explain()
    assert "turned away" in core.explain()


def test_whoever_has_another_key_than_the_invite_s_is_not_taken_for_the_core(web: Web) -> None:
    core = web.core(private=bytes(range(96, 128)))
    kit = web.kit(core.port)
    wait_for(lambda: (kit.state(), "not as the city core" in kit.explain())[1], what=kit.explain)
    assert not kit.send(b"secret", priority=0)


def test_somebody_in_the_middle_with_a_certificate_of_his_own_is_noticed(web: Web) -> None:
    """He passes every byte on to the real core, but cannot show its certificate."""
    core = web.core()
    other = web.folder / "other"
    web.core(keys_in="other")  # makes a certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(other / "https.pem")
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def pass_on(client: ssl.SSLSocket) -> None:
        inner = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        inner.check_hostname, inner.verify_mode = False, ssl.CERT_NONE
        with client, inner.wrap_socket(socket.create_connection(("127.0.0.1", core.port))) as server:
            client.settimeout(2.0)
            heard = b""
            while len(heard.partition(b"\r\n\r\n")[2]) < 50:  # an opening
                heard += client.recv(65536)
            server.sendall(heard)
            server.settimeout(2.0)
            client.sendall(server.recv(65536))

    def serve() -> None:
        listener.settimeout(0.1)
        while not stop.is_set():
            try:
                raw, _ = listener.accept()
                pass_on(context.wrap_socket(raw, server_side=True))
            except OSError:
                continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        kit = web.kit(listener.getsockname()[1])
        wait_for(lambda: (kit.state(), "not as the city core" in kit.explain())[1], what=kit.explain)
    finally:
        stop.set()
        thread.join()
        listener.close()


def test_a_restarted_core_is_found_again_without_a_word_from_anybody(web: Web) -> None:
    core = web.core()
    kit = web.kit(core.port)
    wait_for(partial(up, kit), what=kit.explain)
    port = core.port
    core.close()
    wait_for(lambda: not up(kit), what=kit.explain)
    core = web.core(port=port)
    wait_for(partial(up, kit), what=kit.explain)
    wait_for(partial(kit.send, b"again", priority=1))
    assert [each.frame for each in core.receive(2.0) or core.receive(2.0)] == [b"again"]


def test_of_several_addresses_the_one_that_answers_is_taken(web: Web) -> None:
    core = web.core()
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = free.getsockname()[1]
    kit = web.kit(nobody, core.port, path="/behind/a/proxy")
    wait_for(partial(up, kit), what=kit.explain)
    assert str(core.port) in kit.explain()


def test_a_frame_for_a_kit_that_does_not_come_this_way_is_refused(web: Web) -> None:
    core = web.core()
    assert not core.send(b"who", priority=0, to="nobody")
    assert not core.send(b"everybody", priority=0)


def test_nothing_piles_up_for_a_kit_that_does_not_fetch_it(web: Web) -> None:
    core = web.core()
    kit = web.kit(core.port)
    wait_for(partial(up, kit), what=kit.explain)
    wait_for(partial(kit.send, b"here", priority=1))
    (arrival,) = wait_for(lambda: core.receive(0.5))
    kit.close()
    assert (
        sum(core.send(b"x", priority=5, to=arrival.via) for _ in range(50)) <= 17
    )  # eight, and what the request took that waited


@pytest.mark.parametrize(
    "words",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /sync/frames HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /sync/open HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /sync/open HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n",
        b"POST /sync/open HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /sync/open HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /sync/open HTTP/1.1\r\nContent-Length: 50\r\n\r\n" + b"\0" * 50,
        b"\0" * 20_000,
    ],
)
def test_strangers_get_an_answer_or_nothing_and_the_core_lives(web: Web, words: bytes) -> None:
    core = web.core()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(socket.create_connection(("127.0.0.1", core.port), timeout=5)) as stranger:
        stranger.sendall(words)
        answer = stranger.recv(4096)
    assert answer == b"" or answer.split()[1] in {b"400", b"401", b"404", b"413"}
    kit = web.kit(core.port)
    wait_for(partial(up, kit), what=kit.explain)


def test_the_certificate_is_made_once_and_readable_by_its_owner_only(web: Web) -> None:
    web.core().close()
    file = web.folder / "core" / "https.pem"
    assert file.stat().st_mode & 0o077 == 0
    before = file.read_bytes()
    web.core()
    assert file.read_bytes() == before
    told = subprocess.run(["openssl", "x509", "-in", file, "-noout", "-subject"], capture_output=True, check=False)
    assert told.returncode == 0
    assert b"village-kit core" in told.stdout


def test_a_port_in_use_says_which_setting_to_change(web: Web) -> None:
    core = web.core()
    with pytest.raises(LinkError, match=r"already used.*\[core\] https"):
        web.core(port=core.port)


@pytest.mark.parametrize("url", ["http://core", "core:443", "https://", "https://core:x"])
def test_an_address_that_is_none_says_how_to_write_it(url: str) -> None:
    with pytest.raises(LinkError, match="https://HOST:PORT"):
        checked_url(url)


class Primary:
    """A first way that is as it is told."""

    name, mtu_bytes, lowest_priority = "cellular", 60_000, 5

    def __init__(self) -> None:
        self.now = LinkState.CONNECTING

    def state(self) -> LinkState:
        return self.now


def test_the_second_way_is_taken_after_a_minute_in_vain_and_left_when_the_first_stands_again() -> None:
    clock, primary = ManualClock(), Primary()
    fallback = Fallback(primary, clock)  # type: ignore[arg-type] # only its state is asked for
    assert not fallback.needed()
    clock.advance(AFTER_S - 1)
    assert not fallback.needed()
    clock.advance(2)
    assert fallback.needed()
    primary.now = LinkState.UP
    assert fallback.needed()  # until it has stood for a while
    clock.advance(BACK_S + 1)
    assert not fallback.needed()


def test_a_network_that_flaps_is_not_taken_for_a_blocked_port() -> None:
    clock, primary = ManualClock(), Primary()
    fallback = Fallback(primary, clock)  # type: ignore[arg-type] # only its state is asked for
    for _ in range(20):
        for state in (LinkState.CONNECTING, LinkState.UP):
            primary.now = state
            for _ in range(10):
                clock.advance(2)
                assert not fallback.needed()


def test_without_any_network_the_second_way_is_none_either() -> None:
    clock, primary = ManualClock(), Primary()
    fallback = Fallback(primary, clock)  # type: ignore[arg-type] # only its state is asked for
    primary.now = LinkState.DOWN
    fallback.needed()
    clock.advance(10 * AFTER_S)
    assert not fallback.needed()
