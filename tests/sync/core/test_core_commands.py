"""`kit core …` and `kit join`, as they are typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kit.cli.__main__ import main
from kit.clock import SystemClock
from kit.home import Home
from sync.join import enrolled
from sync.protocol.enrolment import Invite


class Typed:
    """Commands on the city's home, and what they said."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self._capsys = home, capsys

    def __call__(self, *words: str, home: Path | None = None) -> tuple[int, str, str]:
        code = main([*words, "--home", str(home or self.home)])
        told = self._capsys.readouterr()
        return code, told.out, told.err

    def json(self, *words: str, home: Path | None = None) -> Any:
        code, out, err = self(*words, "--json", home=home)
        assert code == 0, err
        return json.loads(out)


@pytest.fixture
def typed(city: Any, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(city.core.home.path, capsys)


def test_a_core_is_made_invites_and_a_kit_takes_the_invite_as_separate_processes(tmp_path: Path) -> None:
    def kit(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "kit.cli", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    core, village = str(tmp_path / "core"), str(tmp_path / "village")
    assert kit("core", "init", "--home", core).returncode == 0
    invited = kit("core", "invite", "Orchard village", "--home", core)
    (command,) = (line.strip() for line in invited.stdout.splitlines() if line.startswith("  kit join "))
    joined = kit(*command.split()[1:], "--home", village)
    assert joined.returncode == 0, joined.stderr
    assert "as 'Orchard village'" in joined.stdout
    assert "Start the kit (kit run); it says hello by the mobile network" in joined.stdout
    spoilt = kit("join", command.split()[-1][:-12], "--home", village)
    assert (spoilt.returncode, spoilt.stdout) == (2, "")
    assert spoilt.stderr == "kit: the invite was cut short; copy the whole of it, to its last letter\n"


def test_init_makes_a_core_once_and_leaves_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = Typed(tmp_path / "core", capsys)
    first = typed.json("core", "init")
    assert first["written"]
    settings = Path(first["settings"])
    settings.write_text('[core]\nname = "Nakuru"\n')
    again = typed.json("core", "init")
    assert (again["core"], again["written"]) == (first["core"], False)
    assert settings.read_text() == '[core]\nname = "Nakuru"\n'
    assert typed.json("core", "status")["name"] == "Nakuru"


def test_an_invite_is_printed_with_the_command_to_type_and_as_json(city: Any, typed: Typed) -> None:
    (typed.home / "kit.toml").write_text('[core]\npublic = "tcp://core.example.org:7450"\n')
    told = typed.json("core", "invite", "Orchard village", "--days", "3")
    invite = Invite.decode(told["invite"])
    assert (told["name"], told["address"]) == ("Orchard village", "tcp://core.example.org:7450")
    assert told["command"] == f"kit join {told['invite']}"
    assert (invite.core, invite.link_id, invite.address) == (told["core"], told["link_id"], told["address"])
    _, out, _ = typed("core", "invite", "Orchard village")
    assert "  kit join VK1-" in out
    assert "This machine's address" not in out


def test_without_a_public_address_the_invite_carries_this_machine_s_and_says_so(typed: Typed) -> None:
    (typed.home / "kit.toml").write_text('[core]\nlisten = "127.0.0.1:7999"\n')
    _, out, _ = typed("core", "invite", "Orchard")
    assert "it will connect to tcp://127.0.0.1:7999." in out
    assert "set [core] public and invite again" in out


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("invite", ""), 2, "a kit's name has at least one letter"),
        (("invite", "x", "--days", "0"), 2, "an invite cannot be good for 0 days"),
        (("invite", "x", "--days", "nan"), 2, "an invite cannot be good for nan days"),
        (("invite", "x", "--days", "soon"), 2, "invalid float value: 'soon'"),
        (("remove", "kit-none"), 2, "no kit and no open invite is called 'kit-none'"),
        (("records", "--last", "0"), 2, "--last: '0' is not a number from 1 on"),
        (("recrods",), 2, "did you mean 'records'?"),
        ((), 2, "say what to do: init, run, invite, remove, status, kits, records"),
    ],
)
def test_wrong_words_are_answered_with_what_would_be_right(
    typed: Typed, words: tuple[str, ...], code: int, sentence: str
) -> None:
    told, _, err = typed("core", *words)
    assert told == code
    assert sentence in err


def test_a_home_without_a_core_says_how_to_make_one(typed: Typed, tmp_path: Path) -> None:
    for word in ("status", "kits", "records"):
        code, _, err = typed("core", word, home=tmp_path / "empty")
        assert (code, "make one with `kit core init`" in err) == (1, True)
    assert not (tmp_path / "empty").exists()


def test_records_are_listed_as_the_design_says(city: Any, typed: Typed) -> None:
    kit = city.joined()
    city.take(city.alert(kit), kit.record("readings", b"broken"))
    rows = typed.json("core", "records")
    wanted = {"origin", "epoch", "seq", "kind", "priority", "applied", "link"}
    assert [{key: row[key] for key in row.keys() & wanted} for row in rows] == [
        {"origin": kit.unit, "epoch": 7, "seq": 1, "kind": "alert", "priority": 0, "applied": True, "link": "lora"},
        {"origin": kit.unit, "epoch": 7, "seq": 2, "kind": "readings", "priority": 4, "applied": False, "link": "lora"},
    ]
    assert [row["seq"] for row in typed.json("core", "records", "--kind", "alert")] == [1]
    assert typed.json("core", "records", "--kit", "kit-other") == []
    _, out, _ = typed("core", "records")
    assert "1 could not be read, 0 were refused" in out


def test_as_text_the_last_forty_records_are_shown_as_json_all(city: Any, typed: Typed) -> None:
    kit = city.joined()
    city.take(*(city.readings(kit, {number * 1000: 1.0}) for number in range(100)))
    assert len(typed.json("core", "records")) == 100
    assert len(typed.json("core", "records", "--last", "3")) == 3
    _, out, _ = typed("core", "records")
    assert len(out.splitlines()) == 42
    assert out.splitlines()[-1] == "(the last 40; all of them: --json, or --last N)"


def test_refused_records_are_listed_with_the_reason(city: Any, typed: Typed) -> None:
    kit, victim = city.joined(), city.joined()
    city.take(city.alert(victim), peer=kit.unit)
    (row,) = typed.json("core", "records", "--refused")
    assert (row["peer"], row["origin"], row["times"]) == (kit.unit, victim.unit, 1)
    _, out, _ = typed("core", "records", "--refused")
    assert "under the name of" in out


def test_kits_and_status_tell_what_needs_somebody(city: Any, typed: Typed) -> None:
    kit = city.joined("Orchard village")
    city.clock.at_s = SystemClock().now()  # the commands read the machine's own clock
    city.store.heard(kit.unit, link="lora", via="!1", now_ms=city.now_ms)
    city.take(city.alert(kit))
    city.invite("Next village")
    (row,) = typed.json("core", "kits")
    assert (row["name"], row["unit"], row["link"]) == ("Orchard village", kit.unit, "lora")
    assert row["warnings"][0]["state"] == "unconfirmed"
    assert "1, 1 NOT CONFIRMED" in typed("core", "kits")[1]
    status = typed.json("core", "status")
    assert (status["kits"], status["warnings"], status["unconfirmed"]) == (1, 1, 1)
    assert [invite["name"] for invite in status["invites"]] == ["Next village"]
    out = typed("core", "status")[1]
    assert "1, 1 NOT CONFIRMED by anybody" in out
    assert "Services  not running" in out


def test_removing_a_kit_or_an_invite_says_which_it_was(city: Any, typed: Typed) -> None:
    kit = city.joined()
    city.clock.at_s = SystemClock().now()  # the commands read the machine's own clock
    city.invite("Next village")
    assert typed.json("core", "remove", kit.unit) == {"kit": kit.unit, "removed": True, "withdrawn": 0}
    assert "1 open invite for 'Next village' withdrawn." in typed("core", "remove", "Next village")[1]
    assert typed.json("core", "kits") == []


def test_join_tells_the_ways_to_the_core_and_that_it_knows_the_invite_already(
    city: Any, typed: Typed, tmp_path: Path
) -> None:
    village = tmp_path / "village"
    city.clock.at_s = SystemClock().now()
    text = city.invite().encode()
    village.mkdir()
    (village / "kit.toml").write_text('[links.lora]\nradio = "tcp:127.0.0.1:4403"\n')
    told = typed.json("join", text, home=village)
    assert (told["core"], told["enrolled"], told["ways"]) == (city.core.identity.unit, False, ["lora", "cellular"])
    enrolled(Home(village), core_name="Nakuru")
    assert "already enrolled at Nakuru" in typed("join", text, home=village)[1]
    assert typed("join", city.invite().encode(), home=typed.home)[0] == 1


def test_the_city_writes_to_a_village_reads_its_messages_and_sees_how_far_each_has_come(
    city: Any, typed: Typed
) -> None:
    from kit.model.letters import letter_body, make_letter

    kit = city.joined("Orchard village")
    told = typed.json("core", "send", "orchard VILLAGE", "A truck comes tomorrow", "--by", "Wanjiru")
    assert told["kit"] == kit.unit
    (row,) = typed.json("core", "queue")
    assert (row["state"], row["addressee"], row["kind"]) == ("written", kit.unit, "message")
    city.take(kit.record("message", letter_body(make_letter("We need blankets", "Amina")), priority=2))
    mine = next(row for row in typed.json("core", "messages") if row["from"] == kit.unit)
    assert "NOT READ" in typed("core", "messages")[1]
    assert typed.json("core", "read", str(mine["number"]), "--by", "Wanjiru")["news"] is True
    assert typed.json("core", "read", str(mine["number"]), "--by", "Other")["read_by"] == "Wanjiru"
    code, _, err = typed("core", "read", "999", "--by", "Wanjiru")
    assert code == 2
    assert "kit core messages" in err
    code, _, err = typed("core", "send", "Orchrd village", "x")
    assert code == 2
    assert "did you mean 'Orchard village'" in err
    assert typed("core", "send", kit.unit, "x" * 501)[0] == 2
