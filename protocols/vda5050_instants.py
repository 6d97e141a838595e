"""Instant actions that a vehicle was sent: each until the vehicle says what became of it. Sans-IO.

Source: VDA 5050 2.1.0, 6.8. One is sent again until the vehicle's state shows its id, and never after that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from protocols.values import MICROSECONDS
from protocols.vda5050 import Action, ActionStatus, BlockingType, State
from protocols.vda5050_lifecycles import INSTANT, InstantEvent, InstantState
from protocols.vda5050_sending import Timing


def instant_action(action_type: str, action_id: str) -> Action:
    """An instant action without parameters; what stops the vehicle is done with nothing beside it."""
    blocking = BlockingType.HARD if action_type in ("cancelOrder", "startPause") else BlockingType.NONE
    return Action(action_type=action_type, action_id=action_id, blocking_type=blocking, action_parameters=())


@dataclass(frozen=True, slots=True)
class Instant:
    """An instant action on its way. ``result`` is what the vehicle said about it."""

    action: Action
    state: InstantState
    begun: int
    due: int
    tries: int
    result: str = ""


@dataclass(slots=True)
class Instants:
    """Those that wait for an answer, by id. Times are µs UTC."""

    timing: Timing
    pending: dict[str, Instant] = field(default_factory=dict, init=False)

    def begin(self, action: Action, now: int) -> None:
        """It is sent for the first time."""
        self.pending[action.action_id] = Instant(action, INSTANT.initial, now, self._again(now), 1)

    def follow(self, state: State, now: int) -> Iterator[Instant]:
        """Those that a state of the vehicle tells something new of, as they are then."""
        for instant in list(self.pending.values()):
            known = state.action(instant.action.action_id)
            if known is None:
                # some vehicles answer a request for their state with nothing but the state
                if instant.action.action_type == "stateRequest" and now > instant.begun:
                    yield self._move(instant, InstantEvent.FINISH, "")
                continue
            said = known.result_description if isinstance(known.result_description, str) else ""
            if known.action_status is ActionStatus.FINISHED:
                yield self._move(instant, InstantEvent.FINISH, said)
            elif known.action_status is ActionStatus.FAILED:
                named = (e.text for e in state.errors if e.refers("actionId") == instant.action.action_id)
                yield self._move(instant, InstantEvent.FAIL, next(named, said))
            elif instant.state is InstantState.SENT:
                yield self._move(instant, InstantEvent.ECHO, said)

    def finish(self, action_type: str) -> Iterator[Instant]:
        """What they asked for has come by another message."""
        for instant in list(self.pending.values()):
            if instant.action.action_type == action_type:
                yield self._move(instant, InstantEvent.FINISH, "")

    def due(self, now: int) -> Iterator[Instant]:
        """Those that are to be sent again, and those that are given up, which say so by their state."""
        for instant in list(self.pending.values()):
            is_cancel = instant.action.action_type == "cancelOrder"
            limit = self.timing.cancel if is_cancel else self.timing.instant
            if now - instant.begun > limit * MICROSECONDS:
                seen = "shown, but not finished" if instant.state is InstantState.ECHOED else "never shown"
                reason = f"{instant.action.action_type} was {seen} for {limit:g} s"
                yield self._move(instant, InstantEvent.EXPIRE, reason)
            elif instant.state is InstantState.SENT and now >= instant.due:
                again = replace(instant, due=self._again(now), tries=instant.tries + 1)
                self.pending[instant.action.action_id] = again
                yield again

    def _again(self, now: int) -> int:
        return now + round(self.timing.resend * MICROSECONDS)

    def _move(self, instant: Instant, event: InstantEvent, result: str) -> Instant:
        after = INSTANT.next(instant.action.action_id, instant.state, event)
        moved = replace(instant, state=after, result=result)
        if after in (InstantState.SENT, InstantState.ECHOED):
            self.pending[instant.action.action_id] = moved
        else:
            self.pending.pop(instant.action.action_id, None)
        return moved
