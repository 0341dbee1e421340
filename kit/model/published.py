"""Files that the city core publishes for its kits: the body of a record of kind lesson, advice or file. Pure."""

from __future__ import annotations

import unicodedata
import zlib
from dataclasses import dataclass

KINDS = ("lesson", "advice", "file")

MAX_FILE_BYTES = 256 * 1024
"""A record carries no more; by LoRa it is three quarters of an hour of air already."""

LONGEST_NAME_BYTES = 120
LONGEST_BY = 60

_RAW_DEFLATE = -15


class PublishedError(ValueError):
    """This cannot be a published file; the sentence says why."""


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """A file.

    Attributes:
        name: as it is kept, without a folder.
        content: at most 256 KiB.
        by: who sends it, as they call themselves; "" = not told.
    """

    name: str
    content: bytes
    by: str = ""

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.by != tidy(self.by) or len(self.by) > LONGEST_BY:
            raise PublishedError(f"'{self.by}' is no name of a sender: one line of at most {LONGEST_BY} characters")
        if len(self.content) > MAX_FILE_BYTES:
            raise PublishedError(f"the file has {len(self.content)} bytes; at most {MAX_FILE_BYTES} can be published")


@dataclass(frozen=True)
class Withdrawal:
    """A published file of that name is taken back."""

    name: str

    def __post_init__(self) -> None:
        _check_name(self.name)


def _check_name(name: str) -> None:
    if not name or name != file_name(name) or len(name.encode()) > LONGEST_NAME_BYTES:
        raise PublishedError(
            f"'{name}' is no name for a published file: at most {LONGEST_NAME_BYTES} bytes of letters, digits "
            f"and signs, no '/', and no dot in front"
        )


def file_name(name: str) -> str:
    """What of a name may be a file's name anywhere: no folder, no control characters, not hidden."""
    return tidy("".join(letter for letter in name if letter not in '/\\:"<>|?*')).lstrip(".")


def tidy(words: str) -> str:
    """One line, without control characters."""
    return " ".join("".join(letter for letter in words if unicodedata.category(letter)[0] != "C").split())


def published_body(file: PublishedFile) -> bytes:
    """As CBOR: [1, name, whether deflated (RFC 1951), content], and who sends it, if that is told."""
    import cbor2

    press = zlib.compressobj(9, zlib.DEFLATED, _RAW_DEFLATE)
    small = press.compress(file.content) + press.flush()
    deflated = len(small) < len(file.content)
    sender = [file.by] if file.by else []
    return cbor2.dumps([1, file.name, deflated, small if deflated else file.content, *sender])


def withdrawal_body(withdrawal: Withdrawal) -> bytes:
    """As CBOR, in a record of the file's kind: [2, name]."""
    import cbor2

    return cbor2.dumps([2, withdrawal.name])


def read_published(body: bytes) -> PublishedFile | Withdrawal:
    """What is in a record of one of the kinds.

    Raises:
        PublishedError: neither, or a file that must not be kept.
    """
    match _loaded(body):
        case [2, str() as name]:
            return Withdrawal(name)
    return published_from_body(body)


def published_from_body(body: bytes) -> PublishedFile:
    """Read a file.

    Raises:
        PublishedError: it is none.
    """
    name, deflated, content, by = _parts(body)
    return PublishedFile(name=name, content=_inflated(content) if deflated else content, by=by)


def name_from_body(body: bytes) -> tuple[str, str]:
    """The file's name, and who sends it; the file itself stays packed.

    Raises:
        PublishedError: it is none.
    """
    name, _, _, by = _parts(body)
    file = PublishedFile(name=name, content=b"", by=by)
    return file.name, file.by


def _loaded(body: bytes) -> object:
    import cbor2

    try:
        return cbor2.loads(body, max_depth=4)
    except (cbor2.CBORError, ValueError, TypeError) as error:
        raise PublishedError(f"the body is no CBOR ({error})") from error


def _parts(body: bytes) -> tuple[str, bool, bytes, str]:
    match _loaded(body):
        case [1, str() as name, bool() as deflated, bytes() as content, *more]:
            by = tidy(more[0])[:LONGEST_BY].strip() if more and isinstance(more[0], str) else ""
            return name, deflated, content, by
    raise PublishedError("the body is no file that this version knows")


def _inflated(content: bytes) -> bytes:
    unpress = zlib.decompressobj(_RAW_DEFLATE)
    try:
        told = unpress.decompress(content, MAX_FILE_BYTES + 1)
    except zlib.error as error:
        raise PublishedError(f"the file was packed in a way that cannot be read ({error})") from error
    if not unpress.eof and len(told) <= MAX_FILE_BYTES:
        raise PublishedError("the file was cut short")
    return told
