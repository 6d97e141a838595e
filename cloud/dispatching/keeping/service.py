"""Keeps a plan in force: looks at the floor, plans anew when it must, hands out job lists, asks leases back.

One loop. It compares the floor with the plan in force, so that nothing depends on having heard an event;
events only wake it. Planning runs outside the event loop; while it does, job lists go on being handed out,
and where something is urgent, the best plan so far is put in force early.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import msgspec
import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from cloud.dispatching.floor.building import build
from cloud.dispatching.floor.floor import Floor, read_floor
from cloud.dispatching.floor.plannable import unplannable
from cloud.dispatching.floor.wishes import WishSource, planned_cases
from cloud.dispatching.keeping import joblists, plans
from cloud.dispatching.keeping.causes import LATENESS, TOLD_FIRST, causes
from cloud.dispatching.keeping.making import Look, Making, SearchProgress, Situation
from cloud.dispatching.keeping.plans import Cause
from cloud.dispatching.keeping.proposal import Proposal, elsewhere
from cloud.dispatching.keeping.releases import Wanted, wanted
from cloud.dispatching.settings import DispatchSettings
from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.shop.validation import ImpossibleProblem
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.construct import construct, repair
from cloud.dispatching.solving.search import cache
from cloud.dispatching.solving.solve import Progress, solve
from cloud.dispatching.solving.standby import Standby
from cloud.hub import (
    ActionsLedgered,
    CaseChanged,
    Event,
    Hub,
    OrdersChanged,
    PlanPublished,
    QualityChanged,
    StatesLedgered,
    Subscription,
)
from cloud.orders import exceptions, journal, leases
from cloud.store.database import Database, DatabaseClosedError, after_commit
from protocols.clock import Clock
from protocols.jobs import JobList, ReleaseRequest
from protocols.site import Site
from protocols.states import JobsApplied, MachineStateChanged, StopClosed, StopOpened
from protocols.values import MICROSECONDS

_log = structlog.get_logger(__name__)

_TELLING = (MachineStateChanged, StopOpened, StopClosed, JobsApplied)
"""States that may change what should be planned or handed out."""
_TRIES_AFTER_ERROR = 5.0

ASKED = Cause("asked", "", "a person asked for a new plan")


class Publisher(Protocol):
    """Sends to edges until they have confirmed; must not block."""

    def publish_jobs(self, job_list: JobList) -> None:
        """Send a job list."""

    def request_release(self, edge: str, request: ReleaseRequest) -> None:
        """Ask for leased operations back."""

    def withdraw(self, edge: str, request: str) -> None:
        """Ask no more."""


class DispatchService:
    """Dispatching of one site; ``run`` lives in the service's TaskGroup."""

    def __init__(
        self,
        database: Database,
        hub: Hub,
        publisher: Publisher,
        site: Site,
        clock: Clock,
        settings: DispatchSettings | None = None,
        *,
        wishes: WishSource | None = None,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._database = database
        self._hub = hub
        self._publisher = publisher
        self._site = site
        self._clock = clock
        self._settings = settings or DispatchSettings()
        self._wishes = wishes or planned_cases(site, self._settings)
        self._new_id = new_id
        self._wake = asyncio.Event()
        self._asked: tuple[Cause, ...] = ()
        self._proposal: Proposal | None = None
        self._failing = False
        self._planned_at = float("-inf")
        self._hopeless: set[tuple[str, str]] = set()
        """What the last attempt could not make a plan of: tried again, but not at once."""
        self._standby = Standby()
        self._making: Making | None = None
        """The plan being made, else the last one that was."""
        self.planning = False
        """Whether a plan is being made now, for the page."""

    async def run(self) -> None:
        """Dispatch until cancelled."""
        await asyncio.to_thread(cache.prepare)
        kinds: set[type[Event]] = {
            ActionsLedgered,
            StatesLedgered,
            OrdersChanged,
            CaseChanged,
            QualityChanged,
        }
        try:
            await self._have_one_wait()
            async with self._hub.subscribe(kinds) as events, asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(events), name="dispatching events")
                tasks.create_task(self._serve(), name="dispatching")
        finally:
            await asyncio.to_thread(self._standby.close)

    def replan(self, cause: Cause = ASKED, proposal: Proposal | None = None) -> None:
        """Plan anew soon though nothing may have changed: a person asked for it. From the event loop.

        The search begins with ``proposal`` where that is better than what dispatch rules make.
        """
        self._asked = (*self._asked, cause)
        self._proposal = proposal or self._proposal
        self._wake.set()

    def progress(self) -> SearchProgress:
        """How far the search for a plan is."""
        if self._making is None:
            return SearchProgress(searching=False)
        return self._making.progress(self._clock.monotonic())

    async def override_lease(self, operation: str, actor: str) -> bool:
        """A person takes an operation away from the edge that holds it, which may work on it all the same.

        False when nobody holds it. The decision is in the journal under ``actor``.
        """
        now = self._clock.now()
        command = f"override-{self._new_id()}"

        def work(tx: Connection) -> tuple[bool, list[tuple[str, str]]]:
            if not leases.override(tx, operation):
                return False, []
            body = msgspec.json.encode({"operation": operation})
            journal.append_command(tx, command, journal.OVERRIDE, actor, now, body)
            return True, leases.drop_requests(tx, operation, now)

        done, requests = await self._database.run(work)
        for edge, request in requests:
            self._publisher.withdraw(edge, request)
        if done:
            self.replan()
        return done

    # --- the loop -----------------------------------------------------------------------------------

    async def _listen(self, events: Subscription) -> None:
        async for event in events:
            if isinstance(event, StatesLedgered) and not any(isinstance(e, _TELLING) for e in event.events):
                continue
            self._wake.set()

    async def _serve(self) -> None:
        started = False
        while True:
            asked, self._asked = self._asked, ()
            try:
                if not started:
                    await self._send_again()
                    started = True
                await self._once(asked)
            except DatabaseClosedError:
                raise
            except Exception as error:  # noqa: BLE001 - the floor goes on with the plan in force
                self._asked = (*asked, *self._asked)
                await self._failed(error)
                await asyncio.sleep(_TRIES_AFTER_ERROR)
            else:
                self._failing = False
            await self._rest()

    async def _failed(self, error: Exception) -> None:
        """Say what failed, once until all is well again: in the log, and where a person reads it.

        What goes wrong with the database is for the log alone: the inbox is in it.
        """
        if not self._failing:
            _log.error("dispatching failed", exc_info=error, retry_in=_TRIES_AFTER_ERROR)
        self._failing = True
        if isinstance(error, OperationalError):
            return
        try:
            await self._complain("plan", "service", f"planning failed: {type(error).__name__}: {error}")
        except SQLAlchemyError as refused:
            _log.warning("the inbox cannot be written", error=str(refused).splitlines()[0])

    async def _once(self, asked: Sequence[Cause]) -> None:
        """One look: a new plan where there is a cause or one is asked for, and the job lists that follow."""
        self._wake.clear()
        look = await self._look()
        found = [*look.causes, *dict.fromkeys(asked)]
        if found and self._worth_it(found):
            if look.news and any(cause.kind in TOLD_FIRST for cause in found):
                await self._hand_out()
            await self._plan(look, found)
        elif look.news:
            await self._hand_out()

    async def _rest(self) -> None:
        """Until something is heard, or it is time to look anyway; then a moment more, to gather causes."""
        # Not wait_for: that of Python 3.11 may swallow a cancellation.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.look_seconds):
                await self._wake.wait()
        if self._wake.is_set():
            await asyncio.sleep(self._settings.debounce_seconds)

    def _worth_it(self, found: Sequence[Cause]) -> bool:
        known = {(cause.kind, cause.about) for cause in found}
        if known != self._hopeless and any(cause.kind not in LATENESS for cause in found):
            return True
        return self._clock.monotonic() - self._planned_at >= self._settings.late_seconds

    async def _look(self) -> Look:
        return await self._database.query(self._looking)

    def situation(self, tx: Connection, now: int) -> Situation:
        """The floor and the maintenance that wants doing, as planning would see them at ``now`` (µs UTC)."""
        cells = self._site.workcells()
        wishes = tuple(wish for wish in self._wishes(tx, now) if wish.workcell in cells)
        return Situation(read_floor(tx, self._site, now, self._settings.repair_seconds), wishes)

    def _looking(self, tx: Connection) -> Look:
        floor, wishes = self.situation(tx, self._clock.now())
        before = plans.stored(tx)
        found = causes(
            floor,
            self._site,
            self._settings,
            planned_down=before.down if before is not None else (),
            wishes=wishes,
            planned_wishes=before.wishes if before is not None else (),
            planned_decisions=before.decisions if before is not None else (),
            planned_stuck=before.stuck if before is not None else (),
        )
        news = joblists.drafts(tx, floor, self._site, self._settings.ahead) or self._wanted(tx, floor)
        return Look(floor, wishes, tuple(found), bool(news))

    def _wanted(self, tx: Connection, floor: Floor) -> list[Wanted]:
        patience = floor.now - round(self._settings.ask_again_seconds * MICROSECONDS)
        return wanted(floor, self._site, leases.may_ask(tx), leases.answered_lately(tx, patience))

    # --- planning -----------------------------------------------------------------------------------

    async def _plan(self, look: Look, found: Sequence[Cause]) -> None:
        self.planning = True
        making = Making(look, tuple(found), self._clock.monotonic(), self._clock.now())
        self._making = making
        try:
            for operation, reason in unplannable(look.floor, self._site).items():
                await self._complain("plan", operation, f"{operation} {reason}")
            problem = await asyncio.to_thread(self.problem, Situation(look.floor, look.wishes))
            if look.floor.version == 0 and problem.operations:
                await self._put_in_force(problem, await asyncio.to_thread(construct, problem), making)
            proposal, self._proposal = self._proposal, None
            start = await asyncio.to_thread(proposal.start, problem) if proposal is not None else None
            await self._search(problem, making, start)
        except ImpossibleProblem as error:
            await self._complain("plan", "problem", f"the plan in force stays: {error}")
            await self._hand_out()
        finally:
            self.planning = False
            self._planned_at = making.ended = self._clock.monotonic()
            self._hopeless = {(c.kind, c.about) for c in found} if making.in_force is None else set()

    def problem(self, situation: Situation, origin: int | None = None) -> Problem:
        """The problem of a moment; where leased work waits for itself, with its order left open.

        ``origin`` as in :func:`~cloud.dispatching.floor.building.build`. Takes a while: not for the loop.
        """
        floor, wishes = situation
        try:
            return build(floor, self._site, self._settings, wishes, origin=origin)
        except ImpossibleProblem:
            _log.warning("the order of leased work is impossible, it is left open")
            return build(floor, self._site, self._settings, wishes, keep_order=False, origin=origin)

    async def _search(self, problem: Problem, making: Making, start: Schedule | None) -> None:
        """Search within the budget and put the best plan in force.

        Handing out goes on meanwhile. For urgent causes the best plan so far is put in force after
        ``hurry_seconds``; urgent news that come during the search end it after as long.
        """
        cancel = threading.Event()
        loop = asyncio.get_running_loop()

        def progress(so_far: Progress) -> None:
            making.best = so_far.schedule  # from the solver's thread: one assignment
            making.found += 1

        search = loop.run_in_executor(
            None,
            partial(
                solve,
                problem,
                self._settings.solve_seconds,
                start=start,
                workers=self._settings.workers,
                cancel=cancel,
                on_progress=progress,
                start_process=self._standby.take,
            ),
        )
        search.add_done_callback(lambda _: self._wake.set())
        hurried = not making.urgent
        hurry_at = loop.time() + self._settings.hurry_seconds
        try:
            while not search.done():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(None if hurried else hurry_at):
                        await self._wake.wait()
                self._wake.clear()
                if search.done():
                    break
                if not hurried and loop.time() >= hurry_at:
                    hurried = making.best is not None
                    hurry_at += self._settings.debounce_seconds
                    if making.best is not None:
                        await self._put_in_force(problem, making.best, making)
                look = await self._look()
                if any(making.is_news(cause) for cause in look.causes):
                    loop.call_later(self._settings.hurry_seconds, cancel.set)
                if look.news:
                    await self._hand_out()
                await asyncio.wait({search}, timeout=self._settings.debounce_seconds)
            await self._put_in_force(problem, search.result(), making)
        finally:
            cancel.set()
            if not search.done():
                await asyncio.wait({search})  # cancelled: the solver process must not outlive us
            self._wake.set()  # whatever was heard meanwhile is looked at again
        await self._have_one_wait()

    async def _have_one_wait(self) -> None:
        """A solver process for the next plan; without one, planning starts its own."""
        if not (self._settings.standby and self._settings.solve_seconds):
            return
        try:
            await asyncio.to_thread(self._standby.refill)
        except OSError as error:
            _log.warning("no solver process on standby", error=str(error))

    async def _put_in_force(self, problem: Problem, schedule: Schedule, making: Making) -> None:
        """Store a valid plan and hand out what follows from it; one that is no better than its own
        predecessor of the same search changes nothing.

        Edges may have taken up work of that predecessor meanwhile: then the plan is fitted to what they hold.
        """
        if making.in_force is not None and schedule.objective.total >= making.in_force.objective.total:
            return
        floor = making.look.floor
        if making.in_force is not None:
            now_there = await self._database.query(lambda tx: self.situation(tx, self._clock.now()))
            if elsewhere(now_there.floor, schedule):
                fitted = await asyncio.to_thread(self._fitted, problem, schedule, now_there)
                if fitted is None:
                    return
                problem, schedule, floor = *fitted, now_there.floor
        broken = violations(problem, schedule)
        if broken:
            await self._complain(
                "plan", "schedule", f"the plan in force stays, a new one breaks: {broken[0]}"
            )
            return
        now = self._clock.now()
        seconds = self._clock.monotonic() - making.began

        def work(tx: Connection) -> int:
            version = plans.store(
                tx,
                problem,
                schedule,
                causes=making.causes,
                down=[*floor.down],
                seconds=seconds,
                now=now,
                keep=self._settings.keep_plans,
                decisions=[decision.id for decision in floor.decisions],
                stuck=[*floor.stuck],
                material={o.id: o.material_at for o in floor.operations if o.material_at is not None},
                wishes=[wish.key for wish in making.look.wishes],
                held={o.id for o in floor.operations if o.held is not None},
            )
            for concerns in ("problem", "schedule", "service"):
                exceptions.settle(tx, ts=now, kind="plan", concerns=concerns)
            leases.forget_returned(tx, [name for name, held in floor.leases.items() if held.returned])
            after_commit(tx, lambda: self._hub.publish(PlanPublished(version)))
            return version

        version = await self._database.run(work)
        making.in_force = schedule
        causes_shown = [cause.text for cause in making.causes[:5]]
        _log.info("plan", version=version, status=str(schedule.status), causes=causes_shown)
        await self._hand_out()

    def _fitted(
        self, problem: Problem, schedule: Schedule, situation: Situation
    ) -> tuple[Problem, Schedule] | None:
        """A plan as near as can be to ``schedule`` for what the floor is now, with its problem; None where
        staying with the plan in force costs no more."""
        anew = self.problem(situation, problem.origin)
        near = Proposal(problem.origin, schedule).start(anew)
        if near is None or near.objective.total >= repair(anew).objective.total:
            return None
        return anew, near

    # --- towards the edges --------------------------------------------------------------------------

    async def _hand_out(self) -> None:
        """Issue the job lists that changed, and ask for leases that stand in the way of the plan."""
        issued, asked = await self._database.run(self._handing_out)
        for jobs in issued:
            self._publisher.publish_jobs(jobs)
        for edge, request in asked:
            self._publisher.request_release(edge, request)

    def _handing_out(self, tx: Connection) -> tuple[list[JobList], list[tuple[str, ReleaseRequest]]]:
        floor = self._floor(tx)
        asked: list[tuple[str, ReleaseRequest]] = []
        for want in self._wanted(tx, floor):
            request = ReleaseRequest(self._new_id(), want.operations, want.reason)
            leases.ask(tx, request.request, want.edge, list(want.operations), want.reason, floor.now)
            asked.append((want.edge, request))
        # Lists come after the requests: none may have what was asked back.
        names = {name for _, request in asked for name in request.operations}
        floor = msgspec.structs.replace(floor, asked=floor.asked | names)
        return joblists.issue(tx, floor, self._site, self._settings.ahead, floor.now), asked

    def _floor(self, tx: Connection) -> Floor:
        return read_floor(tx, self._site, self._clock.now(), self._settings.repair_seconds)

    async def _send_again(self) -> None:
        """After a start: what an edge has not confirmed may never have reached it."""

        def work(tx: Connection) -> tuple[list[JobList], list[tuple[str, ReleaseRequest]]]:
            leases.drop_strangers(tx, self._site.edge_of())
            return joblists.unconfirmed(tx), leases.unanswered(tx)

        issued, asked = await self._database.run(work)
        for jobs in issued:
            self._publisher.publish_jobs(jobs)
        for edge, request in asked:
            self._publisher.request_release(edge, request)

    async def resend(self, edge: str) -> None:
        """Issue an edge's job list once more, e.g. because it was put back to an older copy of its file."""

        def work(tx: Connection) -> JobList | None:
            floor = self._floor(tx)
            return joblists.reissue(tx, floor, self._site, self._settings.ahead, edge, floor.now)

        jobs = await self._database.run(work)
        if jobs is not None:
            self._publisher.publish_jobs(jobs)

    async def _complain(self, kind: str, concerns: str, text: str) -> None:
        """Put something into the exceptions inbox, once until it is settled."""
        now = self._clock.now()

        def work(tx: Connection) -> None:
            if not exceptions.is_open(tx, kind=kind, concerns=concerns):
                exceptions.record(tx, ts=now, kind=kind, concerns=concerns, text=text)

        await self._database.run(work)
