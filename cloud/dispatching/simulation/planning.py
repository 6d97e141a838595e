"""From the board to the planner's problem, and the one place where the planner is called."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from msgspec.structs import replace

from cloud.dispatching.shop.problem import (
    Machine,
    Operation,
    Placement,
    Problem,
    State,
    Transport,
    Weights,
    Window,
)
from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.simulation.board import Board
from cloud.dispatching.simulation.world import Order
from cloud.dispatching.solving.construct import construct
from cloud.dispatching.solving.improve import improve
from cloud.dispatching.solving.limits import Limits
from cloud.dispatching.solving.search.cache import available

Planner = Callable[[Problem], Schedule]
"""Makes a valid plan. It must be deterministic, or the simulation is not repeatable."""

CALENDAR = 14 * 86_400
"""Seconds ahead for which a plan knows when the shop is closed."""

OVERRUN = 10
"""Work that takes longer than planned is expected to need a tenth of its duration more."""

OVERDUE = 4
"""A repair that takes longer than usual is expected to need a quarter of the usual time more."""


@dataclass(frozen=True, slots=True)
class Aims:
    """What the plan is made for. Plans that only just keep a due date fail it half of the time."""

    margin: int = 7200
    """Working seconds before its due date that an order shall be finished."""
    weights: Weights = field(default_factory=Weights)


TRIES = 4
"""Dispatch rules that are tried, beside the published plan moved only where it must."""

WORK = 0.1
"""Of the search, for one plan, as :class:`~cloud.dispatching.solving.limits.Limits` counts it."""


def plan(problem: Problem) -> Schedule:
    """What the service's engine plans, within limits that do not depend on the clock.

    The search over lists has all of the work: an exact model of a part takes longer than there is time for a
    plan here.
    """
    start = construct(problem, tries=TRIES)
    if not available():
        return start
    return improve(problem, start, Limits(seconds=WORK, workers=0, deterministic=True))


def make_problem(
    board: Board, published: Schedule | None, frozen: Collection[str], now: int, aims: Aims
) -> Problem:
    """What is to be planned at ``now``; ``frozen`` operations keep their machines and their order there."""
    due = {order.id: _due(board, order, now, aims) for order in board.orders.values()}
    placements = published.placements() if published is not None else {}
    return Problem(
        origin=0,
        now=now,
        machines=tuple(_machine(board, machine, now) for machine in board.machines.values()),
        operations=tuple(
            replace(
                _operation(board, operation, placements.get(operation.id), frozen, now),
                due=due[operation.order_id],
            )
            for operation in board.open.values()
        ),
        transports=tuple(_transports(board)),
        published={name: placement for name, placement in placements.items() if name in board.open},
        weights=aims.weights,
    )


def _due(board: Board, order: Order, now: int, aims: Aims) -> int:
    """The due date to plan for; what is late already is not made later still."""
    left = board.shifts.worked(order.due) - board.shifts.worked(now)
    return board.shifts.after(now, left - aims.margin) if left > 0 else order.due


def _machine(board: Board, machine: Machine, now: int) -> Machine:
    windows = [Window(start=s, end=e, reason="no shift") for s, e in board.shifts.closed(now, now + CALENDAR)]
    if (ready := board.changing.get(machine.id, now)) > now:
        windows.append(Window(start=now, end=ready, reason="changing over"))
    if machine.id in board.down:
        windows.append(Window(start=now, end=now + repair_left(board, machine.id, now), reason="down"))
    return replace(machine, setup=dict(board.setups[machine.id]), unavailable=tuple(windows))


def repair_left(board: Board, machine: str, now: int) -> int:
    """Seconds until a machine that is down is expected to be up; 0 for one that is up."""
    down = board.down.get(machine)
    if down is None:
        return 0
    least = board.shifts.after(now, board.repairs[machine] // OVERDUE)
    return max(down.expected, least) - now


def _operation(
    board: Board, operation: Operation, placement: Placement | None, frozen: Collection[str], now: int
) -> Operation:
    waits_for = tuple(name for name in operation.predecessors if name in board.open)
    begun = board.begun.get(operation.id)
    if begun is not None:
        alternative = operation.alternative(begun.machine)
        least = alternative.seconds // OVERRUN if alternative is not None else 0
        left = max(begun.ends - now, least, 1) + repair_left(board, begun.machine, now)
        return replace(
            operation,
            predecessors=waits_for,
            state=State.FIXED,
            machine=begun.machine,
            start=begun.at,
            remaining=left,
        )
    there = min(board.there(operation, a.machine) for a in operation.alternatives)
    operation = replace(operation, predecessors=waits_for, earliest=max(now, there))
    if placement is not None and operation.id in frozen:
        return replace(operation, state=State.LEASED, machine=placement.machine, start=now)
    return operation


def _transports(board: Board) -> Iterator[Transport]:
    if board.transport:
        for one in board.machines:
            for other in board.machines:
                if one != other:
                    yield Transport(origin=one, destination=other, seconds=board.transport)
