"""The core's "no" to a kit that is not enrolled: sealed, though there is no session, so that nobody else can say it."""

from __future__ import annotations

from sync.protocol.frames import FrameType
from sync.protocol.items import encode_refused
from sync.protocol.peers import RefusalReason
from sync.protocol.sealing import Sealer


def sealed_refusal(shared: bytes, *, link_id: int, salt: int, reason: RefusalReason) -> bytes:
    """The frame.

    Args:
        shared: `sync.protocol.keys.agree` of the core's private key and the public key in the hello.
        link_id: from the hello.
        salt: 32 random bits, fresh for every refusal: the counter is always 0, which no session uses.
        reason: why.
    """
    sealer = Sealer(shared, kind=FrameType.DOWN, link_id=link_id, salt=salt)
    return sealer.seal(encode_refused(reason), counter=0)
