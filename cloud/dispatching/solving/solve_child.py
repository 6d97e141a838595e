"""The solver process: ``python -m cloud.dispatching.solving.solve_child``.

Reads one :class:`~cloud.dispatching.solving.wire.Request` line, writes answers as lines; with
``--rehearse`` it loads its libraries first. It opens no file, no socket and no database. It stops when its
input ends, so it never outlives the process that started it.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from cloud.dispatching.shop.schedule import Schedule
from cloud.dispatching.solving.improve import improve
from cloud.dispatching.solving.limits import Limits, Stop
from cloud.dispatching.solving.rehearsal import rehearse
from cloud.dispatching.solving.wire import ENCODER, REQUEST, Answer, Failed, Finished, Improved

PAUSE = 0.5
"""Seconds between plans on the way: writing and checking them takes time from the search."""

REHEARSE = "--rehearse"
"""Asks to have all libraries loaded before the request comes."""

START = 5.0
"""Seconds at most that the start of this process counts as time for the search."""


def main() -> int:
    """Serve one request; 0 when it was answered to the end or none came, 1 when the search failed."""
    if REHEARSE in sys.argv:
        rehearse()
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    began = time.monotonic()
    request = REQUEST.decode(line)
    if hasattr(os, "nice"):
        os.nice(request.nice)  # planning may take long; taking in what the floor reports may not
    stop = Stop()
    threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
    lock = threading.Lock()

    def send(answer: Answer) -> None:
        with lock:
            sys.stdout.buffer.write(ENCODER.encode(answer) + b"\n")
            sys.stdout.buffer.flush()

    last_sent = -PAUSE

    def improved(schedule: Schedule) -> None:
        nonlocal last_sent
        seconds = time.monotonic() - began
        if seconds - last_sent >= PAUSE:
            last_sent = seconds
            send(Improved(schedule=schedule, seconds=seconds))

    seconds = request.seconds
    if request.sent is not None and not request.deterministic:
        # A clock that was set in between must not use up the time.
        started = min(max(0.0, time.time() - request.sent), START)
        seconds = max(seconds / 2, seconds - started)
    limits = Limits(
        seconds=seconds,
        workers=request.workers,
        deterministic=request.deterministic,
        seed=request.seed,
    )
    try:
        best = improve(request.problem, request.start, limits, improved, stop)
    except (RuntimeError, ValueError, MemoryError) as error:
        send(Failed(reason=f"{type(error).__name__}: {error}"))
        return 1
    send(Finished(schedule=best, seconds=time.monotonic() - began))
    return 0


def _stop_at_end_of_input(stop: Stop) -> None:
    while sys.stdin.buffer.readline():
        continue
    stop.request()


if __name__ == "__main__":
    code = main()
    # Everything is said. Taking the solver's model apart would only keep the caller waiting.
    sys.stderr.flush()
    os._exit(code)
