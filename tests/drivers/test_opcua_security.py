"""Secured OPC UA: the server's certificate is pinned, and nothing falls back to plain text."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.crypto.cert_gen import dump_private_key_as_pem, generate_private_key
from asyncua.crypto.cert_gen import generate_self_signed_app_certificate as self_signed
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.internal_server import InternalServer
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from drivers.driver import ConnectError, Driver
from drivers.opcua import OPCUA
from drivers.opcua_options import SecurityPolicy
from drivers.opcua_profile import OpcuaProfile
from drivers.opcua_simulator import LightServer

PROFILE = OpcuaProfile.model_validate(
    {
        "vendor": "Test",
        "model": "Secure",
        "protocol": "opcua",
        "tags": {"speed": {"address": "ns=2;s=Speed", "type": "float64"}},
    }
)
POLICIES = {
    SecurityPolicy.BASIC256SHA256: ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    SecurityPolicy.AES128_SHA256_RSAOAEP: ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    SecurityPolicy.AES256_SHA256_RSAPSS: ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
}


@cache
def key_pair(uri: str, use: Any) -> tuple[bytes, bytes]:
    """A private key (PEM) and its certificate (DER); made once, it takes a while."""
    key = generate_private_key()
    names = {"commonName": "onelot test"}
    places = [x509.DNSName(socket.gethostname()), x509.UniformResourceIdentifier(uri)]
    certificate = self_signed(key, uri, names, places, extended=[use])
    return dump_private_key_as_pem(key), certificate.public_bytes(Encoding.DER)


class Files:
    """Key and certificates of both sides in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, use in (
            ("server", ExtendedKeyUsageOID.SERVER_AUTH),
            ("client", ExtendedKeyUsageOID.CLIENT_AUTH),
            ("stranger", ExtendedKeyUsageOID.SERVER_AUTH),
        ):
            key, certificate = key_pair(f"urn:test:{name}", use)
            (folder / f"{name}.pem").write_bytes(key)
            (folder / f"{name}.der").write_bytes(certificate)

    def options(self, **more: Any) -> dict[str, Any]:
        return {
            "security": "Basic256Sha256",
            "certificate": str(self.folder / "client.der"),
            "private_key": str(self.folder / "client.pem"),
            "server_certificate": str(self.folder / "server.der"),
            "timeout": 5,
            **more,
        }


class OneUser(UserManager):
    def get_user(
        self,
        iserver: InternalServer,
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,
    ) -> User | None:
        return User(role=UserRole.User) if (username, password) == ("edge", "s3cret") else None


@asynccontextmanager
async def secure_server(
    files: Files, policy: SecurityPolicy = SecurityPolicy.BASIC256SHA256, users: UserManager | None = None
) -> AsyncIterator[str]:
    """A server with one secured endpoint and nothing else; yields its address."""
    server = Server(LightServer(user_manager=users))
    server.disable_clock()
    await server.init()
    await server.set_application_uri("urn:test:server")
    server.set_endpoint("opc.tcp://127.0.0.1:0")
    server.set_security_policy([POLICIES[policy]])
    await server.load_certificate(str(files.folder / "server.der"))
    await server.load_private_key(str(files.folder / "server.pem"))
    number = await server.register_namespace("urn:test:data")
    assert number == 2
    await server.nodes.objects.add_variable(ua.NodeId("Speed", number), "Speed", 1.5)  # type: ignore[arg-type]
    async with server:
        assert server.bserver is not None
        yield f"opc.tcp://127.0.0.1:{server.bserver.port}"


def driver(address: str, options: dict[str, Any]) -> Driver[Any]:
    return OPCUA.create(address, PROFILE, options)


@pytest.mark.parametrize("policy", list(POLICIES))
async def test_every_policy_reads_a_value(tmp_path: Path, policy: SecurityPolicy) -> None:
    files = Files(tmp_path)
    options = files.options(security=str(policy))
    async with secure_server(files, policy) as address, driver(address, options) as reader:
        assert [r.value for r in await reader.read(["speed"])] == [1.5]


async def test_a_server_with_another_certificate_is_not_talked_to(tmp_path: Path) -> None:
    files = Files(tmp_path)
    options = files.options(server_certificate=str(tmp_path / "stranger.der"), timeout=2)
    async with secure_server(files) as address:
        with pytest.raises(ConnectError):
            async with driver(address, options):
                pass


async def test_plain_text_is_no_fall_back(tmp_path: Path) -> None:
    files = Files(tmp_path)
    async with secure_server(files) as address:
        with pytest.raises(ConnectError):
            async with driver(address, {"security": "none", "timeout": 2}):
                pass


async def test_a_user_logs_in_and_a_wrong_password_says_what_to_check(tmp_path: Path) -> None:
    files = Files(tmp_path)
    async with secure_server(files, users=OneUser()) as address:
        async with driver(address, files.options(username="edge", password="s3cret")) as reader:
            assert [r.value for r in await reader.read(["speed"])] == [1.5]
        with pytest.raises(ConnectError, match="check username and password") as caught:
            async with driver(address, files.options(username="edge", password="wr0ng")):
                pass
        assert "wr0ng" not in str(caught.value)


async def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    options = Files(tmp_path).options(private_key=str(tmp_path / "gone.pem"))
    with pytest.raises(ConnectError, match=r"there is no file .*gone\.pem"):
        async with driver("opc.tcp://127.0.0.1:9", options):
            pass
