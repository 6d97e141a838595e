"""Job-shop text: ``jobs machines``, then a line of ``machine time`` pairs for each job, machines from 0.

Jobs may be of unequal length and visit a machine more than once, as in the instances Boveroux, Ernst and
Louveaux (2025) drew from a plant; the equal-length form is that of Fisher & Thompson and Taillard.
"""

from __future__ import annotations

from cloud.dispatching.files.instance import Instance, Step
from cloud.dispatching.files.lines import Line, fail, header, lines, need

WHAT = "lines of jobs"


def read(text: str, file: str) -> Instance:
    """The instance in ``text``; ``file`` is the name that messages show.

    Raises:
        DocumentError: with file, line and column, the value and what is allowed.
    """
    found = lines(text, file)
    jobs, machines, _ = header(found, file)
    need(found, jobs, file, WHAT)
    if len(found) - 1 > jobs:
        extra = found[jobs + 1]
        fail(file, extra.number, 1, f"{jobs} {WHAT} are announced, here is one more")
    return Instance(machines=machines, jobs=tuple(_job(line, machines) for line in found[1:]))


def _job(line: Line, machines: int) -> tuple[Step, ...]:
    steps: list[Step] = []
    while line.left:
        machine = line.take("a machine", 0, machines - 1)
        steps.append(((machine, line.take(f"the time on machine {machine}", 0)),))
    return tuple(steps)


def write(instance: Instance) -> str:
    """The instance as text. Every step must have one machine, and there must be no set-ups."""
    rows = [f"{len(instance.jobs)} {instance.machines}"]
    rows += [" ".join(f"{m} {t}" for ((m, t),) in job) for job in instance.jobs]
    return "\n".join(rows) + "\n"
