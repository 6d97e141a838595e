"""What the page shows, worked out once for all browsers: a frozen picture of the line. No NiceGUI here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from zoneinfo import ZoneInfo

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
from cloud.web.need import Need
from cloud.web.planning import replans
from cloud.web.quality.needs import needs as quality_needs
from cloud.web.shapes import LOCKED, RELEASED, Look, look
from cloud.web.speech import ENGLISH, Speech
from cloud.web.words import lateness
from protocols.lifecycles import LockState, OperationState
from protocols.site import Site
from protocols.values import MICROSECONDS

SILENT = 15 * MICROSECONDS
"""µs without a message after which an edge counts as away."""
FROZEN = 10 * 60 * MICROSECONDS
"""How far ahead operations that an edge holds are shown as frozen, at most."""
SHOWN_STOPS = 30
SHOWN_NEEDS = 12
"""Late orders, and entries of the exceptions inbox, that are named one by one."""
SHOWN_ALARMS = 4
"""Severe alarms that nobody has acknowledged, named one by one."""
SEVERE = 800
"""Severity (1 to 1000) from which an alarm that nobody has acknowledged needs somebody now."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One workcell. ``since`` and ``last_read`` in µs UTC; ``health`` 0…100 or None while learning;
    ``behind`` seconds past the planned end of the job in hand; ``at_risk`` with an open maintenance case.
    """

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
    behind: float = 0.0
    at_risk: bool = False


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
    forecast: OrderForecast | None = None


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
    machines: Mapping[str, reading.Machine]
    alarms: tuple[Alarm, ...]
    """Those that stand, the most severe first."""
    alarms_standing: int
    """How many stand at the machines, be they known here or not."""


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
    found: _Read
    away: Mapping[str, int]
    running: float | None
    forecasts: Mapping[str, OrderForecast] = field(default_factory=dict)


async def read_board(
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


def board(situation: Situation, say: Speech = ENGLISH) -> Board:
    """The board in a language."""
    site, now, found, away = situation.site, situation.now, situation.found, situation.away
    running = situation.running
    zone, titles = ZoneInfo(site.calendar.timezone), dict(plant(site, say))
    tiles = tuple(_tile(found, site, cell, title, now, away, say) for cell, title in plant(site, say))
    return Board(
        now=now,
        figures=_figures(found, running),
        tiles=tiles,
        needs=tuple(sorted(_needs(found, site, away, now, say), key=lambda need: (need.rank, need.since))),
        orders=tuple(_order(order, say, situation.forecasts.get(order.id)) for order in found.orders),
        bars=tuple(found.bars),
        windows=tuple(found.windows),
        frozen=_frozen(found, now),
        plan=replans.line(found.plan, now, zone, say, lambda cell: titles.get(cell, cell)),
        stops=tuple(
            StopLine(
                stop.id, stop.workcell, stop.opened, stop.closed, stop.hint, found.reasons.get(stop.id, "")
            )
            for stop in found.stops
        ),
        unassigned=tuple(found.unassigned),
        edges_away=tuple(away),
        machines=found.machines,
        alarms=tuple(found.alarms),
        alarms_standing=sum(machine.alarms_standing for machine in found.machines.values()),
    )


def plant(site: Site, say: Speech = ENGLISH) -> list[tuple[str, str]]:
    """Workcells as (id, title) in plant order."""
    return [(cell.id, say.title(cell)) for cell in site.workcells().values()]


def device_of(site: Site, cell: str) -> str:
    """The device that a workcell's tile shows: the first that counts its parts; empty where it has none."""
    there = [device for device in site.devices().values() if cell in device.workcells]
    return next((device.id for device in there if device.counts), there[0].id if there else "")


def _read(tx: Connection, site: Site) -> _Read:
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
    return _Read(
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


def _tile(
    found: _Read, site: Site, cell: str, title: str, now: int, away: Mapping[str, int], say: Speech
) -> Tile:
    device = device_of(site, cell)
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
    job, progress, share, until = _in_hand(found, run, say)
    why = ""
    lock = machine.lock if machine is not None else None
    if lock is not None:
        shown = LOCKED if lock.state == LockState.LOCKED else RELEASED
        why = (
            say("locked by {owner}: {reason}", owner=lock.owner, reason=lock.reason)
            if shown is LOCKED
            else say("released by {owner}", owner=lock.owner)
        )
    elif not fresh and machine is not None:
        why = machine.detail or say("no connection to its edge")
    elif stop is not None:
        given = found.reasons.get(stop.id, "")
        why = say.code(site.stop_reasons, given) if given else say("no reason given")
    elif machine is not None and machine.firmware:
        why = "▲ " + say("firmware {firmware} is unknown to its profile", firmware=machine.firmware)
    elif machine is not None and machine.alarms:
        more = machine.alarms_standing - 1
        why = f"▲ {machine.alarms[0]}" + (f" · +{more}" if more > 0 else "")
    since = lock.since if lock is not None else _since(found, machine, stop, fresh=fresh)
    return Tile(
        cell,
        title,
        device,
        shown,
        since,
        last_read,
        job,
        progress,
        share,
        found.healths.get(device),
        why,
        behind=max(0, now - until) / MICROSECONDS if until else 0.0,
        at_risk=device in found.case_of,
    )


def _since(found: _Read, machine: reading.Machine | None, stop: reading.Stop | None, *, fresh: bool) -> int:
    """Since when it is as its tile says (µs UTC); 0 where that is not known."""
    if stop is not None:
        return stop.opened
    if machine is None or machine.firmware:
        return 0
    if fresh and machine.alarms:
        return next((alarm.raised for alarm in found.alarms if alarm.device == machine.id), 0)
    return machine.state_since


def _in_hand(found: _Read, run: outlook.Run | None, say: Speech) -> tuple[str, str, float, int]:
    """Job, progress in words and 0…1, and when the plan has the end of it (0: unknown)."""
    if run is None or not run.parts:
        return "", "", 0.0, 0
    need = sum((part.quantity for part in run.parts), Decimal(0))
    good = sum((part.good for part in run.parts), Decimal(0))
    names = [found.operations[p.operation] for p in run.parts if p.operation in found.operations]
    label = names[0].order if names else run.parts[0].operation
    if len(run.parts) > 1:
        label += f" +{len(run.parts) - 1}"
    if names:
        label += f" · {say.either(names[0].title, names[0].title_zh)}"
    until = max((operation.end or 0 for operation in names), default=0)
    return (
        label,
        say("{good} of {need}", good=f"{good:g}", need=f"{need:g}"),
        float(good / need) if need else 0.0,
        until,
    )


def _figures(found: _Read, running: float | None) -> Figures:
    late = [order.late for order in found.orders if order.late]
    return Figures(
        on_time=len(found.orders) - len(late),
        open_orders=len(found.orders),
        worst_late=max(late, default=0),
        running=running,
        andon=len(found.andons),
        at_risk=len(found.case_of),
    )


def _needs(found: _Read, site: Site, away: Mapping[str, int], now: int, say: Speech) -> list[Need]:
    names = dict(plant(site, say))

    def name(cell: str) -> str:
        return names.get(cell, cell)

    needs = [
        Need(
            1,
            a.raised,
            "⚑",
            say("Andon {place}: {topic}", place=name(a.workcell), topic=say.code(site.andon_topics, a.topic)),
            a.note,
            f"workcell:{a.workcell}",
        )
        for a in found.andons
    ]
    needs += [
        Need(
            2,
            seen,
            "✕",
            say("Edge {edge} is away", edge=edge),
            say("work goes on there; its data comes later"),
            f"edge:{edge}",
        )
        for edge, seen in away.items()
    ]
    needs += _machine_needs(found, site, away, say)
    needs += [
        Need(
            5,
            machine.lock.since,
            "⊘",
            say("{device} waits to be accepted", device=machine.id),
            say("{owner} has released it; production accepts it at its station", owner=machine.lock.owner),
            f"edge:{machine.edge}",
        )
        for machine in found.machines.values()
        if machine.lock is not None and machine.lock.state == LockState.RELEASED
    ]
    late = sorted((o for o in found.orders if o.late), key=lambda o: o.promised)
    needs += [
        Need(
            3,
            o.promised,
            "▲",
            say("Order {order} will be late", order=o.id),
            say("by {time}", time=lateness(o.late)),
            f"order:{o.id}",
        )
        for o in late[:SHOWN_NEEDS]
    ]
    if len(late) > SHOWN_NEEDS:
        more = len(late) - SHOWN_NEEDS
        needs.append(Need(3, 2**62, "▲", say("and {more} more orders", more=more), "", "late"))
    needs += quality_needs(found.nonconformances, found.charts, say)
    asked = (on_the_board.asks(case, found.placed, now, say) for case in found.cases)
    needs += [Need(*one) for one in asked if one is not None]
    needs += [
        Need(
            7,
            s.opened,
            "■",
            say("{place} stopped, no reason given", place=name(s.workcell)),
            say("machine says {reason}", reason=say.code(site.stop_reasons, s.hint)) if s.hint else "",
            f"workcell:{s.workcell}",
        )
        for s in found.standing
        if s.id not in found.reasons
    ]
    needs += [
        Need(
            8,
            e.ts,
            "?",
            e.text,
            say("{kind} · for the {owner}", kind=e.kind, owner=say(e.owner)),
            "inbox",
            "settle",
            str(e.id),
        )
        for e in found.inbox[:SHOWN_NEEDS]
    ]
    if len(found.inbox) > SHOWN_NEEDS:
        more = len(found.inbox) - SHOWN_NEEDS
        needs.append(Need(8, 2**62, "?", say("and {more} more exceptions", more=more), "", "inbox"))
    return needs


def _machine_needs(found: _Read, site: Site, away: Mapping[str, int], say: Speech) -> list[Need]:
    """Machines that are not connected, are others than they should be, or raise severe alarms."""
    needs: list[Need] = []
    owner = {device.id: edge.id for edge in site.edges for device in edge.devices}
    for name, edge in owner.items():
        machine = found.machines.get(name)
        if machine is None or edge in away:
            continue
        opens = f"device:{name}"
        if not machine.connected:
            text = say("{device} is not connected", device=name)
            needs.append(Need(3, machine.connected_since, "✕", text, machine.detail, opens))
        elif machine.firmware:
            text = say(
                "{device}: firmware {firmware} waits to be accepted", device=name, firmware=machine.firmware
            )
            todo = say("check that its values are right, then accept it at its station (F10)")
            needs.append(Need(5, machine.connected_since, "▲", text, todo, opens))
        elif machine.differs:
            text = say("{device} is not the machine of its profile", device=name)
            needs.append(Need(3, machine.connected_since, "▲", text, machine.differs, opens))
    severe = [alarm for alarm in found.alarms if alarm.severity >= SEVERE and alarm.acknowledged is None]
    for alarm in severe[:SHOWN_ALARMS]:
        source = f"{alarm.source} · " if alarm.source else ""
        detail = source + say("severe alarm, not acknowledged")
        text = f"{alarm.device}: {alarm.text or alarm.alarm}"
        needs.append(Need(2, alarm.raised, "▲", text, detail, f"alarms:{alarm.device}"))
    if len(severe) > SHOWN_ALARMS:
        more = say("and {more} more severe alarms", more=len(severe) - SHOWN_ALARMS)
        needs.append(Need(2, 2**62, "▲", more, "", "alarms:"))
    return needs


def _order(order: outlook.Order, say: Speech, forecast: OrderForecast | None) -> OrderLine:
    what = ", ".join(f"{line.quantity:g} × {say.either(line.title, line.title_zh)}" for line in order.lines)
    return OrderLine(
        order.id,
        what,
        str(order.state),
        order.promised,
        order.expected,
        order.late,
        order.finished,
        order.operations,
        forecast,
    )


def _frozen(found: _Read, now: int) -> int:
    held = [bar.end for bar in found.bars if bar.state in ("running", "paused", "leased")]
    return min(max(held, default=now), now + FROZEN)
