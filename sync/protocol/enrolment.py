"""How a kit and a city core come to know each other: invite, hello, welcome.

The invite travels by hand (paper, a message, a QR code) and carries the core's public key and a one-time token. The
kit's hello proves in one frame that it holds both the token and the private half of the key it shows; the core's
welcome is an ordinary sealed frame, which nobody but the core can make. Both are idempotent: the hello is repeated
until the welcome comes, and a repeated hello is welcomed again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Self

from sync.protocol import keys
from sync.protocol.errors import ForeignFrame, InviteError, MalformedFrame
from sync.protocol.frames import FrameType, first_byte, frame_type
from sync.protocol.peers import Peer, Role
from sync.protocol.wire import Reader, short_text

PREFIX = "VK1-"
"""Village kit, first format."""

TOKEN_BYTES = 16
KEY_BYTES = 32
CHECKSUM_BYTES = 4
EXPIRY_BYTES = 6
PROOF_BYTES = 16
"""HMAC-SHA-256 cut to 128 bits (RFC 2104, section 5)."""

MAX_NAME_BYTES = 60
"""So that a hello with the longest name still is one LoRa frame."""

MAX_UNIT_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Invite:
    """What a core gives to a kit that is to join.

    Attributes:
        core: the core's unit id.
        core_public: its X25519 public key, 32 bytes.
        link_id: the kit's link id at this core, 0 to 65,535.
        token: 16 random bytes, good for one kit.
        expires_ms: Unix ms; the core decides, the kit only warns.
        name: the kit's name as the core will show it, for people.
        address: the core on the mobile network, `tcp://HOST:PORT`, or "" for radio only.
        curve_public: the core's CurveZMQ public key, 32 bytes, or b"" for radio only.
    """

    core: str
    core_public: bytes
    link_id: int
    token: bytes
    expires_ms: int
    name: str = ""
    address: str = ""
    curve_public: bytes = b""

    @property
    def peer(self) -> Peer:
        """The core, as the kit's peer."""
        return Peer(
            unit=self.core,
            link_id=self.link_id,
            exchange_public=self.core_public,
            role=Role.CORE,
            curve_public=self.curve_public,
        )

    def encode(self) -> str:
        """As text to copy: `VK1-` and base32, in which case does not matter."""
        body = b"".join(
            (
                self.link_id.to_bytes(2, "big"),
                self.expires_ms.to_bytes(EXPIRY_BYTES, "big"),
                self.token,
                self.core_public,
                bytes((len(self.curve_public),)) + self.curve_public,
                short_text(self.core),
                short_text(self.name),
                short_text(self.address),
            )
        )
        whole = len(body).to_bytes(2, "big") + body
        return PREFIX + base64.b32encode(whole + _checksum(whole)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read an invite as a person pasted it: spaces and line breaks do not matter.

        Raises:
            InviteError: it is no invite, or was cut short or mistyped; the sentence says which.
        """
        reader = Reader(_invite_bytes(text))
        try:
            return cls(
                link_id=int.from_bytes(reader.take(2), "big"),
                expires_ms=int.from_bytes(reader.take(EXPIRY_BYTES), "big"),
                token=reader.take(TOKEN_BYTES),
                core_public=reader.take(KEY_BYTES),
                curve_public=reader.take(reader.byte()),
                core=reader.short_text(),
                name=reader.short_text(),
                address=reader.short_text(),
            )
        except MalformedFrame as error:
            raise InviteError("the invite is of a form that this version does not know; update the kit") from error


def _invite_bytes(text: str) -> bytes:
    text = "".join(text.split()).upper()
    if not text.startswith(PREFIX):
        raise InviteError(f'an invite begins with "{PREFIX}"; copy the whole line that `kit core invite` printed')
    symbols = text.removeprefix(PREFIX).rstrip("=")
    wrong = sorted(set(symbols) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
    if wrong:
        raise InviteError(f"the invite holds {', '.join(wrong)}, which no invite has; copy it again")
    whole = base64.b32decode(symbols[: len(symbols) - _dangling(symbols)] + "=" * (-_kept(symbols) % 8))
    length = int.from_bytes(whole[:2], "big")
    if len(whole) < 2 + length + CHECKSUM_BYTES:
        raise InviteError("the invite was cut short; copy the whole of it, to its last letter")
    body, checksum = whole[: 2 + length], whole[2 + length :]
    if not hmac.compare_digest(_checksum(body), checksum):
        raise InviteError("a letter of the invite is wrong, missing or too many; copy it again")
    return body[2:]


def _dangling(symbols: str) -> int:
    # 1, 3 or 6 symbols over are no whole bytes in base32 (RFC 4648, section 6): the text was cut within a byte
    return {1: 1, 3: 1, 6: 1}.get(len(symbols) % 8, 0)


def _kept(symbols: str) -> int:
    return len(symbols) - _dangling(symbols)


def _checksum(data: bytes) -> bytes:
    return hashlib.sha256(b"village-kit invite" + data).digest()[:CHECKSUM_BYTES]


@dataclass(frozen=True, kw_only=True)
class Hello:
    """A kit's first word to the core. Nothing in it may be believed before `proof_is_right`.

    Attributes:
        link_id: from the invite; the core finds the token by it.
        exchange_public: the kit's X25519 public key, 32 bytes.
        curve_public: its CurveZMQ public key, 32 bytes, or b"".
        unit: its id.
        name: its name, for people.
        proof: MAC over all of it.
    """

    link_id: int
    exchange_public: bytes
    curve_public: bytes = b""
    unit: str
    name: str = ""
    proof: bytes = b""

    def encode(self) -> bytes:
        """As a frame of at most 214 bytes."""
        return self.signed_part + self.proof

    @property
    def signed_part(self) -> bytes:
        """Everything before the proof."""
        return b"".join(
            (
                bytes((first_byte(FrameType.HELLO),)),
                self.link_id.to_bytes(2, "big"),
                self.exchange_public,
                bytes((len(self.curve_public),)) + self.curve_public,
                short_text(self.unit),
                short_text(self.name),
            )
        )

    @classmethod
    def decode(cls, frame: bytes) -> Self:
        """Read a frame.

        Raises:
            ForeignFrame: it is no hello.
            MalformedFrame: it is a broken one.
        """
        if frame_type(frame) is not FrameType.HELLO:
            raise ForeignFrame("no hello")
        reader = Reader(frame[1:])
        hello = cls(
            link_id=int.from_bytes(reader.take(2), "big"),
            exchange_public=reader.take(KEY_BYTES),
            curve_public=reader.take(reader.byte()),
            unit=reader.short_text(),
            name=reader.short_text(),
            proof=reader.rest(),
        )
        if len(hello.proof) != PROOF_BYTES or len(hello.curve_public) not in {0, KEY_BYTES}:
            raise MalformedFrame("a key or the proof of a hello has the wrong length")
        if not 0 < len(hello.unit) <= MAX_UNIT_BYTES or not hello.unit.isascii() or not hello.unit.isprintable():
            raise MalformedFrame("the unit id of a hello is empty, too long, or not plain ASCII")
        return hello


def make_hello(
    invite: Invite, *, unit: str, exchange_private: bytes, exchange_public: bytes, curve_public: bytes, name: str = ""
) -> Hello:
    """The hello of a kit that holds this invite.

    Args:
        invite: as decoded.
        unit: the kit's id.
        exchange_private: its X25519 private key, 32 bytes.
        exchange_public: its X25519 public key, 32 bytes.
        curve_public: its own CurveZMQ public key (not the one made from the token), 32 bytes or b"".
        name: for people; cut to 60 bytes.
    """
    short_name = (name or invite.name).encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    hello = Hello(
        link_id=invite.link_id,
        exchange_public=exchange_public,
        curve_public=curve_public,
        unit=unit,
        name=short_name,
    )
    shared = keys.agree(exchange_private, invite.core_public)
    return Hello(**(vars(hello) | {"proof": _proof(hello, token=invite.token, shared=shared)}))


def proof_is_right(hello: Hello, *, token: bytes, exchange_private: bytes) -> bool:
    """Whether its sender holds the token and the private half of the key it shows.

    Args:
        hello: as decoded.
        token: of the invite with that link id.
        exchange_private: the core's X25519 private key.
    """
    try:
        shared = keys.agree(exchange_private, hello.exchange_public)
    except ValueError:
        return False
    return hmac.compare_digest(hello.proof, _proof(hello, token=token, shared=shared))


def _proof(hello: Hello, *, token: bytes, shared: bytes) -> bytes:
    key = keys.derive(shared, salt=token, info=b"village-kit hello 1")
    return hmac.new(key, hello.signed_part, hashlib.sha256).digest()[:PROOF_BYTES]


@dataclass(frozen=True)
class CurvePair:
    """A CurveZMQ key pair, 32 raw bytes each (Z85 of them is what pyzmq wants)."""

    public: bytes
    secret: bytes


def curve_keys_from_token(token: bytes) -> CurvePair:
    """The CurveZMQ keys with which a kit knocks at the core's door until it is enrolled under its own.

    The core computes the same from the token when it makes the invite, and lets the public half in.
    """
    secret = keys.derive(token, salt=b"", info=b"village-kit curve until enrolled 1")
    return CurvePair(public=keys.public_of(secret), secret=secret)
