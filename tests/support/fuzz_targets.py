"""Every parser that bytes from outside reach, with captured messages to begin from."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial

from captured import CAPTURES
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fuzz_published import published_targets
from fuzzing import Target
from wsproto import ConnectionType, WSConnection
from wsproto.events import BytesMessage, CloseConnection, Ping, Request, TextMessage

from kit.broker.hub import Hub
from kit.broker.protocol.connection import ServerConnection
from kit.broker.protocol.errors import RemoteProtocolError
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import (
    Connack,
    Connect,
    Disconnect,
    Message,
    Packet,
    Pingreq,
    Puback,
    Pubcomp,
    Publish,
    Publishes,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Wish,
)
from kit.broker.protocol.properties import Prop, encode_property
from kit.broker.protocol.reader import PacketReader
from kit.broker.protocol.topics import is_topic_filter, is_topic_name, matches, shared_filter
from kit.broker.protocol.websocket import WebSocketServer
from kit.broker.protocol.writer import encode
from kit.collect.dialects import OWN, recognise
from kit.collect.dialects.port import Dialect, DialectError, Heard
from kit.model.batch import BatchError, decode_batch, encode_batch
from kit.model.letters import LetterError, letter_body, letter_from_body, make_letter
from kit.model.new_key import NewKeyError, known_key_body, known_key_from_body, new_key_body, new_key_from_body
from kit.model.readings import Reading
from kit.model.senml import SenMLError, parse_senml
from kit.model.summary import decode_summary, encode_summary, summarise
from sync.packing.errors import PackingError
from sync.packing.rows import Row, Table
from sync.packing.scale import Scale
from sync.packing.table import pack, unpack
from sync.protocol import keys
from sync.protocol.bundle import Bundle, encode_bundle, encode_payload, read_bundle, read_payload
from sync.protocol.enrolment import Hello, Invite, make_hello
from sync.protocol.errors import InviteError, RemoteSyncError
from sync.protocol.frames import FrameType
from sync.protocol.items import (
    Beacon,
    RecordPacker,
    decode_items,
    encode_accepted,
    encode_beacon,
    encode_behind,
    encode_context,
    encode_wait,
    encode_welcome,
)
from sync.protocol.multicast import EVERYBODY, Gathering, frames_of, make_object
from sync.protocol.records import Priority, Record, RecordId
from sync.protocol.sealing import Opener, Sealer

LIMITS = Limits()
PROPERTIES = (
    encode_property(Prop.CONTENT_TYPE, "text/plain")
    + encode_property(Prop.RESPONSE_TOPIC, "sensors/roof/answer")
    + encode_property(Prop.CORRELATION_DATA, b"\x00\xff")
    + encode_property(Prop.USER_PROPERTY, ("name", "value"))
)
SENML = (
    b'[{"bn":"urn:dev:mac:0024befffe804ff1/","bt":1700000000,"n":"temperature","u":"Cel","v":3.4},{"n":"h","v":80}]',
    b'[{"n":"temperature","u":"Cel","v":-1.5,"t":-10}]',
    bytes.fromhex("81a3006b74656d7065726174757265016343656c02fb400b333333333333"),
    bytes.fromhex("82a42178016162221a6553f1000061740218fa a1006178".replace(" ", "")),
)


def mqtt_targets() -> list[Target]:
    """The broker's own parsers."""
    return [
        Target(name="mqtt", seeds=_conversations(), parse=converse, refuses=(RemoteProtocolError,)),
        Target(
            name="mqtt-client",
            seeds=[encode(packet, version) for packet in _from_server() for version in (4, 5)],
            parse=_read_as_client,
            refuses=(RemoteProtocolError,),
        ),
        Target(name="websocket", seeds=_websocket_streams(), parse=_unframe),
        Target(
            name="topics",
            seeds=[b"sensors/roof\0sensors/+", b"a/b\0#", b"\0$share/x/a/#", b"$SYS/x\0+/#", b"a//b\0a/+/b"],
            parse=_match,
        ),
    ]


def reading_targets() -> list[Target]:
    """What turns messages into readings."""
    texts = [(topic, payload) for capture in CAPTURES for topic, payload in capture.messages]
    seeds = [f"{topic}\0{payload}".encode() for topic, payload in texts] + [b"sensors/roof\0" + each for each in SENML]
    return [
        Target(name="senml", seeds=SENML, parse=lambda data: type(parse_senml(data)), refuses=(SenMLError,)),
        Target(name="recognise", seeds=seeds, parse=_recognise),
        *(
            Target(name=dialect.name, seeds=seeds, parse=partial(_hear, dialect), refuses=(DialectError,))
            for dialect in OWN
        ),
    ]


def sync_targets() -> list[Target]:
    """What comes over LoRa, cellular and on USB sticks."""
    private, other = random.Random(1).randbytes(32), random.Random(2).randbytes(32)
    return [
        Target(
            name="sync-items",
            seeds=[_items(), encode_beacon(Beacon(1_790_000_000_000, trusted=True)), encode_behind(7)],
            parse=lambda data: [type(item).__name__ for item in decode_items(data, sender="kit-a")],
            refuses=(RemoteSyncError,),
        ),
        *_frame_targets(private, other),
        *_joining_targets(private, other),
        _packing_target(),
        _broadcast_target(),
        *_body_targets(),
    ]


def _frame_targets(private: bytes, other: bytes) -> list[Target]:
    """Sealed frames, and the bundles that carry them on a stick."""
    shared = keys.agree(private, keys.public_of(other))
    sealer = Sealer(shared, kind=FrameType.UP, link_id=7, salt=5)
    sealed = sealer.seal(_items(), counter=9)
    short = sealer.seal_short(_items(), counter=10, peer_salt=6, secret=bytes(32))
    bundle = Bundle(
        source="dtn://kit-orchard/sync",
        destination="dtn://core-city/sync",
        created_ms=1_790_000_000_000,
        sequence=7,
        lifetime_ms=86_400_000,
        payload=encode_payload([sealed, sealed]),
    )

    def read_both(data: bytes) -> object:
        told, end = read_bundle(data)
        return len(read_payload(told.payload)), end == len(data)

    def opened(data: bytes) -> object:
        opener = Opener(shared, kind=FrameType.UP, link_id=7, salt=6)
        return opener.open(data, peer_salt=5, highest=9, secret=bytes(32)).counter

    return [
        Target(name="sync-frames", seeds=[sealed, short], parse=opened, refuses=(RemoteSyncError,)),
        Target(
            name="sync-bundle",
            seeds=[encode_bundle(bundle), encode_bundle(replace(bundle, payload=b"x"))],
            parse=read_both,
            refuses=(RemoteSyncError,),
        ),
    ]


def _joining_targets(private: bytes, other: bytes) -> list[Target]:
    """What an invite and the first hello say."""
    invite = Invite(
        core="core-abcd1234",
        core_public=keys.public_of(other),
        link_id=7,
        token=bytes(range(16)),
        expires_ms=1_790_000_000_000,
        name="Orchard village",
        address="tcp://core.example:7450",
        curve_public=bytes(range(32)),
    )
    hello = make_hello(
        invite,
        unit="kit-7gq2mzk4",
        exchange_private=private,
        exchange_public=keys.public_of(private),
        curve_public=bytes(32),
        name="Orchard",
    )
    return [
        Target(
            name="sync-hello",
            seeds=[hello.encode()],
            parse=lambda data: type(Hello.decode(data)),
            refuses=(RemoteSyncError,),
        ),
        Target(
            name="sync-invite",
            seeds=[invite.encode().encode()],
            parse=lambda data: type(Invite.decode(data.decode("utf-8", "replace"))),
            refuses=(InviteError,),
        ),
    ]


def _packing_target() -> Target:
    rows = tuple(Row(900 * at, at % 4, (30 - at, 80 + at % 7), (0, at % 3)) for at in range(40))
    return Target(
        name="sync-packing",
        seeds=[pack(Table(1000, ((0, Scale()), (1, Scale())), rows)), pack(Table(1000, ((0, Scale()),), ()))],
        parse=lambda data: len(unpack(data, max_cells=3_000).rows),
        refuses=(PackingError,),
    )


def _broadcast_target() -> Target:
    """Packets that anybody may send on the air."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    record = Record(
        id=RecordId("core-city", 5, 1),
        kind="alert",
        priority=Priority.DISTRESS,
        created_ms=1_790_000_000_000,
        addressee=EVERYBODY,
        body=b"storm",
    )
    told = make_object(record, core_public=bytes(32), sign=key.sign)

    def hear(data: bytes) -> object:
        kit = Gathering(core="core-city", core_public=bytes(32), link_id=7)
        heard, again = kit.take(data, signing_public=key.public_key().public_bytes_raw())
        return heard and heard.id, again, kit.held_bytes

    frames = frames_of(told, core_public=bytes(32), repair=2)
    return Target(name="sync-broadcast", seeds=frames, parse=hear, refuses=(RemoteSyncError,))


def _body_targets() -> list[Target]:
    """The packed bodies of records."""
    readings = [
        Reading(device=device, quantity=quantity, unit=unit, time_ms=1_790_000_000_000 + at * 900_000, value=at / 3)
        for at in range(12)
        for device, quantity, unit in (("field-1", "temperature", "Cel"), ("field-2", "odd", "x"))
    ]
    hours = [summarise("field-1", ("temperature", "Cel"), at * 3_600_000, [at / 2, at]) for at in range(1, 9)]
    letters = [
        letter_body(make_letter("Maji ya shule ni safi tena.", "Juma")),
        letter_body(make_letter("水がない", "")),
    ]
    return [
        Target(
            name="body-readings",
            seeds=[encode_batch(readings), encode_batch(readings[:1])],
            parse=lambda data: len(decode_batch(data)),
            refuses=(BatchError,),
        ),
        Target(
            name="body-summary",
            seeds=[encode_summary(hours)],
            parse=lambda data: len(decode_summary(data)),
            refuses=(BatchError,),
        ),
        Target(
            name="body-message",
            seeds=letters,
            parse=lambda data: len(letter_from_body(data).text.encode()),
            refuses=(LetterError,),
        ),
        Target(
            name="body-new-key",
            seeds=[new_key_body(bytes(range(32)), bytes(32), 1), new_key_body(bytes(32), bytes(32), 2**40)],
            parse=lambda data: [type(part).__name__ for part in new_key_from_body(data)],
            refuses=(NewKeyError,),
        ),
        Target(
            name="body-known-key",
            seeds=[known_key_body(bytes(range(32)), 1)],
            parse=lambda data: [type(part).__name__ for part in known_key_from_body(data)],
            refuses=(NewKeyError,),
        ),
    ]


def all_targets() -> list[Target]:
    """Everything."""
    return [*mqtt_targets(), *reading_targets(), *sync_targets(), *published_targets()]


# --- the broker


def converse(data: bytes) -> object:
    """A whole conversation: bytes through the protocol core, packets through the hub, answers back to bytes."""
    connection, hub = ServerConnection(LIMITS, now=0.0), Hub(LIMITS)
    connection.receive_data(data, now=0.0)
    said: list[str] = []
    while (packet := connection.take_known(room=200, overhead=64) or connection.next_packet()) is not None:
        if isinstance(packet, Connect):
            connection.accept(packet, now=0.0)
            hub.connected(1, packet, username="roof", address="", now_ms=0)
        elif not isinstance(packet, Pingreq):
            hub.received(1, packet, now_ms=0)
        hub.finish(now_ms=0)
        # every other batch cannot be written
        outcome = hub.roll_back() if len(said) % 2 and isinstance(packet, Publish | Publishes) else hub.settle()
        answers = outcome.packets.get(1, [])
        connection.encode(answers)
        said += [type(answer).__name__ for answer in answers]
        if 1 in outcome.closing:
            break
    hub.lost(1, now_ms=0)
    hub.finish(now_ms=0)
    hub.settle()
    return said[:12]


def _conversations() -> list[bytes]:
    will = Message("sensors/roof", b"gone", 1, retain=True, properties=PROPERTIES)
    old = Connect(client_id="a", username="roof", password=b"p", keep_alive_s=60, clean_session=False)
    new = replace(
        old,
        version=5,
        will=will,
        session_expiry_s=60,
        receive_maximum=5,
        packet_bytes=2_000,
        topic_alias_maximum=3,
        will_delay_s=5,
        will_expiry_s=9,
    )
    plain: list[Packet] = [
        Subscribe(1, (("sensors/roof/#", 2), ("alerts/+", 1))),
        Publish("sensors/roof", b"1", 1, True, packet_id=2),
        Publish("sensors/roof/x", b"2", 2, packet_id=3),
        Pubrel(3),
        Puback(1),
        Pubrec(2),
        Pubcomp(2),
        Pingreq(),
        Unsubscribe(4, ("alerts/+",)),
        Disconnect(),
    ]
    wishes = (("sensors/roof/#", Wish(2, no_local=True)), ("$share/g/alerts/#", Wish(1, as_published=True)))
    rich: list[Packet] = [
        Subscribe(1, wishes, 7),
        Publish("sensors/roof", b"1", 1, True, packet_id=2, properties=PROPERTIES, expiry_s=60, alias=1),
        Publish("", b"2", 2, packet_id=3, alias=1),
        Publish("sensors/field", b"forged", 1, packet_id=5),
        *plain[3:9],
        Disconnect(4, "bye", 30),
    ]
    return [
        *(encode(old) + b"".join(map(encode, plain[:n])) for n in range(1, len(plain) + 1)),
        *(encode(new) + b"".join(encode(packet, 5) for packet in rich[:n]) for n in range(1, len(rich) + 1)),
    ]


def _from_server() -> list[Packet]:
    return [
        Connack(session_present=True, code=0, assigned_client_id="x", keep_alive_s=60, receive_maximum=20),
        Publish("sensors/roof", b"x", 1, packet_id=1, properties=PROPERTIES, expiry_s=5, alias=2),
        Puback(1, 0x87, "no"),
        Suback(1, (1, 0x80)),
        Unsuback(1, (0, 17)),
        Disconnect(0x8E, "taken over"),
    ]


def _read_as_client(data: bytes) -> object:
    found = []
    for version in (4, 5):
        reader = PacketReader(LIMITS, packet_bytes=LIMITS.packet_bytes, reads_server=True)
        reader.version = version
        reader.receive_data(data)
        try:
            while (packet := reader.next_packet()) is not None:
                found.append(type(packet).__name__)
        except RemoteProtocolError:
            found.append("refused")
    return found[:6]


def _websocket_streams() -> list[bytes]:
    client = WSConnection(ConnectionType.CLIENT)
    handshake = client.send(Request(host="kit", target="/mqtt", subprotocols=["mqtt"]))
    accepted = WebSocketServer().receive_data(handshake).answer
    client.receive_data(accepted)
    list(client.events())
    frames = [
        client.send(BytesMessage(_conversations()[2])),
        client.send(BytesMessage(b"part", message_finished=False)) + client.send(BytesMessage(b"ed")),
        client.send(Ping(b"there?")),
        client.send(TextMessage("text")),
        client.send(CloseConnection(1000, "bye")),
    ]
    return [handshake, *(handshake + b"".join(frames[: n + 1]) for n in range(len(frames)))]


def _unframe(data: bytes) -> object:
    socket = WebSocketServer()
    told = []
    for start in range(0, len(data), 700):
        received = socket.receive_data(data[start : start + 700])
        socket.wrap(received.mqtt[:50])
        told.append((bool(received.mqtt), bool(received.answer), received.ended, received.why[:30]))
    socket.goodbye()
    return told[:4]


def _match(data: bytes) -> object:
    topic, _, topic_filter = data.decode("utf-8", "replace").partition("\0")
    told = [is_topic_name(topic), is_topic_filter(topic_filter), shared_filter(topic_filter) is not None]
    if told[0] and told[1]:
        told.append(matches(topic_filter, topic))
    return told


# --- readings


def _split(data: bytes) -> tuple[str, bytes]:
    topic, _, payload = data.partition(b"\0")
    return topic.decode("utf-8", "replace"), payload


def _recognise(data: bytes) -> object:
    found = recognise(*_split(data))
    return found and found[0].name


def _hear(dialect: Dialect, data: bytes) -> object:
    topic, payload = _split(data)
    parsed = dialect.parse(Heard(topic, payload, topic.partition("/")[2], "a/b", {}))
    return sorted({seen.quantity for seen in parsed.observations})[:4]


# --- sync


def _items() -> bytes:
    record = Record(
        id=RecordId("kit-a", 3, 9),
        kind="alert",
        priority=Priority.DISTRESS,
        created_ms=1_790_000_000_000,
        lifetime_s=600,
        body=b"body",
    )
    packer = RecordPacker("kit-a")
    first = packer.encode(record)
    packer.keep(record)
    second = packer.encode(replace(record, id=RecordId("kit-a", 3, 10), kind="readings", addressee="kit-b"))
    accepted = b"".join(item for item, _ in encode_accepted({RecordId("kit-a", 1, n) for n in (1, 2, 9)}, peer="kit-a"))
    return (
        first
        + second
        + accepted
        + encode_beacon(Beacon(1_790_000_000_000, trusted=False))
        + encode_behind(513)
        + encode_context(3)
        + encode_wait(9)
        + encode_welcome("city")
    )
