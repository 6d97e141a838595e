"""What API and page show of models and of the lives that they tell, in whole sentences where people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection

from cloud.maintenance.prognosis import Prognosis
from cloud.maintenance.rul import foresight, holdings, lives, registry
from cloud.maintenance.rul.holdings import Holding
from cloud.maintenance.rul.lives import RemainingLife, ScoredRow
from cloud.maintenance.rul.registry import (
    FEWEST_SHADOW_SCORES,
    DriftKind,
    ModelState,
    ModelStep,
    ModelVersion,
)
from cloud.maintenance.rul.scopes import meant
from cloud.maintenance.rul.wording import evidence_words
from protocols.prognostics.model import Contribution, Prognoser
from protocols.site import Device


class EdgeSheet(msgspec.Struct, frozen=True):
    """What an edge says of a model, and in words."""

    holding: Holding
    says: str


class ModelSheet(msgspec.Struct, frozen=True):
    """A version with its machines, what was done with it, newest first, how it fares in words, and which
    edges score with it or refuse it.
    """

    version: ModelVersion
    machines: list[str]
    journal: list[ModelStep]
    says: str
    edges: list[EdgeSheet]


class ReasonSheet(msgspec.Struct, frozen=True):
    """A signal's part in the life, in the model's unit, and in words."""

    contribution: Contribution
    says: str


class LifeSheet(msgspec.Struct, frozen=True):
    """The remaining life of an asset, in the model's unit and in operating hours from now on, and why.

    ``life`` is None while no active model tells it. ``rows`` are the newest, oldest first.
    """

    asset: str
    device: str
    life: RemainingLife | None
    hours: Prognosis | None
    evidence: list[ReasonSheet]
    rows: list[ScoredRow]


def sheets(
    tx: Connection, devices: Mapping[str, Device], refused: Mapping[str, str], scope: str | None = None
) -> list[ModelSheet]:
    """All versions, or those of a scope, newest first; ``refused`` says which are not used, and why."""
    return [sheet(tx, devices, refused, one.id) for one in registry.versions(tx, scope)]


def sheet(
    tx: Connection, devices: Mapping[str, Device], refused: Mapping[str, str], version_id: str
) -> ModelSheet:
    """One version; raises NoSuchModelError."""
    version = registry.version(tx, version_id)
    machines = sorted(device.id for device in meant(version.scope, devices))
    names = registry.names(tx)
    edges = [
        EdgeSheet(one, holdings.words(one, version.sha256, names))
        for one in holdings.about(holdings.holdings(tx), version.sha256)
        if one.device in machines
    ]
    says = fares(version, refused, edges)
    return ModelSheet(version, machines, registry.steps(tx, version_id), says, edges)


def fares(version: ModelVersion, refused: Mapping[str, str], edges: Sequence[EdgeSheet] = ()) -> str:
    """How a version fares, in words; empty where there is nothing to say."""
    if version.id in refused and version.state in (ModelState.ACTIVE, ModelState.SHADOW):
        return f"not used: {refused[version.id]}"
    found = []
    if version.state is ModelState.ACTIVE:
        found += [one.says for one in edges if one.holding.refused == version.sha256]
    if version.state is ModelState.SHADOW:
        apart = f"{version.shadow_difference:.1f} {version.summary['unit']} from the active one on average"
        found.append(f"{version.shadow_scores} of {FEWEST_SHADOW_SCORES} scores in shadow, {apart}")
    if version.drift_kind is not DriftKind.NONE:
        found.append(f"drift: {version.drift_text}")
    return "; ".join(found)


def life_sheet(
    tx: Connection,
    device: Device,
    prognosers: Mapping[str, Prognoser],
    now: int,
    version: str = "",
    limit: int = 1000,
) -> LifeSheet:
    """The life of a machine's asset; rows of another model, as one in shadow, where ``version`` names it.

    Raises NoSuchModelError.
    """
    asset = str(device.asset)
    life = lives.lives(tx, asset).get(asset)
    if version:
        registry.version(tx, version)
    asked = version or (life.version if life is not None else "")
    rows = lives.scored_rows(tx, asset, asked, limit) if asked and limit else []
    hours = foresight.hours(tx, life, now) if life is not None else None
    found = reasons(tx, life, prognosers) if life is not None else []
    return LifeSheet(asset, device.id, life, hours, found, rows)


def reasons(tx: Connection, life: RemainingLife, prognosers: Mapping[str, Prognoser]) -> list[ReasonSheet]:
    """The three signals that move a life most; nothing while its model is not loaded."""
    prognoser = prognosers.get(life.version)
    if prognoser is None:
        return []
    found = foresight.evidence(tx, life, prognoser)
    return [ReasonSheet(one, evidence_words(prognoser.model, one)) for one in found]
