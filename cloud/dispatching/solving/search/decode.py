"""From a list of work to a plan: one unit after the other as early as it can be, behind what its machine has.

A serial schedule generation, compiled; all in one file on purpose, because numba's cache notices a change in
a function's own file only. It knows every rule of the problem: set-up states and changeovers, windows and
pauses, frozen work and the time to change over before it, releases, lags, transport and vehicles, overlaps,
what machines share, and maintenance.

A *unit* is one activity, one task of maintenance, or several activities that longest lags bind together. Its
members are placed in order; where one would start too long after another, that is pushed later and placed
anew with all that follow it. Nothing is ever pushed further than it must, so this ends; where it does not
soon (no plan of these machines may keep the lag), the seconds too many are counted as :data:`BROKEN`.

Everything placed can be taken back, last first, so a changed list is decoded from its first change on only.
``a``, ``o``, ``r``, ``j``, ``m``, ``b``, ``t``, ``p``, ``x``, ``n``, ``u`` and ``k`` are the arrays of
:class:`~cloud.dispatching.solving.search.numbered.Numbered`, their columns those of
:mod:`~cloud.dispatching.solving.search.list_columns`.
"""

# To mypy an element of an array may be anything.
# mypy: disable-error-code="no-any-return, return-value"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloud.dispatching.solving.search.jit import compiled
from cloud.dispatching.solving.search.list_columns import (
    AMOUNT,
    ARC_AT,
    ARC_END,
    AT,
    B_END,
    B_START,
    BLOCK_END,
    BROKEN,
    CAUSE,
    CHANGE,
    CHANGE_AT,
    CHANGEOVER_COST,
    COST,
    DELAY_COST,
    DONE,
    DUE,
    EMPTY,
    END,
    ENTER,
    FACT_AT,
    FACT_COST,
    FACT_SECONDS,
    FINISH,
    FINISH_BEFORE,
    FIRST,
    FREE,
    H_END,
    H_LAG,
    H_OTHER,
    H_STATION,
    HAUL_AT,
    HAUL_END,
    HELD,
    IS_CREW,
    IS_TASK,
    JOB,
    JOB_AT,
    JOB_END,
    JOB_ENDS,
    LAG,
    LAST,
    LEAVE,
    LEVEL,
    MAKESPAN_COST,
    MEMBER_AT,
    MEMBER_END,
    MOST,
    NEED_AT,
    NEED_END,
    NEXT_WORK,
    NOW,
    O_RELEASE,
    O_SECONDS,
    O_STATE,
    O_STATION,
    OLD_AT,
    OLD_BROKEN,
    OLD_COST,
    OLD_DUE,
    OLD_DUE_AT,
    OLD_FINISH,
    OLD_FREE,
    OLD_JOB_END,
    OLD_STATE,
    OMIT_COST,
    OPTION,
    OPTION_AT,
    OTHER,
    OTHER_MACHINE,
    PAUSE,
    PLACE,
    PLACED,
    POOL,
    PREVIOUS,
    PUSHED,
    RESTS,
    START,
    STATE,
    STATES,
    STEP_AT,
    STEPS,
    TAIL,
    TIME,
    TOP,
    TRIP,
    VEHICLES,
    W_COST,
    W_START,
    W_STATION,
    WEIGHT,
    WISH_AT,
    WISH_END,
)

Ints = NDArray[np.int64]

NONE = -1
NEVER = -(1 << 50)
"""Seconds before any time."""

PIN = -2
"""Instead of a station: a wish that only a later start leaves unfulfilled."""

PUSHES = 60
"""Times that members of a unit are pushed, for each of them, before a longest lag counts as broken."""

PENALTY = 1 << 24
"""Cost of each second by which a longest lag is exceeded: more than all that a plan can save."""


# -- what is left of a pool -------------------------------------------------------------------------------


@compiled
def _step(p: Ints, x: Ints, pool: int, time: int) -> int:
    """The row of ``x`` that says what is left at ``time``."""
    low = p[pool, STEP_AT]
    high = low + p[pool, STEPS]
    while high - low > 1:
        middle = (low + high) // 2
        if x[middle, TIME] <= time:
            low = middle
        else:
            high = middle
    return low


@compiled
def _split(p: Ints, x: Ints, pool: int, time: int) -> int:
    """The row that begins at ``time``, made if need be."""
    at = _step(p, x, pool, time)
    if x[at, TIME] == time:
        return at
    for row in range(p[pool, STEP_AT] + p[pool, STEPS], at + 1, -1):
        x[row, TIME] = x[row - 1, TIME]
        x[row, LEVEL] = x[row - 1, LEVEL]
    x[at + 1, TIME] = time
    x[at + 1, LEVEL] = x[at, LEVEL]
    p[pool, STEPS] += 1
    return at + 1


@compiled
def _join(p: Ints, x: Ints, pool: int, at: int) -> None:
    """Drop a row that says what the one before it says."""
    if at > p[pool, STEP_AT] and x[at - 1, LEVEL] == x[at, LEVEL]:
        for row in range(at, p[pool, STEP_AT] + p[pool, STEPS] - 1):
            x[row, TIME] = x[row + 1, TIME]
            x[row, LEVEL] = x[row + 1, LEVEL]
        p[pool, STEPS] -= 1


@compiled
def _take(p: Ints, x: Ints, pool: int, start: int, end: int, amount: int) -> None:
    """Take ``amount`` from ``start`` to ``end``, or give it back where it is negative."""
    if start >= end:
        return
    first = _split(p, x, pool, start)
    last = _split(p, x, pool, end)
    for row in range(first, last):
        x[row, LEVEL] -= amount
    _join(p, x, pool, last)
    _join(p, x, pool, first)


@compiled
def _lacking(p: Ints, x: Ints, pool: int, start: int, end: int, amount: int) -> int:
    """Until when less than ``amount`` is left first between ``start`` and ``end``; ``start`` if never."""
    if start >= end:
        return start
    at = _step(p, x, pool, start)
    last = p[pool, STEP_AT] + p[pool, STEPS]
    while at < last and x[at, TIME] < end:
        if x[at, LEVEL] < amount:
            at += 1
            while at < last and x[at, LEVEL] < amount:
                at += 1
            return min(end, x[at, TIME]) if at < last else end
        at += 1
    return start


# -- a machine --------------------------------------------------------------------------------------------


@compiled
def _change(m: Ints, t: Ints, station: int, before: int, after: int) -> int:
    at = m[station, CHANGE_AT]
    return 0 if at < 0 else t[at + before * m[station, STATES] + after]


@compiled
def _slot(
    a: Ints, o: Ints, m: Ints, b: Ints, t: Ints, v: int, release: int, since: int
) -> tuple[int, int, int]:
    """(changeover, start, end) of ``v`` on its machine, which it takes at ``since`` at the earliest."""
    option = a[v, OPTION]
    station = o[option, O_STATION]
    own = o[option, O_STATE]
    seconds = o[option, O_SECONDS]
    state = m[station, STATE]
    change = _change(m, t, station, state, own)
    start = max(release, since + change)
    end = start + seconds
    for at in range(m[station, AT], m[station, BLOCK_END]):
        opens = b[at, B_START]
        if end <= opens and start - change < opens:
            work = b[at, NEXT_WORK]
            if work < 0 or end + _change(m, t, station, own, b[work, ENTER]) <= b[work, B_START]:
                break
        elif a[v, RESTS] and b[at, PAUSE] and start < opens:
            end += b[at, B_END] - opens
            continue
        since = max(since, b[at, B_END])
        if b[at, ENTER] >= 0:
            state = b[at, LEAVE]
            change = _change(m, t, station, state, own)
        start = max(release, since + change)
        end = start + seconds
    return change, start, end


@compiled
def _take_needs(
    a: Ints, o: Ints, r: Ints, m: Ints, b: Ints, p: Ints, x: Ints, v: int, block: int, sign: int
) -> None:
    """Take what ``v`` needs where it lies, or give it back; ``block`` is the first that may lie in it."""
    option = a[v, OPTION]
    last = m[o[option, O_STATION], BLOCK_END]
    end = a[v, END]
    for need in range(o[option, NEED_AT], o[option, NEED_END]):
        pool = r[need, POOL]
        amount = r[need, AMOUNT] * sign
        since = a[v, START] - a[v, CHANGE]
        if a[v, RESTS] and p[pool, IS_CREW]:
            for at in range(block, last):
                if b[at, B_START] >= end:
                    break
                if b[at, PAUSE] and b[at, B_START] > since and b[at, B_END] < end:
                    _take(p, x, pool, since, b[at, B_START], amount)
                    since = b[at, B_END]
        _take(p, x, pool, since, end, amount)


@compiled
def _wanting(
    a: Ints,
    o: Ints,
    r: Ints,
    m: Ints,
    b: Ints,
    p: Ints,
    x: Ints,
    v: int,
    begin: int,
    end: int,
) -> int:
    """When ``v`` may take its machine by what it needs, if not at ``begin``; a later time may not do yet."""
    option = a[v, OPTION]
    station = o[option, O_STATION]
    latest = begin
    for need in range(o[option, NEED_AT], o[option, NEED_END]):
        pool = r[need, POOL]
        amount = r[need, AMOUNT]
        since = begin
        if a[v, RESTS] and p[pool, IS_CREW]:
            for at in range(m[station, AT], m[station, BLOCK_END]):
                if b[at, B_START] >= end:
                    break
                if b[at, PAUSE] and b[at, B_START] > since and b[at, B_END] < end:
                    until = _lacking(p, x, pool, since, b[at, B_START], amount)
                    if until > since:
                        latest = max(latest, until)
                    since = b[at, B_END]
        until = _lacking(p, x, pool, since, end, amount)
        if until > since:
            latest = max(latest, until)
    return latest


# -- one activity -----------------------------------------------------------------------------------------


@compiled
def _ready(a: Ints, o: Ints, r: Ints, m: Ints, t: Ints, v: int) -> int:
    """The earliest start of ``v`` by release and routing; notes what it waits for."""
    option = a[v, OPTION]
    station = o[option, O_STATION]
    value = max(o[option, O_RELEASE], max(a[v, HELD], a[v, PUSHED]))
    a[v, CAUSE] = NONE
    for arc in range(a[v, ARC_AT], a[v, ARC_END]):
        other = r[arc, OTHER]
        wait = r[arc, LAG] + t[o[a[other, OPTION], O_STATION] * len(m) + station]
        if r[arc, FIRST] < 0:
            ready = a[other, END] + wait
        else:
            first = t[r[arc, FIRST] + a[other, OPTION] - a[other, OPTION_AT]]
            last = t[r[arc, LAST] + option - a[v, OPTION_AT]]
            ready = max(a[other, START] + first + wait, a[other, END] + wait + last - o[option, O_SECONDS])
        if ready > value:
            value = ready
            a[v, CAUSE] = other
    return value


@compiled
def _haul(
    a: Ints, o: Ints, r: Ints, m: Ints, t: Ints, p: Ints, x: Ints, n: Ints, v: int, release: int
) -> int:
    """Plan the trips to ``v``, each as early as a vehicle is free; returns when the last has arrived."""
    station = o[a[v, OPTION], O_STATION]
    pool = n[VEHICLES]
    for haul in range(a[v, HAUL_AT], a[v, HAUL_END]):
        other = r[haul, H_OTHER]
        origin = r[haul, H_STATION]
        ready = r[haul, H_END]
        if other >= 0:
            origin = o[a[other, OPTION], O_STATION]
            ready = a[other, END]
        seconds = t[origin * len(m) + station]
        r[haul, TRIP] = NEVER
        if seconds == 0:
            continue
        begin = max(ready + r[haul, H_LAG] - n[EMPTY], n[NOW])
        length = n[EMPTY] + seconds
        later = _lacking(p, x, pool, begin, begin + length, 1)
        while later > begin:
            begin = later
            later = _lacking(p, x, pool, begin, begin + length, 1)
        _take(p, x, pool, begin, begin + length, 1)
        r[haul, TRIP] = begin + n[EMPTY]
        if begin + length > release:
            release = begin + length
            a[v, CAUSE] = other
    return release


@compiled
def _note(a: Ints, o: Ints, m: Ints, n: Ints, v: int) -> None:
    """Keep how the machine of ``v`` and the sums are before it."""
    station = o[a[v, OPTION], O_STATION]
    a[v, OLD_FREE] = m[station, FREE]
    a[v, OLD_STATE] = m[station, STATE]
    a[v, OLD_AT] = m[station, AT]
    a[v, OLD_DUE] = m[station, FACT_COST]
    a[v, OLD_DUE_AT] = m[station, FACT_AT]
    a[v, PREVIOUS] = m[station, TOP]
    a[v, OLD_COST] = n[COST]
    a[v, OLD_FINISH] = n[FINISH]
    a[v, OLD_BROKEN] = n[BROKEN]


@compiled
def _charge(a: Ints, o: Ints, r: Ints, j: Ints, n: Ints, v: int) -> None:
    """Add what ``v`` costs where it lies: changeover, wishes left, jobs made late, a later end of all."""
    start = a[v, START]
    end = a[v, END]
    cost = a[v, CHANGE] * n[CHANGEOVER_COST]
    station = o[a[v, OPTION], O_STATION]
    for wish in range(a[v, WISH_AT], a[v, WISH_END]):
        away = start - r[wish, W_START]
        if r[wish, W_STATION] == PIN:
            away = max(0, away)
        else:
            away = abs(away)
            if r[wish, W_STATION] != station:
                away += n[OTHER_MACHINE]
        cost += away * r[wish, W_COST]
    for part in range(a[v, JOB_AT], a[v, JOB_END]):
        job = r[part, JOB]
        old = j[job, JOB_ENDS]
        r[part, OLD_JOB_END] = old
        ends = end + r[part, TAIL]
        if ends > old:
            j[job, JOB_ENDS] = ends
            cost += j[job, WEIGHT] * (max(0, ends - j[job, DUE]) - max(0, old - j[job, DUE]))
    if end > n[FINISH]:
        cost += (end - n[FINISH]) * n[MAKESPAN_COST]
        n[FINISH] = end
    n[COST] += cost


@compiled
def _occupy(a: Ints, o: Ints, m: Ints, b: Ints, t: Ints, n: Ints, v: int) -> None:
    """Let ``v`` have its machine, and pay for the changeover to the frozen work that follows, if any does."""
    option = a[v, OPTION]
    station = o[option, O_STATION]
    own = o[option, O_STATE]
    since = a[v, START] - a[v, CHANGE]
    end = a[v, END]
    at = m[station, AT]
    last = m[station, BLOCK_END]
    while at < last and (b[at, B_END] <= since or (b[at, ENTER] < 0 and b[at, B_END] <= end)):
        at += 1
    m[station, AT] = at
    m[station, FREE] = end
    m[station, STATE] = own
    m[station, TOP] = v
    if m[station, FACT_AT] >= at:
        n[COST] -= m[station, FACT_COST]
    m[station, FACT_COST] = 0
    m[station, FACT_AT] = NONE
    work = b[at, NEXT_WORK] if at < last else NONE
    if work >= 0:
        seconds = _change(m, t, station, own, b[work, ENTER]) - b[work, FACT_SECONDS]
        m[station, FACT_AT] = work
        m[station, FACT_COST] = seconds * n[CHANGEOVER_COST]
        n[COST] += m[station, FACT_COST]


@compiled
def _serve(a: Ints, o: Ints, r: Ints, m: Ints, b: Ints, p: Ints, x: Ints, n: Ints, v: int) -> None:
    """Do the maintenance ``v`` as early as it can be, or leave it out where that is too late."""
    option = a[v, OPTION]
    station = o[option, O_STATION]
    a[v, DONE] = 0
    last = m[station, BLOCK_END]
    seconds = o[option, O_SECONDS]
    needy = o[option, NEED_AT] < o[option, NEED_END]
    start = max(o[option, O_RELEASE], m[station, FREE])
    while True:
        for at in range(m[station, AT], last):
            if b[at, B_END] > start and b[at, B_START] < start + seconds:
                start = b[at, B_END]
        end = start + seconds
        if not needy or end > a[v, FINISH_BEFORE]:
            break
        later = _wanting(a, o, r, m, b, p, x, v, start, end)
        if later <= start:
            break
        start = later
    # A second option is to leave it out.
    if option > a[v, OPTION_AT] or end > a[v, FINISH_BEFORE]:
        a[v, START] = 0  # whatever it was before: a list is decoded to the same rows by any way
        a[v, END] = 0
        n[COST] += a[v, OMIT_COST]
        return
    at = m[station, AT]
    while at < last and b[at, B_END] <= start:
        if b[at, ENTER] >= 0:
            m[station, STATE] = b[at, LEAVE]
        at += 1
    m[station, AT] = at
    m[station, FREE] = end
    m[station, TOP] = v
    if m[station, FACT_AT] < at:  # it lies behind: what it costs stays
        m[station, FACT_AT] = NONE
        m[station, FACT_COST] = 0
    a[v, START] = start
    a[v, END] = end
    a[v, DONE] = 1
    if needy:
        _take_needs(a, o, r, m, b, p, x, v, at, 1)
    n[COST] += (start - o[option, O_RELEASE]) * a[v, DELAY_COST]


@compiled
def _put(
    a: Ints, o: Ints, r: Ints, j: Ints, m: Ints, b: Ints, t: Ints, p: Ints, x: Ints, n: Ints, v: int
) -> None:
    """Place ``v`` next, as early as it can be."""
    _note(a, o, m, n, v)
    if a[v, IS_TASK]:
        _serve(a, o, r, m, b, p, x, n, v)
        return
    option = a[v, OPTION]
    station = o[option, O_STATION]
    release = _ready(a, o, r, m, t, v)
    if a[v, HAUL_AT] < a[v, HAUL_END]:
        release = _haul(a, o, r, m, t, p, x, n, v, release)
    since = m[station, FREE]
    change, start, end = _slot(a, o, m, b, t, v, release, since)
    needy = o[option, NEED_AT] < o[option, NEED_END]
    if needy:
        later = _wanting(a, o, r, m, b, p, x, v, start - change, end)
        while later > start - change:
            change, start, end = _slot(a, o, m, b, t, v, release, later)
            later = _wanting(a, o, r, m, b, p, x, v, start - change, end)
    a[v, CHANGE] = change
    a[v, START] = start
    a[v, END] = end
    if needy:
        _take_needs(a, o, r, m, b, p, x, v, m[station, AT], 1)
    if start > release and a[v, PREVIOUS] >= 0:
        a[v, CAUSE] = a[v, PREVIOUS]
    _charge(a, o, r, j, n, v)
    _occupy(a, o, m, b, t, n, v)


@compiled
def _take_back(
    a: Ints, o: Ints, r: Ints, j: Ints, m: Ints, b: Ints, t: Ints, p: Ints, x: Ints, n: Ints, v: int
) -> None:
    """Undo :func:`_put` of what was placed last."""
    option = a[v, OPTION]
    station = o[option, O_STATION]
    if not a[v, IS_TASK] or a[v, DONE]:
        for haul in range(a[v, HAUL_AT], a[v, HAUL_END]):
            if r[haul, TRIP] > NEVER:
                other = r[haul, H_OTHER]
                origin = r[haul, H_STATION] if other < 0 else o[a[other, OPTION], O_STATION]
                until = r[haul, TRIP] + t[origin * len(m) + station]
                _take(p, x, n[VEHICLES], r[haul, TRIP] - n[EMPTY], until, -1)
        if o[option, NEED_AT] < o[option, NEED_END]:
            _take_needs(a, o, r, m, b, p, x, v, a[v, OLD_AT], -1)
        for part in range(a[v, JOB_AT], a[v, JOB_END]):
            j[r[part, JOB], JOB_ENDS] = r[part, OLD_JOB_END]
    m[station, FREE] = a[v, OLD_FREE]
    m[station, STATE] = a[v, OLD_STATE]
    m[station, AT] = a[v, OLD_AT]
    m[station, FACT_COST] = a[v, OLD_DUE]
    m[station, FACT_AT] = a[v, OLD_DUE_AT]
    m[station, TOP] = a[v, PREVIOUS]
    n[COST] = a[v, OLD_COST]
    n[FINISH] = a[v, OLD_FINISH]
    n[BROKEN] = a[v, OLD_BROKEN]


# -- units and lists --------------------------------------------------------------------------------------


@compiled
def _put_unit(
    a: Ints,
    o: Ints,
    r: Ints,
    j: Ints,
    m: Ints,
    b: Ints,
    t: Ints,
    p: Ints,
    x: Ints,
    n: Ints,
    k: Ints,
    first: int,
    last: int,
) -> None:
    """Place the members ``k[first:last]``, which longest lags bind, in order."""
    for at in range(first, last):
        a[k[at], PUSHED] = NEVER
        a[k[at], PLACE] = at
    left = PUSHES * (last - first)
    at = first
    while at < last:
        v = k[at]
        _put(a, o, r, j, m, b, t, p, x, n, v)
        back = at + 1
        broken = 0
        for arc in range(a[v, ARC_AT], a[v, ARC_END]):
            if r[arc, MOST] < 0:
                continue
            other = r[arc, OTHER]
            over = a[v, START] - a[other, END] - r[arc, MOST]
            if over <= 0:
                continue
            broken += over
            if left > 0:
                a[other, PUSHED] = a[other, START] + over
                back = min(back, a[other, PLACE])
        left -= 1
        if back <= at:
            for undone in range(at, back - 1, -1):
                _take_back(a, o, r, j, m, b, t, p, x, n, k[undone])
        elif broken:
            n[BROKEN] += broken
            n[COST] += broken * PENALTY
        at = back


@compiled
def undo(
    a: Ints,
    o: Ints,
    r: Ints,
    j: Ints,
    m: Ints,
    b: Ints,
    t: Ints,
    p: Ints,
    x: Ints,
    n: Ints,
    u: Ints,
    k: Ints,
    order: Ints,
    position: int,
) -> None:
    """Take back what ``order`` has from ``position`` on, as far as it is placed."""
    for at in range(n[PLACED] - 1, position - 1, -1):
        unit = order[at]
        for member in range(u[unit, MEMBER_END] - 1, u[unit, MEMBER_AT] - 1, -1):
            _take_back(a, o, r, j, m, b, t, p, x, n, k[member])
    n[PLACED] = min(n[PLACED], position)


@compiled
def decode(
    a: Ints,
    o: Ints,
    r: Ints,
    j: Ints,
    m: Ints,
    b: Ints,
    t: Ints,
    p: Ints,
    x: Ints,
    n: Ints,
    u: Ints,
    k: Ints,
    order: Ints,
    limit: int,
) -> int:
    """Place the rest of ``order`` until it is at its end or costs more than ``limit``; returns the cost.

    The cost of a list that is placed in part is less than what the whole of it would cost.
    """
    for at in range(n[PLACED], len(order)):
        unit = order[at]
        first = u[unit, MEMBER_AT]
        last = u[unit, MEMBER_END]
        if last - first == 1:
            _put(a, o, r, j, m, b, t, p, x, n, k[first])
        else:
            _put_unit(a, o, r, j, m, b, t, p, x, n, k, first, last)
        n[PLACED] = at + 1
        if n[COST] > limit:
            break
    return n[COST]
