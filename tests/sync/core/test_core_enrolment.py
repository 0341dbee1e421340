"""Who becomes a kit of this core, and who does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kit.errors import KitError, UsageError
from kit.home import Home
from sync.core.invites import make_invite
from sync.core.setup import open_core, prepare_core
from sync.protocol.enrolment import curve_keys_from_token
from sync.protocol.peers import Peer, Refusal, RefusalReason

DAY_S = 86_400.0


def test_a_kit_with_a_good_invite_is_enrolled_under_the_name_the_operator_gave(city: Any) -> None:
    kit, invite = city.kit(), city.invite("Orchard village")
    peer = city.enrol(city.hello(kit, invite))
    assert isinstance(peer, Peer)
    assert (peer.unit, peer.name, peer.link_id) == (kit.unit, "Orchard village", invite.link_id)
    assert peer.exchange_public == kit.identity.exchange_public
    assert city.store.by_link_id(invite.link_id) == peer
    assert city.store.all() == [peer]
    assert [each.name for each in city.store.open_invites(now_ms=city.now_ms)] == []


def test_the_same_hello_is_welcomed_again_even_after_the_invite_has_expired_and_the_core_restarted(city: Any) -> None:
    kit, invite = city.kit(), city.invite()
    hello = city.hello(kit, invite)
    peer = city.enrol(hello)
    city.clock.advance(30 * DAY_S)
    assert city.enrol(hello) == peer
    with city.core.open_store() as reopened:
        assert reopened.enrol(hello, now_ms=city.now_ms, link="cellular") == peer
    assert len(city.store.all()) == 1


def test_an_invite_lets_in_one_kit_only(city: Any) -> None:
    invite = city.invite()
    city.enrol(city.hello(city.kit(), invite))
    assert city.enrol(city.hello(city.kit(), invite)) == Refusal(RefusalReason.USED)
    assert len(city.store.all()) == 1


def test_an_expired_invite_lets_in_nobody(city: Any) -> None:
    invite = city.invite(days=2)
    city.clock.advance(2 * DAY_S)
    assert city.enrol(city.hello(city.kit(), invite)) == Refusal(RefusalReason.EXPIRED)
    assert city.store.open_invites(now_ms=city.now_ms) == []


def test_a_hello_without_the_token_or_without_the_key_is_forged(city: Any) -> None:
    kit, invite = city.kit(), city.invite()
    guessed = replace(invite, token=bytes(16))
    stolen = replace(city.hello(kit, invite), exchange_public=city.kit().identity.exchange_public)
    for hello in (city.hello(kit, guessed), stolen, replace(city.hello(kit, invite), name="Other")):
        assert city.enrol(hello) == Refusal(RefusalReason.FORGED)
    assert city.store.all() == []


def test_nobody_enrols_under_another_kit_s_id(city: Any) -> None:
    victim, thief = city.kit(), city.kit()
    thief.identity = replace(thief.identity, unit=victim.unit)
    assert city.enrol(city.hello(thief, city.invite())) == Refusal(RefusalReason.MISFIT)
    assert isinstance(city.enrol(city.hello(victim, city.invite())), Peer)
    assert city.enrol(city.hello(thief, city.invite())) == Refusal(RefusalReason.TAKEN)


def test_a_link_id_that_was_never_given_is_unknown(city: Any) -> None:
    invite = city.invite()
    elsewhere = replace(invite, link_id=(invite.link_id + 1) % 65_536)
    assert city.enrol(city.hello(city.kit(), elsewhere)) == Refusal(RefusalReason.UNKNOWN)


def test_a_kit_may_join_again_with_a_new_invite_and_keeps_its_records(city: Any) -> None:
    kit = city.joined("Orchard")
    city.take(city.alert(kit))
    again = city.invite("Orchard, upper")
    peer = city.enrol(city.hello(kit, again))
    assert isinstance(peer, Peer)
    (known,) = city.store.kits()
    assert (known.name, known.link_id, known.records) == ("Orchard, upper", again.link_id, 1)


def test_a_removed_kit_does_not_come_back_by_the_same_hello_but_with_a_new_invite(city: Any) -> None:
    kit, invite = city.kit(), city.invite()
    hello = city.hello(kit, invite)
    city.enrol(hello)
    assert city.store.remove_kit(kit.unit, now_ms=city.now_ms)
    assert not city.store.remove_kit(kit.unit, now_ms=city.now_ms)
    assert city.enrol(hello) == Refusal(RefusalReason.UNKNOWN)
    city.store.heard(kit.unit, link="lora", via="!1", now_ms=city.now_ms)  # a frame that was on its way
    assert isinstance(city.enrol(city.hello(kit, city.invite())), Peer)


def test_a_withdrawn_invite_is_worthless(city: Any) -> None:
    invite = city.invite("Orchard")
    assert city.store.withdraw_invites("Orchard", now_ms=city.now_ms) == 1
    assert city.enrol(city.hello(city.kit(), invite)) == Refusal(RefusalReason.UNKNOWN)
    assert not city.store.may_connect(curve_keys_from_token(invite.token).public, now_ms=city.now_ms)


def test_the_door_opens_to_enrolled_kits_and_to_who_holds_a_good_invite(city: Any) -> None:
    def opens(public: bytes) -> bool:
        told: bool = city.store.may_connect(public, now_ms=city.now_ms)
        return told

    kit, invite = city.kit(), city.invite(days=1)
    knock = curve_keys_from_token(invite.token).public
    assert opens(knock)
    assert not opens(kit.curve_public)
    assert not opens(b"")
    city.enrol(city.hello(kit, invite))
    assert opens(kit.curve_public)
    city.clock.advance(2 * DAY_S)
    assert opens(knock)  # the kit may not have got the answer yet
    city.store.heard(kit.unit, link="cellular", via="key", now_ms=city.now_ms)
    assert not opens(knock)
    assert opens(kit.curve_public)


def test_an_expired_invite_does_not_open_the_door(city: Any) -> None:
    knock = curve_keys_from_token(city.invite(days=1).token).public
    city.clock.advance(DAY_S)
    assert not city.store.may_connect(knock, now_ms=city.now_ms)


def test_the_store_holds_no_token(city: Any) -> None:
    invite = city.invite()
    for file in city.core.home.path.glob("core.db*"):
        assert invite.token not in file.read_bytes()


def test_link_ids_are_not_given_twice(city: Any) -> None:
    given = [city.invite().link_id for _ in range(300)]
    assert len(set(given)) == 300


def test_when_a_kit_was_last_heard_is_known_by_link_the_latest_first(city: Any) -> None:
    kit = city.joined()
    city.clock.advance(60)
    city.store.heard(kit.unit, link="cellular", via="key", now_ms=city.now_ms)
    (known,) = city.store.kits()
    assert [heard.link for heard in known.heard] == ["cellular", "lora"]
    assert known.last_heard is not None
    assert known.last_heard.at_ms == city.now_ms


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\x00b"])
def test_a_name_that_cannot_be_sent_or_shown_is_refused(city: Any, name: str) -> None:
    with pytest.raises(UsageError, match="a kit's name"):
        make_invite(city.core, name, days=7)


@pytest.mark.parametrize("address", ["core:7450", "tcp://core", "tcp://:1", "tcp://core:0", "tcp://core:99999"])
def test_an_address_no_kit_can_connect_to_is_refused(city: Any, address: str) -> None:
    with pytest.raises(UsageError, match="is not tcp://HOST:PORT"):
        make_invite(city.core, "Orchard", days=7, address=address)


def test_an_invite_for_the_radio_alone_needs_no_curve_key(city: Any) -> None:
    from sync.protocol.enrolment import Invite

    invite = Invite.decode(make_invite(city.core, "Orchard", days=7, address=""))
    assert (invite.address, invite.curve_public) == ("", b"")


def test_preparing_a_core_twice_changes_nothing(tmp_path: Any) -> None:
    home = Home(tmp_path / "core")
    first = prepare_core(home)
    home.settings_file.write_text('[core]\nname = "Nakuru"\n')
    again = prepare_core(home)
    assert again.identity == first.identity
    assert again.settings.core.name == "Nakuru"
    assert open_core(home).identity == first.identity
    assert (home.keys / "unit.json").stat().st_mode & 0o777 == 0o600


def test_a_core_s_kit_toml_speaks_of_the_core_only_and_can_be_read(tmp_path: Any) -> None:
    home = Home(tmp_path / "core")
    prepare_core(home)
    text = home.settings_file.read_text()
    assert "[core]" in text
    assert "[core.links.lora]" in text
    assert "[frost]" not in text
    prepare_core(home)


def test_a_kit_s_home_is_no_core_s_and_an_empty_one_neither(tmp_path: Any) -> None:
    kit = Home(tmp_path / "kit")
    kit.prepare()
    kit.database.touch()
    with pytest.raises(KitError, match="is the home of a kit"):
        prepare_core(kit)
    with pytest.raises(KitError, match="holds no city core; make one with `kit core init`"):
        open_core(Home(tmp_path / "nothing"))


def test_a_store_that_this_version_cannot_use_is_said_before_anything_is_made(tmp_path: Any) -> None:
    home = Home(tmp_path / "core")
    home.path.mkdir()
    home.settings_file.write_text('[core]\nstore = "postgresql://core@db/village"\n')
    with pytest.raises(UsageError, match="this version keeps the core's data in SQLite only"):
        prepare_core(home)
    assert not home.keys.exists()


def test_the_store_may_lie_elsewhere(tmp_path: Any) -> None:
    home = Home(tmp_path / "core")
    home.path.mkdir()
    home.settings_file.write_text('[core]\nstore = "sqlite:city.db"\n')
    with prepare_core(home).open_store() as store:
        assert store.kits() == []
    assert (home.path / "city.db").exists()
    assert not home.core_database.exists()


def test_another_core_s_keys_do_not_open_this_store(tmp_path: Any) -> None:
    one, two = (prepare_core(Home(tmp_path / name)) for name in ("one", "two"))
    with (
        pytest.raises(KitError, match="put the right keys/ beside"),
        replace(one, home=one.home, identity=two.identity).open_store(),
    ):
        pass
