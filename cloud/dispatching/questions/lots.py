"""A lot in sublots: each step of the job becomes several, which may run side by side.

Step *op* becomes *op/1*, *op/2* … with the pieces shared as evenly as can be, the run time in proportion and
the set-up of each in full. A step follows its predecessor sublot by sublot where both are split alike;
otherwise it waits for all sublots, or they all for it. Frozen and leased work and what lies in a run stays
whole. A longest lag between a lot and its sublots is one between the lot and the first of them to start, or
the last of them to end: the others have to wait, as the pieces of a lot do.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from cloud.dispatching.questions.changes import SplitLot
from cloud.dispatching.questions.refused import Refused, unknown
from cloud.dispatching.questions.routing import waiting_for
from cloud.dispatching.shop.problem import Operation, Problem, State

MOST = 20
"""Sublots: more of them are a mistake, and every one is work for the planner."""


def split(problem: Problem, change: SplitLot) -> Problem:
    """With the job's lot in ``change.into`` sublots. The first of each keeps its published place."""
    jobs = dict.fromkeys(operation.job_id for operation in problem.operations)
    reasons = []
    if change.job not in jobs:
        reasons.append(unknown("job", change.job, jobs))
    if not 2 <= change.into <= MOST:
        reasons.append(f"a lot is split into 2 to {MOST} sublots, not into {change.into}")
    if reasons:
        raise Refused(*reasons)
    covered = {name for run in problem.runs for name in run.operations}
    whole = [o for o in problem.operations if o.job_id == change.job]
    chosen = {o.id: o for o in whole if o.state is State.FREE and o.id not in covered}
    if not chosen:
        raise Refused(f"job {change.job} cannot be split: all its work is frozen, leased or part of a run")
    reasons = [
        f"{o.id} has {o.quantity} pieces and cannot be split into {change.into}"
        for o in chosen.values()
        if 1 < o.quantity < change.into  # 1 is what nobody said: then only the time is shared
    ]
    taken = {operation.id for operation in problem.operations}
    parts = {name: tuple(f"{name}/{n + 1}" for n in range(change.into)) for name in chosen}
    reasons += [f"there is an operation {p} already" for names in parts.values() for p in names if p in taken]
    if reasons:
        raise Refused(*reasons)
    pieces = {
        part: share
        for name, names in parts.items()
        for part, share in zip(names, _shared(chosen[name], change.into), strict=True)
    }
    operations: list[Operation] = []
    for operation in problem.operations:
        if operation.id in chosen:
            operations += _sublots(operation, parts, pieces)
        elif any(name in parts for name in operation.predecessors):
            waits = waiting_for(operation, lambda name: parts.get(name, (name,)), pieces=pieces)
            not_last = {part for names in parts.values() for part in names[:-1]}
            waits["max_lags"] = {p: most for p, most in waits["max_lags"].items() if p not in not_last}
            operations.append(replace(operation, **waits))
        else:
            operations.append(operation)
    published = dict(problem.published)
    for name, names in parts.items():
        if (placement := published.pop(name, None)) is not None:
            published[names[0]] = placement
    return replace(problem, operations=tuple(operations), published=published)


def shares(quantity: int, into: int) -> list[int]:
    """``quantity`` in ``into`` parts that differ by one at most, the larger ones first."""
    least, more = divmod(quantity, into)
    return [least + (n < more) for n in range(into)]


def _shared(operation: Operation, into: int) -> list[int]:
    return shares(operation.quantity, into) if operation.quantity > 1 else [1] * into


def _sublots(
    operation: Operation, parts: dict[str, tuple[str, ...]], pieces: dict[str, int]
) -> Iterator[Operation]:
    names = parts[operation.id]
    whole = sum(pieces[name] for name in names)
    for n, (name, size) in enumerate(zip(names, shares(operation.size, len(names)), strict=True)):

        def same_sublot(before: str, n: int = n) -> tuple[str, ...]:
            return (parts[before][n],) if before in parts else (before,)

        fields = waiting_for(operation, same_sublot, pieces=pieces)
        if n:
            fields["max_lags"] = {p: most for p, most in fields["max_lags"].items() if p in pieces}
        if operation.quantity > 1:
            fields["quantity"] = pieces[name]
        yield replace(
            operation,
            id=name,
            alternatives=tuple(
                # Rounded up: no sublot is promised faster than its pieces can be made.
                replace(a, run_seconds=-(-a.run_seconds * pieces[name] // whole))
                for a in operation.alternatives
            ),
            size=size,
            **fields,
        )
