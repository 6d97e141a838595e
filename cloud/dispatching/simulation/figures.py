"""What a history is worth to customers and to the floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from msgspec import Struct

from cloud.dispatching.simulation.history import History

HOUR = 3600


class Figures(Struct, frozen=True, kw_only=True):
    """One run, or the mean over several. Hours are hours of the clock; ``working`` ones those of the shop."""

    orders: float
    weighted_tardiness_hours: float
    """Mean over all orders of weight times hours behind the due date."""
    on_time_share: float
    """Orders finished by their due date."""
    promises_kept_share: float
    """Orders finished by the date that was told when they came in."""
    promised_working_hours: float
    """Mean from the arrival of an order to the promised date: dates far away are easily kept."""
    flow_working_hours: float
    """Mean from the arrival of an order to its finish."""
    changeover_hours: float
    """All machines, preparations included."""
    busiest_machine: str
    busiest_share: float
    """Of the hours until the last arrival, how many the busiest machine was taken, repairs included."""
    replans: float = 0.0
    moved_share: float | None = None
    """Mean over the replans of the share of unfrozen planned operations that were moved."""
    planning_seconds: float = 0.0
    """Of the computer, for all plans together."""


def figures(history: History) -> Figures:
    """The figures of one run."""
    world, shifts = history.world, history.world.shifts
    finish = history.finishes()
    orders = world.orders
    late = [max(0, finish[order.id] - order.due) for order in orders]
    arrival = {order.id: shifts.worked(order.arrival) for order in orders}

    def mean_from_arrival(dates: Mapping[str, int]) -> float:
        return fmean(shifts.worked(date) - arrival[name] for name, date in dates.items()) / HOUR

    until = max(order.arrival for order in orders)
    busy: dict[str, int] = {machine.id: 0 for machine in world.machines}
    for one in history.done:
        busy[one.machine] += shifts.worked(min(one.end, until)) - shifts.worked(min(one.taken, until))
    busiest = max(busy, key=lambda name: busy[name])
    shares = [replan.moved / replan.open for replan in history.replans if replan.open]
    return Figures(
        orders=len(orders),
        weighted_tardiness_hours=fmean(o.weight * t for o, t in zip(orders, late, strict=True)) / HOUR,
        on_time_share=fmean(not seconds for seconds in late),
        promises_kept_share=fmean(finish[o.id] <= history.promised[o.id] for o in orders),
        promised_working_hours=mean_from_arrival(history.promised),
        flow_working_hours=mean_from_arrival(finish),
        changeover_hours=sum(one.start - one.taken for one in history.done) / HOUR,
        busiest_machine=busiest,
        busiest_share=busy[busiest] / max(1, shifts.worked(until)),
        replans=len(history.replans),
        moved_share=fmean(shares) if shares else None,
        planning_seconds=sum(replan.seconds for replan in history.replans),
    )


def mean(runs: Sequence[Figures]) -> Figures:
    """The mean over the runs of one policy; every run counts the same."""
    moved = [run.moved_share for run in runs if run.moved_share is not None]
    machines = [run.busiest_machine for run in runs]
    numbers = {
        name: fmean(getattr(run, name) for run in runs)
        for name in Figures.__struct_fields__
        if name not in ("busiest_machine", "moved_share")
    }
    return Figures(
        **numbers,
        busiest_machine=max(sorted(set(machines)), key=machines.count),
        moved_share=fmean(moved) if moved else None,
    )
