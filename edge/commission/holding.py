"""Whether an edge that runs on this computer holds a machine: then nothing is written past it.

An edge keeps what a tool beside it cannot know: the lock that somebody set at the terminal, when a tag was
last written, whose command is under way. So a tool asks the edges here first, and gives way to one that has
the machine. It cannot see the edges of other computers.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx
import typer

from drivers.driver import Driver
from edge.commission.asking import fail
from edge.commission.file_check import is_edge
from edge.config import Api, EdgeConfig
from protocols.documents import DocumentError, read

TIMEOUT = 3.0
EdgeFile = Annotated[
    Path | None,
    typer.Option("--edge", help="The edge.yaml of an edge here whose API has another port than 8801."),
]
_PORTS = {"opc.tcp": 4840, "vda5050": 1883}
_MODBUS_PORT = 502
_LOOPBACK = "loopback"


class Place(NamedTuple):
    """Where a machine is reached, so that two ways to write one address are the same."""

    hosts: frozenset[str]
    """Its name and what that resolves to; a serial port's path."""
    port: int
    part: str | None
    """Which machine there: a Modbus unit, a vehicle. None where the profile says so, or there is but one."""

    def may_be(self, other: Place) -> bool:
        """Whether both may be one machine: what is not known counts as the same."""
        same_part = self.part is None or other.part is None or self.part == other.part
        return self.port == other.port and bool(self.hosts & other.hosts) and same_part


def place_of(address: str) -> Place:
    """The place of a device's URL. Blocks while names are looked up."""
    url = urlsplit(address)
    scheme = url.scheme.partition("+")[0]
    unit = parse_qs(url.query).get("unit", [None])[0]
    if not url.hostname:
        return Place(frozenset({str(Path(url.path).resolve())}), 0, unit)
    port = url.port or _PORTS.get(scheme, _MODBUS_PORT)
    part = url.path.strip("/") if scheme == "vda5050" else unit
    return Place(frozenset(_hosts(url.hostname)), port, part)


def _hosts(name: str) -> Iterable[str]:
    yield name.lower()
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)}
    except OSError:
        return  # the connection will say so
    for each in found:
        yield _LOOPBACK if ip_address(each.partition("%")[0]).is_loopback else each


def refuse_if_held(driver: Driver[Any], config: Path | None = None) -> None:
    """Go on only when no edge on this computer has the driver's machine.

    Asks the edge at the usual address, and that of ``config``, or of ``edge.yaml`` in this folder.

    Raises:
        typer.Exit: one has it, or does not say; what to do instead is shown.
    """
    place = place_of(driver.address)
    unit = getattr(driver, "unit", None)
    if place.part is None and unit is not None:
        place = place._replace(part=str(unit))
    for url in _edges(config):
        for edge, device, address in _devices(url):
            if place_of(address).may_be(place):
                raise fail(
                    f'edge "{edge}" runs on this computer ({url}) and holds this machine as {device} — '
                    "nothing was written. Write at the terminal of its station, where its lock is seen; or "
                    "stop the edge first"
                )


def _edges(config: Path | None) -> Sequence[str]:
    """Where edges of this computer may answer."""
    found = [_url(Api())]
    file = config or Path("edge.yaml")
    if config is not None and not file.is_file():
        raise fail(f"--edge: there is no file {file}")
    if file.is_file() and (config is not None or is_edge(file)):
        try:
            found.append(_url(read(file).validate(EdgeConfig).api))
        except DocumentError as error:
            raise fail(f"{error}\nso it is not known which edge might hold this machine") from None
    return list(dict.fromkeys(found))


def _url(api: Api) -> str:
    host = "127.0.0.1" if api.host in ("0.0.0.0", "::", "localhost") else api.host  # noqa: S104 - compared
    return f"http://[{host}]:{api.port}" if ":" in host else f"http://{host}:{api.port}"


def _devices(url: str) -> Sequence[tuple[str, str, str]]:
    """Edge, device and address of all that an edge reads; nothing where no edge answers.

    Raises:
        typer.Exit: somebody is there and does not answer, as an edge that starts or hangs.
    """
    try:
        answer = httpx.get(f"{url}/health", timeout=TIMEOUT, trust_env=False)
    except httpx.ConnectError:
        return []
    except httpx.HTTPError as error:
        raise fail(
            f"{url} accepts connections and does not answer ({type(error).__name__}): whether an edge there "
            "holds this machine is not known — nothing was written. Try again, or stop what runs there"
        ) from None
    try:
        said = answer.json()
    except ValueError:
        return []  # it is something else
    if not isinstance(said, dict) or "edge" not in said or not isinstance(said.get("devices"), list):
        return []
    try:
        return [(str(said["edge"]), str(each["id"]), str(each["address"])) for each in said["devices"]]
    except (KeyError, TypeError):
        raise fail(
            f"an edge of another version runs here ({url}): whether it holds this machine is not known — "
            "nothing was written. Write at the terminal of its station, or stop the edge first"
        ) from None
