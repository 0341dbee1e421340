"""The time from satellites, through gpsd's own protocol over a real socket."""

from __future__ import annotations

import pytest

from hardware.drivers.gps_gpsd import GpsdTime
from hardware.ports import HardwareError
from hardware.simulated.gps import SimulatedGpsd


def test_a_receiver_with_a_fix_tells_the_time() -> None:
    with SimulatedGpsd(unix_s=1_790_000_000.0) as gpsd:
        fix = GpsdTime("127.0.0.1", gpsd.port).read()
    assert fix is not None
    assert (fix.unix_s, fix.satellites) == (1_790_000_000.0, 7)


def test_a_receiver_that_searches_tells_nothing() -> None:
    with SimulatedGpsd(unix_s=None) as gpsd:
        assert GpsdTime("127.0.0.1", gpsd.port).read() is None


def test_where_no_gpsd_runs_the_sentence_says_what_to_check() -> None:
    with SimulatedGpsd(unix_s=None) as gpsd:
        port = gpsd.port
    with pytest.raises(HardwareError, match=r"gpsd does not answer .*check \[clock\] gps in kit.toml"):
        GpsdTime("127.0.0.1", port).read()
