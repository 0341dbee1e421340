"""Fifty sensors that keep what was not acknowledged, on an MQTT client of their own.

The client knows four packets and shares no code with the broker it checks (OASIS MQTT 3.1.1, sections 3.1 to 3.4).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import struct
from dataclasses import dataclass, field

WINDOW = 5
RECONNECT_S = (0.05, 0.6)
SILENCE_S = 5.0
"""A broker that has not answered for so long is tried anew; a killed one is noticed at once."""


@dataclass
class Device:
    """One sensor: publishes (time, value) with times of its own, at QoS 1, again and again until acknowledged."""

    name: str
    password: str
    topic: str
    rng: random.Random
    pause_s: tuple[float, float]
    acknowledged: dict[int, float] = field(default_factory=dict)
    sent: dict[int, float] = field(default_factory=dict)
    _waiting: dict[int, tuple[int, float]] = field(default_factory=dict)
    _next_time: int = 1_750_000_000
    _next_id: int = 0

    async def live(self, port: int, stop: asyncio.Event) -> None:
        """Publish until `stop`, then until all is acknowledged."""
        while not (stop.is_set() and not self._waiting):
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError, ConnectionError):
                await self._session(port, stop)
            await asyncio.sleep(self.rng.uniform(*RECONNECT_S))

    async def _session(self, port: int, stop: asyncio.Event) -> None:
        reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), SILENCE_S)
        try:
            writer.write(_connect(self.name, self.password))
            kind, body = await asyncio.wait_for(_packet(reader), SILENCE_S)
            if kind != 0x20 or body[1] != 0:
                raise ConnectionError(f"{self.name} was not let in: {body!r}")
            for number, (time_s, value) in self._waiting.items():
                writer.write(self._publish(number, time_s, value, again=True))
            listening = asyncio.create_task(self._listen(reader))
            try:
                while not listening.done() and not (stop.is_set() and not self._waiting):
                    if not stop.is_set() and len(self._waiting) < WINDOW:
                        writer.write(self._one_more())
                        await writer.drain()
                    await asyncio.sleep(self.rng.uniform(*self.pause_s))
            finally:
                listening.cancel()
                with contextlib.suppress(Exception, asyncio.CancelledError):
                    await listening
        finally:
            writer.close()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while True:
            kind, body = await asyncio.wait_for(_packet(reader), SILENCE_S)
            if kind == 0x40:
                (number,) = struct.unpack_from(">H", body)
                done = self._waiting.pop(number, None)
                if done is not None:
                    self.acknowledged[done[0]] = done[1]

    def _one_more(self) -> bytes:
        self._next_time += 60
        self._next_id = self._next_id % 65_000 + 1
        while self._next_id in self._waiting:
            self._next_id = self._next_id % 65_000 + 1
        value = round(self.rng.uniform(-5, 25), 1)
        self._waiting[self._next_id] = (self._next_time, value)
        self.sent[self._next_time] = value
        return self._publish(self._next_id, self._next_time, value, again=False)

    def _publish(self, number: int, time_s: int, value: float, *, again: bool) -> bytes:
        payload = json.dumps([{"n": "temperature", "u": "Cel", "v": value, "t": time_s}]).encode()
        topic = self.topic.encode()
        body = struct.pack(">H", len(topic)) + topic + struct.pack(">H", number) + payload
        return bytes([0x3A if again else 0x32]) + _length(len(body)) + body


def _connect(name: str, password: str) -> bytes:
    words = b"".join(struct.pack(">H", len(word)) + word for word in (name.encode(), name.encode(), password.encode()))
    body = b"\x00\x04MQTT\x04" + bytes([0xC0]) + struct.pack(">H", 60) + words
    return b"\x10" + _length(len(body)) + body


def _length(size: int) -> bytes:
    out = bytearray()
    while True:
        size, low = divmod(size, 128)
        out.append(low | (0x80 if size else 0))
        if not size:
            return bytes(out)


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    kind = (await reader.readexactly(1))[0]
    size = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        size |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    return kind & 0xF0, await reader.readexactly(size)
