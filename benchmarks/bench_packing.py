"""What measurements cost on a thin link, packed as the kit packs them and as others do, in one run.

    python benchmarks/bench_packing.py [FILE.csv …]

Without files: draws of four sensors, 25 rounds of a frost night. The peers get the same rows at the same resolution:
delta + adaptive Rice (per series; times as residuals to the grid; names agreed), SenML-CBOR (RFC 8428), columnar CBOR
with zlib and with zstd (where its command is installed), and the order-0 entropy of the Rice coder's residuals, which
leaves out what a decoder would need to know of them.
"""

from __future__ import annotations

import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import cbor2

from kit.cli.pack_command import pack_file
from kit.cli.pack_file import PackFile, read_pack_file
from sync.packing.guesses import NO_GRID, step_of
from sync.packing.rows import Table
from sync.packing.table import pack, unpack

DRAWS = 30

Residuals = list[list[int]]
"""Per series what is left after prediction; the first of each is the value itself."""


def residuals(table: Table) -> Residuals:
    """As the reference: per device its times against its grid, per device and column the differences."""
    found: Residuals = []
    for device in sorted({row.device for row in table.rows}):
        rows = sorted((row for row in table.rows if row.device == device), key=lambda row: row.time)
        times = [row.time for row in rows]
        step = step_of(times, 1000 // table.unit_ms if table.unit_ms <= 1000 else 0)
        start, strays = times[0], [0]
        for at, each in enumerate(times):
            grid = start + at * step if step != NO_GRID else (times[at - 1] if at else each)
            strays.append(each - grid)
        found.append([start, *strays[2:]])
        for column in range(len(table.columns)):
            values = [value for row in rows if (value := row.values[column]) is not None]
            if values:
                found.append([values[0], *(after - before for before, after in pairwise(values))])
    return found


def rice_bytes(series: Residuals, kinds: int) -> int:
    """Adaptive Rice: the parameter follows the mean of what came, and goes on from one device to the next."""
    bits = 0.0
    means = [4.0] * kinds
    for at, numbers in enumerate(series):
        bits += 2 * abs(numbers[0]).bit_length() + 1
        mean = means[at % kinds]
        for number in numbers[1:]:
            folded = number * 2 if number >= 0 else -number * 2 - 1
            parameter = max(0, int(math.log2(max(mean * 0.8, 1))))
            bits += 1 + parameter + (folded >> parameter)
            mean += (folded - mean) / 6
        means[at % kinds] = mean
    return math.ceil(bits / 8)


def entropy_bytes(series: Residuals, kinds: int) -> int:
    """Order-0 entropy of the differences of each quantity: a bound for coders of single differences."""
    bits = 0.0
    for kind in range(kinds):
        counts = Counter(number for numbers in series[kind::kinds] for number in numbers[1:])
        total = sum(counts.values())
        bits -= sum(count * math.log2(count / total) for count in counts.values())
    return math.ceil(bits / 8)


def senml_bytes(file: PackFile) -> int:
    """RFC 8428 in CBOR: integer labels, a base name and time per row, one-letter names, decimal fractions, no units."""
    records = [
        {**({-2: row.device, -3: row.time_ms // 1000} if at == 0 else {}), 0: name[:1], 2: Decimal(repr(value))}
        for row in file.rows
        for at, (name, value) in enumerate(zip(file.columns, row.values, strict=True))
        if value is not None
    ]
    return len(cbor2.dumps(records))


def columnar(table: Table) -> bytes:
    """A CBOR array for each series, plain numbers."""
    rows = sorted(table.rows, key=lambda row: (row.device, row.time))
    columns = [[row.values[at] for row in rows] for at in range(len(table.columns))]
    return cbor2.dumps([[row.time for row in rows], [row.device for row in rows], *columns])


def deltas(table: Table) -> bytes:
    """The residuals as CBOR."""
    return cbor2.dumps(residuals(table))


def zstd_bytes(data: bytes) -> int | None:
    if shutil.which("zstd") is None:
        return None
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        done = subprocess.run(["zstd", "-19", "-c", "--no-check", file.name], capture_output=True, check=True)
        return len(done.stdout)


PEERS: dict[str, Callable[[PackFile, Table], int | None]] = {
    "SenML-CBOR": lambda file, _: senml_bytes(file),
    "columnar CBOR + zlib": lambda _, table: len(zlib.compress(columnar(table), 9)),
    "columnar CBOR + zstd -19": lambda _, table: zstd_bytes(columnar(table)),
    "deltas CBOR + zstd -19": lambda _, table: zstd_bytes(deltas(table)),
    "delta + adaptive Rice": lambda _, table: rice_bytes(residuals(table), 1 + len(table.columns)),
    "order-0 entropy of deltas": lambda _, table: entropy_bytes(residuals(table), 1 + len(table.columns)),
}


def drawn_files(directory: Path, *, fine: bool) -> list[Path]:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
    from village_draws import draw_batch

    paths = []
    for seed in range(DRAWS):
        paths.append(directory / f"{'fine' if fine else 'coarse'}-{seed}.csv")
        lines = [f"{r.time_s},{r.sensor},{r.temperature_c:g},{r.humidity_pct:g}\n" for r in draw_batch(seed, fine=fine)]
        paths[-1].write_text("time_s,sensor,temperature_c,humidity_pct\n" + "".join(lines))
    return paths


def compare(title: str, paths: Sequence[Path]) -> None:
    sizes: dict[str, list[int]] = {name: [] for name in ("this", *PEERS)}
    packing_s, unpacking_s, rows = 0.0, 0.0, 0
    for path in paths:
        file = read_pack_file(path)
        packed = pack_file(file, {})
        start = time.perf_counter()
        data = pack(packed.table)
        middle = time.perf_counter()
        unpack(data)
        packing_s, unpacking_s = packing_s + middle - start, unpacking_s + time.perf_counter() - middle
        rows += len(file.rows)
        sizes["this"].append(len(data))
        for name, peer in PEERS.items():
            size = peer(file, packed.table)
            if size is not None:
                sizes[name].append(size)
    print(f"{title}: {len(paths)} files, {rows} rows")
    for name, told in sizes.items():
        if told:
            print(f"  {name:<28} {statistics.median(told):8.1f} B median  ({min(told)}–{max(told)})")
    print(f"  packing {packing_s / rows * 1e6:.0f} µs a row, unpacking {unpacking_s / rows * 1e6:.0f} µs a row")


def main() -> int:
    given = [Path(word) for word in sys.argv[1:]]
    if given:
        kinds: dict[str, list[Path]] = {}
        for path in given:
            kinds.setdefault(path.name.split("-")[0].split(".")[0], []).append(path)
        for kind, paths in kinds.items():
            compare(kind, paths)
        return 0
    with tempfile.TemporaryDirectory() as directory:
        for fine, title in ((False, "0.1 °C, 1 %RH"), (True, "0.01 °C, 0.1 %RH, noise")):
            compare(title, drawn_files(Path(directory), fine=fine))
    return 0


if __name__ == "__main__":
    sys.exit(main())
