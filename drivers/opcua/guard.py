"""asyncua's client with bounds against a server that is broken or hostile. The one place that mends asyncua.

What asyncua 2.1 leaves open on the client's side, and what is done about it here:

* Its client takes chunks of any size and messages of any number of chunks, and after the handshake even
  replaces its own limits by those of the server. Here the limits stay ours.
* It waits for the rest of a chunk of up to 4 GB, whatever its header says. Here the header is looked at.
* A few bytes can announce an array of two thousand million empty values, each of which costs no byte on the
  wire. Here the elements of one message are counted.
* It sends a password in the clear when the server asks for it so, with a line in its log. Here that must have
  been allowed.
* What a server offers before the channel is secured can be forged. Here it is compared with what the server
  says again inside the channel (OPC 10000-4, 5.6.2.2), so that nobody talks us into a weaker one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from asyncua import ua
from asyncua.client import client as client_module
from asyncua.client import ua_client, ua_session
from asyncua.client.client import Client
from asyncua.client.ua_client import UASocketProtocol
from asyncua.common.connection import TransportLimits
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.ua import ua_binary
from asyncua.ua.ua_binary import Primitives
from asyncua.ua.uaerrors._base import UaError

from drivers.opcua.trace import Teller
from drivers.trace import Tap

# asyncua logs a lost server several times, with tracebacks; the driver says it once, as DeviceLost.
for _name in ("asyncua.client", "asyncua.uaprotocol", "asyncua.common", "asyncua.ua"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

CHUNK = 65_535
"""Bytes of the largest chunk that is taken or sent."""
MESSAGE = 16 * 1024 * 1024
"""Bytes of the largest message; its pieces take at most so much while they are put together."""
CHUNKS = MESSAGE // 4096
"""Chunks of the longest message; a server's smallest have 8 KiB (OPC 10000-6, 7.1.2.3)."""
ELEMENTS = 500_000
"""Values in all arrays of one message. Decoded they take up to some 150 MB; a sensible message has a few
thousand."""


class TooMuch(UaError):
    """A message that holds more than anybody needs."""


class PlainPassword(UaError):
    """The server would have the password as plain text."""


class EndpointsDiffer(UaError):
    """What the server offers inside the channel is not what was offered on the way to it."""


# --- the elements of a message --------------------------------------------------------------------------

_left: list[int] = []
"""How many elements the message may still have that is decoded at the moment; empty outside our client."""


def _take(size: int, data: Any) -> None:
    """Allow an array of ``size`` elements, or raise."""
    if size < -1:
        raise TooMuch(f"an array of {size} elements")
    if not _left or size <= 0:
        return
    _left[0] -= size
    if _left[0] < 0:
        raise TooMuch(f"a message with more than {ELEMENTS} array elements")


def _bounded_list(uatype: Any) -> Callable[[Any], list[Any]]:
    """In place of asyncua's deserializer of a list of structures."""
    element: Callable[[Any], Any] | None = None

    def deserialize(data: Any) -> list[Any]:
        nonlocal element
        size = Primitives.Int32.unpack(data)
        _take(size, data)
        if element is None:  # late, because structures hold each other
            element = ua_binary._create_type_deserializer(uatype, type(None))  # type: ignore[arg-type]
        return [element(data) for _ in range(size)]

    return deserialize


def _bounded_array(vtype: Any) -> Callable[[Any], list[Any] | None]:
    """In place of asyncua's deserializer of the array in a Variant."""
    primitive = getattr(ua_binary.Primitives1, vtype.name, None)
    element = None if primitive is not None else ua_binary._create_uatype_deserializer(vtype)

    def deserialize(data: Any) -> list[Any] | None:
        size = Primitives.Int32.unpack(data)
        _take(size, data)
        if size == -1:
            return None
        if primitive is not None:
            return list(primitive.unpack_array(data, size))
        assert element is not None  # noqa: S101 - one of the two is there
        return [element(data) for _ in range(size)]

    return deserialize


def _counted(decode: Callable[..., Any]) -> Callable[..., Any]:
    """asyncua's ``struct_from_binary`` as its client calls it: once a message."""

    def struct_from_binary(kind: Any, data: Any) -> Any:
        _left.append(ELEMENTS)
        try:
            return decode(kind, data)
        except RecursionError:
            raise TooMuch("a message with values inside values without end") from None
        finally:
            _left.clear()

    return struct_from_binary


def _install() -> None:
    """Put the bounded deserializers in place, and forget what was built with the others."""
    cached: Any = ua_binary
    cached._create_list_deserializer = _cache(_bounded_list)
    cached._create_uatype_array_deserializer = _cache(_bounded_array)
    for name in ("_create_type_deserializer", "_create_dataclass_deserializer"):
        getattr(ua_binary, name).cache_clear()
    for module in (ua_session, ua_client):
        module.struct_from_binary = _counted(ua_binary.struct_from_binary)  # type: ignore[attr-defined]


def _cache(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    made: dict[Any, Any] = {}

    def get(kind: Any) -> Any:
        if kind not in made:
            made[kind] = make(kind)
        return made[kind]

    return get


_install()


# --- chunks and messages --------------------------------------------------------------------------------


class _OurLimits(TransportLimits):
    """Limits that a server's Acknowledge does not lift."""

    def update_client_limits(self, msg: ua.Acknowledge) -> None:
        # What the server receives is what we may send; asyncua has it the other way round.
        self.max_send_buffer = max(8192, min(msg.ReceiveBufferSize or CHUNK, CHUNK))


class _GuardedProtocol(UASocketProtocol):
    """asyncua's connection that never holds more than one chunk of the wire; tells what passes if asked."""

    teller: Teller | None = None

    def _send_request(self, request: Any, *more: Any, **named: Any) -> Any:
        future = super()._send_request(request, *more, **named)
        if self.teller is not None:
            self.teller.asked(request, self._request_id)
        return future

    def _process_received_message(self, msg: Any) -> None:
        if self.teller is not None:
            if isinstance(msg, ua.Message):
                message: Any = msg
                self.teller.answered(message.request_id(), message.body())
            elif isinstance(msg, ua.ErrorMessage):
                self.teller.said(f"Error {msg.Error.name}: {msg.Reason}", sent=False, failed=True)
            elif msg is not None:
                self.teller.said(type(msg).__name__, sent=False)
        super()._process_received_message(msg)

    async def send_hello(self, *arguments: Any, **named: Any) -> ua.Acknowledge:
        if self.teller is not None:
            self.teller.said("Hello", sent=True)
        return await super().send_hello(*arguments, **named)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        held = self.receive_buffer
        if held and len(held) >= 8 and int.from_bytes(held[4:8], "little") > CHUNK:
            self.receive_buffer = None
            self._fail_all_pending(TooMuch(f"the server announces a chunk of more than {CHUNK} bytes"))
            if self.transport is not None:
                self.transport.abort()


class GuardedClient(Client):
    """A client for one connection. :attr:`offered` is compared with what the server says in the channel.

    Args:
        address: endpoint URL.
        timeout: seconds to wait for each answer.
        probe: seconds between two reads of the server's state.
    """

    def __init__(self, address: str, timeout: float, probe: float) -> None:
        super().__init__(address, timeout=timeout, watchdog_intervall=probe)
        self.max_messagesize, self.max_chunkcount = MESSAGE, CHUNKS
        self.offered: Iterable[ua.EndpointDescription] | None = None
        """What the server offered before; None where the channel gives no proof anyway."""
        self.tap: Tap | None = None
        """Is told of every message; see :mod:`drivers.opcua.trace`."""
        self.plain_password = False
        """Whether a password may travel as plain text."""
        self.uaclient._make_protocol = self._make_protocol  # type: ignore[method-assign]

    def _make_protocol(self) -> UASocketProtocol:
        owner = self.uaclient
        limits = _OurLimits(CHUNK, CHUNK, CHUNKS, MESSAGE)
        made = _GuardedProtocol(owner._timeout, security_policy=owner.security_policy, limits=limits)
        made.pre_request_hook = owner._pre_request_hook
        made.on_connection_lost = owner._on_transport_lost
        made.is_session_closing = owner._is_session_closing
        if self.tap is not None:
            made.teller = Teller(self.tap)
        owner.protocol = made
        return made

    async def create_session(self) -> ua.CreateSessionResult:
        made = await super().create_session()
        if self.offered is not None and _facts(self.offered) != _facts(made.ServerEndpoints):
            with suppress(UaError, OSError, TimeoutError):  # the reason below is the news
                await self.uaclient.close_session(True)
            raise EndpointsDiffer(
                "the endpoints offered on the way to the server are not those it offers inside the channel: "
                "somebody between may want a weaker one"
            )
        return made

    def _add_user_auth(self, params: Any, username: str | None, password: str | None) -> None:
        policy = self.server_policy(ua.UserTokenType.UserName)
        bare = policy.SecurityPolicyUri in ("", None, SecurityPolicyNone.URI)
        encrypted = self.security_policy.Mode == ua.MessageSecurityMode.SignAndEncrypt
        if password and bare and not encrypted and not self.plain_password:
            raise PlainPassword("the server takes the password as plain text only, and the channel is open")
        super()._add_user_auth(params, username, password)


def _facts(endpoints: Iterable[ua.EndpointDescription]) -> set[tuple[Any, ...]]:
    """What a client must find the same in both lists. A server leaves its certificate out of the second (OPC
    10000-4, 5.6.2.2): the channel itself proves that."""
    return {
        (
            endpoint.SecurityMode,
            endpoint.SecurityPolicyUri,
            frozenset(
                (token.PolicyId, token.TokenType, token.SecurityPolicyUri)
                for token in endpoint.UserIdentityTokens or ()
            ),
        )
        for endpoint in endpoints
        if (endpoint.EndpointUrl or "").startswith("opc.tcp:")
    }


def first_certificate(chain: bytes | None) -> bytes | None:
    """The server's own certificate (DER) of the chain that it sends."""
    return client_module._first_cert_from_chain(bytes(chain)) if chain else None
