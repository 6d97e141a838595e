"""What the page shows, worked out once for all browsers: a frozen picture of the line. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

from cloud.dispatching.asking.forecast import OrderForecast
from cloud.dispatching.keeping import outlook
from cloud.ledger import reading
from cloud.ledger.alarms import Alarm
from cloud.web.gantt import Bar, Window
from cloud.web.need import Need
from cloud.web.needs import needs
from cloud.web.planning import replans
from cloud.web.plant import device_of, plant
from cloud.web.shapes import LOCKED, RELEASED, Look, look
from cloud.web.situation import Found, Situation
from cloud.web.speech import ENGLISH, Speech
from protocols.lifecycles import LockState
from protocols.site import Site
from protocols.values import MICROSECONDS

FROZEN = 10 * 60 * MICROSECONDS
"""How far ahead operations that an edge holds are shown as frozen, at most."""


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
        needs=tuple(sorted(needs(situation, say), key=lambda need: (need.rank, need.since))),
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


def _tile(
    found: Found, site: Site, cell: str, title: str, now: int, away: Mapping[str, int], say: Speech
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


def _since(found: Found, machine: reading.Machine | None, stop: reading.Stop | None, *, fresh: bool) -> int:
    """Since when it is as its tile says (µs UTC); 0 where that is not known."""
    if stop is not None:
        return stop.opened
    if machine is None or machine.firmware:
        return 0
    if fresh and machine.alarms:
        return next((alarm.raised for alarm in found.alarms if alarm.device == machine.id), 0)
    return machine.state_since


def _in_hand(found: Found, run: outlook.Run | None, say: Speech) -> tuple[str, str, float, int]:
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


def _figures(found: Found, running: float | None) -> Figures:
    late = [order.late for order in found.orders if order.late]
    return Figures(
        on_time=len(found.orders) - len(late),
        open_orders=len(found.orders),
        worst_late=max(late, default=0),
        running=running,
        andon=len(found.andons),
        at_risk=len(found.case_of),
    )


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


def _frozen(found: Found, now: int) -> int:
    held = [bar.end for bar in found.bars if bar.state in ("running", "paused", "leased")]
    return min(max(held, default=now), now + FROZEN)
