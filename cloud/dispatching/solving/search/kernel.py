"""Tabu search over machine choice and sequence: the compiled inner loops, all in one file on purpose, because
numba's cache notices a change in a function's own file only.

A plan is a graph of routing and machine arcs. *Head*: earliest start of an activity; *tail*: the longest path
from its end to the end of the plan. Both are kept exact after each move by going through the topological
order from where something changed. A move takes one critical activity elsewhere:

- within its block of the critical path to the block's other positions, valued by new heads and tails along
  the piece that shifts (Balas & Vazacopoulos 1998; the moves of Zhang et al. 2007);
- to a place on another of its machines where it surely makes no cycle, valued by its head and tail there
  (Mastrolilli & Gambardella 2000).

An order of two activities that a move destroyed, and a machine an activity has left, are tabu for a while.

Everything lies in a few arrays of int64, because each array that a compiled function takes costs it time:
``a`` a row by activity, ``o`` by option, ``e`` by routing arc, ``m`` by station, ``t`` seconds of travel
(station × station) and then of changeover. Their columns are named in
:mod:`~cloud.dispatching.solving.search.columns`.
"""

# To mypy an element of an array may be anything.
# mypy: disable-error-code="no-any-return, return-value"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloud.dispatching.solving.search.columns import (
    AFTER_AT,
    AFTER_END,
    BEFORE_AT,
    BEFORE_END,
    CHANGE_AT,
    FIRST,
    FIRST_STATE,
    HEAD,
    LAG,
    LAST,
    NEXT,
    O_RELEASE,
    O_SECONDS,
    O_STATE,
    O_STATION,
    OPTION,
    OPTION_AT,
    OPTION_END,
    OTHER,
    POSITION,
    PREVIOUS,
    READY,
    READY_AT,
    REST,
    SECONDS,
    STATE,
    STATES,
    STATION,
    TAIL,
)
from cloud.dispatching.solving.search.jit import compiled

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Seeds = NDArray[np.uint64]

NONE = -1
TABU_SIZE = 1 << 16
"""Entries of the table of forbidden orders of two activities, by hash; a power of two."""

CURRENT, BEST, ITERATION, IMPROVED = range(4)
"""Of ``numbers``: makespan of the plan and of the best one, moves made in all, and how many
of them when the best was found."""
B_OPTION, B_ORDER, B_HEAD, B_TAIL = range(4)
"""Rows of ``best``."""


@compiled
def _draw(random: Seeds, below: int) -> int:
    """A random number from 0 up to ``below`` (xorshift64*)."""
    x = random[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    random[0] = x
    mixed = (x * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(32)
    return np.int64((mixed * np.uint64(below)) >> np.uint64(32))


@compiled
def _change(m: Ints, t: Ints, station: int, before: int, after: int) -> int:
    at = m[station, CHANGE_AT]
    if at < 0:
        return 0
    return t[at + before * m[station, STATES] + after]


@compiled
def _change_after(a: Ints, m: Ints, t: Ints, before: int, station: int, state: int) -> int:
    """Earliest start on ``station`` after activity ``before`` there (−1: as its first)."""
    if before < 0:
        return m[station, READY_AT] + _change(m, t, station, m[station, FIRST_STATE], state)
    return a[before, HEAD] + a[before, SECONDS] + _change(m, t, station, a[before, STATE], state)


@compiled
def _ready(a: Ints, o: Ints, e: Ints, m: Ints, t: Ints, v: int, option: int) -> int:
    """Earliest start of ``v`` by release and routing, on ``option``."""
    station = o[option, O_STATION]
    value = o[option, O_RELEASE]
    for at in range(a[v, BEFORE_AT], a[v, BEFORE_END]):
        u = e[at, OTHER]
        value = max(value, a[u, HEAD] + a[u, SECONDS] + e[at, LAG] + t[a[u, STATION] * len(m) + station])
    return value


@compiled
def _rest(a: Ints, e: Ints, m: Ints, t: Ints, v: int, station: int) -> int:
    """Longest path after ``v`` by routing, from ``station``."""
    value = 0
    for at in range(a[v, AFTER_AT], a[v, AFTER_END]):
        w = e[at, OTHER]
        value = max(value, e[at, LAG] + t[station * len(m) + a[w, STATION]] + a[w, SECONDS] + a[w, TAIL])
    return value


@compiled
def _set_head(a: Ints, o: Ints, e: Ints, m: Ints, t: Ints, v: int) -> bool:
    a[v, READY] = _ready(a, o, e, m, t, v, a[v, OPTION])
    value = max(a[v, READY], _change_after(a, m, t, a[v, PREVIOUS], a[v, STATION], a[v, STATE]))
    changed = value != a[v, HEAD]
    a[v, HEAD] = value
    return changed


@compiled
def _set_tail(a: Ints, e: Ints, m: Ints, t: Ints, v: int) -> bool:
    value = _rest(a, e, m, t, v, a[v, STATION])
    a[v, REST] = value
    w = a[v, NEXT]
    if w >= 0:
        value = max(
            value, _change(m, t, a[v, STATION], a[v, STATE], a[w, STATE]) + a[w, SECONDS] + a[w, TAIL]
        )
    changed = value != a[v, TAIL]
    a[v, TAIL] = value
    return changed


@compiled
def _makespan(a: Ints, m: Ints) -> int:
    most = 0
    for s in range(len(m)):
        v = m[s, LAST]
        if v >= 0:
            most = max(most, a[v, HEAD] + a[v, SECONDS])
    return most


@compiled
def load(
    a: Ints, o: Ints, e: Ints, m: Ints, t: Ints, order: Ints, numbers: Ints, options: Ints, given: Ints
) -> int:
    """Take up the plan with ``options`` and the order ``given``; returns its makespan."""
    for s in range(len(m)):
        m[s, FIRST] = NONE
        m[s, LAST] = NONE
    for at in range(len(given)):
        v = given[at]
        option = options[v]
        s = o[option, O_STATION]
        a[v, OPTION] = option
        a[v, STATION] = s
        a[v, SECONDS] = o[option, O_SECONDS]
        a[v, STATE] = o[option, O_STATE]
        order[at] = v
        a[v, POSITION] = at
        a[v, PREVIOUS] = m[s, LAST]
        a[v, NEXT] = NONE
        if m[s, LAST] >= 0:
            a[m[s, LAST], NEXT] = v
        else:
            m[s, FIRST] = v
        m[s, LAST] = v
    for at in range(len(given)):
        _set_head(a, o, e, m, t, order[at])
    for at in range(len(given) - 1, -1, -1):
        _set_tail(a, e, m, t, order[at])
    most = _makespan(a, m)
    numbers[CURRENT] = most
    return most


@compiled
def _reorder(a: Ints, e: Ints, order: Ints, dirty: Bytes, scratch: Ints, v: int) -> None:
    """Mend the topological order after ``v`` got new neighbours: what ``v`` leads to goes behind it."""
    low = high = a[v, POSITION]
    if a[v, PREVIOUS] >= 0:
        high = max(high, a[a[v, PREVIOUS], POSITION])
    for at in range(a[v, BEFORE_AT], a[v, BEFORE_END]):
        high = max(high, a[e[at, OTHER], POSITION])
    if a[v, NEXT] >= 0:
        low = min(low, a[a[v, NEXT], POSITION])
    for at in range(a[v, AFTER_AT], a[v, AFTER_END]):
        low = min(low, a[e[at, OTHER], POSITION])
    behind = scratch[0]
    count = 0
    place = low
    dirty[v] = 1  # marks what v leads to
    for at in range(low, high + 1):
        w = order[at]
        if w == v:
            continue
        reached = False
        if a[w, PREVIOUS] >= 0 and dirty[a[w, PREVIOUS]]:
            reached = True
        else:
            for b in range(a[w, BEFORE_AT], a[w, BEFORE_END]):
                if dirty[e[b, OTHER]]:
                    reached = True
                    break
        if reached:
            dirty[w] = 1
            behind[count] = w
            count += 1
        else:
            order[place] = w
            a[w, POSITION] = place
            place += 1
    dirty[v] = 0
    order[place], a[v, POSITION] = v, place
    for at in range(count):
        w = behind[at]
        place += 1
        dirty[w] = 0
        order[place], a[w, POSITION] = w, place


@compiled
def _unlink(a: Ints, m: Ints, v: int) -> None:
    before, after, s = a[v, PREVIOUS], a[v, NEXT], a[v, STATION]
    if before >= 0:
        a[before, NEXT] = after
    else:
        m[s, FIRST] = after
    if after >= 0:
        a[after, PREVIOUS] = before
    else:
        m[s, LAST] = before


@compiled
def relocate(
    a: Ints,
    o: Ints,
    e: Ints,
    m: Ints,
    t: Ints,
    order: Ints,
    dirty: Bytes,
    scratch: Ints,
    v: int,
    option: int,
    before: int,
) -> int:
    """Move ``v`` to ``option``, directly after activity ``before`` there (−1: first), and set all times anew;
    returns the makespan.

    The move must not make a cycle.
    """
    n = len(order)
    old_before, old_after = a[v, PREVIOUS], a[v, NEXT]
    _unlink(a, m, v)
    s = o[option, O_STATION]
    a[v, OPTION], a[v, STATION], a[v, SECONDS], a[v, STATE] = (
        option,
        s,
        o[option, O_SECONDS],
        o[option, O_STATE],
    )
    after = a[before, NEXT] if before >= 0 else m[s, FIRST]
    a[v, PREVIOUS], a[v, NEXT] = before, after
    if before >= 0:
        a[before, NEXT] = v
    else:
        m[s, FIRST] = v
    if after >= 0:
        a[after, PREVIOUS] = v
    else:
        m[s, LAST] = v
    _reorder(a, e, order, dirty, scratch, v)
    # Heads, forwards from the first that may change.
    dirty[v] = 1
    start = a[v, POSITION]
    waiting = 1
    for w in (old_after, after):
        if w >= 0 and not dirty[w]:
            dirty[w] = 1
            waiting += 1
            start = min(start, a[w, POSITION])
    for b in range(a[v, AFTER_AT], a[v, AFTER_END]):
        w = e[b, OTHER]
        if not dirty[w]:
            dirty[w] = 1
            waiting += 1
    at = start
    while waiting and at < n:
        w = order[at]
        at += 1
        if not dirty[w]:
            continue
        dirty[w] = 0
        waiting -= 1
        if _set_head(a, o, e, m, t, w) or w == v:
            x = a[w, NEXT]
            if x >= 0 and not dirty[x]:
                dirty[x] = 1
                waiting += 1
            for b in range(a[w, AFTER_AT], a[w, AFTER_END]):
                x = e[b, OTHER]
                if not dirty[x]:
                    dirty[x] = 1
                    waiting += 1
    # Tails, backwards.
    dirty[v] = 1
    start = a[v, POSITION]
    waiting = 1
    for w in (old_before, before):
        if w >= 0 and not dirty[w]:
            dirty[w] = 1
            waiting += 1
            start = max(start, a[w, POSITION])
    for b in range(a[v, BEFORE_AT], a[v, BEFORE_END]):
        w = e[b, OTHER]
        if not dirty[w]:
            dirty[w] = 1
            waiting += 1
    at = start
    while waiting and at >= 0:
        w = order[at]
        at -= 1
        if not dirty[w]:
            continue
        dirty[w] = 0
        waiting -= 1
        if _set_tail(a, e, m, t, w) or w == v:
            x = a[w, PREVIOUS]
            if x >= 0 and not dirty[x]:
                dirty[x] = 1
                waiting += 1
            for b in range(a[w, BEFORE_AT], a[w, BEFORE_END]):
                x = e[b, OTHER]
                if not dirty[x]:
                    dirty[x] = 1
                    waiting += 1
    return _makespan(a, m)


@compiled
def _critical_path(
    a: Ints, e: Ints, m: Ints, t: Ints, random: Seeds, most: int, path: Ints, linked: Ints
) -> int:
    """A random longest path from its end backwards into ``path``; returns its length.

    ``linked[i]`` is 1 where ``path[i]`` directly follows ``path[i + 1]`` on their station without a wait.
    """
    seen, v = 0, -1
    for s in range(len(m)):
        w = m[s, LAST]
        if w >= 0 and a[w, HEAD] + a[w, SECONDS] == most:
            seen += 1
            if seen == 1 or _draw(random, seen) == 0:
                v = w
    length = 0
    while v >= 0:
        path[length] = v
        linked[length] = 0
        seen, chosen = 0, -1
        head = a[v, HEAD]
        u = a[v, PREVIOUS]
        if u >= 0 and _change_after(a, m, t, u, a[v, STATION], a[v, STATE]) == head:
            seen, chosen = 1, u
            linked[length] = 1
        if a[v, READY] == head:
            for at in range(a[v, BEFORE_AT], a[v, BEFORE_END]):
                w = e[at, OTHER]
                if (
                    a[w, HEAD] + a[w, SECONDS] + e[at, LAG] + t[a[w, STATION] * len(m) + a[v, STATION]]
                    == head
                    and w != u
                ):
                    seen += 1
                    if seen == 1 or _draw(random, seen) == 0:
                        chosen = w
                        linked[length] = 0
        length += 1
        v = chosen
    return length


@compiled
def _may_follow(a: Ints, e: Ints, u: int, last: int) -> bool:
    """Whether ``u`` can surely go behind ``last``, which comes later on its station."""
    by_head = by_tail = True
    reach_head = a[last, HEAD]
    reach_tail = a[last, SECONDS] + a[last, TAIL]
    for at in range(a[u, AFTER_AT], a[u, AFTER_END]):
        w = e[at, OTHER]
        if w == last:
            return False
        if reach_head >= a[w, HEAD] + a[w, SECONDS]:
            by_head = False
        if reach_tail <= a[w, TAIL]:
            by_tail = False
    return by_head or by_tail


@compiled
def _may_lead(a: Ints, e: Ints, u: int, first: int) -> bool:
    """Whether ``u`` can surely go before ``first``, which comes earlier on its station."""
    by_head = by_tail = True
    reach_tail = a[first, TAIL]
    reach_head = a[first, HEAD] + a[first, SECONDS]
    for at in range(a[u, BEFORE_AT], a[u, BEFORE_END]):
        w = e[at, OTHER]
        if w == first:
            return False
        if reach_tail >= a[w, TAIL] + a[w, SECONDS]:
            by_tail = False
        if reach_head <= a[w, HEAD]:
            by_head = False
    return by_head or by_tail


@compiled
def _pair(before: int, after: int) -> int:
    """Where ``forbidden`` holds until when ``before`` may not come to stand before ``after``."""
    return ((before * 0x9E3779B1 + after * 0x85EBCA77) >> 8) & (TABU_SIZE - 1)


@compiled
def _waits_for(a: Ints, e: Ints, v: int, other: int) -> bool:
    found = False
    for at in range(a[v, BEFORE_AT], a[v, BEFORE_END]):
        found |= e[at, OTHER] == other
    return found


@compiled
def _forward(
    a: Ints, m: Ints, t: Ints, scratch: Ints, forbidden: Ints, u: int, last: int, until: Ints
) -> int:
    """Longest path through what shifts when ``u`` goes directly behind ``last``; until when that is tabu."""
    s = a[u, STATION]
    heads = scratch[0]
    most = 0
    # Heads of what moves up, then of u.
    before = a[u, PREVIOUS]
    if before < 0:
        end, state = m[s, READY_AT], m[s, FIRST_STATE]
    else:
        end, state = a[before, HEAD] + a[before, SECONDS], a[before, STATE]
    w = u
    tabu = 0
    count = 0
    while w != last:
        w = a[w, NEXT]
        head = max(a[w, READY], end + _change(m, t, s, state, a[w, STATE]))
        heads[count] = head
        count += 1
        end, state = head + a[w, SECONDS], a[w, STATE]
        tabu = max(tabu, forbidden[_pair(w, u)])
    head = max(a[u, READY], end + _change(m, t, s, state, a[u, STATE]))
    until[0] = tabu
    # Tails from the back.
    after = a[last, NEXT]
    tail = a[u, REST]
    if after >= 0:
        tail = max(tail, _change(m, t, s, a[u, STATE], a[after, STATE]) + a[after, SECONDS] + a[after, TAIL])
    most = head + a[u, SECONDS] + tail
    reach, state = a[u, SECONDS] + tail, a[u, STATE]
    w = last
    while w != u:
        count -= 1
        tail = max(a[w, REST], _change(m, t, s, a[w, STATE], state) + reach)
        most = max(most, heads[count] + a[w, SECONDS] + tail)
        reach, state = a[w, SECONDS] + tail, a[w, STATE]
        w = a[w, PREVIOUS]
    return most


@compiled
def _backward(
    a: Ints, m: Ints, t: Ints, scratch: Ints, forbidden: Ints, u: int, first: int, until: Ints
) -> int:
    """As :func:`_forward` when ``u`` goes directly before ``first``."""
    s = a[u, STATION]
    heads = scratch[0]
    before = a[first, PREVIOUS]
    if before < 0:
        end, state = m[s, READY_AT], m[s, FIRST_STATE]
    else:
        end, state = a[before, HEAD] + a[before, SECONDS], a[before, STATE]
    head_u = max(a[u, READY], end + _change(m, t, s, state, a[u, STATE]))
    end, state = head_u + a[u, SECONDS], a[u, STATE]
    tabu = 0
    w = first
    count = 0
    while w != u:
        head = max(a[w, READY], end + _change(m, t, s, state, a[w, STATE]))
        heads[count] = head
        count += 1
        end, state = head + a[w, SECONDS], a[w, STATE]
        tabu = max(tabu, forbidden[_pair(u, w)])
        w = a[w, NEXT]
    until[0] = tabu
    after = a[u, NEXT]
    reach, state, most = 0, -1, 0
    if after >= 0:
        reach, state = a[after, SECONDS] + a[after, TAIL], a[after, STATE]
    w = a[u, PREVIOUS]
    while True:
        count -= 1
        tail = a[w, REST]
        if state >= 0:
            tail = max(tail, _change(m, t, s, a[w, STATE], state) + reach)
        most = max(most, heads[count] + a[w, SECONDS] + tail)
        reach, state = a[w, SECONDS] + tail, a[w, STATE]
        if w == first:
            break
        w = a[w, PREVIOUS]
    tail = max(a[u, REST], _change(m, t, s, a[u, STATE], state) + reach)
    return max(most, head_u + a[u, SECONDS] + tail)


@compiled
def _forbid(a: Ints, forbidden: Ints, u: int, one: int, other: int, until: int) -> None:
    """Forbid the present order of ``u`` and what stands between ``one`` and ``other``, one of which it is."""
    w = one
    while True:
        if w != u:
            forbidden[_pair(u, w) if u == one else _pair(w, u)] = until
        if w == other:
            return
        w = a[w, NEXT]


@compiled
def _without(a: Ints, m: Ints, t: Ints, v: int) -> int:
    """The longest path through ``v``'s neighbours on its station if ``v`` were not there."""
    before, after = a[v, PREVIOUS], a[v, NEXT]
    if after < 0:
        return 0
    head = max(a[after, READY], _change_after(a, m, t, before, a[v, STATION], a[after, STATE]))
    return head + a[after, SECONDS] + a[after, TAIL]


@compiled
def _keep(a: Ints, order: Ints, best: Ints, numbers: Ints) -> None:
    numbers[BEST] = numbers[CURRENT]
    numbers[IMPROVED] = numbers[ITERATION]
    for v in range(len(order)):
        best[B_OPTION, v] = a[v, OPTION]
        best[B_ORDER, v] = order[v]
        best[B_HEAD, v] = a[v, HEAD]
        best[B_TAIL, v] = a[v, TAIL]


@compiled
def search(
    a: Ints, o: Ints, e: Ints, m: Ints, t: Ints, order: Ints, dirty: Bytes, scratch: Ints, best: Ints,
    left: Ints, forbidden: Ints, numbers: Ints, random: Seeds,
    moves: int, patience: int, target: int, tenure: int, reach: int,
) -> int:  # fmt: skip
    """Make ``moves`` moves at most from the plan that was loaded; returns how many were made.

    Ends early when the best plan is ``target`` or better, when ``patience`` moves brought no better one, or
    when nothing can be moved. ``tenure`` is how long at least a change is tabu, ``reach`` how far at most a
    block move goes. The best plan is kept in ``best``; ``numbers[IMPROVED]`` counts from its finding.
    """
    path, linked = scratch[1], scratch[2]
    until = np.zeros(1, dtype=np.int64)
    for made in range(moves):
        if numbers[CURRENT] < numbers[BEST]:
            _keep(a, order, best, numbers)
        if numbers[BEST] <= target or numbers[ITERATION] - numbers[IMPROVED] >= patience:
            return made
        now = numbers[ITERATION]
        numbers[ITERATION] = now + 1
        length = _critical_path(a, e, m, t, random, numbers[CURRENT], path, linked)
        best_value, best_count = 1 << 60, 0
        best_v, best_option, best_before, best_one, best_other = -1, -1, -1, -1, -1
        any_count, any_v, any_option, any_before = 0, -1, -1, -1
        # Within blocks. The path runs backwards: path[last_at] is the block's first.
        at = 0
        while at < length:
            end = at
            while linked[end]:
                end += 1
            if end > at:
                for i in range(at, end + 1):
                    u = path[i]
                    # Behind later ones of the block: all the way, or for the first to anywhere in it.
                    for j in range(at, i):
                        edge = j == at or i == end or (i - j == 1 and m[a[u, STATION], CHANGE_AT] >= 0)
                        if not edge or i - j > reach:
                            continue
                        last = path[j]
                        if not _may_follow(a, e, u, last):
                            continue
                        value = _forward(a, m, t, scratch, forbidden, u, last, until)
                        any_count += 1
                        if _draw(random, any_count) == 0:
                            any_v, any_option, any_before = u, a[u, OPTION], last
                        if until[0] > now and value >= numbers[BEST]:
                            continue
                        if value < best_value:
                            best_value, best_count = value, 1
                        elif value == best_value:
                            best_count += 1
                            if _draw(random, best_count) != 0:
                                continue
                        else:
                            continue
                        best_v, best_option, best_before = u, a[u, OPTION], last
                        best_one, best_other = u, last
                    # Before earlier ones.
                    for j in range(i + 1, end + 1):
                        edge = j == end or i == at
                        if not edge or j - i > reach or j - i == 1:
                            continue  # neighbours swap above already
                        first = path[j]
                        if not _may_lead(a, e, u, first):
                            continue
                        value = _backward(a, m, t, scratch, forbidden, u, first, until)
                        any_count += 1
                        if _draw(random, any_count) == 0:
                            any_v, any_option, any_before = u, a[u, OPTION], a[first, PREVIOUS]
                        if until[0] > now and value >= numbers[BEST]:
                            continue
                        if value < best_value:
                            best_value, best_count = value, 1
                        elif value == best_value:
                            best_count += 1
                            if _draw(random, best_count) != 0:
                                continue
                        else:
                            continue
                        best_v, best_option, best_before = u, a[u, OPTION], a[first, PREVIOUS]
                        best_one, best_other = first, u
            at = end + 1
        # To other stations.
        for i in range(length):
            v = path[i]
            if a[v, OPTION_END] - a[v, OPTION_AT] == 1:
                continue
            bypass = _without(a, m, t, v)
            latest_before, first_end = -1, 1 << 60
            for b in range(a[v, BEFORE_AT], a[v, BEFORE_END]):
                latest_before = max(latest_before, a[e[b, OTHER], HEAD])
            for b in range(a[v, AFTER_AT], a[v, AFTER_END]):
                w = e[b, OTHER]
                first_end = min(first_end, a[w, HEAD] + a[w, SECONDS])
            for option in range(a[v, OPTION_AT], a[v, OPTION_END]):
                s = o[option, O_STATION]
                if s == a[v, STATION]:
                    continue
                ready = _ready(a, o, e, m, t, v, option)
                rest = _rest(a, e, m, t, v, s)
                floor = max(bypass, ready + o[option, O_SECONDS] + rest)
                tabu = left[v, s] > now
                if floor > best_value and any_count > 0:
                    continue
                before, after = NONE, m[s, FIRST]
                while True:
                    # Behind `before`, in front of `after`.
                    if before >= 0 and (a[before, HEAD] >= first_end or _waits_for(a, e, before, v)):
                        break
                    if after < 0 or (
                        a[after, HEAD] + a[after, SECONDS] > latest_before and not _waits_for(a, e, v, after)
                    ):
                        state = o[option, O_STATE]
                        value = max(ready, _change_after(a, m, t, before, s, state)) + o[option, O_SECONDS]
                        if after >= 0:
                            value += max(
                                rest,
                                _change(m, t, s, state, a[after, STATE]) + a[after, SECONDS] + a[after, TAIL],
                            )
                        else:
                            value += rest
                        value = max(value, bypass)
                        any_count += 1
                        if _draw(random, any_count) == 0:
                            any_v, any_option, any_before = v, option, before
                        if not tabu or value < numbers[BEST]:
                            if value < best_value:
                                best_value, best_count = value, 1
                                best_v, best_option, best_before = v, option, before
                            elif value == best_value:
                                best_count += 1
                                if _draw(random, best_count) == 0:
                                    best_v, best_option, best_before = v, option, before
                    if after < 0:
                        break
                    before, after = after, a[after, NEXT]
        if best_v < 0:
            if any_v < 0:
                return made
            best_v, best_option, best_before, best_one = any_v, any_option, any_before, -1
        if best_option != a[best_v, OPTION]:
            left[best_v, a[best_v, STATION]] = now + tenure + _draw(random, tenure + 1)
        elif best_one >= 0:
            _forbid(a, forbidden, best_v, best_one, best_other, now + tenure + _draw(random, tenure + 1))
        numbers[CURRENT] = relocate(a, o, e, m, t, order, dirty, scratch, best_v, best_option, best_before)
    if numbers[CURRENT] < numbers[BEST]:
        _keep(a, order, best, numbers)
    return moves
