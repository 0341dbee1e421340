"""Makes a unit's certificates again and again, each time killed before another line of the code that makes them.

`python certificate_kills.py FOLDER`: FOLDER/template is the home as it is before; after each kill the home is left in
FOLDER/killed-N. The process that makes them is a real one, ended by SIGKILL; what was written stays as it is.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from kit import certificates, home
from kit.home import Home

NAMES = ["kit.local", "10.0.0.9"]
WRITING = {"broker_context", "_load_or_create_authority", "_create_broker_certificate", "write_private"}
"""Functions of the two modules between whose lines the disk changes."""

CODE = {certificates.__file__, home.__file__}


def main(folder: Path) -> None:
    """One process for each line, until one comes to its end."""
    make_until(Home(folder / "warm"), 0)  # what it imports is imported once, not in each process
    sys.settrace(None)
    killed, line = True, 0
    while killed:
        line += 1
        place = folder / f"killed-{line}"
        shutil.copytree(folder / "template", place)
        pid = os.fork()
        if pid == 0:
            make_until(Home(place), line)
            os._exit(0)
        killed = os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def make_until(home: Home, last: int) -> None:
    """Make the certificates, and die before the line of that number."""
    seen = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal seen
        del argument
        if frame.f_code.co_filename not in CODE or frame.f_code.co_name not in WRITING:
            return None
        if event == "line":
            seen += 1
            if seen == last:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    home.keys.mkdir(parents=True, exist_ok=True)
    sys.settrace(trace)
    certificates.broker_context(home, unit="k1", names=NAMES)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
