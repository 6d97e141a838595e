"""A maintenance case and the steps of its life: each step gives the next case. Pure.

A step is a fact or a decision with its actor, time and reason. The case is what its steps add up to, so that
it can be worked out again from the journal.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from cloud.maintenance.health.evidence import Evidence
from cloud.maintenance.prognosis import DAY
from cloud.maintenance.work_order import WorkOrder
from protocols.lifecycles import CASE, CaseEvent, CaseState

MAX_NOTE = 500
"""Characters of a reason, a cause or of what was found."""
MAX_SNOOZE_DAYS = 30
MAX_DAYS = 366
"""How far ahead a person may move an order."""
LOOKED_AT = DAY
"""Time before the opening that the evidence is taken from where the opener did not say."""


ORDERING = frozenset(
    (
        *(CaseEvent.PLAN, CaseEvent.FORESEE, CaseEvent.SUPPLY),
        *(CaseEvent.MOVE, CaseEvent.DECLINE, CaseEvent.KEEP, CaseEvent.FREE),
    )
)
"""Steps that say what the maintenance order is from then on."""


_OF_AN_ORDER = ORDERING - {CaseEvent.PLAN, CaseEvent.MOVE}


WHY = "say why: whoever looks at the case next needs it"


class Verdict(StrEnum):
    """What came of a suspicion. Only a true one counts as a failure of the machine."""

    TRUE = "true"
    FALSE_ALARM = "false-alarm"
    OTHER = "other"
    """Something else was the matter, or nobody can tell: it counts neither way."""


class Case(msgspec.Struct, frozen=True):
    """One suspicion about one asset. Times in µs UTC; ``health`` is as it was when the case was opened;
    ``changed_by`` is None until a person takes it on.

    ``evidence_from`` to ``opened`` is the span that the evidence is taken from: with the verdict it is what a
    later training learns from. ``snoozed_until`` is 0 when it is not; ``began`` and ``ended`` are of the work
    at the machine, ``found`` is what was seen there.
    """

    id: str
    asset: str
    device: str
    mode: str
    state: CaseState
    opened: int
    changed: int
    health: float
    summary: str
    evidence: tuple[Evidence, ...]
    changed_by: str | None = None
    evidence_from: int = 0
    snoozed_until: int = 0
    order: WorkOrder | None = None
    began: int | None = None
    ended: int | None = None
    verdict: Verdict | None = None
    cause: str = ""
    found: str = ""
    judged: int | None = None
    judged_by: str | None = None

    def snoozed(self, now: int) -> bool:
        """Whether nobody is to be reminded of it yet."""
        return self.snoozed_until > now

    @property
    def overdue_from(self) -> int | None:
        """When its order is past its bound (µs UTC), while it is not done."""
        waits = self.state is CaseState.PLANNED and self.order is not None
        return self.order.bound if waits and self.order is not None else None


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step in the life of a case: who did what, when (µs UTC), and why (``note``).

    ``order`` belongs to ``plan``, ``foresee``, ``supply``, ``move``, ``decline``, ``keep`` and ``free``;
    ``until`` to ``snooze``; ``verdict`` and ``cause`` to ``close``; ``found`` to ``find`` and ``close``.
    """

    event: CaseEvent
    actor: str
    ts: int
    note: str = ""
    order: WorkOrder | None = None
    until: int = 0
    verdict: Verdict | None = None
    cause: str = ""
    found: str = ""


class Objection(msgspec.Struct, frozen=True):
    """One reason against a step; ``path`` is the field it is about. ``phrase`` with its ``values`` is what is
    said, so that it can be said in another language, too.
    """

    path: str
    phrase: str
    values: dict[str, str] = {}

    @property
    def message(self) -> str:
        """In English."""
        return self.phrase.format(**self.values) if self.values else self.phrase

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ImpossibleStep(ValueError):
    """A step that makes no sense; ``problems`` holds every reason at once."""

    def __init__(self, problems: list[Objection]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


def take(case: Case, step: Step) -> Case:
    """The case after a step.

    Raises:
        IllegalTransitionError: the state of the case does not allow it; says what it allows.
        ImpossibleStep: it lacks what it needs, or says what cannot be.
    """
    state = CASE.next(case.id, case.state, step.event)
    if problems := [*_problems(case, step)]:
        raise ImpossibleStep(problems)
    after = replace(case, state=state, changed=max(step.ts, case.changed), changed_by=step.actor)
    match step.event:
        case CaseEvent.SNOOZE:
            return replace(after, snoozed_until=step.until)
        case event if event in ORDERING:
            after = replace(after, order=step.order)
        case CaseEvent.REFUSE:
            after = replace(after, order=None)
        case CaseEvent.START:
            after = replace(after, began=step.ts, ended=None)
        case CaseEvent.BREAK_OFF:
            after = replace(after, order=None, began=None)
        case CaseEvent.FIND:
            after = replace(after, found=step.found)
        case CaseEvent.FINISH:
            after = replace(after, ended=step.ts)
        case CaseEvent.CLOSE:
            after = replace(
                after,
                verdict=step.verdict,
                cause=step.cause or after.cause,
                found=step.found or after.found,
                judged=step.ts,
                judged_by=step.actor,
            )
        case _:
            pass
    return replace(after, snoozed_until=0)


def _problems(case: Case, step: Step) -> Iterator[Objection]:
    for name in ("note", "cause", "found"):
        length = len(getattr(step, name))
        if length > MAX_NOTE:
            yield Objection(
                name,
                "has {length} characters, at most {most} are kept",
                {"length": str(length), "most": str(MAX_NOTE)},
            )
    match step.event:
        case CaseEvent.SNOOZE if not step.ts < step.until <= step.ts + MAX_SNOOZE_DAYS * DAY:
            yield Objection(
                "until",
                "must be in the future, and no more than {days} days away",
                {"days": str(MAX_SNOOZE_DAYS)},
            )
        case CaseEvent.REFUSE | CaseEvent.BREAK_OFF if not step.note.strip():
            yield Objection("note", WHY)
        case CaseEvent.FIND if not step.found.strip():
            yield Objection("found", "say what was found")
        case CaseEvent.MOVE:
            yield from _move_problems(step)
        case CaseEvent.SUPPLY if step.order is not None:
            if not step.order.earliest <= step.ts + MAX_DAYS * DAY:
                yield Objection("parts_at", "must be no more than {days} days away", {"days": str(MAX_DAYS)})
        case event if event in _OF_AN_ORDER and step.order is None:
            yield Objection(
                "order", "case {case} has no maintenance order yet: plan it first", {"case": case.id}
            )
        case CaseEvent.CLOSE if step.verdict is None:
            yield Objection(
                "verdict",
                "say whether the suspicion was true: one of {choices}",
                {"choices": ", ".join(Verdict)},
            )
        case _:
            pass


def _move_problems(step: Step) -> Iterator[Objection]:
    order = step.order
    if order is None or order.fixed is None:
        yield Objection("start", "say when it is to begin")
        return
    if not step.ts <= order.fixed <= step.ts + MAX_DAYS * DAY:
        yield Objection(
            "start", "must not be in the past, and no more than {days} days away", {"days": str(MAX_DAYS)}
        )
    elif order.fixed + order.duration > order.bound and not step.note.strip():
        yield Objection("note", "it would end after its bound: say why it may wait that long")
