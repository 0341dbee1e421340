"""The time from satellites, through gpsd's own protocol over a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hardware.drivers.gps_gpsd import WATCH, GpsdTime
from hardware.ports import HardwareError
from hardware.simulated.gps import SimulatedGpsd
from kit.clock import SystemClock

PATIENCE_S = 0.3


def gpsd_at(port: int, *, answer_s: float = 30.0) -> GpsdTime:
    return GpsdTime("127.0.0.1", port, real_s=SystemClock().monotonic, connect_s=30.0, answer_s=answer_s)


@contextmanager
def something_that_says(words: bytes, *, again_every_s: float | None) -> Iterator[int]:
    """A TCP server that takes a connection and the question, says that, and never hangs up by itself."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(len(WATCH))
                connection.sendall(words)
                while again_every_s is not None and not over.wait(again_every_s):
                    try:
                        connection.sendall(words)
                    except OSError:
                        return
                over.wait()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            over.set()
            thread.join()


def test_a_receiver_with_a_fix_tells_the_time() -> None:
    with SimulatedGpsd(unix_s=1_790_000_000.0) as gpsd:
        fix = gpsd_at(gpsd.port).read()
    assert fix is not None
    assert (fix.unix_s, fix.satellites) == (1_790_000_000.0, 7)


def test_a_receiver_that_searches_tells_nothing() -> None:
    with SimulatedGpsd(unix_s=None) as gpsd:
        assert gpsd_at(gpsd.port).read() is None


def test_where_no_gpsd_runs_the_sentence_says_what_to_check() -> None:
    with SimulatedGpsd(unix_s=None) as gpsd:
        port = gpsd.port
    with pytest.raises(HardwareError, match=r"gpsd does not answer .*check \[clock\] gps in kit.toml"):
        gpsd_at(port).read()


@pytest.mark.parametrize(
    ("words", "again_every_s"),
    [
        pytest.param(b"", None, id="mute"),
        pytest.param(b'{"class":"TPV","mode":3,"ti', None, id="half a line, then mute"),
        pytest.param(b"{", 0.02, id="a line that never ends"),
        pytest.param(b'{"class":"DEVICE"}\n', 0.2, id="other things, for ever"),
    ],
)
def test_whatever_keeps_silent_at_that_port_holds_nobody_up_for_longer_than_it_was_given(
    words: bytes, again_every_s: float | None
) -> None:
    with something_that_says(words, again_every_s=again_every_s) as port:
        # the test's own time limit would end a wait that begins anew with each byte
        assert gpsd_at(port, answer_s=PATIENCE_S).read() is None


def test_a_gpsd_that_hangs_up_is_said_to_have_done_so() -> None:
    def hang_up(server: socket.socket) -> None:
        server.accept()[0].close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=hang_up, args=(server,), daemon=True).start()
        with pytest.raises(HardwareError, match="gpsd"):
            gpsd_at(int(server.getsockname()[1])).read()


def test_a_fix_that_comes_in_pieces_is_put_together() -> None:
    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            for piece in (
                b'{"class":"SKY","uSat":5}\n{"class":"TP',
                b'V","mode":3,"time":"2026-',
                b'11-25T00:00:00Z"}\n',
            ):
                connection.sendall(piece)
                connection.recv(len(WATCH)) if piece.endswith(b"TP") else None

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        fix = gpsd_at(int(server.getsockname()[1])).read()
    assert fix is not None
    assert fix.satellites == 5
