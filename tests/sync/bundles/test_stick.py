"""A stick between a village and the city: carried twice, half, late, by anybody, or tampered with."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kit.cli.__main__ import main
from kit.errors import KitError
from kit.home import Home
from kit.run.bundles import core_exchange, take
from sync.bundles.passing import Passing
from sync.bundles.shelf import BundleFile, ShelfError, Stick
from sync.join import join, read_membership
from sync.protocol import keys
from sync.protocol.bundle import Bundle, read_bundle, read_payload
from sync.protocol.carried import CarriedFrames, accepted_frames
from sync.protocol.errors import RemoteSyncError
from sync.protocol.items import WIRE_EPOCH_MS, RecordPacker
from sync.protocol.peers import Peer, Role
from sync.protocol.records import Held, Priority, Record, RecordId

DOCUMENT = Path(__file__).parents[3] / "docs" / "bundles.md"


def bundles(stick: Stick) -> list[Path]:
    return sorted(stick.folder.glob("*.bp7"))


def test_a_kit_without_any_link_joins_by_stick(valley: Any) -> None:
    kit = valley.kit(joined=False)
    kit.write(b"waits until welcomed")
    join(kit.home, valley.city.invite(), clock=valley.clock)
    stick = valley.stick()
    assert kit.fill(stick).records == 0  # nothing but the hello leaves before the core has answered
    told, _ = valley.city.read(stick)
    assert told.enrolled == [kit.unit]
    assert kit.empty(stick).welcomed == "City core"
    membership = read_membership(kit.home)
    assert membership is not None
    assert membership.enrolled
    assert kit.fill(stick).records == 1


def test_custody_passes_only_when_the_acknowledgement_has_come_back(valley: Any) -> None:
    kit, stick = valley.kit(), valley.stick()
    for number in range(3):
        kit.write(b"reading %d" % number)
    assert kit.fill(stick).records == 3
    assert kit.states == {"left"}
    valley.city.read(stick)
    assert kit.states == {"left"}  # the core has them, and this kit cannot know it yet
    assert kit.empty(stick).accepted == 3
    assert kit.states == {"accepted"}
    assert [row["links"][0]["link"] for row in kit.queue()] == ["stick"] * 3
    assert sorted(valley.city.bodies()) == [b"reading 0", b"reading 1", b"reading 2"]


def test_what_has_arrived_is_taken_off_the_stick_and_the_rest_stays(valley: Any) -> None:
    kit, stick = valley.kit(), valley.stick()
    kit.write(b"first")
    kit.fill(stick)
    valley.city.read(stick)
    kit.empty(stick)
    kit.write(b"second")
    told = kit.fill(stick)
    assert (told.records, told.removed) == (1, 1)
    assert kit.fill(stick).already == 1


def test_the_stick_goes_both_ways(valley: Any) -> None:
    kit, stick = valley.kit(), valley.stick()
    valley.city.tell(kit.unit, b"a lesson")
    valley.city.read(stick)
    assert kit.empty(stick).records == 1
    assert kit.inbox() == [("message", b"a lesson")]
    assert kit.fill(stick).acknowledged == 1
    told, _ = valley.city.read(stick)
    assert told.accepted == 1


def test_a_stick_carried_twice_changes_nothing(valley: Any, copy_of: Callable[..., Stick], tmp_path: Path) -> None:
    kit, stick = valley.kit(), valley.stick()
    kit.write_many(40)
    kit.fill(stick)
    copy = copy_of(stick, tmp_path / "copy")
    valley.city.read(stick)
    valley.city.read(stick)
    valley.city.read(copy)
    assert len(valley.city.bodies()) == 40
    assert kit.empty(copy).accepted == 40
    assert kit.empty(stick).accepted == 0
    assert kit.empty(stick).accepted == 0


def test_a_copied_kit_does_not_take_the_other_one_s_records_for_its_own(
    valley: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two kits from one SD card that meet the city on sticks alone: no session is there to notice it."""
    kit = valley.kit()
    kit.write(b"written before the card was copied")
    shutil.copytree(kit.home.path, tmp_path / "copy")
    copy = type(kit)(Home(tmp_path / "copy"), valley.clock)
    assert kit.write(b"mine") == copy.write(b"theirs")
    stick, later = valley.stick(), valley.stick()
    kit.fill(stick)
    copy.fill(later)
    valley.city.read(stick)
    # the stick comes back, and is read by the wrong one of the two
    told = copy.empty(stick)
    assert (told.accepted, told.unlike) == (1, 1)  # what both have is there, what only one has is not
    assert [(row["seq"], row["state"]) for row in copy.queue()] == [(2, "left"), (1, "accepted")]
    assert main(["bundle", "import", str(stick.path), "--home", str(copy.home.path)]) == 0
    assert "1 record of ours stay here" in capsys.readouterr().out
    assert kit.empty(stick).accepted == 2
    # nor does the copy's own stick help it: the city keeps its record apart, and says only what it holds
    valley.city.read(later)
    assert copy.empty(later).unlike == 1
    with valley.city.core.open_store() as store:
        assert len(store.refused(limit=9)) == 1


def test_a_season_s_records_are_acknowledged_in_frames_of_a_bearable_size() -> None:
    held = [
        Held(RecordId(origin, epoch, seq), seq.to_bytes(4, "big"))
        for origin, epoch, seqs in (("kit-a", 5, range(1, 20_000)), ("kit-a", 9, range(1, 9, 2)), ("kit-b", 2, (7,)))
        for seq in seqs
    ]
    kit, core = bytes(range(32)), bytes(range(32, 64))
    there = CarriedFrames(
        unit="core-b",
        exchange_private=core,
        peer=Peer(unit="kit-a", link_id=7, exchange_public=keys.public_of(kit)),
    )
    here = CarriedFrames(
        unit="kit-a",
        exchange_private=kit,
        peer=Peer(unit="core-b", link_id=7, exchange_public=keys.public_of(core), role=Role.CORE),
    )
    frames = [
        there.seal(plain, salt=bytes(16), number=number)
        for number, plain in enumerate(accepted_frames(held[::-1], peer="kit-a"))
    ]
    assert len(frames) == 3
    assert max(map(len, frames)) < 70_000
    assert [each for frame in frames for each in here.open(frame).accepted] == held


def test_several_kits_records_travel_on_one_stick(valley: Any) -> None:
    kits = [valley.kit(name) for name in ("orchard", "hill", "river")]
    stick = valley.stick()
    for kit in kits:
        kit.write(kit.unit.encode())
        kit.fill(stick)
    told, _ = valley.city.read(stick)
    assert told.records == 3
    assert sorted(valley.city.bodies()) == sorted(kit.unit.encode() for kit in kits)
    for kit in kits:
        heard = kit.empty(stick)
        assert (heard.accepted, heard.foreign > 0) == (1, True)


def test_a_stick_shown_to_a_neighbour_goes_on_with_the_neighbour_s_stick_and_the_answer_comes_back(
    valley: Any,
) -> None:
    behind, neighbour = valley.kit("hill"), valley.kit("river")
    lost, neighbours = valley.stick(), valley.stick()
    behind.write(b"from behind the hill")
    behind.fill(lost)
    assert neighbour.empty(lost).kept == 1
    assert neighbour.empty(lost).kept == 0  # it has it already
    # the first stick falls into the river; the neighbour's goes to the city
    assert neighbour.fill(neighbours).passed_on >= 1
    assert neighbour.fill(neighbours).passed_on == 0
    valley.city.read(neighbours)
    assert valley.city.bodies() == [b"from behind the hill"]
    assert neighbour.empty(neighbours).kept >= 1  # the answer for the hill
    third = valley.stick()
    assert neighbour.fill(third).passed_on >= 1
    assert behind.empty(third).accepted == 1
    assert neighbour.states == set()


def test_what_is_kept_for_others_is_bounded_in_bytes_hands_and_time(valley: Any, tmp_path: Path) -> None:
    core = "dtn://core-city/sync"
    passing = Passing(Stick(tmp_path / "kept"), core=core, most_bytes=3_500)
    bundles_ = [
        Bundle(
            source=f"dtn://kit-{number}/sync",
            destination=core,
            created_ms=1_790_000_000_000,
            sequence=number,
            lifetime_ms=10**9,
            payload=bytes(1_000),
        )
        for number in range(6)
    ]
    assert all(passing.keep(each) for each in bundles_)
    assert sum(size for _, size, _ in passing.shelf.sizes()) <= 3_500
    assert not passing.keep(replace(bundles_[0], destination="dtn://core-other/sync"))
    assert not passing.keep(replace(bundles_[0], hops=8))
    assert not passing.keep(replace(bundles_[0], payload=bytes(4_000)))
    stick = valley.stick()
    assert passing.put_on(stick, now_ms=1_790_000_000_000, trusted=True) > 0
    assert all(found.bundle is not None and found.bundle.hops == 1 for found in stick.read())
    assert passing.put_on(valley.stick(), now_ms=1_790_000_000_000 + 31 * 86_400_000, trusted=True) == 0
    assert passing.shelf.sizes() == []


def test_the_carrier_can_read_nothing(valley: Any) -> None:
    kit, other, stick = valley.kit(), valley.kit("hill"), valley.stick()
    kit.write(b"Amina has a fever")
    kit.fill(stick)
    assert not any(b"Amina" in each.read_bytes() for each in bundles(stick))
    with other.exchange() as exchange:
        assert exchange.take_from(stick).records == 0


def test_a_large_backlog_is_cut_into_bundles_and_all_of_it_arrives(valley: Any) -> None:
    kit, stick = valley.kit(), valley.stick()
    kit.write_many(12, b"p" * 200_000)
    kit.write(b"frost!", kind="alert", priority=0)
    told = kit.fill(stick)
    assert told.records == 13
    assert len(bundles(stick)) >= 4
    assert valley.city.read(stick)[0].records == 13
    assert kit.empty(stick).accepted == 13


class FullAfter(Stick):
    """A stick that fills up."""

    def __init__(self, path: Path, room: int) -> None:
        super().__init__(path)
        self.room = room

    def add(self, bundle: Any) -> str:
        if self.room == 0:
            raise ShelfError(f"{self.path} is full")
        self.room -= 1
        return super().add(bundle)


def test_a_stick_that_fills_up_carries_the_most_urgent_and_a_second_one_the_rest(valley: Any) -> None:
    kit = valley.kit()
    kit.write_many(8, b"p" * 200_000)
    kit.write(b"frost!", kind="alert", priority=0)
    small = FullAfter(valley.stick().path, 1)
    told = kit.fill(small)
    assert "full" in told.trouble
    assert 0 < told.records < 9
    valley.city.read(Stick(small.path))
    assert b"frost!" in valley.city.bodies()
    kit.empty(Stick(small.path))
    large = valley.stick()
    assert kit.fill(large).records == 9 - told.records
    valley.city.read(large)
    assert len(valley.city.bodies()) == 9


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_copy_that_was_cut_short_costs_only_what_was_cut(valley: Any, share: float) -> None:
    kit, stick = valley.kit(), valley.stick()
    kit.write_many(12, b"p" * 90_000)
    kit.fill(stick)
    torn = bundles(stick)[0]
    torn.write_bytes(torn.read_bytes()[: int(torn.stat().st_size * share)])
    told, _ = valley.city.read(stick)
    assert [name for name, _ in told.damaged] == [torn.name]
    assert 0 < told.records < 12
    kit.empty(stick)
    kit.fill(stick)  # its own torn bundle is made anew
    valley.city.read(stick)
    assert len(valley.city.bodies()) == 12


def test_an_interrupted_export_goes_on_where_it_stopped(valley: Any) -> None:
    kit, stick = valley.kit(), valley.stick()
    kit.write_many(9, b"p" * 200_000)
    kit.fill(stick)
    lost = bundles(stick)[-1]
    lost.rename(lost.with_name(lost.name + ".part"))  # as if power had failed before the last rename
    told = kit.fill(stick)
    assert told.already > 0
    assert told.records > 0
    assert told.already + told.records == 9
    assert not list(stick.folder.glob("*.part"))
    assert valley.city.read(stick)[0].records == 9


def test_a_stick_that_was_tampered_with_is_harmless(valley: Any, tmp_path: Path) -> None:
    kit, stick = valley.kit(), valley.stick()
    kit.write(b"true")
    kit.fill(stick)
    good = bundles(stick)[0].read_bytes()
    at = good.index(read_bundle(good)[0].payload) + 40
    for name, data in {
        "flipped.bp7": good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :],
        "empty.bp7": b"",
        "noise.bp7": os.urandom(500),
        "doubled.bp7": good + good,
    }.items():
        (stick.folder / name).write_bytes(data)
    (stick.folder / "link.bp7").symlink_to("/etc/passwd")
    os.mkfifo(stick.folder / "pipe.bp7")
    with (stick.folder / "huge.bp7").open("wb") as stream:
        stream.truncate(3_000_000)
    told, _ = valley.city.read(stick)
    assert {name for name, _ in told.damaged} == {
        "flipped.bp7", "empty.bp7", "noise.bp7", "doubled.bp7", "link.bp7", "pipe.bp7", "huge.bp7",
    }  # fmt: skip
    assert valley.city.bodies() == [b"true"]


def test_a_kit_cannot_speak_for_another_one(valley: Any) -> None:
    kit, other, stick = valley.kit(), valley.kit("hill"), valley.stick()
    kit.write(b"mine")
    kit.fill(stick)
    frame_of = bundles(stick)[0]
    # somebody relabels the bundle as the other kit's: the seal says whose it is
    data = frame_of.read_bytes().replace(kit.unit.encode(), other.unit.encode())
    frame_of.write_bytes(data)
    told, _ = valley.city.read(stick)
    assert told.records == 0
    assert told.damaged


def test_a_kit_that_was_removed_is_not_believed(valley: Any) -> None:
    kit, stick = valley.kit(), valley.stick()
    kit.write(b"late")
    kit.fill(stick)
    with valley.city.core.open_store() as store:
        store.remove_kit(kit.unit, now_ms=0)
    told, _ = valley.city.read(stick)
    assert told.records == 0
    assert "nobody here knows" in told.damaged[0][1]


def test_a_file_carries_the_same_as_a_stick(valley: Any, tmp_path: Path) -> None:
    kit, file = valley.kit(), tmp_path / "orchard.bundles"
    kit.write_many(5, b"p" * 200_000)
    with kit.exchange() as exchange:
        target = BundleFile(file)
        assert exchange.put_into(target).records == 5
        target.finish()
    stick = valley.stick()
    with core_exchange(valley.city.core) as exchange:
        told, answers = take(exchange, file)
    assert (told.records, answers) == (5, None)
    valley.city.read(stick)
    assert kit.empty(stick).accepted == 5


def test_a_kit_that_belongs_to_no_core_is_told_so(valley: Any) -> None:
    kit = valley.kit(joined=False)
    with pytest.raises(KitError, match="kit join"), kit.exchange():
        pass


def test_a_stick_that_is_not_there_is_named(valley: Any) -> None:
    kit = valley.kit()
    kit.write()
    told = kit.fill(Stick(Path("/nowhere/at/all")))
    assert "there is no /nowhere/at/all" in told.trouble


def test_a_write_protected_stick_is_named(valley: Any) -> None:
    kit = valley.kit()
    kit.write()
    assert "cannot be written" in kit.fill(Stick(Path("/sys"))).trouble  # nobody may make a folder there


def test_a_month_in_a_drawer_and_many_restarts_do_not_spoil_a_stick(valley: Any) -> None:
    kit, stick = valley.kit(), valley.stick()
    kit.write(b"old but good")
    kit.fill(stick)
    valley.clock.advance(40 * 86_400)
    assert valley.city.read(stick)[0].records == 1
    assert kit.empty(stick).accepted == 1


def test_the_vector_in_the_specification_is_what_a_kit_carries() -> None:
    core = Peer(unit="core-b", link_id=7, exchange_public=keys.public_of(bytes(range(32, 64))), role=Role.CORE)
    sealed = CarriedFrames(unit="kit-a", exchange_private=bytes(range(32)), peer=core)
    record = Record(
        id=RecordId("kit-a", 5, 1),
        kind="receipt",
        priority=Priority.RECEIPT,
        created_ms=WIRE_EPOCH_MS + 61_000,
        body=b"\x01",
    )
    frame = sealed.seal(RecordPacker("kit-a").encode(record), salt=bytes(range(16)), number=0)
    assert f"carried {frame.hex()}\n" in DOCUMENT.read_text(encoding="utf-8")


def test_the_commands_say_what_happened(valley: Any, capsys: pytest.CaptureFixture[str]) -> None:
    kit, stick = valley.kit(), valley.stick()
    kit.write_many(3)
    kit_home, core_home, path = str(kit.home.path), str(valley.city.core.home.path), str(stick.path)

    def said(*words: str, code: int = 0) -> str:
        assert main([*words]) == code
        streams = capsys.readouterr()
        return streams.out + streams.err

    assert "3 records put there" in said("bundle", "export", path, "--home", kit_home)
    assert "nothing new, 3 were there already" in said("bundle", "export", path, "--home", kit_home)
    assert "3 records taken from 1 bundle" in said("core", "bundle", "import", path, "--home", core_home)
    assert "3 records of ours have arrived" in said("bundle", "import", path, "--home", kit_home)
    assert "no record waits for the city core" in said("bundle", "export", path, "--home", kit_home)
    told = json.loads(said("core", "bundle", "export", path, "--home", core_home, "--json"))
    assert (told["records"], told["acknowledged"]) == (0, 3)
    (stick.folder / "odd.bp7").write_bytes(b"odd")
    assert "Not used: odd.bp7" in said("core", "bundle", "import", path, "--home", core_home, code=1)
    assert "there is no /nowhere" in said("core", "bundle", "import", "/nowhere", "--home", core_home, code=1)


def test_carried_frames_of_the_wrong_direction_or_a_flipped_bit_are_not_opened(valley: Any) -> None:
    kit, stick = valley.kit(), valley.stick()
    kit.write(b"secret")
    kit.fill(stick)
    membership = read_membership(kit.home)
    assert membership is not None
    sealed = CarriedFrames(unit=kit.unit, exchange_private=kit.identity.exchange_private, peer=membership.invite.peer)
    frame = read_payload(read_bundle(bundles(stick)[0].read_bytes())[0].payload)[0]
    assert sealed.open_own(frame)[0].body == b"secret"
    with pytest.raises(RemoteSyncError):
        sealed.open(frame)  # reflected
    for at in range(len(frame)):
        bad = frame[:at] + bytes((frame[at] ^ 0x80,)) + frame[at + 1 :]
        with pytest.raises(RemoteSyncError):
            sealed.open_own(bad)


def test_a_file_larger_than_is_read_at_once_says_to_take_a_stick(valley: Any, tmp_path: Path) -> None:
    file = tmp_path / "huge.bundles"
    with file.open("wb") as stream:
        stream.truncate(300_000_000)
    with core_exchange(valley.city.core) as exchange, pytest.raises(ShelfError, match="on a stick instead"):
        take(exchange, file)
