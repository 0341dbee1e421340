"""The doctor's look at the unit itself: its settings, its clock, and whether its doors answer."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kit.clock import Clock
from kit.errors import KitError
from kit.health.check import Check
from kit.settings import Settings, listen_address
from kit.unit_clock import describe_clock

ANSWER_S = 3.0
"""Real seconds; a Raspberry Pi that is busy training a model still answers within one."""


def check_settings(settings: Settings) -> Iterator[Check]:
    """What a parser cannot know: addresses that can be listened at, a time zone this machine has."""
    zone = settings.unit.timezone
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        todo = 'write it as in the IANA list, for example timezone = "Africa/Nairobi"'
        yield Check("time zone", ok=False, sentence=f"this machine does not know [unit] timezone '{zone}'", todo=todo)
    for key, text in (("[web] listen", settings.web.listen), ("[broker] listen", settings.broker.listen)):
        try:
            listen_address(text, key=key)
        except KitError as error:
            yield Check("settings", ok=False, sentence=str(error), todo="correct it in kit.toml")


def check_devices(settings: Settings) -> Iterator[Check]:
    """The door for devices without a password, and installed dialects that cannot be used."""
    from kit.collect.dialects import left_out

    if settings.broker.open_listen:
        sentence = f"devices without a password may knock at {settings.broker.open_listen} ([broker] open_listen)"
        told = "; anybody in the network can pretend to be one that was accepted"
        yield Check("open door", ok=True, sentence=sentence + told)
    for problem in left_out():
        yield Check("dialects", ok=False, sentence=problem, todo="correct or uninstall that package")


def check_clock(clock: Clock) -> Iterator[Check]:
    """Whether anything vouches for the time."""
    if clock.trusted:
        told = describe_clock(clock)
        by = f", by {told['source_words']} since {told['trusted_since']}" if told.get("source_words") else ""
        yield Check("clock", ok=True, sentence=f"trusted{by}")
        if told.get("disagrees"):
            todo = "see which is right: kit clock; a better source corrects it"
            yield Check("clock", ok=False, sentence=f"but {told['disagrees']}", todo=todo)
    else:
        todo = "tell it: kit clock set 'YYYY-MM-DD HH:MM', or from a phone on the first page; or connect a network"
        yield Check("clock", ok=False, sentence="nothing has set the clock since the unit started", todo=todo)


def check_ports(settings: Settings, status: Mapping[str, Any]) -> Iterator[Check]:
    """Whether the broker takes connections and the pages answer; asked only of a unit that runs."""
    at = {service["name"]: service.get("address") for service in status.get("services", [])}
    if settings.broker.kind == "own":
        yield _broker_answers(str(at.get("broker") or settings.broker.listen))
    yield _pages_answer(str(at.get("web") or settings.web.listen))


def _broker_answers(listen: str) -> Check:
    host, port = reachable(listen)
    try:
        socket.create_connection((host, port), timeout=ANSWER_S).close()
    except OSError as error:
        todo = "see `kit log broker`"
        return Check("broker", ok=False, sentence=f"no answer at {host}:{port} ({error})", todo=todo)
    return Check("broker", ok=True, sentence=f"takes connections at {host}:{port}")


def _pages_answer(listen: str) -> Check:
    host, port = reachable(listen)
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        body = answer.read(10_000)
    except (OSError, http.client.HTTPException) as error:
        sentence = f"no answer at http://{host}:{port}/healthz ({error})"
        return Check("pages", ok=False, sentence=sentence, todo="see `kit log web`")
    finally:
        connection.close()
    if answer.status == http.client.OK:
        return Check("pages", ok=True, sentence=f"answer at http://{host}:{port}/")
    sentence = f"http://{host}:{port}/healthz answers {answer.status}: {_reason(body)}"
    return Check("pages", ok=False, sentence=sentence, todo="see `kit log web`")


def reachable(listen: str) -> tuple[str, int]:
    """Where to knock on this machine for something that listens there."""
    host, port = listen_address(listen, key="listen")
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}.get(host, host), port  # noqa: S104 - compared, not bound


def _reason(body: bytes) -> str:
    try:
        told = json.loads(body)
    except ValueError:
        return body[:80].decode("utf-8", errors="replace")
    return str(told)[:200]
