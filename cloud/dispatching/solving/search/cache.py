"""Where the compiled search is kept, so that it is compiled once for each version of its source.

Compiling takes some twenty seconds of one core; a solver process may live for two. So a process of its own
compiles into the user's cache folder, and goes on when whoever started it ends. The folder's name holds a
hash of the source and of the versions; what an older version left is never read.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", "cloud.dispatching.solving.search.warm")
"""How the compiling process is started."""

SOURCES = ("kernel.py", "columns.py", "decode.py", "climb.py", "list_columns.py", "jit.py")
"""What is compiled, and what it is compiled with."""

STALE = 300.0
"""Seconds after which a compilation that has shown nothing of itself is thought dead."""

BEAT = 20.0
"""Seconds between two signs of life of a compilation."""

DONE, BUSY = "done", "busy"
"""Files in the folder: the compilation has ended; one is going on."""


def available() -> bool:
    """Whether numba, which compiles the search, is installed."""
    return find_spec("numba") is not None


def folder() -> Path | None:
    """The folder of this version, made if need be; ``None`` where none can be written.

    ``NUMBA_CACHE_DIR`` names where it lies, else the user's cache folder (``XDG_CACHE_HOME``, ``~/.cache``).
    """
    base = os.environ.get("NUMBA_CACHE_DIR")
    root = (
        Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "onelot"
    )
    path = root / f"search-{_key()}"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return path if os.access(path, os.W_OK) else None


@cache
def _key() -> str:
    """Asked for by every compiled function when a process starts."""
    digest = hashlib.sha256(platform.machine().encode() + sys.version.encode())
    for name in ("numba", "llvmlite", "numpy"):
        try:
            digest.update(version(name).encode())
        except PackageNotFoundError:
            digest.update(b"-")
    for name in SOURCES:
        source = Path(__file__).with_name(name)
        digest.update(source.read_bytes())
        # numba takes a file that was moved or written anew for another one, and compiles again.
        digest.update(f"{source} {source.stat().st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def complete(path: Path) -> bool:
    """Whether the compiled search lies in ``path``."""
    return (path / DONE).exists()


def mark(path: Path) -> None:
    """Note that it does."""
    (path / DONE).touch()
    (path / BUSY).unlink(missing_ok=True)


@contextlib.contextmanager
def going_on(path: Path, beat: float = BEAT) -> Iterator[None]:
    """Show that a compilation goes on, however long it takes: on a busy machine that may be many minutes."""
    ended = threading.Event()

    def show() -> None:
        (path / BUSY).touch()
        while not ended.wait(beat):
            (path / BUSY).touch()

    shown = threading.Thread(target=show, name="signs of life", daemon=True)
    shown.start()
    try:
        yield
    finally:
        ended.set()
        shown.join()


def begin(path: Path) -> None:
    """Have a process of its own compile into ``path``, unless one does already."""
    try:
        os.close(os.open(path / BUSY, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if time.time() - (path / BUSY).stat().st_mtime < STALE:
            return
        (path / BUSY).touch()
    # It outlives this process on purpose: the next solve finds what it made.
    process = subprocess.Popen(
        list(COMMAND),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    # Somebody takes its exit code, as long as this process lives.
    threading.Thread(target=process.wait, name="compiling the search", daemon=True).start()


def prepare() -> None:
    """Have the search compiled ahead of its first use, unless it is already or cannot be kept."""
    path = folder() if available() else None
    if path is not None and not complete(path):
        begin(path)
