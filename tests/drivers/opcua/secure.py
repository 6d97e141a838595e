"""Secured OPC UA servers and what they need: certificates of every kind, users."""

from __future__ import annotations

import datetime
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from asyncua import ua
from asyncua.crypto.cert_gen import dump_private_key_as_pem, generate_private_key
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.internal_server import InternalServer
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from drivers.opcua.options import SecurityMode, SecurityPolicy
from drivers.opcua.profile import OpcuaProfile
from drivers.opcua.simulator import LightServer

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
SERVER_URI = "urn:test:server"

PROFILE = OpcuaProfile.model_validate(
    {
        "vendor": "Test",
        "model": "Secure",
        "protocol": "opcua",
        "tags": {"speed": {"address": "ns=2;s=Speed", "type": "float64"}},
    }
)
POLICIES: dict[tuple[SecurityPolicy, SecurityMode], Any] = {
    (policy, mode): getattr(ua.SecurityPolicyType, f"{policy}_{mode}")
    for policy in SecurityPolicy
    if policy is not SecurityPolicy.NONE
    for mode in SecurityMode
}


@cache
def _key(name: str, bits: int) -> rsa.RSAPrivateKey:
    """Made once for each name: it takes a while."""
    del name
    return rsa.generate_private_key(65537, bits) if bits != 2048 else generate_private_key()


@cache
def pair(
    name: str,
    uri: str = SERVER_URI,
    hosts: tuple[str, ...] = ("127.0.0.1",),
    begins: float = -1,
    ends: float = 30,
    bits: int = 2048,
) -> tuple[bytes, bytes]:
    """A private key (PEM) and its certificate (DER), valid from and to so many days from now."""
    key = _key(name, bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri), *map(x509.DNSName, hosts)]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .not_valid_before(NOW + begins * DAY)
        .not_valid_after(NOW + ends * DAY)
        .serial_number(x509.random_serial_number())
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    return dump_private_key_as_pem(key), made.public_bytes(Encoding.DER)


@dataclass
class Files:
    """Key and certificates of a server, and an edge's PKI folder, below one folder."""

    folder: Path

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    def write(self, name: str, key: bytes, certificate: bytes) -> tuple[Path, Path]:
        files = self.folder / f"{name}.pem", self.folder / f"{name}.der"
        files[0].write_bytes(key)
        files[1].write_bytes(certificate)
        return files

    def options(self, **more: Any) -> dict[str, Any]:
        return {"security": "Basic256Sha256", "pki": str(self.pki), "timeout": 5, **more}


class Users(UserManager):
    """``edge`` with its password, and whoever shows the certificate."""

    def __init__(self, certificate: bytes = b"") -> None:
        self.certificate = certificate

    def get_user(
        self,
        iserver: InternalServer,
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,
    ) -> User | None:
        shown = getattr(certificate, "certificate", certificate)
        if self.certificate and isinstance(shown, x509.Certificate):
            shown = shown.public_bytes(Encoding.DER)
        known = (username, password) == ("edge", "s3cret")
        if known or (self.certificate and shown == self.certificate):
            return User(role=UserRole.User)
        return None


@asynccontextmanager
async def secure_server(
    files: Files,
    policies: Sequence[Any] = (ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,),
    users: UserManager | None = None,
    identity: tuple[bytes, bytes] | None = None,
) -> AsyncIterator[tuple[str, Server]]:
    """A server with these endpoints and nothing else; yields its address and itself."""
    key, certificate = files.write("server", *(identity or pair("server")))
    server = Server(LightServer(user_manager=users))
    server.disable_clock()
    await server.init()
    await server.set_application_uri(SERVER_URI)
    server.set_endpoint("opc.tcp://127.0.0.1:0")
    server.set_security_policy(list(policies))
    if users is not None:
        server.set_identity_tokens([ua.UserNameIdentityToken, ua.X509IdentityToken])
    await server.load_certificate(str(certificate))
    await server.load_private_key(str(key))
    number = await server.register_namespace("urn:test:data")
    assert number == 2
    await server.nodes.objects.add_variable(ua.NodeId("Speed", number), "Speed", 1.5)  # type: ignore[arg-type]
    async with server:
        assert server.bserver is not None
        yield f"opc.tcp://127.0.0.1:{server.bserver.port}", server


def this_host() -> str:
    return socket.gethostname()
