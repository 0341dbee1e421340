"""One way is worse than the other: a kit with a weak radio behind a hill, or one beside a loud neighbour.

What is lost on the way there must be sent again; what is lost on the way back only must not make the sender repeat
what has long arrived, or not more than asking costs.
"""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

HOUR_S = 3600.0

BOTH_WAYS = [(0.6, 0.0), (0.0, 0.6), (0.9, 0.1), (0.1, 0.9)]
"""What is lost of the kit's frames, and of the core's."""

IDEAL_FRAMES = 26
"""What `say_everything` takes where nothing is lost, and everything is answered at once."""

URGENT_MOST_S = 120.0 * 1.3
"""Between two attempts to say something urgent, as spread by chance; longer only by what is on the air already."""


def lose(world: Any, *, to_core: float, to_kit: float) -> None:
    """From now on each direction loses its own share."""
    rng = random.Random(world.rng.random())
    for side, loss in ((world.core, to_core), (world.kit, to_kit)):
        for link in side.links:
            link.receive = hard_of_hearing(type(link).receive.__get__(link), loss, rng)


def hard_of_hearing(receive: Any, loss: float, rng: random.Random) -> Any:
    return lambda timeout_s: [each for each in receive(timeout_s) if rng.random() >= loss]


def sent_by(world: Any, name: str, *, urgent: bool | None = None) -> list[float]:
    """When that side has sent frames."""
    return [at_s for at_s, sender, priority, _ in world.air.log if name in sender and urgent in (None, priority == 0)]


def say_everything(world: Any) -> None:
    """An alert, messages, batches of readings, something large, and an answer."""
    world.kit.write("alert", priority=0, body=world.rng.randbytes(130))
    for _ in range(3):
        world.kit.write("message", priority=2, body=world.rng.randbytes(90))
    for _ in range(6):
        world.kit.write(body=world.rng.randbytes(228))
    world.kit.write("file", body=world.rng.randbytes(3000))
    world.core.write("message", priority=2, body=b"hold on", addressee="kit-orchard")


def everything_is_there_once(world: Any) -> None:
    assert world.core.taken == [(row["seq"], row["body"]) for row in world.kit.rows("taken_ms IS NULL")]
    assert [body for _, body in world.kit.taken] == [b"hold on"]


@pytest.mark.parametrize(("to_core", "to_kit"), BOTH_WAYS)
def test_where_one_way_is_worse_everything_arrives_once_in_no_more_frames_than_that_way_costs(
    make_world: Any, to_core: float, to_kit: float
) -> None:
    world = make_world(seed=3)
    world.live(60)
    lose(world, to_core=to_core, to_kit=to_kit)
    before = [len(sent_by(world, name)) for name in ("kit", "core")]
    say_everything(world)
    world.live(48 * HOUR_S, step_s=1.0, until=lambda: world.kit.waiting + world.core.waiting == 0)
    everything_is_there_once(world)
    kit, core = (len(sent_by(world, name)) - was for name, was in zip(("kit", "core"), before, strict=True))
    # a frame must be sent 1/(1 - loss) times until it has come; an answer that is lost costs a question, not the record
    assert kit <= 2 * IDEAL_FRAMES / (1 - to_core) + 15 / (1 - to_kit)
    assert core <= 40 + 10 / (1 - to_kit)

    world.live(2 * HOUR_S, step_s=1.0)  # and then both are quiet: beacons, and answers to them
    assert len(sent_by(world, "kit")) - before[0] - kit <= 6
    assert len(sent_by(world, "core")) - before[1] - core <= 6


@pytest.mark.parametrize("answers_come_back", [True, False])
def test_a_sender_that_hears_no_answer_asks_ever_more_rarely_and_is_believed_when_the_way_opens(
    make_world: Any, answers_come_back: bool
) -> None:
    world = make_world(seed=5)
    world.live(60)
    # one way is dead and the other perfect: nothing arrives, or a window of it does and nobody tells the sender
    lose(world, to_core=1.0 if answers_come_back else 0.0, to_kit=0.0 if answers_come_back else 1.0)
    begin_s = world.clock.monotonic()
    for _ in range(12):
        world.kit.write(body=world.rng.randbytes(228))
    world.live(8 * HOUR_S, step_s=2.0)
    hours = [sum(hour <= (at_s - begin_s) // HOUR_S < hour + 1 for at_s in sent_by(world, "kit")) for hour in range(8)]
    assert hours[0] <= 120
    assert max(hours[2:]) <= 14  # three frames every half an hour, spread, and a beacon
    assert bool(world.core.taken) is not answers_come_back
    assert len(sent_by(world, "core")) <= 2 * len(sent_by(world, "kit"))  # what comes again is answered twice

    lose(world, to_core=0.0, to_kit=0.0)
    took_s = world.live(HOUR_S, step_s=1.0, until=lambda: world.kit.waiting == 0)
    assert took_s <= 0.5 * HOUR_S * 1.3 + 60.0
    assert world.core.taken == [(row["seq"], row["body"]) for row in world.kit.rows()]


@pytest.mark.parametrize(("to_core", "to_kit"), [(0.9, 0.0), (0.0, 0.9), (0.9, 0.1), (0.1, 0.9)])
def test_distress_goes_on_until_it_is_known_to_have_come_whichever_way_is_bad(
    make_world: Any, to_core: float, to_kit: float
) -> None:
    world = make_world(seed=2)
    world.live(60)
    lose(world, to_core=to_core, to_kit=to_kit)
    for _ in range(60):
        world.kit.write(body=world.rng.randbytes(228))
    world.live(300)
    for number in range(3):
        begin_s = world.clock.monotonic()
        alert = world.kit.write("alert", priority=0, body=bytes([number]) * 130)
        known = f"seq = {alert.seq} AND pending = 0"
        world.live(6 * HOUR_S, step_s=1.0, until=lambda known=known: bool(world.kit.rows(known)))
        assert world.kit.rows(known)
        assert world.core.rows(f"origin = 'kit-orchard' AND seq = {alert.seq}")
        tries_s = [at_s for at_s in sent_by(world, "kit", urgent=True) if at_s >= begin_s]
        assert tries_s[0] - begin_s <= 10.0  # the very next frame
        gaps_s = [after - at for at, after in pairwise(tries_s)]
        assert max(gaps_s, default=0.0) <= URGENT_MOST_S + 10.0
        assert len(tries_s) <= 20 / (1 - to_core) / (1 - to_kit)
