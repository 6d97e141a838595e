"""What a model is for: a type of machine (its profile) or one asset, whose model goes before its type's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cloud.maintenance.rul.registry import ModelState, ModelVersion
from protocols.documents import not_one_of
from protocols.site import Device


class UnknownScopeError(ValueError):
    """Nothing at the site is what a model is said to be for."""


def scope_of(name: str, devices: Mapping[str, Device]) -> str:
    """The scope of a model as it is stored: a profile, or the id of an asset. ``name`` may be that of a
    device, too, whose asset is meant. Raises UnknownScopeError.
    """
    if name in devices:
        return str(devices[name].asset)
    known = {device.profile for device in devices.values()} | {str(one.asset) for one in devices.values()}
    if name not in known:
        profiles = sorted({device.profile for device in devices.values()})
        raise UnknownScopeError(
            f"a model is for a profile or for one machine: {not_one_of(name, [*profiles, *sorted(devices)])}"
        )
    return name


def meant(scope: str, devices: Mapping[str, Device]) -> list[Device]:
    """The machines of a scope."""
    return [device for device in devices.values() if scope in (device.profile, str(device.asset))]


def best(versions: Sequence[ModelVersion], device: Device) -> Iterator[ModelVersion]:
    """The active version and the one in shadow for a machine."""
    for state in (ModelState.ACTIVE, ModelState.SHADOW):
        of = {version.scope: version for version in versions if version.state is state}
        found = of.get(str(device.asset)) or of.get(device.profile)
        if found is not None:
            yield found
