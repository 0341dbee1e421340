"""A village behind the hill: its kit is heard by another kit only, and that one carries for it without reading it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from kit.clock import ManualClock
from sync.links.carrying import (
    MOST_WAITING,
    MOST_WAITING_PER_KIT,
    SERVED_S,
    UNANSWERED_FRAMES,
    UNANSWERED_PAUSE_S,
    Carrier,
    NarrowEnd,
    WideEnd,
)
from sync.links.port import Arrival, LinkState
from sync.links.relay import RelayLink
from sync.protocol.envelope import put_in
from sync.protocol.frames import FrameType, first_byte


class Valley:
    """Kit A by the mast, kit B behind the hill, and the core in the city, which has no radio of its own."""

    def __init__(self, make_world: Any, tmp_path: Path, side: Any, *, carry: bool = True, daily: int = 10**6) -> None:
        self.world = world = make_world(lora=False, joined=False)
        self.a, self.core = world.kit, world.core
        self.b = side("kit-hill", tmp_path, world, 3)
        world.sides.append(self.b)
        self.carrier = Carrier(own_link_id=7, clock=world.clock, daily_bytes=daily)
        radio, self.modem, mast = world.lora(self.a), world.cellular(self.a), world.cellular(self.core)
        self.b_radio = world.lora(self.b)
        if carry:
            self.a.links[:] = [NarrowEnd(radio, self.carrier), WideEnd(self.modem, self.carrier)]
        relay = RelayLink()
        self.core.links[:] = [relay.exit_of(mast), relay]
        world.introduce()
        world.introduce(self.b, 9)

    def start(self) -> None:
        self.world.start()


@pytest.fixture
def valley(make_world: Any, tmp_path: Path) -> Any:
    world = make_world(lora=False, joined=False)
    side = type(world.kit)
    return lambda **more: Valley(make_world, tmp_path, side, **more)


def bodies(valley: Valley) -> list[bytes]:
    return [body for _, body in valley.core.taken]


def test_a_village_behind_the_hill_is_heard_and_answered(valley: Any) -> None:
    scene = valley()
    scene.start()
    scene.b.write("alert", priority=0, body=b"frost behind the hill")
    scene.b.write("message", priority=2, body=b"we need seed")
    scene.a.write("message", priority=2, body=b"our own")
    took_s = scene.world.live(600, until=lambda: scene.b.waiting == 0 and scene.a.waiting == 0)
    assert scene.b.waiting == 0, "accepted, and told so by radio"
    assert took_s < 120
    assert sorted(bodies(scene)) == [b"frost behind the hill", b"our own", b"we need seed"]
    custody = scene.b.database.connection.execute("SELECT DISTINCT link FROM custody WHERE accepted_ms IS NOT NULL")
    assert [row[0] for row in custody] == ["lora"]  # to kit B it is just its radio
    facts = scene.carrier.facts()
    assert facts["kits"] == 1
    assert facts["carried"] >= 2
    assert facts["returned"] >= 1


def test_the_carrier_cannot_read_what_it_carries(valley: Any) -> None:
    scene = valley()
    scene.start()
    scene.b.write("message", priority=2, body=b"Amina has a fever")
    scene.world.live(300, until=lambda: scene.b.waiting == 0)
    assert scene.b.waiting == 0
    assert not any(b"Amina" in frame for *_, frame in [*scene.world.air.log, *scene.world.cell.log])
    assert not scene.a.taken


def test_the_core_s_messages_find_the_way_back(valley: Any) -> None:
    scene = valley()
    scene.start()
    scene.b.write("message", priority=2, body=b"hello")  # the core must know by whom
    scene.world.live(120, until=lambda: scene.b.waiting == 0)
    scene.core.write("message", priority=2, body=b"seed comes on Tuesday", addressee="kit-hill")
    scene.world.live(900, until=lambda: len(scene.b.taken) > 0)
    assert [body for _, body in scene.b.taken] == [b"seed comes on Tuesday"]


def test_the_core_calls_a_kit_where_it_is_heard_not_on_its_own_radio_in_vain(valley: Any) -> None:
    scene = valley()
    beyond = scene.world.lora(scene.core)  # up, but the hill is in between
    beyond.send, beyond.receive = lambda *_, **__: True, lambda _: []
    scene.core.links.insert(1, beyond)
    scene.start()
    scene.b.write("message", priority=2, body=b"hello")
    scene.world.live(300, until=lambda: scene.b.waiting == 0)
    assert scene.b.waiting == 0
    scene.core.write("message", priority=2, body=b"seed comes on Tuesday", addressee="kit-hill")
    took_s = scene.world.live(900, until=lambda: len(scene.b.taken) > 0)
    assert took_s < 20


def test_what_was_heard_while_the_mast_was_down_goes_on_when_it_is_back(valley: Any) -> None:
    scene = valley()
    scene.modem.plugged = False
    scene.start()
    scene.b.write("message", priority=2, body=b"patience")
    scene.world.live(60)
    assert scene.carrier.facts()["waiting"] >= 1
    scene.b_radio.plugged = False  # B is silent now: what A has kept must do
    scene.modem.plugged = True
    scene.world.live(60, until=lambda: bool(bodies(scene)))
    assert bodies(scene) == [b"patience"]


def test_without_a_carrier_the_village_stays_unheard(valley: Any) -> None:
    scene = valley(carry=False)
    scene.start()
    scene.b.write("message", priority=2, body=b"anybody")
    scene.world.live(300)
    assert scene.b.waiting == 1


def test_over_an_air_that_loses_a_third_every_record_arrives_once(valley: Any) -> None:
    scene = valley()
    scene.world.air.faults.loss = 0.33
    scene.world.air.faults.duplicate = 0.2
    scene.start()
    for number in range(12):
        scene.b.write("message", priority=2, body=b"message %d" % number)
    scene.world.live(4000, until=lambda: scene.b.waiting == 0)
    assert scene.b.waiting == 0
    assert sorted(bodies(scene)) == sorted(b"message %d" % number for number in range(12))


class Wire:
    """A link that keeps what it is given."""

    name, mtu_bytes, lowest_priority = "wire", 60_000, 5

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.coming: list[Arrival] = []
        self.now = LinkState.UP

    def open(self) -> None: ...

    def close(self) -> None: ...

    def explain(self) -> str:
        return "a wire"

    def state(self) -> LinkState:
        return self.now

    def send(self, frame: bytes, *, priority: int, to: str | None = None) -> bool:
        del priority, to  # whatever they are
        self.sent.append(frame)
        return True

    def receive(self, timeout_s: float) -> list[Arrival]:
        del timeout_s  # no real time passes here
        coming, self.coming = self.coming, []
        return coming


class Bench:
    """A carrier between two wires."""

    def __init__(self, *, daily_bytes: int = 10**6, file: Path | None = None) -> None:
        self.clock, self.air, self.mast = ManualClock(), Wire(), Wire()
        self.carrier = Carrier(own_link_id=7, clock=self.clock, daily_bytes=daily_bytes, file=file)
        self.narrow, self.wide = NarrowEnd(self.air, self.carrier), WideEnd(self.mast, self.carrier)
        self.rng = random.Random(5)

    def frame(self, kit: int, kind: FrameType = FrameType.UP, size: int = 100) -> bytes:
        return bytes((first_byte(kind),)) + kit.to_bytes(2, "big") + self.rng.randbytes(size)

    def hear(self, *frames: bytes) -> list[bytes]:
        self.air.coming += [Arrival(frame, "!1") for frame in frames]
        ours = [each.frame for each in self.narrow.receive(0.0)]
        self.wide.receive(0.0)
        return ours

    def answer(self, *frames: bytes) -> list[bytes]:
        self.mast.coming += [Arrival(frame, "core") for frame in frames]
        return [each.frame for each in self.wide.receive(0.0)]


def test_our_own_frames_and_everything_unknown_pass_by() -> None:
    bench = Bench()
    ours = [bench.frame(7, FrameType.DOWN), b"something else", b"", bench.frame(7)]
    assert bench.hear(*ours) == ours
    assert bench.answer(bench.frame(7, FrameType.DOWN)) != []
    assert bench.mast.sent == []


def test_a_frame_is_carried_once_however_often_it_is_heard() -> None:
    bench = Bench()
    frame = bench.frame(9)
    for _ in range(5):
        assert bench.hear(frame) == []
    assert bench.mast.sent == [put_in(frame)]


def test_an_answer_for_somebody_never_heard_is_not_said_on_the_air() -> None:
    bench = Bench()
    bench.answer(put_in(bench.frame(9, FrameType.DOWN)), put_in(bench.frame(9)), put_in(b"x"), put_in(bytes(300)))
    assert bench.air.sent == []
    bench.hear(bench.frame(9))
    answer = bench.frame(9, FrameType.DOWN)
    bench.answer(put_in(answer))
    assert bench.air.sent == [answer]


def test_what_we_say_ourselves_and_hear_repeated_circles_nowhere() -> None:
    bench = Bench()
    bench.hear(bench.frame(9))
    answer = bench.frame(9, FrameType.DOWN)
    bench.answer(put_in(answer))
    bench.hear(answer, answer)
    bench.hear(bench.frame(9))
    assert len(bench.mast.sent) == 2  # our own voice does not make the kit count as served
    assert bench.air.sent == [answer]


def test_a_kit_that_the_core_s_own_radio_answers_is_not_carried_for() -> None:
    bench = Bench()
    bench.hear(bench.frame(9, FrameType.DOWN))
    bench.hear(bench.frame(9))
    assert bench.mast.sent == []
    bench.clock.advance(SERVED_S + 1)
    bench.hear(bench.frame(9))
    assert len(bench.mast.sent) == 1


def test_a_kit_whom_nobody_answers_is_soon_carried_for_only_every_ten_minutes() -> None:
    bench = Bench()
    for _ in range(200):
        bench.hear(bench.frame(9))
        bench.clock.advance(10.0)
    assert len(bench.mast.sent) <= UNANSWERED_FRAMES + 200 * 10 / UNANSWERED_PAUSE_S + 1
    bench.answer(put_in(bench.frame(9, FrameType.DOWN)))
    before = len(bench.mast.sent)
    bench.hear(bench.frame(9), bench.frame(9))
    assert len(bench.mast.sent) == before + 2


def test_a_day_has_only_so_many_bytes_for_others() -> None:
    bench = Bench(daily_bytes=1_000)
    for kit in range(50):
        bench.hear(bench.frame(100 + kit))
    assert sum(len(frame) for frame in bench.mast.sent) <= 1_100
    bench.clock.advance(86_401.0)
    before = len(bench.mast.sent)
    bench.hear(bench.frame(9))
    assert len(bench.mast.sent) == before + 1


def test_what_waits_is_bounded_per_kit_and_in_all_and_survives_a_restart(tmp_path: Path) -> None:
    bench = Bench(file=tmp_path / "carried.json")
    bench.mast.now = LinkState.DOWN
    for kit in range(10):
        for _ in range(30):
            bench.hear(bench.frame(100 + kit))
    assert bench.carrier.facts()["waiting"] == MOST_WAITING
    bench.carrier.save()
    again = Bench(file=tmp_path / "carried.json")
    assert again.carrier.facts()["waiting"] == MOST_WAITING
    again.wide.receive(0.0)
    assert len(again.mast.sent) == MOST_WAITING
    one = Bench()
    one.mast.now = LinkState.DOWN
    for _ in range(100):
        one.hear(one.frame(9))
    assert one.carrier.facts()["waiting"] == MOST_WAITING_PER_KIT


@pytest.mark.parametrize("text", ["", "{}", "[3]", '[{"age_s": 1, "frame": "AAAA"}]', '[{"age_s": "x", "frame": 3}]'])
def test_a_damaged_file_holds_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "carried.json").write_text(text)
    assert Bench(file=tmp_path / "carried.json").carrier.facts()["waiting"] == 0


def test_both_ends_say_what_their_links_say() -> None:
    bench = Bench()
    assert bench.narrow.facts()["carrying"]["kits"] == 0
    assert (bench.narrow.fault(), bench.narrow.airtime_left_ms(), bench.narrow.frame_s) == ("", None, None)
    assert bench.wide.explain() == "a wire"
