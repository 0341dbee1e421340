"""A pupil's browser speaks MQTT with the kit: the page's own WebSocket, in a real Chromium."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from kit.broker.listening import Listener
from kit.broker.protocol.packets import Connect, Disconnect, Publish, Subscribe
from kit.broker.protocol.writer import encode

if TYPE_CHECKING:
    from tests.broker.conftest import Unit

pytestmark = pytest.mark.browser

CONVERSATION = """
([port, packets, answers]) => new Promise((resolve, reject) => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/mqtt`, "mqtt");
  socket.binaryType = "arraybuffer";
  const heard = [];
  const goodbye = packets.pop();
  const heardAll = () => answers.every((answer) => `,${heard},`.includes(`,${answer},`));
  socket.onopen = () => packets.forEach((packet) => socket.send(new Uint8Array(packet)));
  socket.onmessage = (event) => {
    heard.push(...new Uint8Array(event.data));
    if (heardAll()) socket.send(new Uint8Array(goodbye));
  };
  socket.onclose = (event) => resolve([heard, socket.protocol, event.wasClean]);
  socket.onerror = () => reject(new Error("the WebSocket failed"));
})
"""


ANSWERS = (
    b"\x90\x05\x00\x01\x00\x01\x87",  # SUBACK: its own topics at QoS 1, the others' 0x87
    b"\x40\x02\x00\x02",  # PUBACK
    b"21.5",
)


def test_a_browser_publishes_and_reads_what_it_may(serve: Callable[..., Unit]) -> None:
    unit = serve(more=[Listener(host="127.0.0.1", port=0, setting="websocket", websocket=True)])
    unit.add_device("pupil")
    assert unit.broker is not None
    packets = [
        encode(Connect(client_id="class", username="pupil", password=unit.passwords["pupil"].encode(), version=5)),
        encode(Subscribe(1, (("sensors/pupil/#", 1), ("sensors/#", 1))), 5),
        encode(Publish("sensors/pupil", b"21.5", 1, packet_id=2), 5),
        encode(Disconnect(), 5),
    ]
    port = unit.broker.addresses["websocket"][1]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = chromium.new_page()
        conversation = [port, [list(packet) for packet in packets], [list(answer) for answer in ANSWERS]]
        heard, protocol, was_clean = page.evaluate(CONVERSATION, conversation)
        chromium.close()
    assert (protocol, was_clean) == ("mqtt", True)
    assert [answer for answer in ANSWERS if answer not in bytes(heard)] == []
    assert unit.seen() == [b"21.5"], json.dumps(heard)
