"""What a scenario can change: one class for each, told apart in JSON by the key ``change``.

Times are seconds after ``Problem.origin``, as everywhere in a problem.
"""

from __future__ import annotations

from msgspec import Struct

from cloud.dispatching.shop.problem import Operation


class _Change(Struct, frozen=True, kw_only=True, tag_field="change"):
    """What all changes share: how they are written."""


class NewOrder(_Change, frozen=True, kw_only=True, tag="new_order"):
    """An order that is not in the problem: ``operations`` as in a problem file, all of them of ``order``.

    ``due``, ``weight`` and ``earliest`` go to every operation; left out, each keeps its own.
    """

    order: str
    operations: tuple[Operation, ...]
    due: int | None = None
    weight: int | None = None
    earliest: int | None = None


class LikeOrder(_Change, frozen=True, kw_only=True, tag="like_order"):
    """Another order with the same work as the order ``like``, called ``order``.

    What is finished of the order ``like`` is not in the problem, and so not in the copy.
    """

    order: str
    like: str
    due: int
    weight: int = 1
    earliest: int = 0


class OrderTerms(_Change, frozen=True, kw_only=True, tag="order_terms"):
    """Another due date or weight of an order; what is left out stays as it is."""

    order: str
    due: int | None = None
    weight: int | None = None


class CancelledOrder(_Change, frozen=True, kw_only=True, tag="cancelled_order"):
    """An order falls away. What is frozen of it cannot; with ``keep_frozen`` that is still made.

    A run that covers its work lasts as long as before, for the work of the others in it.
    """

    order: str
    keep_frozen: bool = False


class MachineDown(_Change, frozen=True, kw_only=True, tag="machine_down"):
    """A machine cannot work from ``start`` up to ``end``. Frozen work on it counts as finished in time."""

    machine: str
    start: int
    end: int
    reason: str = "down"


class Overtime(_Change, frozen=True, kw_only=True, tag="overtime"):
    """From ``start`` up to ``end`` these ``machines`` (all, when none is named) work after all.

    Only windows with one of these ``reasons`` are opened; all of them when none is named. A machine that
    the same scenario takes down stays down.
    """

    start: int
    end: int
    machines: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


class SplitLot(_Change, frozen=True, kw_only=True, tag="split_lot"):
    """The lot of a job is made in ``into`` sublots, side by side where machines allow."""

    job: str
    into: int = 2


class OtherHeads(_Change, frozen=True, kw_only=True, tag="other_heads"):
    """From ``start`` up to ``end`` there are ``more`` of a crew or tool (negative: fewer) than otherwise."""

    resource: str
    more: int
    start: int
    end: int


class PinnedOperation(_Change, frozen=True, kw_only=True, tag="pinned_operation"):
    """A free operation goes to ``machine``, starts not before ``start``, or both."""

    operation: str
    machine: str | None = None
    start: int | None = None


Change = (
    NewOrder
    | LikeOrder
    | OrderTerms
    | CancelledOrder
    | MachineDown
    | Overtime
    | OtherHeads
    | SplitLot
    | PinnedOperation
)
