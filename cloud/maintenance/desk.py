"""What people in the office decide about maintenance cases: one method each, the same for page and API.

Every method works in the caller's transaction and returns the case as it is afterwards. They raise
NoSuchCaseError, IllegalTransitionError (the state does not allow it; says what it allows) and ImpossibleStep
(with every reason at once).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from msgspec.structs import replace
from sqlalchemy import Connection, select

from cloud.ledger.tables import machine_lock
from cloud.maintenance import cases
from cloud.maintenance.attendance import Shortage, done_by, shortages
from cloud.maintenance.case import WHY, Case, ImpossibleStep, Objection, Step, Verdict
from cloud.maintenance.foresight import Foresight
from cloud.maintenance.prognosis import PlannedLoad, planned_load
from cloud.maintenance.work_order import Foreseen, Life, WorkOrder, foresee_again, life, propose
from protocols.calendar import zone
from protocols.clock import Clock
from protocols.lifecycles import CASE, CaseEvent, CaseState, LockState
from protocols.order_window import Declined, Outside
from protocols.prognostics.model import Prognoser
from protocols.site import Site
from protocols.site_maintenance import Upkeep
from protocols.values import MICROSECONDS

Busy = Callable[[Connection, str], Iterable[tuple[int, int]]]
"""Spans (µs UTC) in which a workcell has planned work."""
Planned = Callable[[Connection, str], tuple[int, int] | None]
"""Where the plan has the order of a case (µs UTC)."""


class ModelsInUse(Protocol):
    """By version: what evaluates a model, and why one that should be in use is not."""

    @property
    def prognosers(self) -> Mapping[str, Prognoser]: ...

    @property
    def refused(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class NoModels:
    """No model is in use."""

    prognosers: Mapping[str, Prognoser] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CaseDesk:
    """``usual`` is how machines are kept up where the site file does not say. ``foresights`` are asked in
    their order for what is known of the remaining life.
    """

    site: Site
    clock: Clock
    busy: Busy
    planned: Planned
    usual: Upkeep = field(default_factory=Upkeep)
    foresights: Sequence[Foresight] = ()
    models: ModelsInUse = field(default_factory=NoModels)
    """The models of remaining life that are in use, for whoever tells what they go by."""

    # --- what people decide ---------------------------------------------------------------------------

    def acknowledge(self, tx: Connection, case: str, actor: str, note: str = "") -> Case:
        """Somebody has seen it."""
        return self._step(tx, case, CaseEvent.ACKNOWLEDGE, actor, note)

    def snooze(self, tx: Connection, case: str, actor: str, until: int, note: str = "") -> Case:
        """Remind nobody before ``until`` (µs UTC)."""
        return cases.step(tx, case, Step(CaseEvent.SNOOZE, actor, self.clock.now(), note, until=until))

    def plan(self, tx: Connection, case: str, actor: str, note: str = "") -> Case:
        """Make a maintenance order of it, which the planner places."""
        found = cases.find(tx, case)
        CASE.next(case, found.state, CaseEvent.PLAN)  # the clearer refusal comes first
        # Its revision is higher than that of any order the case had before: see `edge.control.upkeep`.
        order = replace(self.proposal(tx, found), revision=cases.steps(tx, case))
        return self._step(tx, case, CaseEvent.PLAN, actor, note, order)

    def move(
        self, tx: Connection, case: str, actor: str, start: int, note: str, *, beyond: bool = False
    ) -> Case:
        """Have the order begin at ``start`` (µs UTC), whatever the planner thinks of it, and say why.

        ``beyond`` its window, before its parts come or past its bound, only a supervisor puts it.
        """
        _require_reason(note)
        order = self._order(tx, case, CaseEvent.MOVE)
        declined = None if beyond else order.against(start, self.clock.now())
        if declined is not None:
            raise ImpossibleStep([self._outside(declined, order)])
        return self._step(tx, case, CaseEvent.MOVE, actor, note, order.kept_at(start))

    def supply(self, tx: Connection, case: str, actor: str, parts_at: int, note: str = "") -> Case:
        """Say when the parts of the order are there (µs UTC): the planner has it not before."""
        order = self._order(tx, case, CaseEvent.SUPPLY)
        return self._step(
            tx,
            case,
            CaseEvent.SUPPLY,
            actor,
            note,
            order.supplied_at(parts_at, done_by(self.site, order.skills)),
        )

    def keep(self, tx: Connection, case: str, actor: str, note: str) -> Case:
        """Keep the order where the plan in force has it, and say why."""
        _require_reason(note)
        order = self._order(tx, case, CaseEvent.KEEP)
        place = self.planned(tx, case)
        if place is None:
            raise ImpossibleStep(
                [Objection("case", "the plan has found no room for it yet: move it to a time instead")]
            )
        return self._step(tx, case, CaseEvent.KEEP, actor, note, order.kept_at(place[0]))

    def free(self, tx: Connection, case: str, actor: str, note: str = "") -> Case:
        """Let the planner place the order again."""
        order = self._order(tx, case, CaseEvent.FREE)
        if order.fixed is None:
            raise ImpossibleStep([Objection("case", "nobody has given it a time: the planner places it")])
        return self._step(tx, case, CaseEvent.FREE, actor, note, order.freed())

    def refuse(self, tx: Connection, case: str, actor: str, note: str) -> Case:
        """Want no such order; the suspicion stays."""
        return self._step(tx, case, CaseEvent.REFUSE, actor, note)

    def done(self, tx: Connection, case: str, actor: str, note: str = "") -> Case:
        """It was done without a terminal. What was begun at one ends there, with the machine's lock."""
        found = cases.find(tx, case)
        at = machine_lock.c
        query = select(machine_lock).where(at.device == found.device, at.state != LockState.FREE)
        lock = tx.execute(query).first()
        if lock is not None:
            next_step = (
                f"{lock.owner} releases it at {lock.workcell} (F10), then production accepts it there"
                if lock.state == LockState.LOCKED
                else f"production accepts it at {lock.workcell} (F10)"
            )
            raise ImpossibleStep(
                [
                    Objection(
                        "case", f"{found.device} is still {lock.state}: {next_step}, and the case is done"
                    )
                ]
            )
        return self._step(tx, case, CaseEvent.FINISH, actor, note)

    def judge(
        self, tx: Connection, case: str, actor: str, verdict: Verdict, cause: str = "", found: str = ""
    ) -> Case:
        """Say what came of it: the case is closed, and its verdict a label."""
        now = self.clock.now()
        return cases.step(
            tx, case, Step(CaseEvent.CLOSE, actor, now, verdict=verdict, cause=cause, found=found)
        )

    # --- orders ---------------------------------------------------------------------------------------

    def upkeep(self, case: Case) -> Upkeep:
        """What is done against the failure of a case."""
        return self.upkeep_of(case.device, case.mode)

    def upkeep_of(self, device: str, mode: str) -> Upkeep:
        """What is done against a failure mode of a device; raises KeyError for an unknown one."""
        found, section = self.site.upkeep(device, mode), self.site.maintenance
        unsaid = found is section.default and "default" not in section.model_fields_set
        return self.usual if unsaid else found

    def foreseen(self, tx: Connection, case: Case) -> Foreseen | None:
        """What is known of the remaining life of a case's asset."""
        now = self.clock.now()
        return next((known for ask in self.foresights if (known := ask(tx, case, now)) is not None), None)

    def life(self, tx: Connection, case: Case) -> Life | None:
        """The same with its dates, by the work that is planned for the machine."""
        known = self.foreseen(tx, case)
        return None if known is None else self.dated(tx, case.device, known)

    def dated(self, tx: Connection, device: str, known: Foreseen) -> Life:
        """What is foreseen of a machine, with its dates by the work that is planned for it."""
        now = self.clock.now()
        return life(known, now, self._load(tx, device, now))

    def _workcells(self, name: str) -> tuple[str, ...]:
        device = self.site.devices().get(name)
        return device.workcells if device is not None else ()

    def _load(self, tx: Connection, device: str, now: int) -> PlannedLoad:
        """When a machine has work, at whichever of its workcells."""
        spans = [span for cell in self._workcells(device) for span in self.busy(tx, cell)]
        return planned_load(spans, self.site.calendar, now)

    def proposal(self, tx: Connection, case: Case) -> WorkOrder:
        """The maintenance order that a case proposes now."""
        now = self.clock.now()
        workcell, load = next(iter(self._workcells(case.device)), ""), self._load(tx, case.device, now)
        upkeep = self.upkeep(case)
        done = done_by(self.site, upkeep.needs)
        return propose(upkeep, workcell, now, load, self.foreseen(tx, case), done)

    def shortages(self, case: Case) -> list[Shortage]:
        """What is missing for a case's order, while it waits."""
        waits = case.state is CaseState.PLANNED and case.order is not None
        return shortages(self.site, case.order, self.clock.now()) if waits and case.order is not None else []

    def foresee_again(self, tx: Connection) -> list[str]:
        """Give planned orders another bound where the remaining life is known better by now; the ids of
        their cases.
        """
        changed: list[str] = []
        for case in cases.cases(tx, open_only=True):
            if case.state is not CaseState.PLANNED or case.order is None:
                continue
            if self.foreseen(tx, case) is None:
                continue
            better = foresee_again(case.order, self.proposal(tx, case), done_by(self.site, case.order.skills))
            if better is not None:
                self._step(tx, case.id, CaseEvent.FORESEE, cases.OPENER, "", better)
                changed.append(case.id)
        return changed

    def _outside(self, declined: Declined, order: WorkOrder) -> Objection:
        """Why an order cannot begin at a time, with its limits on the clock of the site."""
        place = zone(self.site.calendar)
        limit, bound = (
            f"{datetime.fromtimestamp(ts / MICROSECONDS, place):%Y-%m-%d %H:%M}"
            for ts in (declined.limit, order.bound)
        )
        return Objection("start", _OUTSIDE[declined.why], {"limit": limit, "bound": bound})

    # --- inside ---------------------------------------------------------------------------------------

    def _order(self, tx: Connection, case: str, event: CaseEvent) -> WorkOrder:
        found = cases.find(tx, case)
        CASE.next(case, found.state, event)
        if found.order is not None:
            return found.order
        return self.proposal(tx, found)  # planned by an older version, which made none

    def _step(
        self,
        tx: Connection,
        case: str,
        event: CaseEvent,
        actor: str,
        note: str,
        order: WorkOrder | None = None,
    ) -> Case:
        return cases.step(tx, case, Step(event, actor, self.clock.now(), note, order))


_OUTSIDE = {
    Outside.PAST: "is past: it is {limit} now",
    Outside.PARTS: "the parts are there at {limit}: earlier than that only a supervisor moves it",
    Outside.BOUND: "the latest begin is {limit}, so that it is done before its bound {bound}: later than "
    "that only a supervisor moves it",
}


def _require_reason(note: str) -> None:
    """Steps of earlier versions had none, and can be worked out again: so the desk asks for it."""
    if not note.strip():
        raise ImpossibleStep([Objection("note", WHY)])
