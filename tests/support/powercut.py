"""A power cut on a real file system: an ext4 in an image, of which only what it had handed to the disk stays.

`kill -9` leaves every write of a dead process with the kernel. Here the image is copied while the file system is still
mounted: the copy holds what had gone to the disk, and nothing that was only in memory; neither bytes nor names (a file
that was made or renamed without its folder being synced is not there). The copy is mounted in place of the old one, and
ext4 plays its journal back as after any power cut.

Better than a real disk in one way: the disk keeps all that it was handed, flushed or not. Needs root, to mount.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

MIB = 1024 * 1024


@cache
def lacking() -> str | None:
    """Why no file system can be mounted here, or None; it is tried."""
    if os.geteuid() != 0:
        return "only root can mount the file system whose power is cut"
    missing = [each for each in ("mkfs.ext4", "mount", "umount") if not shutil.which(each)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    with tempfile.TemporaryDirectory() as folder:
        try:
            ImageDisk(Path(folder) / "disk", Path(folder) / "scratch", mib=8).close()
        except subprocess.CalledProcessError as error:
            return f"this machine mounts no image: {' '.join(map(str, error.cmd))} failed"
    return None


class ImageDisk:
    """An ext4 of its own, mounted at `root` (`commit=5`, its default).

    Args:
        root: where; made if missing, and empty.
        scratch: where its image goes; outside of `root`.
        mib: how large it is.
    """

    def __init__(self, root: Path, scratch: Path, *, mib: int = 256) -> None:
        self.root, self._scratch, self._cuts = root.resolve(), scratch, 0
        self.root.mkdir(parents=True, exist_ok=True)
        scratch.mkdir(parents=True, exist_ok=True)
        with self._image.open("wb") as image:
            image.truncate(mib * MIB)
        subprocess.run(["mkfs.ext4", "-q", "-F", self._image], check=True)
        _mount(self._image, self.root)

    @property
    def environment(self) -> dict[str, str]:
        """For `subprocess.Popen(env=…)`: nothing special."""
        return {**os.environ}

    def power_cut(self, rng: random.Random | None = None) -> int:  # noqa: ARG002 - as the forgetful disk's
        """Lose what is not on the disk. Everything that writes must be dead or stopped.

        Returns:
            How many files are other than they were a moment ago, or gone.
        """
        before = self._image
        self._cuts += 1
        subprocess.run(["cp", "--sparse=always", before, self._image], check=True)
        after = self._scratch / "after"
        after.mkdir(exist_ok=True)
        _mount(self._image, after)
        try:
            changed = sum(not _same(file, after / file.relative_to(self.root)) for file in _files(self.root))
        finally:
            subprocess.run(["umount", after], check=True)
        subprocess.run(["umount", self.root], check=True)
        before.unlink()
        _mount(self._image, self.root)
        return changed

    def close(self) -> None:
        """Take it away."""
        subprocess.run(["umount", "-l", self.root], check=True)
        self._image.unlink()

    @property
    def _image(self) -> Path:
        return self._scratch / f"image-{self._cuts}"


def _mount(image: Path, where: Path) -> None:
    subprocess.run(["mount", "-o", "loop", image, where], check=True)


def _files(root: Path) -> list[Path]:
    return [file for file in root.rglob("*") if file.is_file() and not file.is_symlink()]


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()
