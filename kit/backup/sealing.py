"""Encryption of a backup in chunks, so that a gigabyte passes through a small memory; does no I/O of its own.

The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance", 2015) over ChaCha20-Poly1305 (RFC 8439): the nonce counts the chunks and marks the last
one, so that chunks can be neither changed, nor swapped, nor cut off without it being noticed. Each file has its own key
(HKDF-SHA-256, RFC 5869, of the unit's backup secret with the file's random salt); the file's head is authenticated
with every chunk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16
SALT_BYTES = 16


class SealError(Exception):
    """The file is cut short, was changed, or has another key."""


def file_key(secret: bytes, salt: bytes) -> bytes:
    """The key of one file, 32 bytes."""
    return _derive(secret, salt=salt, info=b"village-kit backup 1 key", length=32)


def key_mark(secret: bytes) -> str:
    """Names the secret without telling it: tells a wrong code from a damaged file."""
    return _derive(secret, salt=b"", info=b"village-kit backup 1 mark", length=6).hex()


def seal(plain: Iterable[bytes], *, key: bytes, head: bytes) -> Iterator[bytes]:
    """Encrypt pieces of any size into chunks."""
    cipher, bound = _cipher(key), hashlib.sha256(head).digest()
    number = 0
    buffer = bytearray()
    for piece in plain:
        buffer += piece
        while len(buffer) > CHUNK_BYTES:  # one chunk is kept back: the last is marked as such
            yield cipher.encrypt(_nonce(number, last=False), bytes(buffer[:CHUNK_BYTES]), bound)
            del buffer[:CHUNK_BYTES]
            number += 1
    yield cipher.encrypt(_nonce(number, last=True), bytes(buffer), bound)


def unseal(sealed: Iterable[bytes], *, key: bytes, head: bytes) -> Iterator[bytes]:
    """Decrypt pieces of any size.

    Raises:
        SealError: something is not as it was sealed; what was yielded before was.
    """
    from cryptography.exceptions import InvalidTag

    cipher, bound = _cipher(key), hashlib.sha256(head).digest()
    number = 0
    try:
        for chunk, last in _chunks(sealed):
            yield cipher.decrypt(_nonce(number, last=last), chunk, bound)
            number += 1
    except InvalidTag as error:
        raise SealError(f"it was cut short or changed at chunk {number}") from error


def _chunks(sealed: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    whole = CHUNK_BYTES + TAG_BYTES
    buffer = bytearray()
    for piece in sealed:
        buffer += piece
        while len(buffer) > whole:
            yield bytes(buffer[:whole]), False
            del buffer[:whole]
    yield bytes(buffer), True


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _cipher(key: bytes):  # type: ignore[no-untyped-def]  # noqa: ANN202 - its type would import cryptography at start
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return ChaCha20Poly1305(key)


def _derive(secret: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)
