"""A frame that somebody carries for another: a village behind the hill, heard by a kit that has a wider link.

One byte, `0x71`, and then the frame as it was heard, or as it is to be said. What is inside stays sealed between its
two ends; who carries it can neither read nor change it. The byte is no first byte of any frame, so that a frame in an
envelope is never taken for one of the carrier's own.
"""

from __future__ import annotations

from sync.protocol.errors import ForeignFrame
from sync.protocol.frames import LORA_FRAME_BYTES, FrameType, frame_link_id, frame_type

_ENVELOPE = 0x71

FROM_KITS = frozenset((FrameType.HELLO, FrameType.UP, FrameType.UP_SHORT))
FROM_CORES = frozenset((FrameType.DOWN, FrameType.DOWN_SHORT))


def put_in(frame: bytes) -> bytes:
    """The frame in an envelope."""
    return bytes((_ENVELOPE,)) + frame


def is_envelope(frame: bytes) -> bool:
    """Whether it is one; what is in it may still be anything."""
    return len(frame) > 1 and frame[0] == _ENVELOPE


def take_out(envelope: bytes) -> bytes:
    """The frame that is in it."""
    return envelope[1:]


def travels(frame: bytes, kinds: frozenset[FrameType]) -> int | None:
    """The link id of a frame that may be carried in that direction; None = it is something else, or too large."""
    try:
        fits = frame_type(frame) in kinds and len(frame) <= LORA_FRAME_BYTES
    except ForeignFrame:
        return None
    return frame_link_id(frame) if fits else None
