"""OPC UA messages in words, for whoever looks at what passes. Imported only together with asyncua.

Requests and answers are told as they are inside the secure channel: on the wire they may be encrypted, and
several chunks. What holds a login is told without its bytes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from asyncua import ua
from asyncua.common.utils import Buffer, NotEnoughData
from asyncua.ua.object_ids import ObjectIdNames
from asyncua.ua.ua_binary import nodeid_from_binary, struct_to_binary

from drivers.trace import Tap, Traffic

_SECRET = ("ActivateSession", "CreateSession", "OpenSecureChannel")
"""Services whose messages carry passwords, tokens or nonces."""
_ENCODING = "_Encoding_DefaultBinary"
_OPEN = 1000
"""Requests of which the beginning is remembered."""
_HEADER = 16
"""Bytes of a response header up to its result (OPC 10000-4, 7.34): time, request handle, status code."""


class Teller:
    """Tells of the messages on one connection."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._open: dict[int, tuple[str, float]] = {}

    def said(self, what: str, *, sent: bool, failed: bool = False) -> None:
        """Something that is no service."""
        self._tap(Traffic(sent, what, failed=failed))

    def asked(self, request: Any, number: int) -> None:
        """A request was sent."""
        name = type(request).__name__
        if len(self._open) >= _OPEN:
            self._open.clear()
        self._open[number] = (name.removesuffix("Request"), asyncio.get_running_loop().time())
        secret = name.startswith(_SECRET)
        self._tap(Traffic(True, name, b"" if secret else bytes(struct_to_binary(request))))

    def answered(self, number: int, body: Buffer) -> None:
        """An answer came, to whatever."""
        asked, at = self._open.pop(number, ("", None))
        data = bytes(body.copy())
        name, status = _answer(data)
        failed = status is not None and not status.is_good()
        what = f"{name} to {asked}" if asked and not name.startswith(asked) else name
        if failed and status is not None:
            what += f": {status.name}"
        took = None if at is None else asyncio.get_running_loop().time() - at
        secret = name.startswith(_SECRET)
        self._tap(Traffic(False, what, b"" if secret else data, "", failed, took))


def _answer(data: bytes) -> tuple[str, ua.StatusCode | None]:
    """The service's name and its result, as far as they can be read."""
    rest = Buffer(data)
    try:
        kind = nodeid_from_binary(rest)
        header = rest.read(_HEADER)
    except (NotEnoughData, ValueError, LookupError):
        return f"{len(data)} bytes that are no answer", None
    number = kind.Identifier
    name = ObjectIdNames.get(number) if isinstance(number, int) else None
    return (name or f"type {number!r}").removesuffix(_ENCODING), ua.StatusCode(
        ua.UInt32(int.from_bytes(header[12:], "little"))
    )
