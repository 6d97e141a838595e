"""What if: scenarios of one site, from the question to the answer that gets better, and to *accept*.

A scenario is the present floor with changes that are made and rolled back
(:mod:`cloud.dispatching.asking.trial`).
The first answer is there at once: the plan in force with what changed put into its gaps, or a plan of the
dispatch rules where that is better. Then a search of its own improves it, one scenario at a time, in a
process that stands back behind that of live dispatching. Scenarios are kept in memory, few and not for long.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

import msgspec
import structlog

from cloud.dispatching.asking.changes import Doors, ImpossibleChanges, ScenarioRequest, make, words
from cloud.dispatching.asking.told import Compared, told
from cloud.dispatching.asking.trial import Imagined, imagine
from cloud.dispatching.asking.turns import BusyError, Turns
from cloud.dispatching.floor.floor import current_version
from cloud.dispatching.keeping.plans import Cause
from cloud.dispatching.keeping.proposal import Proposal, carried_on
from cloud.dispatching.keeping.service import DispatchService
from cloud.dispatching.questions.comparison import compare
from cloud.dispatching.questions.keeping import keep
from cloud.dispatching.questions.scenario import under
from cloud.dispatching.settings import DispatchSettings
from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.solving.construct import construct
from cloud.dispatching.solving.solve import Progress, solve
from cloud.hub import Hub, OrdersChanged
from cloud.orders.create import OrderDesk
from cloud.phrase import joined, phrase
from cloud.store.database import Database
from protocols.calendar import zone
from protocols.clock import Clock
from protocols.site import Site
from protocols.values import MICROSECONDS

_log = structlog.get_logger(__name__)

MAX_KEPT = 10
"""Scenarios in memory: the one unasked for longest makes room, if its search is over."""
KEPT_SECONDS = 900.0
"""How long a scenario is kept after somebody has last looked at it."""
WAIT_SECONDS = 20.0
"""How long after the last look somebody is thought to wait for a better answer."""
WATCH_SECONDS = 0.5
"""How often a search is looked after."""
NICE = 15
"""How far its solver stands back: that of live dispatching has 5, and gets ten times the processor."""
ANSWER_SECONDS = 2.0
"""What a first answer takes at most, in a shop of 2,000 operations."""


class ScenarioState(StrEnum):
    """How far a scenario is."""

    WAITING = "waiting"
    """The first answer is there; another scenario is being searched."""
    SEARCHING = "searching"
    FINISHED = "finished"
    FAILED = "failed"
    """The search broke off; the answer until then stands."""
    ACCEPTED = "accepted"


OPEN = (ScenarioState.WAITING, ScenarioState.SEARCHING)


class ScenarioHead(msgspec.Struct, frozen=True):
    """A scenario as a list shows it. ``asked`` and ``expires`` are µs UTC, ``seconds`` those of the search.

    ``cost`` is what the solver minimises, ``bound`` what no plan can undercut, ``gap`` the share that may
    still be saved (0…1). It is ``stale`` when the plan it was compared with is no longer in force.
    """

    id: str
    title: str
    state: ScenarioState
    changes: list[str]
    asked: int
    actor: str
    expires: int
    seconds: float
    plans: int
    cost: int
    bound: float | None
    gap: float | None
    version: int
    stale: bool
    note: str
    orders: list[str]
    """Orders that come in with it; the ids are given for good when it is accepted."""


class ScenarioAnswer(ScenarioHead, frozen=True):
    """A scenario with what it would change; better from one look to the next while it is searched."""

    comparison: Compared


class UnknownScenario(KeyError):
    """There is no such scenario, or no longer."""

    def __init__(self, scenario: str) -> None:
        self.reason = phrase(
            'there is no scenario "{scenario}": it was discarded, or nobody looked at it for {minutes} min, '
            "or the service has started since; ask anew",
            scenario=scenario,
            minutes=round(KEPT_SECONDS / 60),
        )
        super().__init__(str(self.reason))


class NoLongerPossible(ValueError):
    """The floor has changed since a scenario was asked for, so that it cannot be accepted."""

    def __init__(self, scenario: str, error: ImpossibleChanges) -> None:
        self.reason = phrase(
            "the floor has changed since {scenario} was asked for, so that it is not possible any more: "
            "{reasons}. Nothing was changed: ask anew",
            scenario=scenario,
            reasons=joined(
                phrase("{path}: {reason}", path=one.path, reason=one.reason) for one in error.problems
            ),
        )
        super().__init__(str(self.reason))


@dataclass(slots=True)
class _Asked:
    """One scenario. Times are monotonic seconds but for ``asked`` (µs UTC)."""

    id: str
    request: ScenarioRequest
    actor: str
    asked: int
    version: int
    orders: tuple[str, ...]
    base: Problem
    kept: Schedule
    """The plan in force, carried on: what the scenario is compared with."""
    problem: Problem
    best: Schedule
    looked_at: float
    state: ScenarioState = ScenarioState.WAITING
    plans: int = 1
    began: float | None = None
    ended: float | None = None
    note: str = ""
    cancel: threading.Event = field(default_factory=threading.Event)
    compared: tuple[Schedule, Compared] | None = None

    def seconds(self, monotonic: float) -> float:
        if self.began is None:
            return 0.0
        return (self.ended if self.ended is not None else monotonic) - self.began


class Scenarios:
    """The scenarios of one site. ``run`` lives in the service's TaskGroup; all is called from its loop."""

    def __init__(
        self,
        database: Database,
        hub: Hub,
        site: Site,
        desk: OrderDesk,
        dispatching: DispatchService,
        clock: Clock,
        settings: DispatchSettings | None = None,
        *,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex[:12],
    ) -> None:
        self._database = database
        self._hub = hub
        self._site = site
        self._desk = desk
        self._dispatching = dispatching
        self._clock = clock
        self._settings = settings or DispatchSettings()
        self._new_id = new_id
        self._zone = zone(site.calendar)
        self._kept: dict[str, _Asked] = {}
        self._queue: asyncio.Queue[_Asked] = asyncio.Queue()
        self._turns = Turns(ANSWER_SECONDS)
        self._accepting = asyncio.Lock()

    async def run(self) -> None:
        """Improve answers, the one asked for first first, until cancelled."""
        with ThreadPoolExecutor(1, "scenarios") as thread:
            while True:
                asked = await self._queue.get()
                if asked.state is ScenarioState.WAITING:
                    await self._improve(asked, thread)

    # --- asking -------------------------------------------------------------------------------------

    async def ask(self, request: ScenarioRequest, actor: str) -> ScenarioAnswer:
        """The first answer; the search for better ones goes on behind it.

        Raises:
            ImpossibleChanges: nobody could make these changes now; with every reason at once.
            ImpossibleProblem: with them the shop cannot be planned.
            BusyError: too many are asking.
        """
        self._make_room()
        async with self._turns.take():
            asked = await self._first(request, actor)
        self._kept[asked.id] = asked
        self._queue.put_nowait(asked)
        return await self._answer(asked)

    async def _first(self, request: ScenarioRequest, actor: str) -> _Asked:
        now = self._clock.now()
        doors = Doors(self._desk, self._site, actor, now)

        imagined = await imagine(self._database, self._dispatching, request.changes, doors)
        base, kept, problem, best = await asyncio.to_thread(self._plan, imagined)
        return _Asked(
            id=self._new_id(),
            request=request,
            actor=actor,
            asked=now,
            version=imagined.before.floor.version,
            orders=imagined.orders,
            base=base,
            kept=kept,
            problem=problem,
            best=best,
            looked_at=self._clock.monotonic(),
        )

    def _plan(self, imagined: Imagined) -> tuple[Problem, Schedule, Problem, Schedule]:
        base, kept = carried_on(self._dispatching.problem(imagined.before))
        problem = under(self._dispatching.problem(imagined.after, base.origin), kept)
        return base, kept, problem, _first_plan(problem, kept)

    # --- searching ----------------------------------------------------------------------------------

    async def _improve(self, asked: _Asked, thread: ThreadPoolExecutor) -> None:
        """Search until the time is up, it is proved, or nobody waits for it any more."""

        def progress(so_far: Progress) -> None:  # from the solver's thread: single assignments
            if so_far.schedule.objective.total <= asked.best.objective.total:
                asked.best = so_far.schedule
                asked.plans += 1

        asked.state, asked.began = ScenarioState.SEARCHING, self._clock.monotonic()
        search = asyncio.get_running_loop().run_in_executor(
            thread,
            partial(
                solve,
                asked.problem,
                self._settings.scenario_seconds,
                start=asked.best,
                workers=self._settings.scenario_workers,
                cancel=asked.cancel,
                on_progress=progress,
                nice=NICE,
            ),
        )
        state = ScenarioState.FINISHED
        try:
            while not search.done():
                await asyncio.wait({search}, timeout=WATCH_SECONDS)
                if self._clock.monotonic() - asked.looked_at > WAIT_SECONDS:
                    asked.cancel.set()  # nobody waits for a better one
            found = search.result()
            asked.note = found.note
            if found.objective.total <= asked.best.objective.total:
                asked.best = found
        except Exception as error:  # noqa: BLE001 - one scenario must not end the others
            _log.error("a scenario failed", scenario=asked.id, exc_info=error)
            asked.note, state = f"the search failed: {type(error).__name__}: {error}", ScenarioState.FAILED
        finally:
            asked.cancel.set()
            if not search.done():
                await asyncio.wait({search})  # cancelled: the solver process must not outlive us
            asked.ended = self._clock.monotonic()
            if asked.state is ScenarioState.SEARCHING:
                asked.state = state

    # --- answers ------------------------------------------------------------------------------------

    async def answer(self, scenario: str) -> ScenarioAnswer:
        """How far a scenario is; raises UnknownScenario."""
        return await self._answer(self._find(scenario))

    async def heads(self) -> list[ScenarioHead]:
        """The scenarios there are, newest first."""
        self._forget_old()
        version = await self._database.query(current_version)
        return [self._head(asked, version) for asked in reversed(self._kept.values())]

    def request(self, scenario: str) -> ScenarioRequest:
        """What was asked; raises UnknownScenario."""
        return self._find(scenario).request

    def discard(self, scenario: str) -> None:
        """Forget a scenario and end its search; raises UnknownScenario."""
        self._end(self._find(scenario))
        del self._kept[scenario]

    async def _answer(self, asked: _Asked) -> ScenarioAnswer:
        best = asked.best
        compared = asked.compared
        if compared is None or compared[0] is not best:
            compared = best, await asyncio.to_thread(self._compare, asked, best)
            asked.compared = compared
        version = await self._database.query(current_version)
        head = msgspec.structs.asdict(self._head(asked, version, best))
        return ScenarioAnswer(**head, comparison=compared[1])

    def _compare(self, asked: _Asked, best: Schedule) -> Compared:
        comparison = compare(asked.base, asked.kept, asked.problem, best, asked.request.title)
        return told(comparison, asked.problem, self._zone)

    def _head(self, asked: _Asked, version: int, best: Schedule | None = None) -> ScenarioHead:
        now = self._clock.monotonic()
        best = best or asked.best
        changes = [words(change) for change in asked.request.changes]
        left = asked.looked_at + KEPT_SECONDS - now
        return ScenarioHead(
            id=asked.id,
            title=asked.request.title or "; ".join(changes)[:120],
            state=asked.state,
            changes=changes,
            asked=asked.asked,
            actor=asked.actor,
            expires=self._clock.now() + round(max(0.0, left) * MICROSECONDS),
            seconds=round(asked.seconds(now), 3),
            plans=asked.plans,
            cost=best.objective.total,
            bound=best.bound,
            gap=best.gap,
            version=asked.version,
            stale=asked.version != version and asked.state is not ScenarioState.ACCEPTED,
            note=asked.note,
            orders=list(asked.orders),
        )

    def _find(self, scenario: str) -> _Asked:
        self._forget_old()
        asked = self._kept.get(scenario)
        if asked is None:
            raise UnknownScenario(scenario)
        asked.looked_at = self._clock.monotonic()
        return asked

    def _forget_old(self) -> None:
        now = self._clock.monotonic()
        for asked in [one for one in self._kept.values() if now - one.looked_at > KEPT_SECONDS]:
            self._end(asked)
            del self._kept[asked.id]

    def _make_room(self) -> None:
        self._forget_old()
        if len(self._kept) < MAX_KEPT:
            return
        over = [asked for asked in self._kept.values() if asked.state not in OPEN]
        if not over:
            reason = phrase(
                "{count} scenarios are searched or wait to be: discard one that is not needed, or wait",
                count=MAX_KEPT,
            )
            raise BusyError(reason, self._settings.scenario_seconds)
        del self._kept[min(over, key=lambda asked: asked.looked_at).id]

    def _end(self, asked: _Asked) -> None:
        """Its search, if it has one, ends soon; if it waits for one, it gets none."""
        asked.cancel.set()
        if asked.state is ScenarioState.WAITING:
            asked.state = ScenarioState.FINISHED

    # --- accepting ----------------------------------------------------------------------------------

    async def accept(self, scenario: str, actor: str) -> ScenarioAnswer:
        """Make the changes for good, under ``actor``; the dispatcher plans anew from the scenario's plan.

        Accepting twice does nothing more.

        Raises:
            UnknownScenario: there is none of this id, or no longer.
            NoLongerPossible: the floor has changed, so that a change is refused; nothing was changed.
        """
        async with self._accepting:
            asked = self._find(scenario)
            if asked.state is not ScenarioState.ACCEPTED:
                await self._accept(asked, actor)
        return await self._answer(asked)

    async def _accept(self, asked: _Asked, actor: str) -> None:
        doors = Doors(self._desk, self._site, actor, self._clock.now())
        try:
            orders = await self._database.run(lambda tx: make(tx, asked.request.changes, doors))
        except ImpossibleChanges as error:
            raise NoLongerPossible(asked.id, error) from error
        self._end(asked)
        # Where an order has got another id than in the trial, the plan does not have its work: it is put in.
        asked.orders, asked.state = orders, ScenarioState.ACCEPTED
        title = asked.request.title or "; ".join(words(change) for change in asked.request.changes)[:120]
        cause = Cause("scenario", asked.id, f"what was asked came true: {title}")
        self._dispatching.replan(cause, Proposal(asked.problem.origin, asked.best))
        self._hub.publish(OrdersChanged())


def _first_plan(problem: Problem, kept: Schedule) -> Schedule:
    """News in the gaps of the plan in force; where that makes anything late, the rules' plan if better."""
    quiet = keep(problem, kept)
    if quiet is not None and quiet.objective.weighted_tardiness <= kept.objective.weighted_tardiness:
        return quiet
    ruled = construct(problem)
    return ruled if quiet is None or ruled.objective.total < quiet.objective.total else quiet
