"""A control chart as it grows: the state after each sample, and the point it gives. Pure, O(1) a sample.

The state is a plain value: the edge keeps it beside its work, the cloud beside its points, and a file is
charted with the same functions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from protocols.spc import pre_control
from protocols.spc.charts import (
    COUNTED,
    GROUPED,
    PROPORTIONS,
    TOLERANCE,
    WEIGHTED,
    Kind,
    Phase,
    Point,
    Sample,
    SampleError,
    Signal,
    Spec,
)
from protocols.spc.distributions import normal_of_t
from protocols.spc.limits import TRIAL_FROM, Band, Limits, band, given, second_band, sigma_of_spread
from protocols.spc.moments import Moments
from protocols.spc.rules import WINDOW, Rule, signals_at
from protocols.spc.weighted import cusum_step, ewma_step


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything a chart must remember. ``recent`` are the last points as (plotted, size)."""

    points: int = 0
    values: Moments = Moments()
    spread_sum: float = 0.0
    spread_count: int = 0
    counted: float = 0.0
    inspected: float = 0.0
    last: float | None = None
    last_part: str = ""
    recent: tuple[tuple[float, float], ...] = ()
    pending: tuple[float, ...] = ()
    ewma: float | None = None
    weighed: int = 0
    high: float = 0.0
    low: float = 0.0
    greens: int = 0
    yellow: int = 0


class _Statistic(msgspec.Struct, frozen=True):
    """What a sample comes down to on a chart of its kind."""

    plotted: float | None
    second: float | None = None
    size: float = 1.0


def trial_limits(spec: Spec, state: State) -> Limits | None:
    """Limits estimated from all points so far; None while they are too few. Not frozen: version 0."""
    if state.points < TRIAL_FROM:
        return None
    if spec.kind in COUNTED:
        return Limits(state.counted / state.inspected, points=state.points)
    if not state.spread_count:
        return None
    spread = state.spread_sum / state.spread_count
    return Limits(state.values.mean, sigma_of_spread(spec, spread), spread, points=state.points)


def advance(spec: Spec, limits: Limits | None, state: State, sample: Sample) -> tuple[State, Point | None]:
    """Take one sample in: the state after it, and its point; None while a subgroup is not full yet.

    ``limits`` are the frozen ones; without them the point is judged by what is estimated from the points
    before it, and says so.

    Raises:
        SampleError: the sample has no place on this kind of chart.
    """
    check(spec, sample)
    if spec.kind in GROUPED and len(sample.values) < spec.size:
        pending = (*state.pending, *sample.values)
        if len(pending) < spec.size:
            return replace(state, pending=pending), None
        state, sample = replace(state, pending=()), replace(sample, values=pending)
    basis = limits or given(spec) or trial_limits(spec, state)
    statistic = _statistic(spec, basis, state, sample)
    after = _remember(spec, basis, state, sample, statistic)
    return after, _judge(spec, basis, state, after, sample, statistic)


def chart(
    spec: Spec, samples: Iterable[Sample], limits: Limits | None = None
) -> tuple[Limits | None, list[Point]]:
    """A whole series. Without ``limits`` they are estimated from all of it first (phase I), as version 0."""
    series = list(samples)
    basis = limits or given(spec) or estimate(spec, series)
    state, points = State(), []
    for sample in series:
        state, point = advance(spec, basis, state, sample)
        if point is not None:
            points.append(point)
    return basis, points


def estimate(spec: Spec, samples: Iterable[Sample]) -> Limits | None:
    """Limits from a series: of the first phase, to be looked at before they are frozen."""
    state = State()
    for sample in samples:
        state, _ = advance(spec, None, state, sample)
    return trial_limits(spec, state)


def check(spec: Spec, sample: Sample) -> None:
    """Raise SampleError where a sample has no place on the chart."""
    values, what = sample.values, f"a sample of {spec.kind}"
    if not values or not all(math.isfinite(value) for value in values):
        raise SampleError(f"{what} needs finite numbers, it has {list(values)}")
    if spec.kind in GROUPED:
        if len(values) not in (1, spec.size):
            raise SampleError(f"{what} needs one value or a subgroup of {spec.size}, it has {len(values)}")
        return
    if len(values) != 1:
        raise SampleError(f"{what} is one value, it has {len(values)}")
    if spec.kind in COUNTED:
        size = _inspected(spec, sample)
        if values[0] < 0 or values[0] != int(values[0]):
            raise SampleError(f"{what} is a count: {values[0]:g} is none")
        if size <= 0 or (spec.kind in PROPORTIONS and values[0] > size):
            raise SampleError(f"{what}: {values[0]:g} of {size:g} inspected is not possible")
    for name in _NEEDS.get(spec.kind, ()):
        if _of(spec, sample, name) is None:
            raise SampleError(f"{what} needs {name}: give it for the chart or for each part")


_NEEDS = {Kind.DNOM: ("nominal",), Kind.Z_MR: ("nominal", "sigma"), Kind.PRE_CONTROL: ("lower", "upper")}


def _of(spec: Spec, sample: Sample, name: str) -> float | None:
    own: float | None = getattr(sample, name)
    return own if own is not None else getattr(spec, name)


def _needed(spec: Spec, sample: Sample, name: str) -> float:
    value = _of(spec, sample, name)
    if value is None:
        raise SampleError(f"a sample of {spec.kind} needs {name}")
    return value


def _inspected(spec: Spec, sample: Sample) -> float:
    return sample.size or float(spec.size)


# --- what is plotted ------------------------------------------------------------------------------------


def _statistic(spec: Spec, limits: Limits | None, state: State, sample: Sample) -> _Statistic:
    value = sample.values[0]
    match spec.kind:
        case Kind.XBAR_R:
            spread = max(sample.values) - min(sample.values)
            return _Statistic(math.fsum(sample.values) / spec.size, spread, spec.size)
        case Kind.XBAR_S:
            mean = math.fsum(sample.values) / spec.size
            squares = math.fsum((each - mean) ** 2 for each in sample.values)
            return _Statistic(mean, math.sqrt(squares / (spec.size - 1)), spec.size)
        case Kind.P | Kind.U:
            size = _inspected(spec, sample)
            return _Statistic(value / size, None, size)
        case Kind.NP | Kind.C:
            return _Statistic(value, None, _inspected(spec, sample))
        case Kind.DNOM:
            return _moving(spec, state, sample, value - _needed(spec, sample, "nominal"))
        case Kind.Z_MR:
            deviation = value - _needed(spec, sample, "nominal")
            return _moving(spec, state, sample, deviation / _needed(spec, sample, "sigma"))
        case Kind.Q:
            return _Statistic(_self_started(state.values, value - (sample.nominal or 0.0)))
        case _:
            return _moving(spec, state, sample, value)


def _moving(spec: Spec, state: State, sample: Sample, value: float) -> _Statistic:
    """A single value with its moving range, which none has that is the first, or the first of its part where
    parts are kept apart."""
    apart = not spec.across_parts and state.last_part != sample.part
    return _Statistic(value, None if state.last is None or apart else abs(value - state.last))


def _self_started(before: Moments, value: float) -> float | None:
    """Q of Quesenberry (1991) for unknown mean and sigma: from the third value on standard normal."""
    if before.count < 2:
        return None
    if not before.sd:
        return math.copysign(math.inf, value - before.mean) if value != before.mean else 0.0
    r = before.count + 1
    t = math.sqrt((r - 1) / r) * (value - before.mean) / before.sd
    return normal_of_t(t, r - 2)


def _remember(
    spec: Spec, limits: Limits | None, state: State, sample: Sample, statistic: _Statistic
) -> State:
    changes: dict[str, object] = {"points": state.points + 1, "last_part": sample.part}
    plotted = statistic.plotted
    if spec.kind in COUNTED:
        changes["counted"] = state.counted + sample.values[0]
        # A chart of c counts per unit inspected, whatever its size.
        changes["inspected"] = state.inspected + (1.0 if spec.kind is Kind.C else statistic.size)
    elif spec.kind is Kind.Q:
        changes["values"] = state.values.with_value(sample.values[0] - (sample.nominal or 0.0))
    elif plotted is not None:
        changes["values"] = state.values.with_value(plotted)
        changes["last"] = plotted
    if statistic.second is not None:
        changes["spread_sum"] = state.spread_sum + statistic.second
        changes["spread_count"] = state.spread_count + 1
    if plotted is not None and math.isfinite(plotted):
        changes["recent"] = (*state.recent, (plotted, statistic.size))[-WINDOW:]
    if spec.kind in WEIGHTED and limits is not None and plotted is not None:
        changes |= _weighed(spec, limits, state, plotted)
    if spec.kind is Kind.PRE_CONTROL:
        verdict = _verdict(spec, state, sample)
        changes |= {"greens": verdict.greens, "yellow": verdict.pending}
    return replace(state, **changes)


def _weighed(spec: Spec, limits: Limits, state: State, value: float) -> dict[str, object]:
    if spec.kind is Kind.EWMA:
        start = spec.start if spec.start is not None else limits.center
        before = state.ewma if state.ewma is not None else start
        return {"ewma": ewma_step(before, value, spec.weight), "weighed": state.weighed + 1}
    slack = spec.slack * limits.sigma
    high, low = cusum_step(state.high, state.low, value - limits.center, slack)
    return {"high": high, "low": low, "weighed": state.weighed + 1}


# --- what it says ---------------------------------------------------------------------------------------


def _judge(
    spec: Spec,
    limits: Limits | None,
    before: State,
    after: State,
    sample: Sample,
    statistic: _Statistic,
) -> Point:
    found = _outside_tolerance(spec, sample)
    number = after.points
    if spec.kind is Kind.PRE_CONTROL:
        return _pre_controlled(spec, before, sample, number)
    if limits is None:
        return Point(number, statistic.plotted, statistic.second, signals=found)
    phase = Phase.PROVISIONAL if limits.provisional else Phase.FROZEN
    size = statistic.size
    at = band(spec, limits, size, max(1, after.weighed or number))
    plotted, second = statistic.plotted, statistic.second
    if spec.kind is Kind.EWMA:
        plotted, second = after.ewma, None
        found += (Signal.EWMA,) if plotted is not None and _outside(plotted, at) else ()
    elif spec.kind is Kind.CUSUM:
        plotted, second = after.high, after.low
        found += (Signal.CUSUM_HIGH,) if after.high > at.upper + _slack(at) else ()
        found += (Signal.CUSUM_LOW,) if after.low > at.upper + _slack(at) else ()
    elif plotted is not None:
        found += tuple(str(rule) for rule in _patterns(spec, limits, after, plotted))
    below = second_band(spec, limits) if second is not None else None
    if below is not None and second is not None and not below[0] - 1e-12 <= second <= below[1] * (1 + 1e-9):
        found += (Signal.SPREAD,)
    return Point(
        number,
        plotted,
        second,
        at.lower,
        at.center,
        at.upper,
        below[0] if below else None,
        below[1] if below else None,
        phase,
        found,
    )


def _patterns(spec: Spec, limits: Limits, after: State, plotted: float) -> Sequence[Rule]:
    if not math.isfinite(plotted):
        return (Rule.NELSON_1,)
    z = []
    for value, size in after.recent:
        at = band(spec, limits, size, 1)
        z.append((value - at.center) / at.sd if at.sd else _without_spread(value, at))
    return signals_at(z, spec.rules)


def _without_spread(value: float, at: Band) -> float:
    """Where nothing ever varied, whatever differs is beyond all limits."""
    return (
        0.0
        if math.isclose(value, at.center, rel_tol=1e-12, abs_tol=1e-12)
        else math.copysign(99.0, value - at.center)
    )


def _outside(value: float, at: Band) -> bool:
    return not at.lower - _slack(at) <= value <= at.upper + _slack(at)


def _slack(at: Band) -> float:
    return 1e-9 * (at.sd or 1.0)


def _outside_tolerance(spec: Spec, sample: Sample) -> tuple[str, ...]:
    if spec.kind in COUNTED:
        return ()
    lower, upper = _of(spec, sample, "lower"), _of(spec, sample, "upper")
    above = upper is not None and any(value > upper for value in sample.values)
    below = lower is not None and any(value < lower for value in sample.values)
    return (*((Signal.ABOVE,) if above else ()), *((Signal.BELOW,) if below else ()))


def _pre_controlled(spec: Spec, before: State, sample: Sample, number: int) -> Point:
    lower, upper = _needed(spec, sample, "lower"), _needed(spec, sample, "upper")
    verdict = _verdict(spec, before, sample)
    signals: tuple[str, ...] = _outside_tolerance(spec, sample)
    signals += ((Signal.STOP,) if verdict.stop else ()) + ((Signal.ADJUST,) if verdict.adjust else ())
    center = (lower + upper) / 2
    return Point(number, sample.values[0], None, lower, center, upper, phase=Phase.FROZEN, signals=signals)


def _verdict(spec: Spec, before: State, sample: Sample) -> pre_control.Verdict:
    lower, upper = _needed(spec, sample, "lower"), _needed(spec, sample, "upper")
    at = pre_control.zone(sample.values[0], lower, upper)
    return pre_control.judge(at, before.greens, before.yellow)


def begun_anew(state: State) -> State:
    """The state when other limits come into force: sums and weighted means begin at their centre again."""
    return replace(state, ewma=None, weighed=0, high=0.0, low=0.0)


def acts(point: Point) -> bool:
    """Whether the signals of a point are sure enough to hold work: by tolerance, or by frozen limits."""
    return bool(point.signals) and (
        point.phase is Phase.FROZEN or any(name in TOLERANCE for name in point.signals)
    )
