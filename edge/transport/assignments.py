"""What a vehicle behind tags was told, from the first write to what became of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from edge.transport.missions import Mission, MissionEvent, MissionState
from edge.transport.registers import Says, Word
from protocols.lifecycle import Lifecycle
from protocols.lifecycles import CommandState
from protocols.values import MICROSECONDS


class Stage(StrEnum):
    """How far it is."""

    TELLING = "telling"
    """Stations and number are being written."""
    TOLD = "told"
    """The number is written; the vehicle has not taken it up yet."""
    ACTIVE = "active"
    DONE = "done"
    FAILED = "failed"
    """A person looks: it may have been driven, in part."""
    RETURNED = "returned"
    """It never took effect: the mission waits again."""


class StageEvent(StrEnum):
    TOLD = "told"
    TAKE_UP = "take-up"
    FINISH = "finish"
    FAIL = "fail"
    RETURN = "return"


STAGE: Lifecycle[Stage, StageEvent] = Lifecycle(
    "assignment",
    Stage.TELLING,
    {
        (Stage.TELLING, StageEvent.TOLD): Stage.TOLD,
        (Stage.TELLING, StageEvent.FAIL): Stage.FAILED,
        (Stage.TELLING, StageEvent.RETURN): Stage.RETURNED,
        (Stage.TOLD, StageEvent.TAKE_UP): Stage.ACTIVE,
        (Stage.TOLD, StageEvent.FINISH): Stage.DONE,
        (Stage.TOLD, StageEvent.FAIL): Stage.FAILED,
        (Stage.TOLD, StageEvent.RETURN): Stage.RETURNED,
        (Stage.ACTIVE, StageEvent.FINISH): Stage.DONE,
        (Stage.ACTIVE, StageEvent.FAIL): Stage.FAILED,
    },
)

ENDED = frozenset({Stage.DONE, Stage.FAILED, Stage.RETURNED})

ANSWER = 120 * MICROSECONDS
"""µs in which a vehicle takes up what it was told; and in which an unknown write settles."""

Step = tuple[StageEvent, str] | None
"""What happens next and why; None when nothing does."""


class Assignment(msgspec.Struct, frozen=True):
    """The newest of one vehicle, as it is kept. ``written`` counts the tags written; ``since`` in µs UTC."""

    device: str
    mission: str
    number: int
    since: int
    written: int = 0
    stage: Stage = STAGE.initial
    reason: str = ""

    @property
    def command(self) -> str:
        """Id of the command of the next write: always the same, so that it is given once."""
        about = f"{self.device}\n{self.mission}\n{self.number}\n{self.written}"
        return f"transport-{blake2b(about.encode(), digest_size=16).hexdigest()}"

    @property
    def ended(self) -> bool:
        return self.stage in ENDED

    def after(self, event: StageEvent, now: int, reason: str = "") -> Assignment:
        """The assignment after an event; raises IllegalTransitionError."""
        stage = STAGE.next(f"{self.device} {self.number}", self.stage, event)
        return replace(self, stage=stage, since=now, reason=reason)


def after_write(state: CommandState, detail: str, *, last: bool, waited: int) -> Step:
    """What the command of one write means. What comes before the number starts nothing: it is given back."""
    if state in (CommandState.INTENDED, CommandState.SENDING):
        return None
    if state is CommandState.UNKNOWN and waited <= ANSWER:
        return None  # it is read back, or a person settles it
    if state is CommandState.DONE:
        return (StageEvent.TOLD, "") if last else None
    if last and state in (CommandState.UNKNOWN, CommandState.FAILED):
        return StageEvent.FAIL, f"it may have its order: {detail} — go and look at the vehicle"
    return StageEvent.RETURN, detail


def after_look(assignment: Assignment, says: Says, now: int) -> Step:
    """What a vehicle that was told says. Only what it says of this number counts."""
    if says.mission is None or says.word is None:
        return None
    ours = says.mission == assignment.number
    if assignment.stage is Stage.TOLD:
        if ours and says.word is not Word.IDLE:
            return _OF_A_NEW_ONE[says.word]
        if now - assignment.since > ANSWER:
            return (
                StageEvent.FAIL,
                f"not taken up within {ANSWER // MICROSECONDS} s: go and look at the vehicle",
            )
        return None
    if not ours:
        return StageEvent.FAIL, f"the vehicle shows mission {says.mission} instead of {assignment.number}"
    return _OF_ONE_UNDER_WAY[says.word]


_OF_A_NEW_ONE: dict[Word, Step] = {
    Word.UNDER_WAY: (StageEvent.TAKE_UP, ""),
    Word.DONE: (StageEvent.FINISH, ""),
    Word.FAILED: (StageEvent.FAIL, "the vehicle says that it failed"),
    Word.REFUSED: (StageEvent.RETURN, "the vehicle refused it"),
}
_OF_ONE_UNDER_WAY: dict[Word, Step] = {
    Word.UNDER_WAY: None,
    Word.DONE: (StageEvent.FINISH, ""),
    Word.FAILED: (StageEvent.FAIL, "the vehicle says that it failed"),
    Word.REFUSED: (StageEvent.FAIL, "the vehicle refused it on its way"),
    Word.IDLE: (StageEvent.FAIL, "the vehicle forgot it"),
}


def taken_up(missions: Mapping[str, Mission], assignments: Iterable[Assignment]) -> dict[str, Mission]:
    """Missions after a restart that a vehicle was told, or may have been.

    What was given back is not among them: it waits, or another carrier has it.
    """
    found: dict[str, Mission] = {}
    for known in assignments:
        mission = missions.get(known.mission)
        if mission is None or known.stage is Stage.RETURNED:
            continue
        if mission.state is MissionState.WAITING:
            found[mission.id] = mission.after(MissionEvent.TAKE, device=known.device)
        elif mission.state is MissionState.UNDER_WAY and mission.device == known.device:
            found[mission.id] = mission
    return found
