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


def test_a_link_with_no_data_left_for_it_says_when_it_goes_on() -> None:
    spent = replace(CELLULAR, lowest_priority=1, budget="5.0 MB of 5.0 MB are used", budget_lowest=1)
    assert why(replace(READING, priority=2), spent) == (
        "cellular keeps the rest of today's mobile data for what is more urgent (5.0 MB of 5.0 MB are used); "
        "it goes tomorrow"
    )
    assert why(READING, LORA, spent) == "next to go by lora", "the radio costs nothing"
    narrow = replace(CELLULAR, lowest_priority=3, budget="1 kB of 5.0 MB are used")
    assert "wider link" in why(READING, narrow), "it is not the data that keeps it"


def test_a_core_that_takes_nothing_is_named_before_what_was_sent_in_vain() -> None:
    left = replace(READING, left=("lora",))
    full = replace(LORA, core_full=True)
    assert why(left, full).startswith("the city core has no room to store anything now")
    assert why(ALERT, full) == "next to go by lora", "alarms go all the same"
    unwelcome = replace(LORA, not_welcome="waiting for the city core to welcome this kit")
    assert why(left, unwelcome) == why(ALERT, unwelcome) == "waiting for the city core to welcome this kit"


def test_what_has_left_a_busy_link_says_both() -> None:
    busy = replace(LORA, state="busy", explain="the share of airtime is spent, only alerts go out")
    assert why(replace(READING, left=("lora",)), busy) == (
        "left by lora; not acknowledged yet; lora is busy: the share of airtime is spent, only alerts go out"
    )
    down = replace(LORA, state="down", explain="no radio at /dev/ttyUSB0")
    assert why(replace(READING, left=("lora",)), down) == "lora is down: no radio at /dev/ttyUSB0"
