"""The sheet of one case: why, when in the plan and why then, what was done, what can be. No NiceGUI."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape

from cloud.dispatching.floor import load
from cloud.dispatching.keeping import plans
from cloud.dispatching.shop.service_explanation import ServiceCause, ServiceReason
from cloud.ledger import reading
from cloud.maintenance import assets, cases
from cloud.maintenance.attendance import Lack
from cloud.maintenance.case import Case, Verdict
from cloud.maintenance.health.plot import plot
from cloud.maintenance.rul.foresight import BY_MODEL, from_model
from cloud.maintenance.work_order import BoundFrom, WorkOrder
from cloud.web import events, today
from cloud.web.maintenance import evidence_plot, model_sheet, waveform_sheet
from cloud.web.sheet import Reader, Row, Sheet, Table
from cloud.web.words import span
from protocols.lifecycles import CASE, CaseEvent, CaseState
from protocols.order_window import Outside
from protocols.site_maintenance import Upkeep
from protocols.values import MICROSECONDS

TOP_TAGS = 3
PROPOSING = (CaseState.OPEN, CaseState.ACKNOWLEDGED)
"""States in which a case proposes an order that nobody has decided about."""

ACTS_OF: dict[CaseEvent, tuple[str, ...]] = {
    CaseEvent.ACKNOWLEDGE: ("acknowledge",),
    CaseEvent.PLAN: ("plan",),
    CaseEvent.KEEP: ("keep",),
    CaseEvent.MOVE: ("move",),
    CaseEvent.FREE: ("free",),
    CaseEvent.SUPPLY: ("supply",),
    CaseEvent.REFUSE: ("refuse",),
    CaseEvent.SNOOZE: ("snooze",),
    CaseEvent.FINISH: ("finish",),
    CaseEvent.CLOSE: ("verdict",),
}
"""What the buttons of a case do, by the step that it allows; the others are taken at the machine."""

BOUNDS = {
    BoundFrom.RUL: "bound: lower end of the remaining life, less a margin",
    BoundFrom.LIMIT: "bound: from how it grows towards its limit, less a margin",
    BoundFrom.TREND: "bound: from the trend of its health, less a margin",
    BoundFrom.SPAN: "bound: the span of the site file, as nothing foretells it better",
}
VERDICTS = {
    Verdict.TRUE: "it was true",
    Verdict.FALSE_ALARM: "false alarm",
    Verdict.OTHER: "something else",
}
STEPS = {
    "open": "opened",
    "acknowledge": "acknowledged",
    "snooze": "snoozed",
    "plan": "planned",
    "foresee": "another bound",
    "supply": "parts come at another time",
    "move": "moved to a time",
    "decline": "could not be moved as the station asked",
    "keep": "kept at its time",
    "free": "left to the planner",
    "refuse": "order refused",
    "start": "begun at the machine",
    "break-off": "broken off",
    "find": "found",
    "finish": "done",
    "close": "judged and closed",
}
DECLINED = {
    Outside.PAST: "▲ not moved to {start}, as the station asked: that was past",
    Outside.PARTS: "▲ not moved to {start}, as the station asked: its parts are there at {limit} only",
    Outside.BOUND: "▲ not moved to {start}, as the station asked: by what is known now the latest is {limit}",
}
LACKS = {
    Lack.PARTS: "◔ parts are missing until {since}: {name}",
    Lack.NUMBER: "▲ {needed} × {name} are needed, the site has {there}",
    Lack.TIME: "▲ {needed} × {name} are not there long enough before the bound: first from {since}",
}
NEVER = "▲ {needed} × {name} are never there long enough without a break: see the shifts of the site file"
REASONS = {
    ServiceCause.NOW: "it begins as soon as the plan does",
    ServiceCause.EARLIEST: "it begins when the parts are there",
    ServiceCause.WORK: "it follows {other}, which the machine does until then",
    ServiceCause.MAINTENANCE: "it follows another maintenance of the machine",
    ServiceCause.UNAVAILABLE: "the machine is not there before: {other}",
    ServiceCause.RESOURCE: "no more of {other} was free before",
    ServiceCause.KEPT: "it could begin {earlier} earlier, but {other} would lose more by that",
}


def sheet(r: Reader, name: str) -> Sheet:
    """The case of an id."""
    try:
        case = cases.find(r.tx, name)
    except cases.NoSuchCaseError:
        return Sheet(r.say("Maintenance case"), (r.say("there is no such case"),))
    top = case.evidence[:TOP_TAGS]
    heads = ("Tag", "While", "Now", "Normal", "Spreads off", "Share")
    evidence = [
        Row(
            (
                item.tag,
                r.say(item.regime) if item.regime == BY_MODEL else item.regime,
                f"{item.current:.4g}",
                f"{item.normal:.4g} ± {item.spread:.2g}",
                f"{item.deviation:+.1f}",
                f"{item.contribution:+.0%}" if item.contribution else "–",
            ),
            waveform_sheet.opens(item.tag, case.opened),
        )
        for item in top
    ]
    start = today.day_start(r.site, r.now)
    own = events.of_device(r.tx, case.device, start, r.now, r.say)
    rows = [Row((r.time(event.ts), event.where, event.text)) for event in own]
    return Sheet(
        r.say("{device}: maintenance case", device=case.device),
        (
            *_lines(r, case),
            *_life_lines(r, case),
            *model_sheet.lines_of_case(r, case),
            *_order_lines(r, case),
            *_verdict_lines(r, case),
        ),
        (
            Table("Evidence", heads, evidence, "none kept"),
            *model_sheet.reasons(r, case),
            _instruction(r, case),
            _journal(r, case),
            Table("Events, newest first", ("When", "Where", "What"), rows, "the machine reported nothing"),
        ),
        possible_acts(case),
        evidence_plot.draw(top, r.say) + _course(r, case, [item.tag for item in top]),
    )


def _course(r: Reader, case: Case, tags: Sequence[str]) -> str:
    """How its tags came to where they are; after the end of the case they belong to the machine as it is now.

    As an image of its own: the styles of a picture that stands in the page would be those of the whole page.
    """
    known = assets.load(r.tx, case.asset).get(case.asset) if case.ended is None else None
    if known is None or case.state is CaseState.CLOSED:
        return ""
    units = {tag.path: tag.unit for tag in reading.tags(r.tx) if tag.device == case.device}
    title = r.say("Course since it was learned")
    drawn = plot(known.trend, known.normals, tags, lambda tag: units.get(tag, ""), r.time, title)
    if not any(tag in point.means for point in known.trend.points for tag in tags):
        return ""
    data = b64encode(drawn.encode()).decode()
    return f'<img class="course" alt="{escape(title)}" src="data:image/svg+xml;base64,{data}">'


def possible_acts(case: Case) -> tuple[tuple[str, str], ...]:
    """What may be done with a case now. To keep a time makes sense while there is none, to free it else."""
    fixed = case.order is not None and case.order.fixed is not None
    left_out = {CaseEvent.KEEP} if fixed else {CaseEvent.FREE}
    possible = {CaseEvent(event) for event in CASE.allowed(case.state)} - left_out
    return tuple((name, case.id) for event, names in ACTS_OF.items() if event in possible for name in names)


def _lines(r: Reader, case: Case) -> Iterator[str]:
    yield case.summary
    if from_model(case):
        yield r.say("opened by its model alone: the machine itself still looked well")
    yield r.say(
        "{state} since {since} · opened {opened} at health {health}",
        state=r.say(str(case.state)),
        since=r.time(case.changed),
        opened=r.time(case.opened),
        health=f"{case.health:.0f}",
    )
    if case.snoozed(r.now):
        yield r.say("☾ nobody is reminded before {until}", until=r.time(case.snoozed_until))
    if case.state is CaseState.IN_WORK:
        yield r.say("◇ in work since {since}; it ends at the station (F10)", since=r.time(case.began))
        yield r.say("a lock in this system never replaces lock-out/tag-out")
    for machine in reading.machines(r.tx):
        if machine.id == case.device and machine.lock is not None and machine.lock.state != "free":
            lock = machine.lock
            yield r.say("⊘ {state}: {owner}", state=r.say(str(lock.state)), owner=lock.owner)


def _life_lines(r: Reader, case: Case) -> Iterator[str]:
    """What is foreseen of the machine, in hours of work and on the calendar."""
    known = r.desk.life(r.tx, case) if r.desk is not None and case.ended is None else None
    if known is None:
        return
    prognosis = known.prognosis
    if prognosis.lower is None:
        yield r.say("remaining life: beyond what can be foreseen")
        return

    def hours(value: float) -> str:
        return f"{value:.0f}" if value >= 10 else f"{value:.1f}"

    lower, first = hours(prognosis.lower), r.time(known.lower_at)
    if prognosis.median is None:
        yield r.say("remaining life: at least {lower} operating hours, to {first}", lower=lower, first=first)
    elif prognosis.upper is None:
        yield r.say(
            "remaining life: at least {lower} operating hours, to {first}, most likely {median}",
            lower=lower,
            first=first,
            median=hours(prognosis.median),
        )
    else:
        yield r.say(
            "remaining life: {lower} to {upper} operating hours, most likely {median}: {first} to {last}",
            lower=lower,
            upper=hours(prognosis.upper),
            median=hours(prognosis.median),
            first=first,
            last=r.time(known.upper_at)
            if known.upper_at is not None
            else r.say("later than is looked ahead"),
        )


def _order_lines(r: Reader, case: Case) -> Iterator[str]:
    """When it is to be done, and why then; before it is planned, what it would be."""
    order, planned = case.order, case.state is CaseState.PLANNED
    if case.state in PROPOSING and r.desk is not None:
        order = r.desk.proposal(r.tx, case)
    elif not planned:
        return
    if order is None:
        return
    yield r.say(
        "maintenance order: {span}, from {earliest}, before {bound}"
        if planned
        else "proposed maintenance order: {span}, from {earliest}, before {bound}",
        span=span(order.seconds),
        earliest=r.time(order.earliest),
        bound=r.time(order.bound),
    )
    yield r.say(BOUNDS[order.bound_from])
    if order.late_parts:
        yield r.say("▲ the parts come too late for the bound: get them sooner, or watch the machine")
    if not planned:
        return
    yield from _shortage_lines(r, case)
    if order.declined is not None:
        start, limit = r.time(order.declined.start), r.time(order.declined.limit)
        yield r.say(DECLINED[order.declined.why], start=start, limit=limit)
    place = (
        (order.fixed, order.fixed + order.duration)
        if order.fixed is not None
        else load.service(r.tx, case.id)
    )
    if place is None:
        yield from _without_place(r, order)
        return
    start, end = r.time(place[0]), r.time(place[1])
    if order.fixed is not None:
        yield r.say("⚲ kept from {start} to {end}, because a person said so", start=start, end=end)
    else:
        why = _why(r, case)
        yield r.say("in the plan from {start} to {end}", start=start, end=end) + (f": {why}" if why else "")
    if place[1] > order.bound:
        past = span((place[1] - order.bound) / MICROSECONDS)
        yield r.say("▲ it ends {past} past its bound", past=past)


def _shortage_lines(r: Reader, case: Case) -> Iterator[str]:
    """What is missing for the order, with when it is there."""
    for short in r.desk.shortages(case) if r.desk is not None else ():
        what = r.site.crew.get(short.name) or r.site.tools.get(short.name)
        name = r.say.either(what.title, what.title_zh) if what is not None else short.name
        phrase = LACKS[short.lack] if short.since or short.lack is not Lack.TIME else NEVER
        since = r.time(short.since or None)
        yield r.say(phrase, name=name, needed=short.needed, there=short.there, since=since)


def _without_place(r: Reader, order: WorkOrder) -> Iterator[str]:
    if not order.workcell:
        yield r.say("the machine stands at no workcell: nothing in the plan waits for it")
    else:
        yield r.say("▲ the plan has no room for it yet: move it to a time, or move other work")


def _why(r: Reader, case: Case) -> str:
    found = plans.service_reason(r.tx, case.id)
    if found is None:
        return ""
    reason: ServiceReason = found[0]
    other = reason.other or r.say("other work")
    return r.say(REASONS[reason.cause], other=other, earlier=span(reason.earlier))


def _verdict_lines(r: Reader, case: Case) -> Iterator[str]:
    if case.verdict is not None:
        yield r.say(
            "verdict: {verdict} ({actor}, {when})",
            verdict=r.say(VERDICTS[case.verdict]),
            actor=case.judged_by or "–",
            when=r.time(case.judged),
        )
    elif case.state is CaseState.DONE:
        yield r.say("? what came of it: was the suspicion true? The verdict is what later alarms learn from")
    if case.cause:
        yield r.say("cause: {cause}", cause=case.cause)
    if case.found:
        yield r.say("as found: {found}", found=case.found)


def _instruction(r: Reader, case: Case) -> Table:
    """What the terminal shows: steps, skills, parts."""
    upkeep: Upkeep = r.site.upkeep(case.device, case.mode)
    rows = [Row((str(n), r.say.either(s.text, s.text_zh))) for n, s in enumerate(upkeep.steps, 1)]
    for name, number in upkeep.needs.items():
        what = r.site.crew.get(name) or r.site.tools.get(name)
        title = r.say.either(what.title, what.title_zh) if what is not None else name
        rows.append(Row((r.say("needs"), f"{number} × {title}")))
    rows += [Row((r.say("part"), part)) for part in upkeep.parts]
    return Table("What is to be done", ("Step", "What"), rows, "the site file has no instruction for it")


def _journal(r: Reader, case: Case) -> Table:
    rows = []
    for entry in cases.entries(r.tx, case.id):
        note = entry.note
        if entry.step is not None and entry.step.verdict is not None:
            note = " · ".join(text for text in (r.say(VERDICTS[entry.step.verdict]), note) if text)
        rows.append(Row((r.time(entry.ts), entry.actor, r.say(STEPS.get(entry.event, entry.event)), note)))
    return Table("Journal", ("When", "By whom", "What", "Why"), rows, "nothing yet")
