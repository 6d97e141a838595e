"""Which operations are executed together: coating batches of one colour, nests of one sheet.

A pure greedy decision before planning: operations of the same kind whose due dates lie close together fill a
run until it is full. What is fixed, leased or already in a run stays as it is. What the published plan has
together stays together where it still fits: one more order must not shuffle all runs behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from cloud.dispatching.shop.problem import Alternative, Operation, Problem, Run, State
from cloud.dispatching.shop.validation import check


class Lasts(StrEnum):
    """How long a run takes, from what its operations would take alone."""

    LONGEST = "longest"
    """Side by side, as in an oven: as long as the longest."""
    SUM = "sum"
    """One after another with one set-up, as on a laser: all of them."""


class GroupRule(Struct, frozen=True, kw_only=True):
    """Operations that can only run on ``machines`` are grouped when all attributes ``match``.

    Due dates within a run differ by ``due_within`` seconds at most, the earliest times at which they can be
    ready by ``ready_within``, and the sizes add up to ``capacity`` at most.
    """

    machines: tuple[str, ...]
    match: tuple[str, ...]
    capacity: int
    due_within: int
    ready_within: int | None = None
    lasts: Lasts = Lasts.LONGEST


_NO_DUE = 1 << 50


def group(
    problem: Problem,
    rules: tuple[GroupRule, ...],
    apart: Collection[str] = (),
    together: Mapping[str, str] | None = None,
) -> Problem:
    """``problem`` with the runs that ``rules`` suggest; a run has two operations at least, none of ``apart``.

    ``together`` names the published run of operations that are in one; others join these where they fit.
    No run is made that would have to wait for itself (two steps of one job, or crosswise). Raises
    :class:`~cloud.dispatching.shop.validation.ImpossibleProblem` when the problem makes no sense.
    """
    check(problem)
    covered = {name for run in problem.runs for name in run.operations}
    taken = {run.id for run in problem.runs}
    graph = _Graph(problem)
    ready = _ready(problem)
    runs = list(problem.runs)
    for rule in rules:
        allowed = set(rule.machines)
        waiting = [
            o
            for o in problem.operations
            if o.state is State.FREE
            and o.pin is None
            and o.id not in apart
            and o.id not in covered
            and o.alternatives
            and all(a.machine in allowed for a in o.alternatives)
        ]
        waiting.sort(key=lambda o: (_NO_DUE if o.due is None else o.due, ready[o.id], o.id))
        for batch in _batches(rule, waiting, graph, ready, together or {}):
            if len(batch) > 1:
                run = _run(rule, batch, taken)
                runs.append(run)
                covered.update(run.operations)
    return replace(problem, runs=tuple(runs))


def _batches(
    rule: GroupRule,
    waiting: list[Operation],
    graph: _Graph,
    ready: dict[str, int],
    together: Mapping[str, str],
) -> list[list[Operation]]:
    closed: list[list[Operation]] = []
    filling: dict[tuple[tuple[str, ...], frozenset[str]], list[list[Operation]]] = {}
    for operation in sorted(waiting, key=lambda o: o.id not in together):  # what is published, first
        key = (
            tuple(operation.setup.get(name, "") for name in rule.match),
            frozenset(a.machine for a in operation.alternatives),
        )
        batches = filling.setdefault(key, [])
        published = together.get(operation.id)
        for batch in batches:
            if published is not None and together.get(batch[0].id) != published:
                continue
            if _fits(rule, batch, operation, ready) and graph.merge(batch[0].id, operation.id):
                batch.append(operation)
                break
        else:
            batches.append([operation])
            closed.append(batches[-1])
    return closed


def _fits(rule: GroupRule, batch: list[Operation], operation: Operation, ready: dict[str, int]) -> bool:
    members = [*batch, operation]
    if sum(o.size for o in members) > rule.capacity:
        return False
    dues = [o.due for o in members if o.due is not None]
    if dues and (len(dues) < len(members) or max(dues) - min(dues) > rule.due_within):
        return False
    times = [ready[o.id] for o in members]
    return rule.ready_within is None or max(times) - min(times) <= rule.ready_within


def _run(rule: GroupRule, batch: list[Operation], taken: set[str]) -> Run:
    """The run's name is its first operation's, so that the same batch keeps its name when planned again."""
    name = batch[0].id
    while name in taken:
        name += "+"
    taken.add(name)
    alternatives = []
    for offered in batch[0].alternatives:
        each = [a for o in batch if (a := o.alternative(offered.machine)) is not None]
        seconds = [a.run_seconds for a in each]
        alternatives.append(
            Alternative(
                machine=offered.machine,
                run_seconds=max(seconds) if rule.lasts is Lasts.LONGEST else sum(seconds),
                setup_seconds=max(a.setup_seconds for a in each),
                needs={name: max(a.needs.get(name, 0) for a in each) for a in each for name in a.needs},
            )
        )
    common = dict(batch[0].setup)
    for other in batch[1:]:
        common = {key: value for key, value in common.items() if other.setup.get(key) == value}
    return Run(
        id=name,
        operations=tuple(o.id for o in batch),
        alternatives=tuple(alternatives),
        setup=common,
    )


class _Graph:
    """Who waits for whom, with grouped operations as one node."""

    def __init__(self, problem: Problem) -> None:
        self._node = {o.id: o.id for o in problem.operations}
        for run in problem.runs:
            self._node.update((name, run.operations[0]) for name in run.operations)
        self._members: dict[str, set[str]] = {}
        self._after: dict[str, set[str]] = {}
        for name, node in self._node.items():
            self._members.setdefault(node, set()).add(name)
            self._after.setdefault(node, set())
        for operation in problem.operations:
            for before in operation.predecessors:
                self._after[self._node[before]].add(operation.id)

    def merge(self, one: str, other: str) -> bool:
        """Make the two one node, unless one waits for the other."""
        a, b = self._node[one], self._node[other]
        if a == b or self._reaches(a, b) or self._reaches(b, a):
            return False
        for name in self._members[b]:
            self._node[name] = a
        self._members[a] |= self._members.pop(b)
        self._after[a] |= self._after.pop(b)
        return True

    def _reaches(self, start: str, goal: str) -> bool:
        seen = {start}
        stack = [start]
        while stack:
            for name in self._after[stack.pop()]:
                node = self._node[name]
                if node == goal:
                    return True
                if node not in seen:
                    seen.add(node)
                    stack.append(node)
        return False


def _ready(problem: Problem) -> dict[str, int]:
    """When each operation could start if no machine were ever busy. Expects a routing without cycles."""
    operations = {o.id: o for o in problem.operations}
    ready: dict[str, int] = {}
    stack = [o.id for o in problem.operations]
    while stack:
        operation = operations[stack[-1]]
        missing = [name for name in operation.predecessors if name not in ready]
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        start = max(operation.earliest, problem.now)
        for name in operation.predecessors:
            before = operations[name]
            if before.state is State.FIXED:
                end = problem.end_of_fixed(before)
            else:
                end = ready[name] + min((a.seconds for a in before.alternatives), default=0)
            start = max(start, end + operation.lags.get(name, 0))
        ready[operation.id] = start
    return ready
