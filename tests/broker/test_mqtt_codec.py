"""The wire: packets survive the way to bytes and back, and no bytes bring anything but typed errors."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.broker.protocol.connection import ServerConnection
from kit.broker.protocol.errors import (
    IdentifierRejected,
    LimitExceeded,
    LocalProtocolError,
    MalformedPacket,
    RemoteProtocolError,
    TimedOut,
    UnacceptableVersion,
    UnexpectedPacket,
)
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import (
    FAILURE,
    Connack,
    Connect,
    Disconnect,
    Message,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubacks,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Wish,
)
from kit.broker.protocol.properties import Prop, encode_property
from kit.broker.protocol.reader import TOPICS_REMEMBERED, PacketReader, Topics
from kit.broker.protocol.reasons import Reason
from kit.broker.protocol.writer import encode

LIMITS = Limits()

ids = st.integers(1, 0xFFFF)
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0+#/"), max_size=12)
topics = st.lists(words, min_size=1, max_size=5).map("/".join).filter(bool)
filters = st.one_of(topics, st.sampled_from(["#", "+", "+/#", "a/+/b", "/", "$SYS/#"]))
payloads = st.binary(max_size=300)
qos = st.integers(0, 2)
messages = st.builds(Message, topics, payloads, qos, st.booleans())


@st.composite
def publishes(draw: st.DrawFn) -> Publish:
    level = draw(qos)
    dup = draw(st.booleans()) if level else False
    return Publish(draw(topics), draw(payloads), level, draw(st.booleans()), dup, draw(ids) if level else None)


@st.composite
def connects(draw: st.DrawFn) -> Connect:
    username = draw(st.none() | words)
    return Connect(
        client_id=draw(words),
        clean_session=draw(st.booleans()),
        keep_alive_s=draw(st.integers(0, 0xFFFF)),
        username=username,
        password=None if username is None else draw(st.none() | st.binary(max_size=20)),
        will=draw(st.none() | messages),
    )


numbers = st.integers(1, 0xFFFFFFFF)
reasons = st.integers(0, 0xFF)
passed_on = st.lists(
    st.one_of(
        st.tuples(st.just(Prop.USER_PROPERTY), st.tuples(words, words)),
        st.tuples(st.just(Prop.SUBSCRIPTION_ID), st.integers(1, 0xFFFFFFF)),
    ),
    max_size=3,
).map(
    lambda pairs: (
        b"".join(encode_property(*pair) for pair in pairs if pair[0] == Prop.USER_PROPERTY)
        + b"".join(encode_property(*pair) for pair in pairs if pair[0] != Prop.USER_PROPERTY)
    )
)


@st.composite
def publishes5(draw: st.DrawFn) -> Publish:
    alias = draw(st.none() | st.integers(0, 0xFFFF))
    return draw(publishes())._replace(
        properties=draw(passed_on),
        expiry_s=draw(st.none() | numbers),
        alias=alias,
        topic="" if alias is not None and draw(st.booleans()) else draw(topics),
    )


@st.composite
def connects5(draw: st.DrawFn) -> Connect:
    will = draw(st.none() | messages)
    return replace(
        draw(connects()),
        version=5,
        will=will,
        session_expiry_s=draw(st.just(0) | numbers),
        receive_maximum=draw(ids),
        packet_bytes=draw(st.none() | numbers),
        topic_alias_maximum=draw(st.integers(0, 0xFFFF)),
        problem_information=draw(st.booleans()),
        auth_method=draw(st.none() | words),
        will_delay_s=draw(st.just(0) | numbers) if will else 0,
        will_expiry_s=draw(st.none() | numbers) if will else None,
    )


shared = st.builds("$share/{}/{}".format, words.filter(bool), filters.filter(lambda f: not f.startswith("$share/")))
wishes = st.builds(Wish, qos, st.booleans(), st.booleans(), st.integers(0, 2))
wanted = st.one_of(
    st.tuples(filters, wishes), st.tuples(shared, st.builds(Wish, qos, st.just(value=False), st.booleans()))
)
packets5: st.SearchStrategy[Packet] = st.one_of(
    publishes5(),
    st.builds(
        Connack,
        st.booleans(),
        reasons,
        words,
        st.none() | words,
        st.none() | st.integers(0, 0xFFFF),
        st.none() | ids,
        st.none() | numbers,
        st.none() | st.integers(0, 0xFFFF),
    ),
    *[st.builds(kind, ids, reasons, words) for kind in (Puback, Pubrec, Pubrel, Pubcomp)],
    st.builds(Subscribe, ids, st.lists(wanted, min_size=1, max_size=4).map(tuple), st.none() | st.integers(1, 9999)),
    st.builds(Suback, ids, st.lists(reasons, min_size=1, max_size=4).map(tuple)),
    st.builds(Unsuback, ids, st.lists(reasons, min_size=1, max_size=4).map(tuple)),
    st.builds(Unsubscribe, ids, st.lists(filters, min_size=1, max_size=4).map(tuple)),
    st.builds(Disconnect, reasons, words, st.none() | numbers),
    st.sampled_from([Pingreq(), Pingresp()]),
)

packets: st.SearchStrategy[Packet] = st.one_of(
    connects(),
    publishes(),
    st.builds(Connack, st.booleans(), st.integers(0, 5)),
    *[ids.map(kind) for kind in (Puback, Pubrec, Pubrel, Pubcomp, Unsuback)],
    st.builds(Subscribe, ids, st.lists(st.tuples(filters, qos), min_size=1, max_size=4).map(tuple)),
    st.builds(Suback, ids, st.lists(st.sampled_from([0, 1, 2, FAILURE]), min_size=1, max_size=4).map(tuple)),
    st.builds(Unsubscribe, ids, st.lists(filters, min_size=1, max_size=4).map(tuple)),
    st.sampled_from([Pingreq(), Pingresp(), Disconnect()]),
)


def read_all(
    chunks: list[bytes], limits: Limits = LIMITS, version: int = 4, *, known_at_once: bool = False
) -> tuple[list[Packet], str | None]:
    """The packets in the bytes, and the error that ended them; as a link reads them if `known_at_once`."""
    reader = PacketReader(limits, packet_bytes=limits.packet_bytes, reads_server=True)
    reader.version = version
    found: list[Packet] = []
    for chunk in chunks:
        reader.receive_data(chunk)
        try:
            while True:
                known = reader.take_known(room=100, overhead=64) if known_at_once else None
                if known is not None:
                    found += known.apart()
                    continue
                packet = reader.next_packet()
                if packet is None:
                    break
                found.append(packet)
        except RemoteProtocolError as error:
            return found, f"{type(error).__name__}: {error}"
    return found, None


def read(data: bytes, limits: Limits = LIMITS) -> Packet | None:
    reader = PacketReader(limits, packet_bytes=limits.packet_bytes)
    reader.receive_data(data)
    return reader.next_packet()


@given(st.lists(packets, max_size=5))
def test_every_packet_comes_back_from_its_bytes(sent: list[Packet]) -> None:
    assert read_all([b"".join(map(encode, sent))]) == (sent, None)


@given(st.lists(packets5, max_size=5))
def test_every_packet_of_mqtt_5_comes_back_from_its_bytes(sent: list[Packet]) -> None:
    assert read_all([b"".join(encode(packet, 5) for packet in sent)], version=5) == (sent, None)


@given(connects5())
def test_a_connect_of_mqtt_5_comes_back_and_sets_the_version(connect: Connect) -> None:
    follows = Publish("t", b"", properties=encode_property(Prop.USER_PROPERTY, ("a", "b")))
    assert read_all([encode(connect) + encode(follows, 5)]) == ([connect, follows], None)


@given(st.lists(packets, max_size=4), st.binary(max_size=40), st.lists(st.integers(0, 400), max_size=12))
def test_how_the_network_cuts_the_bytes_makes_no_difference(sent: list[Packet], noise: bytes, cuts: list[int]) -> None:
    data = b"".join(map(encode, sent)) + noise
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(places)]
    assert read_all(pieces) == read_all([data])
    assert read_all(pieces, known_at_once=True) == read_all([data])


on_few_topics = st.builds(
    Publish,
    st.sampled_from(["t", "u", "ä/1"]),
    st.binary(max_size=200),
    st.just(1),
    packet_id=ids,
    properties=st.just(b""),
    expiry_s=st.none() | st.just(7),
    alias=st.none() | st.just(2),
)


@given(
    st.lists(on_few_topics | publishes(), max_size=12),
    st.lists(st.tuples(st.integers(0, 999), st.integers(0, 255)), max_size=3),
)
def test_messages_on_known_topics_are_read_in_one_go_as_they_are_one_by_one(
    sent: list[Packet], damage: list[tuple[int, int]]
) -> None:
    for version in (4, 5):
        data = bytearray(b"".join(encode(packet, version) for packet in sent))
        for at, byte in damage:
            if data:
                data[at % len(data)] = byte
        assert read_all([bytes(data)], version=version, known_at_once=True) == read_all([bytes(data)], version=version)


def test_no_more_messages_are_read_than_there_is_room_for() -> None:
    reader = PacketReader(LIMITS, packet_bytes=LIMITS.packet_bytes)
    reader.receive_data(encode(Publish("t", b"12345678", 1, packet_id=1)) * 6)
    assert reader.take_known(room=100, overhead=64) is None, "the topic has not been looked at yet"
    assert reader.next_packet() is not None
    two, one = reader.take_known(room=100, overhead=64), reader.take_known(room=0, overhead=64)
    assert (two and two.number, one and one.number) == (2, 1), "the one that goes beyond it is the last"


def test_a_topic_that_one_client_has_used_is_known_for_all_and_only_so_many_are_remembered() -> None:
    topics: Topics = {}
    for number in range(TOPICS_REMEMBERED + 10):
        reader = PacketReader(LIMITS, packet_bytes=LIMITS.packet_bytes, topics=topics)
        reader.receive_data(encode(Publish(f"t/{number}", b"", 1, packet_id=1)))
        assert reader.next_packet() is not None
        assert 0 < len(topics) <= TOPICS_REMEMBERED
    on_the_last, again = Publish(f"t/{number}", b"1", 1, packet_id=1), Publish(f"t/{number}", b"22", 1, packet_id=2)
    reader.receive_data(encode(on_the_last) + encode(again) + encode(Publish("t/new", b"", 1, packet_id=3)))
    known = reader.take_known(room=1000, overhead=64)
    assert known is not None
    assert list(known.apart()) == [on_the_last, again]


@given(st.lists(ids, min_size=1, max_size=20, unique=True), st.integers(1, 9), st.booleans())
def test_a_client_that_begins_too_many_messages_is_told_so_also_on_a_topic_that_is_known(
    packet_ids: list[int], receive_maximum: int, with_properties: bool
) -> None:
    connection = ServerConnection(Limits(receive_maximum=receive_maximum), now=0.0)
    connect = Connect(client_id="roof", version=5)
    sent = [Publish("t", b"1", 1, packet_id=packet_id) for packet_id in packet_ids]
    if with_properties:
        sent[-1] = sent[-1]._replace(expiry_s=7)
    connection.receive_data(encode(connect) + b"".join(encode(packet, 5) for packet in sent), now=0.0)
    assert connection.next_packet() == connect
    connection.accept(connect, now=0.0)
    came: list[Packet] = []

    def take() -> None:
        known = connection.take_known(room=10_000, overhead=64)
        came.extend([connection.next_packet() or Pingreq()] if known is None else known.apart())

    while len(came) < min(len(sent), receive_maximum):
        take()
    assert came == sent[:receive_maximum]
    if len(sent) > receive_maximum:
        with pytest.raises(UnexpectedPacket) as told:
            take()
        assert told.value.reason == Reason.RECEIVE_MAXIMUM_EXCEEDED


@given(st.lists(ids, max_size=30))
def test_many_acknowledgements_are_the_bytes_of_each(packet_ids: list[int]) -> None:
    each = b"".join(b"\x40\x02" + number.to_bytes(2, "big") for number in packet_ids)
    for version in (4, 5):
        assert encode(Pubacks(packet_ids), version) == each == b"".join(encode(Puback(n), version) for n in packet_ids)


@pytest.mark.parametrize("wrong", [0, 65_536, -1])
def test_an_acknowledgement_of_no_packet_is_not_written(wrong: int) -> None:
    with pytest.raises(LocalProtocolError, match="from 1 to 65535"):
        encode(Pubacks([1, wrong]))


@given(st.binary(max_size=400))
def test_any_bytes_at_all_raise_nothing_but_typed_errors(data: bytes) -> None:
    read_all([data])
    read_all([data], version=5)
    connection = ServerConnection(LIMITS, now=0.0)
    connection.receive_data(data, now=0.0)
    try:
        while (packet := connection.next_packet()) is not None:
            if isinstance(packet, Connect):
                connection.accept(packet, now=0.0)
    except RemoteProtocolError:
        pass


@given(packets, st.integers(0, 400), st.integers(0, 255))
def test_a_packet_with_one_byte_changed_raises_nothing_but_typed_errors(packet: Packet, at: int, byte: int) -> None:
    data = bytearray(encode(packet))
    data[at % len(data)] = byte
    read_all([bytes(data)])


@given(packets5 | connects5(), st.integers(0, 400), st.integers(0, 255))
def test_a_packet_of_mqtt_5_with_one_byte_changed_raises_nothing_but_typed_errors(
    packet: Packet, at: int, byte: int
) -> None:
    data = bytearray(encode(packet, 5))
    data[at % len(data)] = byte
    read_all([bytes(data)], version=5)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x00\x00", "begins no MQTT"),
        (b"\xf0\x00", "begins no MQTT"),
        (b"\x60\x02\x00\x01", "begins no MQTT"),  # PUBREL without its flag
        (b"\x30\xff\xff\xff\xff\x01", "four bytes"),
        (b"\x36\x06\x00\x01a\x00\x01x", "QoS 3"),
        (b"\x38\x04\x00\x01ax", "DUP 1"),
        (b"\x32\x05\x00\x01a\x00\x00", "packet id 0"),
        (b"\x30\x03\x00\x01#", "no topic name"),
        (b"\x30\x02\x00\x00", "no topic name"),
        (b"\x30\x03\x00\x01\x00", "U+0000"),
        (b"\x30\x03\x00\x01\xff", "UTF-8"),
        (b"\x30\x05\x00\x03\xed\xa0\x80", "UTF-8"),  # a surrogate
        (b"\x30\x03\x00\x05a", "ends inside"),
        (b"\x82\x02\x00\x01", "without a filter"),
        (b"\x82\x06\x00\x01\x00\x01a\x03", "requested QoS"),
        (b"\x82\x07\x00\x01\x00\x02a#\x00", "no topic filter"),
        (b"\xa2\x02\x00\x01", "without a filter"),
        (b"\xc0\x01\x00", "left over"),
        (b"\x40\x03\x00\x01\x00", "left over"),
        (b"\x10\x0d\x00\x04MQTT\x04\x03\x00\x00\x00\x01a", "reserved connect flag"),
        (b"\x10\x0d\x00\x04MQTT\x04\x42\x00\x00\x00\x01a", "password without"),
        (b"\x10\x0d\x00\x04MQTT\x04\x22\x00\x00\x00\x01a", "without a will"),
        (b"\x10\x0d\x00\x04MQTX\x04\x02\x00\x00\x00\x01a", "protocol name"),
    ],
)
def test_what_the_standard_forbids_is_malformed_and_says_why(data: bytes, why: str) -> None:
    with pytest.raises(MalformedPacket, match=why.replace("+", r"\+")):
        read(data)


def test_a_client_of_another_mqtt_version_is_told_so() -> None:
    with pytest.raises(UnacceptableVersion, match="level 6") as six:
        read(b"\x10\x0e\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x01a")
    with pytest.raises(UnacceptableVersion, match=r"MQTT 3\.1"):
        read(b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01a")
    assert (six.value.return_code, six.value.reason) == (1, Reason.UNSUPPORTED_VERSION)


def test_lengths_beyond_the_limits_are_refused_before_they_are_buffered() -> None:
    with pytest.raises(LimitExceeded, match="packet's size"):
        read(b"\x30\xff\xff\xff\x7f")
    with pytest.raises(LimitExceeded, match="length of the topic"):
        read(encode(Publish("a" * 600, b"")))
    with pytest.raises(LimitExceeded, match="levels"):
        read(encode(Publish("/".join("a" * 17), b"")))
    with pytest.raises(LimitExceeded, match="client id"):
        read(encode(Connect(client_id="c" * 129)))
    with pytest.raises(LimitExceeded, match="number of filters"):
        read(encode(Subscribe(1, (("a", 0),) * 65)))


def test_our_own_mistakes_are_told_apart_from_the_clients() -> None:
    with pytest.raises(LocalProtocolError, match="packet id"):
        encode(Puback(0))
    with pytest.raises(LocalProtocolError, match="field of"):
        encode(Publish("t" * 70_000, b""))


def connection_after(*sent: Packet, now: float = 0.0) -> ServerConnection:
    connection = ServerConnection(LIMITS, now=now)
    connection.receive_data(b"".join(map(encode, sent)), now=now)
    packet = connection.next_packet()
    assert isinstance(packet, Connect)
    connection.accept(packet, now=now)
    return connection


def test_a_conversation_begins_with_connect_and_has_only_one() -> None:
    early = ServerConnection(LIMITS, now=0.0)
    early.receive_data(encode(Pingreq()), now=0.0)
    with pytest.raises(UnexpectedPacket, match="PINGREQ"):
        early.next_packet()
    with pytest.raises(UnexpectedPacket, match="CONNECT from a client whose connection is open"):
        connection_after(Connect(client_id="a"), Connect(client_id="a")).next_packet()


def test_packets_that_only_a_server_may_send_are_refused() -> None:
    with pytest.raises(UnexpectedPacket, match="SUBACK"):
        connection_after(Connect(client_id="a"), Suback(1, (0,))).next_packet()


def test_an_empty_client_id_cannot_ask_for_a_kept_session() -> None:
    with pytest.raises(IdentifierRejected) as refused:
        connection_after(Connect(client_id="", clean_session=False))
    assert refused.value.return_code == 2


def test_what_follows_a_connect_waits_until_the_client_is_let_in() -> None:
    connection = ServerConnection(LIMITS, now=0.0)
    connect = Connect(client_id="a")
    connection.receive_data(encode(connect) + encode(Publish("t", b"")), now=0.0)
    assert connection.next_packet() == connect
    assert connection.next_packet() is None
    connection.accept(connect, now=0.0)
    assert connection.next_packet() == Publish("t", b"")


def test_a_silent_client_is_given_one_and_a_half_keep_alives() -> None:
    connection = connection_after(Connect(client_id="a", keep_alive_s=10), now=100.0)
    assert connection.wake_at() == 115.0
    connection.check_time(now=114.9)
    connection.receive_data(encode(Pingreq()), now=114.9)
    assert connection.wake_at() == pytest.approx(129.9)
    with pytest.raises(TimedOut, match="keep-alive"):
        connection.check_time(now=130.0)


def test_a_keep_alive_of_zero_never_runs_out_but_a_missing_connect_does() -> None:
    connection_after(Connect(client_id="a")).check_time(now=1e9)
    with pytest.raises(TimedOut, match="no CONNECT"):
        ServerConnection(LIMITS, now=0.0).check_time(now=10.0)


def test_after_disconnect_nothing_more_is_taken() -> None:
    connection = connection_after(Connect(client_id="a"), Disconnect(), Publish("t", b""))
    assert connection.next_packet() == Disconnect()
    assert connection.next_packet() is None
