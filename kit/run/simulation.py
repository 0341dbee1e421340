"""`kit run --sim`: the unit with simulated hardware, living through a recorded frost night on an accelerated clock.

The unit's own services run exactly as in the field; what is simulated is beside them, as processes of their own: the
weather station (a real MQTT device), the radios and the air between them (Meshtastic's real stream protocol), and, on
request, a city core with a home of its own. What simulated devices remember is below `simulation/` in the home.

Stopped and started again, the simulation goes on at the hour where it stopped; when the recording is over, the home is
set aside and the night begins anew in a fresh one.
"""

from __future__ import annotations

import argparse
import json
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from kit.clock import AcceleratedClock, Clock, accelerate, share
from kit.data import FrostNight, load_frost_night
from kit.errors import KitError
from kit.home import Home, find_home
from kit.run.before_serving import in_a_child
from kit.run.schema import is_up_to_date, open_unit_store
from kit.run.unit import (
    SERVICES,
    only_one,
    page_address,
    prepare_unit,
    print_addresses,
    reachable,
    say,
    service_spec,
    supervise,
)
from kit.settings import (
    CellularSettings,
    CoreLinkSettings,
    CoreSettings,
    LinkSettings,
    LoraSettings,
    PowerSettings,
    Settings,
    SirenSettings,
    StickSettings,
    UnitSettings,
    settings_as_toml,
)
from kit.store.devices import DuplicateDevice, add_device
from kit.supervise import stop_on_signals

DEFAULT_SPEED = 200.0
"""The seventeen hours from the afternoon to the all-clear pass in five minutes."""

STATION = "station-1"
"""The simulated weather station's device name."""

LOOK_EVERY_S = 0.25
"""Real seconds between two looks at the store for the story; at the default speed, a minute of the night."""

MODEM_WAKES_H = 2.0
"""Hours after sunrise at which the mobile network comes back, so that the night is carried by the radio alone."""


INVITE_DAYS = 7.0


@dataclass(frozen=True)
class SimulationFiles:
    """What simulated devices keep, below a home."""

    home: Home

    @property
    def directory(self) -> Path:
        """Beside the store, so that it survives like a real device's own memory."""
        return self.home.path / "simulation"

    @property
    def time(self) -> Path:
        """How far the recording was lived through."""
        return self.directory / "time.json"

    @property
    def radios(self) -> Path:
        """The TCP ports of the two simulated radios: [the kit's, the core's]."""
        return self.directory / "radios.json"

    @property
    def air(self) -> Path:
        """Control file of the air: loss, duplicates, mute radios."""
        return self.directory / "air.json"

    @property
    def modem(self) -> Path:
        """Control file of the modem: `{"online": true}`."""
        return self.directory / "modem.json"

    @property
    def sticks(self) -> Path:
        """Where a folder is a stick that is plugged in."""
        return self.directory / "sticks"

    @property
    def siren(self) -> Path:
        """State of the siren."""
        return self.directory / "siren.json"

    @property
    def gps(self) -> Path:
        """What the simulated satellite receiver says: `{"booted_at_s": …}`, `{"fix": false}` or `{"broken": true}`."""
        return self.directory / "gps.json"

    @property
    def station(self) -> Path:
        """The weather station's own memory: its MQTT credentials and how far it has published."""
        return self.directory / "station.json"


def run_night(arguments: argparse.Namespace) -> int:
    """`kit run --sim`.

    Raises:
        KitError: as `run`.
    """
    stop = stop_on_signals()
    return run(find_home(arguments.home), speed=arguments.speed, with_core=arguments.core, stop=stop)


def run(home: Home, *, speed: float | None, with_core: bool, stop: threading.Event) -> int:
    """Live through the recorded night until told to stop.

    Raises:
        KitError: the home or a port cannot be used; the sentence says what to do.
    """
    night = load_frost_night()
    if speed is not None and not 0 < speed <= 5000:  # noqa: PLR2004 - beyond it a commit takes a quarter of an hour
        raise KitError(f"--speed {speed:g} is not possible; choose a number from 1 to 5000, for example --speed 200")
    _set_aside_if_over(home, night)
    home.prepare()
    with only_one(home):
        files = SimulationFiles(home)
        files.directory.mkdir(exist_ok=True)
        clock = accelerate(home.clock_file, start_s=_resume_at(files, night), speed=speed or DEFAULT_SPEED)
        try:
            _live(files, night, clock, with_core=with_core, stop=stop)
        finally:
            _save_time(files, clock)
            home.clock_file.unlink(missing_ok=True)
    return 0


def _live(
    files: SimulationFiles, night: FrostNight, clock: AcceleratedClock, *, with_core: bool, stop: threading.Event
) -> None:
    home = files.home
    settings = prepare_unit(home, simulated_settings(night))
    prepare = partial(_prepare_simulation, files, settings, clock, with_core=with_core)
    if in_a_child(prepare):
        is_up_to_date(home)
    else:
        prepare()
    specs = [service_spec(home, name) for name in ("air", *SERVICES, "station")]
    if with_core:
        core = _core_beside(files)
        share(core.clock_file, clock)  # the child's end is no end of the clock
        specs.insert(1, service_spec(home, "core", "core", "run", "--home", str(core.path)))
    director = Director(files=files, night=night, clock=clock, settings=settings)

    def ready(facts: Mapping[str, Mapping[str, Any]]) -> None:
        say(f"A recorded frost night ({night.place}), {clock.speed:g} times as fast as it was.")
        print_addresses(settings, facts)
        say("")
        director.portal = page_address(facts.get("web", {}).get("address", settings.web.listen))
        threading.Thread(target=director.run, args=(stop,), daemon=True, name="director").start()

    supervise(home, specs, stop=stop, on_ready=ready)


def _prepare_simulation(
    files: SimulationFiles, settings: Settings, clock: AcceleratedClock, *, with_core: bool
) -> None:
    _choose_radio_ports(files)
    _give_the_station_credentials(files, settings, clock)
    if with_core:
        prepare_core(files, clock)


def _core_beside(files: SimulationFiles) -> Home:
    return Home(files.home.path.with_name(files.home.path.name + "-core"))


def simulated_settings(night: FrostNight) -> Settings:
    """The `kit.toml` of a simulated unit at the place of the recorded night."""
    return Settings(
        unit=UnitSettings(
            name="Orchard village (simulated)",
            area="orchard-village",
            timezone=night.timezone,
            latitude=night.latitude,
            longitude=night.longitude,
            elevation_m=night.elevation_m,
        ),
        siren=SirenSettings(driver="simulated", sound_s=300.0),
        power=PowerSettings(driver="simulated"),
        sticks=StickSettings(driver="simulated"),
        links=LinkSettings(
            lora=LoraSettings(radio="simulated"),
            cellular=CellularSettings(modem="simulated"),
        ),
    )


def prepare_core(files: SimulationFiles, clock: AcceleratedClock) -> None:
    """A city core beside the kit, on the same clock and the same air, which has invited the kit."""
    from sync.core import setup
    from sync.core.invites import make_invite
    from sync.join import has_joined, join

    home = _core_beside(files)
    home.prepare()
    share(home.clock_file, clock)
    theirs = SimulationFiles(home)
    theirs.directory.mkdir(exist_ok=True)
    theirs.radios.write_text(files.radios.read_text())
    if not home.settings_file.exists():
        values = CoreSettings(
            name="City core (simulated)",
            listen="127.0.0.1:7450",
            https="127.0.0.1:7443",
            public="tcp://127.0.0.1:7450",
            links=CoreLinkSettings(lora=LoraSettings(radio="simulated")),
        )
        home.settings_file.write_text(
            settings_as_toml(Settings(core=values, sticks=StickSettings(driver="simulated"))), encoding="utf-8"
        )
    core = setup.prepare_core(home)
    if not has_joined(files.home):
        join(files.home, make_invite(core, "Orchard village", days=INVITE_DAYS), clock=clock)


def radio_ports(files: SimulationFiles) -> tuple[int, int]:
    """The TCP ports of the kit's and the core's simulated radio.

    Raises:
        KitError: no simulation was ever started in this home.
    """
    try:
        kit, core = json.loads(files.radios.read_text())
    except (OSError, ValueError) as error:
        raise KitError(
            'the radio is set to "simulated" but no simulation runs; '
            "start with --sim, or set [links.lora] radio in kit.toml"
        ) from error
    return int(kit), int(core)


@dataclass
class Director:
    """Plays what no device plays: brings the mobile network back in the morning, and tells the story."""

    files: SimulationFiles
    night: FrostNight
    clock: AcceleratedClock
    settings: Settings
    portal: str = ""

    def run(self, stop: threading.Event) -> None:
        """Look, tell, and remember how far the recording was lived through, until `stop`."""
        from kit.run.story import Story
        from kit.run.witness import look

        story = Story(timezone=ZoneInfo(self.night.timezone), portal=self.portal)
        with open_unit_store(self.files.home) as database:
            while not stop.wait(LOOK_EVERY_S):
                self._bring_the_network_back()
                _save_time(self.files, self.clock)
                for line in story.look(look(database, self.clock, self.files.siren, device=STATION)):
                    say(line)

    def _bring_the_network_back(self) -> None:
        online = self.clock.now() >= self.night.sunrise_s + MODEM_WAKES_H * 3600.0
        text = json.dumps({"online": online})
        if not self.files.modem.exists() or self.files.modem.read_text() != text:
            self.files.modem.write_text(text)


def _choose_radio_ports(files: SimulationFiles) -> None:
    if files.radios.exists():
        return
    with socket.socket() as kit, socket.socket() as core:
        kit.bind(("127.0.0.1", 0))
        core.bind(("127.0.0.1", 0))
        ports = [kit.getsockname()[1], core.getsockname()[1]]
    files.radios.write_text(json.dumps(ports))


def _give_the_station_credentials(files: SimulationFiles, settings: Settings, clock: Clock) -> None:
    if files.station.exists():
        return
    with open_unit_store(files.home) as database, database.atomic() as connection:
        try:
            credentials = add_device(connection, STATION, now_ms=int(clock.now() * 1000))
        except DuplicateDevice as error:
            raise KitError(
                f"the device '{STATION}' exists but the simulated station has lost its password; "
                f"type: kit device remove {STATION}"
            ) from error
    files.station.touch(mode=0o600)
    files.station.write_text(
        json.dumps(
            {
                "device": STATION,
                "username": credentials.username,
                "password": credentials.password,
                "broker": reachable(settings.broker.listen),
            }
        )
    )


def _resume_at(files: SimulationFiles, night: FrostNight) -> float:
    try:
        return max(float(json.loads(files.time.read_text())["now_s"]), night.start_s)
    except (OSError, ValueError, KeyError):
        return night.start_s


def _save_time(files: SimulationFiles, clock: Clock) -> None:
    temporary = files.time.with_suffix(".new")
    try:
        temporary.write_text(json.dumps({"now_s": clock.now()}))
        temporary.rename(files.time)
    except OSError:
        return  # a full disk costs the demonstration its place in the night, nothing else


def _set_aside_if_over(home: Home, night: FrostNight) -> None:
    if _resume_at(SimulationFiles(home), night) < night.end_s:
        return
    old_core = home.path.with_name(home.path.name + "-core")
    number = 1
    while home.path.with_name(f"{home.path.name}-night-{number}").exists():
        number += 1
    aside = home.path.with_name(f"{home.path.name}-night-{number}")
    home.path.rename(aside)
    if old_core.exists():
        old_core.rename(aside.with_name(aside.name + "-core"))
    say(f"The recorded days of the last run are over; it was set aside as {aside}. The night begins anew.")
