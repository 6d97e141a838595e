"""The solver process as its caller sees it: started, asked, listened to, and certain to end."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cloud.dispatching.solving.wire import ENCODER, Request

COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", "cloud.dispatching.solving.solve_child")
"""How the solver process is started."""

GRACE = 10.0
"""Seconds the process may take beyond the search (start, imports, building the model) before it is killed."""

TAIL = 2000
"""Characters of the process's last words that are kept for the note."""


class SolverProcess:
    """One process for one request, which :meth:`ask` gives it. Left with ``with`` it has ended."""

    def __init__(self, command: Sequence[str] = COMMAND, grace: float = GRACE) -> None:
        """Start it. Raises OSError where that cannot be done."""
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
        self._input: threading.Thread | None = None
        self._listeners = [
            threading.Thread(target=work, name=f"solver {name}", daemon=True)
            for name, work in (("output", self._listen), ("errors", self._collect))
        ]
        for thread in self._listeners:
            thread.start()

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: Request) -> None:
        """Send the one request. A large one is taken slowly: a thread of its own writes it."""
        line = ENCODER.encode(request) + b"\n"
        self._input = threading.Thread(target=self._feed, args=(line,), name="solver input", daemon=True)
        self._input.start()

    def __enter__(self) -> SolverProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        try:
            self._process.wait(timeout=self._grace if self._ended_because == "" else 0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._listeners:
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
                self.hang_up()
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

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def _feed(self, request: bytes) -> None:
        stdin = self._process.stdin
        if stdin is None:
            return
        try:
            stdin.write(request)
            stdin.flush()
        except OSError as error:  # it died first; its exit code tells more than the broken pipe
            self._errors.append(f"request not taken: {error}\n".encode())

    def hang_up(self) -> None:
        """Close the process's input: the signal to stop."""
        if self._input is not None:
            self._input.join(timeout=self._grace)
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
