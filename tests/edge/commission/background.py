"""Real servers beside a command that has an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

from typer.testing import CliRunner, Result

from edge.commission.main import app

T = TypeVar("T")


def onelot_driver(*arguments: str, answer: str | None = None) -> Result:
    """``onelot driver …`` with what a person types."""
    return CliRunner().invoke(app, list(arguments), input=answer)


@contextmanager
def serving(make: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """A server on an event loop in a thread; yields what its ``async with`` gives."""
    ready = threading.Event()
    made: list[T] = []
    failed: list[BaseException] = []
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def run() -> None:
        async with make() as server:
            made.append(server)
            ready.set()
            await over.wait()

    def work() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(run())
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert ready.wait(30)
        if failed:
            raise failed[0]
        yield made[0]
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(over.set)
        thread.join(30)
    assert not thread.is_alive()
    if failed:
        raise failed[0]
