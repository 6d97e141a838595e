"""``onelot edge``: run the agent of a workstation PC."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer

from protocols.error_groups import leaves

if TYPE_CHECKING:
    from edge.config import Setup

log = structlog.get_logger(__name__)


def command(
    config: Annotated[Path, typer.Option(help="The configuration, edge.yaml.", dir_okay=False)],
    check: Annotated[bool, typer.Option(help="Only check the configuration and the files it names.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --check: where it listens and connects to, as JSON.")
    ] = False,
    witness: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Report what is on disk to a test.", hidden=True)
    ] = "",
) -> None:
    """Run the agent of a workstation PC: machines, outbox, uplink, stations and their API."""
    from edge.config import load_setup
    from protocols.documents import DocumentError

    set_up_logging()
    try:
        setup = load_setup(config)
    except DocumentError as error:
        typer.echo(f"{error}", err=True)
        raise typer.Exit(2) from None
    if check and as_json:
        typer.echo(json.dumps(said(setup)))
        return
    if check:
        tags = sum(len(machine.profile.tags) for machine in setup.machines)
        typer.echo(f"{config}: edge {setup.edge.id}, {len(setup.machines)} devices, {tags} tags, all well")
        return
    raise typer.Exit(run(setup, witness))


def said(setup: Setup) -> dict[str, Any]:
    """What the configuration says once its defaults are in, for whoever starts the agent."""
    config = setup.config
    host, port = config.broker.address
    return {
        "edge": setup.edge.id,
        "site": str(config.site),
        "data": str(config.data),
        "broker": {"host": host, "port": port, "tls": config.broker.tls is not None},
        "api": {"host": config.api.host, "port": config.api.port},
        "devices": [machine.device.id for machine in setup.machines],
        "tags": sum(len(machine.profile.tags) for machine in setup.machines),
    }


def run(setup: Setup, witness: str = "") -> int:
    """Run until SIGINT or SIGTERM; the exit code: 0, or 1 after an error that is shown."""
    from edge.outbox.store import StoreError

    try:
        asyncio.run(_until_signal(setup, witness))
    except KeyboardInterrupt:
        return 0
    except (OSError, StoreError, ValueError) as error:
        typer.echo(f"onelot edge: {error}", err=True)
        return 1
    except BaseExceptionGroup as errors:
        log.error("edge.failed", exc_info=errors)
        for leaf in leaves(errors):
            typer.echo(f"onelot edge: {type(leaf).__name__}: {leaf}", err=True)
        return 1
    return 0


async def _until_signal(setup: Setup, witness: str) -> None:
    from edge.bootstrap import built

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt
            loop.add_signal_handler(number, stop.set)

    def ready(port: int) -> None:
        api = setup.config.api
        log.info(
            "edge.ready", edge=setup.edge.id, api=f"http://{api.host}:{port}", devices=len(setup.machines)
        )
        gc.collect()
        gc.freeze()  # what is here now stays: the collector need not look at it again

    async with built(setup, witness=witness) as agent:
        if hasattr(signal, "SIGHUP"):  # not on Windows
            loop.add_signal_handler(signal.SIGHUP, agent.reconfiguration.ask)
        working = asyncio.ensure_future(agent.run(ready))
        waiting = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working


def set_up_logging() -> None:
    """One line an event on stderr."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("asyncua", "pymodbus"):  # what they have to say comes through the drivers, once
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
