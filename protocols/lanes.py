"""The four lanes of the link and the topics they travel on (MQTT names, one table)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

EDGE_ID = re.compile(r"[a-z0-9-]{1,32}")
"""What an edge may be called: nothing that a broker could read as a wildcard."""

ROOT = "onelot/v1/edges"


class Lane(StrEnum):
    """Upward lanes in strict order of priority, most urgent first."""

    ACTIONS = "actions"
    STATES = "states"
    TELEMETRY = "telemetry"
    BULK = "bulk"

    @property
    def ordered(self) -> bool:
        """Whether the lane commits in order with cumulative acknowledgements."""
        return self in (Lane.ACTIONS, Lane.STATES)


class Down(StrEnum):
    """Kinds of messages from the cloud to an edge, one topic each."""

    SESSION = "session"
    JOBS = "jobs"
    RELEASE = "release"
    CATALOGUE = "catalogue"
    CONFIG = "config"
    WAVEFORM = "waveform"
    MODELS = "models"


SESSION = "session"
"""The upward topic beside the lanes: ``hello``."""


_LANES = frozenset(lane.value for lane in Lane)
_DOWNS = frozenset(kind.value for kind in Down)


class UpTopic(NamedTuple):
    """A parsed upward topic: the edge and its channel (a lane's name or ``session``)."""

    edge: str
    channel: str


def checked_edge_id(edge_id: str) -> str:
    """Return ``edge_id`` when it may stand in a topic; raises ValueError otherwise."""
    if not EDGE_ID.fullmatch(edge_id):
        raise ValueError(f'edge id "{edge_id}" must match [a-z0-9-]{{1,32}}: rename the edge')
    return edge_id


def up(edge_id: str, channel: Lane | str) -> str:
    """Topic on which an edge sends a lane or its session messages."""
    return f"{ROOT}/{checked_edge_id(edge_id)}/up/{channel}"


def down(edge_id: str, kind: Down) -> str:
    """Topic on which the cloud sends one kind of message to an edge."""
    return f"{ROOT}/{checked_edge_id(edge_id)}/down/{kind}"


def parse_up(topic: str) -> UpTopic | None:
    """Edge and channel of an upward topic; None for any other topic."""
    parts = topic.split("/")
    if len(parts) != 6 or "/".join(parts[:3]) != ROOT or parts[4] != "up" or not EDGE_ID.fullmatch(parts[3]):
        return None
    if parts[5] != SESSION and parts[5] not in _LANES:
        return None
    return UpTopic(parts[3], parts[5])


def parse_down(topic: str) -> Down | None:
    """Kind of a downward topic; None for any other topic."""
    parts = topic.split("/")
    if len(parts) != 6 or "/".join(parts[:3]) != ROOT or parts[4] != "down" or parts[5] not in _DOWNS:
        return None
    return Down(parts[5])
