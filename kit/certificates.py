"""The unit's own certificate authority, and the broker's certificate by it.

No certificate can lock a device out because somebody's clock is wrong: they are valid from 1950, the first year that
the format can say, so that a device that has just woken in 1970 accepts them, and until the end of 9999, which RFC 5280
(4.1.2.5) reserves for "no well-defined end", so that one ten years ahead does, too. Making them reads no clock. What
ends a certificate here is not its date: when the unit's addresses change, the broker makes itself a new one from the
same authority, and an authority whose key was stolen is replaced by deleting `ca.key` and `ca.pem` and giving the
devices the new one. One of the two alone is never replaced silently.

Keys are 0600; the authority's certificate is public and may be copied to anybody.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from kit.errors import KitError
from kit.home import Home, explain_home_error, write_private

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

NOT_BEFORE = dt.datetime(1950, 1, 1, tzinfo=dt.UTC)
NOT_AFTER = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)

ALWAYS_NAMES = ("localhost", "127.0.0.1", "::1")

_BROKER_DAMAGED = "{} or {} is damaged ({}); delete both, the broker makes new ones"


def authority_file(home: Home) -> Path:
    """The authority's certificate, for the devices; exists once the broker has started with `tls_listen`."""
    return home.keys / "ca.pem"


def broker_context(home: Home, *, unit: str, names: Iterable[str]) -> ssl.SSLContext:
    """The broker's certificate and key, made if they are missing or speak for other names.

    Args:
        home: where the keys are.
        unit: the unit's name, which the authority bears.
        names: host names and addresses under which devices reach the broker.

    Raises:
        KitError: the files cannot be written, or are damaged.
    """
    wanted = sorted({*ALWAYS_NAMES, *names})
    certificate, key = home.keys / "broker.pem", home.keys / "broker.key"
    try:
        authority = _load_or_create_authority(home, unit)
        # a kill between writing the key and its certificate leaves a pair that does not fit: both are made anew
        if not (key.exists() and certificate.exists() and _speaks_for(certificate, key, wanted, authority[0])):
            _create_broker_certificate(certificate, key, authority, wanted)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise KitError(_BROKER_DAMAGED.format(certificate, key, error)) from error
    except ValueError as error:
        raise KitError(f"{home.keys}/ca.key or ca.pem is damaged ({error}); restore them from a backup") from error
    except OSError as error:
        raise KitError(explain_home_error(home.keys, error)) from error
    return context


def fingerprint(certificate: Path) -> str:
    """SHA-256 of a certificate, as devices show it.

    Raises:
        OSError: it cannot be read.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    digest = x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(SHA256())
    return ":".join(f"{byte:02X}" for byte in digest)


def _load_or_create_authority(home: Home, unit: str) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    """The authority; a key once written is never replaced, because that would lock all devices out.

    The key is written first: where a kill left it without its certificate, the certificate is made for that key.
    """
    from cryptography import x509

    certificate, key = authority_file(home), home.keys / "ca.key"
    if not certificate.exists():
        made = _load_key(key) if key.exists() else _new_key()
        signed = _authority_certificate(unit, made)
        if not key.exists():
            write_private(key, _pem(made))
        write_private(certificate, _pem(signed))
        return signed, made
    if not key.exists():
        raise KitError(
            f"{key} is missing, with which the unit made {certificate.name}, which its devices trust; restore it from "
            f"a backup, or delete {certificate.name} too and give every device the new one (kit device ca)"
        )
    signed, made = x509.load_pem_x509_certificate(certificate.read_bytes()), _load_key(key)
    if signed.public_key() != made.public_key():
        raise ValueError("they do not belong together")
    return signed, made


def _load_key(file: Path) -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    loaded = load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(loaded, EllipticCurvePrivateKey):
        raise ValueError(f"{file.name} is no elliptic curve key")  # noqa: TRY004 - what a damaged file holds, no mistake of ours
    return loaded


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

    return generate_private_key(SECP256R1())


def _authority_certificate(unit: str, made: EllipticCurvePrivateKey) -> x509.Certificate:
    from cryptography import x509

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"Village kit {unit}")])
    builder = _builder(name, name, made)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return _sign(builder, made)


def _create_broker_certificate(
    certificate: Path,
    key: Path,
    authority: tuple[x509.Certificate, EllipticCurvePrivateKey],
    names: list[str],
) -> None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    issuer, issuer_key = authority
    made = _new_key()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Village kit broker")])
    builder = _builder(subject, issuer.subject, made)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    write_private(key, _pem(made))
    write_private(certificate, _pem(_sign(builder, issuer_key)))


def _builder(subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _sign(builder: x509.CertificateBuilder, key: EllipticCurvePrivateKey) -> x509.Certificate:
    from cryptography.hazmat.primitives.hashes import SHA256

    return builder.sign(key, SHA256())


def _speaks_for(certificate: Path, key: Path, names: list[str], authority: x509.Certificate) -> bool:
    from cryptography import x509

    try:
        held, own = x509.load_pem_x509_certificate(certificate.read_bytes()), _load_key(key)
    except ValueError as error:
        raise KitError(_BROKER_DAMAGED.format(certificate, key, error)) from error
    if held.public_key() != own.public_key():
        return False
    spoken = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return held.issuer == authority.subject and set(spoken) == set(_general_names(names)) and _is_by(held, authority)


def _is_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(authority)
    except InvalidSignature:
        return False
    return True


def _general_names(names: Iterable[str]) -> list[x509.GeneralName]:
    from cryptography import x509

    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _pem(value: x509.Certificate | EllipticCurvePrivateKey) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if isinstance(value, x509.Certificate):
        return value.public_bytes(Encoding.PEM)
    return value.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
