"""Which drivers there are: the built-in ones and those that other packages bring.

A driver is an entry point of the group ``onelot.drivers`` that names a :class:`DriverType`. Listing
them imports no protocol library.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from drivers.driver import DriverType

GROUP = "onelot.drivers"

_OURS = {
    "modbus": "drivers.modbus.driver:MODBUS",
    "opcua": "drivers.opcua.driver:OPCUA",
    "vda5050": "drivers.vda5050.driver:VDA5050",
}
"""The built-in ones again, for a checkout that is run without being installed."""


def _points() -> dict[str, EntryPoint]:
    points = {name: EntryPoint(name, value, GROUP) for name, value in _OURS.items()}
    return points | {point.name: point for point in entry_points(group=GROUP)}


def driver_names() -> list[str]:
    """Names of all drivers, without importing any."""
    return sorted(_points())


@cache
def driver_type(name: str) -> DriverType:
    """The driver of a name. Imports the package that brings it, and no other.

    Raises:
        KeyError: no such driver; names the known ones.
        TypeError: an installed package's entry point is no DriverType (names it).
    """
    points = _points()
    if name not in points:
        raise KeyError(f'no driver "{name}" (there are {", ".join(sorted(points))})')
    found = points[name].load()
    if not isinstance(found, DriverType):
        raise TypeError(f'driver "{name}": entry point {points[name].value} is no DriverType')
    return found


def driver_types() -> dict[str, DriverType]:
    """All drivers by name; see :func:`driver_type`."""
    return {name: driver_type(name) for name in driver_names()}
