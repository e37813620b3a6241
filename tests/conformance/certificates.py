"""A certificate authority of one test run, and a server's certificate for localhost."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Certificates:
    """``authority`` is the file that clients must trust."""

    def __init__(self, folder: Path):
        self.authority = folder / "authority.pem"
        self._authority_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in "ab")
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Runwire's tests")])
        about_authority = self._about(name, name, self._authority_key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        authority = about_authority.sign(self._authority_key, hashes.SHA256())
        self.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        host = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        about_server = self._about(host, name, self._key).add_extension(
            x509.SubjectAlternativeName(names), critical=False
        )
        self._certificate = about_server.sign(self._authority_key, hashes.SHA256())

    def credentials(self) -> grpc.ServerCredentials:
        key = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        chain = self._certificate.public_bytes(serialization.Encoding.PEM)
        return grpc.ssl_server_credentials([(key, chain)])

    def _about(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )
