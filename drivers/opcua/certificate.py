"""Our own application certificate: made at the first start, unless one is given.

OPC 10000-6, 6.2.2: an RSA key, and the URI of the application among the certificate's names. It is
self-signed; each server has to be told to trust it, once.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from asyncua.crypto.cert_gen import dump_private_key_as_pem, generate_private_key
from asyncua.crypto.cert_gen import generate_self_signed_app_certificate as self_signed
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from drivers.opcua.trust import Certificate

DAYS = 3650
"""How long ours is valid: a new one means a visit to every server."""


@dataclass(frozen=True, slots=True)
class Own:
    """Our certificate and its key, as files."""

    certificate: Path
    private_key: Path

    def uri(self) -> str | None:
        """The URI in the certificate: servers compare it with the one a client says it has.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is no certificate.
        """
        uris = Certificate.read(self.certificate.read_bytes()).uris
        return uris[0] if uris else None


def own_certificate(folder: Path) -> Own:
    """The certificate in the PKI folder, made if there is none. Takes a while then; not on an event loop.

    Raises:
        OSError: the folder cannot be written.
    """
    home = folder / "own"
    own = Own(home / "certificate.der", home / "key.pem")
    if own.certificate.is_file() and own.private_key.is_file():
        return own
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".own-{secrets.token_hex(8)}"
    fresh.mkdir(mode=0o700)
    try:
        _make(fresh)
        # A folder takes its name at once or not at all: of two that start together one wins, as a pair.
        os.rename(fresh, home)
    except OSError:
        if not (own.certificate.is_file() and own.private_key.is_file()):
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return own


def _make(folder: Path) -> None:
    host = re.sub(r"[^A-Za-z0-9.-]+", "-", socket.gethostname()) or "localhost"
    key = generate_private_key()
    names: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier(f"urn:{host}:onelot:edge"),
        x509.DNSName(host),
    ]
    certificate = self_signed(
        key, "OneLot edge", {"organizationName": "OneLot"}, names, [ExtendedKeyUsageOID.CLIENT_AUTH], DAYS
    )
    handle = os.open(folder / "key.pem", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(dump_private_key_as_pem(key))
    (folder / "certificate.der").write_bytes(certificate.public_bytes(Encoding.DER))
