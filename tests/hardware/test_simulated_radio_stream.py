"""The simulated radio's stream, its control file and its process, as Meshtastic's own tools see them."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.ports import HardwareError
from hardware.simulated.meshtastic_radio import run_radios
from hardware.simulated.modem import SimulatedModem
from hardware.simulated.radio_faults import Faults, read_faults
from hardware.simulated.radio_stream import FrameParser, encode_frame
from kit.clock import AcceleratedClock, SystemClock

SPEED = 20.0
"""The radio's five seconds to restart are a quarter of one."""


@given(st.lists(st.binary(max_size=512), max_size=6), st.integers(1, 40))
def test_frames_are_found_however_the_stream_is_cut(messages: list[bytes], step: int) -> None:
    stream = b"\xc3" * 32 + b"".join(encode_frame(message) for message in messages)
    parser = FrameParser()
    found: list[bytes] = []
    for start in range(0, len(stream), step):
        found += parser.feed(stream[start : start + step])
    assert found == messages


@given(st.binary(max_size=200))
def test_noise_before_a_frame_does_not_hide_it_for_ever(noise: bytes) -> None:
    parser = FrameParser()
    parser.feed(noise)
    found = [message for _ in range(140) for message in parser.feed(encode_frame(b"hello"))]
    assert b"hello" in found


@pytest.fixture
def port() -> Iterator[int]:
    ports: list[int] = []
    ready, stop = threading.Event(), threading.Event()

    def listening(told: list[int]) -> None:
        ports.extend(told)
        ready.set()

    thread = threading.Thread(
        target=run_radios,
        kwargs={
            "ports": [0, 0],
            "clock": AcceleratedClock(time.time(), time.monotonic(), SPEED),
            "rng": random.Random(2),
            "stop": stop,
            "ready": listening,
        },
    )
    thread.start()
    assert ready.wait(5)
    yield ports[0]
    stop.set()
    thread.join()


def test_the_official_command_line_tool_reads_and_sets_the_radio(port: int) -> None:
    def meshtastic(*arguments: str) -> str:
        command = [sys.executable, "-m", "meshtastic", "--host", f"127.0.0.1:{port}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False).stdout

    assert "region: 3" in meshtastic("--get", "lora.region").replace("lora.", "")
    meshtastic("--set", "lora.modem_preset", "SHORT_FAST")
    for _ in range(20):  # it restarts, and does not answer meanwhile
        told = meshtastic("--get", "lora.modem_preset")
        if "modem_preset:" in told:
            break
    assert "modem_preset: 6" in told


def test_a_new_client_replaces_the_old_one(port: int) -> None:
    first = socket.create_connection(("127.0.0.1", port))
    with socket.create_connection(("127.0.0.1", port)):
        first.settimeout(5)
        assert first.recv(1) == b""
    first.close()


def test_a_port_in_use_is_told(port: int) -> None:
    with pytest.raises(HardwareError, match=f"port {port} .* used by another program"):
        run_radios(
            ports=[port], clock=SystemClock(), rng=random.Random(), stop=threading.Event(), ready=lambda _ports: None
        )


def test_an_action_happens_once_each_time_its_count_grows(tmp_path: Path) -> None:
    file = tmp_path / "air.json"
    file.write_text(json.dumps({"loss": 0.3, "radios": {"1": {"mute": True}}, "do": {"0": {"close": 2}}}))
    first = read_faults(file, Faults())
    assert first.loss == 0.3
    assert first.mute == {1}
    assert first.due(Faults()) == [(0, "close"), (0, "close")]
    assert read_faults(file, first).due(first) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"loss": "much"}', '{"radios": []}'])
def test_a_control_file_that_cannot_be_read_changes_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "air.json"
    file.write_text(text)
    assert read_faults(file, Faults(loss=0.1)) == Faults(loss=0.1)


def test_a_simulated_modem_is_offline_until_told_and_keeps_its_state_over_a_half_written_file(tmp_path: Path) -> None:
    file = tmp_path / "modem.json"
    modem = SimulatedModem(file)
    assert not modem.online()
    file.write_text('{"online": true}')
    assert modem.online()
    file.write_text('{"onl')
    assert modem.online()
    file.unlink()
    assert not modem.online()
