"""The serving certificate and the authority that signs it: made, judged and renewed. No I/O.

The authority lives for ten years and signs certificates of 90 days, each renewed when 30 days are
left. Its own certificate is what APIServices carry (caBundle), so a renewal changes nothing there.
An authority too old to outlive a new certificate is replaced; the old one's certificate goes on in
the bundle behind the new one's, so that no API server ever sees a certificate that it cannot check.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE: Final = timedelta(days=3650)
LIFE: Final = timedelta(days=90)
RENEWED_BEFORE_END: Final = timedelta(days=30)
# For clocks of others that are behind.
_BACKDATED: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Bundle:
    """PEM texts: whom to trust, and what to serve with."""

    authority: str
    """The authority's certificate, and behind it the one before, if there was one."""
    authority_key: str
    certificate: str
    key: str


def made(hosts: tuple[str, ...], now: datetime, known: Bundle | None = None) -> Bundle:
    """Return a new certificate for `hosts`, the first its name.

    Signed by `known`'s authority where that can be read and outlives it; else by a new one.
    """
    signer = _signer(known, now)
    authority = known.authority if known and signer else ""
    if signer is None:
        signer, authority = _new_authority(hosts[0], now, known)
    certificate, key = signer
    alternatives = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    leaf = (
        _builder(hosts[0], leaf_key, now, LIFE)
        .issuer_name(certificate.subject)
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Bundle(authority, _key_text(key), _text(leaf), _key_text(leaf_key))


def end(bundle: Bundle) -> datetime:
    """Return when the certificate ends; ValueError where it cannot be read."""
    return x509.load_pem_x509_certificate(bundle.certificate.encode()).not_valid_after_utc


def flaw(bundle: Bundle, hosts: tuple[str, ...], now: datetime) -> str:
    """Say why `bundle` needs a new certificate; empty where it is good for a while yet."""
    try:
        leaf = x509.load_pem_x509_certificate(bundle.certificate.encode())
        key = serialization.load_pem_private_key(bundle.key.encode(), None)
        issuer = x509.load_pem_x509_certificate(bundle.authority.encode())
        leaf.verify_directly_issued_by(issuer)
    except (ValueError, TypeError) as error:
        return f"cannot be read: {error}"
    except Exception as error:  # noqa: BLE001 (InvalidSignature, and what else cryptography finds)
        return f"is not signed by its authority: {type(error).__name__}"
    if key.public_key() != leaf.public_key():
        return "does not belong to its key"
    if not set(hosts) <= set(_hosts(leaf)):
        return f"is for {', '.join(_hosts(leaf))}: must be for {', '.join(hosts)}"
    if leaf.not_valid_after_utc - now < RENEWED_BEFORE_END:
        return f"ends at {leaf.not_valid_after_utc:%Y-%m-%d}"
    return ""


def _signer(
    known: Bundle | None, now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
    """Return the authority of `known` where it is whole and outlives what it is to sign."""
    if known is None:
        return None
    try:
        certificate = x509.load_pem_x509_certificate(known.authority.encode())
        key = serialization.load_pem_private_key(known.authority_key.encode(), None)
    except (ValueError, TypeError):
        return None
    is_whole = key.public_key() == certificate.public_key()
    is_long = certificate.not_valid_after_utc > now + LIFE
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not is_whole or not is_long:
        return None
    return certificate, key


def _new_authority(
    host: str, now: datetime, known: Bundle | None
) -> tuple[tuple[x509.Certificate, ec.EllipticCurvePrivateKey], str]:
    """Return a new authority, and its bundle with the certificate that was known last."""
    key = ec.generate_private_key(ec.SECP256R1())
    # Each has a name of its own: where two have the same, a verifier may try the wrong one alone.
    name = f"{host}-ca@{int(now.timestamp())}"
    builder = _builder(name, key, now, AUTHORITY_LIFE)
    certificate = (
        builder.issuer_name(_name(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS, critical=True)
        .sign(key, hashes.SHA256())
    )
    return (certificate, key), _text(certificate) + _first_certificate(known)


def _builder(
    name: str, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _BACKDATED)
        .not_valid_after(now.astimezone(UTC) + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


_SIGNS: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _first_certificate(known: Bundle | None) -> str:
    if known is None:
        return ""
    try:
        return _text(x509.load_pem_x509_certificate(known.authority.encode()))
    except ValueError:
        return ""


def _hosts(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.DNSName)


def _name(text: str) -> x509.Name:
    # A common name has at most 64 characters; who checks looks at the alternative names.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[-64:])])


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
