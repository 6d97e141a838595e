"""What a scenario may change, as the office asks for it, each made by the door it would really come through.

Asking and accepting run the same code: asked in a transaction that is rolled back, accepted in one that is
committed. So a scenario cannot promise what an order or a decision would be refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Connection

from cloud.dispatching.floor import decisions
from cloud.dispatching.floor.decisions import Decision, ImpossibleDecision, Kind
from cloud.orders.create import OrderDesk
from cloud.orders.requests import (
    ImpossibleOrder,
    OrderChange,
    OrderProblem,
    OrderRequest,
    UnknownOrder,
    Words,
)
from cloud.phrase import Phrase, phrase
from cloud.store.database import savepoint
from protocols.lifecycle import IllegalTransitionError
from protocols.site import Site

Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Short = Annotated[str, StringConstraints(max_length=decisions.MAX_REASON)]

MAX_CHANGES = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NewOrder(_Change):
    """An order comes in."""

    change: Literal["new_order"]
    order: OrderRequest


class OrderTerms(_Change):
    """An order gets another due date or priority, or its material comes at another time; what is left out
    stays as it is.
    """

    change: Literal["order_terms"]
    order: Name
    due: AwareDatetime | None = None
    material_at: AwareDatetime | None = None
    priority: Annotated[int | None, Field(ge=1, le=10)] = None


class CancelledOrder(_Change):
    """An order is cancelled."""

    change: Literal["cancelled_order"]
    order: Name
    reason: Words = ""


class MachineDown(_Change):
    """A workcell cannot work from ``start`` (now, when it is left out) until ``end``."""

    change: Literal["machine_down"]
    workcell: Name
    start: AwareDatetime | None = None
    end: AwareDatetime
    reason: Short = ""


class Overtime(_Change):
    """A workcell, or every one when none is named, works from ``start`` until ``end`` without a shift."""

    change: Literal["overtime"]
    workcell: Annotated[str, StringConstraints(max_length=64)] = ""
    start: AwareDatetime | None = None
    end: AwareDatetime
    reason: Short = ""


class OtherHeads(_Change):
    """So many heads of a skill more, or fewer as a negative number, from ``start`` until ``end``."""

    change: Literal["other_heads"]
    skill: Name
    heads: Annotated[int, Field(ge=-decisions.MAX_HEADS, le=decisions.MAX_HEADS)]
    start: AwareDatetime | None = None
    end: AwareDatetime
    reason: Short = ""


class PinnedOperation(_Change):
    """An operation is done at a workcell, or begins at a time, or both."""

    change: Literal["pinned_operation"]
    operation: Name
    workcell: Annotated[str, StringConstraints(max_length=64)] = ""
    start: AwareDatetime | None = None
    reason: Short = ""


Change = Annotated[
    NewOrder | OrderTerms | CancelledOrder | MachineDown | Overtime | OtherHeads | PinnedOperation,
    Field(discriminator="change"),
]


class ScenarioRequest(_Change):
    """What if these things changed, all of them together?"""

    title: Annotated[str, StringConstraints(max_length=120)] = Field(default="", examples=["Rush for Miller"])
    changes: Annotated[tuple[Change, ...], Field(min_length=1, max_length=MAX_CHANGES)]


class ImpossibleChanges(ValueError):
    """Changes that nobody could make now; ``problems`` holds every reason at once."""

    def __init__(self, problems: list[OrderProblem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


@dataclass(frozen=True, slots=True)
class Doors:
    """Where changes are made, by whom and when (µs UTC)."""

    desk: OrderDesk
    site: Site
    actor: str
    now: int


def make(tx: Connection, changes: tuple[Change, ...], doors: Doors) -> tuple[str, ...]:
    """Make all changes within the caller's transaction; the ids of the orders that came in with them.

    Raises:
        ImpossibleChanges: with every reason at once; then the transaction is to be rolled back.
    """
    made: list[str] = []
    problems: list[OrderProblem] = []
    for number, change in enumerate(changes):
        try:
            with savepoint(tx):
                made += _MADE[type(change)](tx, change, doors)
        except (ImpossibleOrder, ImpossibleDecision) as error:
            inner = "order." if isinstance(change, NewOrder) else ""
            problems += [
                OrderProblem(f"changes.{number}.{inner}{one.path}", one.reason) for one in error.problems
            ]
        except UnknownOrder as error:
            problems.append(OrderProblem(f"changes.{number}.order", error.reason))
        except IllegalTransitionError as error:
            reason = phrase(
                "{order} is {state}: that is not possible now",
                order=error.object_id,
                state=Phrase(error.state),
            )
            problems.append(OrderProblem(f"changes.{number}.order", reason))
    if problems:
        raise ImpossibleChanges(problems)
    return tuple(made)


def touched(changes: tuple[Change, ...]) -> frozenset[str]:
    """The orders that are there and that changes are about."""
    return frozenset(change.order for change in changes if isinstance(change, OrderTerms | CancelledOrder))


def _new_order(tx: Connection, change: NewOrder, doors: Doors) -> tuple[str, ...]:
    return (doors.desk.create(tx, change.order, doors.actor),)


def _order_terms(tx: Connection, change: OrderTerms, doors: Doors) -> tuple[str, ...]:
    wanted = OrderChange(due=change.due, priority=change.priority, material_at=change.material_at)
    if wanted == OrderChange():
        reason = phrase("nothing changes: name a due date or a priority")
        raise ImpossibleOrder([OrderProblem("due", reason)])
    doors.desk.change(tx, change.order, wanted, doors.actor)
    return ()


def _cancelled_order(tx: Connection, change: CancelledOrder, doors: Doors) -> tuple[str, ...]:
    doors.desk.cancel(tx, change.order, change.reason, doors.actor)
    return ()


def _decided(decide: Callable[[Any, int], Decision]) -> Callable[[Connection, Any, Doors], tuple[str, ...]]:
    def made(tx: Connection, change: Any, doors: Doors) -> tuple[str, ...]:
        decisions.add(tx, decide(change, doors.now), doors.actor, doors.now, doors.site)
        return ()

    return made


def _closed(change: MachineDown, now: int) -> Decision:
    return Decision(
        kind=Kind.CLOSED,
        workcell=change.workcell,
        start=microseconds(change.start, now),
        end=microseconds(change.end, now),
        reason=change.reason,
    )


def _overtime(change: Overtime, now: int) -> Decision:
    return Decision(
        kind=Kind.OVERTIME,
        workcell=change.workcell,
        start=microseconds(change.start, now),
        end=microseconds(change.end, now),
        reason=change.reason,
    )


def _heads(change: OtherHeads, now: int) -> Decision:
    return Decision(
        kind=Kind.HEADS,
        skill=change.skill,
        heads=change.heads,
        start=microseconds(change.start, now),
        end=microseconds(change.end, now),
        reason=change.reason,
    )


def _pinned(change: PinnedOperation, now: int) -> Decision:
    return Decision(
        kind=Kind.PIN,
        operation=change.operation,
        workcell=change.workcell,
        start=None if change.start is None else microseconds(change.start, now),
        reason=change.reason,
    )


def microseconds(moment: datetime | None, now: int) -> int:
    """A moment of a request in µs UTC; ``now`` where none is given."""
    return now if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)


_MADE: dict[type, Callable[[Connection, Any, Doors], tuple[str, ...]]] = {
    NewOrder: _new_order,
    OrderTerms: _order_terms,
    CancelledOrder: _cancelled_order,
    MachineDown: _decided(_closed),
    Overtime: _decided(_overtime),
    OtherHeads: _decided(_heads),
    PinnedOperation: _decided(_pinned),
}


def words(change: Change) -> str:
    """The change in a few words, for a list and for the cause of a plan."""
    return _WORDS[type(change)](change)


def _span(change: MachineDown | Overtime | OtherHeads) -> str:
    start = f"from {change.start:%Y-%m-%d %H:%M%z} " if change.start is not None else ""
    return f"{start}until {change.end:%Y-%m-%d %H:%M%z}"


def _order_words(change: NewOrder) -> str:
    articles = ", ".join(f"{line.quantity} × {line.product}" for line in change.order.lines[:3])
    more = f" and {len(change.order.lines) - 3} more lines" if len(change.order.lines) > 3 else ""
    name = f" {change.order.id}" if change.order.id else ""
    return f"a new order{name}: {articles}{more}"


def _terms_words(change: OrderTerms) -> str:
    due = f" due {change.due:%Y-%m-%d %H:%M%z}" if change.due is not None else ""
    priority = f" priority {change.priority}" if change.priority is not None else ""
    material = f" material at {change.material_at:%Y-%m-%d %H:%M%z}" if change.material_at is not None else ""
    return f"order {change.order}:{due}{priority}{material}"


def _heads_words(change: OtherHeads) -> str:
    return f"{abs(change.heads)} {'more' if change.heads > 0 else 'fewer'} for {change.skill} {_span(change)}"


def _pin_words(change: PinnedOperation) -> str:
    where = f" at {change.workcell}" if change.workcell else ""
    when = f" from {change.start:%Y-%m-%d %H:%M%z}" if change.start is not None else ""
    return f"{change.operation}{where}{when}"


_WORDS: dict[type, Callable[[Any], str]] = {
    NewOrder: _order_words,
    OrderTerms: _terms_words,
    CancelledOrder: lambda change: f"order {change.order} is cancelled",
    MachineDown: lambda change: f"{change.workcell} is down {_span(change)}",
    Overtime: lambda change: f"overtime{f' of {change.workcell}' if change.workcell else ''} {_span(change)}",
    OtherHeads: _heads_words,
    PinnedOperation: _pin_words,
}
