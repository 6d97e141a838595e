"""Processes of the product as an administrator has them: started, killed in the middle, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")

STOP_S = 20.0
ROOT = Path(__file__).resolve().parents[2]
_LOW, _HIGH = 15_000, 32_000
_taken: set[int] = set()


def quiet_port() -> int:
    """A free port below those that the kernel hands to outgoing connections.

    A server that is killed must find its port free when it comes back; one of the kernel's could by then
    belong to any connection on this machine.
    """
    start = _LOW + (os.getpid() * 97 + len(_taken) * 13) % (_HIGH - _LOW)
    for offset in range(_HIGH - _LOW):
        port = _LOW + (start - _LOW + offset) % (_HIGH - _LOW)
        if port in _taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _taken.add(port)
        return port
    raise AssertionError(f"no port between {_LOW} and {_HIGH} is free")


def onelot(*arguments: str | Path) -> list[str]:
    """The command line of one of the product's parts."""
    return [sys.executable, "-m", "onelot", *map(str, arguments)]


async def until(
    condition: Callable[[], Awaitable[T]], what: str, seconds: float = 30.0, pause: float = 0.05
) -> T:
    """The first true answer of ``condition``; AssertionError saying ``what`` did not happen in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = await condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what} (last answer: {found!r})")
        await asyncio.sleep(pause)


@dataclass(slots=True)
class Process:
    """One process in a session of its own, so that whatever it leaves behind can be found."""

    name: str
    command: Sequence[str]
    log: Path
    kills: int = field(default=0, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _sessions: list[int] = field(default_factory=list, init=False)

    @property
    def running(self) -> bool:
        """Whether it was started and has not been ended here."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Process id while it runs."""
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    def start(self) -> None:
        """Start it; does not wait until it is ready."""
        assert self._process is None, f"{self.name} is running already"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                list(self.command),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._sessions.append(self._process.pid)

    def check(self) -> None:
        """Fail when it ended by itself."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise AssertionError(f"{self.name} ended by itself with code {code}:\n{self.tail()}")

    async def kill(self) -> None:
        """``kill -9``: no last write, no goodbye."""
        self.check()
        await self._end(signal.SIGKILL)
        self.kills += 1

    async def stop(self) -> int:
        """Ask it to end and wait; its exit code. Harmless when it is not running."""
        return await self._end(signal.SIGTERM)

    async def ended(self, seconds: float = STOP_S) -> int:
        """Wait until it has ended by itself; its exit code."""
        process = self._process
        assert process is not None, f"{self.name} is not running"
        code = await asyncio.to_thread(process.wait, seconds)
        self._process = None
        return code

    async def _end(self, how: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(how)
        try:
            return await asyncio.to_thread(process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)
            raise AssertionError(f"{self.name} did not stop in {STOP_S:g} s:\n{self.tail()}") from None

    def orphans(self) -> list[str]:
        """Processes that outlived the ones started here, by what they run."""
        return [
            f"{process.pid} {' '.join(process.info['cmdline'] or ())}"
            for process in psutil.process_iter(["cmdline", "status"])
            if process.info["status"] != psutil.STATUS_ZOMBIE and _session(process.pid) in self._sessions
            if self._process is None or process.pid != self._process.pid
        ]

    def tail(self, lines: int = 25) -> str:
        """The end of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text("utf-8", errors="replace").splitlines()[-lines:])


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1
