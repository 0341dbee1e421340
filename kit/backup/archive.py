r"""What is in a backup file, and how it is written and read.

    "KITBAK1\n" | length u32 | head (JSON, in the clear) | sealed chunks of zlib of a tar

The head is `{unit, name, created_ms, salt, key, small_first}`: enough to choose a file, nothing of anybody. In the tar:
`manifest.json` first (rows of every table, and of every file its length and SHA-256), then `small.db` (the store
without its large tables) and `kit.tables` (where the tables begin), which a unit with a damaged store reads alone, then
`kit.db`, `kit.toml` and `keys/…`. Content (lessons, uploads) is not in it: it is large, and kept as files.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol, cast

from kit.backup.sealing import SALT_BYTES, SealError, file_key, key_mark, seal, unseal
from kit.errors import KitError

MAGIC = b"KITBAK1\n"
SUFFIX = ".kitbackup"
MANIFEST = "manifest.json"
LONGEST_HEAD = 64 * 1024
READ_BYTES = 256 * 1024


class BackupError(KitError):
    """A backup cannot be made, read or restored; the sentence says why and what to do."""


class WrongKeyError(BackupError):
    """It was made by another unit, or before the keys were made anew."""


@dataclass(frozen=True)
class Head:
    """What a backup says of itself in the clear.

    Attributes:
        small_first: it begins with the small tables; one by an earlier version does not.
    """

    unit: str
    name: str
    created_ms: int
    salt: bytes
    key: str
    small_first: bool = False

    def encode(self) -> bytes:
        """As it stands in the file."""
        told = {
            "unit": self.unit,
            "name": self.name,
            "created_ms": self.created_ms,
            "salt": self.salt.hex(),
            "key": self.key,
            "small_first": self.small_first,
        }
        return json.dumps(told).encode()


class Sink(Protocol):
    """Takes the bytes of one file as they come out of a backup."""

    def write(self, piece: bytes, /) -> object:
        """The next ones."""

    def flush(self) -> object:
        """There are no more."""


def new_head(*, unit: str, name: str, created_ms: int, secret: bytes) -> Head:
    """The head of a backup about to be made, with a fresh salt."""
    return Head(unit, name, created_ms, os.urandom(SALT_BYTES), key_mark(secret), small_first=True)


def write_archive(stream: BinaryIO, head: Head, secret: bytes, members: Mapping[str, Path | bytes]) -> None:
    """Write a whole backup; `members` in their order, each a file or its bytes."""
    text = head.encode()
    stream.write(MAGIC + len(text).to_bytes(4, "big") + text)
    stream.writelines(seal(_compressed(_tar(members)), key=file_key(secret, head.salt), head=text))


def read_head(file: Path) -> Head:
    """The head of a backup.

    Raises:
        BackupError: it is no backup, or cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return _decode_head(_head_text(stream, file), file)
    except OSError as error:
        raise BackupError(f"{file} cannot be read ({error.strerror})") from error


def unpack(
    file: Path,
    secret: bytes,
    folder: Path | None,
    *,
    only: Collection[str] = (),
    through: Mapping[str, Callable[[BinaryIO], Sink]] | None = None,
) -> dict[str, Any]:
    """Decrypt everything into `folder` (None: nowhere), check each file against the manifest, return the manifest.

    Args:
        file: the backup.
        secret: that it was sealed with.
        folder: where the files go.
        only: stop reading once these are there; the manifest tells if the backup holds them at all.
        through: by file, what decides which of its bytes are written; all of them are checked.

    Raises:
        WrongKeyError: another secret is needed.
        BackupError: it is damaged, cut short, or there is no room.
    """
    head = read_head(file)
    if key_mark(secret) != head.key:
        raise WrongKeyError(
            f"{file} is a backup of {head.unit} and needs the recovery code of that unit: "
            f"kit restore {file} --code CODE"
        )
    try:
        with file.open("rb") as stream:
            text = _head_text(stream, file)
            plain = unseal(_pieces(stream), key=file_key(secret, head.salt), head=text)
            return _unpack(_Reader(_decompressed(plain)), folder, frozenset(only), through or {})
    except (SealError, zlib.error, tarfile.TarError, EOFError, ValueError, KeyError) as error:
        raise BackupError(f"{file} is damaged ({error}); take an older one") from error
    except OSError as error:
        where = f" to {folder}" if folder else ""
        raise BackupError(f"{file} cannot be unpacked{where} ({error.strerror or error})") from error


def _unpack(
    stream: _Reader, folder: Path | None, only: frozenset[str], through: Mapping[str, Callable[[BinaryIO], Sink]]
) -> dict[str, Any]:
    manifest: dict[str, Any] = {}
    seen: set[str] = set()
    # tarfile reads ahead in its own way; a stream that is no file needs "r|"
    with tarfile.open(fileobj=cast("Any", stream), mode="r|") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            content = tar.extractfile(member)
            if not member.isreg() or path.is_absolute() or ".." in path.parts or content is None:
                raise ValueError(f"it holds '{member.name}', which no backup does")
            if member.name == MANIFEST:
                manifest = json.loads(content.read())
                if only and not only <= manifest["files"].keys():
                    return manifest
                continue
            told = manifest["files"][member.name]
            digest, count = _copy(content, None if folder is None else folder / path, through.get(member.name))
            if (digest, count) != (told["sha256"], told["bytes"]):
                raise ValueError(f"'{member.name}' in it is not what the manifest says")
            seen.add(member.name)
            if only and only <= seen:
                return manifest
    missing = set(manifest.get("files", {"manifest.json": 0})) - seen
    if missing:
        raise ValueError(f"{', '.join(sorted(missing))} is missing in it")
    return manifest


def _copy(content: Any, target: Path | None, through: Callable[[BinaryIO], Sink] | None) -> tuple[str, int]:
    digest, count = hashlib.sha256(), 0
    with contextlib.ExitStack() as stack:
        out: BinaryIO | None = None
        sink: Sink | None = None
        if target is not None:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            out = stack.enter_context(os.fdopen(descriptor, "wb"))
            sink = out if through is None else through(out)
        while piece := content.read(READ_BYTES):
            digest.update(piece)
            count += len(piece)
            if sink is not None:
                sink.write(piece)
        if out is not None and sink is not None:
            sink.flush()
            os.fsync(out.fileno())
    return digest.hexdigest(), count


def _tar(members: Mapping[str, Path | bytes]) -> Iterator[bytes]:
    for name, source in members.items():
        info = tarfile.TarInfo(name)
        info.mode = 0o600
        info.size = len(source) if isinstance(source, bytes) else source.stat().st_size
        yield info.tobuf(tarfile.PAX_FORMAT)
        if isinstance(source, bytes):
            yield source
        else:
            with source.open("rb") as stream:
                yield from _pieces(stream)
        yield bytes(-info.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(READ_BYTES):
        yield piece


def _compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(level=1)  # a small computer's time is dearer than a third of the size
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def _decompressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj()
    for piece in pieces:
        yield unpacker.decompress(piece)
    yield unpacker.flush()
    if not unpacker.eof:
        raise EOFError("it ends too early")


class _Reader(io.RawIOBase):
    """Pieces as something that can be read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, fewer only at the end."""
        parts, wanted = [], size
        while wanted:
            if not self._rest:
                self._rest = next((piece for piece in self._pieces if piece), b"")
                if not self._rest:
                    break
            taken = self._rest if wanted < 0 else self._rest[:wanted]
            self._rest = self._rest[len(taken) :]
            wanted -= len(taken) if wanted > 0 else 0
            parts.append(taken)
        return b"".join(parts)


def _head_text(stream: BinaryIO, file: Path) -> bytes:
    if stream.read(len(MAGIC)) != MAGIC:
        raise BackupError(f"{file} is no backup of a kit; choose a file that ends in {SUFFIX}")
    length = int.from_bytes(stream.read(4), "big")
    text = stream.read(length) if length <= LONGEST_HEAD else b""
    if not length or len(text) < length:
        raise BackupError(f"{file} is damaged (its head is cut short); take an older one")
    return text


def _decode_head(text: bytes, file: Path) -> Head:
    try:
        told = json.loads(text)
        return Head(
            str(told["unit"]),
            str(told["name"]),
            int(told["created_ms"]),
            bytes.fromhex(told["salt"]),
            str(told["key"]),
            small_first=told.get("small_first") is True,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{file} is damaged (its head cannot be read); take an older one") from error
