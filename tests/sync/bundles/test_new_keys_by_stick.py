"""A kit's new keys are carried by hand: a bundle opens with the pair it was sealed for, as long as both are known."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from kit.identity import load_or_create_curve_keys, load_or_create_identity
from sync.bundles.shelf import Stick
from sync.join import read_membership
from sync.rotation import begin, read_rotation


def rotate(kit: Any) -> None:
    membership = read_membership(kit.home)
    assert membership is not None
    begin(kit.home, core=membership.invite.core, now_ms=kit.now_ms)


def public(kit: Any) -> bytes:
    return load_or_create_identity(kit.home).exchange_public


def stage(kit: Any) -> str:
    told = read_rotation(kit.home)
    return "" if told is None else told.stage.value


def core_knows(valley: Any) -> tuple[bytes, bytes]:
    with valley.city.core.open_store() as store:
        (peer,) = store.all()
        return peer.exchange_public, peer.next_public


def there_and_back(valley: Any, kit: Any) -> None:
    stick = valley.stick()
    kit.fill(stick)
    valley.city.read(stick)
    kit.empty(stick)


def test_keys_are_renewed_by_two_trips_with_a_stick(valley: Any) -> None:
    kit = valley.kit()
    old = public(kit)
    rotate(kit)
    kit.write(b"first")
    there_and_back(valley, kit)
    assert stage(kit) == "offered"  # what the stick has brought is looked at with the next one
    assert core_knows(valley)[0] == old
    kit.write(b"second")
    there_and_back(valley, kit)
    assert stage(kit) == ""
    assert core_knows(valley) == (public(kit), b"")
    assert public(kit) != old
    with valley.city.core.open_store() as store:
        (peer,) = store.all()
    assert peer.curve_public.hex() != ""
    kit.write(b"third")
    there_and_back(valley, kit)
    bodies = valley.city.bodies()
    assert [bodies.count(each) for each in (b"first", b"second", b"third")] == [1, 1, 1]
    assert "left" not in kit.states


def test_one_stick_with_bundles_of_before_and_after_the_switch_is_read_whole(valley: Any) -> None:
    kit = valley.kit()
    rotate(kit)
    there_and_back(valley, kit)
    kit.write(b"under the old keys")
    early = read_rotation(kit.home)
    assert early is not None
    assert stage(kit) == "offered"
    # two sticks become one: what was sealed under the old keys, and what was sealed under the new ones
    (kit.home.keys / "rotation.json").rename(kit.home.keys / "aside")
    one, two = valley.stick(), valley.stick()
    kit.fill(one)
    (kit.home.keys / "aside").rename(kit.home.keys / "rotation.json")
    kit.write(b"under the new keys")
    kit.fill(two)
    assert stage(kit) == "switched"
    for file in one.folder.glob("*.bp7"):
        shutil.copy(file, two.folder)
    told, _ = valley.city.read(two)
    assert told.damaged == []
    assert {b"under the old keys", b"under the new keys"} <= set(valley.city.bodies())
    kit.empty(two)
    assert stage(kit) == ""


def test_a_stick_of_before_that_arrives_after_the_end_is_not_believed_and_nothing_is_lost(
    valley: Any, tmp_path: Path
) -> None:
    kit, late = valley.kit(), valley.stick()
    kit.write(b"slow")
    kit.fill(late)
    rotate(kit)
    for _ in range(3):
        there_and_back(valley, kit)
    assert stage(kit) == ""
    told, _ = valley.city.read(late)
    assert len(told.damaged) == 1  # whoever has stolen the old keys could have made it
    assert valley.city.bodies().count(b"slow") == 1  # the later sticks brought it again
    # the same stick, back in the village: the bundle that nobody can open is taken away
    kit.write(b"next")
    kit.fill(late)
    told, _ = valley.city.read(late)
    assert told.damaged == []
    assert valley.city.bodies().count(b"next") == 1
    del tmp_path


def test_a_stick_from_the_city_that_was_sealed_before_does_not_turn_back_the_kit(valley: Any, copy_of: Any) -> None:
    kit, stick = valley.kit(), valley.stick()
    valley.city.tell(kit.unit, b"hello")
    kit.fill(stick)
    valley.city.read(stick)
    early: Stick = copy_of(stick, valley.path / "early")
    rotate(kit)
    there_and_back(valley, kit)
    kit.fill(valley.stick())
    assert stage(kit) == "switched"
    kit.empty(early)
    assert [body for kind, body in kit.inbox() if kind == "message"] == [b"hello"]
    assert stage(kit) == "switched"
    there_and_back(valley, kit)
    assert stage(kit) == ""
    kit.empty(early)  # now it cannot be opened any more
    assert [body for kind, body in kit.inbox() if kind == "message"] == [b"hello"]


def test_the_curve_keys_follow(valley: Any) -> None:
    from zmq.utils import z85

    kit = valley.kit()
    old = load_or_create_curve_keys(kit.home).public
    rotate(kit)
    pending = read_rotation(kit.home)
    assert pending is not None
    there_and_back(valley, kit)
    new = pending.new.curve_public.encode()

    def opens(key: bytes) -> bool:
        with valley.city.core.open_store() as store:
            return bool(store.may_connect(z85.decode(key), now_ms=kit.now_ms))

    assert (opens(old), opens(new)) == (True, True)
    there_and_back(valley, kit)
    assert load_or_create_curve_keys(kit.home).public == new
    assert (opens(old), opens(new)) == (False, True)
