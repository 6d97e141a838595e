"""Late-acceptance search over lists of work: the compiled inner loops.

A list holds all activities, none before what it waits for, and an option for each. Decoding it places one
after the other behind what its machine has, as early as windows, frozen work and changeovers let it. A move
takes an activity to another place in its machine's (or another machine's) order, together with what must
stay before or after it. A list is taken over if it costs no more than the present one, or than the present
one did some moves ago (late acceptance hill climbing, Burke & Bykov 2017).
"""

# To mypy an element of an array may be anything.
# mypy: disable-error-code="no-any-return, return-value"

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cloud.dispatching.solving.search.jit import compiled

Ints = NDArray[np.int64]


JOBS = 0.3
"""Share of the moves that take a whole job elsewhere."""


class Facts(NamedTuple):
    """A shop. ``…_at`` arrays have one more entry than there are rows: where the rows of each begin in the
    array that follows."""

    now: int
    options_at: Ints
    """By activity, into the four that follow."""
    station: Ints
    seconds: Ints
    release: Ints
    state: Ints
    before_at: Ints
    """By activity."""
    before: Ints
    lag: Ints
    after_at: Ints
    after: Ints
    travel: Ints
    """Seconds by station and station."""
    free: Ints
    """By station: when it is free at first …"""
    setup: Ints
    """… and its set-up state then."""
    blocks_at: Ints
    """By station: windows and frozen work ahead, in order of time."""
    block_start: Ints
    block_end: Ints
    enter: Ints
    """Set-up state that frozen work needs; −1 for a window."""
    leave: Ints
    changeover_at: Ints
    """By station."""
    states: Ints
    changeover: Ints
    job: Ints
    """By activity."""
    due: Ints
    """By job."""
    weight: Ints
    settled: Ints
    """When the fixed work of a job ends."""
    wished_station: Ints
    """By activity; −1: not published."""
    wished_start: Ints
    wish: Ints
    """What a second of deviation counts."""
    costs: Ints
    """Of a second of tardiness, changeover, deviation and makespan, and seconds for another machine."""


class Plan(NamedTuple):
    """Room for a decoded list; by activity, station and job."""

    start: Ints
    end: Ints
    changeover: Ints
    free: Ints
    setup: Ints
    block: Ints
    finish: Ints


@compiled
def decode(f: Facts, order: Ints, option: Ints, p: Plan) -> int:
    """Places the list into ``p`` and returns what it costs."""
    p.free[:] = f.free
    p.setup[:] = f.setup
    p.finish[:] = f.settled
    for s in range(f.free.shape[0]):
        p.block[s] = f.blocks_at[s]
    changeovers = 0
    deviation = 0
    end_of_all = f.now
    for a in order:
        o = option[a]
        s = f.station[o]
        ready = f.release[o]
        for e in range(f.before_at[a], f.before_at[a + 1]):
            b = f.before[e]
            ready = max(ready, p.end[b] + f.lag[e] + f.travel[f.station[option[b]], s])
        free, setup = p.free[s], p.setup[s]
        row = f.changeover_at[s]
        change = f.changeover[row + setup * f.states[s] + f.state[o]]
        start = max(ready, free + change)
        end = start + f.seconds[o]
        at = p.block[s]
        last = f.blocks_at[s + 1]
        while at < last:
            if end <= f.block_start[at] and start - change < f.block_start[at]:
                work = at
                while work < last and f.enter[work] < 0:
                    work += 1
                if work == last:
                    break
                leaves = f.changeover[row + f.state[o] * f.states[s] + f.enter[work]]
                if end + leaves <= f.block_start[work]:
                    break
            free = max(free, f.block_end[at])
            if f.enter[at] >= 0:
                setup = f.leave[at]
                change = f.changeover[row + setup * f.states[s] + f.state[o]]
            start = max(ready, free + change)
            end = start + f.seconds[o]
            at += 1
        p.block[s] = at
        p.free[s] = end
        p.setup[s] = f.state[o]
        p.start[a] = start
        p.end[a] = end
        p.changeover[a] = change
        changeovers += change
        if f.wished_station[a] >= 0:
            away = abs(start - f.wished_start[a])
            if f.wished_station[a] != s:
                away += f.costs[4]
            deviation += away * f.wish[a]
        j = f.job[a]
        p.finish[j] = max(p.finish[j], end)
        end_of_all = max(end_of_all, end)
    tardiness = 0
    for j in range(f.due.shape[0]):
        if p.finish[j] > f.due[j]:
            tardiness += f.weight[j] * (p.finish[j] - f.due[j])
    return (
        f.costs[0] * tardiness
        + f.costs[1] * changeovers
        + f.costs[2] * deviation
        + f.costs[3] * (end_of_all - f.now)
    )


@compiled
def earlier(f: Facts, order: Ints, new: Ints, low: int, high: int, marked: NDArray[np.bool_]) -> bool:
    """Into ``new``: what stands at ``high`` goes before what stands at ``low``, with all between that it
    waits for. False if it waits for that too."""
    marked[order[high]] = True
    for k in range(high - 1, low - 1, -1):
        for e in range(f.after_at[order[k]], f.after_at[order[k] + 1]):
            if marked[f.after[e]]:
                marked[order[k]] = True
    possible = not marked[order[low]]
    if possible:
        _partition(order, new, low, high, marked, True)
    for k in range(low, high + 1):
        marked[order[k]] = False
    return possible


@compiled
def later(f: Facts, order: Ints, new: Ints, low: int, high: int, marked: NDArray[np.bool_]) -> bool:
    """Into ``new``: what stands at ``low`` goes behind what stands at ``high``, with all between that waits
    for it. False if that waits for it too."""
    marked[order[low]] = True
    for k in range(low + 1, high + 1):
        for e in range(f.before_at[order[k]], f.before_at[order[k] + 1]):
            if marked[f.before[e]]:
                marked[order[k]] = True
    possible = not marked[order[high]]
    if possible:
        _partition(order, new, low, high, marked, False)
    for k in range(low, high + 1):
        marked[order[k]] = False
    return possible


@compiled
def _partition(
    order: Ints, new: Ints, low: int, high: int, marked: NDArray[np.bool_], marked_first: bool
) -> None:
    to = low
    for turn in range(2):
        wanted = marked_first if turn == 0 else not marked_first
        for k in range(low, high + 1):
            if marked[order[k]] == wanted:
                new[to] = order[k]
                to += 1


@compiled
def together(
    f: Facts, order: Ints, new: Ints, job: int, to: int, held: NDArray[np.bool_], position: Ints
) -> bool:
    """Into ``new``: all of a job but what is ``held`` stands together from place ``to`` on, or as near as can
    be. False if it would stand before what it waits for."""
    count = order.shape[0]
    at = 0
    inserted = False
    passed = 0
    for k in range(count + 1):
        if not inserted and (passed == to or k == count):
            inserted = True
            for a in order:
                if f.job[a] == job and not held[a]:
                    new[at] = a
                    at += 1
        if k < count and (f.job[order[k]] != job or held[order[k]]):
            new[at] = order[k]
            at += 1
            passed += 1
    for k in range(count):
        position[new[k]] = k
    for a in order:
        if f.job[a] == job:
            for e in range(f.before_at[a], f.before_at[a + 1]):
                if position[f.before[e]] > position[a]:
                    return False
            for e in range(f.after_at[a], f.after_at[a + 1]):
                if position[f.after[e]] < position[a]:
                    return False
    return True


@compiled
def neighbour(f: Facts, order: Ints, option: Ints, at: int, target: int, step: int, count: int) -> int:
    """Where the ``count``-th activity on station ``target`` stands from ``at`` in direction ``step``; the
    last one if there are fewer, −1 if there is none."""
    found = -1
    k = at + step
    while 0 <= k < order.shape[0]:
        if f.station[option[order[k]]] == target:
            found = k
            count -= 1
            if count == 0:
                break
        k += step
    return found


@compiled
def search(
    f: Facts,
    order: Ints,
    option: Ints,
    p: Plan,
    held: NDArray[np.bool_],
    moves: int,
    memory: int,
    seed: int,
) -> int:
    """Makes of ``order`` and ``option`` the best list found with ``moves`` tries, and returns its cost. A new
    list is compared with what the present one cost ``memory`` tries ago."""
    np.random.seed(seed)
    count = order.shape[0]
    present = decode(f, order, option, p)
    best = present
    best_order, best_option = order.copy(), option.copy()
    new_order, new_option = order.copy(), option.copy()
    marked = np.zeros(count, np.bool_)
    position = np.zeros(count, np.int64)
    past = np.full(memory, present, np.int64)
    for move in range(moves):
        at = np.random.randint(count)
        a = order[at]
        new_order[:] = order
        new_option[:] = option
        if np.random.random() < JOBS:
            to = np.random.randint(count)
            if not together(f, order, new_order, f.job[a], to, held, position):
                continue
            cost = decode(f, new_order, new_option, p)
            if cost <= present or cost <= past[move % memory]:
                present = cost
                order[:] = new_order
                if cost < best:
                    best = cost
                    best_order[:] = new_order
                    best_option[:] = new_option
            past[move % memory] = min(past[move % memory], present)
            continue
        choices = f.options_at[a + 1] - f.options_at[a]
        if choices > 1 and np.random.random() < 0.5:
            new_option[a] = f.options_at[a] + np.random.randint(choices)
        target = f.station[new_option[a]]
        step = -1 if np.random.random() < 0.5 else 1
        far = 1 + int(np.random.exponential(2.0))
        other = neighbour(f, order, option, at, target, step, far)
        if other < 0 and new_option[a] == option[a]:
            continue
        if other >= 0:
            if step < 0:
                possible = earlier(f, order, new_order, other, at, marked)
            else:
                possible = later(f, order, new_order, at, other, marked)
            if not possible:
                continue
        cost = decode(f, new_order, new_option, p)
        if cost <= present or cost <= past[move % memory]:
            present = cost
            order[:] = new_order
            option[:] = new_option
            if cost < best:
                best = cost
                best_order[:] = new_order
                best_option[:] = new_option
        past[move % memory] = min(past[move % memory], present)
    order[:] = best_order
    option[:] = best_option
    return decode(f, order, option, p)
