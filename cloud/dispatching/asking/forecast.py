"""When: will the orders be on time, and what can be promised for a new one? Asked of the plan in force.

Both start from the plan as it goes on from now. The outlook is computed once for a plan and a while, a
promise for whoever asks, one at a time; nothing of it stays.
"""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cloud.dispatching.asking.changes import Doors, ImpossibleChanges, microseconds
from cloud.dispatching.asking.changes import NewOrder as OrderIn
from cloud.dispatching.asking.experience import Experience, experience
from cloud.dispatching.asking.told import Compared, told
from cloud.dispatching.asking.trial import Imagined, imagine
from cloud.dispatching.asking.turns import Turns
from cloud.dispatching.floor.floor import current_version
from cloud.dispatching.keeping.making import Situation
from cloud.dispatching.keeping.proposal import carried_on
from cloud.dispatching.keeping.service import DispatchService
from cloud.dispatching.questions.assumptions import Assumptions
from cloud.dispatching.questions.changes import NewOrder
from cloud.dispatching.questions.promise import Plan, if_by, promise
from cloud.dispatching.questions.risk import LagOutlook, OrderOutlook, chain, risk
from cloud.dispatching.settings import DispatchSettings
from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule
from cloud.orders.create import OrderDesk
from cloud.orders.requests import LineRequest, OrderProblem, OrderRequest
from cloud.store.database import Database
from protocols.calendar import zone
from protocols.clock import Clock
from protocols.site import Site

FRESH_SECONDS = 60.0
"""How long an outlook stands while its plan is in force: meanwhile work goes on."""
SAMPLES = 500
CHAINS = 20
"""Orders whose binding chain an outlook tells."""
PROMISE_SECONDS = 3.0
"""For each search of a promise: with everything free to move, and for a date that is wanted."""
ANSWER_SECONDS = 9.0
"""What a promise takes with both."""
FAR = timedelta(days=365)
"""How far off the due date is under which an order is tried that has none yet."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LagForecast(msgspec.Struct, frozen=True):
    """``operation`` must begin at most ``most`` seconds after ``predecessor``: ``planned`` are in the plan,
    ``p90`` are not exceeded in nine of ten samples, and the share ``broken`` of them takes too long.
    """

    operation: str
    predecessor: str
    most: int
    planned: int
    p90: int
    broken: float


class OrderForecast(msgspec.Struct, frozen=True):
    """When an order ends, in µs UTC: as planned, on average, and with 10, 50 and 90 % probability by then.

    ``on_time`` is the share of samples that keep the due date. ``last`` is the operation it ends with in the
    plan, ``chain`` what that waits for, link by link; told for the orders that are least certain. ``lags``
    are longest waits of its work that are not kept in every sample, the worst first.
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
    chain: list[str]
    lags: list[LagForecast] = []


class OutlookAnswer(msgspec.Struct, frozen=True):
    """The open orders, the least certain to be on time first, as of ``at`` (µs UTC), under plan ``version``.

    Durations scatter by ``spread`` (standard deviation as a share) in ``samples`` samples; ``on_time`` is the
    expected share of orders that keep their due date. ``runs`` are the finished ones that were looked at for
    the spread, ``failing`` the workcells that are expected to fail as they did lately.
    """

    version: int
    at: int
    spread: float
    samples: int
    on_time: float | None
    orders: list[OrderForecast]
    runs: int = 0
    failing: list[str] = []


class PromiseRequest(BaseModel):
    """An order that nobody has promised yet; ``by`` is a date that the customer would like."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lines: Annotated[tuple[LineRequest, ...], Field(max_length=50)]
    priority: Annotated[int, Field(ge=1, le=10)] = 1
    by: AwareDatetime | None = Field(default=None, examples=["2026-11-27T12:00:00+08:00"])


class PromisedEnd(msgspec.Struct, frozen=True):
    """A plan with the order in it: when it ends (µs UTC), whom that hurts, and all that changes."""

    end: int
    hurt: list[str]
    comparison: Compared


class PromiseAnswer(msgspec.Struct, frozen=True):
    """What can be promised; times in µs UTC.

    ``earliest`` hurts nobody: everything else keeps its times; null where no gaps are found for it.
    ``allowance`` is by when it ends there in nine of ten samples: a date to promise. ``moving`` is the plan
    in which others may move as far as the order's priority earns it. ``by`` is the plan for the date that was
    wanted, ``kept`` whether that was found possible.
    """

    order: str
    version: int
    earliest: int | None
    allowance: int | None
    undisturbed: PromisedEnd | None
    moving: PromisedEnd | None
    by: PromisedEnd | None
    kept: bool | None
    seconds: float


class Forecasts:
    """Outlooks and promises of one site; lives on the service's event loop."""

    def __init__(
        self,
        database: Database,
        site: Site,
        desk: OrderDesk,
        dispatching: DispatchService,
        clock: Clock,
        settings: DispatchSettings | None = None,
        *,
        promise_seconds: float = PROMISE_SECONDS,
    ) -> None:
        self._database = database
        self._site = site
        self._desk = desk
        self._dispatching = dispatching
        self._clock = clock
        self._settings = settings or DispatchSettings()
        self._promise_seconds = promise_seconds
        self._zone = zone(site.calendar)
        self._one_outlook = asyncio.Lock()
        self._outlook: tuple[float, OutlookAnswer] | None = None
        self._turns = Turns(ANSWER_SECONDS)

    async def outlook(self) -> OutlookAnswer:
        """Will it be on time? Raises ImpossibleProblem where the floor cannot be planned."""
        async with self._one_outlook:
            if self._outlook is not None:
                made, known = self._outlook
                fresh = self._clock.monotonic() - made < FRESH_SECONDS
                if fresh and known.version == await self._database.query(current_version):
                    return known
            now = self._clock.now()
            situation, known_so_far = await self._database.query(
                lambda tx: (self._dispatching.situation(tx, now), experience(tx, now))
            )
            found = await asyncio.to_thread(self._foresee, situation, known_so_far)
            self._outlook = self._clock.monotonic(), found
            return found

    def _foresee(self, situation: Situation, known: Experience) -> OutlookAnswer:
        problem, kept = carried_on(self._dispatching.problem(situation))
        found = risk(problem, kept, _here(known, problem))
        on_time = found.on_time
        lags: dict[str, list[LagForecast]] = {}
        for lag in found.lags:
            if lag.broken:
                lags.setdefault(lag.order, []).append(_lag(lag))
        return OutlookAnswer(
            version=situation.floor.version,
            at=situation.floor.now,
            spread=found.assumptions.spread,
            samples=found.assumptions.samples,
            on_time=None if on_time is None else round(on_time, 4),
            orders=[
                _forecast(problem, order, kept if place < CHAINS else None, lags.get(order.order, []))
                for place, order in enumerate(found.orders)
            ],
            runs=known.runs,
            failing=sorted(found.assumptions.breakdowns),
        )

    async def promise(self, request: PromiseRequest, actor: str) -> PromiseAnswer:
        """What can be promised for an order, and who is hurt if it must be earlier.

        Raises:
            ImpossibleChanges: it cannot be made as it is asked for; with every reason at once.
            ImpossibleProblem: the shop cannot be planned.
            BusyError: too many are asking.
        """
        doors = Doors(self._desk, self._site, actor, self._clock.now())
        due = request.by or _EPOCH + timedelta(microseconds=doors.now) + FAR
        order = OrderRequest(lines=request.lines, priority=request.priority, due=due)
        change = OrderIn(change="new_order", order=order)
        async with self._turns.take():
            began = self._clock.monotonic()
            try:
                imagined = await imagine(self._database, self._dispatching, (change,), doors)
            except ImpossibleChanges as error:
                raise ImpossibleChanges([*map(_as_asked, error.problems)]) from error
            known = await self._database.query(lambda tx: experience(tx, doors.now))
            cancel = threading.Event()
            try:
                work = partial(self._promised, imagined, request, known, cancel)
                found = await asyncio.to_thread(work)
            finally:
                cancel.set()  # who asked is gone: the search ends soon
            return msgspec.structs.replace(found, seconds=round(self._clock.monotonic() - began, 3))

    def _promised(
        self, imagined: Imagined, request: PromiseRequest, known: Experience, cancel: threading.Event
    ) -> PromiseAnswer:
        base, kept = carried_on(self._dispatching.problem(imagined.before))
        after = self._dispatching.problem(imagined.after, base.origin)
        (name,) = imagined.orders
        work = NewOrder(order=name, operations=tuple(o for o in after.operations if o.order_id == name))
        workers, seconds = self._settings.scenario_workers, self._promise_seconds
        found = promise(
            base,
            kept,
            work,
            weight=request.priority,
            seconds=seconds,
            assumptions=_here(known, base),
            workers=workers,
            cancel=cancel,
        )
        by, keeps = None, None
        if request.by is not None:
            wanted = base.seconds(microseconds(request.by, imagined.before.floor.now))
            hasty = if_by(base, kept, work, wanted, seconds=seconds, workers=workers, cancel=cancel)
            by, keeps = self._end(hasty.plan), hasty.kept
        return PromiseAnswer(
            order=name,
            version=imagined.before.floor.version,
            earliest=None if found.earliest is None else base.utc(found.earliest),
            allowance=None if found.allowance is None else base.utc(found.allowance),
            undisturbed=None if found.undisturbed is None else self._end(found.undisturbed),
            moving=None if found.free is None else self._end(found.free),
            by=by,
            kept=keeps,
            seconds=0.0,
        )

    def _end(self, plan: Plan) -> PromisedEnd:
        return _promised_end(plan, self._zone)


def _here(known: Experience, problem: Problem) -> Assumptions:
    """What is known, as far as it concerns the machines of ``problem``."""
    machines = {machine.id for machine in problem.machines}
    breakdowns = {name: each for name, each in known.breakdowns.items() if name in machines}
    return replace(known, breakdowns=breakdowns).assumptions(SAMPLES)


def _as_asked(problem: OrderProblem) -> OrderProblem:
    """A reason against the trial's order as one against what was asked."""
    path = problem.path.removeprefix("changes.0.order.")
    return OrderProblem("by" if path == "due" else path, problem.reason)


def _promised_end(plan: Plan, place: ZoneInfo) -> PromisedEnd:
    return PromisedEnd(
        end=plan.problem.utc(plan.end),
        hurt=[order.order for order in plan.comparison.hurt],
        comparison=told(plan.comparison, plan.problem, place),
    )


def _lag(lag: LagOutlook) -> LagForecast:
    return LagForecast(lag.operation, lag.predecessor, lag.most, lag.planned, lag.p90, round(lag.broken, 4))


def _forecast(
    problem: Problem, order: OrderOutlook, plan: Schedule | None, lags: list[LagForecast]
) -> OrderForecast:
    links = chain(problem, plan, order).links if plan is not None else ()
    return OrderForecast(
        order=order.order,
        last=order.last,
        due=None if order.due is None else problem.utc(order.due),
        planned=problem.utc(order.planned),
        expected=problem.utc(order.expected),
        p10=problem.utc(order.p10),
        p50=problem.utc(order.p50),
        p90=problem.utc(order.p90),
        on_time=None if order.on_time is None else round(order.on_time, 4),
        chain=[link.text for link in links],
        lags=lags,
    )
