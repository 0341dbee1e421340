"""How kit and core know each other over HTTPS, and how frames lie in a body. Pure.

The frames are sealed already, so TLS only has to keep strangers from taking a kit's answers away and from seeing who
speaks. Nobody has to buy or renew a certificate for it: the core makes its own, and proves with the key that the kit
knows from its invite that the certificate it shows is its own. Behind a reverse proxy with a public certificate, the
same proof is made, and the proxy's certificate is checked like any other web site's.

    POST /sync/open     link id (2), kit's X25519 key (32), kit's nonce (16)
      → 200             core's nonce (16), SHA-256 of the core's certificate (32), proof (32)
    POST /sync/frames   Authorization: Kit NONCES.TOKEN (hexadecimal); X-Wait: seconds; body: frames
      → 200             body: frames;  401: open again

    key   = HKDF-SHA-256(X25519(kit, core), salt = kit's nonce + core's nonce, info = "village-kit https 1")
    proof = HMAC-SHA-256(key, "core" + the certificate's SHA-256);  TOKEN = HMAC-SHA-256(key, "kit")
    frames: each 4 bytes of length and the frame
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from sync.protocol.errors import MalformedFrame
from sync.protocol.keys import agree, derive
from sync.protocol.wire import Reader

NONCE_BYTES, KEY_BYTES, DIGEST_BYTES = 16, 32, 32
OPEN_PATH, FRAMES_PATH = "/sync/open", "/sync/frames"
WAIT_HEADER = "X-Wait"
MOST_WAIT_S = 50.0
"""A proxy drops a connection on which nothing was said for a minute."""

MTU_BYTES = 60_000
MOST_FRAMES = 8
MOST_BODY_BYTES = MOST_FRAMES * (MTU_BYTES + 4)


@dataclass(frozen=True)
class Opening:
    """A kit asks to be let in."""

    link_id: int
    public: bytes
    nonce: bytes

    def encode(self) -> bytes:
        """The body."""
        return self.link_id.to_bytes(2, "big") + self.public + self.nonce

    @classmethod
    def decode(cls, body: bytes) -> Opening:
        """From the body.

        Raises:
            MalformedFrame: it is none.
        """
        reader = Reader(body)
        opening = cls(int.from_bytes(reader.take(2), "big"), reader.take(KEY_BYTES), reader.take(NONCE_BYTES))
        if reader.left:
            raise MalformedFrame("something else than an opening")
        return opening


class Pass:
    """What both ends can compute once they have seen each other's nonce.

    Args:
        private: our X25519 key.
        public: the other's.
        nonces: the kit's, then the core's.

    Raises:
        ValueError: the public key is no point that may be used.
    """

    def __init__(self, private: bytes, public: bytes, nonces: bytes) -> None:
        self._key = derive(agree(private, public), salt=nonces, info=b"village-kit https 1")
        self.nonces = nonces

    def proof(self, certificate_digest: bytes) -> bytes:
        """That whoever shows this certificate is the core."""
        return hmac.digest(self._key, b"core" + certificate_digest, hashlib.sha256)

    @property
    def authorization(self) -> str:
        """The header that a kit shows with its frames."""
        return f"Kit {self.nonces.hex()}.{hmac.digest(self._key, b'kit', hashlib.sha256).hex()}"


def pack_frames(frames: Sequence[bytes]) -> bytes:
    """A body."""
    return b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)


def unpack_frames(body: bytes) -> list[bytes]:
    """The frames in a body.

    Raises:
        MalformedFrame: it is cut short, or holds too many or too large ones.
    """
    reader, frames = Reader(body), list[bytes]()
    while reader.left:
        frames.append(reader.take(int.from_bytes(reader.take(4), "big")))
        if len(frames) > MOST_FRAMES or len(frames[-1]) > MTU_BYTES:
            raise MalformedFrame("more, or larger, frames than a body holds")
    return frames
