"""A solver process that has its libraries loaded before it is needed.

Starting one takes Python, OR-Tools and the compiled search some two seconds, which is half of the time that
live planning has. So one waits; it takes some 250 MB of memory while it does.
"""

from __future__ import annotations

import threading

from cloud.dispatching.solving.solver_process import COMMAND, SolverProcess

READY: tuple[str, ...] = (*COMMAND, "--rehearse")
"""How a solver process is started that is asked later."""


class Standby:
    """At most one process that waits. For any thread; :meth:`close` ends the one that waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits: SolverProcess | None = None
        self._closed = False

    def take(self) -> SolverProcess:
        """The process that waits, else a new one. Raises OSError where none can be started."""
        with self._lock:
            waiting, self._waits = self._waits, None
        if waiting is not None and waiting.runs:
            return waiting
        if waiting is not None:
            waiting.__exit__()
        return SolverProcess()

    def refill(self) -> None:
        """Have one wait, unless one does: best called when nothing is being planned, for starting costs.

        Raises OSError where none can be started.
        """
        with self._lock:
            if self._closed or (self._waits is not None and self._waits.runs):
                return
            gone, self._waits = self._waits, SolverProcess(READY)
        if gone is not None:
            gone.__exit__()

    def close(self) -> None:
        """No process waits any more, and none will."""
        with self._lock:
            self._closed = True
            waiting, self._waits = self._waits, None
        if waiting is not None:
            waiting.__exit__()
