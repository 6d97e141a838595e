"""How a command's asynchronous part runs to its end, and how a person is asked for a yes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

import typer

from drivers.driver import DriverError
from edge.commission.asking import fail

T = TypeVar("T")

STOPPED = 130
"""Exit code after Ctrl-C, as shells have it."""


WAITS = 2.0
"""Seconds after which a person is told what takes so long."""


async def timed(doing: Coroutine[Any, Any, T], what: str) -> T:
    """What a coroutine gives; on a terminal, what it does and since when stands there while it lasts."""
    if not (what and sys.stderr.isatty()):
        return await doing
    loop = asyncio.get_running_loop()
    start, waiting = loop.time(), True
    told = False

    def tell() -> None:
        nonlocal told
        if waiting:
            told = True
            seconds = loop.time() - start
            typer.echo(f"\r\x1b[K{what} … {seconds:.0f} s, Ctrl-C stops", nl=False, err=True)
            loop.call_later(1.0, tell)

    loop.call_later(WAITS, tell)
    try:
        return await doing
    finally:
        waiting = False
        if told:
            typer.echo("\r\x1b[K", nl=False, err=True)


def finished(doing: Coroutine[Any, Any, T], what: str = "") -> T:
    """What a coroutine gives; every trouble with a machine as one line on stderr.

    ``what`` it does is shown on a terminal when it takes long.

    Raises:
        typer.Exit: 1 after trouble, 130 after Ctrl-C.
    """
    try:
        return asyncio.run(timed(doing, what))
    except DriverError as error:
        raise fail(str(error)) from None
    except KeyError as error:
        raise fail(str(error.args[0])) from None
    except OSError as error:
        raise fail(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from None
    except KeyboardInterrupt:
        raise stopped() from None


def stopped() -> typer.Exit:
    """To be raised after Ctrl-C."""
    typer.echo("\nstopped", err=True)
    return typer.Exit(STOPPED)


def agreed(question: str) -> bool:
    """Whether a person says yes. Asked on stderr; nobody there, or Enter alone, is a no.

    Raises:
        typer.Exit: Ctrl-C.
    """
    typer.echo(f"{question} [y/N] ", nl=False, err=True)
    try:
        answer = sys.stdin.readline()  # input() would write to stdout, where JSON is expected
    except KeyboardInterrupt:
        raise stopped() from None
    if not answer.endswith("\n"):
        typer.echo("", err=True)
    return answer.strip().casefold() in ("y", "yes")
