"""Topics of Sparkplug 3.0 (chapter 4.1): namespace, group, kind of message, edge node, device."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import NamedTuple

NAMESPACE = "spBv1.0"
MAX_STATE = 4096
"""Bytes of the largest STATE payload that is read."""


class Kind(StrEnum):
    """Kinds of messages. N: of an edge node, D: of a device behind it."""

    NBIRTH = "NBIRTH"
    NDEATH = "NDEATH"
    NDATA = "NDATA"
    NCMD = "NCMD"
    DBIRTH = "DBIRTH"
    DDEATH = "DDEATH"
    DDATA = "DDATA"
    DCMD = "DCMD"


_KINDS = {kind.value: kind for kind in Kind}
_FORBIDDEN = frozenset("+/#")


class Topic(NamedTuple):
    """``device`` is empty for the messages of the node itself."""

    group: str
    kind: Kind
    node: str
    device: str = ""

    def __str__(self) -> str:
        tail = f"/{self.device}" if self.device else ""
        return f"{NAMESPACE}/{self.group}/{self.kind}/{self.node}{tail}"


def checked_id(text: str) -> str:
    """Return a group, node or device id that may stand in a topic; raises ValueError otherwise."""
    if not text or _FORBIDDEN & set(text):
        raise ValueError(f'Sparkplug id "{text}" must not be empty nor contain + / #: choose another')
    return text


def parse(topic: str) -> Topic | None:
    """The parts of a topic; None for any that is no message of a node or a device."""
    parts = topic.split("/")
    if not 4 <= len(parts) <= 5 or parts[0] != NAMESPACE or not all(parts):
        return None
    kind = _KINDS.get(parts[2])
    if kind is None or kind.startswith("D") != (len(parts) == 5):
        return None
    return Topic(parts[1], kind, parts[3], parts[4] if len(parts) == 5 else "")


# --- primary host: spBv1.0/STATE/<host> -----------------------------------------------------------------


class HostState(NamedTuple):
    """Whether a host application is there, and since when by its own clock (ms UTC)."""

    online: bool
    timestamp: int


def state_topic(host: str) -> str:
    """Topic of a host application's retained STATE (6.4.26)."""
    return f"{NAMESPACE}/STATE/{checked_id(host)}"


def encode_state(state: HostState) -> bytes:
    """Payload of a STATE message."""
    return json.dumps({"online": state.online, "timestamp": state.timestamp}).encode()


def decode_state(payload: bytes) -> HostState | None:
    """A STATE payload; None when it is none. The words of Sparkplug 2.2 (ONLINE, OFFLINE) are taken, too."""
    if len(payload) > MAX_STATE:
        return None
    if payload in (b"ONLINE", b"OFFLINE"):
        return HostState(payload == b"ONLINE", 0)
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("online"), bool):
        return None
    timestamp = found.get("timestamp", 0)
    if not isinstance(timestamp, int) or isinstance(timestamp, bool) or timestamp < 0:
        return None
    return HostState(found["online"], timestamp)
