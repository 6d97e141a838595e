"""How a connection to an OPC UA server comes about, or why not. Imported only together with asyncua."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from asyncua import ua
from asyncua.crypto import security_policies
from asyncua.ua.uaerrors._base import UaError

from drivers.driver import ConnectError, unreachable
from drivers.opcua.certificate import Own, own_certificate
from drivers.opcua.endpoints import chosen, endpoints
from drivers.opcua.guard import GuardedClient, first_certificate
from drivers.opcua.options import OpcuaOptions, SecurityPolicy
from drivers.opcua.trust import (
    Certificate,
    Fault,
    Standing,
    TrustList,
    described,
    host_of,
    trust_command,
    utc_now,
)

log = logging.getLogger(__name__)

_USER = "check username and password, or the user's certificate, in the device's options"
_NEXT_STEPS = {
    "BadUserAccessDenied": _USER,
    "BadIdentityTokenRejected": _USER,
    "BadIdentityTokenInvalid": _USER,
    "BadCertificateUntrusted": "trust our certificate on the server",
    "BadSecurityChecksFailed": "trust our certificate on the server and check its clock",
    "BadCertificateUriInvalid": "give the device's options a certificate with our application's URI",
    "BadTooManySessions": "close another client: the server takes no more sessions",
    "EndpointsDiffer": "find out what stands between this edge and the server",
    "PlainPassword": "secure the channel, or say plain_password: true in the device's options",
    "TooMuch": "check the address, and that this is an OPC UA server",
}


async def connect(
    client: GuardedClient, address: str, options: OpcuaOptions, look_up: Callable[[], Awaitable[None]]
) -> None:
    """Connect and log in, then ``look_up`` what the connection needs to know of the server.

    Raises:
        ConnectError: with what to change.
    """
    files = (options.certificate, options.private_key, options.server_certificate)
    for file in (*files, options.user_certificate, options.user_private_key):
        if file is not None and not file.is_file():
            raise ConnectError(address, f"there is no file {file}", "check the device's options")
    try:
        await _identify_user(client, options)
        if options.security is not SecurityPolicy.NONE:
            await _secure(client, address, options)
        await client.connect()
        await look_up()
    except OSError as error:
        raise unreachable(address, error, options.timeout) from error
    except UaError as error:
        name = type(error).__name__
        cause = str(error) or name
        next_step = _NEXT_STEPS.get(name, "check security, certificate and user in the options")
        shown = f"{name}: {cause}" if name.startswith("Bad") and name not in cause else cause
        raise ConnectError(address, shown, next_step) from error
    except (ValueError, TypeError) as error:
        raise ConnectError(address, str(error), "check the certificate and key files") from error


async def _identify_user(client: GuardedClient, options: OpcuaOptions) -> None:
    client.plain_password = options.plain_password
    if options.username is not None:
        client.set_user(options.username)
    if options.password is not None:
        client.set_password(options.password.get_secret_value())
    if options.user_certificate is not None and options.user_private_key is not None:
        await client.load_client_certificate(str(options.user_certificate))
        await client.load_private_key(options.user_private_key)


async def _secure(client: GuardedClient, address: str, options: OpcuaOptions) -> None:
    """Find the endpoint that was asked for, and look at the server's certificate before trusting it."""
    if options.certificate is not None and options.private_key is not None:
        own = Own(options.certificate, options.private_key)
    else:
        own = await asyncio.to_thread(_made, address, options)
    offered = await endpoints(address, options.timeout)
    endpoint = chosen(address, offered, options.security, options.mode)
    der = first_certificate(endpoint.ServerCertificate)
    if der is None:
        raise ConnectError(address, "the server shows no certificate", "give the server a certificate")
    shown = Certificate.read(der)
    await asyncio.to_thread(check_trust, address, shown, endpoint.Server.ApplicationUri or "", options)
    uri = await asyncio.to_thread(own.uri)
    client.application_uri = uri or client.application_uri
    client.offered = offered
    await client.set_security(
        getattr(security_policies, f"SecurityPolicy{options.security}"),
        str(own.certificate),
        str(own.private_key),
        server_certificate=shown.der,
        mode=getattr(ua.MessageSecurityMode, options.mode),
    )


def _made(address: str, options: OpcuaOptions) -> Own:
    try:
        return own_certificate(options.pki_folder)
    except OSError as error:
        cause = f"cannot keep our certificate in {options.pki_folder}: {error.strerror or error}"
        raise ConnectError(address, cause, "set pki in the device's options to a folder of ours") from error


def check_trust(address: str, shown: Certificate, uri: str, options: OpcuaOptions) -> None:
    """Go on only with a server that is trusted and whose certificate fits.

    Another host name alone is said and no more: what is trusted is this one certificate, not its issuer.

    Raises:
        ConnectError: says fingerprint, subject and validity, and what to type to trust it.
    """
    if options.server_certificate is not None:
        pinned = Certificate.read(options.server_certificate.read_bytes())
        if pinned.fingerprint != shown.fingerprint:
            cause = (
                f"the server shows another certificate than {options.server_certificate}: {described(shown)}"
            )
            step = "find out why it changed, and put the new one there if it is right"
            raise ConnectError(address, cause, step)
    else:
        _on_the_list(address, shown, options.pki_folder)
    findings = shown.findings(utc_now(), host_of(address), uri)
    wrong = [each for each in findings if each.fault not in (Fault.HOST_NAME, *options.tolerate)]
    if wrong:
        cause = f"the server's certificate cannot be used: {'; '.join(each.text for each in wrong)}"
        words = ", ".join(each.fault for each in wrong)
        step = f"give the server a new one, or say tolerate: [{words}] in the device's options"
        raise ConnectError(address, cause, step)
    for finding in findings:
        log.warning("%s: its certificate is trusted although %s", address, finding.text)


def _on_the_list(address: str, shown: Certificate, pki: Path) -> None:
    trusted = TrustList(pki)
    if trusted.standing(shown.der) is Standing.TRUSTED:
        return
    kept = ""
    try:
        trusted.reject(shown.der)
    except OSError as error:
        kept = f" (it could not be kept in {pki}: {error.strerror or error})"
    cause = f"the server's certificate is not trusted: {described(shown)}{kept}"
    raise ConnectError(
        address, cause, f"compare the fingerprint with the server's own, then: {trust_command(address, pki)}"
    )
