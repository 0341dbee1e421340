"""Encrypted connections and browsers: the same broker, the same doors, the same limits."""

from __future__ import annotations

import datetime as dt
import functools
import ipaddress
import socket
import ssl
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from websocket_socket import WebSocketSocket
from wsproto.events import CloseConnection, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason

from kit.broker.listening import Listener
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import Connack, Connect, Pingreq, Pingresp, Puback, Publish
from kit.certificates import authority_file, broker_context, fingerprint
from kit.errors import KitError
from kit.home import Home

if TYPE_CHECKING:
    from tests.broker.conftest import Unit

NAMES = ["kit.local", "192.168.7.1"]


@pytest.fixture(params=["tls_listen", "websocket"])
def unit(request: pytest.FixtureRequest, home: Home, serve: Callable[..., Unit]) -> Iterator[Unit]:
    """A unit whose clients come through one of the further listeners."""
    made = listening(serve, home, request.param)
    yield made
    made.stop()


def listening(serve: Callable[..., Unit], home: Home, setting: str, limits: Limits | None = None) -> Unit:
    context = broker_context(home, unit="k1", names=NAMES)
    more = [
        Listener(host="127.0.0.1", port=0, setting="tls_listen", tls=context),
        Listener(host="127.0.0.1", port=0, setting="websocket", websocket=True),
    ]
    made = serve(more=more, limits=limits)
    made.add_device("roof")
    made.add_device("field")
    assert made.broker is not None
    made.port = made.broker.addresses[setting][1]
    made.wrap = trusting(home) if setting == "tls_listen" else WebSocketSocket
    return made


def trusting(home: Home, name: str = "kit.local") -> Callable[[socket.socket], ssl.SSLSocket]:
    """As a device does that was given the kit's certificate."""
    context = ssl.create_default_context(cafile=authority_file(home))
    return functools.partial(context.wrap_socket, server_hostname=name)


@pytest.mark.parametrize("five", [False, True])
def test_readings_are_acknowledged_and_handed_on_through_every_listener(unit: Unit, five: bool) -> None:
    connect = unit.connect5 if five else unit.connect
    with connect("roof") as roof, connect() as service:
        service.subscribe("sensors/#")
        for number in range(1, 51):
            roof.send(Publish("sensors/roof", b"x" * number * 100, 1, packet_id=number))
        roof.expect(*[Puback(number) for number in range(1, 51)])
        for number in range(1, 21):
            message = service.receive()
            assert isinstance(message, Publish)
            assert message.payload == b"x" * number * 100
    assert len(unit.seen()) == 50


def test_wrong_passwords_are_counted_and_held_back_whichever_listener_they_come_through(
    unit: Unit, eventually: Callable[..., bool]
) -> None:
    plain, wrap = unit.broker.addresses["listen"][1] if unit.broker else 0, unit.wrap
    further = unit.port
    for number, (port, through) in enumerate([(plain, None), (further, wrap), (plain, None), (further, wrap)]):
        unit.port, unit.wrap = port, through
        started = time.monotonic()
        with unit.dial() as client:
            client.send(Connect(client_id="x", username="roof", password=b"guess"))
            client.expect(Connack(session_present=False, code=5))
        if number >= 2:
            assert time.monotonic() - started > 0.2
    statement = "SELECT address, count FROM broker_failed_logins"
    assert eventually(lambda: unit.rows(statement) == [("127.0.0.1", 4)])


@pytest.mark.parametrize("setting", ["tls_listen", "websocket"])
def test_connections_that_are_only_half_made_end_by_themselves_and_are_counted(
    serve: Callable[..., Unit], home: Home, setting: str
) -> None:
    unit = listening(serve, home, setting, Limits(connect_timeout_s=1.5, connections_unauthenticated=8))
    half_open = [socket.create_connection(("127.0.0.1", unit.port), timeout=5) for _ in range(4)]
    for connection, beginning in zip(half_open, (b"", b"\x16\x03\x01", b"GET /mqtt HTTP/1.1\r\n", b"x"), strict=True):
        connection.sendall(beginning)
    with socket.create_connection(("127.0.0.1", unit.port), timeout=5):
        assert half_open[0].recv(4096) == b""  # who waits longest makes room
    for connection in half_open:
        while connection.recv(4096):
            pass
        connection.close()
    with unit.connect("roof") as roof:
        roof.publish("sensors/roof", b"still served")


def test_a_removed_device_is_shown_out_of_every_listener(unit: Unit) -> None:
    with unit.connect("roof") as roof:
        unit.remove_device("roof")
        assert roof.is_closed()


def test_certificates_are_valid_whatever_the_clock_says(home: Home) -> None:
    broker_context(home, unit="k1", names=NAMES)
    authority = x509.load_pem_x509_certificate(authority_file(home).read_bytes())
    leaf = x509.load_pem_x509_certificate((home.keys / "broker.pem").read_bytes())
    for year in (1970, 2026, 2100, 9998):
        moment = dt.datetime(year, 1, 1)  # noqa: DTZ001 - the library wants naive UTC
        for subject in (x509.DNSName("kit.local"), x509.IPAddress(ipaddress.ip_address("192.168.7.1"))):
            builder = PolicyBuilder().store(Store([authority])).time(moment)
            assert builder.build_server_verifier(subject).verify(leaf, [])


def test_keys_are_the_owners_alone(home: Home) -> None:
    broker_context(home, unit="k1", names=NAMES)
    for name in ("ca.key", "broker.key"):
        assert stat.S_IMODE((home.keys / name).stat().st_mode) == 0o600


def test_new_addresses_get_a_new_certificate_by_the_same_authority(home: Home) -> None:
    def now() -> tuple[str, bytes]:
        return fingerprint(authority_file(home)), (home.keys / "broker.pem").read_bytes()

    broker_context(home, unit="k1", names=NAMES)
    first = now()
    broker_context(home, unit="k1", names=NAMES)
    assert now() == first
    broker_context(home, unit="k1", names=[*NAMES, "10.0.0.9"])
    second = now()
    assert (second[0] == first[0], second[1] == first[1]) == (True, False)
    (home.keys / "broker.pem").write_text("gibberish")
    with pytest.raises(KitError, match="damaged"):
        broker_context(home, unit="k1", names=NAMES)


def test_a_device_that_does_not_trust_this_kit_does_not_tell_it_its_password(
    serve: Callable[..., Unit], home: Home, tmp_path: Path
) -> None:
    unit = listening(serve, home, "tls_listen")
    other = Home(tmp_path / "other")
    other.prepare()
    broker_context(other, unit="k2", names=NAMES)
    for wrap in (trusting(other), trusting(home, "elsewhere.local")):
        with (
            socket.create_connection(("127.0.0.1", unit.port), timeout=5) as plain,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            wrap(plain)
    with socket.create_connection(("127.0.0.1", unit.port), timeout=5) as plain:
        plain.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a")
        assert b"\x20" not in plain.recv(100)[:1]
    with unit.connect("roof") as roof:
        roof.publish("sensors/roof", b"x")


@pytest.fixture
def browser(serve: Callable[..., Unit], home: Home) -> Unit:
    return listening(serve, home, "websocket")


def test_how_packets_are_cut_into_frames_makes_no_difference(browser: Unit) -> None:
    browser.wrap = functools.partial(WebSocketSocket, frame_bytes=1)
    with browser.connect("roof") as roof:
        roof.send(Publish("sensors/roof", b"in pieces", 1, packet_id=1), Pingreq())
        assert {type(roof.receive()), type(roof.receive())} == {Pingresp, Puback}
    assert browser.seen() == [b"in pieces"]


def test_a_websocket_that_is_not_for_mqtt_is_refused_in_words(browser: Unit) -> None:
    with (
        socket.create_connection(("127.0.0.1", browser.port), timeout=5) as plain,
        pytest.raises(ConnectionRefusedError, match="400"),
    ):
        WebSocketSocket(plain, subprotocols=("chat",))
    with socket.create_connection(("127.0.0.1", browser.port), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: kit\r\n\r\n")
        assert b" 4" in plain.recv(4096)[:13]


def test_a_handshake_that_is_no_ascii_is_refused(browser: Unit) -> None:
    with socket.create_connection(("127.0.0.1", browser.port), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: kit\r\nUpgrade: websocket\r\nConnection: Up\xe8grade\r\n\r\n")
        assert plain.recv(4096) == b""


def test_text_frames_end_the_connection(browser: Unit) -> None:
    with browser.connect("roof") as roof:
        web = roof.socket
        assert isinstance(web, WebSocketSocket)
        web.plain.sendall(web.connection.send(TextMessage("hello")))
        event = web.next_event()
        assert isinstance(event, CloseConnection)
        assert event.code == CloseReason.UNSUPPORTED_DATA


def test_pings_are_answered_and_a_proper_end_is_answered_too(browser: Unit) -> None:
    with browser.connect("roof") as roof:
        web = roof.socket
        assert isinstance(web, WebSocketSocket)
        web.plain.sendall(web.connection.send(Ping(b"there?")))
        assert web.next_event() == Pong(b"there?")
        web.plain.sendall(web.connection.send(CloseConnection(CloseReason.NORMAL_CLOSURE)))
        assert isinstance(web.next_event(), CloseConnection)


def test_a_frame_that_claims_to_be_enormous_is_not_waited_for(browser: Unit) -> None:
    with browser.connect("roof") as roof:
        web = roof.socket
        assert isinstance(web, WebSocketSocket)
        # a binary frame of 2^62 bytes begins with an MQTT packet that is larger than the broker takes
        web.plain.sendall(b"\x82\xff" + (1 << 62).to_bytes(8, "big") + bytes(4) + b"\x30\xff\xff\xff\x7f")
        assert roof.is_closed()


def test_pings_without_anybody_who_reads_the_answers_are_bounded(serve: Callable[..., Unit], home: Home) -> None:
    unit = listening(serve, home, "websocket", Limits(unsent_bytes=50_000))
    with unit.connect("roof") as roof:
        web = roof.socket
        assert isinstance(web, WebSocketSocket)
        flood = web.connection.send(Ping(b"x" * 125)) * 200_000
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):
            web.plain.sendall(flood)
