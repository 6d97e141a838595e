"""The shop of the spindle bench: the demo factory's own site, in two shifts, with the service's real parts.

No network and no processes: what an edge would send goes to the same effects that the ledger calls, and time
is what the run says it is. Health, cases, prognosis, orders, planner and locks are the product's own code.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection

from cloud.dispatching.floor import load
from cloud.dispatching.floor.floor import OpenOperation, Planned, read_plan
from cloud.dispatching.keeping import maintenance_orders, plans
from cloud.dispatching.keeping.plans import Cause, PlannedService
from cloud.dispatching.keeping.service import DispatchService
from cloud.dispatching.settings import DispatchSettings
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.construct import construct
from cloud.dispatching.solving.exact.whole_shop import improve
from cloud.hub import CaseChanged, Hub, SamplesLedgered, StatesLedgered
from cloud.ledger.machines import MachineEffects
from cloud.maintenance import cases
from cloud.maintenance.case import Case, Verdict
from cloud.maintenance.desk import CaseDesk
from cloud.maintenance.effects import CaseEffects
from cloud.maintenance.foresight import by_limit, by_trend
from cloud.maintenance.service import WATCHED_ROLES, MaintenanceService, Settings, WatchedTag
from cloud.orders.articles import import_products, load_products
from cloud.orders.controls import ControlEffects
from cloud.orders.create import OrderDesk
from cloud.orders.effects import OrderEffects
from cloud.orders.requests import OrderRequest
from cloud.store.database import Database
from drivers.profile.files import load_profile
from edge.control.controls import Controls, apply
from edge.control.decisions import Situation, decide
from edge.control.machines import Facts
from edge.control.upkeep import receive
from edge.station import commands as asked
from protocols.actions import Action, Event
from protocols.clock import Clock
from protocols.documents import load as load_document
from protocols.jobs import JobList, ReleaseRequest
from protocols.site import Calendar, Shift, Site
from protocols.states import Event as StateEvent
from protocols.states import ItemState, MachineStateChanged, OperationMode
from protocols.values import MICROSECONDS, Value

FIRMWARE_CONFIGS = Path(__file__).resolve().parents[2] / "firmware_configs"
SITE_FILE = FIRMWARE_CONFIGS / "sites/demo/site.yaml"
MILL, EDGE = "mill-1", "assembly"
HOUR = 3600 * MICROSECONDS
MONDAY = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp()) * MICROSECONDS
WINDOW = 300.0
"""Seconds of a window of health."""
PLANNED_SECONDS = 4 * 3600
"""A planned exchange of the bearings, in a shop that has no second spindle."""
UNPLANNED_HOURS = 32.0
"""An unplanned stop: the bearings come the next day, and a spindle that was run to its end takes a shift."""
LEAD_HOURS = 24.0
"""The bearings come as fast for a planned exchange: it cannot begin before."""
PATIENCE_S = 120.0
SEARCH = 0.02
"""Of a plan, in the solver's own deterministic time: one model of the whole shop, as for all small ones."""


def two_shifts() -> Calendar:
    """Monday to Friday from six to ten in the evening."""
    days = (1, 2, 3, 4, 5)
    early = Shift(name="early", days=days, start="06:00", end="14:00")
    return Calendar(shifts=(early, Shift(name="late", days=days, start="14:00", end="22:00")))


def shop_site() -> Site:
    """The demo's site in two shifts, with bearings that come the next day."""
    site = load_document(SITE_FILE, Site)
    here = {"seconds": PLANNED_SECONDS, "lead_hours": LEAD_HOURS}
    rules = tuple(
        rule.model_copy(update=here) if rule.kind == "mill" else rule for rule in site.maintenance.rules
    )
    upkeep = site.maintenance.model_copy(update={"rules": rules})
    return site.model_copy(update={"calendar": two_shifts(), "maintenance": upkeep})


class _Nobody:
    """Where the planner's job lists would go: the run asks for what it needs."""

    def publish_jobs(self, job_list: JobList) -> None:
        return

    def request_release(self, edge: str, request: ReleaseRequest) -> None:
        return

    def withdraw(self, edge: str, request: str) -> None:
        return


@dataclass(slots=True)
class Shop:
    """``now`` is µs UTC and moved by the run. Its methods work in order and wait for the database."""

    database: Database
    now: int = MONDAY
    hub: Hub = field(default_factory=Hub)
    site: Site = field(default_factory=shop_site)
    clock: Clock = field(init=False)
    planner: DispatchService = field(init=False)
    health: MaintenanceService = field(init=False)
    cases: CaseDesk = field(init=False)
    controls: Controls = field(default_factory=Controls, init=False)
    """What the edge of the machine knows of its lock and its maintenance orders."""
    plan: dict[str, Planned] = field(default_factory=dict, init=False)
    services: list[PlannedService] = field(default_factory=list, init=False)
    open: dict[str, OpenOperation] = field(default_factory=dict, init=False)
    _orders: OrderDesk = field(init=False)
    _numbers: Any = field(default_factory=lambda: itertools.count(1), init=False)
    _tags: dict[int, WatchedTag] = field(default_factory=dict, init=False)
    _actions: list[Action] = field(default_factory=list, init=False)
    _states: list[StateEvent] = field(default_factory=list, init=False)
    _first: int = field(default=0, init=False)
    """Time of the first sample."""
    _ids: dict[str, int] = field(default_factory=dict, init=False)
    _facts: Facts = field(init=False)

    def __post_init__(self) -> None:
        # One clock, its elapsed time standing still: `now` alone moves it, and only forwards.
        self.clock = Clock(wall_ns=lambda: self.now * 1000, elapsed_ns=lambda: 0)
        settings = DispatchSettings(
            solve_seconds=0, repair_seconds=int(UNPLANNED_HOURS * 3600), calendar_days=21, keep_plans=2
        )
        self.planner = DispatchService(self.database, self.hub, _Nobody(), self.site, self.clock, settings)
        self.health = MaintenanceService(
            self.database, self.hub, self.clock, self._watched, Settings(window=WINDOW)
        )
        self.cases = CaseDesk(
            self.site,
            self.clock,
            load.busy,
            load.service,
            foresights=(by_limit(self.site), by_trend(self.health.settings.limits)),
        )
        self._orders = OrderDesk(self.site, self.clock, new_id=lambda: f"office-{next(self._numbers)}")
        device = self.site.devices()[MILL]
        profile = load_profile(FIRMWARE_CONFIGS / "profiles" / f"{device.profile}.yaml")
        self._facts = Facts(MILL, device.title, profile, connected=True)
        watched = {name: tag for name, tag in profile.tags.items() if tag.role in WATCHED_ROLES}
        for number, (name, tag) in enumerate(watched.items(), start=1):
            asset = str(device.asset)
            self._ids[name] = number
            self._tags[number] = WatchedTag(
                asset, MILL, f"{MILL}/{name}", tag.unit, tag.role or "", tag.type, tag.max_interval, EDGE
            )

    async def _watched(self) -> Mapping[int, WatchedTag]:
        return self._tags

    @property
    def asset(self) -> str:
        return str(self.site.devices()[MILL].asset)

    @property
    def tags(self) -> Sequence[str]:
        """Tags of the machine that its health is made of."""
        return [*self._ids]

    def prepare(self) -> None:
        """The tables and the site's products."""
        self.database.create_all()
        products = load_products(SITE_FILE, self.site)
        self.database.write(lambda tx: import_products(tx, products, self.now)).result()

    # --- what the edge reports --------------------------------------------------------------------------

    def acts(self, workcell: str, actor: str, *events: Event) -> None:
        """What people did at a station, now; it reaches the service with the next :meth:`tell`."""
        for event in events:
            action = Action(f"act-{next(self._numbers)}", self.now, workcell, actor, event)
            self.controls = apply(self.controls, action)
            self._actions.append(action)

    def is_in(self, ts: int, state: ItemState, detail: str) -> None:
        """The machine is in another state from ``ts`` (µs UTC) on; health hears of it at once."""
        change = MachineStateChanged(ts, MILL, state, OperationMode.PROCESSING, detail)
        self._states.append(change)
        self.hub.publish(StatesLedgered(EDGE, [change]))

    def tell(self) -> None:
        """What was done and reported since goes to the effects of the ledger, in one transaction."""
        actions, self._actions = self._actions, []
        states, self._states = self._states, []
        if not actions and not states:
            return

        def work(tx: Connection) -> None:
            MachineEffects().states(tx, EDGE, states, self.now)
            for effects in (ControlEffects(self.hub), CaseEffects(self.hub), OrderEffects()):
                effects.actions(tx, EDGE, actions, self.now)

        self.database.write(work).result()

    def decides(self, actor: str, kind: type[Any], **said: Any) -> None:
        """A person at the machine's station gives a command; the edge's own rules make it events."""
        command = kind(id=f"command-{next(self._numbers):04}", actor=actor, **said)
        at = Situation(self.controls, MILL, {MILL: self._facts}, self.now)
        self.acts(MILL, actor, *decide(command, at))

    async def samples(self, rows: Sequence[tuple[int, Mapping[str, Value]]]) -> None:
        """What the machine's tags were (µs UTC, by tag); waits until the service has taken them in."""
        tags, times, values = [], [], []
        for ts, row in rows:
            for name, value in row.items():
                tags.append(self._ids[name])
                times.append(ts)
                values.append(value)
        self.hub.publish(SamplesLedgered(EDGE, tags, times, values, [0] * len(tags)))
        span = self.health.settings.span
        due = (rows[-1][0] - span) // span * span  # windows close a span after their end
        for _ in range(10):
            await asyncio.sleep(0)
        self._first = self._first or rows[0][0]
        if due > self._first + span:  # no window ends before the first sample
            await self._until(lambda: self._taken(due, span), "the samples are taken in")

    def _taken(self, due: int, span: int) -> bool:
        known = self.health.assets.get(self.asset)
        return known is not None and (known.updated >= due or due - span < known.since)

    async def _until(self, holds: Callable[[], bool], what: str) -> None:
        patience, looks = time.monotonic() + PATIENCE_S, 0
        while not holds():
            if time.monotonic() > patience:
                raise RuntimeError(f"the service does not come to this within {PATIENCE_S:g} s: {what}")
            looks += 1
            await asyncio.sleep(0 if looks < 20 else 0.001)  # it may wait for its database

    # --- maintenance ------------------------------------------------------------------------------------

    async def suspected(self) -> Case | None:
        """The open case of the machine, once the service has written it; None where nothing is suspected."""
        if not self.health.assets[self.asset].alarmed and self.in_hand() is None:
            return None
        self.tell()
        await self.health.keep()
        return self.in_hand()

    def in_hand(self) -> Case | None:
        """The machine's case about its wear that is not closed."""
        with self.database.read() as tx:
            found = cases.cases(tx, open_only=True)
        return next((case for case in found if case.device == MILL and case.mode != cases.SENSOR), None)

    def plan_case(self, case: Case) -> None:
        """The office takes the case on and makes an order of it."""

        def work(tx: Connection) -> None:
            self.cases.acknowledge(tx, case.id, "office")
            self.cases.plan(tx, case.id, "office")

        self.database.write(work).result()

    async def foresee_again(self) -> bool:
        """Whether the bound of a planned order moved with what is known by now."""
        self.tell()
        await self.health.keep()
        return bool(self.database.write(self.cases.foresee_again).result())

    def begin_maintenance(self, case: Case) -> None:
        """The fitter begins the order at the station: the machine is locked."""
        with self.database.read() as tx:
            orders = maintenance_orders.orders(tx, self.site).get(EDGE, ())
        jobs = JobList(EDGE, next(self._numbers), self.now, (), orders)
        self.controls = _with_orders(self.controls, jobs)
        self.decides("fitter", asked.StartMaintenance, case=case.id)
        self.tell()

    async def end_maintenance(self, case: Case, verdict: Verdict, found: str) -> Case:
        """Found, released, accepted by production, judged by the office; what was normal is learned anew."""
        self.decides("fitter", asked.ReportFinding, case=case.id, found=found)
        self.decides("fitter", asked.ReleaseLock, device=MILL)
        self.decides("production", asked.AcceptMachine, device=MILL)
        self.tell()
        return await self._closed(case, verdict, found)

    async def broken(self, case: Case, found: str) -> Case:
        """The machine was mended after it failed, with its case still open."""
        if case.state in ("planned", "in_work"):
            self.database.write(lambda tx: self.cases.done(tx, case.id, "office")).result()
        return await self._closed(case, Verdict.TRUE, found)

    async def _closed(self, case: Case, verdict: Verdict, found: str) -> Case:
        closed = self.database.write(
            lambda tx: self.cases.judge(tx, case.id, "office", verdict, "bearing", found)
        ).result()
        self.hub.publish(CaseChanged(case.id))
        await self._until(lambda: self.health.assets[self.asset].since >= case.opened, "it is learned anew")
        return closed

    # --- orders and plan --------------------------------------------------------------------------------

    def order(self, quantity: int, material: str, pockets: int, due: int) -> str:
        """A customer orders plates; ``due`` in µs UTC."""
        when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=due)
        parameters = {"material": material, "pockets": pockets}
        line = {"product": "plate", "quantity": quantity, "parameters": parameters}
        request = OrderRequest.model_validate({"due": when.isoformat(), "lines": [line]})
        return self.database.write(lambda tx: self._orders.create(tx, request)).result()

    def replan(self, cause: str) -> None:
        """A new plan, as the service makes one, but within a deterministic amount of work."""
        self.tell()
        with self.database.read() as tx:
            situation = self.planner.situation(tx, self.now)
        problem = self.planner.problem(situation)
        schedule = improve(problem, construct(problem), SEARCH, workers=1, deterministic=True)
        broken = violations(problem, schedule)
        if broken:
            raise RuntimeError(f"the plan breaks a rule: {broken[0]}")

        def work(tx: Connection) -> int:
            return plans.store(
                tx,
                problem,
                schedule,
                causes=[Cause(cause, "", cause)],
                down=[*situation.floor.down],
                seconds=0.0,
                now=self.now,
                keep=2,
                wishes=[wish.key for wish in situation.wishes],
            )

        version = self.database.write(work).result()
        with self.database.read() as tx:
            self.plan, self.services = read_plan(tx, version), plans.services(tx, version)
        self.open = {operation.id: operation for operation in situation.floor.operations}


def _with_orders(controls: Controls, jobs: JobList) -> Controls:
    return replace(controls, upkeep=receive(controls.upkeep, jobs))
