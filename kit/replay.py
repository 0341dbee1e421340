"""Publish recorded or simulated weather through the real broker, as a real device would.

Invariant: nothing counts as published before its PUBACK. Not more than `WINDOW` messages are unacknowledged at a time;
when the broker goes away, what it has not acknowledged is sent again when it is back (paho keeps it and sets DUP).
Every message carries its own absolute times, so one that comes twice changes nothing in the store.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hardware.ports import HardwareError
from hardware.simulated.weather_station import QUANTITIES, Measurement, SimulatedWeatherStation
from kit.clock import Clock
from kit.errors import KitError
from kit.weather_file import WeatherRow

if TYPE_CHECKING:
    from types import TracebackType

    from paho.mqtt.client import Client

WINDOW = 200
"""Unacknowledged messages at most: enough to keep a group-committing broker busy, little enough to hold in memory."""

CONNECT_TIMEOUT_S = 10.0
"""Real seconds to the first CONNACK; after that the broker may be away for as long as it likes."""

SILENT_AFTER_S = 60.0
"""Real seconds without a single acknowledgement after which `kit replay` gives up: a supervisor restarts a broker in
a few."""

REMEMBER_EVERY = 200
"""Backlog messages between two notes of how far it got: repeating some costs nothing, an fsync each would."""

HISTORY_EVERY_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class BrokerAccount:
    """Where to publish and as whom."""

    host: str
    port: int
    username: str
    password: str


def as_senml(measurements: Iterable[Measurement], *, at_s: float) -> bytes:
    """A SenML JSON pack (RFC 8428) of what was measured at one time."""
    records: list[dict[str, Any]] = [{"n": one.quantity, "u": one.unit, "v": one.value} for one in measurements]
    if records:
        records[0] = {"bt": int(at_s), **records[0]}
    return json.dumps(records, separators=(",", ":")).encode()


def measurements_of(row: WeatherRow) -> tuple[Measurement, ...]:
    """A recorded row as a device would report it, rain included."""
    found = [(name, unit, of(row)) for name, (unit, _, of) in QUANTITIES.items()]
    found.append(("rain", "mm", row.rain_1h_mm))
    return tuple(Measurement(name, unit, value) for name, unit, value in found if value is not None)


class Publisher:
    """An MQTT client that publishes at QoS 1 within a window and knows what was acknowledged.

    Args:
        account: where and as whom.
        client_id: stays the same across restarts of a device.
    """

    def __init__(self, account: BrokerAccount, *, client_id: str) -> None:
        self._account, self._client_id = account, client_id
        self._room = threading.Condition()
        self._unacknowledged: set[int] = set()
        self._early: set[int] = set()
        self._acknowledged = 0
        self._refused: str | None = None
        self._answered = threading.Event()
        self._client: Client | None = None

    def __enter__(self) -> Self:
        """Start the client; see `connect` for waiting until the broker answers."""
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        client = Client(CallbackAPIVersion.VERSION2, client_id=self._client_id)
        client.username_pw_set(self._account.username, self._account.password)
        client.max_inflight_messages_set(WINDOW)
        client.reconnect_delay_set(min_delay=1, max_delay=2)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.connect_async(self._account.host, self._account.port, keepalive=30)
        client.loop_start()
        self._client = client
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()

    @property
    def acknowledged(self) -> int:
        """How many messages the broker has acknowledged."""
        return self._acknowledged

    def connect(self, *, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Wait (real seconds) until the broker has let us in.

        Raises:
            KitError: it does not answer, or refuses.
        """
        if not self._answered.wait(timeout_s):
            raise KitError(
                f"no MQTT broker answers at {self._account.host}:{self._account.port}; start the unit with `kit run`"
            )
        self._raise_if_refused()

    def publish(self, topic: str, payload: bytes, *, stop: threading.Event | None = None) -> bool:
        """Hand over one message, waiting while the window is full; False if `stop` was set meanwhile.

        Raises:
            KitError: the broker refuses us, or acknowledges nothing any more.
        """
        if not self._wait_below(WINDOW, stop):
            return False
        assert self._client is not None
        told = self._client.publish(topic, payload, qos=1)
        with self._room:
            if told.mid in self._early:
                self._early.discard(told.mid)
            else:
                self._unacknowledged.add(told.mid)
        return True

    def drain(self, *, stop: threading.Event | None = None) -> bool:
        """Wait until everything handed over is acknowledged; False if `stop` was set meanwhile.

        Raises:
            KitError: as `publish`.
        """
        return self._wait_below(1, stop)

    def _wait_below(self, limit: int, stop: threading.Event | None) -> bool:
        waited, seen = 0.0, -1
        with self._room:
            while len(self._unacknowledged) >= limit:
                self._raise_if_refused()
                if stop is not None and stop.is_set():
                    return False
                waited = waited if seen == self._acknowledged else 0.0
                seen = self._acknowledged
                if waited >= SILENT_AFTER_S and stop is None:
                    raise KitError(
                        f"the broker at {self._account.host}:{self._account.port} acknowledges nothing any more "
                        f"({self._acknowledged} messages were acknowledged); see `kit status`, then run this again"
                    )
                self._room.wait(0.2)
                waited += 0.2
        self._raise_if_refused()
        return True

    def _raise_if_refused(self) -> None:
        if self._refused is not None:
            raise KitError(
                f"the broker at {self._account.host}:{self._account.port} does not let '{self._account.username}' in "
                f"({self._refused}); is it the broker of this --home?"
            )

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        del client, userdata, flags, properties
        if reason.is_failure:
            self._refused = str(reason)
        else:
            self._refused = None
        self._answered.set()

    def _on_publish(self, client: Any, userdata: Any, message: int, reason: Any, properties: Any) -> None:
        del client, userdata, reason, properties
        with self._room:
            self._acknowledged += 1
            if message in self._unacknowledged:
                self._unacknowledged.discard(message)
            else:
                # the PUBACK was faster than publish() could tell us the number
                self._early.add(message)
            self._room.notify_all()


def replay(
    rows: Sequence[WeatherRow],
    *,
    device: str,
    publisher: Publisher,
    speed: float,
    clock: Clock,
    on_progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Publish recorded rows and return how many were acknowledged.

    Args:
        rows: oldest first.
        device: published as.
        publisher: connected.
        speed: 1 = as recorded, `inf` = as fast as the broker acknowledges.
        clock: waits between rows.
        on_progress: called with the number acknowledged, after every row.
    """
    began_s, first_s = clock.monotonic(), rows[0].at_s
    for row in rows:
        if not math.isinf(speed):
            clock.sleep(began_s + (row.at_s - first_s) / speed - clock.monotonic())
        measured = measurements_of(row)
        if measured:
            publisher.publish(f"sensors/{device}", as_senml(measured, at_s=row.at_s))
        on_progress(publisher.acknowledged)
    publisher.drain()
    return publisher.acknowledged


def run_station(
    station: SimulatedWeatherStation,
    *,
    account: BrokerAccount,
    clock: Clock,
    stop: threading.Event,
    memory: Path,
    every_s: float = 900.0,
) -> None:
    """Be the station: publish the recording's past at once, then measure every `every_s` kit seconds until `stop`.

    Like a real logger it remembers in `memory` (a small JSON file of its own) up to when everything was acknowledged,
    and after a restart goes on from there; at most what was in flight is sent twice.

    Args:
        station: what to measure.
        account: the device's credentials; the user name is the device's name.
        clock: the unit's clock.
        stop: ends it.
        memory: where it remembers.
        every_s: between two measurements, kit seconds.

    Raises:
        KitError: the broker refuses the credentials.
    """
    topic = f"sensors/{account.username}"
    with Publisher(account, client_id=account.username) as publisher:
        done_s = _recall(memory, default=station.first_s - 1)
        for number, at_s in enumerate(_due(done_s, station, clock, stop, every_s), start=1):
            measured = _measure(station, at_s)
            if measured and not publisher.publish(topic, as_senml(measured, at_s=at_s), stop=stop):
                return
            live = at_s > clock.now() - 2 * every_s
            if live or number % REMEMBER_EVERY == 0:
                if not publisher.drain(stop=stop):
                    return
                _remember(memory, at_s)


def _due(
    done_s: float, station: SimulatedWeatherStation, clock: Clock, stop: threading.Event, every_s: float
) -> Iterator[float]:
    """The times to measure at: hourly while catching up with days gone by, then every `every_s` as they come."""
    at_s = done_s
    while not stop.is_set():
        far_behind = clock.now() - at_s > 2 * HISTORY_EVERY_S + every_s
        step = HISTORY_EVERY_S if far_behind else every_s
        at_s = (at_s // step + 1) * step
        if at_s > station.last_s:
            return
        while (left := at_s - clock.now()) > 0:
            if stop.wait(max(0.005, clock.real(left))):
                return
        yield at_s


def _measure(station: SimulatedWeatherStation, at_s: float) -> tuple[Measurement, ...]:
    try:
        return station.measure(at_s)
    except HardwareError:
        return ()  # unplugged: a silent station, which is for the kit to notice


def _recall(memory: Path, *, default: float) -> float:
    try:
        return max(default, float(json.loads(memory.read_text())["acknowledged_until_s"]))
    except (OSError, ValueError, KeyError, TypeError):
        return default


def _remember(memory: Path, at_s: float) -> None:
    temporary = memory.with_suffix(".new")
    try:
        temporary.write_text(json.dumps({"acknowledged_until_s": at_s}))
        temporary.replace(memory)
    except OSError:
        return  # a logger whose memory is full still measures; after a restart it repeats itself, harmlessly
