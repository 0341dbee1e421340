"""Writing readings fast: what is known about each series is kept in memory, rows go out in bulk.

Two invariants. *Nothing twice*: (series, time) is the primary key, and a reading that is already there with the same
value changes nothing. *The memory is what the store holds*: it is dropped at `begin` unless the transaction that filled
it is known to be on the disk (`kit.store.transactions`) and nobody else has written readings since. For the latter a
single row says who wrote last: each writer has a mark of its own and puts it there when it finds another's, so a writer
that is alone, which is the rule, writes nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import NamedTuple

from kit.model.readings import Quality, Raw
from kit.store.evidence import note_readings, note_series
from kit.store.ingest_state import save_token
from kit.store.many_rows import insert_flat, insert_rows
from kit.store.packed_value import (
    DECIMAL_BITS,
    KEYS_AT_ONCE,
    POWERS,
    SHORT,
    pack_keys,
    pack_value,
    pack_values,
    unpack_value,
)
from kit.store.rollups import HOUR_MS, NEVER_MS
from kit.store.transactions import Lifetime
from kit.store.undated_rows import note_undated

SHIFT_AT_MOST_MS = 999
"""Readings that a device dated alike are kept a millisecond apart, within their second; a thousand is no weather."""

HEARD_EVERY_MS = 1_000
"""When a device was heard is kept to the second: one that speaks a hundred times in it costs one row."""

_TIME_DOUBTFUL, _TIME_SHIFTED, _IMPOSSIBLE = (
    int(flag) for flag in (Quality.TIME_DOUBTFUL, Quality.TIME_SHIFTED, Quality.IMPOSSIBLE)
)

STATE = "(SELECT token FROM ingest_token), (SELECT horizon_ms FROM rollup_state)"
"""Who wrote readings last (`kit.store.ingest_state`), and before when they are late (`kit.store.rollups`)."""

MAX_SERIES_PER_DEVICE = 256
"""A device that invents names without end must not fill the disk."""


@dataclass(slots=True)
class Series:
    """A series and its newest reading; `latest_ms` is None before the first.

    Attributes:
        newest_ms: the largest time in the store, doubtful ones included: whatever is later is certainly new.
        same_since_ms: since when the newest value has not changed.
        good_ms, good_value: the newest reading that was possible.
        run_ms: every millisecond from here to `newest_ms` holds a reading.
        decimals: of the value kept last.
    """

    id: int
    newest_ms: int | None = None
    latest_ms: int | None = None
    value: float = 0.0
    quality: int = 0
    same_since_ms: int = 0
    good_ms: int | None = None
    good_value: float | None = None
    run_ms: int = 0
    decimals: int = 0


class Undated(NamedTuple):
    """How a reading was dated by the kit while its time was not certain (see `kit.store.boots`).

    Attributes:
        boot: number of the boot.
        offset_ms: kit time is milliseconds since boot plus this.
        held: it waits for its true time before it leaves for the core.
    """

    boot: int
    offset_ms: int
    held: bool


class Run(NamedTuple):
    """Readings of one series in consecutive milliseconds, as they will be kept.

    Attributes:
        start_ms: of the first; Unix ms.
        shifted: the first is not kept at the time at which it came, but behind another one.
        values: as they came.
        stored, decimals: see `kit.store.packed_value`.
    """

    start_ms: int
    shifted: bool
    values: Sequence[float]
    stored: Sequence[int]
    decimals: int


class Outcome(Enum):
    """What became of a reading."""

    STORED = "stored"
    SHIFTED = "shifted"
    REPEATED = "repeated"
    CROWDED_OUT = "crowded out"


_STORED, _SHIFTED = Outcome.STORED, Outcome.SHIFTED


class ReadingWriter:
    """Collects readings of one transaction. Call `begin`, then `series` and `add`, then `flush`."""

    def __init__(self) -> None:
        self._mark = os.urandom(8)
        self._wrote_last = False
        self._lifetime: Lifetime | None = None
        self._flushed = False
        self._series: dict[tuple[str, str, str], Series] = {}
        self._absent: set[tuple[str, str, str]] = set()
        self._per_device: dict[str, int] = {}
        self._rows: dict[tuple[int, int], tuple[int, int, float, int]] = {}
        self._raw: list[tuple[int, int, float, str]] = []
        self._arrived_ms = 0
        self._runs: list[list[float]] = []
        self._keys: dict[Undated | None, list[int]] = {}
        self._horizon_ms = NEVER_MS
        self._late: set[tuple[int, int]] = set()
        self._touched: dict[int, Series] = {}
        self._seen: dict[str, int] = {}
        self._heard: dict[str, int] = {}

    def begin(self, connection: sqlite3.Connection, state: tuple[bytes | None, int | None] | None = None) -> bool:
        """Start a transaction's worth; forgets what may not be in the store, and says whether it did.

        Args:
            connection: inside the transaction.
            state: what `STATE` is in it, if somebody has asked for it along with other things.
        """
        wrote_last, horizon_ms = state or connection.execute(f"SELECT {STATE}").fetchone()
        self._wrote_last = wrote_last == self._mark
        anew = not (self._wrote_last and self._flushed and self._lifetime and self._lifetime.lasts(connection))
        if anew:
            for memory in (self._series, self._absent, self._per_device, self._heard):
                memory.clear()
        self._flushed, self._lifetime = False, Lifetime(connection)
        self._horizon_ms, self._arrived_ms = NEVER_MS if horizon_ms is None else horizon_ms, 0
        self._drop_pending()
        self._seen.clear()
        return anew

    def known(self, connection: sqlite3.Connection, device: str, quantity: str, unit: str) -> Series | None:
        """The series with its newest reading if there is one; makes none."""
        key = (device, quantity, unit)
        found = self._series.get(key)
        if found is not None or key in self._absent:
            return found
        row = connection.execute("SELECT 1 FROM series WHERE device = ? AND quantity = ? AND unit = ?", key).fetchone()
        if row is None:
            self._absent.add(key)
            return None
        return self.series(connection, device, quantity, unit)

    @property
    def series_known(self) -> int:
        """How many series are in memory; grows when one is made."""
        return len(self._series)

    def doubt(self, series: Series, flag: int) -> None:
        """Flag the newest reading of a series as well, if it is of this transaction."""
        self._unroll()
        key = (series.id, series.latest_ms or 0)
        row = self._rows.get(key)
        if row is not None:
            self._rows[key] = (*row[:3], row[3] | flag << DECIMAL_BITS)
            series.quality |= flag

    def series(self, connection: sqlite3.Connection, device: str, quantity: str, unit: str) -> Series | None:
        """The series with its newest reading, made if it is new; None if the device has too many already."""
        key = (device, quantity, unit)
        known = self._series.get(key)
        if known is None:
            known = self._load_series(connection, key)
            if known is not None:
                self._series[key] = known
                self._absent.discard(key)
                note_series(connection, known.id, key)
        return known

    def add(  # noqa: C901, PLR0912, PLR0917 - once for every reading the kit ever keeps; a call costs as much as what it would do
        self,
        connection: sqlite3.Connection,
        series: Series,
        time_ms: int,
        value: float,
        quality: int,
        raw: Raw | None,
        arrived_ms: int,
        own_time: bool,  # noqa: FBT001
        undated: Undated | None = None,
    ) -> Outcome:
        """Keep a reading until `flush`.

        Args:
            connection: inside the transaction that `flush` will belong to.
            series: from `series`.
            time_ms: Unix ms.
            value: finite, in the series' unit.
            quality: the flags it earned.
            raw: what the device said, if it was converted.
            arrived_ms: when the kit got it.
            own_time: the device itself dated it. Then the same time and value again is the same reading; without
                it, two messages in one millisecond are two readings.
            undated: the kit dated it and may have to correct that.
        """
        outcome = _STORED
        newest_ms = series.newest_ms
        if newest_ms is None or time_ms > newest_ms:
            if newest_ms is None or time_ms != newest_ms + 1:
                series.run_ms = time_ms
            series.newest_ms = time_ms
        elif not own_time and time_ms >= series.run_ms:
            # a burst of undated readings: nothing before the newest is free
            outcome, time_ms = _SHIFTED, newest_ms + 1
            series.newest_ms = time_ms
            quality |= _TIME_SHIFTED
        else:
            placed_ms = self._place(connection, series, time_ms=time_ms, value=value, own_time=own_time)
            if isinstance(placed_ms, Outcome):
                return placed_ms
            if placed_ms != time_ms:
                outcome, time_ms = _SHIFTED, placed_ms
                quality |= _TIME_SHIFTED
        decimals = series.decimals
        power = POWERS[decimals]
        whole = round(value * power) if -SHORT < value < SHORT else 0
        stored: float
        if whole and whole / power == value and -SHORT < whole < SHORT:
            stored = whole  # what `pack_value` would say to a value with as many decimals as the last one
        else:
            stored, series.decimals = pack_value(value, decimals)
            decimals = series.decimals
        if not self._arrived_ms:
            self._arrived_ms = arrived_ms
        number = series.id
        key = (number, time_ms)
        self._rows[key] = (number, time_ms, stored, quality << DECIMAL_BITS | decimals)
        keys = self._keys.get(undated)
        if keys is None:
            keys = self._keys[undated] = []
        keys += key
        if time_ms < self._horizon_ms:
            self._late.add((number, time_ms // HOUR_MS))
        if raw is not None:
            self._raw.append((number, time_ms, raw.value, raw.unit))
        # a time from the future would hide every later reading behind it
        from_the_future = quality & _TIME_DOUBTFUL and time_ms > arrived_ms
        if not from_the_future and (series.latest_ms is None or time_ms >= series.latest_ms):
            if value != series.value or series.latest_ms is None:
                series.same_since_ms = time_ms
            series.latest_ms, series.value, series.quality = time_ms, value, quality
            if not quality & _IMPOSSIBLE:
                series.good_ms, series.good_value = time_ms, value
            self._touched[number] = series
        return outcome

    def run(self, series: Series, time_ms: int, values: Sequence[float]) -> Run | None:
        """How undated readings that came at one time would be kept; None if `add` has to look at each. Changes nothing.

        Args:
            series: from `series`.
            time_ms: when all of them came, Unix ms.
            values: finite, in the series' unit, at least one.
        """
        start_ms = time_ms
        if series.newest_ms is not None and time_ms <= series.newest_ms:
            if time_ms < series.run_ms:
                return None
            start_ms = series.newest_ms + 1
        stored = None if start_ms < self._horizon_ms else pack_values(values, series.decimals)
        return None if stored is None else Run(start_ms, start_ms != time_ms, values, stored, series.decimals)

    def add_run(
        self, series: Series, run: Run, qualities: tuple[int, int], arrived_ms: int, undated: Undated | None
    ) -> None:
        """Keep undated readings until `flush`, as `add` would one by one.

        Args:
            series: from `series`.
            run: from `run`, just now.
            qualities: the flags that the first one earned, and those of each other one; none is impossible, none of a
                doubtful time.
            arrived_ms: when the kit got them.
            undated: the kit may have to correct their times.
        """
        number, count, start_ms = series.id, len(run.values), run.start_ms
        first, others = qualities[0] | (_TIME_SHIFTED if run.shifted else 0), qualities[1] | _TIME_SHIFTED
        times = range(start_ms, start_ms + count)
        rows: list[float] = [number] * (4 * count)
        rows[1::4], rows[2::4] = times, run.stored
        rows[3::4] = [others << DECIMAL_BITS | run.decimals] * count
        rows[3] = first << DECIMAL_BITS | run.decimals
        self._runs.append(rows)
        keys = [number] * (2 * count)
        keys[1::2] = times
        self._keys.setdefault(undated, []).extend(keys)
        self._arrived_ms = self._arrived_ms or arrived_ms
        if series.newest_ms is None or start_ms > series.newest_ms + 1:
            series.run_ms = start_ms
        last, value, changed = times[-1], run.values[-1], count - 1
        while changed and run.values[changed - 1] == value:
            changed -= 1
        if changed or value != series.value or series.latest_ms is None:
            series.same_since_ms = times[changed]
        series.newest_ms = series.latest_ms = series.good_ms = last
        series.value = series.good_value = value
        series.quality = others if count > 1 else first
        self._touched[number] = series

    def saw(self, device: str, at_ms: int) -> None:
        """The device was heard."""
        before_ms = self._heard.get(device)
        # a time that was set back counts, too
        if before_ms is None or not 0 <= at_ms - before_ms < HEARD_EVERY_MS:
            self._seen[device] = at_ms

    def flush(self, connection: sqlite3.Connection) -> int:
        """Write everything added since `begin`; returns how many readings were new."""
        if self._seen:
            connection.executemany("INSERT OR REPLACE INTO heard_devices VALUES (?, ?)", self._seen.items())
            self._heard.update(self._seen)
            self._seen.clear()
        count = sum(map(len, self._keys.values())) // 2
        if count:
            for keys in self._keys.values():
                note_readings(connection, keys)
            self._write_rows(connection)
            if not self._wrote_last:
                save_token(connection, self._mark)
                self._wrote_last = True
        self._flushed = True
        return count

    def _write_rows(self, connection: sqlite3.Connection) -> None:
        rows = list(chain(chain.from_iterable(self._rows.values()), *self._runs))
        insert_flat(connection, "INSERT OR FAIL INTO readings", rows, columns=4)
        for dated, keys in self._keys.items():
            if dated is not None:
                note_undated(connection, boot=dated.boot, offset_ms=dated.offset_ms, held=dated.held, keys=keys)
            for at in range(0, 0 if dated is not None and dated.held else len(keys), 2 * KEYS_AT_ONCE):
                packed = pack_keys(keys[at : at + 2 * KEYS_AT_ONCE])
                connection.execute("INSERT INTO unsynced (arrived_ms, keys) VALUES (?, ?)", (self._arrived_ms, packed))
        if self._late:
            connection.executemany("INSERT OR IGNORE INTO rollup_dirty VALUES (?, ?)", self._late)
        if self._raw:
            connection.executemany("INSERT INTO raw_readings VALUES (?, ?, ?, ?)", self._raw)
        insert_rows(
            connection,
            "INSERT OR REPLACE INTO latest_readings",
            [
                (s.id, s.latest_ms, s.value, s.quality, s.same_since_ms, s.good_ms, s.good_value)
                for s in self._touched.values()
            ],
        )
        self._drop_pending()

    def _unroll(self) -> None:
        """Let the runs be found reading by reading."""
        for run in self._runs:
            for number, time_ms, stored, code in zip(*[iter(run)] * 4, strict=True):
                self._rows[int(number), int(time_ms)] = (int(number), int(time_ms), stored, int(code))
        self._runs.clear()

    def _drop_pending(self) -> None:
        for pending in (self._rows, self._runs, self._keys, self._raw, self._touched, self._late):
            pending.clear()

    def _load_series(self, connection: sqlite3.Connection, key: tuple[str, str, str]) -> Series | None:
        row = connection.execute(
            "SELECT s.id, (SELECT max(time_ms) FROM readings WHERE series = s.id), "
            "l.time_ms, l.value, l.quality, l.same_since_ms, l.good_ms, l.good_value FROM series s "
            "LEFT JOIN latest_readings l ON l.series = s.id WHERE s.device = ? AND s.quantity = ? AND s.unit = ?",
            key,
        ).fetchone()
        if row is not None:
            known = Series(*row[:2]) if row[2] is None else Series(*row)
            known.run_ms = known.newest_ms or 0
            return known
        device = key[0]
        if device not in self._per_device:
            count = connection.execute("SELECT count(*) FROM series WHERE device = ?", (device,)).fetchone()
            self._per_device[device] = int(count[0])
        if self._per_device[device] >= MAX_SERIES_PER_DEVICE:
            return None
        self._per_device[device] += 1
        made = connection.execute("INSERT INTO series (device, quantity, unit) VALUES (?, ?, ?)", key)
        return Series(int(made.lastrowid or 0))

    def _place(
        self, connection: sqlite3.Connection, series: Series, *, time_ms: int, value: float, own_time: bool
    ) -> int | Outcome:
        """When a reading is kept that is not newer than all others of its series; or why it is not."""
        free_ms = self._free_time(connection, series, time_ms=time_ms, value=value, own_time=own_time)
        if free_ms is None:
            return Outcome.REPEATED
        if own_time and free_ms > time_ms + SHIFT_AT_MOST_MS:
            return Outcome.CROWDED_OUT
        if series.newest_ms is None or free_ms > series.newest_ms:
            if not own_time:
                series.run_ms = time_ms  # all from there on is taken: the next of this burst need not look
            series.newest_ms = free_ms
        return free_ms

    def _free_time(
        self, connection: sqlite3.Connection, series: Series, *, time_ms: int, value: float, own_time: bool
    ) -> int | None:
        """The first free millisecond from `time_ms` on; None if this very reading is already there."""
        self._unroll()
        newest_ms = series.newest_ms or 0
        candidate = time_ms
        while candidate <= newest_ms:
            end_ms = candidate + SHIFT_AT_MOST_MS + 1
            held = {
                row[0]: unpack_value(row[1], row[2])
                for row in connection.execute(
                    "SELECT time_ms, value, code FROM readings WHERE series = ? AND time_ms >= ? AND time_ms < ?",
                    (series.id, candidate, end_ms),
                )
            }
            for candidate in range(candidate, end_ms):  # noqa: B020 - goes on where the last window ended
                taken = held.get(candidate)
                if taken is None:
                    row = self._rows.get((series.id, candidate))
                    if row is None:
                        return candidate
                    taken = unpack_value(row[2], row[3])
                if own_time and taken == value:
                    return None
            candidate = end_ms
            if own_time:
                break
        return candidate
