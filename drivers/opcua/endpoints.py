"""What a server offers before anybody logs in: endpoints with policies, certificates, ways to log in."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import ua
from asyncua.crypto import security_policies
from asyncua.ua.uaerrors._base import UaError

from drivers.driver import ConnectError, unreachable
from drivers.opcua.guard import GuardedClient, first_certificate
from drivers.opcua.options import SecurityMode, SecurityPolicy
from drivers.opcua.trust import Certificate

_USERS = {
    ua.UserTokenType.Anonymous: "anonymous",
    ua.UserTokenType.UserName: "user name",
    ua.UserTokenType.Certificate: "certificate",
    ua.UserTokenType.IssuedToken: "issued token",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """One endpoint of a server. Nothing in it is proved: it came over an open channel."""

    url: str
    policy: str
    """Its last word, e.g. ``Basic256Sha256``; what ``security`` takes where we speak it."""
    mode: str
    """``None``, ``Sign`` or ``SignAndEncrypt``."""
    certificate: Certificate | None
    application: str
    """Name of the server."""
    uri: str
    """URI of the server's application."""
    users: tuple[str, ...]
    """How one may log in."""
    level: int
    """The server's own opinion of how safe it is: more is better."""

    @property
    def spoken(self) -> bool:
        """Whether we speak its policy."""
        return self.policy.lower() == "none" or _short(self.policy) in _POLICIES


def _short(policy: str) -> str:
    return policy.replace("_", "")


_POLICIES = {str(policy): policy for policy in SecurityPolicy if policy is not SecurityPolicy.NONE}


async def endpoints(address: str, timeout: float) -> list[ua.EndpointDescription]:
    """Ask a server for its endpoints, over an open channel and without a session.

    Raises:
        ConnectError: it does not answer, or not as an OPC UA server does.
    """
    client = GuardedClient(address, timeout, timeout)
    try:
        await client.connect_sessionless()
        found = await client.get_endpoints()
    except OSError as error:
        raise unreachable(address, error, timeout) from error
    except UaError as error:
        cause = f"it does not tell its endpoints: {error}"
        raise ConnectError(address, cause, "check the address, and that this is an OPC UA server") from error
    finally:
        # The answer is here, or the reason why not; how the channel ends is no news.
        with contextlib.suppress(OSError, UaError, TimeoutError):
            await client.disconnect_sessionless()
        client.disconnect_socket()
    return [each for each in found if (each.EndpointUrl or "").startswith("opc.tcp:")]


async def offers(address: str, timeout: float = 4.0) -> list[Offer]:
    """The endpoints of a server in our words, for whoever wants to look at them.

    Raises:
        ConnectError: it does not answer, or not as an OPC UA server does.
    """
    return [offer_of(each) for each in await endpoints(address, timeout)]


def offer_of(endpoint: ua.EndpointDescription) -> Offer:
    """One endpoint in our words."""
    der = first_certificate(endpoint.ServerCertificate)
    certificate = None
    with contextlib.suppress(ValueError):  # what is no certificate is shown as none
        certificate = Certificate.read(der) if der else None
    mode = ua.MessageSecurityMode(endpoint.SecurityMode)
    tokens = dict.fromkeys(_USERS.get(t.TokenType, "?") for t in endpoint.UserIdentityTokens or ())
    return Offer(
        endpoint.EndpointUrl or "",
        (endpoint.SecurityPolicyUri or "").rpartition("#")[2],
        mode.name.rstrip("_"),
        certificate,
        endpoint.Server.ApplicationName.Text or "",
        endpoint.Server.ApplicationUri or "",
        tuple(tokens),
        int(endpoint.SecurityLevel or 0),
    )


def chosen(
    address: str,
    offered: Sequence[ua.EndpointDescription],
    security: SecurityPolicy,
    mode: SecurityMode,
) -> ua.EndpointDescription:
    """The endpoint with the policy and mode that were asked for, never another one.

    Raises:
        ConnectError: the server has none; says which it has.
    """
    uri = getattr(security_policies, f"SecurityPolicy{security}").URI
    wanted = getattr(ua.MessageSecurityMode, mode)
    for endpoint in offered:
        if endpoint.SecurityPolicyUri == uri and endpoint.SecurityMode == wanted:
            return endpoint
    has = dict.fromkeys(
        "none" if each.mode == "None" else f"{_short(each.policy)} {each.mode}"
        for each in map(offer_of, offered)
    )
    cause = f"the server offers no {security} {mode}; it offers {', '.join(has) or 'nothing'}"
    raise ConnectError(address, cause, "set security and mode in the device's options to one it offers")
