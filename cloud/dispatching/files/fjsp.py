"""Flexible job-shop text, and the same with sequence-dependent set-ups (``.fjs`` with matrices).

First line ``jobs machines`` and sometimes the mean number of choices a step. Then a line for each job: the
number of its steps and, for each step, the number of choices and that many pairs ``machine time``. Copies
number the machines from 0 or from 1: a file that names machine 0 counts from 0, one that names the last one
counts from 1.

Set-ups follow as one block of rows for each machine: row *i*, column *j* is the set-up when step *j* comes
directly after step *i* on it (steps numbered job by job); the diagonal means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from cloud.dispatching.files.instance import Instance
from cloud.dispatching.files.lines import Line, fail, header, lines, need

WHAT = "lines of jobs"

_Raw = list[list[tuple[int, int]]]


def read(text: str, file: str) -> Instance:
    """The instance in ``text``; ``file`` is the name that messages show.

    Raises:
        DocumentError: with file, line and column, the value and what is allowed.
    """
    found = lines(text, file)
    jobs, machines, _ = header(found, file)
    need(found, jobs, file, WHAT)
    instance = _jobs(found[1 : jobs + 1], machines, usual=0)
    if len(found) - 1 > jobs:
        extra = found[jobs + 1]
        fail(file, extra.number, 1, f"{jobs} {WHAT} are announced, here is one more")
    return instance


def read_with_setups(text: str, file: str) -> Instance:
    """As :func:`read`, with a matrix of set-ups for each machine behind the jobs."""
    found = lines(text, file)
    jobs, machines, _ = header(found, file)
    need(found, jobs, file, WHAT)
    instance = _jobs(found[1 : jobs + 1], machines, usual=1)
    rows = found[jobs + 1 :]
    steps = instance.steps
    wanted = machines * steps
    if len(rows) < wanted:
        last = found[-1]
        words = f"set-ups need {machines} × {steps} rows (a row for each step on each machine)"
        fail(file, last.number, last.end, f"{words}, {len(rows)} are here")
    if len(rows) > wanted:
        fail(file, rows[wanted].number, 1, f"{wanted} rows of set-ups are expected, here is one more")
    matrices = tuple(
        tuple(_row(row, steps) for row in rows[machine * steps : (machine + 1) * steps])
        for machine in range(machines)
    )
    return Instance(
        machines=machines, jobs=instance.jobs, setups=matrices, first_machine=instance.first_machine
    )


def _row(line: Line, steps: int) -> tuple[int, ...]:
    row = tuple(line.take("a set-up", 0) for _ in range(steps))
    line.finish(f"a row of set-ups has {steps} numbers")
    return row


def _jobs(found: Sequence[Line], machines: int, usual: int) -> Instance:
    raw = [_job(line, machines) for line in found]
    named = {machine for job in raw for step in job for machine, _ in step}
    first = usual if (0 in named) == (machines in named) else int(machines in named)
    if 0 in named and machines in named:
        _refuse_both(found, machines)
    return Instance(
        machines=machines,
        jobs=tuple(tuple(tuple((m - first, t) for m, t in step) for step in job) for job in raw),
        first_machine=first,
    )


def _job(line: Line, machines: int) -> _Raw:
    steps: _Raw = []
    for step in range(1, line.take("the number of steps", 1, 1_000_000) + 1):
        choices: list[tuple[int, int]] = []
        for _ in range(line.take(f"the number of choices of step {step}", 1, machines)):
            machine = line.take(f"a machine of step {step}", 0, machines)
            if any(machine == known for known, _ in choices):
                line.at -= 1
                line.refuse(f"step {step} names machine {machine} twice")
            choices.append((machine, line.take(f"the time on machine {machine}", 0)))
        steps.append(choices)
    line.finish(f"the line announces {len(steps)} steps")
    return steps


def _refuse_both(found: Sequence[Line], machines: int) -> None:
    """Machine 0 and machine ``machines``: point at the first that is one too many."""
    for line in found:
        line.at = 0
        for _ in range(line.take("the number of steps", 1)):
            for _ in range(line.take("the number of choices", 1)):
                if line.take("a machine", 0) == machines:
                    line.at -= 1
                    line.refuse(
                        f'a machine: "{machines}" is out of range, allowed 0 to {machines - 1} '
                        "(the file names machine 0, so it counts from 0)"
                    )
                line.skip()


def write(instance: Instance) -> str:
    """The instance as text, machines from 0, without set-ups."""
    return "\n".join(_written(instance, 0)) + "\n"


def write_with_setups(instance: Instance) -> str:
    """The instance as text with its set-ups, machines from 1."""
    rows = _written(instance, 1)
    for matrix in instance.setups:
        rows.append("")
        rows += [" ".join(map(str, row)) for row in matrix]
    return "\n".join(rows) + "\n"


def _written(instance: Instance, first: int) -> list[str]:
    choices = sum(len(step) for job in instance.jobs for step in job)
    rows = [f"{len(instance.jobs)} {instance.machines} {choices / max(1, instance.steps):.2f}"]
    for job in instance.jobs:
        words = [len(job)]
        for step in job:
            words.append(len(step))
            words += [number for machine, time in step for number in (machine + first, time)]
        rows.append(" ".join(map(str, words)))
    return rows
