"""Every lifecycle of the shop floor, each a table: operation, run, order, case, andon, lock, command,
nonconformance.
"""

from __future__ import annotations

from enum import StrEnum

from protocols.lifecycle import Lifecycle


class OperationState(StrEnum):
    """An operation of a routing, as cloud and edge see it."""

    PLANNED = "planned"
    LEASED = "leased"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class OperationEvent(StrEnum):
    LEASE = "lease"
    RELEASE = "release"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    FINISH = "finish"
    REOPEN = "reopen"
    CANCEL = "cancel"
    RESTORE = "restore"
    """There is something to do after all: what was missing has come back."""


OPERATION: Lifecycle[OperationState, OperationEvent] = Lifecycle(
    "operation",
    OperationState.PLANNED,
    {
        (OperationState.PLANNED, OperationEvent.LEASE): OperationState.LEASED,
        (OperationState.PLANNED, OperationEvent.START): OperationState.RUNNING,
        (OperationState.PLANNED, OperationEvent.CANCEL): OperationState.CANCELLED,
        (OperationState.LEASED, OperationEvent.LEASE): OperationState.LEASED,
        (OperationState.LEASED, OperationEvent.RELEASE): OperationState.PLANNED,
        (OperationState.LEASED, OperationEvent.START): OperationState.RUNNING,
        (OperationState.LEASED, OperationEvent.CANCEL): OperationState.CANCELLED,
        (OperationState.RUNNING, OperationEvent.PAUSE): OperationState.PAUSED,
        (OperationState.RUNNING, OperationEvent.FINISH): OperationState.FINISHED,
        (OperationState.RUNNING, OperationEvent.CANCEL): OperationState.CANCELLED,
        (OperationState.PAUSED, OperationEvent.RESUME): OperationState.RUNNING,
        (OperationState.PAUSED, OperationEvent.FINISH): OperationState.FINISHED,
        (OperationState.PAUSED, OperationEvent.CANCEL): OperationState.CANCELLED,
        (OperationState.FINISHED, OperationEvent.REOPEN): OperationState.RUNNING,
        (OperationState.CANCELLED, OperationEvent.RESTORE): OperationState.PLANNED,
    },
)


class RunState(StrEnum):
    """One execution at one workcell: setup, first piece released, running, done."""

    QUEUED = "queued"
    SETUP = "setup"
    FIRST_PIECE = "first-piece"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    ABORTED = "aborted"


class RunEvent(StrEnum):
    SETUP = "setup"
    FIRST_PIECE = "first-piece"
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    COMPLETE = "complete"
    ABORT = "abort"
    REOPEN = "reopen"


RUN: Lifecycle[RunState, RunEvent] = Lifecycle(
    "run",
    RunState.QUEUED,
    {
        (RunState.QUEUED, RunEvent.SETUP): RunState.SETUP,
        (RunState.QUEUED, RunEvent.START): RunState.RUNNING,
        (RunState.SETUP, RunEvent.FIRST_PIECE): RunState.FIRST_PIECE,
        (RunState.SETUP, RunEvent.START): RunState.RUNNING,
        (RunState.SETUP, RunEvent.ABORT): RunState.ABORTED,
        (RunState.FIRST_PIECE, RunEvent.START): RunState.RUNNING,
        (RunState.FIRST_PIECE, RunEvent.ABORT): RunState.ABORTED,
        (RunState.RUNNING, RunEvent.PAUSE): RunState.PAUSED,
        (RunState.RUNNING, RunEvent.COMPLETE): RunState.COMPLETED,
        (RunState.RUNNING, RunEvent.ABORT): RunState.ABORTED,
        (RunState.PAUSED, RunEvent.RESUME): RunState.RUNNING,
        (RunState.PAUSED, RunEvent.COMPLETE): RunState.COMPLETED,
        (RunState.PAUSED, RunEvent.ABORT): RunState.ABORTED,
        (RunState.COMPLETED, RunEvent.REOPEN): RunState.RUNNING,
    },
)


class OrderState(StrEnum):
    RELEASED = "released"
    STARTED = "started"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class OrderEvent(StrEnum):
    CHANGE = "change"
    """Another due date or priority: possible while there is work left to plan."""
    START = "start"
    COMPLETE = "complete"
    REOPEN = "reopen"
    CANCEL = "cancel"


ORDER: Lifecycle[OrderState, OrderEvent] = Lifecycle(
    "order",
    OrderState.RELEASED,
    {
        (OrderState.RELEASED, OrderEvent.CHANGE): OrderState.RELEASED,
        (OrderState.RELEASED, OrderEvent.START): OrderState.STARTED,
        (OrderState.RELEASED, OrderEvent.CANCEL): OrderState.CANCELLED,
        (OrderState.STARTED, OrderEvent.CHANGE): OrderState.STARTED,
        (OrderState.STARTED, OrderEvent.COMPLETE): OrderState.COMPLETED,
        (OrderState.STARTED, OrderEvent.CANCEL): OrderState.CANCELLED,
        (OrderState.COMPLETED, OrderEvent.REOPEN): OrderState.STARTED,
    },
)


class CaseState(StrEnum):
    """A maintenance case, from a suspicion to what was found."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    PLANNED = "planned"
    """It has a maintenance order, which the planner places."""
    IN_WORK = "in-work"
    """Somebody began at the machine, which is locked."""
    DONE = "done"
    """The machine is back; what was the matter is still to be said."""
    CLOSED = "closed"


class CaseEvent(StrEnum):
    ACKNOWLEDGE = "acknowledge"
    SNOOZE = "snooze"
    """Ask again later: until then nobody is reminded of it."""
    PLAN = "plan"
    FORESEE = "foresee"
    """How long the machine will last is known better: its order has another bound."""
    SUPPLY = "supply"
    """Its parts come at another time."""
    MOVE = "move"
    """A person gave the order another time, at which it stays."""
    DECLINE = "decline"
    """A station asked for a time at which the order cannot be any more: it stays where it was."""
    KEEP = "keep"
    """A person keeps the order at the time where the plan has it."""
    FREE = "free"
    """The planner may place it again."""
    REFUSE = "refuse"
    """A person wants no such order, and says why."""
    START = "start"
    BREAK_OFF = "break-off"
    """Work at the machine ended without the repair: a part is missing."""
    FIND = "find"
    """What was seen at the machine."""
    FINISH = "finish"
    CLOSE = "close"
    """With a verdict: whether the suspicion was true."""


CASE: Lifecycle[CaseState, CaseEvent] = Lifecycle(
    "case",
    CaseState.OPEN,
    {
        (CaseState.OPEN, CaseEvent.ACKNOWLEDGE): CaseState.ACKNOWLEDGED,
        (CaseState.OPEN, CaseEvent.SNOOZE): CaseState.OPEN,
        (CaseState.OPEN, CaseEvent.PLAN): CaseState.PLANNED,
        (CaseState.OPEN, CaseEvent.START): CaseState.IN_WORK,
        (CaseState.OPEN, CaseEvent.CLOSE): CaseState.CLOSED,
        (CaseState.ACKNOWLEDGED, CaseEvent.SNOOZE): CaseState.ACKNOWLEDGED,
        (CaseState.ACKNOWLEDGED, CaseEvent.PLAN): CaseState.PLANNED,
        (CaseState.ACKNOWLEDGED, CaseEvent.START): CaseState.IN_WORK,
        (CaseState.ACKNOWLEDGED, CaseEvent.CLOSE): CaseState.CLOSED,
        (CaseState.PLANNED, CaseEvent.FORESEE): CaseState.PLANNED,
        (CaseState.PLANNED, CaseEvent.SUPPLY): CaseState.PLANNED,
        (CaseState.PLANNED, CaseEvent.MOVE): CaseState.PLANNED,
        (CaseState.PLANNED, CaseEvent.DECLINE): CaseState.PLANNED,
        (CaseState.PLANNED, CaseEvent.KEEP): CaseState.PLANNED,
        (CaseState.PLANNED, CaseEvent.FREE): CaseState.PLANNED,
        (CaseState.PLANNED, CaseEvent.REFUSE): CaseState.ACKNOWLEDGED,
        (CaseState.PLANNED, CaseEvent.START): CaseState.IN_WORK,
        (CaseState.PLANNED, CaseEvent.FINISH): CaseState.DONE,
        (CaseState.PLANNED, CaseEvent.CLOSE): CaseState.CLOSED,
        (CaseState.IN_WORK, CaseEvent.FIND): CaseState.IN_WORK,
        (CaseState.IN_WORK, CaseEvent.BREAK_OFF): CaseState.ACKNOWLEDGED,
        (CaseState.IN_WORK, CaseEvent.FINISH): CaseState.DONE,
        (CaseState.DONE, CaseEvent.FIND): CaseState.DONE,
        (CaseState.DONE, CaseEvent.CLOSE): CaseState.CLOSED,
    },
)
"""An order that is refused or broken off leaves the suspicion behind: it is acknowledged, and may be planned
again. What began at a machine is a fact, whatever the plan said."""


class AndonState(StrEnum):
    OPEN = "open"
    CLEARED = "cleared"


class AndonEvent(StrEnum):
    CLEAR = "clear"


ANDON: Lifecycle[AndonState, AndonEvent] = Lifecycle(
    "andon", AndonState.OPEN, {(AndonState.OPEN, AndonEvent.CLEAR): AndonState.CLEARED}
)


class LockState(StrEnum):
    """A machine at which somebody works with their hands. It never replaces lock-out/tag-out."""

    FREE = "free"
    LOCKED = "locked"
    RELEASED = "released"
    """The owner is done; production has not taken the machine over yet."""


class LockEvent(StrEnum):
    LOCK = "lock"
    RELEASE = "release"
    ACCEPT = "accept"


LOCK: Lifecycle[LockState, LockEvent] = Lifecycle(
    "lock",
    LockState.FREE,
    {
        (LockState.FREE, LockEvent.LOCK): LockState.LOCKED,
        (LockState.LOCKED, LockEvent.RELEASE): LockState.RELEASED,
        (LockState.RELEASED, LockEvent.ACCEPT): LockState.FREE,
        (LockState.RELEASED, LockEvent.LOCK): LockState.LOCKED,
    },
)


class CommandState(StrEnum):
    """A command to a machine. Each state is on disk before the next step is taken."""

    INTENDED = "intended"
    SENDING = "sending"
    """From here on it may have reached the machine: it is never sent again."""
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    """It may have taken effect. Reading back or a person settles it, never a second try."""


class CommandEvent(StrEnum):
    SEND = "send"
    CONFIRM = "confirm"
    REFUSE = "refuse"
    FAIL = "fail"
    EXPIRE = "expire"
    LOSE = "lose"


COMMAND: Lifecycle[CommandState, CommandEvent] = Lifecycle(
    "command",
    CommandState.INTENDED,
    {
        (CommandState.INTENDED, CommandEvent.SEND): CommandState.SENDING,
        (CommandState.INTENDED, CommandEvent.REFUSE): CommandState.REFUSED,
        (CommandState.INTENDED, CommandEvent.EXPIRE): CommandState.EXPIRED,
        (CommandState.SENDING, CommandEvent.CONFIRM): CommandState.DONE,
        (CommandState.SENDING, CommandEvent.REFUSE): CommandState.REFUSED,
        (CommandState.SENDING, CommandEvent.FAIL): CommandState.FAILED,
        (CommandState.SENDING, CommandEvent.LOSE): CommandState.UNKNOWN,
        (CommandState.UNKNOWN, CommandEvent.CONFIRM): CommandState.DONE,
        (CommandState.UNKNOWN, CommandEvent.FAIL): CommandState.FAILED,
    },
)


class NonconformanceState(StrEnum):
    """Something that does not conform: a violation of a chart that holds, or what a person reported."""

    OPEN = "open"
    DISPOSED = "disposed"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"


class NonconformanceEvent(StrEnum):
    DISPOSE = "dispose"
    """A supervisor decides what happens to the pieces."""
    REOPEN = "reopen"
    CLOSE = "close"
    """What was decided is done: reworked, scrapped, returned."""
    WITHDRAW = "withdraw"
    """It was none: the measurement was undone, or a person was mistaken."""


NONCONFORMANCE: Lifecycle[NonconformanceState, NonconformanceEvent] = Lifecycle(
    "nonconformance",
    NonconformanceState.OPEN,
    {
        (NonconformanceState.OPEN, NonconformanceEvent.DISPOSE): NonconformanceState.DISPOSED,
        (NonconformanceState.OPEN, NonconformanceEvent.WITHDRAW): NonconformanceState.WITHDRAWN,
        (NonconformanceState.DISPOSED, NonconformanceEvent.CLOSE): NonconformanceState.CLOSED,
        (NonconformanceState.DISPOSED, NonconformanceEvent.REOPEN): NonconformanceState.OPEN,
        (NonconformanceState.CLOSED, NonconformanceEvent.REOPEN): NonconformanceState.OPEN,
    },
)
