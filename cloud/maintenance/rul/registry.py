"""The registry of models: candidate → shadow → active → retired, back to the one before, and drift alarms.

A scope (a type of machine, or one asset) has at most one active model and one in shadow. A shadow scores
beside the active one, is compared with it, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import fsum
from typing import Any

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from cloud.maintenance.rul.drift import Seen
from cloud.maintenance.rul.tables import MODEL_DRIFT, MODEL_STEP, MODEL_VERSION
from cloud.store.database import insert_into
from protocols.lifecycle import Lifecycle
from protocols.prognostics import model_file
from protocols.prognostics.model import Model

FEWEST_SHADOW_SCORES = 100


class ModelState(StrEnum):
    CANDIDATE = "candidate"
    SHADOW = "shadow"
    ACTIVE = "active"
    RETIRED = "retired"


class ModelEvent(StrEnum):
    SHADOW = "shadow"
    ACTIVATE = "activate"
    RETIRE = "retire"
    ROLL_BACK = "roll back"


LIFECYCLE: Lifecycle[ModelState, ModelEvent] = Lifecycle(
    "model",
    ModelState.CANDIDATE,
    {
        (ModelState.CANDIDATE, ModelEvent.SHADOW): ModelState.SHADOW,
        (ModelState.CANDIDATE, ModelEvent.RETIRE): ModelState.RETIRED,
        (ModelState.SHADOW, ModelEvent.ACTIVATE): ModelState.ACTIVE,
        (ModelState.SHADOW, ModelEvent.RETIRE): ModelState.RETIRED,
        (ModelState.ACTIVE, ModelEvent.RETIRE): ModelState.RETIRED,
        (ModelState.RETIRED, ModelEvent.ROLL_BACK): ModelState.ACTIVE,
        (ModelState.RETIRED, ModelEvent.SHADOW): ModelState.SHADOW,
    },
)


class NoSuchModelError(KeyError):
    """There is no model of that id, or none to go back to."""

    def __str__(self) -> str:
        return str(self.args[0])


class NotReadyError(ValueError):
    """A model may not become active yet; says what is missing."""


class DriftKind(StrEnum):
    NONE = ""
    SIGNALS = "signals"
    """The machine's signals are no longer those of the training."""
    ENDS = "ends"
    """Lives ended outside of the interval more often than chance explains."""


class ModelVersion(msgspec.Struct, frozen=True):
    """One version without its file. Times in µs UTC. ``shadow_difference`` is the mean distance of its lives
    from those of the active model, in the model's unit, over ``shadow_scores`` scores.
    """

    id: str
    scope: str
    sha256: str
    state: ModelState
    summary: dict[str, Any]
    created: int
    changed: int
    changed_by: str
    reason: str
    activated: int | None
    shadow_scores: int
    shadow_difference: float
    drift_kind: DriftKind
    drift_text: str
    drift_at: int | None


class ModelStep(msgspec.Struct, frozen=True):
    """One line in the journal of a version: who did what, when (µs UTC) and why."""

    ts: int
    actor: str
    event: str
    reason: str


REGISTER = "register"
"""The first step of every version."""

_COLUMNS = [MODEL_VERSION.c[name] for name in ModelVersion.__struct_fields__]


def register(
    tx: Connection, version_id: str, scope: str, model: Model, data: bytes, now: int, actor: str
) -> ModelVersion:
    """Take a model in as a candidate; ``data`` is its file, which was read with the trusted keys.

    The same file of the same scope is registered once: what stands already is answered.
    """
    sha256 = model_file.identity(data)
    same = select(MODEL_VERSION.c.id).where(MODEL_VERSION.c.scope == scope, MODEL_VERSION.c.sha256 == sha256)
    known = tx.execute(same).scalar_one_or_none()
    if known is not None:
        return version(tx, known)
    tx.execute(
        MODEL_VERSION.insert().values(
            id=version_id,
            scope=scope,
            sha256=sha256,
            state=LIFECYCLE.initial,
            file=data,
            summary=_summary(model),
            created=now,
            changed=now,
            changed_by=actor,
        )
    )
    _note(tx, version_id, now, actor, REGISTER, "")
    return version(tx, version_id)


def version(tx: Connection, version_id: str) -> ModelVersion:
    """One version; raises NoSuchModelError."""
    row = tx.execute(select(*_COLUMNS).where(MODEL_VERSION.c.id == version_id)).mappings().first()
    if row is None:
        raise NoSuchModelError(f"there is no model {version_id}")
    return _version(row)


def versions(tx: Connection, scope: str | None = None, limit: int = 200) -> list[ModelVersion]:
    """Versions, newest first."""
    query = select(*_COLUMNS).order_by(MODEL_VERSION.c.created.desc(), MODEL_VERSION.c.id).limit(limit)
    if scope is not None:
        query = query.where(MODEL_VERSION.c.scope == scope)
    return [_version(row) for row in tx.execute(query).mappings()]


def names(tx: Connection) -> dict[str, str]:
    """The names of the models by the hash of each."""
    found = tx.execute(select(MODEL_VERSION.c.sha256, MODEL_VERSION.c.summary))
    return {sha256: str(summary["name"]) for sha256, summary in found}


def standing(tx: Connection, scope: str, state: ModelState) -> ModelVersion | None:
    """The version of a scope that is active, or in shadow."""
    query = select(*_COLUMNS).where(MODEL_VERSION.c.scope == scope, MODEL_VERSION.c.state == state)
    row = tx.execute(query.order_by(MODEL_VERSION.c.changed.desc())).mappings().first()
    return None if row is None else _version(row)


def in_use(tx: Connection) -> list[ModelVersion]:
    """The versions that are active or in shadow, of all scopes."""
    query = select(*_COLUMNS).where(MODEL_VERSION.c.state.in_([ModelState.ACTIVE, ModelState.SHADOW]))
    return [_version(row) for row in tx.execute(query.order_by(MODEL_VERSION.c.changed)).mappings()]


def steps(tx: Connection, version_id: str) -> list[ModelStep]:
    """Everything that was done with a version, newest first."""
    at = MODEL_STEP.c
    query = select(at.ts, at.actor, at.event, at.reason).where(at.version == version_id)
    return [ModelStep(*row) for row in tx.execute(query.order_by(at.id.desc()))]


def file(tx: Connection, version_id: str) -> bytes:
    """The file of a version as it was taken in; raises NoSuchModelError."""
    query = select(MODEL_VERSION.c.file).where(MODEL_VERSION.c.id == version_id)
    data = tx.execute(query).scalar_one_or_none()
    if data is None:
        raise NoSuchModelError(f"there is no model {version_id}")
    return bytes(data)


def size(tx: Connection, version_id: str) -> int:
    """Bytes of the file of a version; raises NoSuchModelError."""
    query = select(func.length(MODEL_VERSION.c.file)).where(MODEL_VERSION.c.id == version_id)
    found = tx.execute(query).scalar_one_or_none()
    if found is None:
        raise NoSuchModelError(f"there is no model {version_id}")
    return int(found)


def load(tx: Connection, version_id: str, trusted: Mapping[str, bytes]) -> Model:
    """The model itself, checked again; raises NoSuchModelError or ModelRefusedError."""
    return model_file.read(file(tx, version_id), f"model {version_id}", trusted)


def shadow(tx: Connection, version_id: str, now: int, actor: str, reason: str = "") -> ModelVersion:
    """Have it score beside the active one, counted anew; what was in shadow before is retired."""
    before = standing(tx, version(tx, version_id).scope, ModelState.SHADOW)
    _move(tx, version_id, ModelEvent.SHADOW, now, actor, reason)
    _set(tx, version_id, shadow_scores=0, shadow_difference=0.0)
    if before is not None:
        _move(tx, before.id, ModelEvent.RETIRE, now, actor, f"replaced in shadow by {version_id}")
    return version(tx, version_id)


def compare(tx: Connection, version_id: str, distances: Sequence[float]) -> None:
    """Count scores in shadow, each with how far it was from the active model's (0 where there is none)."""
    found = version(tx, version_id)
    if found.state is not ModelState.SHADOW or not distances:
        return
    count = found.shadow_scores + len(distances)
    mean = found.shadow_difference
    mean += fsum(distance - mean for distance in distances) / count
    _set(tx, version_id, shadow_scores=count, shadow_difference=mean)


def activate(tx: Connection, version_id: str, now: int, actor: str, reason: str = "") -> ModelVersion:
    """Make a model in shadow the one that counts; the active one is retired and can be gone back to.

    Raises NotReadyError below ``FEWEST_SHADOW_SCORES`` scores in shadow, unless a reason is given.
    """
    found = version(tx, version_id)
    LIFECYCLE.next(version_id, found.state, ModelEvent.ACTIVATE)
    if found.shadow_scores < FEWEST_SHADOW_SCORES and not reason:
        raise NotReadyError(
            f"model {version_id} has {found.shadow_scores} scores in shadow, {FEWEST_SHADOW_SCORES} are "
            "wanted: let it run on, or give a reason"
        )
    before = standing(tx, found.scope, ModelState.ACTIVE)
    if before is not None:
        _move(tx, before.id, ModelEvent.RETIRE, now, actor, f"replaced by {version_id}")
    _move(tx, version_id, ModelEvent.ACTIVATE, now, actor, reason)
    _set(tx, version_id, activated=now)
    return version(tx, version_id)


def retire(tx: Connection, version_id: str, now: int, actor: str, reason: str) -> ModelVersion:
    """Take a model out of use."""
    return _move(tx, version_id, ModelEvent.RETIRE, now, actor, reason)


def roll_back(tx: Connection, scope: str, now: int, actor: str, reason: str) -> ModelVersion:
    """Take the active model out of use and the one that was active before it into use again.

    Raises NoSuchModelError where there is none to go back to.
    """
    active = standing(tx, scope, ModelState.ACTIVE)
    query = select(*_COLUMNS).where(
        MODEL_VERSION.c.scope == scope,
        MODEL_VERSION.c.state == ModelState.RETIRED,
        MODEL_VERSION.c.activated.is_not(None),
    )
    if active is not None and active.activated is not None:
        query = query.where(MODEL_VERSION.c.activated < active.activated)
    row = tx.execute(query.order_by(MODEL_VERSION.c.activated.desc())).mappings().first()
    if row is None:
        raise NoSuchModelError(f"{scope} has no earlier model to go back to")
    if active is not None:
        _move(tx, active.id, ModelEvent.RETIRE, now, actor, reason)
    return _move(tx, row["id"], ModelEvent.ROLL_BACK, now, actor, reason)


def drifted(tx: Connection, version_id: str, kind: DriftKind, text: str, now: int) -> ModelVersion:
    """Raise the alarm of drift on a model, or with ``DriftKind.NONE`` end it. The model stays in use:
    whether it is replaced a person decides.
    """
    version(tx, version_id)
    _set(tx, version_id, drift_kind=kind, drift_text=text, drift_at=None if kind is DriftKind.NONE else now)
    return version(tx, version_id)


def seen(tx: Connection, version_id: str) -> list[Seen] | None:
    """What a version's signals were on running machines; None before anything was kept."""
    data = tx.execute(
        select(MODEL_DRIFT.c.seen).where(MODEL_DRIFT.c.version == version_id)
    ).scalar_one_or_none()
    return None if data is None else msgspec.msgpack.decode(data, type=list[Seen])


def keep_seen(tx: Connection, version_id: str, counted: Sequence[Seen]) -> None:
    """Keep it."""
    values = {"version": version_id, "seen": msgspec.msgpack.encode(counted)}
    statement = insert_into(tx, MODEL_DRIFT).values(values)
    tx.execute(statement.on_conflict_do_update(index_elements=["version"], set_={"seen": values["seen"]}))


def _move(
    tx: Connection, version_id: str, event: ModelEvent, now: int, actor: str, reason: str = ""
) -> ModelVersion:
    state = LIFECYCLE.next(version_id, version(tx, version_id).state, event)
    _set(tx, version_id, state=state, changed=now, changed_by=actor, reason=reason)
    _note(tx, version_id, now, actor, event, reason)
    return version(tx, version_id)


def _note(tx: Connection, version_id: str, now: int, actor: str, event: str, reason: str) -> None:
    row = {"version": version_id, "ts": now, "actor": actor, "event": event, "reason": reason}
    tx.execute(insert(MODEL_STEP).values(row))


def _set(tx: Connection, version_id: str, **values: Any) -> None:
    tx.execute(update(MODEL_VERSION).where(MODEL_VERSION.c.id == version_id).values(values))


def _version(row: Mapping[Any, Any]) -> ModelVersion:
    return ModelVersion(
        **{**row, "state": ModelState(row["state"]), "drift_kind": DriftKind(row["drift_kind"])}
    )


def _summary(model: Model) -> dict[str, Any]:
    """What is shown of a model without opening its file."""
    return {
        "name": model.name,
        "unit": model.unit,
        "horizon": model.horizon,
        "signals": list(model.signals),
        "conditions": list(model.conditions),
        "regimes": len(model.regimes.centres),
        "row": None if model.row is None else msgspec.to_builtins(model.row),
        "level": model.intervals.level,
        "training": msgspec.to_builtins(model.training),
        "validation": msgspec.to_builtins(model.validation),
    }
