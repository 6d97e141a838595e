"""Why the plan has a maintenance where it is: what ends just before it, or what it is kept back for."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

from cloud.dispatching.shop.problem import Maintenance, Problem
from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.shop.shared_explanation import short_of


class ServiceCause(StrEnum):
    """What a maintenance waits for."""

    NOW = "now"
    """Nothing: it begins as soon as the plan does."""
    EARLIEST = "earliest"
    """It may not begin before: parts are on their way."""
    WORK = "work"
    """Work that the machine does until then."""
    MAINTENANCE = "maintenance"
    """Another maintenance of the machine."""
    UNAVAILABLE = "unavailable"
    """The machine is not there before."""
    RESOURCE = "resource"
    """Too few heads with a skill, or no tool, before."""
    KEPT = "kept"
    """It could begin earlier; waiting costs less than what other work would lose."""


class ServiceReason(Struct, frozen=True, kw_only=True):
    """Why ``maintenance`` begins at ``start``. Seconds after the problem's origin.

    ``other`` is the operation, maintenance, window or resource behind it; ``spare`` what is left between its
    end and ``bound``; ``earlier`` how much sooner it could begin (for *kept*).
    """

    maintenance: str
    start: int
    end: int
    bound: int
    cause: ServiceCause
    other: str = ""
    earlier: int = 0

    @property
    def spare(self) -> int:
        return self.bound - self.end


def explain_service(problem: Problem, schedule: Schedule, maintenance: str) -> ServiceReason:
    """The reason of one maintenance of a plan; raises KeyError for one that the plan leaves out."""
    service = schedule.services[maintenance]
    task = next(task for task in problem.maintenance if task.id == maintenance)
    until, cause, other = max(_before(problem, schedule, task, service.start), key=lambda held: held[0])
    if until < service.start:
        cause, other = ServiceCause.KEPT, _loser(schedule, task, service.start, service.end)
    return ServiceReason(
        maintenance=maintenance,
        start=service.start,
        end=service.end,
        bound=task.finish_before,
        cause=cause,
        other=other,
        earlier=max(0, service.start - until),
    )


def _before(
    problem: Problem, schedule: Schedule, task: Maintenance, start: int
) -> Iterator[tuple[int, ServiceCause, str]]:
    """What ends on the machine before it begins: until when, what, and its name."""
    yield problem.now, ServiceCause.NOW, ""
    if task.earliest > problem.now:
        yield task.earliest, ServiceCause.EARLIEST, ""
    for name, work in schedule.assignments.items():
        if task.stops(work.machine) and work.end <= start:
            yield work.end, ServiceCause.WORK, name
    for other in problem.maintenance:
        service = schedule.services.get(other.id)
        meets = any(other.stops(machine) for machine in (task.machine, *task.also))
        if service is not None and meets and service.end <= start and other is not task:
            yield service.end, ServiceCause.MAINTENANCE, other.id
    machine = next(machine for machine in problem.machines if machine.id == task.machine)
    for window in machine.unavailable:
        if window.end <= start:
            yield window.end, ServiceCause.UNAVAILABLE, window.reason
    for lack in short_of(problem, schedule, task, start):
        yield lack.until, ServiceCause.RESOURCE, lack.resource


def _loser(schedule: Schedule, task: Maintenance, start: int, end: int) -> str:
    """The work that follows on the machine: what an earlier maintenance would not have helped."""
    after = [(w.start, name) for name, w in schedule.assignments.items() if task.stops(w.machine)]
    return min((found for found in after if found[0] >= end), default=(0, ""))[1]
