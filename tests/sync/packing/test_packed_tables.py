"""Tables of measurements, packed: they come back, they stay small, and hostile bytes end in one kind of error."""

from __future__ import annotations

import contextlib
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from village_draws import Drawn, draw_batch

from sync.packing.errors import PackingError
from sync.packing.rows import Row, Table
from sync.packing.scale import DOUBLES, Scale, scale_for, scale_of_step
from sync.packing.table import pack, unpack

_numbers = st.integers(-300, 300) | st.integers(-(2**63), 2**63 - 1)
_times = st.integers(1_900_000, 1_900_100).map(lambda quarter: quarter * 900) | st.integers(-(2**39), 2**39)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Anything: gaps, doubts, several rows at one time, numbers of any size."""
    numbers = sorted(draw(st.sets(st.integers(0, 70), max_size=4)))
    scales = st.builds(Scale, st.sampled_from([0, 1, 2, 15, DOUBLES]), st.sampled_from([1, 25, 10**9]))
    width = len(numbers)
    row = st.builds(
        Row,
        _times,
        st.integers(0, 4) | st.integers(0, 5000),
        st.tuples(*[st.none() | _numbers] * width),
        st.tuples(*[st.sampled_from([0, 0, 0, 1, 64, 255])] * width),
    )
    rows = draw(st.lists(row, max_size=40))
    unit = draw(st.sampled_from([1, 1000, 60_000, 3_600_000, 7, 5000]))
    return Table(unit, tuple((number, draw(scales)) for number in numbers), tuple(rows))


def as_it_returns(table: Table) -> Table:
    """In the order of time, and an empty cell has no doubts."""
    rows = [
        row._replace(doubts=tuple(0 if value is None else doubt for value, doubt in zip(*row[2:], strict=True)))
        for row in sorted(table.rows, key=lambda row: (row.time, row.device))
    ]
    return Table(table.unit_ms, table.columns, tuple(rows))


@settings(max_examples=60, deadline=None)
@given(table=tables())
def test_every_table_comes_back_exactly(table: Table) -> None:
    assert unpack(pack(table)) == as_it_returns(table)


@settings(deadline=None)
@given(packed=st.binary(max_size=60))
def test_any_bytes_are_a_table_or_a_packing_error(packed: bytes) -> None:
    with contextlib.suppress(PackingError):
        assert len(unpack(packed, max_cells=3000).rows) <= 3000


@settings(deadline=None)
@given(at=st.integers(0, 200), byte=st.integers(0, 255))
def test_damaged_bytes_are_a_table_or_a_packing_error(at: int, byte: int) -> None:
    packed = bytearray(pack(table_of(draw_batch(1, fine=True))))
    packed[at % len(packed)] ^= byte
    with contextlib.suppress(PackingError):
        unpack(bytes(packed), max_cells=3000)


def test_bytes_behind_the_end_are_refused() -> None:
    with pytest.raises(PackingError, match="do not end"):
        unpack(pack(table_of(draw_batch(1, fine=False))) + b"\x01\x02\x03\x04\x05\x06\x07\x08")


def test_a_few_bytes_cannot_claim_a_million_rows() -> None:
    still = Table(1000, ((0, Scale()),), tuple(Row(900 * at, 0, (5,), (0,)) for at in range(5000)))
    packed = pack(still)
    assert len(packed) < 60
    with pytest.raises(PackingError, match="claim"):
        unpack(packed, max_cells=3000)


def table_of(rows: list[Drawn]) -> Table:
    scales = scale_for(row.temperature_c for row in rows), scale_for(row.humidity_pct for row in rows)
    sensors = list(dict.fromkeys(row.sensor for row in rows))
    return Table(
        1000,
        ((0, scales[0]), (1, scales[1])),
        tuple(
            Row(
                row.time_s,
                sensors.index(row.sensor),
                (scales[0].number(row.temperature_c), scales[1].number(row.humidity_pct)),
                (0, 0),
            )
            for row in rows
        ),
    )


@pytest.mark.parametrize(("fine", "most"), [(False, 110), (True, 195)])
def test_a_hundred_rows_of_a_frost_night_are_a_third_smaller_than_delta_and_rice(fine: bool, most: int) -> None:
    sizes = [len(pack(table_of(draw_batch(seed, fine=fine)))) for seed in range(9)]
    assert statistics.median(sizes) <= most


def test_ten_thousand_rows_come_back_and_cost_less_a_row_than_a_hundred() -> None:
    chance = random.Random(5)
    values = [0, 0]
    rows = []
    for at in range(2500):
        values = [value + round(chance.gauss(0, 2)) for value in values]
        rows += [Row(at * 900 + device, device, (values[device], 7), (0, 0)) for device in (0, 1)]
    table = Table(1000, ((0, Scale(1)), (1, Scale())), tuple(rows))
    packed = pack(table)
    assert unpack(packed) == table
    assert len(packed) < 0.5 * len(rows)


def test_a_spike_costs_a_few_bytes_and_spoils_nothing() -> None:
    rows = draw_batch(2, fine=False)
    plain = len(pack(table_of(rows)))
    rows[50] = rows[50]._replace(temperature_c=85.0)
    spiked = table_of(rows)
    assert unpack(pack(spiked)) == as_it_returns(spiked)
    assert len(pack(spiked)) <= plain + 14


def test_the_packed_form_is_the_one_that_other_versions_read() -> None:
    rows = tuple(
        Row(
            1_761_000_000 + step * 900 + device * 2 + (step * 7 + device) % 3 // 2,
            device,
            (
                660 - step * 23 + step * step // 2 + (step * 31 + device * 17) % 13,
                None if step == 9 else 720 + step * 9,
            ),
            (0, 1 if step == 4 else 0),
        )
        for step in range(20)
        for device in (0, 1)
    )
    table = Table(1000, ((0, Scale(2)), (3, Scale(0, 25))), rows)
    assert unpack(pack(table)) == table
    assert pack(table).hex() == PINNED, "the wire format changed: give it a new version, and keep reading this one"


PINNED = (
    "3898baf465b73b4187cc070251f18389a0cb596c7e2a9ec2f23b3a76c73359916a4f07c681fcad54f2d89fc6cddc9b7e4967"
    "9a7a9fe2913cd1d4bf9f8bb9a361905d8b0cfc1ce84133f55917"
)


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_comes_back_whatever_it_is(value: float) -> None:
    scale = Scale(DOUBLES)
    assert scale.value(scale.number(value)) == value


@given(tenths=st.integers(-(10**6), 10**6))
def test_a_decimal_needs_no_more_places_than_it_shows(tenths: int) -> None:
    scale = scale_for([tenths / 10, 0.5])
    assert scale == Scale(1)
    assert scale.value(scale.number(tenths / 10)) == tenths / 10


def test_minus_zero_is_zero() -> None:
    assert scale_for([-0.0, 1.5]) == Scale(1)


@pytest.mark.parametrize(("step", "scale"), [(0.1, Scale(1)), (1, Scale(0)), (0.25, Scale(2, 25)), (5, Scale(0, 5))])
def test_a_stated_resolution_is_kept_exactly(step: float, scale: Scale) -> None:
    assert scale_of_step(step) == scale
    assert abs(scale.value(scale.number(7.77)) - 7.77) <= step / 2


@pytest.mark.parametrize("step", [0, -1, float("nan"), float("inf"), 1e-40])
def test_a_resolution_that_is_none_is_refused(step: float) -> None:
    with pytest.raises(ValueError, match="resolution"):
        scale_of_step(step)
