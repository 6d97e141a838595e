"""Our own parts as processes: started, watched, killed in the middle, stopped without orphans."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
"""Where parts that are started together listen."""
STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Ctrl-C, a polite kill, and the window being closed: all stop the parts in order."""
STOP_SECONDS = 10.0
"""How long a part may take to stop before it is killed."""


class StoppedError(Exception):
    """Somebody pressed Ctrl-C or asked the parts to stop."""


class PartFailedError(RuntimeError):
    """A part ended by itself or never became ready; the text names it and the end of its log."""


@dataclass(slots=True)
class Part:
    """One process. ``ready`` is asked until it says yes; output goes to ``log``."""

    name: str
    command: Sequence[str]
    log: Path
    ready: Callable[[], bool] | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start it; in a session of its own, so that Ctrl-C reaches its starter, who stops all in order."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                list(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self, seconds: float) -> None:
        """Wait until it is ready; raises PartFailedError when it ends or the time is over."""
        until = time.monotonic() + seconds
        while self.ready is not None and not self.ready():
            self.check()
            if time.monotonic() > until:
                raise PartFailedError(f"{self.name} is not ready after {seconds:.0f} s\n{self.tail()}")
            time.sleep(0.05)

    def check(self) -> None:
        """Raise PartFailedError when it has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise PartFailedError(f"{self.name} ended with code {self._process.returncode}\n{self.tail()}")

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def terminate(self) -> None:
        """Ask it to stop."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def stop(self) -> bool:
        """Ask it to stop and wait; True when it did by itself, False when it had to be killed."""
        if self._process is None:
            return True
        self.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        self._process = None
        return True

    def tail(self, lines: int = 12) -> str:
        """The end of its log."""
        if not self.log.exists():
            return ""
        text = self.log.read_text("utf-8", errors="replace").splitlines()[-lines:]
        return "\n".join(f"  {self.log.name}: {line}" for line in text)


def listening(port: int, host: str = HOST) -> Callable[[], bool]:
    """Whether something accepts connections there."""

    def asks() -> bool:
        try:
            with socket.create_connection((host, port), timeout=0.5):
                return True
        except OSError:
            return False

    return asks


def onelot(*arguments: str) -> list[str]:
    """The command line of one of our own parts."""
    return [sys.executable, "-m", "onelot", *arguments]


def broker_command(folder: Path, port: int) -> tuple[str, list[str]]:
    """Name and command of the broker: Mosquitto where it is installed, else the embedded one."""
    mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if mosquitto is None:
        return "embedded broker", onelot("broker", "--port", str(port))
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type error\n",
        "utf-8",
    )
    return "Mosquitto", [mosquitto, "-c", str(config)]
