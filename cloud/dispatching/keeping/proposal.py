"""Plans of an earlier moment, carried on to now: the plan in force, and one that somebody has accepted."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from msgspec.structs import replace

from cloud.dispatching.floor.floor import Floor, effective_lease
from cloud.dispatching.questions.scenario import under
from cloud.dispatching.shop.problem import MICROSECONDS, Placement, Problem
from cloud.dispatching.shop.schedule import Schedule, evaluate
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.construct import repair

_log = structlog.get_logger(__name__)


def carried_on(problem: Problem) -> tuple[Problem, Schedule]:
    """The plan in force as it goes on from now if nothing is planned anew: moved only where it must, and the
    problem with it as the published plan, so that staying with it costs nothing.
    """
    kept = repair(problem)
    based = under(problem, kept)
    return based, replace(kept, objective=evaluate(based, kept.assignments, kept.services))


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plan that somebody has accepted, with the origin of its times (µs UTC)."""

    origin: int
    schedule: Schedule

    def start(self, problem: Problem) -> Schedule | None:
        """A valid plan of ``problem`` as near to the proposed one as it can be; None where there is none."""
        known = {operation.id for operation in problem.operations}
        shift = (self.origin - problem.origin) // MICROSECONDS
        wanted = {
            name: Placement(machine=a.machine, start=a.start + shift)
            for name, a in self.schedule.assignments.items()
            if name in known
        }
        near = repair(replace(problem, published=wanted))
        # What leaving the published plan costs is another matter than what the proposal wanted.
        plan = replace(near, objective=evaluate(problem, near.assignments, near.services))
        if broken := violations(problem, plan):
            _log.warning("an accepted plan is no start for the next one", broken=broken[0])
            return None
        return plan


def elsewhere(floor: Floor, schedule: Schedule) -> list[str]:
    """Operations that an edge holds or works on at another workcell than ``schedule`` has them."""
    held = {name: lease.workcell for name in floor.leases if (lease := effective_lease(floor, name))}
    held |= {name: run.workcell for run in floor.runs for name in run.operations}
    planned = schedule.assignments
    return [name for name, cell in held.items() if name in planned and planned[name].machine != cell]
