"""Between the numbers of a classic instance and a problem with names.

Read instances are about the makespan alone: the weights of everything else are 0. A matrix of set-ups becomes
a changeover rule whose attribute is the step itself, with only the pairs that can meet on the machine; the
machine's first step has no set-up, as its own set-up is empty.
"""

from __future__ import annotations

from collections.abc import Iterator

from cloud.dispatching.files.instance import Instance, Step
from cloud.dispatching.shop.problem import (
    Alternative,
    Changeover,
    Machine,
    Operation,
    Problem,
    State,
    Weights,
)

STEP = "step"
"""The set-up attribute that names the step, where set-ups depend on it."""

MAKESPAN = Weights(tardiness=0, changeover=0, deviation=0, makespan=1)
"""Nothing counts but the end of the last operation."""


class NotExpressible(ValueError):
    """A problem has what a text format cannot say; ``reasons`` lists it."""

    def __init__(self, format_name: str, reasons: list[str]) -> None:
        self.reasons = reasons
        shown = "\n  ".join(reasons[:20]) + (f"\n  and {len(reasons) - 20} more" if len(reasons) > 20 else "")
        super().__init__(f"the format {format_name} cannot say all of this problem:\n  {shown}")


def problem_of(instance: Instance) -> Problem:
    """The instance as a problem: one unit of its time is one second, everything may start at 0."""
    machines = [f"M{n + instance.first_machine}" for n in range(instance.machines)]
    names = [[f"J{j}.{s}" for s in range(1, len(job) + 1)] for j, job in enumerate(instance.jobs, start=1)]
    operations = [
        Operation(
            id=names[j][s],
            order_id=f"J{j + 1}",
            job_id=f"J{j + 1}",
            alternatives=tuple(Alternative(machine=machines[m], run_seconds=t) for m, t in step),
            predecessors=(names[j][s - 1],) if s else (),
            setup={STEP: names[j][s]} if instance.setups else {},
        )
        for j, job in enumerate(instance.jobs)
        for s, step in enumerate(job)
    ]
    rules: list[tuple[Changeover, ...]] = [() for _ in machines]
    if instance.setups:
        able: list[list[int]] = [[] for _ in machines]
        for number, step in enumerate(step for job in instance.jobs for step in job):
            for machine, _ in step:
                able[machine].append(number)
        for machine, matrix in enumerate(instance.setups):
            pairs = {
                operations[i].id: {operations[j].id: matrix[i][j] for j in there if j != i and matrix[i][j]}
                for there in (able[machine],)
                for i in there
            }
            listed = {before: row for before, row in pairs.items() if row}
            rules[machine] = (Changeover(attribute=STEP, pairs=listed),) if listed else ()
    return Problem(
        origin=0,
        now=0,
        machines=tuple(
            Machine(id=name, changeovers=rule) for name, rule in zip(machines, rules, strict=True)
        ),
        operations=tuple(operations),
        weights=MAKESPAN,
    )


def instance_of(problem: Problem, format_name: str, *, flexible: bool, setups: bool) -> Instance:
    """The problem as an instance, for a format that has choices of machines and set-ups, or has not.

    Own set-up times become part of the time. Names, and all but the makespan's weight, are lost.

    Raises:
        NotExpressible: the problem has more than the format can say.
    """
    reasons = list(_beyond(problem, flexible=flexible, setups=setups))
    if reasons:
        raise NotExpressible(format_name, reasons)
    number = {machine.id: index for index, machine in enumerate(problem.machines)}
    chains = _chains(problem)
    operations = [operation for chain in chains for operation in chain]
    matrices: tuple[tuple[tuple[int, ...], ...], ...] = ()
    if setups:
        matrices = tuple(
            tuple(
                tuple(
                    machine.changeover(one.setup, other.setup)
                    if one is not other and one.alternative(machine.id) and other.alternative(machine.id)
                    else 0
                    for other in operations
                )
                for one in operations
            )
            for machine in problem.machines
        )
    return Instance(
        machines=len(problem.machines),
        jobs=tuple(tuple(_step(operation, number) for operation in chain) for chain in chains),
        setups=matrices,
        first_machine=1 if setups else 0,
    )


def _step(operation: Operation, number: dict[str, int]) -> Step:
    return tuple((number[a.machine], a.seconds) for a in operation.alternatives)


def _chains(problem: Problem) -> list[list[Operation]]:
    """Operations job by job, each after its predecessor."""
    members: dict[str, list[Operation]] = {}
    for operation in problem.operations:
        members.setdefault(operation.job_id, []).append(operation)
    chains: list[list[Operation]] = []
    for operations in members.values():
        after = {operation.predecessors: operation for operation in operations}
        chain: list[Operation] = []
        step = after.get(())
        while step is not None:
            chain.append(step)
            step = after.get((step.id,))
        chains.append(chain)
    return chains


def _beyond(problem: Problem, *, flexible: bool, setups: bool) -> Iterator[str]:
    """What the problem has and the format has not."""
    for kind, things in (
        ("runs", problem.runs),
        ("maintenance", problem.maintenance),
        ("transport times", problem.transports),
        ("a published plan", problem.published),
    ):
        if things:
            yield f"{kind}: {len(things)}"
    for machine in problem.machines:
        if machine.unavailable:
            yield f"machine {machine.id} is unavailable at times"
        if machine.changeovers and not setups:
            yield f"machine {machine.id} has changeovers"
    yield from _beyond_operations(problem, flexible=flexible)
    if setups:
        if problem.weights.changeover:
            yield f"the weight of changeovers is {problem.weights.changeover}, not 0"
        for machine in problem.machines:
            for operation in problem.operations:
                if operation.alternative(machine.id) and machine.changeover(machine.setup, operation.setup):
                    yield f"machine {machine.id} changes over before {operation.id} if that comes first"
                    break


def _beyond_operations(problem: Problem, *, flexible: bool) -> Iterator[str]:
    operations = {operation.id: operation for operation in problem.operations}
    sizes: dict[str, int] = {}
    for operation in problem.operations:
        sizes[operation.job_id] = sizes.get(operation.job_id, 0) + 1
        if operation.due is not None and problem.weights.tardiness and operation.weight:
            yield f"{operation.id} has a due date"
        if operation.earliest > problem.now:
            yield f"{operation.id} has an earliest start"
        if operation.state is not State.FREE:
            yield f"{operation.id} is {operation.state}"
        if any(operation.lags.values()):
            yield f"{operation.id} has a lag"
        if not flexible and len(operation.alternatives) > 1:
            yield f"{operation.id} has a choice of {len(operation.alternatives)} machines"
        if any(name in operations and operations[name].job_id != operation.job_id
               for name in operation.predecessors):  # fmt: skip
            yield f"{operation.id} waits for another job"
    for chain, (job, size) in zip(_chains(problem), sizes.items(), strict=True):
        if len(chain) != size:
            yield f"the operations of job {job} are no chain"
