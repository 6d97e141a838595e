"""Charts in the database: a sample in, a point out, limits frozen as versions. Within a transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection, Row, insert, select, update

from cloud.orders import journal
from cloud.quality.tables import chart as table
from cloud.quality.tables import limits as limits_table
from cloud.quality.tables import sample as sample_table
from protocols.inspection import Characteristic, Verdict, chart_at
from protocols.spc.chart import State, advance, begun_anew, estimate, trial_limits
from protocols.spc.charts import GROUPED, WITHOUT_LIMITS, Point, Sample, Spec
from protocols.spc.limits import PROVISIONAL_BELOW, TRIAL_FROM, Limits, given

REPLAYED = 20_000
"""The newest samples that a chart is worked out anew from when one of them was undone."""
BACKLOG = "backlog"
"""Actor of a value that came late: stations are not told what it says."""
SHOWN = 500
"""Points that a chart is shown with."""

_state = msgspec.msgpack.Decoder(State)
_spec = msgspec.json.Decoder(Spec)
_limits = msgspec.json.Decoder(Limits)
_sample = msgspec.json.Decoder(Sample)
_point = msgspec.json.Decoder(Point)


class UnknownChart(KeyError):
    """There is no chart of that id."""


class CannotFreeze(ValueError):
    """Limits cannot be frozen now; the message says why."""


class Measured(msgspec.Struct, frozen=True):
    """One measurement: where it belongs and where it came from. ``ts`` in µs UTC."""

    characteristic: Characteristic
    workcell: str
    operation: str
    job: str
    value: float
    ts: int
    source: str
    actor: str


class Chart(msgspec.Struct, frozen=True):
    """A chart as it is listed. ``version`` is that of the limits in force, 0 while there are none;
    ``ready`` says that there are points enough to freeze limits.
    """

    id: int
    key: str
    characteristic: str
    title: str
    title_zh: str
    unit: str
    workcell: str
    on_violation: Verdict
    spec: Spec
    points: int
    version: int
    updated: int
    ready: bool
    signals: tuple[str, ...] = ()
    """Of the newest point."""


class PlottedPoint(msgspec.Struct, frozen=True):
    """A point with what it was measured on; ``values`` are the measured ones, ``version`` the limits' own."""

    ts: int
    operation: str
    job: str
    values: tuple[float, ...]
    version: int
    point: Point


class FrozenLimits(msgspec.Struct, frozen=True):
    """A version of limits: who froze it, when (µs UTC) and why."""

    version: int
    limits: Limits
    provisional: bool
    frozen: int
    actor: str
    reason: str


def take(tx: Connection, measured: Measured) -> tuple[int, Point | None]:
    """Put a measurement on its chart, which is made where there is none; its id and the point.

    A subgroup that is not full gives no point. The same source again has no effect.

    Raises:
        SampleError: the value has no place on a chart of this kind.
    """
    planned = measured.characteristic
    row = _opened(tx, planned, measured.workcell, measured.ts)
    known = select(sample_table.c.id).where(sample_table.c.source == measured.source)
    if tx.execute(known).first() is not None:
        return row.id, None
    sample = planned.sample(measured.value)
    limits = in_force(tx, row)
    state, point = advance(planned.spec, limits, _state.decode(row.state), sample)
    _keep(tx, row, measured, sample, point)
    changed = {"state": msgspec.msgpack.encode(state), "points": state.points, "updated": measured.ts}
    tx.execute(update(table).where(table.c.id == row.id).values(changed))
    return row.id, point


def take_late(tx: Connection, measured: Sequence[Measured]) -> tuple[int, list[tuple[Measured, Point]]]:
    """Put measurements of one chart that come after newer ones at their place in time.

    Returns its id and their points. Those behind them move on by a number, and keep what they said when they
    were made. A chart of subgroups takes them as it takes any others: behind what it has.

    Raises:
        SampleError: a value has no place on a chart of this kind.
    """
    first = measured[0]
    row = _opened(tx, first.characteristic, first.workcell, max(each.ts for each in measured))
    spec, limits = first.characteristic.spec, in_force(tx, row)
    sources = [each.source for each in measured]
    query = select(sample_table.c.source).where(sample_table.c.source.in_(sources))
    known = {*tx.execute(query).scalars()}
    late = sorted((each for each in measured if each.source not in known), key=lambda each: each.ts)
    if spec.kind in GROUPED and spec.size > 1:
        return row.id, [(each, point) for each in late if (point := take(tx, each)[1]) is not None]
    kept = (sample_table.c.chart_id == row.id) & sample_table.c.void.is_(False)
    before = tx.execute(select(sample_table).where(kept).order_by(*_ORDER)).all()
    frozen, last_of_phase = _last_of_phase(tx, row), 0
    state, anew, made = State(), not frozen, []
    for old, new in _merged(before, late):
        if old is not None and not anew and old.number > frozen:
            state, anew = begun_anew(state) if state.weighed and limits is not None else state, True
        sample = _sample.decode(old.sample) if new is None else new.characteristic.sample(new.value)
        state, point = advance(spec, limits, state, sample)
        if point is None:
            continue
        if new is not None:
            _keep(tx, row, new, sample, point)
            made.append((new, point))
            continue
        last_of_phase = point.number if old.number <= frozen else last_of_phase
        if old.number != point.number:
            text = msgspec.json.encode(replace(_point.decode(old.point), number=point.number)).decode()
            moved = {"number": point.number, "point": text}
            tx.execute(update(sample_table).where(sample_table.c.id == old.id).values(moved))
    if frozen and last_of_phase != frozen:
        this = (limits_table.c.chart_id == row.id) & (limits_table.c.version == row.version)
        tx.execute(update(limits_table).where(this).values(last_point=last_of_phase))
    changed = {"state": msgspec.msgpack.encode(state), "points": state.points}
    tx.execute(update(table).where(table.c.id == row.id).values(changed))
    return row.id, made


def _merged(before: Sequence[Row[Any]], late: Sequence[Measured]) -> Iterator[tuple[Any, Measured | None]]:
    """What is charted and what came late, by time: each as (row, None) or (None, measurement)."""
    left = list(late)
    for old in before:
        while left and left[0].ts < old.ts:
            yield None, left.pop(0)
        yield old, None
    yield from ((None, new) for new in left)


_ORDER = (sample_table.c.number, sample_table.c.id)
_NEWEST = (sample_table.c.number.desc(), sample_table.c.id.desc())
"""The order of a chart's points: that of their making, but for those that came late."""


def _keep(tx: Connection, row: Row[Any], measured: Measured, sample: Sample, point: Point | None) -> None:
    tx.execute(
        insert(sample_table).values(
            chart_id=row.id,
            number=point.number if point is not None else 0,
            ts=measured.ts,
            source=measured.source,
            operation_id=measured.operation,
            job_id=measured.job,
            actor=measured.actor,
            sample=msgspec.json.encode(sample).decode(),
            point="" if point is None else msgspec.json.encode(_finite(point)).decode(),
            signals="" if point is None else " ".join(point.signals),
            version=row.version,
            void=False,
        )
    )


def _finite(point: Point) -> Point:
    """JSON has no infinity: a self-starting point after values that never varied is beyond any limit."""
    if point.plotted is None or abs(point.plotted) < 1e300:
        return point
    return replace(point, plotted=99.0 if point.plotted > 0 else -99.0)


def _opened(tx: Connection, planned: Characteristic, workcell: str, ts: int) -> Row[Any]:
    """The row of a chart, with the plan as it is now."""
    key = chart_at(planned.chart, workcell)
    # Nominal and limits differ from variant to variant and come with each sample.
    spec = msgspec.json.encode(planned.spec).decode()
    told = {
        "title": planned.title,
        "title_zh": planned.title_zh,
        "unit": planned.unit,
        "on_violation": planned.on_violation,
        "spec": spec,
    }
    row = tx.execute(select(table).where(table.c.key == key)).first()
    if row is None:
        new = {
            "key": key,
            "characteristic": planned.name,
            "workcell": workcell,
            "state": msgspec.msgpack.encode(State()),
            "points": 0,
            "version": 0,
            "updated": ts,
        }
        tx.execute(insert(table).values(new | told))
    elif any(getattr(row, name) != value for name, value in told.items()):
        anew: dict[str, Any] = {}
        if _spec.decode(row.spec).kind is not planned.spec.kind:  # another kind of chart begins anew
            anew = {"state": msgspec.msgpack.encode(State()), "points": 0, "version": 0}
        tx.execute(update(table).where(table.c.id == row.id).values({**told, **anew}))
    else:
        return row
    return tx.execute(select(table).where(table.c.key == key)).one()


def in_force(tx: Connection, row: Row[Any]) -> Limits | None:
    """The frozen limits of a chart's row."""
    if not row.version:
        return None
    this = (limits_table.c.chart_id == row.id) & (limits_table.c.version == row.version)
    return _limits.decode(tx.execute(select(limits_table.c.limits).where(this)).scalar_one())


def frozen(tx: Connection) -> Mapping[str, Limits]:
    """Limits in force by key of their chart."""
    found = (
        select(table.c.key, limits_table.c.limits)
        .join(limits_table, limits_table.c.chart_id == table.c.id)
        .where(limits_table.c.version == table.c.version)
    )
    return {key: _limits.decode(text) for key, text in tx.execute(found)}


def undo(tx: Connection, source: str) -> int | None:
    """Take a sample back: the chart goes on as if it had not been. Its id; None where there is no sample.

    Points that came after it keep what they said when they were made.
    """
    this = sample_table.c.source == source
    row = tx.execute(select(sample_table).where(this, sample_table.c.void.is_(False))).first()
    if row is None:
        return None
    tx.execute(update(sample_table).where(this).values(void=True))
    of_chart = tx.execute(select(table).where(table.c.id == row.chart_id)).one()
    state = _replayed(tx, of_chart)
    changed = {"state": msgspec.msgpack.encode(state), "points": state.points}
    tx.execute(update(table).where(table.c.id == of_chart.id).values(changed))
    return int(row.chart_id)


def _replayed(tx: Connection, row: Row[Any]) -> State:
    spec, limits, state = _spec.decode(row.spec), in_force(tx, row), State()
    last = _last_of_phase(tx, row)
    kept = (sample_table.c.chart_id == row.id) & sample_table.c.void.is_(False)
    newest = select(sample_table.c.id).where(kept).order_by(sample_table.c.id.desc()).limit(REPLAYED)
    found = select(sample_table.c.sample, sample_table.c.number).where(sample_table.c.id.in_(newest))
    for text, number in tx.execute(found.order_by(sample_table.c.id)):
        if number > last and state.weighed and limits is not None and last:
            state, last = begun_anew(state), 0
        state, _ = advance(spec, limits, state, _sample.decode(text))
    return state


def _last_of_phase(tx: Connection, row: Row[Any]) -> int:
    this = (limits_table.c.chart_id == row.id) & (limits_table.c.version == row.version)
    return int(tx.execute(select(limits_table.c.last_point).where(this)).scalar_one_or_none() or 0)


# --- limits ---------------------------------------------------------------------------------------------


def freeze(
    tx: Connection,
    chart_id: int,
    actor: str,
    reason: str,
    now: int,
    command: str,
    without: Collection[int] = (),
) -> FrozenLimits:
    """Freeze the limits that the points so far give, as the next version; the journal has it under ``actor``.

    ``without`` are numbers of points whose cause was found and removed: they do not belong to the process.

    Raises:
        UnknownChart: no chart of that id.
        CannotFreeze: its kind needs none, there are too few points, or there is none of a number.
    """
    row = _row(tx, chart_id)
    spec, state = _spec.decode(row.spec), _state.decode(row.state)
    if spec.kind in WITHOUT_LIMITS:
        raise CannotFreeze(f"a chart of kind {spec.kind} needs no limits: it stands on others from its start")
    found = _estimated(tx, chart_id, spec, without) if without else trial_limits(spec, state)
    if found is None:
        needed = f"{TRIAL_FROM} at least, {PROVISIONAL_BELOW} to be sure"
        raise CannotFreeze(f"{state.points} points are too few for limits: {needed}")
    version = _newest_version(tx, chart_id) + 1
    frozen = replace(found, version=version)
    tx.execute(
        insert(limits_table).values(
            chart_id=chart_id,
            version=version,
            limits=msgspec.json.encode(frozen).decode(),
            last_point=state.points,
            frozen=now,
            actor=actor,
            reason=reason,
        )
    )
    anew = msgspec.msgpack.encode(begun_anew(state))
    tx.execute(update(table).where(table.c.id == chart_id).values(version=version, state=anew))
    told = {"chart": row.key, "version": version, "limits": frozen, "without": [*without], "reason": reason}
    body = msgspec.json.encode(told)
    journal.append_command(tx, command, journal.FREEZE, actor, now, body)
    return FrozenLimits(version, frozen, frozen.provisional, now, actor, reason)


def _estimated(tx: Connection, chart_id: int, spec: Spec, without: Collection[int]) -> Limits | None:
    """Limits from all points but some; those of a subgroup go together."""
    kept = (sample_table.c.chart_id == chart_id) & sample_table.c.void.is_(False)
    newest = select(sample_table.c.number, sample_table.c.sample, sample_table.c.point).where(kept)
    rows = tx.execute(newest.order_by(sample_table.c.id.desc()).limit(REPLAYED)).all()
    missing = sorted(set(without) - {row.number for row in rows})
    if missing:
        raise CannotFreeze(f"the chart has no point {missing[0]}: leave out numbers that it shows")
    series: list[Sample] = []
    group: list[Sample] = []
    for row in reversed(rows):
        group.append(_sample.decode(row.sample))
        if row.point:
            series += group if row.number not in without else []
            group = []
    return estimate(spec, series)


def _newest_version(tx: Connection, chart_id: int) -> int:
    of_chart = select(limits_table.c.version).where(limits_table.c.chart_id == chart_id)
    return tx.execute(of_chart.order_by(limits_table.c.version.desc()).limit(1)).scalar_one_or_none() or 0


def versions(tx: Connection, chart_id: int) -> list[FrozenLimits]:
    """Every version of a chart's limits, newest first."""
    of_chart = select(limits_table).where(limits_table.c.chart_id == chart_id)
    return [
        FrozenLimits(
            row.version,
            (limits := _limits.decode(row.limits)),
            limits.provisional,
            row.frozen,
            row.actor,
            row.reason,
        )
        for row in tx.execute(of_chart.order_by(limits_table.c.version.desc()))
    ]


# --- looking --------------------------------------------------------------------------------------------


def _row(tx: Connection, chart_id: int) -> Row[Any]:
    row = tx.execute(select(table).where(table.c.id == chart_id)).first()
    if row is None:
        raise UnknownChart(chart_id)
    return row


def charts(tx: Connection, limit: int = 500) -> list[Chart]:
    """Charts, the one last measured first."""
    rows = tx.execute(select(table).order_by(table.c.updated.desc(), table.c.id).limit(limit)).all()
    newest = _newest_signals(tx, [row.id for row in rows])
    return [_listed(row, newest.get(row.id, ())) for row in rows]


def ready(tx: Connection) -> list[Chart]:
    """Charts with points enough whose limits nobody has frozen."""
    waits = (table.c.version == 0) & (table.c.points >= PROVISIONAL_BELOW)
    rows = tx.execute(select(table).where(waits).order_by(table.c.updated).limit(50)).all()
    return [found for row in rows if (found := _listed(row, ())).ready]


def chart(tx: Connection, chart_id: int) -> Chart:
    """One chart; raises UnknownChart."""
    return _listed(_row(tx, chart_id), _newest_signals(tx, [chart_id]).get(chart_id, ()))


def _newest_signals(tx: Connection, ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    found = {}
    for chart_id in ids:
        of_chart = (sample_table.c.chart_id == chart_id) & sample_table.c.void.is_(False)
        newest = select(sample_table.c.signals).where(of_chart, sample_table.c.number > 0)
        text = tx.execute(newest.order_by(*_NEWEST).limit(1)).scalar_one_or_none()
        found[chart_id] = tuple((text or "").split())
    return found


def _listed(row: Row[Any], signals: tuple[str, ...]) -> Chart:
    spec = _spec.decode(row.spec)
    needs = spec.kind not in WITHOUT_LIMITS and given(spec) is None
    return Chart(
        id=row.id,
        key=row.key,
        characteristic=row.characteristic,
        title=row.title,
        title_zh=row.title_zh,
        unit=row.unit,
        workcell=row.workcell,
        on_violation=Verdict(row.on_violation),
        spec=spec,
        points=row.points,
        version=row.version,
        updated=row.updated,
        ready=needs and not row.version and row.points >= PROVISIONAL_BELOW,
        signals=signals,
    )


def points(tx: Connection, chart_id: int, limit: int = SHOWN) -> list[PlottedPoint]:
    """The newest points of a chart in order; raises UnknownChart."""
    _row(tx, chart_id)
    kept = (sample_table.c.chart_id == chart_id) & sample_table.c.void.is_(False)
    newest = select(sample_table).where(kept, sample_table.c.number > 0)
    rows = tx.execute(newest.order_by(*_NEWEST).limit(limit)).all()
    return [
        PlottedPoint(
            row.ts,
            row.operation_id,
            row.job_id,
            _sample.decode(row.sample).values,
            row.version,
            _point.decode(row.point),
        )
        for row in reversed(rows)
    ]


def values(tx: Connection, chart_id: int, limit: int = REPLAYED) -> list[Sample]:
    """The newest samples of a chart in order, for its capability; raises UnknownChart."""
    _row(tx, chart_id)
    kept = (sample_table.c.chart_id == chart_id) & sample_table.c.void.is_(False)
    newest = select(sample_table.c.sample).where(kept).order_by(sample_table.c.id.desc()).limit(limit)
    return [_sample.decode(text) for text in reversed([*tx.execute(newest).scalars()])]
