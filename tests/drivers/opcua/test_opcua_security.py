"""Secured OPC UA: every policy, who is trusted and who is not, and that nothing falls back to plain text."""

from __future__ import annotations

import asyncio
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from drivers.driver import ConnectError, Driver
from drivers.opcua.certificate import own_certificate
from drivers.opcua.driver import OPCUA
from drivers.opcua.endpoints import offers
from drivers.opcua.options import SecurityMode, SecurityPolicy
from drivers.opcua.trust import Certificate, Standing, TrustList
from tests.drivers.opcua.secure import POLICIES, PROFILE, SERVER_URI, Files, Users, pair, secure_server

SECURE = ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt


def driver(address: str, options: dict[str, Any]) -> Driver[Any]:
    return OPCUA.create(address, PROFILE, options)


def trusting(files: Files, identity: tuple[bytes, bytes] | None = None) -> Files:
    TrustList(files.pki).add((identity or pair("server"))[1])
    return files


async def refusal(address: str, options: dict[str, Any]) -> ConnectError:
    with pytest.raises(ConnectError) as caught:
        async with driver(address, options):
            pass
    return caught.value


@pytest.mark.parametrize(("policy", "mode"), list(POLICIES))
async def test_every_policy_and_mode_reads_a_value(
    tmp_path: Path, policy: SecurityPolicy, mode: SecurityMode
) -> None:
    files = trusting(Files(tmp_path))
    options = files.options(security=str(policy), mode=str(mode))
    async with (
        secure_server(files, [POLICIES[policy, mode]]) as (address, _),
        driver(address, options) as reader,
    ):
        assert [r.value for r in await reader.read(["speed"])] == [1.5]


async def test_a_server_that_nobody_trusted_is_refused_with_what_to_look_at_and_what_to_type(
    tmp_path: Path,
) -> None:
    files = Files(tmp_path)
    shown = Certificate.read(pair("server")[1])
    async with secure_server(files) as (address, server):
        error = await refusal(address, files.options())
        assert ":".join(shown.fingerprint[i : i + 2] for i in range(0, 64, 2)) in str(error)
        assert shown.thumbprint in str(error)
        assert '"server", valid 20' in str(error)
        assert error.next_step.endswith(f"onelot driver trust add {address} --pki {files.pki}")
        assert not server.iserver._external_sessions, "nothing was opened on it"
        assert TrustList(files.pki).standing(shown.der) is Standing.REJECTED

        TrustList(files.pki).add(shown.der)
        async with driver(address, files.options()) as reader:
            assert [r.value for r in await reader.read(["speed"])] == [1.5]
        TrustList(files.pki).remove(shown.fingerprint[:12].lower())
        await refusal(address, files.options())


@pytest.mark.parametrize(
    ("wrong", "word", "text"),
    [
        ({"begins": -9, "ends": -2}, "expired", "it expired on 20"),
        ({"begins": 2, "ends": 9}, "not_yet_valid", "it is valid only from 20"),
        ({"uri": "urn:somebody:else"}, "uri", "the server says it is"),
    ],
)
async def test_a_certificate_that_does_not_fit_is_refused_unless_that_is_tolerated(
    tmp_path: Path, wrong: dict[str, Any], word: str, text: str
) -> None:
    identity = pair("server", **wrong)
    files = trusting(Files(tmp_path), identity)
    async with secure_server(files, identity=identity) as (address, _):
        error = await refusal(address, files.options())
        assert text in error.cause
        assert f"tolerate: [{word}]" in error.next_step
        async with driver(address, files.options(tolerate=[word])) as reader:
            assert [r.value for r in await reader.read(["speed"])] == [1.5]


async def test_another_host_name_is_said_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    identity = pair("server", hosts=("plc-7",))
    files = trusting(Files(tmp_path), identity)
    async with secure_server(files, identity=identity) as (address, _), driver(address, files.options()):
        assert "it is for plc-7, not for 127.0.0.1" in caplog.text


async def test_a_pinned_certificate_is_the_only_one_that_counts(tmp_path: Path) -> None:
    files = Files(tmp_path)
    _, pinned = files.write("pinned", *pair("server"))
    _, stranger = files.write("stranger", *pair("stranger"))
    async with secure_server(files) as (address, _):
        async with driver(address, files.options(server_certificate=str(pinned))) as reader:
            assert [r.value for r in await reader.read(["speed"])] == [1.5]
        trusting(files)
        error = await refusal(address, files.options(server_certificate=str(stranger)))
        assert "another certificate than" in error.cause


async def test_nothing_falls_back_to_what_was_not_asked_for(tmp_path: Path) -> None:
    files = trusting(Files(tmp_path))
    async with secure_server(files) as (address, _):
        with pytest.raises(ConnectError):
            async with driver(address, {"security": "none", "timeout": 2}):
                pass
        error = await refusal(address, files.options(security="Aes256Sha256RsaPss"))
        assert "offers no Aes256Sha256RsaPss SignAndEncrypt; it offers Basic256Sha256 Sign" in error.cause
        await refusal(address, files.options(mode="Sign"))


async def test_somebody_between_who_hides_the_better_endpoints_is_noticed(tmp_path: Path) -> None:
    files = trusting(Files(tmp_path))
    both = [SECURE, ua.SecurityPolicyType.Basic256Sha256_Sign]
    async with secure_server(files, both) as (address, server):
        inner = server.iserver.get_endpoints
        calls = 0

        async def get_endpoints(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            found = await inner(*arguments, **named)
            open_channel = calls == 1  # the first is asked on the way, the second inside the channel
            return [e for e in found if e.SecurityMode.name == "Sign"] if open_channel else found

        server.iserver.get_endpoints = get_endpoints  # type: ignore[method-assign]
        error = await refusal(address, files.options(mode="Sign"))
        assert "somebody between" in error.cause
        calls = 1
        async with driver(address, files.options(mode="Sign")) as reader:
            assert [r.value for r in await reader.read(["speed"])] == [1.5]


async def test_a_user_logs_in_and_a_wrong_password_says_what_to_check(tmp_path: Path) -> None:
    files = trusting(Files(tmp_path))
    async with secure_server(files, users=Users()) as (address, _):
        async with driver(address, files.options(username="edge", password="s3cret")) as reader:
            assert [r.value for r in await reader.read(["speed"])] == [1.5]
        error = await refusal(address, files.options(username="edge", password="wr0ng"))
        assert "check username and password" in error.next_step
        assert "wr0ng" not in str(error)


async def test_a_user_logs_in_with_a_certificate(tmp_path: Path) -> None:
    files = trusting(Files(tmp_path))
    key, certificate = files.write("user", *pair("user", "urn:test:user"))
    user = {"user_certificate": str(certificate), "user_private_key": str(key)}
    async with secure_server(files, users=Users(pair("user", "urn:test:user")[1])) as (address, _):
        async with driver(address, files.options(**user)) as reader:
            assert [r.value for r in await reader.read(["speed"])] == [1.5]
        key, certificate = files.write("nobody", *pair("nobody", "urn:test:user"))
        user = {"user_certificate": str(certificate), "user_private_key": str(key)}
        assert "user" in (await refusal(address, files.options(**user))).next_step


async def test_a_password_is_not_sent_as_plain_text_unless_that_was_said(tmp_path: Path) -> None:
    bare = [ua.SecurityPolicyType.NoSecurity]
    login = {"security": "none", "username": "edge", "password": "s3cret", "timeout": 5}
    async with secure_server(Files(tmp_path), bare, Users()) as (address, server):
        for endpoint in server.iserver.endpoints:
            for token in endpoint.UserIdentityTokens:
                token.SecurityPolicyUri = "http://opcfoundation.org/UA/SecurityPolicy#None"
        error = await refusal(address, login)
        assert "plain_password: true" in error.next_step
        async with driver(address, login | {"plain_password": True}) as reader:
            assert [r.value for r in await reader.read(["speed"])] == [1.5]


async def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    files = Files(tmp_path)
    _, certificate = files.write("client", *pair("client"))
    options = files.options(certificate=str(certificate), private_key=str(tmp_path / "gone.pem"))
    error = await refusal("opc.tcp://127.0.0.1:9", options)
    assert error.cause.startswith("there is no file ")
    assert error.cause.endswith("gone.pem")


async def test_what_a_server_offers_is_told_without_trusting_it(tmp_path: Path) -> None:
    files = Files(tmp_path)
    everything = [ua.SecurityPolicyType.NoSecurity, *POLICIES.values()]
    async with secure_server(files, everything, Users()) as (address, _):
        found = await offers(address, 5)
    assert {(o.policy.replace("_", ""), o.mode) for o in found} == {
        ("None", "None"),
        *((str(policy), str(mode)) for policy, mode in POLICIES),
    }
    assert all(offer.spoken for offer in found)
    best = max(found, key=lambda offer: offer.level)
    assert best.certificate is not None
    assert best.certificate.der == pair("server")[1]
    assert (best.uri, best.users) == (SERVER_URI, ("certificate", "user name"))


# --- our own certificate --------------------------------------------------------------------------------


def test_our_certificate_is_made_once_and_its_key_is_ours_alone(tmp_path: Path) -> None:
    own = own_certificate(tmp_path / "pki")
    shown = Certificate.read(own.certificate.read_bytes())
    assert shown.key_bits >= 2048
    assert own.uri() in shown.uris
    assert str(own.uri()).endswith(":onelot:edge")
    key = load_pem_private_key(own.private_key.read_bytes(), None)
    assert getattr(key, "key_size", 0) == shown.key_bits
    if sys.platform != "win32":
        assert stat.S_IMODE(own.private_key.stat().st_mode) == 0o600
    assert own_certificate(tmp_path / "pki").certificate.read_bytes() == shown.der
    assert [file.name for file in (tmp_path / "pki").iterdir()] == ["own"]


async def test_two_that_start_together_have_one_certificate(tmp_path: Path) -> None:
    made = await asyncio.gather(*(asyncio.to_thread(own_certificate, tmp_path) for _ in range(3)))
    assert len({own.certificate.read_bytes() for own in made}) == 1


async def test_a_folder_that_cannot_be_written_is_a_connect_error(tmp_path: Path) -> None:
    (tmp_path / "pki").write_text("a file is in the way")
    error = await refusal("opc.tcp://127.0.0.1:9", Files(tmp_path).options())
    assert "cannot keep our certificate in" in error.cause


# --- the trust list -------------------------------------------------------------------------------------


def test_the_trust_list_shows_what_was_put_into_its_folder_by_hand(tmp_path: Path) -> None:
    trusted = TrustList(tmp_path)
    assert trusted.list() == []
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted/by-hand.der").write_bytes(pair("server")[1])
    (tmp_path / "trusted/broken.der").write_bytes(b"no certificate")
    assert [(s, c.name) for s, c in trusted.list()] == [(Standing.TRUSTED, "server")]
    assert trusted.standing(pair("stranger")[1]) is Standing.UNKNOWN


def test_trusting_what_was_rejected_takes_it_from_there(tmp_path: Path) -> None:
    trusted = TrustList(tmp_path)
    trusted.reject(pair("server")[1])
    trusted.add(pair("server")[1])
    assert [s for s, _ in trusted.list()] == [Standing.TRUSTED]


def test_removing_names_what_there_is_when_it_is_not_clear(tmp_path: Path) -> None:
    trusted = TrustList(tmp_path)
    shown = trusted.add(pair("server")[1])
    with pytest.raises(KeyError, match=shown.fingerprint[:16]):
        trusted.remove("0000000000")
    with pytest.raises(KeyError, match="too short"):
        trusted.remove(shown.fingerprint[:4])
    assert trusted.remove(shown.thumbprint) == shown
    assert trusted.list() == []


def test_rejected_certificates_do_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.opcua.trust.MAX_REJECTED", 2)
    for name in ("a", "b", "c"):
        TrustList(tmp_path).reject(pair("server", uri=f"urn:{name}")[1])
    assert len(TrustList(tmp_path).list()) == 2


@pytest.mark.parametrize("data", [b"", b"\x30\x82", b"-----BEGIN CERTIFICATE-----\n", b"x" * 20_000])
def test_what_is_no_certificate_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="is no certificate"):
        Certificate.read(data)
