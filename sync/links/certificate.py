"""The core's own certificate: made on first use, valid as long as the machine is, known to kits by the core's key.

Kits do not look at its name or its date (`sync.links.https_wire`), so it never has to be renewed.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from datetime import UTC, datetime
from pathlib import Path

FILE = "https.pem"
"""Below `keys/`: private key and certificate, readable by their owner only."""

_FOR_EVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""RFC 5280, section 4.1.2.5: "no well-defined expiration date"."""
_BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
"""Not the time at which it is made: the core's clock may be wrong on its first day."""


def server_context(keys: Path) -> tuple[ssl.SSLContext, bytes]:
    """A TLS server's context with the core's certificate, and that certificate's SHA-256; made if it is missing."""
    file = keys / FILE
    if not file.exists():
        _make(file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(file)
    pem = file.read_text()
    certificate = ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERTIFICATE") :])
    return context, hashlib.sha256(certificate).digest()


def _make(file: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "village-kit core")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(_FOR_EVER)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    part = file.with_suffix(".new")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(pem)
        stream.flush()
        os.fsync(stream.fileno())
    part.rename(file)
