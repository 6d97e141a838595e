"""Which OPC UA servers an edge trusts: a folder of certificates, as OPC UA applications have it.

* ``trusted/`` holds the certificates (DER) of servers that a person has looked at and accepted;
* ``rejected/`` those that were met and are not trusted, so that they can be looked at;
* ``own/`` our own certificate and its key, see :mod:`drivers.opcua.certificate`.

A certificate is trusted when it is in ``trusted/``, byte for byte. Who issued it does not matter: an issuer
could only be trusted together with its revocation lists. Knows nothing of asyncua.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding

MAX_REJECTED = 50
"""Certificates kept in ``rejected/``; the oldest go."""
MAX_CERTIFICATE = 16_384
"""Bytes of the largest certificate that is looked at."""
MIN_KEY_BITS = 2048
"""Of RSA keys, as all three policies ask for (OPC 10000-7)."""


class Standing(StrEnum):
    """What a certificate is to us."""

    TRUSTED = "trusted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a person looks at before trusting a server.

    ``fingerprint`` is SHA-256, ``thumbprint`` SHA-1 as many PLCs show it; both in hex without colons.
    """

    fingerprint: str
    thumbprint: str
    subject: str
    issuer: str
    begins: datetime
    ends: datetime
    uris: tuple[str, ...]
    hosts: tuple[str, ...]
    """Host names and addresses that it is for."""
    key_bits: int
    """0 when it is no RSA key."""
    der: bytes

    @classmethod
    def read(cls, data: bytes) -> Certificate:
        """Of DER or PEM.

        Raises:
            ValueError: it is none.
        """
        if len(data) > MAX_CERTIFICATE:
            raise ValueError(f"is no certificate: {len(data)} bytes, the largest have {MAX_CERTIFICATE}")
        try:
            pem = data.lstrip().startswith(b"-----")
            made = x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
            names = _alternative_names(made)
            key = made.public_key()
            return cls(
                made.fingerprint(hashes.SHA256()).hex().upper(),
                made.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303 - to compare by eye, not to prove
                made.subject.rfc4514_string(),
                made.issuer.rfc4514_string(),
                made.not_valid_before_utc,
                made.not_valid_after_utc,
                tuple(names.get_values_for_type(x509.UniformResourceIdentifier)) if names else (),
                _hosts(names),
                key.key_size if isinstance(key, RSAPublicKey) else 0,
                made.public_bytes(Encoding.DER),
            )
        except ValueError as error:
            raise ValueError(f"is no certificate: {error}") from None

    @property
    def name(self) -> str:
        """Its common name, or all of its subject."""
        found = re.search(r"(?:^|,)CN=([^,]+)", self.subject)
        return found[1] if found else self.subject or self.fingerprint[:16]

    def findings(self, now: datetime, host: str = "", uri: str = "") -> list[Finding]:
        """What is wrong with it for a server at ``host`` that says it is the application ``uri``."""
        return list(_findings(self, now, host, uri))


class Fault(StrEnum):
    """What can be wrong with a certificate."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    WEAK_KEY = "weak_key"
    URI = "uri"
    HOST_NAME = "host_name"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a certificate, in words."""

    fault: Fault
    text: str


def _findings(shown: Certificate, now: datetime, host: str, uri: str) -> Iterator[Finding]:
    if shown.ends < now:
        yield Finding(Fault.EXPIRED, f"it expired on {shown.ends:%Y-%m-%d}")
    if shown.begins > now:
        text = f"it is valid only from {shown.begins:%Y-%m-%d %H:%M} UTC on (is the clock here right?)"
        yield Finding(Fault.NOT_YET_VALID, text)
    if shown.key_bits < MIN_KEY_BITS:
        key = f"{shown.key_bits}-bit RSA key" if shown.key_bits else "key that is not RSA"
        yield Finding(Fault.WEAK_KEY, f"it has a {key}; {MIN_KEY_BITS} bits are the least")
    if uri and uri not in shown.uris:
        said = ", ".join(shown.uris) or "none"
        yield Finding(Fault.URI, f'it is for the application {said}, the server says it is "{uri}"')
    if host and shown.hosts and host.lower() not in {each.lower() for each in shown.hosts}:
        yield Finding(Fault.HOST_NAME, f"it is for {', '.join(shown.hosts)}, not for {host}")


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def _hosts(names: x509.SubjectAlternativeName | None) -> tuple[str, ...]:
    if names is None:
        return ()
    addresses = [str(each) for each in names.get_values_for_type(x509.IPAddress)]
    return (*names.get_values_for_type(x509.DNSName), *addresses)


class TrustList:
    """The certificates in a folder. Reads and writes files, so not on an event loop.

    Args:
        folder: the PKI folder; made when something is put into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def standing(self, der: bytes) -> Standing:
        """What a server's certificate is to us."""
        fingerprint = Certificate.read(der).fingerprint
        return next((s for s, _, c in self._entries() if c.fingerprint == fingerprint), Standing.UNKNOWN)

    def list(self) -> list[tuple[Standing, Certificate]]:
        """All of them, the trusted first."""
        return [(standing, certificate) for standing, _, certificate in self._entries()]

    def add(self, der: bytes) -> Certificate:
        """Trust a certificate from now on. A person has looked at its fingerprint before."""
        certificate = Certificate.read(der)
        self._drop(certificate, Standing.REJECTED)
        self._put(certificate, Standing.TRUSTED)
        return certificate

    def reject(self, der: bytes) -> Certificate:
        """Keep a certificate that is not trusted, to be looked at."""
        certificate = Certificate.read(der)
        self._put(certificate, Standing.REJECTED)
        folder = self.folder / Standing.REJECTED
        oldest = sorted(folder.glob("*.der"), key=lambda file: file.stat().st_mtime)
        for file in oldest[:-MAX_REJECTED]:
            file.unlink(missing_ok=True)
        return certificate

    def remove(self, which: str) -> Certificate:
        """Trust a certificate no more, named by its fingerprint, thumbprint, or at least 8 digits of one.

        Raises:
            KeyError: none, or more than one, is trusted that begins so.
        """
        wanted = which.replace(":", "").replace(" ", "").upper()
        trusted = [each for standing, each in self.list() if standing is Standing.TRUSTED]
        found = [c for c in trusted if c.fingerprint.startswith(wanted) or c.thumbprint.startswith(wanted)]
        if len(wanted) < 8 or len(found) != 1:
            how = "is too short" if len(wanted) < 8 else f"names {len(found)} trusted certificates"
            known = ", ".join(f"{each.fingerprint[:16]} ({each.name})" for each in trusted) or "none"
            raise KeyError(f'"{which}" {how} — trusted are {known}')
        self._drop(found[0], Standing.TRUSTED)
        return found[0]

    def _entries(self) -> Iterator[tuple[Standing, Path, Certificate]]:
        for standing in (Standing.TRUSTED, Standing.REJECTED):
            for file in sorted((self.folder / standing).glob("*")):
                if file.suffix.lower() not in (".der", ".pem", ".crt", ".cer"):
                    continue
                with contextlib.suppress(ValueError, OSError):  # what is no certificate trusts nobody
                    yield standing, file, Certificate.read(file.read_bytes())

    def _put(self, certificate: Certificate, standing: Standing) -> None:
        folder = self.folder / standing
        folder.mkdir(parents=True, exist_ok=True)
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", certificate.name)[:60].strip("._") or "server"
        file = folder / f"{plain}-{certificate.fingerprint[:16]}.der"
        new = folder / f".{secrets.token_hex(8)}"
        new.write_bytes(certificate.der)
        os.replace(new, file)

    def _drop(self, certificate: Certificate, standing: Standing) -> None:
        for where, file, each in list(self._entries()):
            if where is standing and each.fingerprint == certificate.fingerprint:
                file.unlink(missing_ok=True)


def trust_command(address: str, folder: Path) -> str:
    """What a person types who wants to trust the server at an address."""
    return f"onelot driver trust add {shlex.quote(address)} --pki {shlex.quote(str(folder))}"


def described(certificate: Certificate) -> str:
    """A certificate in one line."""
    return (
        f'"{certificate.name}", valid {certificate.begins:%Y-%m-%d} to {certificate.ends:%Y-%m-%d}, '
        f"SHA-256 {_groups(certificate.fingerprint)}, SHA-1 {certificate.thumbprint}"
    )


def _groups(fingerprint: str) -> str:
    return ":".join(fingerprint[i : i + 2] for i in range(0, len(fingerprint), 2))


def host_of(address: str) -> str:
    """The host of an address."""
    return urlsplit(address).hostname or ""


def utc_now() -> datetime:
    """The time that certificates are compared with."""
    return datetime.now(UTC)
