"""The sheets of quality: all charts, one chart with its picture, one nonconformance. No NiceGUI."""

from __future__ import annotations

from collections.abc import Iterator

from cloud.quality import charts, nonconformances, part_courses
from cloud.quality.capability import Capability, Index
from cloud.quality.charts import Chart, UnknownChart
from cloud.quality.nonconformances import Nonconformance, UnknownNonconformance
from cloud.quality.part_courses import LEARNED_FROM, Course, Deviation
from cloud.quality.picture import capability_of, picture_of
from cloud.web.sheet import Reader, Row, Sheet, Table
from protocols.lifecycles import NONCONFORMANCE, NonconformanceEvent
from protocols.spc.charts import SIGNAL_WORDS, WEIGHTED, WITHOUT_LIMITS, Kind
from protocols.spc.run_lengths import run_length

SHOWN_POINTS = 12

ACTS_OF: dict[NonconformanceEvent, str] = {
    NonconformanceEvent.DISPOSE: "dispose",
    NonconformanceEvent.CLOSE: "conform",
    NonconformanceEvent.REOPEN: "hold again",
    NonconformanceEvent.WITHDRAW: "withdraw",
}
"""What the buttons of a nonconformance do, by the event that its state allows."""

EVENTS = {
    "open": "opened",
    "dispose": "decided",
    "close": "reported done",
    "reopen": "on hold again",
    "withdraw": "withdrawn",
    "release": "released at a station",
}


def overview(r: Reader, _: str) -> Sheet:
    """All charts and everything that does not conform."""
    found = nonconformances.nonconformances(r.tx, limit=50)
    return Sheet(
        r.say("Quality"),
        tables=(
            Table("Nonconformances, newest first", HEADS, [_row(r, each) for each in found], "none"),
            of_charts(r, charts.charts(r.tx)),
            of_courses(r, part_courses.courses(r.tx)),
            of_deviations(r, part_courses.newest(r.tx)),
        ),
    )


def of_courses(r: Reader, found: list[Course]) -> Table:
    """Signals of pieces with their golden envelopes."""
    heads = ("Machine", "Program", "Signal", "Envelope", "Pieces judged", "Left it", "When")
    rows = [
        Row(
            (
                each.device,
                each.program or "–",
                each.signal,
                r.say("learning: {count} of {wanted} pieces", count=each.learned_from, wanted=LEARNED_FROM)
                if each.learning
                else r.say("version {version}", version=each.version),
                str(each.parts),
                f"▲ {each.outside}" if each.outside else "✓",
                r.time(each.updated),
            ),
            late=bool(each.outside),
        )
        for each in found
    ]
    return Table("Signals of pieces", heads, rows, "no machine told a signal of a whole piece yet")


def of_deviations(r: Reader, found: list[Deviation]) -> Table:
    """Pieces that left their envelope."""
    signals = {each.id: each for each in part_courses.courses(r.tx)}
    rows = [
        Row(
            (
                r.time(left.end),
                signals[left.envelope].device if left.envelope in signals else "–",
                signals[left.envelope].signal if left.envelope in signals else "–",
                left.operation or "–",
                left.text,
            ),
            f"operation:{left.operation}" if left.operation else "",
        )
        for left in found
    ]
    heads = ("When", "Machine", "Signal", "Operation", "What it says")
    return Table("Pieces outside their envelope, newest first", heads, rows, "none")


def of_charts(r: Reader, found: list[Chart]) -> Table:
    """Charts as rows that open them."""
    heads = ("Characteristic", "Workcell", "Chart", "Points", "Limits", "Newest point", "When")
    rows = [
        Row(
            (
                r.say.either(chart.title, chart.title_zh),
                r.title(chart.workcell),
                str(chart.spec.kind),
                str(chart.points),
                _limits(r, chart),
                _signals(r, chart.signals) or "✓",
                r.time(chart.updated),
            ),
            f"chart:{chart.id}",
            bool(chart.signals),
        )
        for chart in found
    ]
    return Table("Control charts", heads, rows, "nothing was measured by a plan yet")


def of_workcell(r: Reader, workcell: str) -> Iterator[Table]:
    """The charts of a workcell, where it has any."""
    found = [chart for chart in charts.charts(r.tx) if chart.workcell == workcell]
    if found:
        yield of_charts(r, found)


def of_job(r: Reader, job: str) -> Iterator[Table]:
    """What does not conform in a job, where there is anything."""
    found = [each for each in nonconformances.nonconformances(r.tx) if each.job == job]
    if found:
        yield Table("Nonconformances, newest first", HEADS, [_row(r, each) for each in found], "none")


def _limits(r: Reader, chart: Chart) -> str:
    if chart.spec.kind in WITHOUT_LIMITS:
        return r.say("needs none")
    if chart.version:
        return r.say("version {version}", version=chart.version)
    return r.say("ready to freeze") if chart.ready else r.say("provisional")


def _signals(r: Reader, signals: tuple[str, ...]) -> str:
    place = 1 if r.say.language == "zh" else 0
    words = "; ".join(SIGNAL_WORDS[name][place] for name in signals)
    return f"▲ {words}" if words else ""


def chart(r: Reader, name: str) -> Sheet:
    """A chart: its picture, what it stands on, its newest points."""
    try:
        found = charts.chart(r.tx, int(name) if name.isdecimal() else 0)
    except UnknownChart:
        return Sheet(r.say("Control chart"), (r.say("there is no such chart"),))
    points = charts.points(r.tx, found.id, SHOWN_POINTS)
    heads = ("Point", "When", "Operation", "Value", "What it says")
    rows = [
        Row(
            (
                str(each.point.number),
                r.time(each.ts),
                each.operation,
                " ".join(f"{value:g}" for value in each.values),
                _signals(r, each.point.signals),
            ),
            f"operation:{each.operation}",
            bool(each.point.signals),
        )
        for each in reversed(points)
    ]
    versions = [
        Row(
            (
                str(v.version),
                r.time(v.frozen),
                v.actor,
                f"{v.limits.center:.6g} ± {3 * v.limits.sigma:.4g}",
                v.reason,
            )
        )
        for v in charts.versions(r.tx, found.id)
    ]
    acts = () if found.spec.kind in WITHOUT_LIMITS else (("freeze", str(found.id)),)
    limit_heads = ("Version", "Frozen", "By whom", "Limits of single values", "Why")
    return Sheet(
        f"{r.say.either(found.title, found.title_zh)} · {r.title(found.workcell)}",
        tuple(_lines(r, found)),
        (
            Table("Points, newest first", heads, rows, "no points yet"),
            Table("Frozen limits", limit_heads, versions, "none: every judgement is provisional"),
        ),
        acts if found.points else (),
        picture_of(r.tx, found.id, r.site, chinese=r.say.language == "zh"),
    )


def _lines(r: Reader, found: Chart) -> Iterator[str]:
    state = _limits(r, found)
    yield r.say("{points} points, limits: {limits}", points=found.points, limits=state)
    if found.spec.kind not in WEIGHTED and found.spec.kind is not Kind.PRE_CONTROL:
        length = run_length(found.spec.rules)
        names = ", ".join(found.spec.rules)
        if length is not None:
            yield r.say(
                "rules {names}: a false alarm every {points} points on average",
                names=names,
                points=f"{length.in_control:.0f}",
            )
    hold = found.on_violation == "hold"
    yield r.say("a violation of frozen limits holds the lot") if hold else r.say("a violation is noted")
    try:
        yield from capability_lines(r, capability_of(r.tx, found.id))
    except ValueError as error:
        yield r.say("no capability: {why}", why=error)


def capability_lines(r: Reader, found: Capability) -> Iterator[str]:
    """Capability with its intervals; an index never stands alone."""
    named: tuple[tuple[str, Index | None], ...] = (
        ("Cp", found.cp),
        ("Cpk", found.cpk),
        ("Pp", found.pp),
        ("Ppk", found.ppk),
        ("Cpm", found.cpm),
    )
    shown = " · ".join(
        f"{name} {index.low:.2f} – {index.high:.2f} ({index.value:.2f})"
        for name, index in named
        if index is not None
    )
    yield r.say("capability of {count} values, 95 % intervals: {indices}", count=found.count, indices=shown)


HEADS = ("Number", "Job", "What", "State", "Decision", "Since")


def _row(r: Reader, found: Nonconformance) -> Row:
    cells = (
        str(found.id),
        found.job,
        r.say.either(found.text, found.text_zh),
        r.say(str(found.state)),
        r.say(found.disposition) if found.disposition else "–",
        r.time(found.opened),
    )
    return Row(cells, f"nonconformance:{found.id}", found.holds)


def nonconformance(r: Reader, name: str) -> Sheet:
    """A nonconformance: what it is, what waits for it, what was decided."""
    try:
        found = nonconformances.nonconformance(r.tx, int(name) if name.isdecimal() else 0)
    except UnknownNonconformance:
        return Sheet(r.say("Nonconformance"), (r.say("there is no such nonconformance"),))
    heads = ("When", "By whom", "What", "Why")
    rows = []
    for each in nonconformances.history(r.tx, found.id):
        what = r.say(EVENTS.get(each.event, each.event))
        if each.disposition:
            what = f"{what}: {r.say(each.disposition)}"
        rows.append(Row((r.time(each.ts), each.actor, what, each.reason)))
    where = [Row((found.operation, r.title(found.workcell)), f"operation:{found.operation}")]
    if found.chart is not None:
        where.append(Row((r.say("its chart"), ""), f"chart:{found.chart}"))
    acts = tuple(
        (ACTS_OF[NonconformanceEvent(event)], str(found.id)) for event in NONCONFORMANCE.allowed(found.state)
    )
    return Sheet(
        r.say("Nonconformance {number} · job {job}", number=found.id, job=found.job),
        tuple(_state(r, found)),
        (
            Table("Where", ("Operation", "Workcell"), where, "none"),
            Table("Journal", heads, rows, "nothing yet"),
        ),
        acts,
    )


def _state(r: Reader, found: Nonconformance) -> Iterator[str]:
    yield r.say.either(found.text, found.text_zh)
    yield r.say("{state} since {since}", state=r.say(str(found.state)), since=r.time(found.changed))
    if found.holds:
        yield r.say("■ what follows in this job waits")
    elif found.disposition == "scrap" and not found.quantity:
        yield r.say("the pieces are booked as scrap at the station (F6)")
    if found.quantity:
        yield r.say(
            "{count} pieces count as {what}", count=f"{found.quantity:g}", what=r.say(found.disposition)
        )
