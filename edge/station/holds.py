"""Lots on hold at the stations of an edge: what the job list says, what was measured here since, and what
somebody who may has decided here. Pure.

A station that measures a violation holds the lot at once, network or not. When the service has heard of it,
its job lists say so, and the station's own knowledge is dropped; so with decisions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from edge.station.work import Hold, Work
from protocols.inspection import Held
from protocols.jobs import JobList, JobOperation


def held(
    operations: Iterable[JobOperation], works: Sequence[Work], finished: Mapping[str, str]
) -> Mapping[str, tuple[Held, ...]] | None:
    """Why each operation may not begin, by operation; None where only the job list knows.

    ``operations`` are those of all stations, ``finished`` those known to be finished.
    """
    own = {source: hold for work in works for source, hold in work.holds.items()}
    released = {source for work in works for source in work.released}
    if not own and not released:
        return None
    known = {operation.id: operation for operation in operations}
    return {name: tuple(_of(operation, known, own, released, finished)) for name, operation in known.items()}


def _of(
    operation: JobOperation,
    known: Mapping[str, JobOperation],
    own: Mapping[str, Hold],
    released: set[str],
    finished: Mapping[str, str],
) -> Iterator[Held]:
    listed = {each.source for each in operation.held if each.source}
    yield from (each for each in operation.held if each.source not in released)
    for source, hold in own.items():
        if source in listed or source in released or operation.id == hold.operation:
            continue
        if _job(hold.operation, known) in ("", operation.job) and _follows(
            operation, hold.operation, known, finished, set()
        ):
            yield Held("", hold.en, hold.zh, source)


def _job(name: str, known: Mapping[str, JobOperation]) -> str:
    """The job of an operation; empty where no station has it any more."""
    return known[name].job if name in known else ""


def _follows(
    operation: JobOperation,
    name: str,
    known: Mapping[str, JobOperation],
    finished: Mapping[str, str],
    seen: set[str],
) -> bool:
    """Whether an operation waits for ``name``, directly or not.

    What lies between may be at another edge: of that nothing is known but that it is not finished.
    """
    for before in operation.predecessors:
        if before.operation == name:
            return True
        if before.operation in seen:
            continue
        seen.add(before.operation)
        step = known.get(before.operation)
        if step is not None:
            if _follows(step, name, known, finished, seen):
                return True
        elif name in known and not before.confirmed(finished) and known[name].job == operation.job:
            return True
    return False


def heard(work: Work, jobs: JobList) -> Work:
    """The work once a job list says what the service knows; the same object where that changes nothing."""
    if not (work.holds.keys() & set(jobs.holds) or work.released.keys() & set(jobs.releases)):
        return work
    return replace(
        work,
        holds={source: hold for source, hold in work.holds.items() if source not in jobs.holds},
        released={source: what for source, what in work.released.items() if source not in jobs.releases},
    )
