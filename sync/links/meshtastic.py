"""The link over LoRa: a Meshtastic radio on USB, UART or TCP.

A worker thread owns the connection: it connects, checks the radio's settings, hands frames over at the pace of the air,
provokes a sign of life, and connects anew when there is none. `send` and `receive` only touch the outbox and the
inbox, so nothing the library does can hang the link's user.

Frames are broadcast until a reply's address is known, and never ask for Meshtastic's own acknowledgement: the session
acknowledges many frames in one, where the radio would spend 477 ms of air for each (LongFast). What the mesh delivers
twice is dropped here; what it loses is the session's to repeat.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit.clock import Clock
from sync.links.air_account import AirAccount
from sync.links.outbox import URGENT, Outbox, Outgoing
from sync.links.port import Arrival, FrameTooLarge, LinkError, LinkState
from sync.links.radio_address import RadioAddress, explain_failure
from sync.links.radio_arrivals import PRIVATE_APP, RadioArrivals
from sync.links.radio_limits import frame_bytes_for
from sync.links.radio_refusals import RadioRefusals
from sync.links.radio_settings import RadioSettings, primary_channel
from sync.links.radio_watch import Pace, RadioWatch

if TYPE_CHECKING:
    from sync.links.meshtastic_interface import RadioOverSerial, RadioOverTcp

CONFIGURED_WITHIN_S = 20.0
"""Real seconds for a radio to tell its settings; over a 115,200 baud lead with a full node list it takes about four."""

RETRY_S, RETRY_MAX_S, RETRY_REAL_S = 2.0, 60.0, 0.25
"""Kit seconds between two attempts to connect, doubling up to the second; and the least real time."""

RESTART_S, RESTART_REAL_S = 30.0, 3.0
"""How long a radio may take to restart after its settings were written."""

WRITE_SETTINGS_TIMES = 2
ROUTING_APP = 5
"""The port number on which a radio tells what became of a packet."""

WORRY_S, WORRY_REAL_S = 120.0, 5.0
"""A radio that has been away for longer than this needs a person."""

LIBRARY_PRIORITY = {0: 110, 1: 100, 2: 70}
"""MeshPacket.Priority for ours: ALERT, HIGH, RELIABLE; everything else DEFAULT. The radio sends by it."""
DEFAULT_LIBRARY_PRIORITY = 64


class MeshtasticLink:
    """A LoRa link; see the port for what each method promises.

    Args:
        radio: "tcp:HOST:PORT" or "serial:/dev/ttyUSB0".
        region: the region the radio must be set to; it is set if it is not.
        preset: the modem preset the radio must be set to.
        hop_limit: how often other radios may repeat a packet, 0 to 7.
        clock: kit time.
        lowest_priority: the largest priority number carried.
        ledger: a file that keeps the count of airtime over a restart of this process; None = it starts anew.
        on_telemetry: gets the sender and the payload of every telemetry packet of other nodes, once each; called on
            the library's thread, so it must not block. None = they are passed over.
        channel: name of the radio's primary channel; "" = Meshtastic's default.
        until_midnight_s: how long the village's day still lasts at a Unix time.
        on_gps_time: gets the Unix time whenever the radio tells a position of its own GPS; likewise.

    Raises:
        LinkError: `radio`, `region` or `preset` is written wrongly, or they do not go together.
    """

    name = "lora"

    def __init__(
        self,
        *,
        radio: str,
        region: str,
        preset: str,
        hop_limit: int,
        clock: Clock,
        lowest_priority: int = 4,
        ledger: Path | None = None,
        on_telemetry: Callable[[int, bytes], None] | None = None,
        channel: str = "",
        until_midnight_s: Callable[[float], float] = lambda now_s: 86_400.0 - now_s % 86_400.0,
        on_gps_time: Callable[[float], None] | None = None,
    ) -> None:
        self._address = RadioAddress.parse(radio)
        self._settings = RadioSettings(region=region, preset=preset, hop_limit=hop_limit, channel=channel)
        self._account = AirAccount(region=region, preset=preset, clock=clock, ledger=ledger, hop_limit=hop_limit)
        self._until_midnight_s = until_midnight_s
        self.mtu_bytes = frame_bytes_for(region, preset)
        self._hop_limit, self._clock = hop_limit, clock
        self.lowest_priority = lowest_priority
        self._pace = Pace(clock.real(1.0))
        self._changed = threading.Condition()
        self._outbox = Outbox()
        self._arrivals = RadioArrivals(on_telemetry=on_telemetry, on_gps_time=on_gps_time, on_hops=self._note_hops)
        self._interface: RadioOverTcp | RadioOverSerial | None = None
        self._watch: RadioWatch | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._trouble = ""
        self._settings_written = 0
        self._next_s = 0.0
        self._refusals = RadioRefusals(self._address)
        self._down_since_s = clock.monotonic()

    @property
    def frame_s(self) -> float:
        """How long a full frame takes on the air, in kit seconds: the session's time-outs follow it."""
        return self._account.airtime_ms(self.mtu_bytes, direct=False) / 1000.0

    def open(self) -> None:
        """Start connecting; returns at once."""
        if self._thread is None:
            self._closing = threading.Event()
            self._thread = threading.Thread(target=self._run, name="lora", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop and let go of the radio, within a second."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(timeout=0.9)
            with self._changed:
                self._account.save()

    def state(self) -> LinkState:
        """What it can do now."""
        if self._thread is None:
            return LinkState.DOWN
        if self._watch is None:
            return LinkState.DOWN if self._trouble else LinkState.CONNECTING
        return LinkState.BUSY if self._busy_because() else LinkState.UP

    def explain(self) -> str:
        """One sentence for the technician."""
        if self._thread is None:
            return "the LoRa link is closed"
        if self._watch is None:
            return self._trouble or f"connecting to the radio at {self._address}"
        return self._busy_because() or (
            f"connected to the radio at {self._address} ({self._settings.asked()}); {self._account.explain()}"
        )

    def fault(self) -> str:
        """What a person has to do about it; "" where nothing is to be done."""
        with self._changed:
            watch, now_s = self._watch, self._clock.monotonic()
            if watch is not None and watch.stuck(now_s):
                return f"the sending queue of the radio at {self._address} does not drain any more; restart the radio"
            if watch is not None:
                return self._refusals.fault(now_s)
            # a radio that is just connecting anew, or restarting with new settings, is nothing to worry about
            lasting = now_s - self._down_since_s > self._pace.of(WORRY_S, WORRY_REAL_S)
        return self._trouble if self._thread is not None and lasting else ""

    def facts(self) -> Mapping[str, Any]:
        """How the radio is set, and what the air can still carry today."""
        hours = self._until_midnight_s(self._clock.now()) / 3600.0
        with self._changed:
            account = self._account
            return {
                "radio": str(self._address),
                "verified": self._watch is not None,
                "region": self._settings.region,
                "preset": self._settings.preset,
                "channel": self._settings.channel,
                "hop_limit": self._settings.hop_limit,
                "firmware": account.firmware,
                "refused": dict(self._refusals.counted),
                "air": {
                    "frame_bytes": self.mtu_bytes,
                    "frame_ms": round(account.airtime_ms(self.mtu_bytes, direct=False)),
                    "hops": account.hops,
                    **account.today(self.mtu_bytes, hours=hours),
                },
            }

    def airtime_left_ms(self) -> int | None:
        """What may still be sent in this hour, in ms, the reserve for alerts included; None = no limit."""
        with self._changed:
            return self._account.left_ms()

    def airtime_free_percent(self) -> int | None:
        """The same as a share of what the hour allows, 0 to 100; None = no limit."""
        with self._changed:
            return self._account.free_percent()

    def send(self, frame: bytes, *, priority: int, to: str | None = None) -> bool:
        """Take the frame for sending, or return False when it cannot be taken now."""
        if len(frame) > self.mtu_bytes:
            raise FrameTooLarge(len(frame), self.mtu_bytes, self.name)
        with self._changed:
            watch = self._watch
            if watch is None or watch.stuck(self._clock.monotonic()) or not self._outbox.has_room(priority):
                return False
            if self._refusals.hold(self._clock.monotonic()):
                return False
            airtime_ms = self._account.airtime_ms(len(frame), direct=to is not None)
            if not self._account.spend(airtime_ms, priority=priority):
                return False
            self._outbox.put(Outgoing(frame, priority, to, airtime_ms))
            self._changed.notify_all()
        return True

    def receive(self, timeout_s: float) -> Sequence[Arrival]:
        """What has come in; waits up to that many real seconds for the first."""
        return self._arrivals.frames(timeout_s)

    # --- the worker thread ---

    def _run(self) -> None:
        attempts = 0
        while not self._closing.is_set():
            try:
                interface = self._connect()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the library raises anything, and exits
                self._trouble = explain_failure(self._address, error)
            else:
                attempts = 0
                self._serve(interface)
            finally:
                self._let_go()
            attempts += 1
            pause_s = self._pace.of(min(RETRY_S * 2 ** min(attempts - 1, 8), RETRY_MAX_S), RETRY_REAL_S)
            self._closing.wait(max(self._clock.real(pause_s), RETRY_REAL_S))

    def _connect(self) -> RadioOverTcp | RadioOverSerial:
        """A connection to a radio that has the right settings.

        Raises:
            Exception: whatever the library or the operating system says.
        """
        from sync.links.meshtastic_interface import Callbacks

        interface = self._address.interface(
            Callbacks(
                on_packet=self._on_packet, on_queue=self._on_queue, on_notice=self._on_notice, on_lost=self._on_lost
            )
        )
        self._interface = interface
        interface.connect()
        if not interface.wait_until_configured(CONFIGURED_WITHIN_S, self._closing):
            raise LinkError(
                f"something is at {self._address} but does not answer like a Meshtastic radio; "
                f"restart the radio, or check [links.lora] radio"
            )
        self._check_settings(interface)
        with self._changed:
            now_s = self._clock.monotonic()
            self._next_s = now_s
            self._account.firmware = str(getattr(interface.metadata, "firmware_version", ""))
            self._watch = RadioWatch(pace=self._pace, connected_s=now_s)
            self._trouble = ""
        interface.sendHeartbeat()  # its answer tells how many slots the queue has
        return interface

    def _check_settings(self, interface: Any) -> None:
        has = self._settings.differ_from(interface.localNode.localConfig.lora, primary_channel(interface))
        if not has:
            self._settings_written = 0
            return
        asked = self._settings.asked()
        if self._settings_written >= WRITE_SETTINGS_TIMES:
            raise LinkError(
                f"the radio at {self._address} keeps {has} although {asked} was written to it; "
                f"check [links.lora], or set the radio with its own app"
            )
        self._settings_written += 1
        self._settings.write_to(interface)
        interface.wait_until_over(max(self._clock.real(RESTART_S), RESTART_REAL_S), self._closing)
        raise LinkError(f"the radio at {self._address} had {has}; it was set to {asked} and is restarting")

    def _serve(self, interface: Any) -> None:
        """Hand over frames and watch the radio until it has gone or the link is closed."""
        while not self._closing.is_set():
            with self._changed:
                outgoing, wait_s = self._next_frame()
                if outgoing is None and wait_s > 0 and not interface.over:
                    self._changed.wait(max(self._clock.real(wait_s), 0.001))
                    outgoing, _ = self._next_frame()
                if outgoing is not None:
                    self._outbox.remove(outgoing)
            if interface.over:
                self._trouble = f"the radio at {self._address} has closed the connection; connecting again"
                return
            if outgoing is not None:
                self._hand_over(interface, outgoing)
            if not self._keep_alive(interface):
                self._trouble = (
                    f"the radio at {self._address} is connected but says nothing any more; connecting again. "
                    f"If this goes on, restart the radio"
                )
                return

    def _next_frame(self) -> tuple[Outgoing | None, float]:
        """The frame to hand over now, or None and for how many kit seconds to wait. Call with the lock held."""
        watch = self._watch
        if watch is None:
            return None, 0.0
        now_s = self._clock.monotonic()
        until_heartbeat_s = max(watch.heartbeat_at() - now_s, 0.0)
        first = self._outbox.first()
        if first is None:
            return None, until_heartbeat_s
        if not watch.has_room(priority=first.priority):
            return None, until_heartbeat_s
        if first.priority == URGENT or now_s >= self._next_s:
            return first, 0.0
        return None, min(self._next_s - now_s, until_heartbeat_s)

    def _hand_over(self, interface: Any, outgoing: Outgoing) -> None:
        try:
            interface.sendData(
                outgoing.frame,
                destinationId=outgoing.to if outgoing.to is not None else "^all",
                portNum=PRIVATE_APP,
                wantAck=False,
                hopLimit=self._hop_limit,
                priority=LIBRARY_PRIORITY.get(outgoing.priority, DEFAULT_LIBRARY_PRIORITY),
            )
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the library raises anything, and exits
            self._trouble = explain_failure(self._address, error)
            interface.give_up()
            return
        with self._changed:
            now_s = self._clock.monotonic()
            self._next_s = max(self._next_s, now_s) + outgoing.airtime_ms / 1000.0
            if self._watch is not None:
                self._watch.took()

    def _keep_alive(self, interface: Any) -> bool:
        """Send a heartbeat if one is due; False when the radio has left too many unanswered."""
        with self._changed:
            watch, now_s = self._watch, self._clock.monotonic()
            if watch is None or watch.gone(now_s):
                return False
            due = now_s >= watch.heartbeat_at()
            if due:
                watch.asked(now_s)
        if due:
            try:
                interface.sendHeartbeat()
            except Exception:  # noqa: BLE001 - whatever it is, the radio does not take bytes any more
                interface.give_up()
        return True

    def _let_go(self) -> None:
        with self._changed:
            if self._watch is not None:
                self._down_since_s = self._clock.monotonic()
            self._watch = None
            self._outbox.clear()
            interface, self._interface = self._interface, None
        if interface is not None:
            interface.let_go()

    def _busy_because(self) -> str:
        with self._changed:
            watch, now_s = self._watch, self._clock.monotonic()
            if watch is None:
                return ""
            if watch.stuck(now_s):
                return f"the sending queue of the radio at {self._address} does not drain any more; restart the radio"
            if self._refusals.hold(now_s):
                return self._refusals.explain()
            if not self._account.has_air():
                return f"the share of airtime is spent, only alerts go out; {self._account.explain()}"
            if not self._outbox.has_room(priority=1):
                return f"sending; {self._account.explain()}"
        return ""

    # --- on the library's reader thread ---

    def _on_packet(self, packet: Any) -> None:
        with self._changed:
            if self._watch is not None:
                self._watch.heard(self._clock.monotonic())
        if packet.decoded.portnum == ROUTING_APP:
            self._note_outcome(packet)
        else:
            self._arrivals.take(packet, own_node=self._own_node())

    def _note_hops(self, hops: int) -> None:
        with self._changed:
            self._account.heard_hops(hops)

    def _note_outcome(self, packet: Any) -> None:
        """The radio says what became of a packet: why it was not sent. The session sends it again."""
        from sync.links.meshtastic_interface import routing_error

        error, name = routing_error(bytes(packet.decoded.payload))
        if not error:
            return
        with self._changed:
            self._refusals.take_outcome(error, name, self._clock.monotonic())
            self._changed.notify_all()

    def _own_node(self) -> int:
        """The radio's own number; 0 before it has told it."""
        told = getattr(self._interface, "myInfo", None)
        return 0 if told is None else int(told.my_node_num)

    def _on_queue(self, status: Any) -> None:
        with self._changed:
            now_s = self._clock.monotonic()
            if self._watch is not None:
                self._watch.queue_status(free=int(status.free), slots=int(status.maxlen), now_s=now_s)
            self._refusals.take_queue_status(status.res, now_s)
            self._changed.notify_all()

    def _on_notice(self, sentence: str) -> None:
        self._refusals.notice = f"the radio says: {sentence}"

    def _on_lost(self) -> None:
        with self._changed:
            self._changed.notify_all()
