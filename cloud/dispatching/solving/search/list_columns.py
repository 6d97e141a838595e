"""The columns of the arrays in which a list of work becomes a plan.

It does in :mod:`~cloud.dispatching.solving.search.decode`.

A row of ``a`` is an activity, or after all of those a task of maintenance. A row of ``r`` is something that
belongs to one: an arc, a haul, a need, a wish or its part in a job. Costs are in units of the objective.
"""

from __future__ import annotations

OPTION_AT, OPTION_END, ARC_AT, ARC_END, HAUL_AT, HAUL_END, WISH_AT, WISH_END, JOB_AT, JOB_END = range(10)
"""Of ``a``: which rows of ``o`` are its options, and which of ``r`` its arcs, hauls, wishes and jobs."""
RESTS, IS_TASK, FINISH_BEFORE, OMIT_COST, DELAY_COST = range(10, 15)
"""Of ``a``: whether it may rest over pauses; what is known of a task."""
OPTION, HELD, PUSHED, START, END, CHANGE, DONE, PREVIOUS, CAUSE = range(15, 24)
"""Of ``a``: what is decided. ``HELD`` is a start it keeps although it could be earlier, ``PUSHED`` one that a
longest lag asks of it; ``DONE`` says whether a task is done; ``PREVIOUS`` is what comes before it on its
machine (−1: nothing), ``CAUSE`` which of that and its predecessors it waits for (−1: for none)."""
OLD_FREE, OLD_STATE, OLD_AT, OLD_DUE, OLD_DUE_AT, OLD_COST, OLD_FINISH, OLD_BROKEN, PLACE, UNIT = range(
    24, 34
)
"""Of ``a``: how its machine and the sums were before it, to take it back; its place in ``k`` and its unit."""
COLUMNS = 34

O_STATION, O_SECONDS, O_RELEASE, O_STATE, NEED_AT, NEED_END = range(6)
"""Of ``o``; ``O_RELEASE`` is the earliest start, the needs are rows of ``r``."""

OTHER, LAG, MOST, FIRST, LAST = range(5)
"""Of an arc in ``r``: what it waits for, seconds after its end at least and at most (−1: no limit), where in
``t`` the seconds of an overlap begin, by option of the other and of its own (−1: none)."""
H_OTHER, H_LAG, H_STATION, H_END, TRIP = range(5)
"""Of a haul; from a fact where ``H_OTHER`` is −1. ``TRIP`` is when it sets out (long before any
time where no trip is needed)."""
POOL, AMOUNT = range(2)
"""Of a need."""
W_STATION, W_START, W_COST = range(3)
"""Of a wish; a station of −2 is a pin: only a later start costs."""
JOB, TAIL, OLD_JOB_END = range(3)
"""Of a part in a job: seconds that must follow in that job, and the job's end before this was placed."""
R_COLUMNS = 5

DUE, WEIGHT, JOB_ENDS, OF_AT, OF_END = range(5)
"""Of ``j``, the jobs: ``JOB_ENDS`` is when it ends, or must at least by what is placed; its activities lie
in ``k``."""

CHANGE_AT, STATES, BLOCK_AT, BLOCK_END, FREE, STATE, AT, FACT_COST, FACT_AT, TOP = range(10)
"""Of ``m``, the stations: where its changeovers lie in ``t`` (−1: none) and how many states there are; its
blocks in ``b``. Then what changes: when it is free, its set-up state, the first block still ahead, what the
changeover to the frozen work at block ``FACT_AT`` costs more than without free work before it, and the last
activity on it."""

B_START, B_END, ENTER, LEAVE, PAUSE, NEXT_WORK, FACT_SECONDS = range(7)
"""Of ``b``, the blocks of all stations: ``NEXT_WORK`` is the first frozen work from here on that is still
ahead (−1: none), ``FACT_SECONDS`` its changeover when only facts come before it."""

STEP_AT, STEPS, IS_CREW = range(3)
"""Of ``p``, the pools and last the vehicles: its steps in ``x``."""
TIME, LEVEL = range(2)
"""Of ``x``, what is left of a pool: ``LEVEL`` from ``TIME`` on; no step has the level of the one before."""

NOW, EMPTY, CHANGEOVER_COST, MAKESPAN_COST, OTHER_MACHINE, VEHICLES = range(6)
"""Of ``n``, one number each; ``VEHICLES`` is their row in ``p`` (−1: not limited)."""
COST, FINISH, BROKEN, PLACED = range(6, 10)
"""Of ``n``: the sums over what is placed: cost, when all of it has ended, seconds by which longest lags are
exceeded; and how many units are placed."""
NUMBERS = 10

MEMBER_AT, MEMBER_END, BEFORE_AT, BEFORE_END, AFTER_AT, AFTER_END = range(6)
"""Of ``u``, the units: what is placed together, in ``k``; and the units before and after it, there too."""

C_OPTION, C_HELD, C_START, C_END, C_CHANGE, C_PREVIOUS, C_CAUSE = range(7)
"""Of ``c``, the list the search has in hand, by activity and task: what was decided and came of it."""
C_COLUMNS = 7
CURRENT, BEST, VALID, ALTERED, EVALUATED, ACCEPTED, IMPROVED = range(7)
"""Of ``s``, the search's numbers: costs in hand and of the best list, how much of the list in hand is placed
as it is, how many rows of ``d`` are used, and how many lists were looked at, taken, and better than all."""
SUMS = 7
KIND, INDEX, BEFORE = range(3)
"""Of ``d``, what the list on trial has changed beside the order: a column of ``c``, or −1 for a place in
``k``; which row or place; and the value it had."""
