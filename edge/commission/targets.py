"""The machine a command is for: an address with a profile, or a device of an edge's configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.driver import Driver
from drivers.profile.profile import AnyProfile
from edge.commission.asking import driver_of, fail, find_profile, made_driver, pair, profile_of
from edge.config import load_setup, shown_address
from protocols.documents import DocumentError, not_one_of


@dataclass(frozen=True, slots=True)
class Target:
    """One machine. ``make`` gives a new driver for each attempt to connect; its configuration is right."""

    machine: str
    """What people call it."""
    address: str
    """Without a password."""
    profile: AnyProfile
    profile_name: str
    profile_file: Path
    make: Callable[[], Driver[Any]]


def machine_at(url: str, profile: str, options: Sequence[str] | None) -> Target:
    """A machine by its address; raises typer.Exit with what is wrong."""
    loaded, file = profile_of(profile), find_profile(profile)
    made_driver(url, loaded, options)
    named = f"{loaded.vendor} {loaded.model}"
    return Target(named, shown_address(url), loaded, profile, file, lambda: made_driver(url, loaded, options))


def device_of(edge: Path, name: str | None, options: Sequence[str] | None) -> Target:
    """A device of the edge that a file configures; without a name the only one it has.

    What it keeps (its trust list) lies in the edge's data folder, as for the edge itself. Raises typer.Exit.
    """
    given = dict(pair(text) for text in options or [])
    try:
        setup = load_setup(edge)
    except DocumentError as error:
        raise fail(str(error)) from None
    devices = {machine.device.id: machine for machine in setup.machines}
    if name is None and len(devices) == 1:
        (name,) = devices
    if name is None:
        raise fail(f"{edge} has {len(devices)} devices — say which: {', '.join(devices) or 'there is none'}")
    if name not in devices:
        raise fail(f"device {not_one_of(name, devices)} (devices of {edge})")
    device, loaded = devices[name].device, devices[name].profile
    kind = driver_of(loaded.protocol)

    def make() -> Driver[Any]:
        return kind.create(device.url, loaded, {**device.options, **given}, setup.config.data)

    try:
        make()
    except ValueError as error:
        raise fail(str(error)) from None
    file = setup.sources[f"profile:{device.profile}"]
    return Target(device.title or device.id, shown_address(device.url), loaded, device.profile, file, make)
