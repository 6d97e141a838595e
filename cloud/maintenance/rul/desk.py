"""What people decide about models of remaining life: one method each, the same for API and page.

Every method works in the caller's transaction and returns the version as it is afterwards. They raise
NoSuchModelError, IllegalTransitionError, NotReadyError, and UnfitModelError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from uuid import uuid4

from sqlalchemy import Connection

from cloud.ledger import reading
from cloud.maintenance.rul import lives, registry
from cloud.maintenance.rul.registry import ModelState, ModelVersion, NoSuchModelError
from cloud.maintenance.rul.scopes import meant, scope_of
from protocols.clock import Clock
from protocols.prognostics import model_file
from protocols.prognostics.deployment import MAX_FILE
from protocols.prognostics.lifeline import asked
from protocols.prognostics.model import Model
from protocols.prognostics.model_file import ModelRefusedError
from protocols.prognostics.rows import wanted
from protocols.site import Device
from protocols.values import DataType

MAX_REASON = 500


class UnfitModelError(ValueError):
    """A model cannot score the machines it is for; says which one lacks what."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A model whose file was read and checked, and what it is for."""

    scope: str
    model: Model
    data: bytes


@dataclass(frozen=True, slots=True)
class ModelDesk:
    """``trusted`` are the public keys of who may have signed a model, by id."""

    devices: Mapping[str, Device]
    clock: Clock
    trusted: Mapping[str, bytes]
    new_id: Callable[[], str] = lambda: str(uuid4())

    def admit(self, data: bytes, scope: str) -> Admitted:
        """Read a model file; takes up to a second and touches no database.

        Raises ModelRefusedError (damaged, not signed by somebody trusted), UnknownScopeError and
        UnfitModelError.
        """
        found = scope_of(scope, self.devices)
        if not self.trusted:
            raise ModelRefusedError(
                "no key is trusted here, so no model can be: name the public keys (files ending in .pub) in "
                "cloud.yaml under maintenance: trusted_keys"
            )
        if len(data) > MAX_FILE:
            raise ModelRefusedError(f"model for {scope}: {len(data)} bytes, at most {MAX_FILE} reach an edge")
        model = model_file.read(data, f"model for {scope}", self.trusted)
        if model.row is None:
            raise UnfitModelError(
                f"model {model.name} scores files alone: train it with --counter TAG (a row for each cycle) "
                "or --every SECONDS (a row for each span of work)"
            )
        return Admitted(found, model, data)

    def register(self, tx: Connection, admitted: Admitted, actor: str) -> ModelVersion:
        """Take a model in as a candidate; raises UnfitModelError where a machine lacks a tag it asks for."""
        lacking = [
            text
            for device in meant(admitted.scope, self.devices)
            if (text := lacks(admitted.model, device, reading.tags(tx, device=device.id)))
        ]
        if lacking:
            raise UnfitModelError(f"model {admitted.model.name} does not fit: {'; '.join(lacking)}")
        return registry.register(
            tx, self.new_id(), admitted.scope, admitted.model, admitted.data, self.clock.now(), actor
        )

    def shadow(self, tx: Connection, version: str, actor: str, reason: str) -> ModelVersion:
        """Have it score beside the active one, and decide nothing."""
        return registry.shadow(tx, version, self.clock.now(), actor, reason)

    def activate(self, tx: Connection, version: str, actor: str, reason: str) -> ModelVersion:
        """Make it the one that counts; before 100 scores in shadow only with a reason."""
        return registry.activate(tx, version, self.clock.now(), actor, reason)

    def retire(self, tx: Connection, version: str, actor: str, reason: str) -> ModelVersion:
        """Take it out of use."""
        return registry.retire(tx, version, self.clock.now(), actor, reason)

    def roll_back(self, tx: Connection, version: str, actor: str, reason: str) -> ModelVersion:
        """Take an active model out of use for the one that was active before it; that one is returned."""
        found = registry.version(tx, version)
        if found.state is not ModelState.ACTIVE:
            raise NoSuchModelError(
                f"model {version} is {found.state}: only from the active one can be gone back"
            )
        return registry.roll_back(tx, found.scope, self.clock.now(), actor, reason)

    def renew(self, tx: Connection, asset: str, actor: str, reason: str, since: int | None = None) -> None:
        """Say that an asset is as new, now or since a time (µs UTC): its remaining life begins there."""
        lives.renew(tx, asset, self.clock.now() if since is None else since, actor, reason)


def lacks(model: Model, device: Device, tags: Sequence[reading.Tag]) -> str:
    """What a machine lacks that a model asks for, in words; empty where it has all."""
    assert model.row is not None  # noqa: S101 - a model without is not admitted
    if not tags:
        return f"{device.id} has not told its tags yet: connect it first"
    kinds = {tag.path.removeprefix(f"{device.id}/"): tag.type for tag in tags}
    names = wanted(model.row, asked(model))
    found = []
    missing = [name for name in names if name not in kinds]
    if missing:
        near = {name: get_close_matches(name, kinds, 1) for name in missing}
        told = ", ".join(
            f"{name} (did you mean {near[name][0]}?)" if near[name] else name for name in missing
        )
        found.append(f"{device.id} has no tag {told}")
    texts = [name for name in names if kinds.get(name) == DataType.STRING]
    if texts:
        found.append(f"{device.id}: {', '.join(texts)} is a text, a number is wanted")
    return "; ".join(found)
