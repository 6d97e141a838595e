"""What a click opens: a sheet behind each figure, tile, order, bar and case, down to the events. No NiceGUI.

A sheet has an address of kind and id, ``order:26-0001``; its rows name the sheets below them, so that every
figure leads to its events in at most three clicks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from cloud.dispatching import outlook, plans
from cloud.ledger import reading
from cloud.maintenance import cases
from cloud.maintenance.cases import Case
from cloud.web import events, today
from cloud.web.shapes import look
from cloud.web.words import ago, clock_words, english, lateness
from protocols.lifecycles import CASE, OperationState
from protocols.site import Site
from protocols.values import MICROSECONDS


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table; ``opens`` is the address of the sheet below it. ``late`` is shown as such."""

    cells: tuple[str, ...]
    opens: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a heading; ``nothing`` is said where there are none."""

    heading: str
    heads: tuple[str, ...]
    rows: Sequence[Row]
    nothing: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is shown. ``acts`` are (name in ``cloud.web.acts``, target) that a supervisor may do here."""

    title: str
    lines: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    acts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """One reading transaction with what is needed to put it into words."""

    tx: Connection
    site: Site
    now: int

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.site.calendar.timezone)

    def time(self, ts: int | None) -> str:
        return clock_words(ts, self.now, self.zone)

    def title(self, workcell: str | None) -> str:
        cell = self.site.workcells().get(workcell or "")
        return cell.title if cell is not None else workcell or "–"

    def since(self, ts: int) -> str:
        return ago(max(0, self.now - ts) / MICROSECONDS)


def read(tx: Connection, site: Site, now: int, address: str) -> Sheet:
    """The sheet at an address; one that says so where there is nothing."""
    kind, _, name = address.partition(":")
    make = _SHEETS.get(kind)
    return make(Reader(tx, site, now), name) if make is not None else Sheet(f"there is nothing at {address}")


def _orders(r: Reader, name: str) -> Sheet:
    found = outlook.orders(r.tx, open_only=True)
    shown = [order for order in found if order.late] if name == "late" else found
    rows = [
        Row(
            (
                order.id,
                ", ".join(f"{line.quantity:g} × {line.title}" for line in order.lines),
                f"{order.finished} of {order.operations}",
                r.time(order.promised),
                r.time(order.expected),
                _outcome(order),
            ),
            f"order:{order.id}",
            bool(order.late),
        )
        for order in sorted(shown, key=lambda order: -order.late)
    ]
    heads = ("Order", "What", "Operations done", "Promised", "Expected", "")
    nothing = "no order is late" if name == "late" else "no open orders"
    return Sheet(
        "Orders that will be late" if name == "late" else "Open orders",
        tables=(Table("", heads, rows, nothing),),
    )


def _outcome(order: outlook.Order) -> str:
    if order.late:
        return f"▲ late by {lateness(order.late)}"
    return "on time" if order.expected else "not planned"


def _order(r: Reader, name: str) -> Sheet:
    jobs = outlook.jobs(r.tx, order=name)
    if not jobs:
        return Sheet(f"Order {name}", ("there is no such order any more",))
    ends = outlook.expected_ends(r.tx)
    late = max(0, (ends.get(name, 0) - jobs[0].due) // MICROSECONDS)
    lines = [f"promised {r.time(jobs[0].due)} · expected {r.time(ends.get(name))}"]
    if late:
        lines.append(f"▲ late by {lateness(late)}: what waits longest is at the end")
    tables = []
    for job in sorted(jobs, key=lambda job: job.id):
        variant = " · ".join(f"{key} {value}" for key, value in job.variant.items())
        remake = f" · remake of {job.remake_of}" if job.remake_of else ""
        heading = f"{job.id} · {job.quantity:g} × {job.title} · {variant}{remake}"
        tables.append(
            Table(heading, _OPERATION_HEADS, [_operation_row(r, o) for o in job.operations], "no operations")
        )
    return Sheet(f"Order {name}", tuple(lines), tuple(tables))


_OPERATION_HEADS = ("Operation", "What", "Workcell", "State", "Good", "Begins", "Ends")


def _operation_row(r: Reader, operation: outlook.Operation) -> Row:
    o = operation
    scrap = f", {o.scrap:g} scrap" if o.scrap else ""
    return Row(
        (
            o.id,
            o.title,
            r.title(o.workcell),
            str(o.state),
            f"{o.good:g} of {o.quantity:g}{scrap}",
            r.time(o.started or o.start),
            r.time(o.finished or o.end),
        ),
        f"operation:{o.id}",
    )


def _operation(r: Reader, name: str) -> Sheet:
    found = plans.explanation(r.tx, name)
    why = [link.text for link in found.links] if found is not None else []
    return Sheet(
        f"Operation {name}",
        tuple(why) or ("the plan in force does not have this operation (any more): see what was done",),
        (_events(r, events.of_operation(r.tx, r.site, name), "nothing was done for it yet"),),
    )


def _events(r: Reader, found: Sequence[events.Event], nothing: str) -> Table:
    rows = [Row((r.time(event.ts), event.where, event.text)) for event in found]
    return Table("Events, newest first", ("When", "Where", "What"), rows, nothing)


def _running(r: Reader, _: str) -> Sheet:
    by_device = today.worked(r.tx, r.site, r.now)
    rows = []
    for cell, shares in _by_workcell(r.site, by_device).items():
        share = today.together(shares)
        rows.append(
            Row((r.title(cell), f"{share:.0%}" if share is not None else "not known yet"), f"workcell:{cell}")
        )
    start = r.time(today.day_start(r.site, r.now))
    return Sheet(
        "Running today",
        (f"share of the time since {start}, as far as states are known, in which the machine executed",),
        (Table("", ("Workcell", "Running"), rows, "no workcell has a machine"),),
    )


def _by_workcell(site: Site, by_device: dict[str, today.Worked]) -> dict[str, dict[str, today.Worked]]:
    found: dict[str, dict[str, today.Worked]] = {cell: {} for cell in site.workcells()}
    for device in site.devices().values():
        for cell in device.workcells:
            found[cell][device.id] = by_device[device.id]
    return {cell: shares for cell, shares in found.items() if shares}


def _workcell(r: Reader, name: str) -> Sheet:
    machines = {machine.id: machine for machine in reading.machines(r.tx)}
    devices = [d for d in r.site.devices().values() if name in d.workcells]
    lines = []
    for device in devices:
        machine = machines.get(device.id)
        if machine is None:
            lines.append(f"{device.id}: never heard of")
            continue
        shown = look(machine.item_state, machine.mode, stopped=False, fresh=machine.connected)
        alarms = f" · alarm: {'; '.join(machine.alarms)}" if machine.alarms else ""
        lines.append(
            f"{device.id}: {shown.shape} {shown.word} since {r.time(machine.state_since)}, "
            f"last read {r.since(machine.last_read)} ago{alarms}"
        )
    next_up = [o for o in outlook.operations(r.tx) if o.workcell == name]
    next_up.sort(key=lambda o: (o.state not in (OperationState.RUNNING, OperationState.PAUSED), o.start or 0))
    start = today.day_start(r.site, r.now)
    return Sheet(
        r.title(name),
        tuple(lines),
        (
            Table(
                "In hand and next", _OPERATION_HEADS, [_operation_row(r, o) for o in next_up[:8]], "no work"
            ),
            _stops(r, name),
            _events(r, events.of_workcell(r.tx, r.site, name, start, r.now), "nothing happened today"),
        ),
    )


def _stops(r: Reader, workcell: str) -> Table:
    found = [stop for stop in reading.stops(r.tx, limit=200) if stop.workcell == workcell][:8]
    reasons = outlook.stop_reasons(r.tx, [stop.id for stop in found])
    rows = [
        Row(
            (
                r.time(stop.opened),
                ago(((stop.closed or r.now) - stop.opened) / MICROSECONDS)
                + ("" if stop.closed else " and going on"),
                english(r.site.stop_reasons, reasons[stop.id]) if stop.id in reasons else "? no reason yet",
            )
        )
        for stop in found
    ]
    return Table("Stops", ("Since", "How long", "Reason"), rows, "no stops")


def _andons(r: Reader, _: str) -> Sheet:
    rows = [
        Row(
            (
                english(r.site.andon_topics, andon.topic),
                r.title(andon.workcell),
                r.time(andon.raised),
                r.time(andon.cleared) if andon.cleared else f"⚑ open for {r.since(andon.raised)}",
                andon.note,
            ),
            f"workcell:{andon.workcell}",
            andon.cleared is None,
        )
        for andon in sorted(outlook.andons(r.tx), key=lambda andon: (bool(andon.cleared), -andon.raised))
    ]
    heads = ("Topic", "Workcell", "Called", "Cleared", "Note")
    return Sheet("Andon", tables=(Table("", heads, rows, "nobody ever called"),))


def _risk(r: Reader, _: str) -> Sheet:
    open_cases = cases.cases(r.tx, open_only=True)
    case_rows = [
        Row((case.device, case.summary, str(case.state), r.time(case.opened)), f"case:{case.id}")
        for case in open_cases
    ]
    devices = r.site.devices()
    health_rows = []
    for row in cases.healths(r.tx):
        cells = devices[row.device].workcells if row.device in devices else ()
        health = "learning what is normal" if row.health is None else f"{row.health:.0f}"
        health_rows.append(
            Row((row.device, health, r.time(row.updated)), f"workcell:{cells[0]}" if cells else "")
        )
    return Sheet(
        "Machines at risk",
        ("health 100 is as the machine was when it was learned; below it drifts away from that",),
        (
            Table("Open cases", ("Machine", "Why", "State", "Opened"), case_rows, "no open cases"),
            Table("Health of every machine", ("Machine", "Health", "As of"), health_rows, "none scored yet"),
        ),
    )


def _case(r: Reader, name: str) -> Sheet:
    case = next((case for case in cases.cases(r.tx) if case.id == name), None)
    if case is None:
        return Sheet("Maintenance case", ("there is no such case",))
    evidence = [
        Row(
            (
                item.tag,
                item.regime,
                f"{item.current:.4g}",
                f"{item.normal:.4g} ± {item.spread:.2g}",
                f"{item.deviation:+.1f}",
            )
        )
        for item in case.evidence
    ]
    heads = ("Tag", "While", "Now", "Normal", "Spreads off")
    start = today.day_start(r.site, r.now)
    return Sheet(
        f"{case.device}: maintenance case",
        (
            case.summary,
            f"{case.state} since {r.time(case.changed)} · opened {r.time(case.opened)} "
            f"at health {case.health:.0f}",
        ),
        (
            Table("Evidence", heads, evidence, "none kept"),
            _events(r, events.of_device(r.tx, case.device, start, r.now), "the machine reported nothing"),
        ),
        possible_acts(case),
    )


def possible_acts(case: Case) -> tuple[tuple[str, str], ...]:
    """What may be done with a case now."""
    return tuple((event, case.id) for event in CASE.allowed(case.state))


def _machine_words(machine: reading.Machine) -> str:
    """Connection and lock of a machine."""
    words = "connected" if machine.connected else f"✕ {machine.detail or 'not connected'}"
    lock = machine.lock
    return words if lock is None else f"{words} · ⊘ {lock.state} ({lock.owner}: {lock.reason})"


def _edge(r: Reader, name: str) -> Sheet:
    row = next((row for row in reading.edges(r.tx) if row.id == name), None)
    heard = f"last batch {r.since(row.last_seen)} ago" if row is not None else "never heard of"
    machines = [
        Row(
            (
                machine.id,
                _machine_words(machine),
                f"{r.since(machine.last_read)} ago",
            )
        )
        for machine in reading.machines(r.tx)
        if machine.edge == name
    ]
    notices = [
        Row((r.time(notice.ts), notice.severity, notice.text))
        for notice in reading.notices(r.tx, 500)
        if notice.edge == name
    ][:40]
    return Sheet(
        f"Edge {name}",
        (heard, "work at its stations goes on without the service; what they do arrives when it is back"),
        (
            Table("Machines", ("Machine", "Connection", "Last read"), machines, "no machine reported yet"),
            Table("Notices, newest first", ("When", "How bad", "What"), notices, "none"),
        ),
    )


def _inbox(r: Reader, _: str) -> Sheet:
    rows = [
        Row((r.time(entry.ts), entry.kind, entry.text, entry.owner, entry.edge))
        for entry in outlook.inbox(r.tx)
    ]
    heads = ("When", "Kind", "What", "For the", "From")
    return Sheet("Exceptions inbox", tables=(Table("", heads, rows, "empty"),))


_SHEETS: dict[str, Callable[[Reader, str], Sheet]] = {
    "orders": _orders,
    "late": lambda r, _: _orders(r, "late"),
    "order": _order,
    "operation": _operation,
    "running": _running,
    "workcell": _workcell,
    "andons": _andons,
    "risk": _risk,
    "case": _case,
    "edge": _edge,
    "inbox": _inbox,
}
