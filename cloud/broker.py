"""``onelot broker``: a small MQTT 3.1.1 broker (amqtt) for the demo and small trials.

It keeps nothing: the link between edges and cloud acknowledges end to end, so a broker may be killed at any
moment. A real site runs Mosquitto. Without ``--password-file`` everyone may connect, and therefore only from
this machine, unless ``--allow-anonymous`` says otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

_PLUGINS = "amqtt.plugins.authentication."


class BrokerRefusedError(ValueError):
    """The broker will not run like this; the text says what to change."""


def settings(host: str, port: int, password_file: Path | None, allow_anonymous: bool) -> dict[str, Any]:
    """Configuration of amqtt; raises BrokerRefusedError for an open broker on the network."""
    if password_file is None and not allow_anonymous and not _is_loopback(host):
        raise BrokerRefusedError(
            f"the broker would be open to everyone who reaches {host}: give --password-file, "
            "or say --allow-anonymous if that is meant"
        )
    if password_file is not None and not password_file.is_file():
        raise BrokerRefusedError(
            f"password file {password_file} does not exist: it has a line user:argon2-hash for each user"
        )
    if password_file is None:
        plugin: dict[str, Any] = {_PLUGINS + "AnonymousAuthPlugin": {"allow_anonymous": True}}
    else:
        plugin = {_PLUGINS + "FileAuthPlugin": {"password_file": str(password_file)}}
    shown = f"[{host}]" if ":" in host else host
    return {"listeners": {"default": {"type": "tcp", "bind": f"{shown}:{port}"}}, "plugins": plugin}


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def serve(configuration: dict[str, Any], started: asyncio.Event | None = None) -> None:
    """Run a broker until cancelled; raises amqtt's BrokerError when its address is taken."""
    from amqtt.broker import Broker

    broker = Broker(configuration)
    await broker.start()
    try:
        if started is not None:
            started.set()
        await asyncio.Event().wait()
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await broker.shutdown()


async def _until_signal(configuration: dict[str, Any], words: str) -> None:
    stop = asyncio.Event()
    with _signals(stop):
        started = asyncio.Event()
        serving = asyncio.create_task(serve(configuration, started))
        waiting = asyncio.create_task(stop.wait())
        starting = asyncio.create_task(started.wait())
        await asyncio.wait({serving, starting}, return_when=asyncio.FIRST_COMPLETED)
        if started.is_set():
            typer.echo(words)
            await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        for task in (starting, waiting, serving):
            task.cancel()
        await asyncio.gather(starting, waiting, return_exceptions=True)
        with contextlib.suppress(asyncio.CancelledError):
            await serving


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    """SIGINT and SIGTERM set ``stop`` (where the loop can: on Windows Ctrl-C raises KeyboardInterrupt)."""
    loop = asyncio.get_running_loop()
    handled = []
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
            handled.append(number)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


def command(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port to listen on.", min=1, max=65535)] = 1883,
    password_file: Annotated[
        Path | None, typer.Option(help="Users, a line user:argon2-hash for each.")
    ] = None,
    allow_anonymous: Annotated[
        bool, typer.Option("--allow-anonymous", "--allow", help="Let everyone in from the network, too.")
    ] = False,
) -> None:
    """Run the embedded MQTT broker: for the demo and small trials; a real site runs Mosquitto."""
    try:
        configuration = settings(host, port, password_file, allow_anonymous)
    except BrokerRefusedError as error:
        typer.echo(f"onelot broker: {error}", err=True)
        raise typer.Exit(2) from None
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(name)s %(message)s")
    # Every client that tries MQTT 5 first would fill the log: they come back with 3.1.1 at once.
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_until_signal(configuration, f"MQTT 3.1.1 broker on {host}:{port} (Ctrl-C stops it)"))
    except Exception as error:
        from amqtt.errors import BrokerError

        if not isinstance(error, BrokerError):
            raise
        typer.echo(f"onelot broker: {error}. Is the port free?", err=True)
        raise typer.Exit(1) from None
