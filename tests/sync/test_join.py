"""The kit's side of joining: the invite is read, kept, and never lost or overwritten by mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kit.clock import ManualClock
from kit.errors import KitError, UsageError
from kit.home import Home
from sync.join import enrolled, has_joined, join, read_membership
from sync.protocol.enrolment import Invite

NOON_S = 1_790_000_000.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "kit")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(at_s=NOON_S)


def invite(core: str = "core-nakuru", *, key: int = 1, token: int = 1, lasts_s: float = 86_400.0) -> Invite:
    return Invite(
        core=core,
        core_public=bytes((key,)) * 32,
        link_id=7,
        token=bytes((token,)) * 16,
        expires_ms=int((NOON_S + lasts_s) * 1000),
        name="Orchard village",
        address="tcp://10.0.0.1:7450",
        curve_public=bytes(32),
    )


def test_an_invite_is_kept_for_the_owner_only_until_the_core_has_answered(home: Home, clock: ManualClock) -> None:
    assert not has_joined(home)
    assert read_membership(home) is None
    told = join(home, invite().encode(), clock=clock)
    assert told == read_membership(home)
    assert (told.invite, told.enrolled, told.known_as) == (invite(), False, "core-nakuru")
    assert (home.keys / "core.json").stat().st_mode & 0o777 == 0o600
    enrolled(home, core_name="Nakuru")
    answered = read_membership(home)
    assert answered is not None
    assert (answered.enrolled, answered.known_as, answered.invite) == (True, "Nakuru", invite())


def test_an_invite_may_be_pasted_over_several_lines_in_small_letters(home: Home, clock: ManualClock) -> None:
    text = invite().encode().lower()
    join(home, f"  {text[:40]}\n {text[40:90]} \n{text[90:]}\n", clock=clock)
    told = read_membership(home)
    assert told is not None
    assert told.invite == invite()


def test_the_same_invite_again_changes_nothing_even_when_enrolled(home: Home, clock: ManualClock) -> None:
    join(home, invite().encode(), clock=clock)
    enrolled(home, core_name="Nakuru")
    clock.advance(10 * 86_400)
    assert join(home, invite().encode(), clock=clock).enrolled


def test_a_new_invite_of_the_same_core_replaces_the_old_one(home: Home, clock: ManualClock) -> None:
    join(home, invite().encode(), clock=clock)
    told = join(home, invite(token=2).encode(), clock=clock)
    assert (told.invite.token, told.enrolled) == (bytes((2,)) * 16, False)


def test_another_core_is_joined_only_by_force(home: Home, clock: ManualClock) -> None:
    join(home, invite().encode(), clock=clock)
    enrolled(home, core_name="Nakuru")
    other = invite("core-eldoret", key=2).encode()
    with pytest.raises(
        KitError, match=r"already belongs to Nakuru; to leave it for core-eldoret, type: kit join INVITE --force"
    ):
        join(home, other, clock=clock)
    told = read_membership(home)
    assert told is not None
    assert told.enrolled
    assert join(home, other, clock=clock, force=True).invite.core == "core-eldoret"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda text: text[:-9], "cut short; copy the whole of it"),
        (lambda text: text[:60] + ("A" if text[60] != "A" else "B") + text[61:], "a letter of the invite is wrong"),
        (lambda text: text[:60] + "8" + text[61:], "the invite holds 8, which no invite has"),
        (lambda text: text.removeprefix("VK1-"), 'an invite begins with "VK1-"'),
        (lambda _text: "", 'an invite begins with "VK1-"'),
    ],
)
def test_a_spoilt_invite_says_what_is_wrong_with_it(
    home: Home, clock: ManualClock, spoil: object, sentence: str
) -> None:
    assert callable(spoil)
    with pytest.raises(UsageError, match=sentence) as caught:
        join(home, spoil(invite().encode()), clock=clock)
    assert caught.value.exit_code == 2
    assert not has_joined(home)


def test_an_expired_invite_says_when_it_expired_and_what_to_ask_for(home: Home, clock: ManualClock) -> None:
    with pytest.raises(KitError, match=r"expired on 2026-09-21 at .* UTC; ask the city core for a new one") as caught:
        join(home, invite(lasts_s=-3600).encode(), clock=clock)
    assert caught.value.exit_code == 1
    assert "--force" not in str(caught.value)


def test_a_kit_that_does_not_know_the_time_leaves_the_invites_expiry_to_the_core(
    home: Home, clock: ManualClock
) -> None:
    clock.trusted = False
    assert join(home, invite(lasts_s=-3600).encode(), clock=clock).invite.core == "core-nakuru"


def test_an_expiry_that_no_calendar_holds_is_still_a_sentence(home: Home, clock: ManualClock) -> None:
    clock.at_s = 2e11
    far = Invite(**(vars(invite()) | {"expires_ms": 2**47}))
    with pytest.raises(KitError, match="expired"):
        join(home, far.encode(), clock=clock)


def test_a_city_core_cannot_join_itself(home: Home, clock: ManualClock) -> None:
    home.prepare()
    home.core_database.touch()
    with pytest.raises(KitError, match="is the home of a city core"):
        join(home, invite().encode(), clock=clock)


@pytest.mark.parametrize("damaged", ["", "{", "[]", "{}", json.dumps({"invite": "VK1-A", "enrolled": True})])
def test_a_damaged_file_is_said_and_force_mends_it(home: Home, clock: ManualClock, damaged: str) -> None:
    home.prepare()
    (home.keys / "core.json").write_text(damaged)
    with pytest.raises(KitError, match=r"core\.json cannot be read .*; join again with: kit join INVITE --force"):
        join(home, invite().encode(), clock=clock)
    join(home, invite().encode(), clock=clock, force=True)
    told = read_membership(home)
    assert told is not None
    assert told.invite == invite()


def test_a_home_that_cannot_be_written_is_a_sentence(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KitError, match="is not a directory"):
        join(Home(tmp_path / "file" / "kit"), invite().encode(), clock=clock)
