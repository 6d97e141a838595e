"""What a click opens: a sheet behind each figure, tile, order, bar and case, down to the events. No NiceGUI.

A sheet has an address of kind and id, ``order:26-0001``; its rows name the sheets below them, so that every
figure leads to its events in at most three clicks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from sqlalchemy import Connection

from cloud.dispatching.asking.forecast import OrderForecast
from cloud.dispatching.keeping import outlook
from cloud.ledger import alarms, reading
from cloud.maintenance import cases, verdicts
from cloud.maintenance.desk import CaseDesk
from cloud.maintenance.health.asset import State
from cloud.web import alarm_list, devices, events, today
from cloud.web.maintenance import case_sheet, model_sheet
from cloud.web.planning import decided, replans, waits
from cloud.web.planning import expected as expected_words
from cloud.web.quality import quality_sheets
from cloud.web.shapes import look
from cloud.web.sheet import Reader, Row, Sheet, Table
from cloud.web.speech import ENGLISH, Speech
from cloud.web.words import ago, lateness
from protocols.lifecycles import OperationState
from protocols.site import Device, Site
from protocols.values import MICROSECONDS


def read(
    tx: Connection,
    site: Site,
    now: int,
    address: str,
    say: Speech = ENGLISH,
    forecasts: Mapping[str, OrderForecast] | None = None,
    desk: CaseDesk | None = None,
) -> Sheet:
    """The sheet at an address; one that says so where there is nothing."""
    kind, _, name = address.partition(":")
    make = _SHEETS.get(kind)
    if make is None:
        return Sheet(say("there is nothing at {address}", address=address))
    return make(Reader(site, now, say, tx=tx, forecasts=forecasts or {}, desk=desk), name)


def _orders(r: Reader, name: str) -> Sheet:
    found = outlook.orders(r.tx, open_only=True)
    shown = [order for order in found if order.late] if name == "late" else found
    rows = [
        Row(
            (
                order.id,
                ", ".join(
                    f"{line.quantity:g} × {r.say.either(line.title, line.title_zh)}" for line in order.lines
                ),
                r.say("{good} of {need}", good=order.finished, need=order.operations),
                r.time(order.promised),
                r.time(order.expected),
                _outcome(r, order),
            ),
            f"order:{order.id}",
            bool(order.late),
        )
        for order in sorted(shown, key=lambda order: -order.late)
    ]
    heads = ("Order", "What", "Operations done", "Promised", "Expected", "")
    nothing = "no order is late" if name == "late" else "no open orders"
    return Sheet(
        r.say("Orders that will be late") if name == "late" else r.say("Open orders"),
        tables=(Table("", heads, rows, nothing),),
    )


def _outcome(r: Reader, order: outlook.Order) -> str:
    if order.late:
        return r.say("▲ late by {time}", time=lateness(order.late))
    return r.say("on time") if order.expected else r.say("not planned")


def _order(r: Reader, name: str) -> Sheet:
    jobs = outlook.jobs(r.tx, order=name)
    if not jobs:
        return Sheet(r.say("Order {name}", name=name), (r.say("there is no such order any more"),))
    ends = outlook.expected_ends(r.tx)
    late = max(0, (ends.get(name, 0) - jobs[0].due) // MICROSECONDS)
    promised, expected = r.time(jobs[0].due), r.time(ends.get(name))
    lines = [r.say("promised {promised} · expected {expected}", promised=promised, expected=expected)]
    if late:
        lines.append(r.say("▲ late by {time}", time=lateness(late)))
    forecast = r.forecasts.get(name)
    if forecast is not None:
        lines += expected_words.lines(forecast, r)
    last = max((o for job in jobs for o in job.operations if o.end), key=lambda o: o.end or 0, default=None)
    if last is not None:
        lines += waits.chain(r, last.id)
    tables = []
    for job in sorted(jobs, key=lambda job: job.id):
        variant = " · ".join(f"{key} {value}" for key, value in job.variant.items())
        remake = r.say(" · remake of {job}", job=job.remake_of) if job.remake_of else ""
        title = r.say.either(job.title, job.title_zh)
        heading = f"{job.id} · {job.quantity:g} × {title} · {variant}{remake}"
        tables.append(
            Table(heading, _OPERATION_HEADS, [_operation_row(r, o) for o in job.operations], "no operations")
        )
        tables += quality_sheets.of_job(r, job.id)
    return Sheet(r.say("Order {name}", name=name), tuple(lines), tuple(tables))


_OPERATION_HEADS = ("Operation", "What", "Workcell", "State", "Good", "Begins", "Ends")


def _operation_row(r: Reader, operation: outlook.Operation) -> Row:
    o = operation
    scrap = r.say(", {scrap} scrap", scrap=f"{o.scrap:g}") if o.scrap else ""
    return Row(
        (
            o.id,
            r.say.either(o.title, o.title_zh),
            r.title(o.workcell),
            r.say(str(o.state)),
            r.say("{good} of {need}", good=f"{o.good:g}", need=f"{o.quantity:g}") + scrap,
            r.time(o.started or o.start),
            r.time(o.finished or o.end),
        ),
        f"operation:{o.id}",
    )


def _operation(r: Reader, name: str) -> Sheet:
    why = waits.chain(r, name)
    pin = decided.pin_of(r, name)
    acts: tuple[tuple[str, str], ...] = (("pin", name), ("pin time", name)) if why else ()
    if pin is not None:
        why.insert(0, r.say("⚲ pinned by {actor}: {what}", actor=pin.actor, what=decided.words(r, pin)))
        acts = (("revoke", str(pin.id)),)
    return Sheet(
        r.say("Operation {name}", name=name),
        tuple(why)
        or (r.say("the plan in force does not have this operation (any more): see what was done"),),
        (_events(r, events.of_operation(r.tx, r.site, name, r.say), "nothing was done for it yet"),),
        acts,
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
            Row(
                (r.title(cell), f"{share:.0%}" if share is not None else r.say("not known yet")),
                f"workcell:{cell}",
            )
        )
    start = r.time(today.day_start(r.site, r.now))
    return Sheet(
        r.say("Running today"),
        (
            r.say(
                "share of the time since {start}, as far as states are known, in which the machine executed",
                start=start,
            ),
        ),
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
    found = [d for d in r.site.devices().values() if name in d.workcells]
    lines = []
    for device in found:
        machine = machines.get(device.id)
        if machine is None:
            lines.append(r.say("{device}: never heard of", device=device.id))
            continue
        shown = look(machine.item_state, machine.mode, stopped=False, fresh=machine.connected)
        lines.append(
            r.say(
                "{device}: {state} since {since}, last read {age} ago",
                device=device.id,
                state=f"{shown.shape} {r.say(shown.word)}",
                since=r.time(machine.state_since),
                age=r.since(machine.last_read),
            )
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
            *_standing(r, [device.id for device in found]),
            *quality_sheets.of_workcell(r, name),
            _stops(r, name),
            _events(r, events.of_workcell(r.tx, r.site, name, start, r.now, r.say), "nothing happened today"),
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
                + ("" if stop.closed else r.say(" and going on")),
                r.say.code(r.site.stop_reasons, reasons[stop.id])
                if stop.id in reasons
                else r.say("? no reason yet"),
            )
        )
        for stop in found
    ]
    return Table("Stops", ("Since", "How long", "Reason"), rows, "no stops")


def _andons(r: Reader, _: str) -> Sheet:
    rows = [
        Row(
            (
                r.say.code(r.site.andon_topics, andon.topic),
                r.title(andon.workcell),
                r.time(andon.raised),
                r.time(andon.cleared)
                if andon.cleared
                else r.say("⚑ open for {age}", age=r.since(andon.raised)),
                andon.note,
            ),
            f"workcell:{andon.workcell}",
            andon.cleared is None,
        )
        for andon in sorted(outlook.andons(r.tx), key=lambda andon: (bool(andon.cleared), -andon.raised))
    ]
    heads = ("Topic", "Workcell", "Called", "Cleared", "Note")
    return Sheet(r.say("Andon"), tables=(Table("", heads, rows, "nobody ever called"),))


def _risk(r: Reader, _: str) -> Sheet:
    open_cases = cases.cases(r.tx, open_only=True)
    case_rows = [
        Row((case.device, case.summary, r.say(str(case.state)), r.time(case.opened)), f"case:{case.id}")
        for case in open_cases
    ]
    known = r.site.devices()
    health_rows = []
    for row in cases.healths(r.tx):
        cells = known[row.device].workcells if row.device in known else ()
        health = r.say("learning what is normal") if row.health is None else f"{row.health:.0f}"
        if row.state == State.FROZEN:
            health = r.say("not judged: a sensor cannot be believed")
        health_rows.append(
            Row((row.device, health, r.time(row.updated)), f"workcell:{cells[0]}" if cells else "")
        )
    return Sheet(
        r.say("Machines at risk"),
        (r.say("health 100 is as the machine was when it was learned; below it drifts away from that"),),
        (
            Table("Open cases", ("Machine", "Why", "State", "Opened"), case_rows, "no open cases"),
            Table("Health of every machine", ("Machine", "Health", "As of"), health_rows, "none scored yet"),
            *model_sheet.overview(r),
            _precision(r),
        ),
        (("bring in", ""),),
    )


def _precision(r: Reader) -> Table:
    """How often alarms were true, month by month."""
    months = verdicts.by_month(cases.cases(r.tx, limit=verdicts.MOST_CASES), r.zone)
    rows = [
        Row(
            (
                month.month,
                str(month.opened),
                str(month.true),
                str(month.false_alarms),
                str(month.other),
                "–" if month.precision is None else f"{month.precision:.0%}",
            )
        )
        for month in months[:12]
    ]
    heads = ("Month", "Cases", "True", "False alarms", "Something else", "True among those judged")
    return Table("How often alarms were true", heads, rows, "no case was opened yet")


def _seen(r: Reader, device: Device, edge: str, machines: dict[str, reading.Machine]) -> devices.Seen:
    """A device as its edge told last: what came since is on the page itself."""
    machine = machines.get(device.id)
    newest = machine.last_read if machine is not None else 0
    told = machine.heartbeat if machine is not None else 0
    return devices.Seen(device, edge, machine, newest, False, max(told, newest))


def _edge(r: Reader, name: str) -> Sheet:
    row = next((row for row in reading.edges(r.tx) if row.id == name), None)
    heard = (
        r.say("last batch {age} ago", age=r.since(row.last_seen))
        if row is not None
        else r.say("never heard of")
    )
    machines = {machine.id: machine for machine in reading.machines(r.tx)}
    rows = []
    for device, edge in devices.devices(r.site):
        if edge != name:
            continue
        seen = _seen(r, device, edge, machines)
        found = devices.health(seen, r.say)
        read = r.say("{age} ago", age=r.since(seen.newest)) if seen.newest else r.say("never")
        words = f"{found.shape} {found.word}"
        rows.append(Row((device.id, words, read, found.why, found.next), f"device:{device.id}"))
    return Sheet(
        r.say("Edge {name}", name=name),
        (
            heard,
            r.say("work at its stations goes on without the service; what they do arrives when it is back"),
        ),
        (
            Table(
                "Machines", ("Machine", "State", "Last read", "Why", "What to do"), rows, "it has no machine"
            ),
            _notices(r, name),
        ),
    )


def _notices(r: Reader, edge: str) -> Table:
    rows = [
        Row((r.time(notice.ts), r.say(notice.severity), notice.text))
        for notice in reading.notices(r.tx, 500)
        if notice.edge == edge
    ][:40]
    return Table("Notices, newest first", ("When", "How bad", "What"), rows, "none")


def _device(r: Reader, name: str) -> Sheet:
    found = next(((device, edge) for device, edge in devices.devices(r.site) if device.id == name), None)
    if found is None:
        return Sheet(name, (r.say("the site has no such device any more"),))
    device, edge = found
    machines = {machine.id: machine for machine in reading.machines(r.tx)}
    seen = _seen(r, device, edge, machines)
    health = devices.health(seen, r.say)
    lines = [f"{health.shape} {health.word}" + (f": {health.why}" if health.why else "")]
    if health.next:
        lines.append(f"→ {health.next}")
    places = ", ".join(r.title(cell) for cell in device.workcells)
    profile = r.say("profile {profile}", profile=device.profile)
    lines.append(" · ".join(part for part in (places, r.say("edge {edge}", edge=edge), profile) if part))
    if seen.newest:
        lines.append(r.say("last read {age} ago", age=r.since(seen.newest)))
    start = today.day_start(r.site, r.now)
    return Sheet(
        devices.name(r.site, device, r.say),
        tuple(lines),
        (
            *_standing(r, [name]),
            _events(r, events.of_device(r.tx, name, start, r.now, r.say), "the machine reported nothing"),
        ),
    )


SHOWN_ALARMS = 100


def _standing(r: Reader, names: Sequence[str]) -> Iterator[Table]:
    """The alarms that stand at some devices; nothing where none does."""
    found = [alarm for those in alarms.standing(r.tx, names).values() for alarm in those]
    if not found:
        return
    found.sort(key=lambda alarm: (-alarm.severity, alarm.raised))
    rows = [
        Row(
            alarm_list.cells(alarm, r.now, r.say),
            f"alarms:{alarm.device}",
            alarm.severity >= alarm_list.SEVERE,
        )
        for alarm in found[:SHOWN_ALARMS]
    ]
    yield Table("Alarms", alarm_list.HEADS, rows, "no alarms")


def _alarms(r: Reader, name: str) -> Sheet:
    """The alarms of a device, or of all: what stands, and what was."""
    names = [name] if name else None
    machines = [machine for machine in reading.machines(r.tx) if not name or machine.id == name]
    standing = sum(machine.alarms_standing for machine in machines)
    untold = sum(machine.alarms_untold for machine in machines)
    shown = list(_standing(r, [machine.id for machine in machines]))
    more = standing - sum(len(table.rows) for table in shown)
    lines = []
    if more > 0:
        lines.append(
            r.say("and {more} more alarms stand that are not listed: look at the machine", more=more)
        )
    if untold:
        words = "{untold} changes of alarms came in a flood and were counted only: look for a loose contact"
        lines.append(r.say(words, untold=untold))
    past = [
        Row(
            (
                alarm_list.grade(alarm, r.say),
                alarm.device,
                alarm.text or alarm.alarm,
                r.time(alarm.raised),
                r.time(alarm.acknowledged),
                r.time(alarm.cleared),
            )
        )
        for alarm in alarms.history(r.tx, names, limit=SHOWN_ALARMS)
        if alarm.cleared is not None
    ]
    heads = ("Severity", "Machine", "Alarm", "Came", "Acknowledged", "Over")
    title = r.say("Alarms of {device}", device=name) if name else r.say("Alarms")
    nothing = Table("", alarm_list.HEADS, (), "no alarms")
    return Sheet(
        title, tuple(lines), (*(shown or [nothing]), Table("What was, newest first", heads, past, "none"))
    )


def _inbox(r: Reader, _: str) -> Sheet:
    rows = [
        Row((r.time(entry.ts), entry.kind, entry.text, r.say(entry.owner), entry.edge))
        for entry in outlook.inbox(r.tx)
    ]
    heads = ("When", "Kind", "What", "For the", "From")
    return Sheet(r.say("Exceptions inbox"), tables=(Table("", heads, rows, "empty"),))


_SHEETS: dict[str, Callable[[Reader, str], Sheet]] = {
    "orders": _orders,
    "late": lambda r, _: _orders(r, "late"),
    "order": _order,
    "operation": _operation,
    "running": _running,
    "workcell": _workcell,
    "andons": _andons,
    "risk": _risk,
    "case": case_sheet.sheet,
    "model": model_sheet.sheet,
    "quality": quality_sheets.overview,
    "chart": quality_sheets.chart,
    "nonconformance": quality_sheets.nonconformance,
    "edge": _edge,
    "device": _device,
    "alarms": _alarms,
    "inbox": _inbox,
    "replans": replans.history,
    "replan": replans.replan,
    "decisions": decided.in_force,
    "decision": decided.one,
}
