"""Plan a problem: at once by dispatch rules, then better by the solver in a process of its own.

The solver process has no database and no socket; whatever happens to it (crash, no memory, no answer), the
caller keeps the best plan so far. Every plan it sends is checked by the independent validator.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.shop.validation import check
from cloud.dispatching.shop.violations import violations
from cloud.dispatching.solving.construct import construct
from cloud.dispatching.solving.wire import ANSWER, ENCODER, Failed, Finished, Request

COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", "cloud.dispatching.solving.solve_child")
"""How the solver process is started."""

GRACE = 10.0
"""Seconds the process may take beyond the search (start, imports, building the model) before it is killed."""

TAIL = 2000
"""Characters of the process's last words that are kept for the note."""


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
) -> Schedule:
    """The best plan found within ``seconds``. Blocks: call it in a thread.

    ``on_progress`` hears, from the calling thread, of the constructed plan and of each better one. Setting
    ``cancel`` ends the search early with the best plan so far. ``start`` is tried beside the constructed
    plan when it is valid. With ``deterministic`` the amount of work is limited instead of the time.
    ``nice`` is how far the solver process stands back behind other processes.

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
        process = _Child(command, request, grace)
    except OSError as error:
        return _noted(best, f"the solver process did not start: {error}")
    with process as child:
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


class _Child:
    """The solver process, from start to certain end."""

    def __init__(self, command: Sequence[str], request: Request, grace: float) -> None:
        self._grace = grace
        self._ended_because = ""
        environment = dict(os.environ)
        # The child finds the packages where this process has them, whatever directory it is started in.
        root = str(Path(__file__).resolve().parents[3])
        known = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = root + (os.pathsep + known if known else "")
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            # Ctrl-C goes to a terminal's whole group; the search must live to hand over its best plan.
            process_group=0 if os.name == "posix" else None,
        )
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._errors: list[bytes] = []
        self._threads = [
            threading.Thread(target=work, name=f"solver {name}", daemon=True)
            for name, work in (
                ("input", lambda: self._feed(ENCODER.encode(request) + b"\n")),
                ("output", self._listen),
                ("errors", self._collect),
            )
        ]

    def __enter__(self) -> _Child:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up()
        try:
            self._process.wait(timeout=self._grace if self._ended_because == "" else 0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def lines(self, patience: float | None, cancel: threading.Event | None) -> Iterator[bytes]:
        """Answers until the process ends, ``patience`` (monotonic time) is over or ``cancel`` is set.

        After ``cancel`` the process is asked to stop and may still send its last plan.
        """
        asked = False
        while True:
            if cancel is not None and cancel.is_set() and not asked:
                asked = True
                self._hang_up()
                patience = time.monotonic() + min(self._grace, 2.0)
            left = 0.1 if patience is None else min(0.1, patience - time.monotonic())
            if left <= 0:
                self._ended_because = "cancelled" if asked else "the solver process did not answer in time"
                return
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                continue
            if line is None:
                return
            yield line

    def last_words(self) -> str:
        """Why the answers ended before the search was finished."""
        if self._ended_because:
            return self._ended_because
        code = self._process.wait()
        said = b"".join(self._errors).decode(errors="replace")[-TAIL:].strip()
        return f"the solver process ended with code {code}" + (f": {said}" if said else "")

    def _feed(self, request: bytes) -> None:
        stdin = self._process.stdin
        if stdin is None:
            return
        try:
            stdin.write(request)
            stdin.flush()
        except OSError as error:  # it died first; its exit code tells more than the broken pipe
            self._errors.append(f"request not taken: {error}\n".encode())

    def _hang_up(self) -> None:
        """Close the process's input: the signal to stop."""
        if self._threads[0].ident is not None:
            self._threads[0].join(timeout=self._grace)
        if self._process.stdin is not None and not self._process.stdin.closed:
            try:
                self._process.stdin.close()
            except OSError as error:
                self._errors.append(f"input not closed: {error}\n".encode())

    def _listen(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                self._lines.put(line)
        self._lines.put(None)

    def _collect(self) -> None:
        if self._process.stderr is not None:
            for line in self._process.stderr:
                self._errors.append(line)
