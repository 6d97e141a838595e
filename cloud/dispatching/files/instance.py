"""What the classic text formats can say: jobs as chains of steps, each with its machines and times."""

from __future__ import annotations

from msgspec import Struct

Step = tuple[tuple[int, int], ...]
"""The choices of a step: (machine, time), machines counted from 0."""


class Instance(Struct, frozen=True, kw_only=True):
    """A job shop of a classic text file.

    ``setups[machine][i][j]`` is the set-up on a machine when step ``j`` directly follows step ``i`` there,
    steps numbered job by job over the whole file; empty where the format has none. ``first_machine`` is the
    number the file gives its first machine, 0 or 1.
    """

    machines: int
    jobs: tuple[tuple[Step, ...], ...]
    setups: tuple[tuple[tuple[int, ...], ...], ...] = ()
    first_machine: int = 0

    @property
    def steps(self) -> int:
        """Steps of all jobs."""
        return sum(len(job) for job in self.jobs)
