"""Meshtastic's stream framing: 0x94 0xC3, length (16 bits, big-endian), protobuf. Sans-IO."""

from __future__ import annotations

START = b"\x94\xc3"
HEADER_BYTES = 4
MAX_FRAME_BYTES = 512
"""`MAX_TO_FROM_RADIO_SIZE`; a longer length field is noise."""


def encode_frame(message: bytes) -> bytes:
    """Frame one serialised protobuf."""
    return START + len(message).to_bytes(2, "big") + message


class FrameParser:
    """Finds frames in whatever comes over the stream; what is between them (wake-up bytes, noise) is skipped."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, received: bytes) -> list[bytes]:
        """The messages that these bytes complete."""
        self._buffer += received
        messages: list[bytes] = []
        while True:
            start = self._buffer.find(START)
            if start < 0:
                # the last byte may be the first half of a start
                del self._buffer[: max(len(self._buffer) - 1, 0)]
                return messages
            del self._buffer[:start]
            if len(self._buffer) < HEADER_BYTES:
                return messages
            length = int.from_bytes(self._buffer[2:HEADER_BYTES], "big")
            if length > MAX_FRAME_BYTES:
                del self._buffer[: len(START)]
                continue
            if len(self._buffer) < HEADER_BYTES + length:
                return messages
            messages.append(bytes(self._buffer[HEADER_BYTES : HEADER_BYTES + length]))
            del self._buffer[: HEADER_BYTES + length]
