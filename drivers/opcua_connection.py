"""How a connection to an OPC UA server comes about, or why not. Imported only together with asyncua."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import security_policies
from asyncua.ua.uaerrors._base import UaError
from cryptography import x509

from drivers.driver import ConnectError, unreachable
from drivers.opcua_options import OpcuaOptions, SecurityPolicy

_NEXT_STEPS = {
    "BadUserAccessDenied": "check username and password in the device's options",
    "BadIdentityTokenRejected": "check username and password in the device's options",
    "BadIdentityTokenInvalid": "check username and password in the device's options",
    "BadCertificateUntrusted": "trust our certificate on the server",
    "BadSecurityChecksFailed": "trust our certificate on the server and check its clock",
    "BadTooManySessions": "close another client: the server takes no more sessions",
}


async def connect(
    client: Client, address: str, options: OpcuaOptions, look_up: Callable[[], Awaitable[None]]
) -> None:
    """Connect and log in, then ``look_up`` what the connection needs to know of the server.

    Raises:
        ConnectError: with what to change.
    """
    if options.username is not None:
        client.set_user(options.username)
    if options.password is not None:
        client.set_password(options.password.get_secret_value())
    for file in (options.certificate, options.private_key, options.server_certificate):
        if file is not None and not file.is_file():
            raise ConnectError(address, f"there is no file {file}", "check the device's options")
    try:
        if options.security is not SecurityPolicy.NONE:
            client.application_uri = application_uri(options) or client.application_uri
            await client.set_security(
                getattr(security_policies, f"SecurityPolicy{options.security}"),
                str(options.certificate),
                str(options.private_key),
                server_certificate=str(options.server_certificate),
                mode=getattr(ua.MessageSecurityMode, options.mode),
            )
        await client.connect()
        await look_up()
    except OSError as error:
        raise unreachable(address, error, options.timeout) from error
    except UaError as error:
        name = type(error).__name__
        cause = str(error) or name
        next_step = _NEXT_STEPS.get(name, "check security, certificate and user in the options")
        raise ConnectError(address, f"{name}: {cause}" if name not in cause else cause, next_step) from error
    except ValueError as error:
        raise ConnectError(address, str(error), "check the certificate and key files") from error


def application_uri(options: OpcuaOptions) -> str | None:
    """The URI in our certificate: servers compare it with the one a client says it has."""
    if options.certificate is None:
        return None
    data = options.certificate.read_bytes()
    pem = data.lstrip().startswith(b"-----")
    certificate = x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return uris[0] if uris else None
