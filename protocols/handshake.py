"""How a station and a vehicle hand a load over: ready → docked → sensed → released → clear. Pure.

A handshake goes on only when a signal *says* so: what is not known (a tag without a good value, a vehicle
that is away) holds it where it is. The load is released only while its taker senses it, and only if since
the handshake began its giver has sensed it and its taker has been seen empty: a sensor that always says
*load* never lets one go. It ends when the vehicle has left and the release was withdrawn. A step that takes
longer than it may calls a person and waits on. OneLot's part is no safety function: the interlock of the
station is.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec.structs import replace

from protocols.lifecycle import Lifecycle
from protocols.site_graph import Within
from protocols.values import MICROSECONDS


class Step(StrEnum):
    """What has been reached."""

    WAITING = "waiting"
    """For the station to be ready; the vehicle does not get its node before."""
    READY = "ready"
    DOCKED = "docked"
    SENSED = "sensed"
    """Given, and sensed by the taker."""
    RELEASED = "released"
    """The giver may let go, the vehicle may leave."""
    LEFT = "left"
    """The vehicle is away; the release is being withdrawn."""
    CLEAR = "clear"
    GIVEN_UP = "given-up"


class StepEvent(StrEnum):
    READY = "ready"
    NOT_READY = "not-ready"
    DOCK = "dock"
    SENSE = "sense"
    LOSE = "lose"
    """The taker senses it no more."""
    RELEASE = "release"
    LEAVE = "leave"
    WITHDRAW = "withdraw"
    GIVE_UP = "give-up"
    """Nobody carries this any more."""


HANDSHAKE: Lifecycle[Step, StepEvent] = Lifecycle(
    "handshake",
    Step.WAITING,
    {
        (Step.WAITING, StepEvent.READY): Step.READY,
        (Step.READY, StepEvent.NOT_READY): Step.WAITING,
        (Step.READY, StepEvent.DOCK): Step.DOCKED,
        (Step.DOCKED, StepEvent.SENSE): Step.SENSED,
        (Step.SENSED, StepEvent.LOSE): Step.DOCKED,
        (Step.SENSED, StepEvent.RELEASE): Step.RELEASED,
        (Step.RELEASED, StepEvent.LEAVE): Step.LEFT,
        (Step.LEFT, StepEvent.WITHDRAW): Step.CLEAR,
        (Step.WAITING, StepEvent.GIVE_UP): Step.GIVEN_UP,
        (Step.READY, StepEvent.GIVE_UP): Step.GIVEN_UP,
        # a release that was on its way may have arrived: it is withdrawn first
        (Step.DOCKED, StepEvent.GIVE_UP): Step.LEFT,
        (Step.SENSED, StepEvent.GIVE_UP): Step.LEFT,
    },
)

ENDED = frozenset({Step.CLEAR, Step.GIVEN_UP})
MAY_DOCK = frozenset({Step.READY, Step.DOCKED, Step.SENSED, Step.RELEASED, Step.LEFT, Step.CLEAR})
MAY_LEAVE = frozenset({Step.RELEASED, Step.LEFT, Step.CLEAR})


class Kind(StrEnum):
    """What the vehicle does: its action's name (VDA 5050 2.1.0, 6.8)."""

    PICK = "pick"
    DROP = "drop"


class Signals(msgspec.Struct, frozen=True):
    """What both sides say now; None where that is not known.

    ``station`` and ``vehicle`` are whether each senses a load; ``release`` is the release signal as the
    station has it, False where a station has none.
    """

    ready: bool | None = None
    docked: bool | None = None
    station: bool | None = None
    vehicle: bool | None = None
    release: bool | None = None


class Handshake(msgspec.Struct, frozen=True):
    """One handing over, as it is kept. ``workcell`` is the one whose people are called; times in µs UTC.

    ``given`` is whether the giver has sensed the load, ``empty`` whether the taker was seen without one.
    ``signalled`` is whether the station takes a release signal.
    """

    mission: str
    kind: Kind
    station: str
    device: str
    workcell: str
    since: int
    step: Step = HANDSHAKE.initial
    given: bool = False
    empty: bool = False
    signalled: bool = False
    called: bool = False
    """A person was called about this step."""

    @property
    def id(self) -> str:
        return f"{self.mission}:{self.kind}"

    @property
    def ended(self) -> bool:
        return self.step in ENDED

    def giver(self, signals: Signals) -> bool | None:
        """What the side senses that gives the load."""
        return signals.station if self.kind is Kind.PICK else signals.vehicle

    def taker(self, signals: Signals) -> bool | None:
        """What the side senses that takes the load."""
        return signals.vehicle if self.kind is Kind.PICK else signals.station


def advanced(handshake: Handshake, signals: Signals, now: int, *, wanted: bool = True) -> Handshake:
    """The handshake with what the signals say; ``wanted`` is whether its mission still is."""
    while not handshake.ended:
        handshake = _noted(handshake, signals)
        event = _event(handshake, signals, wanted=wanted)
        if event is None:
            break
        step = HANDSHAKE.next(handshake.id, handshake.step, event)
        handshake = replace(handshake, step=step, since=now, called=False)
        if event in (StepEvent.NOT_READY, StepEvent.LOSE):
            break  # one step back, and another look with the next signals
    return handshake


def release(handshake: Handshake, signals: Signals) -> bool:
    """Whether the station's release signal is to be on now."""
    if handshake.step is Step.SENSED:
        return _passed(handshake, signals)
    return handshake.step is Step.RELEASED


def late(handshake: Handshake, within: Within, now: int) -> str:
    """Why a person is to be called; empty while the step may last."""
    limit = _LIMITS.get(handshake.step)
    if limit is None:
        return ""
    seconds, missing = getattr(within, limit[0]), limit[1]
    if now - handshake.since <= seconds * MICROSECONDS:
        return ""
    return f"{handshake.kind} at {handshake.station}: {missing} for {seconds:g} s"


_LIMITS = {
    Step.WAITING: ("ready", "the station has not been ready"),
    Step.READY: ("docked", "the vehicle has not docked"),
    Step.DOCKED: ("sensed", "the load has not been sensed on both sides"),
    Step.SENSED: ("released", "the release has not reached the station"),
    Step.RELEASED: ("clear", "the vehicle has not left"),
    Step.LEFT: ("clear", "the release could not be withdrawn"),
}


def _noted(handshake: Handshake, signals: Signals) -> Handshake:
    """What has been seen at some time: only before the load is let go."""
    if handshake.step in MAY_LEAVE:
        return handshake
    given = handshake.given or handshake.giver(signals) is True
    empty = handshake.empty or handshake.taker(signals) is False
    if (given, empty) == (handshake.given, handshake.empty):
        return handshake
    return replace(handshake, given=given, empty=empty)


def _passed(handshake: Handshake, signals: Signals) -> bool:
    return handshake.given and handshake.empty and handshake.taker(signals) is True


def _event(handshake: Handshake, signals: Signals, *, wanted: bool) -> StepEvent | None:
    """What happens next."""
    step = handshake.step
    if not wanted and (step, StepEvent.GIVE_UP) in HANDSHAKE.table:
        return StepEvent.GIVE_UP
    passed, docked = _passed(handshake, signals), signals.docked
    happens = {
        Step.WAITING: (StepEvent.READY, signals.ready is True),
        Step.READY: (StepEvent.DOCK, docked is True)
        if docked is True or signals.ready is True
        else (StepEvent.NOT_READY, True),
        Step.DOCKED: (StepEvent.SENSE, passed and docked is True),
        Step.SENSED: (StepEvent.RELEASE, not handshake.signalled or signals.release is True)
        if passed
        else (StepEvent.LOSE, True),
        Step.RELEASED: (StepEvent.LEAVE, docked is False),
        Step.LEFT: (StepEvent.WITHDRAW, not handshake.signalled or signals.release is False),
    }
    event, holds = happens[step]
    return event if holds else None
