"""The processes that a simulated unit has beside its own: the air with its radios, and the weather station."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kit.errors import KitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kit.run.unit_process import UnitProcess


def serve_air(unit: UnitProcess, stop: threading.Event, ready: Callable[[Mapping[str, Any]], None]) -> None:
    """Two Meshtastic radios and the air between them; `simulation/air.json` makes them misbehave."""
    from hardware.simulated.meshtastic_radio import run_radios
    from kit.run.simulation import SimulationFiles, radio_ports

    files = SimulationFiles(unit.home)
    run_radios(
        ports=radio_ports(files),
        clock=unit.clock,
        rng=random.Random(),  # noqa: S311 - decides which simulated frame is lost, protects nothing
        stop=stop,
        control_file=files.air,
        preset=unit.settings.links.lora.preset,
        region=unit.settings.links.lora.region,
        ready=lambda ports: ready({"ports": list(ports)}),
    )


def serve_station(unit: UnitProcess, stop: threading.Event, ready: Callable[[Mapping[str, Any]], None]) -> None:
    """The weather station: a real MQTT device with its own credentials, following the recorded night."""
    from hardware.simulated.weather_station import SimulatedWeatherStation
    from kit.data import load_frost_night
    from kit.replay import BrokerAccount, run_station
    from kit.run.adapters import broker_address
    from kit.run.simulation import SimulationFiles

    memory = SimulationFiles(unit.home).station
    try:
        told = json.loads(memory.read_text())
    except (OSError, ValueError) as error:
        raise KitError(f"the simulated station has no credentials ({memory}); start it with kit run --sim") from error
    host, port = broker_address(unit.home, unit.settings)
    ready({"device": told["device"]})
    run_station(
        SimulatedWeatherStation(load_frost_night().rows, clock=unit.clock),
        account=BrokerAccount(host=host, port=port, username=told["username"], password=told["password"]),
        clock=unit.clock,
        memory=memory.with_name("station-published.json"),
        stop=stop,
    )
