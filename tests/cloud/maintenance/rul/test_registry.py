"""The life of a model in the registry, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, update

from cloud.maintenance.rul import registry
from cloud.maintenance.rul.registry import (
    FEWEST_SHADOW_SCORES,
    LIFECYCLE,
    DriftKind,
    ModelState,
    NoSuchModelError,
    NotReadyError,
)
from cloud.maintenance.rul.tables import MODEL_VERSION
from cloud.store.database import Database
from protocols.lifecycle import IllegalTransitionError
from protocols.prognostics import model_file
from protocols.prognostics.model_file import ModelRefusedError
from tests.protocols.prognostics import grown

T = TypeVar("T")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
TRUSTED = {model_file.key_id(PUBLIC): PUBLIC}
SCOPE = "press brake"


def do(database: Database, work: Callable[[Connection], T]) -> T:
    return database.write(work).result()


def registered(database: Database, name: str, seed: int, scope: str = SCOPE) -> None:
    model = grown.model(seed)
    data = model_file.write(model, KEY)
    do(database, lambda tx: registry.register(tx, name, scope, model, data, seed, "ann"))


def in_use(database: Database, name: str, now: int) -> None:
    do(database, lambda tx: registry.shadow(tx, name, now, "ann"))
    do(database, lambda tx: registry.activate(tx, name, now, "ann", "it is a test"))


def states(database: Database) -> dict[str, str]:
    return {one.id: str(one.state) for one in do(database, registry.versions)}


def test_a_model_is_registered_once_with_what_is_known_of_it(database: Database) -> None:
    registered(database, "one", 1)
    registered(database, "again", 1)
    (found,) = do(database, registry.versions)

    assert (found.id, found.state, found.scope) == ("one", ModelState.CANDIDATE, SCOPE)
    assert found.summary["validation"]["rmse_capped"] == 9.5
    assert do(database, lambda tx: registry.load(tx, "one", TRUSTED)) == grown.model(1)


def test_a_file_damaged_in_the_database_is_not_used(database: Database) -> None:
    registered(database, "one", 1)
    data = model_file.write(grown.model(1), KEY).replace(b"vibration", b"vibratoin")
    do(database, lambda tx: tx.execute(update(MODEL_VERSION).values(file=data)))

    with pytest.raises(ModelRefusedError, match="model one: changed after it was written"):
        do(database, lambda tx: registry.load(tx, "one", TRUSTED))


def test_a_model_runs_in_shadow_before_it_counts(database: Database) -> None:
    registered(database, "one", 1)
    with pytest.raises(IllegalTransitionError, match="model one is candidate"):
        do(database, lambda tx: registry.activate(tx, "one", 2, "ann"))
    do(database, lambda tx: registry.shadow(tx, "one", 2, "ann"))
    with pytest.raises(NotReadyError, match="0 scores in shadow, 100 are wanted"):
        do(database, lambda tx: registry.activate(tx, "one", 3, "ann"))
    for _ in range(FEWEST_SHADOW_SCORES // 4):
        do(database, lambda tx: registry.compare(tx, "one", [0.0, 4.0, 0.0, 4.0]))
    found = do(database, lambda tx: registry.activate(tx, "one", 4, "ann"))

    assert (found.state, found.activated, found.changed_by) == (ModelState.ACTIVE, 4, "ann")
    assert found.shadow_difference == pytest.approx(2.0)


def test_one_model_of_a_scope_counts_and_one_is_in_shadow(database: Database) -> None:
    for number, name in enumerate(("one", "two", "three"), start=1):
        registered(database, name, number)
    registered(database, "other", 4, "laser")
    in_use(database, "one", 10)
    in_use(database, "other", 10)
    do(database, lambda tx: registry.shadow(tx, "two", 11, "ann"))
    do(database, lambda tx: registry.shadow(tx, "three", 12, "ann"))
    assert states(database) == {"one": "active", "two": "retired", "three": "shadow", "other": "active"}
    do(database, lambda tx: registry.activate(tx, "three", 13, "ann", "seen enough"))
    assert states(database) == {"one": "retired", "two": "retired", "three": "active", "other": "active"}


def test_rolling_back_returns_to_the_model_that_counted_before(database: Database) -> None:
    for number, name in enumerate(("one", "two", "three"), start=1):
        registered(database, name, number)
        in_use(database, name, 10 * number)
    back = do(database, lambda tx: registry.roll_back(tx, SCOPE, 50, "bob", "three alarms at night"))
    assert (back.id, back.reason) == ("two", "three alarms at night")
    assert states(database) == {"one": "retired", "two": "active", "three": "retired"}
    assert do(database, lambda tx: registry.roll_back(tx, SCOPE, 60, "bob", "no")).id == "one"
    with pytest.raises(NoSuchModelError, match="no earlier model to go back to"):
        do(database, lambda tx: registry.roll_back(tx, SCOPE, 70, "bob", "no"))
    assert states(database)["one"] == "active"


def test_a_retired_model_may_be_tried_again_from_the_shadow_on(database: Database) -> None:
    registered(database, "one", 1)
    in_use(database, "one", 2)
    do(database, lambda tx: registry.retire(tx, "one", 3, "ann", "summer"))
    again = do(database, lambda tx: registry.shadow(tx, "one", 4, "ann"))

    assert (again.state, again.shadow_scores) == (ModelState.SHADOW, 0)


def test_drift_is_told_and_taken_back_and_changes_no_state(database: Database) -> None:
    registered(database, "one", 1)
    in_use(database, "one", 2)
    text = "temperature: stability index 0.4"
    told = do(database, lambda tx: registry.drifted(tx, "one", DriftKind.SIGNALS, text, 5))
    assert (told.drift_kind, told.drift_text, told.drift_at, told.state) == (
        DriftKind.SIGNALS,
        text,
        5,
        ModelState.ACTIVE,
    )
    over = do(database, lambda tx: registry.drifted(tx, "one", DriftKind.NONE, "", 6))
    assert (over.drift_kind, over.drift_at) == (DriftKind.NONE, None)


def test_what_is_not_there_is_said(database: Database) -> None:
    for work in (
        lambda tx: registry.version(tx, "nine"),
        lambda tx: registry.load(tx, "nine", TRUSTED),
        lambda tx: registry.retire(tx, "nine", 1, "ann", "x"),
    ):
        with pytest.raises(NoSuchModelError, match="there is no model nine"):
            do(database, work)


def test_who_did_what_when_and_why_is_kept(database: Database) -> None:
    for number, name in enumerate(("one", "two"), start=1):
        registered(database, name, number)
        in_use(database, name, 10 * number)
    do(database, lambda tx: registry.roll_back(tx, SCOPE, 50, "bob", "three alarms at night"))

    told = [(s.ts, s.actor, s.event, s.reason) for s in do(database, lambda tx: registry.steps(tx, "one"))]
    assert told == [
        (50, "bob", "roll back", "three alarms at night"),
        (20, "ann", "retire", "replaced by two"),
        (10, "ann", "activate", "it is a test"),
        (10, "ann", "shadow", ""),
        (1, "ann", "register", ""),
    ]
    assert [one.id for one in do(database, registry.in_use)] == ["one"]


def test_every_state_can_be_reached_and_none_is_a_trap_but_the_first() -> None:
    reached = {LIFECYCLE.initial} | set(LIFECYCLE.table.values())

    assert reached == set(ModelState)
    assert all(LIFECYCLE.allowed(state) for state in ModelState)
