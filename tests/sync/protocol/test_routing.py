"""Which link carries what, and what a technician is told of a record that waits."""

from __future__ import annotations

from dataclasses import replace

from sync.protocol.routing import LinkFacts, Waiting, carried, why_waiting

LORA = LinkFacts(name="lora", state="up", explain="connected", lowest_priority=4, width=214)
CELLULAR = LinkFacts(name="cellular", state="up", explain="connected", lowest_priority=5, width=60_000)
READING = Waiting(priority=4, left=(), ahead=0, expired=False)
ALERT = Waiting(priority=0, left=(), ahead=0, expired=False)


def why(record: Waiting, *links: LinkFacts, serving: bool = True, joined: bool = True) -> str:
    return why_waiting(record, links, serving=serving, joined=joined)


def test_the_widest_link_takes_all_it_may_and_the_narrow_one_still_carries_alerts() -> None:
    assert carried(5, []) == frozenset(range(6))
    assert carried(4, [5]) == {0}
    assert carried(5, [2]) == {0, 3, 4, 5}


def test_an_alert_goes_by_every_link_and_a_reading_by_the_widest() -> None:
    assert why(ALERT, LORA, CELLULAR) == "next to go by cellular and lora"
    assert why(READING, LORA, CELLULAR) == "next to go by cellular"
    assert why(READING, LORA) == "next to go by lora"


def test_what_stands_in_the_way_is_named() -> None:
    assert why(replace(READING, ahead=12), LORA) == "goes by lora; 12 more urgent or older records go first"
    busy = replace(LORA, state="busy", explain="this hour's airtime is spent")
    assert why(READING, busy) == "lora is busy: this hour's airtime is spent"
    assert why(ALERT, busy) == "next to go by lora", "an alert has a reserve"
    assert "not acknowledged yet" in why(replace(READING, left=("lora",)), LORA)


def test_what_no_link_can_carry_says_which_link_it_waits_for() -> None:
    down = replace(CELLULAR, state="down", explain="the mobile network is not there")
    bulk = replace(READING, priority=5)
    assert why(bulk, LORA, down) == (
        "lora does not carry it: raw readings and bulk wait for a wider link; "
        "cellular is down: the mobile network is not there"
    )


def test_a_unit_that_cannot_send_at_all_says_what_to_do() -> None:
    assert "kit join" in why(READING, LORA, joined=False)
    assert "kit status" in why(READING, LORA, serving=False)
    assert "kit.toml" in why(READING)
    assert "ran out" in why(replace(READING, expired=True), LORA)
