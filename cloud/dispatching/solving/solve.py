"""Plan a problem: at once by dispatch rules, then better by the solver in a process of its own.

The solver process has no database and no socket; whatever happens to it (crash, no memory, no answer), the
caller keeps the best plan so far. Every plan it sends is checked by the independent validator.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.shop.validation import check
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.construct import construct
from cloud.dispatching.solving.solver_process import COMMAND, GRACE, SolverProcess
from cloud.dispatching.solving.wire import ANSWER, Failed, Finished, Request


class Progress(Struct, frozen=True, kw_only=True):
    """A plan on the way: ``seconds`` since the call."""

    schedule: Schedule
    seconds: float


def solve(
    problem: Problem,
    seconds: float,
    *,
    start: Schedule | None = None,
    workers: int = 8,
    deterministic: bool = False,
    seed: int = 0,
    cancel: threading.Event | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    command: Sequence[str] = COMMAND,
    nice: int = 5,
    grace: float = GRACE,
    start_process: Callable[[], SolverProcess] | None = None,
) -> Schedule:
    """The best plan found within ``seconds``. Blocks: call it in a thread.

    ``on_progress`` hears, from the calling thread, of the constructed plan and of each better one. Setting
    ``cancel`` ends the search early with the best plan so far. ``start`` is tried beside the constructed
    plan when it is valid. With ``deterministic`` the amount of work is limited instead of the time.
    ``nice`` is how far the solver process stands back behind other processes. ``start_process`` gives one
    that may have been started ahead (:mod:`~cloud.dispatching.solving.standby`); otherwise ``command`` does.

    Raises :class:`~cloud.dispatching.shop.validation.ImpossibleProblem` when the problem makes no sense;
    nothing that goes wrong in the solver process raises: ``Schedule.note`` then says what did.
    """
    began = time.monotonic()
    check(problem)
    best = construct(problem, seed)
    if start is not None and not violations(problem, start) and _better(start, best):
        best = start

    def report(schedule: Schedule) -> None:
        if on_progress is not None:
            on_progress(Progress(schedule=schedule, seconds=time.monotonic() - began))

    report(best)
    if seconds <= 0 or (cancel is not None and cancel.is_set()):
        return best
    request = Request(
        problem=problem,
        start=best,
        seconds=seconds if deterministic else max(0.1, seconds - (time.monotonic() - began)),
        workers=workers,
        deterministic=deterministic,
        seed=seed,
        sent=time.time(),
        nice=nice,
    )
    # Work limits say nothing about time; a search that hangs all the same is ended by ``cancel``.
    patience = None if deterministic else began + seconds + grace
    try:
        process = start_process() if start_process is not None else SolverProcess(command, grace)
    except OSError as error:
        return _noted(best, f"the solver process did not start: {error}")
    with process as child:
        child.ask(request)
        for line in child.lines(patience, cancel):
            try:
                answer = ANSWER.decode(line)
            except msgspec.DecodeError as error:
                return _noted(best, f"the solver process sent something unreadable: {error}")
            if isinstance(answer, Failed):
                return _noted(best, f"the solver failed: {answer.reason}")
            broken = violations(problem, answer.schedule)
            if broken:
                return _noted(best, f"the solver's plan breaks a rule: {broken[0]}")
            final = isinstance(answer, Finished)
            if _better(answer.schedule, best) or (final and not _better(best, answer.schedule)):
                best = answer.schedule
                report(best)
            if final:
                return best
        return _noted(best, child.last_words())


def _better(one: Schedule, other: Schedule) -> bool:
    return one.objective.total < other.objective.total


def _noted(schedule: Schedule, note: str) -> Schedule:
    return msgspec.structs.replace(schedule, note=note)
