"""What the page is made of, read at one moment, in no language yet. No NiceGUI here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from cloud.context import Context
from cloud.dispatching.asking.forecast import OrderForecast
from cloud.dispatching.floor.floor import current_version, read_plan
from cloud.dispatching.keeping import outlook, plans
from cloud.ledger import alarms, reading
from cloud.ledger.alarms import Alarm
from cloud.maintenance import cases
from cloud.quality import charts, nonconformances
from cloud.quality.charts import Chart
from cloud.quality.nonconformances import Nonconformance
from cloud.quality.plans import held
from cloud.web import today
from cloud.web.gantt import Bar, Shifted, Window
from cloud.web.maintenance import on_the_board
from cloud.web.maintenance.on_the_board import Placed
from protocols.lifecycles import OperationState
from protocols.site import Site
from protocols.values import MICROSECONDS

SILENT = 15 * MICROSECONDS
"""µs without a message after which an edge counts as away."""
SHOWN_STOPS = 30


@dataclass(frozen=True, slots=True)
class Found:
    """What one transaction read."""

    machines: Mapping[str, reading.Machine]
    edges: Mapping[str, int]
    stops: Sequence[reading.Stop]
    standing: Sequence[reading.Stop]
    """Stops that are open now, however old."""
    reasons: Mapping[str, str]
    healths: Mapping[str, float | None]
    case_of: Mapping[str, str]
    """Open maintenance case of a device that has one."""
    cases: Sequence[cases.Case]
    placed: Collection[str]
    """Cases whose maintenance the plan in force places."""
    orders: Sequence[outlook.Order]
    operations: Mapping[str, outlook.Operation]
    runs: Sequence[outlook.Run]
    unassigned: Sequence[outlook.UnassignedRun]
    andons: Sequence[outlook.Andon]
    inbox: Sequence[outlook.InboxEntry]
    bars: Sequence[Bar]
    windows: Sequence[Window]
    plan: plans.StoredPlan | None
    alarms: Sequence[Alarm]
    nonconformances: Sequence[Nonconformance]
    charts: Sequence[Chart]
    """Charts whose limits wait to be frozen."""


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a board is made of, in no language yet."""

    site: Site
    now: int
    found: Found
    away: Mapping[str, int]
    running: float | None
    forecasts: Mapping[str, OrderForecast] = field(default_factory=dict)


async def read_situation(
    context: Context,
    running: float | None = None,
    forecasts: Mapping[str, OrderForecast] | None = None,
) -> Situation:
    """What is now; ``running`` is today's share as it was worked out last (:mod:`cloud.web.today`), and
    ``forecasts`` are those of the open orders.
    """
    now, site = context.clock.now(), context.site
    heard = dict(context.ingest.heard)
    found = await context.database.query(lambda tx: _read(tx, site))
    away = {
        edge.id: seen
        for edge in site.edges
        if now - (seen := max(found.edges.get(edge.id, 0), heard.get(edge.id, 0))) > SILENT
    }
    return Situation(site, now, found, away, running, forecasts or {})


def _read(tx: Connection, site: Site) -> Found:
    stops = reading.stops(tx, limit=SHOWN_STOPS)
    standing = reading.stops(tx, open_only=True)
    operations = {row.id: row for row in outlook.operations(tx)}
    orders = outlook.orders(tx, open_only=True)
    open_cases = cases.cases(tx, open_only=True)
    plan = plans.stored(tx)
    placed = {
        service.case: Placed(service.workcell, service.start, service.end)
        for service in plans.services(tx, current_version(tx))
    }
    return Found(
        machines={row.id: row for row in reading.machines(tx)},
        edges={row.id: row.last_seen for row in reading.edges(tx)},
        stops=stops,
        standing=standing,
        reasons=outlook.stop_reasons(tx, [stop.id for stop in (*stops, *standing)]),
        healths={row.device: row.health for row in cases.healths(tx)},
        case_of={case.device: case.id for case in open_cases},
        cases=open_cases,
        orders=orders,
        operations=operations,
        runs=outlook.runs(tx, open_only=True),
        unassigned=outlook.unassigned(tx, open_only=True),
        andons=outlook.andons(tx, open_only=True),
        inbox=outlook.inbox(tx),
        bars=_bars(tx, operations, {order.id: order for order in orders}, plan),
        windows=on_the_board.windows(open_cases, placed, site),
        placed=placed.keys(),
        plan=plan,
        alarms=alarms.worst(tx),
        nonconformances=nonconformances.nonconformances(tx, open_only=True),
        charts=charts.ready(tx),
    )


def _bars(
    tx: Connection,
    operations: Mapping[str, outlook.Operation],
    orders: Mapping[str, outlook.Order],
    newest: plans.StoredPlan | None,
) -> list[Bar]:
    """One bar a run: operations planned together share one."""
    moves = {move.operation: move for move in newest.difference.moves} if newest is not None else {}
    groups: dict[tuple[str, str], list[str]] = {}
    plan = read_plan(tx, current_version(tx))
    holds = held(tx, {operations[name].job for name in plan if name in operations})
    for name, row in plan.items():
        if name in operations:
            groups.setdefault((row.workcell, row.group or name), []).append(name)
    bars = []
    for (workcell, _), names in groups.items():
        first = plan[names[0]]
        known = [operations[name] for name in names]
        states = {operation.state for operation in known}
        running = next((s for s in (OperationState.RUNNING, OperationState.PAUSED) if s in states), None)
        late = max((orders[o.order].late for o in known if o.order in orders), default=0)
        label = known[0].order if len(known) == 1 else f"{known[0].order} +{len(known) - 1}"
        setup = " ".join(known[0].setup.values())
        bars.append(
            Bar(
                workcell,
                first.start,
                max(plan[name].end for name in names),
                f"{'■ ' if any(name in holds for name in names) else ''}{label} {setup}".strip(),
                str(running or known[0].state),
                float(first.changeover_seconds),
                float(late),
                "\n".join(
                    [
                        *(f"{o.order} · {o.title} · {o.quantity:g}" for o in known),
                        *dict.fromkeys(f"■ {why.text}" for name in names for why in holds.get(name, ())),
                    ]
                ),
                known[0].id,
                tuple(sorted({o.order for o in known})),
                next((Shifted(m.before, m.seconds) for name in names if (m := moves.get(name))), None),
            )
        )
    return bars


async def read_running(context: Context) -> float | None:
    """Share of today's time in which the machines of the workcells executed; costs more the later it is."""
    now, site = context.clock.now(), context.site
    return await context.database.query(lambda tx: today.together(today.worked(tx, site, now)))
