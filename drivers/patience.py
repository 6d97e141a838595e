"""Blocking work on a file system that may hang: a machine's folder, mounted by SMB, FTP or NFS.

A mount whose machine was switched off can hold a system call for minutes or for ever. Such a call has a
thread of its own, which nobody waits for longer than it moves, and which keeps neither the other machines nor
the end of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Step = Callable[[], None]
"""Work calls it after each part of itself; it raises when nobody waits any more."""

SILENCE = 30.0
"""Seconds without a step after which work is given up."""

_given_up: dict[Path, list[threading.Thread]] = {}
"""Work that was given up and may still hang, by its folder: for the whole process, as a mount is."""


class GivenUp(Exception):
    """Nobody waits for this work any more."""


async def patiently(folder: Path, work: Callable[[Step], T], silence: float | None = None) -> T:
    """What ``work`` returns or raises, which is done in a thread of its own.

    Raises:
        TimeoutError: it did not move for ``silence`` seconds, or what was given up before it in this folder
            hangs still.
    """
    seconds = SILENCE if silence is None else silence
    if hanging := [thread for thread in _given_up.pop(folder, ()) if thread.is_alive()]:
        _given_up[folder] = hanging
        raise TimeoutError(f"{folder} does not answer: a request from before still hangs")
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()
    ended = threading.Event()
    moved = time.monotonic()

    def step() -> None:
        nonlocal moved
        if ended.is_set():
            raise GivenUp
        moved = time.monotonic()

    def tell(how: Callable[[Any], None], what: object) -> None:
        if not outcome.done():
            how(what)

    def run() -> None:
        try:
            how, what = outcome.set_result, work(step)
        except BaseException as error:  # noqa: BLE001 - raised where the work is waited for
            how, what = outcome.set_exception, error  # type: ignore[assignment]
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, how, what)

    thread = threading.Thread(target=run, name=f"files-{folder}", daemon=True)
    thread.start()
    try:
        while not outcome.done():
            left = moved + seconds - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{folder} has not answered for {seconds:g} s")
            await asyncio.wait([outcome], timeout=left)
        return outcome.result()
    finally:
        ended.set()
        if not outcome.done():
            outcome.cancel()
            _given_up.setdefault(folder, []).append(thread)
