"""What each process of the unit does: `kit service NAME`.

Every service is started the same way, by the supervisor or by systemd, and may be killed at any instant: what it must
remember is in the store.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from kit.errors import UsageError
from kit.home import Home, find_home
from kit.identity import load_or_create_identity, load_or_create_service_passwords
from kit.log import log_to_home
from kit.run.before_serving import make_store_ready
from kit.run.schema import name_process, open_unit_store, process_ledger
from kit.run.together import run_together
from kit.run.unit_process import Ready, UnitProcess
from kit.run.waiting import say_aside, when_there_is_room
from kit.settings import listen_address, load_settings
from kit.store.boots import latest_time_in
from kit.store.database import suspect
from kit.supervise import become_supervised, stop_on_signals
from kit.unit_clock import open_kept_clock, open_unit_clock
from village_apps.app import AppContext

TRY_AGAIN = 75
"""Exit code (sysexits.h, EX_TEMPFAIL) of a service that has met a damaged store: the unit must not give up at its first
start, as it does over a port that is taken, because the care service, which mends the store, starts last."""


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM.

    Raises:
        UsageError: there is no such service.
        KitError: the service cannot start; the sentence says why and what to do.
    """
    services = _services()
    if arguments.name not in services:
        raise UsageError(f"there is no service '{arguments.name}'; there are {', '.join(services)}")
    home = find_home(arguments.home)
    ready = become_supervised(home.run / f"{arguments.name}.self")
    stop = stop_on_signals()
    first = not home.database.exists()
    unit = when_there_is_room(lambda: _unit(home, arguments.name), home, first=first, stop=stop, say=say_aside)
    if unit is None:
        return 0
    name_process(arguments.name)
    try:
        with process_ledger(home):
            serve = partial(services[arguments.name], unit, stop, ready)
            when_there_is_room(serve, home, first=False, stop=stop, say=say_aside)
    except sqlite3.DatabaseError as error:
        if not suspect(home.database, error):
            raise
        sys.stderr.write("the store is damaged; the care service looks into it\n")
        return TRY_AGAIN
    return 0


def _unit(home: Home, name: str) -> UnitProcess:
    home.prepare()
    make_store_ready(home, now_ms=lambda: int(open_unit_clock(home).now() * 1000))
    clock = open_kept_clock(home, floor_s=partial(latest_time_in, home.database))
    return UnitProcess(
        home=home,
        settings=load_settings(home.settings_file),
        clock=clock,
        identity=load_or_create_identity(home),
        log=log_to_home(home, name, clock),
    )


def _services() -> dict[str, Callable[[UnitProcess, threading.Event, Ready], None]]:
    from kit.run import simulated_hardware

    return {
        "broker": serve_broker,
        "collect": serve_collect,
        "web": serve_web,
        "sync": serve_sync,
        "care": serve_care,
        "air": simulated_hardware.serve_air,
        "station": simulated_hardware.serve_station,
    }


def serve_broker(unit: UnitProcess, stop: threading.Event, ready: Ready) -> None:
    """The MQTT broker and, in the same transaction as its acknowledgement, the ingest of readings."""
    import asyncio  # only here: five megabytes that no other service needs

    from kit.broker.committer import tune_interpreter
    from kit.collect.ingest import Ingest
    from kit.store.device_users import DeviceUsers
    from kit.store.disk_room import ReadingsGate, Reserve
    from kit.store.mqtt import MqttJournal

    passwords = load_or_create_service_passwords(unit.home)
    with open_unit_store(unit.home, hurried=True) as store, open_unit_store(unit.home) as devices:
        gate = ReadingsGate(Reserve(unit.home.database))
        journal = MqttJournal(store, gate=gate, ingest=Ingest(clock=unit.clock))
        if unit.settings.broker.kind == "external":
            broker = _external_broker(unit, journal)
        else:
            from kit.broker.server import Broker
            from kit.run.listeners import more_listeners

            host, port = listen_address(unit.settings.broker.listen, key="[broker] listen")
            broker = Broker(
                host=host,
                port=port,
                users=DeviceUsers(devices, services=passwords, clock=unit.clock),
                journal=journal,
                clock=unit.clock,
                more=more_listeners(unit.home, unit.settings.broker, unit=unit.identity.unit),
                on_problem=unit.log.warning,
            )
        tune_interpreter()
        asyncio.run(_serve_until(broker, stop, ready))


def _external_broker(unit: UnitProcess, journal: Any) -> Any:
    from kit.broker.external import ExternalBroker
    from kit.collect.dialects import dialects
    from kit.collect.dialects.discovery import PREFIX, is_discovery
    from kit.run.adapters import external_password

    host, port = listen_address(unit.settings.broker.external, key="[broker] external")
    return ExternalBroker(
        host=host,
        port=port,
        username=unit.settings.broker.external_username,
        password=external_password(unit.settings),
        client_id=unit.identity.unit,
        journal=journal,
        clock=unit.clock,
        topics=sorted(
            {f"{PREFIX}#", *(own for one in dialects().values() for own in one.grants(one.base("+")).publish)}
        ),
        lasting=is_discovery,
        on_problem=unit.log.warning,
    )


async def _serve_until(broker: Any, stop: threading.Event, ready: Ready) -> None:
    import asyncio

    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def pass_on() -> None:
        stop.wait()
        loop.call_soon_threadsafe(asked.set)

    threading.Thread(target=pass_on, daemon=True, name="stop").start()
    await broker.serve(asked, ready=lambda address: ready({"address": f"{address[0]}:{address[1]}"}))


def serve_collect(unit: UnitProcess, stop: threading.Event, ready: Ready) -> None:
    """Batches readings into records, runs the apps' services (frost), delivers alerts, reads the battery."""
    from kit.alerts.delivery import AlertDelivery
    from kit.collect.actuation.service import ActuatorService
    from kit.collect.aging import Aging
    from kit.collect.batching import Batcher
    from kit.collect.summaries import Summarizer
    from kit.collect.timekeeper import Timekeeper
    from kit.health.words import zone_of
    from kit.model.local_days import LocalDays
    from kit.run import adapters
    from kit.run.power import PowerWatch
    from village_apps.app import find_apps

    with (
        adapters.bus(unit) as bus,
        open_unit_store(unit.home) as delivered,
        open_unit_store(unit.home) as batched,
        open_unit_store(unit.home) as summarised,
        open_unit_store(unit.home) as kept,
        open_unit_store(unit.home) as aged,
        open_unit_store(unit.home) as commanded,
    ):
        context = app_context(unit, bus=bus)
        delivery = AlertDelivery(
            database=delivered,
            clock=unit.clock,
            bus=bus,
            siren=adapters.siren(unit),
            area=unit.settings.unit.area,
            sound_s=unit.settings.siren.sound_s,
        )
        jobs: dict[str, Callable[[threading.Event], None]] = {
            "alerts": delivery.run,
            "batching": Batcher(batched, unit.clock).run,
            "actuators": ActuatorService(commanded, unit.clock, bus).run,
            "summaries": Summarizer(summarised, unit.clock).run,
            "clock": Timekeeper(kept, unit.clock, gps=adapters.gps(unit)).run,
            "aging": Aging(
                aged,
                unit.clock,
                days=LocalDays(zone_of(unit.settings.unit.timezone)),
                retention=unit.settings.retention,
            ).run,
            "power": PowerWatch(unit.home, adapters.power(unit), unit.clock).run,
        }
        for app in find_apps():
            for number, service in enumerate(app.services(context) if app.services is not None else ()):
                jobs[f"{app.name}-{number}"] = service.run
        ready({"jobs": sorted(jobs)})
        run_together(jobs, stop)


def serve_web(unit: UnitProcess, stop: threading.Event, ready: Ready) -> None:
    """The pages for phones."""
    from flask import request

    from kit.run.phones import Phones, count_phones
    from village_apps.app import find_apps
    from village_apps.web import create_app, serve

    app = create_app(app_context(unit), find_apps())
    phones = Phones()
    app.before_request(lambda: phones.note(request.remote_addr or "", unit.clock.monotonic()))
    watch = threading.Thread(target=count_phones, args=(unit.home, phones, unit.clock, stop), daemon=True)
    watch.start()
    serve(app, unit.settings, stop, listening=lambda host, port: ready({"address": f"{host}:{port}"}))


def serve_sync(unit: UnitProcess, stop: threading.Event, ready: Ready) -> None:
    """Store-and-forward to the city core, by links and by sticks."""
    from kit.run.sticks import unit_sticks
    from kit.run.syncing import serve_unit_sync

    run_together(
        {"links": lambda ended: serve_unit_sync(unit, ended, ready), "sticks": lambda ended: unit_sticks(unit, ended)},
        stop,
    )


def serve_care(unit: UnitProcess, stop: threading.Event, ready: Ready) -> None:
    """Settles unclean ends, checks the store, makes backups."""
    from kit.run import care

    care.serve_care(unit, stop, ready)


def app_context(unit: UnitProcess, *, bus: Any = None) -> AppContext:
    """What the kit gives its apps."""
    return AppContext(
        home=unit.home,
        settings=unit.settings,
        clock=unit.clock,
        unit=unit.identity.unit,
        open_database=partial(open_unit_store, unit.home),
        bus=bus,
    )
