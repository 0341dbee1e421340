"""A cursor over the bytes of one packet; every field it takes has a limit or an end."""

from __future__ import annotations

from kit.broker.protocol.errors import LimitExceeded, MalformedPacket
from kit.broker.protocol.reasons import Reason

MAX_VARINT_BYTES = 4


class Body:
    """A packet's variable header and payload, read from the front."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int, what: str) -> bytes:
        """The next `size` bytes; `what` names the field if they are not there."""
        end = self.at + size
        if end > len(self.data):
            raise MalformedPacket(f"the packet ends inside {what}")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def rest(self) -> bytes:
        """Everything that is left."""
        taken = self.data[self.at :]
        self.at = len(self.data)
        return taken

    def number(self, size: int, what: str) -> int:
        """An unsigned integer of `size` bytes."""
        return int.from_bytes(self.take(size, what), "big")

    def varint(self, what: str) -> int:
        """A variable byte integer (MQTT 5 section 1.5.5), in its shortest form [MQTT-1.5.5-1]."""
        value = 0
        for place in range(MAX_VARINT_BYTES):
            byte = self.number(1, what)
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:  # noqa: PLR2004 - the continuation bit
                if place and not byte:
                    raise MalformedPacket(f"{what} is written with more bytes than it needs [MQTT-1.5.5-1]")
                return value
        raise MalformedPacket(f"{what} takes more than four bytes")

    def binary(self, what: str, *, limit: int, reason: Reason = Reason.PACKET_TOO_LARGE) -> bytes:
        """Bytes that say their own length."""
        size = self.number(2, what)
        if size > limit:
            raise LimitExceeded(f"the length of {what} in bytes", size=size, limit=limit, reason=reason)
        return self.take(size, what)

    def text(self, what: str, *, limit: int, reason: Reason = Reason.PACKET_TOO_LARGE) -> str:
        """UTF-8 that says its own length."""
        raw = self.binary(what, limit=limit, reason=reason)
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise MalformedPacket(f"{what} is not UTF-8 [MQTT-1.5.3-1]") from None
        if "\0" in text:
            raise MalformedPacket(f"{what} contains U+0000 [MQTT-1.5.3-2]")
        return text

    def packet_id(self) -> int:
        """A packet id, which is not 0."""
        packet_id = self.number(2, "the packet id")
        if packet_id == 0:
            raise MalformedPacket("packet id 0 is not allowed [MQTT-2.3.1-1]")
        return packet_id

    def end(self) -> None:
        """See that nothing is left."""
        if self.at != len(self.data):
            raise MalformedPacket(f"{len(self.data) - self.at} bytes are left over at the end of the packet")

    @property
    def more(self) -> bool:
        """Whether something is left."""
        return self.at < len(self.data)
