"""Cut the shipped frost night out of a station-year: `python -m kit.data.make_frost_night mount-shasta-2015.csv.gz`.

The rows are copied byte for byte; nothing is mended. Written with a fixed gzip header, so that the same input gives the
same file.
"""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

FIRST, LAST = "2015-02-10T00:00:00Z", "2015-04-06T20:00:00Z"
"""Fifty-one days before the night for the model to learn the site, and the three days after it."""


def main(source: Path) -> None:
    """Write frost-night.csv.gz beside this file."""
    with gzip.open(source, "rt", encoding="utf-8") as stream:
        header, *lines = stream.read().splitlines()
    kept = [line for line in lines if FIRST <= line.split(",", 1)[0] <= LAST]
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0, filename="") as packed:
        packed.write(("\n".join([header, *kept]) + "\n").encode())
    Path(__file__).with_name("frost-night.csv.gz").write_bytes(out.getvalue())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
