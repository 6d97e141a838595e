"""What the page shows, worked out once for all browsers: a frozen picture of the line. No NiceGUI here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from cloud.context import Context
from cloud.dispatching import outlook, plans
from cloud.dispatching.floor import current_version, read_plan
from cloud.ledger import reading
from cloud.maintenance import cases
from cloud.web.gantt import Bar, Window
from cloud.web.shapes import Look, look
from protocols.lifecycles import OperationState
from protocols.site import Site
from protocols.states import ItemState
from protocols.values import MICROSECONDS

STALE = 10 * MICROSECONDS
"""µs without a confirmed read after which a machine's data counts as stale."""
SILENT = 15 * MICROSECONDS
"""µs without a message after which an edge counts as away."""
FROZEN = 10 * 60 * MICROSECONDS
"""How far ahead operations that an edge holds are shown as frozen, at most."""
SHOWN_STOPS = 30


@dataclass(frozen=True, slots=True)
class Tile:
    """One workcell. ``since`` and ``last_read`` in µs UTC; ``health`` 0…100 or None while learning."""

    workcell: str
    title: str
    device: str
    look: Look
    since: int
    last_read: int
    job: str
    progress: str
    share: float
    health: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Need:
    """Something that needs a person now. ``rank`` orders: small is urgent."""

    rank: int
    since: int
    shape: str
    text: str
    detail: str
    action: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One order in the list; ``late`` in seconds."""

    id: str
    what: str
    state: str
    promised: int
    expected: int | None
    late: int
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class StopLine:
    """One machine stop; ``reason`` is empty when nobody gave one."""

    id: str
    workcell: str
    opened: int
    closed: int | None
    hint: str
    reason: str


@dataclass(frozen=True, slots=True)
class Figures:
    """The five figures at the top. ``running`` is the share of time machines worked today, 0…1."""

    on_time: int
    open_orders: int
    worst_late: int
    running: float | None
    andon: int
    at_risk: int


@dataclass(frozen=True, slots=True)
class Board:
    """Everything but the live values."""

    now: int
    figures: Figures
    tiles: tuple[Tile, ...]
    needs: tuple[Need, ...]
    orders: tuple[OrderLine, ...]
    bars: tuple[Bar, ...]
    windows: tuple[Window, ...]
    frozen: int
    plan: str
    stops: tuple[StopLine, ...]
    unassigned: tuple[outlook.UnassignedRun, ...]
    edges_away: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """What one transaction read."""

    machines: Mapping[str, reading.Machine]
    edges: Mapping[str, int]
    stops: Sequence[reading.Stop]
    standing: Sequence[reading.Stop]
    """Stops that are open now, however old."""
    reasons: Mapping[str, str]
    healths: Mapping[str, float | None]
    cases: Sequence[cases.Case]
    orders: Sequence[outlook.Order]
    operations: Mapping[str, outlook.Operation]
    runs: Sequence[outlook.Run]
    unassigned: Sequence[outlook.UnassignedRun]
    andons: Sequence[outlook.Andon]
    inbox: Sequence[outlook.InboxEntry]
    bars: Sequence[Bar]
    windows: Sequence[Window]
    plan: plans.StoredPlan | None
    running: float | None


async def read_board(context: Context) -> Board:
    """The board now."""
    now, site = context.clock.now(), context.site
    heard = dict(context.ingest.heard)
    found = await context.database.query(lambda tx: _read(tx, site, now))
    away = tuple(
        edge.id
        for edge in site.edges
        if now - max(found.edges.get(edge.id, 0), heard.get(edge.id, 0)) > SILENT
    )
    tiles = tuple(_tile(found, site, cell, title, now, away) for cell, title in plant(site))
    return Board(
        now=now,
        figures=_figures(found),
        tiles=tiles,
        needs=tuple(sorted(_needs(found, site, away), key=lambda need: (need.rank, need.since))),
        orders=tuple(_order(order) for order in found.orders),
        bars=tuple(found.bars),
        windows=tuple(found.windows),
        frozen=_frozen(found, now),
        plan=_plan_words(found.plan),
        stops=tuple(
            StopLine(
                stop.id, stop.workcell, stop.opened, stop.closed, stop.hint, found.reasons.get(stop.id, "")
            )
            for stop in found.stops
        ),
        unassigned=tuple(found.unassigned),
        edges_away=away,
    )


def plant(site: Site) -> list[tuple[str, str]]:
    """Workcells as (id, title) in plant order."""
    return [(cell.id, cell.title) for cell in site.workcells().values()]


def reason_words(site: Site, code: str) -> str:
    """A reason's English words; the code itself where the site does not know it."""
    return site.stop_reasons.get(code, code).split("|")[0].strip()


def _read(tx: Connection, site: Site, now: int) -> _Read:
    stops = reading.stops(tx, limit=SHOWN_STOPS)
    standing = reading.stops(tx, open_only=True)
    operations = {row.id: row for row in outlook.operations(tx)}
    orders = outlook.orders(tx, open_only=True)
    return _Read(
        machines={row.id: row for row in reading.machines(tx)},
        edges={row.id: row.last_seen for row in reading.edges(tx)},
        stops=stops,
        standing=standing,
        reasons=outlook.stop_reasons(tx, [stop.id for stop in (*stops, *standing)]),
        healths={row.device: row.health for row in cases.healths(tx)},
        cases=cases.cases(tx, open_only=True),
        orders=orders,
        operations=operations,
        runs=outlook.runs(tx, open_only=True),
        unassigned=outlook.unassigned(tx, open_only=True),
        andons=outlook.andons(tx, open_only=True),
        inbox=outlook.inbox(tx),
        bars=_bars(tx, operations, {order.id: order for order in orders}),
        windows=_windows(tx),
        plan=plans.stored(tx),
        running=_running(tx, site, now),
    )


def _bars(
    tx: Connection, operations: Mapping[str, outlook.Operation], orders: Mapping[str, outlook.Order]
) -> list[Bar]:
    """One bar a run: operations planned together share one."""
    groups: dict[tuple[str, str], list[str]] = {}
    plan = read_plan(tx, current_version(tx))
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
                f"{label} {setup}".strip(),
                str(running or known[0].state),
                float(first.changeover_seconds),
                float(late),
                "\n".join(f"{o.order} · {o.title} · {o.quantity:g}" for o in known),
                known[0].id,
                tuple(sorted({o.order for o in known})),
            )
        )
    return bars


def _windows(tx: Connection) -> list[Window]:
    from sqlalchemy import select

    from cloud.dispatching.tables import plan_service

    rows = tx.execute(select(plan_service).where(plan_service.c.version == current_version(tx)))
    return [Window(row.workcell, row.start, row.end, f"maintenance {row.service_id}") for row in rows]


def _running(tx: Connection, site: Site, now: int) -> float | None:
    """Share of today's time in which machines that belong to a workcell were executing."""
    zone = ZoneInfo(site.calendar.timezone)
    hour, minute = map(int, site.calendar.day_starts.split(":"))
    local = datetime.fromtimestamp(now / MICROSECONDS, zone)
    start = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if start > local:
        start -= timedelta(days=1)
    begin = int(start.timestamp() * MICROSECONDS)
    worked = known = 0
    for device in site.devices().values():
        if not device.workcells:
            continue
        rows = reading.machine_states(tx, device.id, begin, now)
        ends = [row.ts for row in rows[1:]] + [now]
        for row, end in zip(rows, ends, strict=False):
            length = end - max(row.ts, begin)
            known += length
            worked += length if row.item_state == ItemState.EXECUTING else 0
    return worked / known if known else None


def _tile(found: _Read, site: Site, cell: str, title: str, now: int, away: tuple[str, ...]) -> Tile:
    device = next((d.id for d in site.devices().values() if cell in d.workcells), "")
    machine = found.machines.get(device)
    stop = next((s for s in found.standing if s.workcell == cell), None)
    last_read = machine.last_read if machine is not None else 0
    fresh = machine is not None and machine.connected and site.edge_of().get(cell) not in away
    shown = look(
        machine.item_state if machine is not None else "",
        machine.mode if machine is not None else "",
        stopped=stop is not None,
        fresh=fresh,
    )
    run = next((r for r in found.runs if r.workcell == cell), None)
    job, progress, share = _in_hand(found, run)
    why = ""
    if not fresh and machine is not None:
        why = machine.detail or "no connection to its edge"
    elif stop is not None:
        given = found.reasons.get(stop.id, "")
        why = reason_words(site, given) if given else "no reason given"
    elif machine is not None and machine.alarms:
        why = machine.alarms[0]
    since = stop.opened if stop is not None else machine.state_since if machine is not None else 0
    return Tile(
        cell, title, device, shown, since, last_read, job, progress, share, found.healths.get(device), why
    )


def _in_hand(found: _Read, run: outlook.Run | None) -> tuple[str, str, float]:
    if run is None or not run.parts:
        return "", "", 0.0
    need = sum((part.quantity for part in run.parts), Decimal(0))
    good = sum((part.good for part in run.parts), Decimal(0))
    names = [found.operations[p.operation] for p in run.parts if p.operation in found.operations]
    label = names[0].order if names else run.parts[0].operation
    if len(run.parts) > 1:
        label += f" +{len(run.parts) - 1}"
    if names:
        label += f" · {names[0].title}"
    return label, f"{good:g} of {need:g}", float(good / need) if need else 0.0


def _figures(found: _Read) -> Figures:
    late = [order.late for order in found.orders if order.late]
    return Figures(
        on_time=len(found.orders) - len(late),
        open_orders=len(found.orders),
        worst_late=max(late, default=0),
        running=found.running,
        andon=len(found.andons),
        at_risk=len({case.device for case in found.cases}),
    )


def _needs(found: _Read, site: Site, away: tuple[str, ...]) -> list[Need]:
    topics = {key: words.split("|")[0].strip() for key, words in site.andon_topics.items()}
    needs = [
        Need(1, a.raised, "⚑", f"Andon {a.workcell}: {topics.get(a.topic, a.topic)}", a.note)
        for a in found.andons
    ]
    needs += [
        Need(2, 0, "✕", f"Edge {edge} is away", "work goes on there; data arrives when it is back")
        for edge in away
    ]
    needs += [
        Need(3, o.promised, "▲", f"Order {o.id} will be late", f"by {_length(o.late)}", "explain", o.id)
        for o in found.orders
        if o.late
    ][:8]
    needs += [
        Need(4, c.opened, "◇", f"{c.device}: health {c.health:.0f}", c.summary, "acknowledge", c.id)
        for c in found.cases
        if c.state == "open"
    ]
    needs += [
        Need(5, s.opened, "■", f"{s.workcell} stopped, no reason given", s.hint)
        for s in found.standing
        if s.id not in found.reasons
    ]
    needs += [
        Need(6, e.ts, "?", e.text, f"{e.kind} · for the {e.owner}", "settle", str(e.id)) for e in found.inbox
    ][:12]
    return needs


def _order(order: outlook.Order) -> OrderLine:
    what = ", ".join(f"{line.quantity:g} × {line.title}" for line in order.lines)
    return OrderLine(
        order.id,
        what,
        str(order.state),
        order.promised,
        order.expected,
        order.late,
        order.finished,
        order.operations,
    )


def _frozen(found: _Read, now: int) -> int:
    held = [bar.end for bar in found.bars if bar.state in ("running", "paused", "leased")]
    return min(max(held, default=now), now + FROZEN)


def _plan_words(plan: plans.StoredPlan | None) -> str:
    if plan is None:
        return "no plan yet"
    causes = "; ".join(dict.fromkeys(cause.text for cause in plan.causes[:3]))
    more = f" and {len(plan.causes) - 3} more" if len(plan.causes) > 3 else ""
    return f"plan {plan.version}: {causes}{more}" if causes else f"plan {plan.version}"


def _length(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
