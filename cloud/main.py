"""``onelot cloud``: run the cloud service."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from protocols.error_groups import leaves

_log = structlog.get_logger(__name__)


def command(
    config: Annotated[Path, typer.Option(help="The configuration, cloud.yaml.", dir_okay=False)],
    check: Annotated[bool, typer.Option(help="Only check the configuration and the files it names.")] = False,
) -> None:
    """Run the cloud service: ledger, orders, dispatching, history, API and page."""
    from cloud.config import load_config
    from protocols.documents import DocumentError

    _set_up_logging()
    try:
        settings = load_config(config)
        from cloud.bootstrap import Service

        service = Service(settings)
    except (DocumentError, OSError, ValueError) as error:
        typer.echo(f"{error}", err=True)
        raise typer.Exit(2) from None
    if check:
        typer.echo(f"{config}: site {service.site.id}, {len(service.products)} products, all well")
        return
    raise typer.Exit(run(service.run))


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run until SIGINT or SIGTERM; the exit code: 0, or 1 after an error that is logged."""
    from cloud.store.database import DatabaseUnavailableError
    from cloud.store.lock import FolderInUseError
    from cloud.store.schema import NewerSchemaError

    try:
        asyncio.run(_until_signal(work))
    except KeyboardInterrupt:
        return 0
    except (OSError, DatabaseUnavailableError, FolderInUseError, NewerSchemaError) as error:
        typer.echo(f"onelot cloud: {_words(error)}", err=True)
        return 1
    except ExceptionGroup as errors:
        _log.error("service.failed", exc_info=errors)
        for leaf in leaves(errors):
            typer.echo(f"onelot cloud: {type(leaf).__name__}: {leaf}", err=True)
        return 1
    return 0


def _words(error: Exception) -> str:
    """An error in a line; of the operating system's, with the file it is about."""
    if isinstance(error, OSError) and error.filename is None:
        return error.strerror or str(error)
    return str(error)


async def _until_signal(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt
            loop.add_signal_handler(number, stop.set)
    working, waiting = asyncio.ensure_future(work()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working


def _set_up_logging() -> None:
    """One line an event on stderr."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
