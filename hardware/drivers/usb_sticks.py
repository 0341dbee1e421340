r"""USB sticks as Linux shows them: udev's links in /dev/disk/by-label, the kernel's table of mounts (proc(5)).

Both write what is awkward in a name with escapes: udev `\x20`, the kernel `\040`. Nothing here mounts: a kit's services
have no such right. `kit/data/udev/` has the rule by which the operating system does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from hardware.ports import PluggedStick

BY_LABEL = Path("/dev/disk/by-label")
MOUNTS = Path("/proc/self/mounts")


class UsbSticks:
    """The sticks with one of the given labels.

    Args:
        labels: for example `VILLAGE-KIT`; upper and lower case are the same, as on FAT.
        by_label: where udev keeps its links.
        mounts: the kernel's table.
    """

    def __init__(self, labels: Sequence[str], *, by_label: Path = BY_LABEL, mounts: Path = MOUNTS) -> None:
        self._labels = {label.casefold() for label in labels}
        self._by_label, self._mounts = by_label, mounts

    def sticks(self) -> Sequence[PluggedStick]:
        """Those that are plugged in now."""
        try:
            links = sorted(self._by_label.iterdir())
        except OSError:
            return []  # no disk with a label at all
        found = [(unescape_udev(link.name), link) for link in links]
        return [self._look(label, link) for label, link in found if label.casefold() in self._labels]

    def _look(self, label: str, link: Path) -> PluggedStick:
        try:
            device = link.resolve(strict=True)
            serial = f"{device}:{device.lstat().st_ctime_ns}"
        except OSError as error:
            return PluggedStick(
                label, None, "", f"the stick {label} does not answer ({error.strerror}); plug it in anew"
            )
        for source, path, options in self._mounted():
            if source.startswith("/") and Path(source).resolve() == device:
                trouble = f"the stick {label} is write-protected; move its lock" if "ro" in options.split(",") else ""
                return PluggedStick(label, Path(path), f"{serial}:{path}", trouble)
        return PluggedStick(
            label,
            None,
            serial,
            f"the stick {label} is plugged in but not mounted; see docs/bundles.md, or mount {device} by hand",
        )

    def _mounted(self) -> list[tuple[str, str, str]]:
        try:
            lines = [line.split() for line in self._mounts.read_text().splitlines()]
        except OSError:
            return []
        return [
            (unescape_mount(fields[0]), unescape_mount(fields[1]), fields[3])
            for fields in lines
            if len(fields) > 3  # noqa: PLR2004 - device, folder, type, options
        ]


def unescape_udev(name: str) -> str:
    r"""`MY\x20STICK` as it was written; bytes that are no UTF-8 become question marks."""
    return _unescape(r"\\x([0-9a-fA-F]{2})", name, lambda digits: int(digits, 16))


def unescape_mount(name: str) -> str:
    r"""`/media/MY\040STICK` as it was written."""
    return _unescape(r"\\([0-7]{3})", name, lambda digits: int(digits, 8) & 0xFF)


def _unescape(pattern: str, name: str, number: Callable[[str], int]) -> str:
    raw = re.sub(
        pattern.encode(), lambda match: bytes((number(match[1].decode()),)), name.encode(errors="surrogateescape")
    )
    return raw.decode(errors="replace")
