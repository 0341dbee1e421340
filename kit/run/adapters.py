"""Settings → real adapters. Nothing outside `kit.run` names a driver or a link."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hardware.ports import Modem, Power, Siren, StickWatcher, TimeSource
from kit.bus import Bus
from kit.errors import KitError, SettingsError
from kit.home import Home
from kit.identity import load_or_create_service_passwords
from kit.model.grants import STATUS
from kit.run.schema import open_unit_store
from kit.settings import LoraSettings, Settings, StickSettings, listen_address

if TYPE_CHECKING:
    from kit.run.unit_process import UnitProcess

COLLECT_USER = "kit-collect"


def broker_address(home: Home, settings: Settings) -> tuple[str, int]:
    """Where this machine reaches the broker: as the running broker says, else as set."""
    listen = settings.broker.listen if settings.broker.kind == "own" else settings.broker.external
    try:
        services = json.loads(home.services_file.read_text())["services"]
        listen = next(service["address"] for service in services if service["name"] == "broker")
    except (OSError, ValueError, KeyError, StopIteration):
        pass  # not supervised: the setting stands
    host, port = listen_address(listen, key="[broker] listen")
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104 - the opposite of binding to it


def external_password(settings: Settings) -> str:
    """The password at an existing broker, from the file that the settings name."""
    file = settings.broker.external_password_file
    if not file:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"[broker] external_password_file: {file} cannot be read ({error.strerror})") from error


@contextmanager
def bus(unit: UnitProcess) -> Iterator[Bus]:
    """This process's MQTT client."""
    from kit.bus.paho_bus import PahoBus

    host, port = broker_address(unit.home, unit.settings)
    if unit.settings.broker.kind == "external":
        username, password = unit.settings.broker.external_username, external_password(unit.settings)
    else:
        username, password = COLLECT_USER, load_or_create_service_passwords(unit.home)[COLLECT_USER]
    with PahoBus(
        host, port, username=username, password=password, client_id=f"{unit.identity.unit}-collect", presence=STATUS
    ) as client:
        yield client


def siren(unit: UnitProcess) -> Siren | None:
    """What wakes the village; None where there is none."""
    driver = unit.settings.siren.driver
    if driver == "none":
        return None
    if driver == "simulated":
        from hardware.simulated.siren import SimulatedSiren
        from kit.run.simulation import SimulationFiles

        return SimulatedSiren(_simulation_file(SimulationFiles(unit.home).siren), unit.clock)
    name, _, pin = driver.partition(":")
    if name == "gpio" and pin.isdecimal():
        from hardware.drivers.siren_gpio import GpioSiren

        return GpioSiren(int(pin), unit.clock)
    if name == "mqtt" and pin:
        from kit.collect.actuation.asking import MqttSiren

        return MqttSiren(
            pin, unit.clock, open_database=partial(open_unit_store, unit.home), pause=threading.Event().wait
        )
    raise SettingsError(
        f'[siren] driver = "{driver}" is unknown; use "none", "simulated", "gpio:17" or "mqtt:NAME" of a device'
    )


def power(unit: UnitProcess) -> Power | None:
    """The battery; None where there is no gauge."""
    driver = unit.settings.power.driver
    if driver == "none":
        return None
    if driver == "simulated":
        from hardware.simulated.power import SimulatedPower

        return SimulatedPower(unit.clock, longitude=unit.settings.unit.longitude)
    if driver == "sysfs":
        from hardware.drivers.power_sysfs import SysfsPower

        return SysfsPower()
    raise SettingsError(f'[power] driver = "{driver}" is unknown; use "none", "simulated" or "sysfs"')


def gps(unit: UnitProcess) -> TimeSource | None:
    """The satellite receiver; None where there is none."""
    driver = unit.settings.clock.gps
    if driver == "none":
        return None
    if driver == "simulated":
        from hardware.simulated.gps import SimulatedGps
        from kit.run.simulation import SimulationFiles

        return SimulatedGps(_simulation_file(SimulationFiles(unit.home).gps), unit.clock)
    name, _, address = driver.partition(":")
    if name == "gpsd":
        from hardware.drivers.gps_gpsd import GpsdTime
        from kit.clock import SystemClock

        host, port = listen_address(address or "127.0.0.1:2947", key="[clock] gps")
        return GpsdTime(host, port, real_s=SystemClock().monotonic)
    raise SettingsError(f'[clock] gps = "{driver}" is unknown; use "none", "simulated" or "gpsd:127.0.0.1:2947"')


def modem(unit: UnitProcess) -> Modem:
    """The mobile network."""
    kind = unit.settings.links.cellular.modem
    if kind == "always":
        from hardware.drivers.modem_always import AlwaysOnModem

        return AlwaysOnModem()
    if kind == "simulated":
        from hardware.simulated.modem import SimulatedModem
        from kit.run.simulation import SimulationFiles

        return SimulatedModem(_simulation_file(SimulationFiles(unit.home).modem))
    raise SettingsError(f'[links.cellular] modem = "{kind}" is unknown; use "always" or "simulated"')


def sticks(home: Home, settings: StickSettings) -> StickWatcher | None:
    """The USB sticks that carry records; None where nobody looks for any."""
    if settings.driver == "none":
        return None
    if settings.driver == "simulated":
        from hardware.simulated.sticks import SimulatedSticks
        from kit.run.simulation import SimulationFiles

        return SimulatedSticks([settings.label], SimulationFiles(home).sticks)
    if settings.driver == "usb":
        from hardware.drivers.usb_sticks import UsbSticks

        return UsbSticks([settings.label])
    raise SettingsError(f'[sticks] driver = "{settings.driver}" is unknown; use "usb", "simulated" or "none"')


def radio_address(home: Home, settings: LoraSettings, *, number: int) -> str:
    """`tcp:…` or `serial:…`; a simulated radio is the first (kit's) or second (core's) of the simulated air."""
    if settings.radio != "simulated":
        if settings.radio.partition(":")[0] not in {"tcp", "serial"}:
            raise SettingsError(
                f'radio = "{settings.radio}" is unknown; use "tcp:HOST:PORT", "serial:/dev/ttyUSB0" or "simulated"'
            )
        return settings.radio
    from kit.run.simulation import SimulationFiles, radio_ports

    return f"tcp:127.0.0.1:{radio_ports(SimulationFiles(home))[number]}"


def rng() -> random.Random:
    """Randomness for jitter and back-off; not for secrets."""
    return random.Random()  # noqa: S311 - spreads retries, protects nothing


def _simulation_file(file: Path) -> Path:
    try:
        file.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise KitError(f"{file.parent} cannot be made ({error.strerror})") from error
    return file
