"""Where bundles lie: the folder on a stick, or one file with bundles one after the other.

Invariant: a bundle is there whole or not at all. It is written under a temporary name, flushed to the stick and only
then given its own; an interrupted copy leaves a `.part` that the next one removes. What is read is hostile: only plain
files are opened (no links, no devices), only the first two megabytes of each, only so many of them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kit.errors import KitError
from sync.protocol.bundle import MAX_BUNDLE_BYTES, Bundle, encode_bundle, read_bundle
from sync.protocol.errors import MalformedFrame

FOLDER = "village-kit"
"""On the stick."""

SUFFIX, PART = ".bp7", ".part"
MOST_BUNDLES = 20_000
"""Looked at on one stick: 10 GB of full ones."""

_MOST_FILE_BYTES = 256 * 1024**2
"""Of one file with many bundles: it is read at once, and a small computer has little memory. A stick may hold more."""


class ShelfError(KitError):
    """The stick or file cannot be read or written; the sentence says why and what to do."""


@dataclass(frozen=True)
class Found:
    """Something that lay there.

    Attributes:
        name: of the file.
        bundle: what it is; None = no bundle, or a damaged one.
        trouble: why there is no bundle.
    """

    name: str
    bundle: Bundle | None
    trouble: str = ""


class Stick:
    """A folder of bundles, one per file. Making the object touches nothing.

    Args:
        path: the stick's top, or any folder; the bundles lie in `village-kit/` below it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path / FOLDER

    def read(self) -> Iterator[Found]:
        """Everything that lies there, by name."""
        for name in self._names():
            try:
                bundle = _only_bundle(_read_plain_file(self.folder / name))
            except (MalformedFrame, OSError) as error:
                yield Found(name, None, str(error))
            else:
                yield Found(name, bundle)

    def add(self, bundle: Bundle) -> str:
        """Put it there; on the stick, not only in memory, when this returns. Gives its name.

        Raises:
            ShelfError: the stick is full, gone or write-protected.
        """
        data, name = encode_bundle(bundle), _name(bundle)
        part = self.folder / (name + PART)
        try:
            self.folder.mkdir(exist_ok=True)
            _write_and_flush(part, data)
            part.rename(self.folder / name)
            _flush_folder(self.folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise ShelfError(_explain(self.path, error)) from error
        return name

    def has(self, bundle: Bundle) -> bool:
        """Whether it lies there, through however many hands it came."""
        return (self.folder / _name(bundle)).exists()

    def make(self) -> None:
        """Make the folder that stands for a stick.

        Raises:
            ShelfError: it cannot be made.
        """
        try:
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            raise ShelfError(_explain(self.path, error)) from error

    def sizes(self) -> list[tuple[str, int, float]]:
        """(name, bytes, when it was put there) of everything."""
        found: list[tuple[str, int, float]] = []
        for name in self._names():
            with contextlib.suppress(OSError):
                about = (self.folder / name).stat(follow_symlinks=False)
                found.append((name, about.st_size, about.st_mtime))
        return found

    def remove(self, name: str) -> None:
        """Take it away; one that cannot be stays, which is harmless."""
        with contextlib.suppress(OSError):
            (self.folder / name).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what an interrupted copy left."""
        with contextlib.suppress(OSError):
            for part in self.folder.glob(f"*{PART}"):
                part.unlink(missing_ok=True)

    def _names(self) -> list[str]:
        try:
            with os.scandir(self.folder) as entries:
                names = [each.name for each in entries if each.name.endswith(SUFFIX)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ShelfError(_explain(self.path, error)) from error
        return sorted(names)[:MOST_BUNDLES]


class BundleFile:
    """One file with bundles one after the other, to be sent as an attachment or copied by hand.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._added: list[bytes] = []

    def read(self) -> Iterator[Found]:
        """Every bundle in it. Behind a damaged one nothing can be found, so it ends there."""
        try:
            data = _read_plain_file(self.path, most_bytes=_MOST_FILE_BYTES)
        except FileNotFoundError:
            return
        except OSError as error:
            raise ShelfError(_explain(self.path, error)) from error
        except MalformedFrame as error:
            raise ShelfError(f"{self.path} cannot be read: {error}; carry so much on a stick instead") from error
        at = 0
        while at < len(data):
            try:
                bundle, at = read_bundle(data, at)
            except MalformedFrame as error:
                yield Found(f"{self.path.name} from byte {at}", None, str(error))
                return
            yield Found(self.path.name, bundle)

    def add(self, bundle: Bundle) -> str:
        """Put it behind the others when `finish` writes the file."""
        self._added.append(encode_bundle(bundle))
        return self.path.name

    def finish(self) -> None:
        """Write the file, whole or not at all.

        Raises:
            ShelfError: it cannot be written.
        """
        part = self.path.with_name(self.path.name + PART)
        try:
            _write_and_flush(part, b"".join(self._added))
            part.rename(self.path)
            _flush_folder(self.path.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise ShelfError(_explain(self.path, error)) from error


def _only_bundle(data: bytes) -> Bundle:
    bundle, end = read_bundle(data)
    if end != len(data):
        raise MalformedFrame("something else follows the bundle")
    return bundle


def _name(bundle: Bundle) -> str:
    """Of its file: the same for every copy, whatever its hop count."""
    identity = f"{bundle.source} {bundle.destination} {bundle.created_ms} {bundle.sequence} ".encode()
    digest = hashlib.sha256(identity + bundle.payload).hexdigest()[:16]
    return f"{_short(bundle.destination)}.{_short(bundle.source)}.{digest}{SUFFIX}"


def _short(endpoint: str) -> str:
    """The node's name of `dtn://kit-abc/sync`, fit for a file name."""
    node = endpoint.removeprefix("dtn://").partition("/")[0]
    return "".join(each for each in node if each.isalnum() or each == "-")[:40] or "unnamed"


def _read_plain_file(path: Path, *, most_bytes: int = MAX_BUNDLE_BYTES) -> bytes:
    # O_NONBLOCK: a FIFO that somebody made on the stick must not hold the unit up
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise MalformedFrame("no plain file")
        if about.st_size > most_bytes:
            raise MalformedFrame(f"{about.st_size} bytes are more than is read at once")
        return stream.read(most_bytes)


def _write_and_flush(path: Path, data: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems of sticks know no such thing
            raise
    finally:
        os.close(descriptor)


def _explain(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"{path} is full; what is on it is whole and can be carried: free some space, then export again"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{path} cannot be written or read ({error.strerror}); is the stick's lock on, or is it another user's?"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"there is no {path}; plug the stick in, or name the folder at which it is mounted"
    if error.errno in (errno.EIO, errno.ENODEV, errno.ENXIO):
        return f"{path} does not answer any more ({error.strerror}); was the stick pulled out? Plug it in again"
    return f"{path} cannot be used ({error.strerror}); try another stick"
