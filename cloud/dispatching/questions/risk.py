"""Will it be on time? The plan carried out many times, with durations that scatter and machines that fail.

Monte Carlo on the plan: every operation keeps its machine and every machine its order of work; when something
takes longer, what waits for it moves. What a sample assumes says :mod:`~cloud.dispatching.questions.rollout`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from cloud.dispatching.questions.assumptions import Assumptions, Shape
from cloud.dispatching.questions.rollout import Rollout
from cloud.dispatching.shop.explanation import Explanation, explain
from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule, orders

MOST_CELLS = 60_000_000
"""Operations × samples: half a gigabyte of ends."""


class OrderOutlook(Struct, frozen=True, kw_only=True):
    """When an order ends: as planned, on average, and with 10, 50 and 90 % probability by then.

    ``on_time`` is the share of samples that keep the due date, ``None`` where there is none. ``last`` is
    the operation it ends with in the plan.
    """

    order: str
    last: str
    due: int | None
    planned: int
    expected: int
    p10: int
    p50: int
    p90: int
    on_time: float | None


class LagOutlook(Struct, frozen=True, kw_only=True):
    """A longest lag: ``operation`` of ``order`` must start within ``most`` seconds after ``predecessor``.

    ``planned`` seconds are between them in the plan, at most ``p90`` in nine of ten samples; in the share
    ``broken`` of them it is longer than it may be.
    """

    operation: str
    predecessor: str
    order: str
    most: int
    planned: int
    p90: int
    broken: float


class Outlook(Struct, frozen=True, kw_only=True):
    """The orders of a plan, the least certain to be on time first; longest lags, what breaks most first."""

    assumptions: Assumptions
    orders: tuple[OrderOutlook, ...]
    lags: tuple[LagOutlook, ...] = ()

    @property
    def on_time(self) -> float | None:
        """Expected share of the orders with a due date that keep it."""
        shares = [order.on_time for order in self.orders if order.on_time is not None]
        return sum(shares) / len(shares) if shares else None


def risk(problem: Problem, schedule: Schedule, assumptions: Assumptions | None = None) -> Outlook:
    """What becomes of the orders when the plan meets the floor.

    ``schedule`` must be valid for ``problem``. Raises ValueError for assumptions that make no sense, all at
    once.
    """
    said = assumptions or Assumptions()
    wrong = list(_senseless(problem, said))
    if wrong:
        raise ValueError("; ".join(wrong))
    rollout = Rollout(problem, schedule, said)
    ends = rollout.ends()
    planned = orders(problem, schedule.assignments)
    of_order: dict[str, list[str]] = {}
    for operation in problem.operations:
        of_order.setdefault(operation.order_id, []).append(operation.id)
    found = []
    for order, names in of_order.items():
        end = np.max([ends[name] for name in names], axis=0)
        p10, p50, p90 = (round(float(value)) for value in np.percentile(end, (10, 50, 90)))
        due = planned[order].due
        found.append(
            OrderOutlook(
                order=order,
                last=max(names, key=lambda name: schedule.assignments[name].end),
                due=due,
                planned=planned[order].end,
                expected=round(float(np.mean(end))),
                p10=p10,
                p50=p50,
                p90=p90,
                on_time=None if due is None else float(np.mean(end <= due + 0.5)),
            )
        )
    found.sort(key=lambda one: (2.0 if one.on_time is None else one.on_time, one.p90))
    lags = sorted(_lags(rollout), key=lambda lag: -lag.broken)
    return Outlook(assumptions=said, orders=tuple(found), lags=tuple(lags))


def _lags(rollout: Rollout) -> Iterator[LagOutlook]:
    assignments = rollout.schedule.assignments
    for operation, name, waits in rollout.waits():
        most = operation.max_lags[name]
        yield LagOutlook(
            operation=operation.id,
            predecessor=name,
            order=operation.order_id,
            most=most,
            planned=assignments[operation.id].start - assignments[name].end,
            p90=round(float(np.percentile(waits, 90))),
            broken=float(np.mean(waits > most + 0.5)),
        )


def chain(problem: Problem, schedule: Schedule, outlook: OrderOutlook) -> Explanation:
    """What the order's last operation waits for in the plan, link by link."""
    return explain(problem, schedule, outlook.last)


def _senseless(problem: Problem, said: Assumptions) -> Iterator[str]:
    machines = {machine.id for machine in problem.machines}
    most = MOST_CELLS // max(1, len(problem.operations))
    limit = 1.0 if said.shape is Shape.TRIANGULAR else 5.0
    if not 0 <= said.spread <= limit:
        yield f"spread {said.spread:g} is not between 0 and {limit:g} ({said.shape})"
    if not 1 <= said.samples <= most:
        yield f"{said.samples} samples: 1 to {most} are possible for {len(problem.operations)} operations"
    for name, each in said.breakdowns.items():
        if name not in machines:
            yield f"breakdowns of the unknown machine {name}"
        if not each.mean_between >= 1 or not each.mean_repair >= 0:
            yield (
                f"machine {name} fails every {each.mean_between:g} s for {each.mean_repair:g} s: "
                "1 s and 0 s are the least"
            )
