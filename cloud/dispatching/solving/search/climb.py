"""Search over lists of work: change one a little, decode it from there on, keep it if it is cheap enough.

Simulated annealing: how much more than the list in hand a changed one may cost is drawn before it is decoded,
so decoding ends as soon as it costs more. A rejected list is not restored; the next one is decoded from the
first place where it, or the one rejected before it, differs from the list in hand.

Most moves begin at a job that is late, and go back from its end along what each activity waits for. Where
that is the machine, the two change places, or the one goes before the other, or to another machine. A unit
that moves in the list takes along what it must not pass by its routing.

Arrays as in :mod:`~cloud.dispatching.solving.search.decode`; and ``c``, ``s`` and ``d`` as in
:mod:`~cloud.dispatching.solving.search.list_columns`. ``order`` is the list in hand, ``position`` where its
units are, ``placed`` what is decoded.
"""

# To mypy an element of an array may be anything.
# mypy: disable-error-code="no-any-return, return-value"

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cloud.dispatching.solving.search.decode import NEVER, NONE, PIN, decode, undo
from cloud.dispatching.solving.search.jit import compiled
from cloud.dispatching.solving.search.list_columns import (
    ACCEPTED,
    AFTER_AT,
    AFTER_END,
    ALTERED,
    ARC_AT,
    ARC_END,
    BEFORE,
    BEFORE_AT,
    BEFORE_END,
    BEST,
    BROKEN,
    C_CAUSE,
    C_CHANGE,
    C_END,
    C_HELD,
    C_OPTION,
    C_PREVIOUS,
    C_START,
    CAUSE,
    CHANGE,
    COST,
    CURRENT,
    DUE,
    END,
    EVALUATED,
    HELD,
    IMPROVED,
    INDEX,
    JOB_ENDS,
    KIND,
    MEMBER_AT,
    MEMBER_END,
    O_STATE,
    OF_AT,
    OF_END,
    OPTION,
    OPTION_AT,
    OPTION_END,
    OTHER,
    PLACED,
    PREVIOUS,
    START,
    UNIT,
    VALID,
    W_START,
    W_STATION,
    WEIGHT,
    WISH_AT,
    WISH_END,
)

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Seeds = NDArray[np.uint64]

DRAWN = 1 << 30
NO_LIMIT = 1 << 62
MOST = 1e17
"""More than any change costs."""

NO_MOVE = -1


@compiled
def _draw(random: Seeds, below: int) -> int:
    """A random number from 0 up to ``below`` (xorshift64; its upper half)."""
    x = random[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    random[0] = x
    return (np.int64(x >> np.uint64(32)) * below) >> 32


@compiled
def _carry(u: Ints, k: Ints, trial: Ints, mark: Bytes, spare: Ints, at: int, to: int) -> None:
    """Move the unit at ``at`` to ``to``, and with it what may not be passed in between.

    To the front that is all that it waits for, to the back all that waits for it.
    """
    if to < at:
        step, first, end = -1, AFTER_AT, AFTER_END
    else:
        step, first, end = 1, BEFORE_AT, BEFORE_END
    taken = 0
    write = at
    for place in range(at, to + step, step):
        unit = trial[place]
        moves = place == at
        if not moves:
            for link in range(u[unit, first], u[unit, end]):
                if mark[k[link]]:
                    moves = True
                    break
        if moves:
            mark[unit] = 1
            spare[taken] = unit
            taken += 1
        else:
            trial[write] = unit
            write += step
    for number in range(taken):
        mark[spare[number]] = 0
        trial[write + step * number] = spare[number]


@compiled
def _late_end(j: Ints, k: Ints, c: Ints, ends: Ints, random: Seeds) -> int:
    """The last activity of a job that is late, the dearest of three at random; −1 if none of them is."""
    chosen = NONE
    dearest = 0
    for _ in range(3):
        job = _draw(random, len(j))
        late = (ends[job] - j[job, DUE]) * j[job, WEIGHT]
        if late > dearest and j[job, OF_AT] < j[job, OF_END]:
            dearest = late
            chosen = job
    if chosen < 0:
        return NONE
    last = k[j[chosen, OF_AT]]
    for place in range(j[chosen, OF_AT], j[chosen, OF_END]):
        if c[k[place], C_END] > c[last, C_END]:
            last = k[place]
    return last


@compiled
def _alter(a: Ints, k: Ints, c: Ints, s: Ints, d: Ints, kind: int, index: int, value: int) -> None:
    """Change an option, a held start, or (``kind`` −1) a place in ``k`` on trial."""
    row = s[ALTERED]
    s[ALTERED] = row + 1
    d[row, KIND] = kind
    d[row, INDEX] = index
    if kind == C_OPTION:
        d[row, BEFORE] = c[index, C_OPTION]
        c[index, C_OPTION] = value
    elif kind == C_HELD:
        d[row, BEFORE] = c[index, C_HELD]
        c[index, C_HELD] = value
    else:
        d[row, BEFORE] = k[index]
        k[index] = value


@compiled
def _restore(k: Ints, c: Ints, s: Ints, d: Ints) -> None:
    """Take back what the rejected list changed beside the order."""
    for row in range(s[ALTERED] - 1, -1, -1):
        if d[row, KIND] == C_OPTION:
            c[d[row, INDEX], C_OPTION] = d[row, BEFORE]
        elif d[row, KIND] == C_HELD:
            c[d[row, INDEX], C_HELD] = d[row, BEFORE]
        else:
            k[d[row, INDEX]] = d[row, BEFORE]
    s[ALTERED] = 0


@compiled
def _exchange(k: Ints, s: Ints, d: Ints) -> None:
    """Put back the order within units that is on trial, or once more put it on trial."""
    for row in range(s[ALTERED]):
        if d[row, KIND] == NONE:
            value = k[d[row, INDEX]]
            k[d[row, INDEX]] = d[row, BEFORE]
            d[row, BEFORE] = value


@compiled
def _other_option(a: Ints, k: Ints, c: Ints, s: Ints, d: Ints, random: Seeds, v: int) -> bool:
    count = a[v, OPTION_END] - a[v, OPTION_AT]
    if count < 2:
        return False
    option = a[v, OPTION_AT] + _draw(random, count - 1)
    if option >= c[v, C_OPTION]:
        option += 1
    _alter(a, k, c, s, d, C_OPTION, v, option)
    return True


@compiled
def _let_go(a: Ints, r: Ints, k: Ints, c: Ints, s: Ints, d: Ints, random: Seeds, v: int) -> bool:
    """Hold what is published where it is wished, or no longer."""
    if a[v, WISH_AT] == a[v, WISH_END]:
        return False
    if c[v, C_HELD] > NEVER:
        _alter(a, k, c, s, d, C_HELD, v, NEVER)
        return True
    wish = a[v, WISH_AT] + _draw(random, a[v, WISH_END] - a[v, WISH_AT])
    if r[wish, W_STATION] == PIN:
        return False
    _alter(a, k, c, s, d, C_HELD, v, r[wish, W_START])
    return True


@compiled
def _before_on_machine(c: Ints, random: Seeds, v: int) -> int:
    """What comes before ``v`` on its machine, or now and then what comes before that; −1 if nothing does."""
    other = c[v, C_PREVIOUS]
    while other >= 0 and c[other, C_PREVIOUS] >= 0 and _draw(random, 3) == 0:
        other = c[other, C_PREVIOUS]
    return other


@compiled
def _like_before(a: Ints, o: Ints, c: Ints, v: int) -> int:
    """What came last before ``v`` on its machine with its set-up state, if something else is between."""
    state = o[c[v, C_OPTION], O_STATE]
    other = c[v, C_PREVIOUS]
    if other < 0 or o[c[other, C_OPTION], O_STATE] == state:
        return NONE
    for _ in range(40):
        other = c[other, C_PREVIOUS]
        if other < 0 or o[c[other, C_OPTION], O_STATE] == state:
            return other
    return NONE


@compiled
def _swapped_within(
    a: Ints, r: Ints, u: Ints, k: Ints, c: Ints, s: Ints, d: Ints, random: Seeds, v: int
) -> bool:
    """Swap two members of a unit that follow each other and need not."""
    unit = a[v, UNIT]
    count = u[unit, MEMBER_END] - u[unit, MEMBER_AT]
    if count < 2:
        return False
    at = u[unit, MEMBER_AT] + _draw(random, count - 1)
    one = k[at]
    other = k[at + 1]
    for arc in range(a[other, ARC_AT], a[other, ARC_END]):
        if r[arc, OTHER] == one:
            return False
    _alter(a, k, c, s, d, NONE, at, other)
    _alter(a, k, c, s, d, NONE, at + 1, one)
    return True


@compiled
def _move(
    a: Ints,
    o: Ints,
    r: Ints,
    j: Ints,
    u: Ints,
    k: Ints,
    c: Ints,
    ends: Ints,
    s: Ints,
    d: Ints,
    position: Ints,
    trial: Ints,
    mark: Bytes,
    spare: Ints,
    random: Seeds,
) -> int:
    """Change ``trial``, a copy of the list in hand; returns the first place that differs, −1 for none."""
    count = len(trial)
    v = NONE
    if _draw(random, 10) < 6:
        v = _late_end(j, k, c, ends, random)
        back = _draw(random, 12)
        while v >= 0 and back > 0 and c[v, C_CAUSE] >= 0:
            v = c[v, C_CAUSE]
            back -= 1
    if v < 0:
        v = _draw(random, len(c))
    at = position[a[v, UNIT]]
    kind = _draw(random, 100)
    if kind < 50:
        other = _before_on_machine(c, random, v)
        if other < 0:
            return NO_MOVE
        low = position[a[other, UNIT]]
        if low >= at:
            return NO_MOVE
        if kind < 33:
            _carry(u, k, trial, mark, spare, at, low)
        else:
            _carry(u, k, trial, mark, spare, low, at)
        return low
    if kind < 65:
        if not _other_option(a, k, c, s, d, random, v):
            return NO_MOVE
        if kind < 58 or at == 0:
            return at
        low = max(0, at - 1 - _draw(random, 1 + count // 8))
        _carry(u, k, trial, mark, spare, at, low)
        return low
    if kind < 75:
        other = _like_before(a, o, c, v)
        if other < 0:
            return NO_MOVE
        low = position[a[other, UNIT]]
        if low >= at:
            return NO_MOVE
        if kind < 70:
            _carry(u, k, trial, mark, spare, at, low + 1)
            return low + 1
        _carry(u, k, trial, mark, spare, low, at)
        return low
    if kind < 80:
        return at if _let_go(a, r, k, c, s, d, random, v) else NO_MOVE
    if kind < 84:
        return at if _swapped_within(a, r, u, k, c, s, d, random, v) else NO_MOVE
    reach = 1 + _draw(random, 1 + count // (4 if kind < 90 else 20))
    if kind % 2:
        low = max(0, at - reach)
        if low == at:
            return NO_MOVE
        _carry(u, k, trial, mark, spare, at, low)
        return low
    high = min(count - 1, at + reach)
    if high == at:
        return NO_MOVE
    _carry(u, k, trial, mark, spare, at, high)
    return at


@compiled
def _take_over(
    a: Ints,
    j: Ints,
    u: Ints,
    k: Ints,
    c: Ints,
    ends: Ints,
    order: Ints,
    position: Ints,
    first: int,
) -> None:
    """Note what the list in hand, just decoded, came to from place ``first`` on."""
    for at in range(first, len(order)):
        unit = order[at]
        position[unit] = at
        for place in range(u[unit, MEMBER_AT], u[unit, MEMBER_END]):
            v = k[place]
            c[v, C_START] = a[v, START]
            c[v, C_END] = a[v, END]
            c[v, C_CHANGE] = a[v, CHANGE]
            c[v, C_PREVIOUS] = a[v, PREVIOUS]
            c[v, C_CAUSE] = a[v, CAUSE]
    for job in range(len(j)):
        ends[job] = j[job, JOB_ENDS]


@compiled
def _set(a: Ints, u: Ints, k: Ints, c: Ints, order: Ints, first: int) -> None:
    """Let the decoder know options and held starts from place ``first`` on."""
    for at in range(first, len(order)):
        unit = order[at]
        for place in range(u[unit, MEMBER_AT], u[unit, MEMBER_END]):
            v = k[place]
            a[v, OPTION] = c[v, C_OPTION]
            a[v, HELD] = c[v, C_HELD]


@compiled
def _keep_best(k: Ints, c: Ints, order: Ints, best: Ints) -> None:
    for at in range(len(order)):
        best[0, at] = order[at]
    for v in range(len(c)):
        best[1, v] = c[v, C_OPTION]
        best[2, v] = c[v, C_HELD]
    for at in range(len(k)):
        best[3, at] = k[at]


@compiled
def take_up(
    a: Ints, o: Ints, r: Ints, j: Ints, m: Ints, b: Ints, t: Ints, p: Ints, x: Ints, n: Ints, u: Ints,
    k: Ints, c: Ints, ends: Ints, s: Ints, d: Ints, order: Ints, position: Ints, placed: Ints, best: Ints,
) -> int:  # fmt: skip
    """Take the list in ``order``, ``c`` and ``k`` in hand, of which nothing is placed; returns its cost."""
    s[ALTERED] = 0
    for at in range(len(order)):
        placed[at] = order[at]
    _set(a, u, k, c, order, 0)
    decode(a, o, r, j, m, b, t, p, x, n, u, k, placed, NO_LIMIT)
    _take_over(a, j, u, k, c, ends, order, position, 0)
    s[CURRENT] = n[COST]
    s[VALID] = len(order)
    if n[COST] < s[BEST] and n[BROKEN] == 0:
        s[BEST] = n[COST]
        _keep_best(k, c, order, best)
    return n[COST]


@compiled
def climb(
    a: Ints, o: Ints, r: Ints, j: Ints, m: Ints, b: Ints, t: Ints, p: Ints, x: Ints, n: Ints, u: Ints,
    k: Ints, c: Ints, ends: Ints, s: Ints, d: Ints, order: Ints, position: Ints, placed: Ints, best: Ints,
    trial: Ints, mark: Bytes, spare: Ints, random: Seeds, lists: int, temperature: float,
) -> bool:  # fmt: skip
    """Look at ``lists`` changed lists; says whether one was better than all before.

    At a ``temperature`` of 0 none that costs more is taken; at *T* one that costs *T* more is taken once in
    e times.
    """
    better = False
    count = len(order)
    idle = 0
    until = s[EVALUATED] + lists
    while s[EVALUATED] < until and idle < 1000:
        for at in range(count):
            trial[at] = order[at]
        first = _move(a, o, r, j, u, k, c, ends, s, d, position, trial, mark, spare, random)
        if first < 0:
            idle += 1
            continue
        idle = 0
        s[EVALUATED] += 1
        luck = (_draw(random, DRAWN) + 1) / DRAWN
        limit = s[CURRENT] + np.int64(min(MOST, -temperature * math.log(luck)))
        same = min(first, s[VALID])
        # Taking back needs the order within units in which they were placed.
        _exchange(k, s, d)
        undo(a, o, r, j, m, b, t, p, x, n, u, k, placed, same)
        _exchange(k, s, d)
        for at in range(same, count):
            placed[at] = trial[at]
        _set(a, u, k, c, placed, same)
        cost = decode(a, o, r, j, m, b, t, p, x, n, u, k, placed, limit)
        if n[PLACED] == count and cost <= limit:
            s[ACCEPTED] += 1
            s[ALTERED] = 0
            s[CURRENT] = cost
            s[VALID] = count
            for at in range(first, count):
                order[at] = trial[at]
            _take_over(a, j, u, k, c, ends, order, position, first)
            if cost < s[BEST] and n[BROKEN] == 0:
                s[BEST] = cost
                s[IMPROVED] += 1
                better = True
                _keep_best(k, c, order, best)
        else:
            s[VALID] = first
            undo(a, o, r, j, m, b, t, p, x, n, u, k, placed, first)
            _restore(k, c, s, d)
    return better
