"""What every test of the house gets without asking.

* A leak is a failure: asyncio tasks still running, SQLite databases still open and (through the garbage
  collector, warnings being errors) sockets, files and loops never closed.
* ``async def test_...`` runs under ``asyncio.run``. There are no async fixtures: a test that needs a
  resource enters an ``async with`` block, so that start and stop stand next to each other.
* ``@pytest.mark.needs("mosquitto")`` skips with a reason where a server is missing and fails when ``CI`` is
  set. The server fixtures of ``tests/servers.py`` do the same by themselves.
"""

import asyncio
import gc
import inspect
import signal
import sqlite3
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import hypothesis
import pytest

# A deadline would be a timed test: this machine may be busy with something else.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")

pytest_plugins = ["tests.servers"]  # not imported above: pytest must load it first, to rewrite its asserts

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts its background jobs like this and every process they start inherits it: no test of
    # Ctrl-C could ever end.
    signal.signal(signal.SIGINT, signal.default_int_handler)

SETTLE_S = 1.0
"""How long a task that is already on its way out may take before it counts as leaked."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or in CI fail, a test whose ``needs`` marker names a server that is not on this machine."""
    from tests import servers

    for marker in item.iter_markers("needs"):
        for name in marker.args:
            servers.require(str(name))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On one worker of several, files of the whole product first, and of these the slowest.

    They mostly wait. At the end, one of them would keep a worker for minutes while the others have nothing
    to do.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=_patience, reverse=True)


def _patience(item: pytest.Item) -> float:
    """The seconds that a test of the whole product may take; 0 for any other."""
    if item.get_closest_marker("system") is None:
        return 0.0
    limit = item.get_closest_marker("timeout")
    return float(limit.args[0]) if limit is not None else 1.0


# --- async tests ----------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test in a loop of its own and fail it for tasks it leaves behind."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(_without_leaked_tasks(pyfuncitem.obj, arguments))
    return True


async def _without_leaked_tasks(
    test: Callable[..., Coroutine[Any, Any, None]], arguments: dict[str, object]
) -> None:
    """Await the test; raise AssertionError naming every task that outlives it by ``SETTLE_S``."""
    await test(**arguments)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=SETTLE_S)
    if left:
        lines = "\n".join(f"  {task.get_name()}: {task.get_coro()!r}" for task in left)
        raise AssertionError(f"{len(left)} asyncio task(s) still running after the test:\n{lines}")


# --- unclosed databases ---------------------------------------------------------------------------------

_opened: list[sqlite3.Connection] = []


def _note_connection(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "sqlite3.connect/handle":
        _opened.append(arguments[0])


# sqlite3 of Python 3.11 and 3.12 says nothing when a connection is dropped unclosed (3.13 warns), and a
# connection takes no weak reference, so the interpreter's own audit event is the one reliable witness.
sys.addaudithook(_note_connection)


def _is_open(connection: sqlite3.Connection) -> bool:
    try:
        _ = connection.total_changes  # the one attribute that needs no thread check and no statement
    except sqlite3.ProgrammingError:
        return False
    return True


def _file_of(connection: sqlite3.Connection) -> str:
    try:
        return str(connection.execute("PRAGMA database_list").fetchone()[2]) or ":memory:"
    except sqlite3.Error as error:  # opened in another thread: the error names it
        return str(error)


@pytest.fixture(autouse=True)
def no_database_left_open() -> Iterator[None]:
    """Fail a test that leaves a SQLite connection open. SQLAlchemy: ``engine.dispose()`` closes its pool."""
    _opened.clear()
    yield
    still_open = [_file_of(connection) for connection in _opened if _is_open(connection)]
    _opened.clear()
    if still_open:
        pytest.fail(f"{len(still_open)} SQLite database(s) left open: {', '.join(still_open)}")


@pytest.fixture(autouse=True)
def nothing_left_to_the_collector() -> Iterator[None]:
    """Collect what the test dropped while its own name is still on the report.

    A socket, file or event loop dropped unclosed raises ResourceWarning in the collector, and pytest turns
    that into an error of the running test. ``gc.freeze`` keeps the libraries out of it: only what was made
    since the last test is searched, which takes about a millisecond instead of a few hundred.
    """
    gc.freeze()
    yield
    gc.collect()
