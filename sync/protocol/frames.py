"""The first three bytes of every frame, in clear: what it is and whom it concerns.

byte 0      0x60 | type: protocol version 2 (0b0110, so that other users of the Meshtastic port are told apart); in a
            session's frames 8 is added when another one follows at once, so that an acknowledgement may wait for it
bytes 1-2   link id, big endian
"""

from __future__ import annotations

from enum import IntEnum

from sync.protocol.errors import ForeignFrame

LORA_FRAME_BYTES = 214
"""The largest frame for LoRa: Meshtastic's PRIVATE_APP payload is 231 bytes on a channel, 219 in a direct message and
214 when the message carries a request id; a frame must pass in every one of these ways."""

_VERSION = 0x60
_MORE = 0x08
_CLEAR_BYTES = 3


class FrameType(IntEnum):
    """What a frame is. Up and down have different keys, so a kit's own frame never comes back as the core's."""

    HELLO = 1
    UP = 2
    DOWN = 3
    CARRIED_UP = 4
    CARRIED_DOWN = 5
    UP_SHORT = 6
    DOWN_SHORT = 7
    MULTICAST = 12

    @property
    def short(self) -> FrameType:
        """The same direction, once both ends know each other's salt."""
        return _SHORT[self]


_SHORT = {FrameType.UP: FrameType.UP_SHORT, FrameType.DOWN: FrameType.DOWN_SHORT}
_OF_A_SESSION = {kind | _MORE: kind for kind in (*_SHORT, *_SHORT.values())}


def first_byte(kind: FrameType, *, more: bool = False) -> int:
    """Version, whether more follows, and type."""
    return _VERSION | (_MORE if more else 0) | kind


def more_follows(frame: bytes) -> bool:
    """Whether the sender is about to send another; check `frame_type` first."""
    return bool(frame[0] & _MORE)


def frame_type(frame: bytes) -> FrameType:
    """What it is.

    Raises:
        ForeignFrame: it is none of this protocol's.
    """
    if len(frame) < _CLEAR_BYTES or frame[0] & 0xF0 != _VERSION:
        raise ForeignFrame("no frame of this protocol")
    try:
        kind = frame[0] & 0x0F
        return _OF_A_SESSION.get(kind) or FrameType(kind)
    except ValueError:
        raise ForeignFrame(f"a frame of the unknown type {frame[0] & 0x0F}") from None


def frame_link_id(frame: bytes) -> int:
    """Whom it concerns; check `frame_type` first."""
    return int.from_bytes(frame[1:_CLEAR_BYTES], "big")
