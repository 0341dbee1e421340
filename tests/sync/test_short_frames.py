"""Where the law shortens a transmission, frames are shorter; records of every size still arrive."""

from __future__ import annotations

from typing import Any

import pytest

from sync.links.radio_limits import LEAST_FRAME_BYTES, frame_bytes_for


@pytest.mark.parametrize("mtu_bytes", [frame_bytes_for("US", "MEDIUM_FAST"), LEAST_FRAME_BYTES, 100, 130, 180])
def test_records_larger_than_a_short_frame_arrive(make_world: Any, mtu_bytes: int) -> None:
    world = make_world(lora=False, joined=False)
    for side in world.sides:
        world.lora(side).mtu_bytes = mtu_bytes
    world.introduce()
    world.start()
    bodies = [world.rng.randbytes(size) for size in (20, 100, 150, 180, 400, 3000)] + [b"a" * 150]
    for body in bodies:
        world.kit.write("message", priority=2, body=body)
    world.kit.write("alert", priority=0, body=b"frost" * 30)
    world.live(1800, until=lambda: world.kit.waiting == 0)
    assert world.kit.waiting == 0
    assert sorted(body for _, body in world.core.taken) == sorted([*bodies, b"frost" * 30])
    assert max(len(frame) for *_, frame in world.air.log) <= mtu_bytes
