"""`kit run`: the whole unit in the foreground, until Ctrl-C."""

from __future__ import annotations

import argparse
import fcntl
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from kit.clock import Clock, SystemClock
from kit.errors import KitError
from kit.home import Home, find_home, write_new
from kit.run.before_serving import in_a_child
from kit.run.waiting import say_aside, when_there_is_room
from kit.settings import Settings, load_settings, settings_as_toml
from kit.supervise import ServiceSpec, Supervisor, python_command, stop_on_signals
from kit.unit_clock import open_unit_clock

SERVICES = ("broker", "collect", "web", "sync", "care")


def run(arguments: argparse.Namespace) -> int:
    """Start everything, print the addresses, and stay until told to stop.

    Raises:
        KitError: the home, a port or a setting cannot be used; the sentence says what to do.
    """
    home = find_home(arguments.home)
    stop = stop_on_signals()
    if arguments.core or arguments.speed is not None:
        raise KitError("--core and --speed belong to a simulated night; add --sim")
    started = when_there_is_room(lambda: _begin(home), home, first=not home.database.exists(), stop=stop, say=say_aside)
    if started is None:
        return 0
    settings, held = started
    with held:
        specs = [service_spec(home, name) for name in SERVICES]
        supervise(home, specs, stop=stop, on_ready=lambda facts: print_addresses(settings, facts))
    return 0


def _begin(home: Home) -> tuple[Settings, ExitStack]:
    """The settings, and the home's lock, held."""
    home.prepare()
    with ExitStack() as held:
        held.enter_context(only_one(home))
        home.clock_file.unlink(missing_ok=True)
        return prepare_unit(home, Settings()), held.pop_all()


def prepare_unit(home: Home, defaults: Settings) -> Settings:
    """Make on first start what a unit needs: `kit.toml`, keys, store; tell the technician password once.

    In a child: it takes thirty megabytes, and who supervises stays for years.
    """
    prepare = partial(_prepare, home, defaults)
    return load_settings(home.settings_file) if in_a_child(prepare) else prepare()


def _prepare(home: Home, defaults: Settings) -> Settings:
    from kit.backup.making import backup_secret
    from kit.backup.recovery_code import encode_code
    from kit.identity import create_technician_password, load_or_create_identity, load_or_create_service_passwords
    from kit.run.mending import explain_recovery, keep_table_list, mend_unopenable
    from kit.run.schema import open_unit_store
    from kit.store.records import set_origin

    if not home.settings_file.exists():
        write_new(home.settings_file, settings_as_toml(defaults).encode())
    settings = load_settings(home.settings_file)
    identity = load_or_create_identity(home)
    load_or_create_service_passwords(home)
    mended = mend_unopenable(home, now_ms=int(clock_of(home).now() * 1000))
    if mended is not None:
        say(explain_recovery(mended))
    with open_unit_store(home) as database, database.atomic() as connection:
        set_origin(connection, identity.unit)
    keep_table_list(home)
    code = encode_code(backup_secret(home))  # made before anything is said: on a full disk all of this is done again
    password = create_technician_password(home)
    if password is not None:
        say(f"Technician password (shown only now; change it on first use): {password}")
        say(f"Recovery code of its backups (write it down; kit backup --show-code): {code}")
    return settings


def service_spec(home: Home, name: str, *command: str) -> ServiceSpec:
    """How the supervisor starts that service of the unit."""
    return ServiceSpec(
        name=name,
        command=python_command(*(command or ("service", name, "--home", str(home.path)))),
        ready_file=home.run / f"{name}.ready",
        error_file=home.log / f"{name}.err",
    )


def supervise(home: Home, specs: Sequence[ServiceSpec], *, stop: threading.Event, on_ready: Any) -> None:
    """Run the services until `stop`; the supervisor itself runs on real time."""
    Supervisor(specs, state_file=home.services_file, time=SystemClock()).run(stop, on_ready=on_ready)


def print_addresses(settings: Settings, facts: Mapping[str, Mapping[str, Any]]) -> None:
    """Tell the person where to go."""
    web = facts.get("web", {}).get("address", settings.web.listen)
    broker = facts.get("broker", {}).get("address", settings.broker.listen)
    core = facts.get("core", {}).get("web")
    say(f"Pages for phones    {page_address(web)}")
    say(f"Technician's page   {page_address(web)}technician/     in a terminal: kit tui")
    say(f"Sensors (MQTT)      {reachable(broker)}     a new one: kit device add NAME")
    if core:
        say(f"City core           {page_address(core)}")
    say("Ctrl-C stops everything.")


def page_address(listen: str) -> str:
    """`0.0.0.0:8080` → `http://127.0.0.1:8080/`."""
    return f"http://{reachable(listen)}/"


def reachable(listen: str) -> str:
    """An address to type on this machine for one that is listened at."""
    return listen.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")


def say(line: str) -> None:
    """One line for the person in front of the terminal."""
    print(line, flush=True)  # noqa: T201 - `kit run` talks to a person


def clock_of(home: Home) -> Clock:
    """The clock the unit in that home runs on."""
    return open_unit_clock(home)


@contextmanager
def only_one(home: Home) -> Iterator[None]:
    """Hold the home's lock.

    Raises:
        KitError: a unit already runs in this home.
    """
    with (home.run / "supervisor.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise KitError(
                f"a unit already runs in {home.path} (process {lock.read().strip() or 'unknown'}); "
                f"stop it first, or choose another place with --home DIR"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
