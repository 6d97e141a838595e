"""Where a Modbus device is: the transports, their URLs, and what is one bus. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from protocols.documents import not_one_of

TCP_PORT = 502


class Transport(StrEnum):
    """How frames travel; the value is the scheme of the URL."""

    TCP = "modbus"
    UDP = "modbus+udp"
    RTU = "modbus+rtu"
    """A serial line (Modbus over Serial Line V1.02)."""
    RTU_OVER_TCP = "modbus+rtutcp"
    """The serial frames, with their checksum, through a converter that knows nothing of Modbus."""

    @property
    def is_rtu(self) -> bool:
        """Whether frames carry no transaction number, so that only silence tells old replies from new."""
        return self in (Transport.RTU, Transport.RTU_OVER_TCP)


EXAMPLES = {
    Transport.TCP: "modbus://10.0.4.7:502?unit=1",
    Transport.UDP: "modbus+udp://10.0.4.7:502?unit=1",
    Transport.RTU: "modbus+rtu:///dev/ttyUSB0?unit=1&baud=19200&parity=E&stop=1",
    Transport.RTU_OVER_TCP: "modbus+rtutcp://10.0.4.7:4001?unit=1",
}

BAUDS = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400)
_SERIAL: dict[str, tuple[str, ...]] = {
    "baud": tuple(map(str, BAUDS)),
    "parity": ("N", "E", "O"),
    "stop": ("1", "2"),
    "bits": ("7", "8"),
}


class Line(NamedTuple):
    """A serial line's settings; 19200 8E1 unless said, as the standard has it (2.5.1)."""

    baud: int = 19_200
    parity: str = "E"
    stop: int = 1
    bits: int = 8

    @property
    def gap(self) -> float:
        """Seconds of silence between two frames: 3.5 characters, 1.75 ms above 19200 baud (2.5.1.1)."""
        character = 1 + self.bits + (self.parity != "N") + self.stop
        return 0.00175 if self.baud > 19_200 else 3.5 * character / self.baud


STANDARD = Line()


@dataclass(frozen=True, slots=True)
class Bus:
    """One connection's worth: a host and port, or a serial port. Units on one bus take turns."""

    transport: Transport
    host: str = ""
    port: int = TCP_PORT
    path: str = ""
    """The serial port: ``/dev/ttyUSB0``, ``COM3``."""
    line: Line = STANDARD

    def __str__(self) -> str:
        where = self.path if self.transport is Transport.RTU else f"{self.host}:{self.port}"
        return f"{self.transport}://{where}"


def parse_url(address: str) -> tuple[Bus, int | None]:
    """The bus and the unit (None where the profile's counts) of a device's URL.

    Raises:
        ValueError: no such address; says what one looks like, or the value and what is allowed.
    """
    try:
        url = urlsplit(address)
        port = url.port if url.scheme != Transport.RTU else None
    except ValueError:
        raise ValueError(f'"{address}" has no valid port — write {EXAMPLES[Transport.TCP]}') from None
    if url.scheme not in set(Transport):
        raise ValueError(f'"{address}" is not a Modbus address — write {EXAMPLES[Transport.TCP]}')
    transport = Transport(url.scheme)
    example = f"write {EXAMPLES[transport]}"
    values = _query(address, url.query, transport, example)
    unit = values.pop("unit", None)
    if unit is not None and not (unit.isdecimal() and int(unit) <= 255):
        raise ValueError(f'"{address}": unit "{unit}" is not a number from 0 to 255')
    number = None if unit is None else int(unit)
    if transport is Transport.RTU:
        path = f"{url.netloc}{url.path}"
        if not path:
            raise ValueError(f'"{address}" names no serial port — {example}')
        return Bus(transport, path=path, line=_line(address, values)), number
    if not url.hostname or url.path.strip("/"):
        raise ValueError(f'"{address}" is not a Modbus address — {example}')
    return Bus(transport, url.hostname, port or TCP_PORT), number


def _query(address: str, query: str, transport: Transport, example: str) -> dict[str, str]:
    values = {name: found[-1] for name, found in parse_qs(query, keep_blank_values=True).items()}
    known = ["unit", *(_SERIAL if transport is Transport.RTU else ())]
    for name in values:
        if name not in known:
            allowed = "only unit" if len(known) == 1 else ", ".join(known)
            raise ValueError(f'"{address}": unknown "{name}", {allowed} can be given — {example}')
    return values


def _line(address: str, values: dict[str, str]) -> Line:
    for name, value in values.items():
        if value.upper() not in _SERIAL[name]:
            raise ValueError(f'"{address}": {name} {not_one_of(value, _SERIAL[name])}')
    return Line(
        int(values.get("baud", STANDARD.baud)),
        values.get("parity", STANDARD.parity).upper(),
        int(values.get("stop", STANDARD.stop)),
        int(values.get("bits", STANDARD.bits)),
    )
