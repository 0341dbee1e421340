"""What the simulated firmware does with packets, in pure time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from meshtastic.protobuf import mesh_pb2, portnums_pb2

from hardware.simulated.air import Air, AirFaults, Timetable, Tuning
from hardware.simulated.radio_mac import BROADCAST, QUEUE_SLOTS, RadioMac

Error = mesh_pb2.Routing.Error


@dataclass
class Bench:
    """Two radios on one air; `told` is what each radio's client is told."""

    region: str = "US"
    air: Air = field(default_factory=lambda: Air(timetable=Timetable(), rng=random.Random(1)))
    radios: list[RadioMac] = field(default_factory=list)
    told: list[list[Any]] = field(default_factory=lambda: [[], []])
    ids: int = 0

    def __post_init__(self) -> None:
        for number in range(2):
            radio = RadioMac(
                number=number,
                node=100 + number,
                air=self.air,
                tuning=Tuning(self.region, "LONG_FAST"),
                rng=random.Random(number),
                to_client=self.told[number].append,
            )
            self.radios.append(radio)
            self.air.join(radio)

    def submit(
        self,
        payload: bytes = b"x",
        *,
        to: int = BROADCAST,
        now_s: float = 0.0,
        priority: int = 64,
        want_ack: bool = False,
    ) -> int:
        self.ids += 1
        packet = mesh_pb2.MeshPacket(to=to, id=self.ids, hop_limit=3, priority=priority, want_ack=want_ack)
        packet.decoded.portnum = portnums_pb2.PortNum.PRIVATE_APP
        packet.decoded.payload = payload
        return self.radios[0].submit(packet, now_s)

    def payloads(self, number: int) -> list[bytes]:
        return [told.decoded.payload for told in self.told[number] if told.decoded.portnum == 256]

    def outcomes(self, number: int) -> list[int]:
        return [
            mesh_pb2.Routing.FromString(told.decoded.payload).error_reason
            for told in self.told[number]
            if told.decoded.portnum == portnums_pb2.PortNum.ROUTING_APP
        ]


@pytest.mark.parametrize(("to", "most"), [(BROADCAST, 231), (101, 219)])
def test_the_largest_payload_is_the_firmware_s(to: int, most: int) -> None:
    bench = Bench()
    assert bench.submit(bytes(most), to=to) == 0
    assert bench.submit(bytes(most + 1), to=to) == Error.TOO_LARGE
    assert bench.outcomes(0) == [Error.TOO_LARGE]


def test_a_direct_packet_that_wants_it_is_acknowledged() -> None:
    bench = Bench()
    bench.submit(b"hello", to=101, want_ack=True)
    bench.air.timetable.run_until(60.0)
    assert bench.payloads(1) == [b"hello"]
    assert bench.outcomes(0) == [Error.NONE]
    assert bench.told[0][0].decoded.request_id == 1


def test_a_packet_that_nobody_acknowledges_is_sent_three_times_and_then_given_up() -> None:
    bench = Bench()
    bench.air.faults = AirFaults(unplugged=frozenset({1}))
    bench.submit(b"hello", to=101, want_ack=True)
    bench.air.timetable.run_until(600.0)
    assert bench.radios[0].transmitted == 3
    assert bench.outcomes(0) == [Error.MAX_RETRANSMIT]


def test_a_lost_acknowledgement_does_not_deliver_twice() -> None:
    bench = Bench()
    bench.air.faults = AirFaults(loss=0.5)
    for number in range(20):
        bench.submit(bytes([number]), to=101, want_ack=True, now_s=number * 100.0)
        bench.air.timetable.run_until(number * 100.0 + 99.0)
    assert len(bench.payloads(1)) == len(set(bench.payloads(1)))
    assert bench.radios[0].transmitted > 20


def test_a_broadcast_that_somebody_received_is_acknowledged_by_the_radio_itself() -> None:
    bench = Bench()
    bench.submit(b"all", want_ack=True)
    bench.air.timetable.run_until(60.0)
    assert bench.outcomes(0) == [Error.NONE]
    assert getattr(bench.told[0][0], "from") == bench.radios[0].node


def test_an_alert_overtakes_what_waits_in_the_radio() -> None:
    bench = Bench()
    for number in range(5):
        bench.submit(bytes([number]))
    bench.submit(b"alert", priority=110)
    bench.air.timetable.run_until(60.0)
    assert bench.payloads(1)[0] == b"alert"
    assert len(bench.payloads(1)) == 6


def test_a_full_queue_refuses_but_makes_room_for_an_alert() -> None:
    bench = Bench()
    assert [bench.submit() for _ in range(QUEUE_SLOTS)] == [0] * QUEUE_SLOTS
    assert bench.radios[0].free_slots == 0
    assert bench.submit() != 0
    assert bench.submit(b"alert", priority=110) == 0


def test_the_duty_cycle_of_the_region_is_enforced_and_returns_with_time() -> None:
    bench = Bench(region="EU_868")
    now_s = 0.0
    while bench.submit(bytes(200), now_s=now_s) == 0:
        now_s += 3.0
        bench.air.timetable.run_until(now_s)
    bench.air.timetable.run_until(now_s + 10.0)
    assert bench.radios[0].transmitted == 189  # 360 s of 1.911 s each, and the one that crosses the line
    assert bench.outcomes(0) == [Error.DUTY_CYCLE_LIMIT]
    assert bench.submit(bytes(200), now_s=3700.0) == 0


def test_two_busy_radios_rarely_collide_because_they_listen_first() -> None:
    bench = Bench()
    for radio in bench.radios:
        for number in range(15):
            packet = mesh_pb2.MeshPacket(to=BROADCAST, id=1000 * radio.node + number, priority=64)
            packet.decoded.portnum = portnums_pb2.PortNum.PRIVATE_APP
            packet.decoded.payload = bytes(100)
            radio.submit(packet, 0.0)
    bench.air.timetable.run_until(600.0)
    assert [radio.transmitted for radio in bench.radios] == [15, 15]
    assert bench.air.collisions < 15


def test_a_radio_without_region_does_not_transmit() -> None:
    bench = Bench()
    bench.radios[0].tx_enabled = False
    assert bench.submit() != 0
    bench.air.timetable.run_until(60.0)
    assert bench.radios[0].transmitted == 0
