"""X25519 agreement (RFC 7748) and HKDF-SHA-256 (RFC 5869): every key of the protocol comes from here.

The library is imported when a key is made: nine megabytes that a process need not keep which only reads an invite, such
as the one that serves the pages.
"""

from __future__ import annotations


def agree(private: bytes, public: bytes) -> bytes:
    """The secret that both ends compute.

    Raises:
        ValueError: the public key is no point that may be used (all-zero result, wrong length).
    """
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def derive(secret: bytes, *, salt: bytes, info: bytes) -> bytes:
    """A 32-byte key for one purpose, named by `info`."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(secret)


def public_of(private: bytes) -> bytes:
    """The public half of an X25519 private key; CurveZMQ's Curve25519 keys are the same."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
