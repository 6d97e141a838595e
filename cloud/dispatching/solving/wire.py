"""What the caller and the solver process say to each other: JSON, one message a line."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule


class Request(Struct, frozen=True, kw_only=True):
    """The one line the solver process reads; when its input then ends, it stops searching.

    ``sent`` is the time of day in seconds; what passes until the process has started counts as well.
    ``nice`` is how far it stands back behind other processes, where the system knows that.
    """

    problem: Problem
    start: Schedule
    seconds: float
    workers: int = 8
    deterministic: bool = False
    seed: int = 0
    sent: float | None = None
    nice: int = 5


class Improved(Struct, frozen=True, kw_only=True, tag="improved"):
    """A better plan than all before, after ``seconds`` in the solver process."""

    schedule: Schedule
    seconds: float


class Finished(Struct, frozen=True, kw_only=True, tag="finished"):
    """The search is over: the best plan with its bound and status."""

    schedule: Schedule
    seconds: float


class Failed(Struct, frozen=True, kw_only=True, tag="failed"):
    """The search broke off; plans sent before remain good."""

    reason: str


Answer = Improved | Finished | Failed

ENCODER = msgspec.json.Encoder()
REQUEST = msgspec.json.Decoder(Request)
ANSWER: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)
