"""What installed packages add to the kit (apps, dialects): their entry points, found without `importlib.metadata`.

That module brings e-mail, ZIP and CSV with it: a sixth of the time of `kit status`, and a megabyte in every process of
a unit. Of all it does, the kit needs the file `entry_points.txt` in each installed distribution's folder.

Format: https://packaging.python.org/en/latest/specifications/entry-points/
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

FILE = "entry_points.txt"
FOLDERS = (".dist-info", ".egg-info")


class EntryPoint(NamedTuple):
    """One line of such a file: a name, and `module:object` that it stands for."""

    name: str
    value: str

    def load(self) -> Any:
        """Import what it names.

        Raises:
            ImportError, AttributeError: there is no such module or object; and whatever importing it raises.
        """
        module, _, inside = self.value.partition("[")[0].partition(":")
        found: Any = import_module(module.strip())
        for attribute in filter(None, inside.strip().split(".")):
            found = getattr(found, attribute)
        return found


def entry_points(group: str, *, path: Sequence[str] | None = None) -> list[EntryPoint]:
    """Every entry point of the group, by name.

    Args:
        group: for example "village_kit.apps".
        path: the folders packages are installed in; what Python imports from when omitted. Of a distribution that is
            installed twice, the first counts, as it does for an import.
    """
    seen: set[str] = set()
    found: list[EntryPoint] = []
    for folder in dict.fromkeys(sys.path if path is None else path):
        for distribution, file in _files(Path(folder)):
            if distribution not in seen:
                seen.add(distribution)
                found += _read(file, group)
    return sorted(found)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The distributions in a folder: the name without its version as imports would spell it, and their file."""
    try:
        inside = sorted(folder.iterdir())
    except OSError:
        return  # many an entry of sys.path does not exist, or is a ZIP file, in which nobody installs anything
    for installed in inside:
        if installed.name.endswith(FOLDERS):
            yield installed.name.partition("-")[0].lower().replace(".", "_"), installed / FILE


def _read(file: Path, group: str) -> Iterator[EntryPoint]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return  # most distributions have none
    if group not in text:
        return
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section == group and "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield EntryPoint(name.strip(), value.strip())
