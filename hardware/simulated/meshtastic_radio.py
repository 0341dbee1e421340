"""Simulated Meshtastic radios on one air: a process that speaks the real stream protocol on a TCP port per radio.

Anything that talks to a Meshtastic radio over TCP can talk to these, the official tools included
(`meshtastic --host 127.0.0.1:PORT --info`). They listen on 127.0.0.1 only.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hardware.ports import HardwareClock
from hardware.simulated.air import Air, AirFaults, Timetable
from hardware.simulated.radio_config import RadioConfig, new_config
from hardware.simulated.radio_faults import Faults, read_faults
from hardware.simulated.radio_mac import RadioMac
from hardware.simulated.radio_server import Clockwork, RadioServer

if TYPE_CHECKING:
    from random import Random  # noqa: TID251 - the type of what is passed in; nothing is drawn from the module

LOOK_EVERY_S = 0.05
"""Real seconds between two looks at the control file and at `stop`."""


def run_radios(
    *,
    ports: Sequence[int],
    clock: HardwareClock,
    rng: Random,
    stop: threading.Event,
    control_file: Path | None = None,
    preset: str = "LONG_FAST",
    region: str = "EU_868",
    ready: Callable[[list[int]], None],
) -> None:
    """Run one radio per port on one air until `stop`.

    Args:
        ports: where to listen; 0 = any free port.
        clock: paces the air; an accelerated one makes 1.9 s of airtime pass in `clock.real(1.9)`.
        rng: decides back-off, loss and the like.
        control_file: see `hardware.simulated.radio_faults`; may come into being later.
        preset: modem preset, as Meshtastic writes it, for example "LONG_FAST".
        region: for example "EU_868".
        stop: ends the run, within a tenth of a second.
        ready: told the ports once all radios listen.

    Raises:
        HardwareError: a port is taken.
    """
    radios = _Radios(clock=clock, rng=rng, control_file=control_file)
    for number, port in enumerate(ports):
        radios.add(new_config(number, region=region, preset=preset), port)
    asyncio.run(radios.run(stop, ready))


class _Radios:
    def __init__(self, *, clock: HardwareClock, rng: Random, control_file: Path | None) -> None:
        self._clock, self._rng, self._file = clock, rng, control_file
        self._air = Air(timetable=Timetable(), rng=rng)
        self._clockwork = Clockwork(self._air, clock)
        self._configs: list[RadioConfig] = []
        self._servers: list[RadioServer] = []
        self._faults = Faults()

    def add(self, config: RadioConfig, port: int) -> None:
        mac = RadioMac(
            number=len(self._servers),
            node=config.node,
            air=self._air,
            tuning=config.tuning,
            rng=self._rng,
            tx_enabled=config.tx_enabled,
        )
        self._air.join(mac)
        self._configs.append(config)
        server = RadioServer(
            config=config,
            mac=mac,
            clockwork=self._clockwork,
            clock=self._clock,
            peers=self._configs,
            faults=lambda: self._faults,
            port=port,
        )
        mac.to_client = server.to_client
        self._servers.append(server)

    async def run(self, stop: threading.Event, ready: Callable[[list[int]], None]) -> None:
        self._look(first=True)
        for server in self._servers:
            await server.start()
        ready([server.port for server in self._servers])
        while not stop.is_set():
            self._look()
            await asyncio.sleep(LOOK_EVERY_S)
        for server in self._servers:
            await server.stop()

    def _look(self, *, first: bool = False) -> None:
        if self._file is None:
            return
        before, self._faults = self._faults, read_faults(self._file, self._faults)
        told = self._faults
        self._air.faults = AirFaults(
            loss=told.loss, duplicate=told.duplicate, reorder=told.reorder, unplugged=told.unplugged
        )
        if first:
            return  # what was asked of an earlier run was done by it
        for number, action in told.due(before):
            if 0 <= number < len(self._servers):
                self._servers[number].do(action, gps_s=told.gps_s)
