"""The keys and certificates of a cluster, and the kubeconfigs that carry them."""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE: Final = dt.timedelta(days=365)
_CLOCK_SKEW: Final = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority that can sign."""

    folder: Path
    name: str

    @property
    def certificate(self) -> Path:
        """The authority's certificate, which those who trust it need."""
        return self.folder / f"{self.name}.crt"

    @property
    def _key(self) -> Path:
        return self.folder / f"{self.name}.key"

    def create(self) -> None:
        """Make the authority's own key and certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"gshare-test-{self.name}")])
        built = (
            _builder(subject, subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        _store(Pair(self.certificate, self._key), built, key)

    def issue(
        self, name: str, user: str, group: str | None = None, hosts: Sequence[str] = ()
    ) -> Pair:
        """Sign a certificate for a client `user`, which also serves at `hosts`."""
        authority = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        signer = serialization.load_pem_private_key(self._key.read_bytes(), None)
        if not isinstance(signer, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{self._key} holds another kind of key")
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
        if group is not None:
            attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = _builder(x509.Name(attributes), authority.subject, key.public_key())
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        pair = Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        _store(pair, builder.sign(signer, hashes.SHA256()), key)
        return pair


def signing_key(folder: Path, name: str) -> Pair:
    """Make a key pair for tokens; the "certificate" is the public key alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    pair = Pair(folder / f"{name}.pub", folder / f"{name}.key")
    pair.certificate.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    _store_key(pair.key, key)
    return pair


def kubeconfig(path: Path, server: str, authority: Path, client: Pair) -> Path:
    """Write a kubeconfig for a client; it names its files, and is for its owner only."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "gshare",
                "cluster": {"server": server, "certificate-authority": str(authority)},
            }
        ],
        "users": [
            {
                "name": "client",
                "user": {
                    "client-certificate": str(client.certificate),
                    "client-key": str(client.key),
                },
            }
        ],
        "contexts": [{"name": "gshare", "context": {"cluster": "gshare", "user": "client"}}],
        "current-context": "gshare",
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFE)
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _store(pair: Pair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _store_key(pair.key, key)


def _store_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
