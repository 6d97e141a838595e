"""Whatever is done on the floor, in whatever order: nothing fails, and the journal rebuilds it all."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Table, select

from cloud.orders import journal, tables
from cloud.orders.create import OrderDesk
from cloud.orders.effects import OrderEffects
from cloud.orders.rebuild import rebuild
from cloud.orders.requests import OrderChange, UnknownOrder
from cloud.store.database import Database
from protocols import actions as act
from protocols.actions import Action, Event, RunPart
from protocols.lifecycle import IllegalTransitionError
from tests.cloud.orders.shop import NOW_US, SECOND, open_database, order, order_desk

STATE = (
    tables.orders,
    tables.order_line,
    tables.job,
    tables.operation,
    tables.instruction,
    tables.run,
    tables.run_part,
    tables.booking,
    tables.step_done,
    tables.unit,
    tables.genealogy,
    tables.andon,
    tables.stop_reason,
    tables.unassigned_run,
    tables.shift_note,
    tables.actor,
    tables.action,
    tables.exception_inbox,
)
"""Everything that follows from the journal, parents first."""

OPERATIONS = [f"{order}-1-{n}" for order in ("26-0001", "26-0002") for n in (10, 20, 30, 40)]
OPERATIONS += [f"26-0001-1-r{r}-{n}" for r in (1, 2) for n in (10, 20)]
OPERATIONS += ["26-0001-1-10w1", "26-0001-1-20w1", "no-such"]
operations = st.sampled_from(OPERATIONS)
runs = st.sampled_from(["b1", "b2", "b3", "b4", "b5", "r1"])
pieces = st.integers(-2, 4).map(Decimal)
parts = st.lists(st.builds(RunPart, operations, st.integers(1, 3).map(Decimal)), max_size=3).map(tuple)

events: st.SearchStrategy[Event] = st.one_of(
    st.builds(act.RunOpened, runs, parts, st.booleans(), st.just(())),
    st.builds(act.RunOpened, runs, parts, st.booleans(), st.just(())),
    st.builds(act.FirstPieceReleased, runs),
    st.builds(act.RunStarted, runs),
    st.builds(act.RunPaused, runs, st.just("break")),
    st.builds(act.RunResumed, runs),
    st.builds(act.Booked, runs, operations, pieces, pieces, pieces),
    st.builds(act.Booked, runs, operations, pieces, pieces, pieces),
    st.builds(act.RunCompleted, runs, st.lists(operations, max_size=4).map(tuple)),
    st.builds(act.RunCompleted, runs, st.just(tuple(OPERATIONS))),
    st.builds(act.RunAborted, runs),
    st.builds(act.RunReopened, runs),
    st.builds(
        act.StepDone, runs, operations, st.integers(0, 3), st.sampled_from(["", "LOT-1"]), st.booleans()
    ),
    st.builds(act.StopReasoned, st.just("s1"), st.just("jam")),
    st.builds(act.AndonRaised, st.just("n1"), st.just("quality")),
    st.builds(act.AndonCleared, st.just("n1")),
    st.builds(act.LeaseReleased, st.just("q1"), st.just(("26-0001-1-10",))),
    st.builds(act.UnassignedOpened, runs),
    st.builds(act.UnassignedClosed, runs, st.integers(0, 5)),
    st.builds(act.ShiftNote, st.just("all well")),
    st.builds(act.Undone, st.sampled_from(["a1", "a2", "a3"])),
)


class Make(NamedTuple):
    """A whole run, as most are: opened, booked, completed. Its id is b1, b2, … in the order of the script."""

    operation: str
    good: int
    scrap: int
    rework: int


makes = st.builds(Make, operations, st.integers(0, 2), st.integers(0, 2), st.sampled_from([0, 0, 0, 1]))
commands = st.sampled_from(["cancel", "change"])
steps = st.lists(st.one_of(makes, makes, events, commands), min_size=5, max_size=40)


class _Rollback(Exception):
    pass


def contents(tx: Connection, without: dict[Table, set[str]] | None = None) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, sorted."""
    found = {}
    for table in STATE:
        rows = [dict(row) for row in tx.execute(select(table)).mappings()]
        for row in rows:
            for column in (without or {}).get(table, ()):
                del row[column]
        found[table.name] = sorted(rows, key=repr)
    return found


NUMBERS = {tables.action: {"seq"}, tables.exception_inbox: {"id"}}
"""Columns that only count rows: they go on counting."""


def spelled_out(script: list[Event | Make | str]) -> Iterator[Event | str]:
    """The script with whole runs as their events."""
    number = 0
    for step in script:
        if not isinstance(step, Make):
            yield step
            continue
        number += 1
        run, name = f"b{number}", step.operation
        yield act.RunOpened(run, (RunPart(name, Decimal(2)),))
        yield act.Booked(run, name, Decimal(step.good), Decimal(step.scrap), Decimal(step.rework))
        yield act.RunCompleted(run, (name,))


def live(tx: Connection, desk: OrderDesk, script: list[Event | Make | str]) -> None:
    """Two orders, then the script as it would arrive, every third action a second time."""
    effects = OrderEffects()
    for _ in range(2):
        desk.create(tx, order(("door", 2, {})))
    for number, step in enumerate(spelled_out(script), start=1):
        if isinstance(step, str):
            try:
                if step == "cancel":
                    desk.cancel(tx, "26-0002")
                else:
                    desk.change(tx, "26-0002", OrderChange(priority=1 + number % 9))
            except (IllegalTransitionError, UnknownOrder):
                continue
        else:
            edge, workcell = ("machining", "laser-1") if number % 2 else ("finishing", "coat-1")
            did = Action(f"a{number}", NOW_US + number * SECOND, workcell, f"op-{number % 3}", step)
            effects.actions(tx, edge, [did], NOW_US + number * SECOND + 5)
            if number % 3 == 0:
                effects.actions(tx, edge, [did], NOW_US + number * SECOND + 9)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=steps)
def test_the_journal_rebuilds_the_same_state(open_shop: Database, script: list[Event | Make | str]) -> None:
    def work(tx: Connection) -> None:
        live(tx, order_desk(), script)
        entries = list(journal.entries(tx))
        assert [e.id for e in entries if e.outcome == journal.FAILED] == []
        before = contents(tx, NUMBERS)
        check_sums(tx)
        for table in reversed(STATE):
            tx.execute(table.delete())
        assert rebuild(tx, entries) == len(entries)
        after = contents(tx, NUMBERS)
        for name in before:
            assert after[name] == before[name], name
        raise _Rollback

    with pytest.raises(_Rollback):
        open_shop.write(work).result()


@pytest.fixture
def open_shop(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path / 'orders.db'}")
    yield database
    database.close()


def check_sums(tx: Connection) -> None:
    """Counts of operations are what their runs booked; finished and completed things have an end; nothing
    stays open that will never be done; what a finished operation lacks is being made again.
    """
    ended = {row.id for row in tx.execute(select(tables.orders)) if row.state == "cancelled"}
    ended |= {
        row.id for row in tx.execute(select(tables.job)) if row.state == "cancelled" or row.order_id in ended
    }
    for row in tx.execute(select(tables.operation)):
        counted = [row.good, row.scrap, row.rework]
        assert all(count >= 0 for count in counted)
        if row.state != "cancelled":
            effective = [
                sum((getattr(part, name) for part in effective_parts(tx, row.id)), Decimal(0))
                for name in ("good", "scrap", "rework")
            ]
            assert counted == effective, row.id
        assert (row.state == "finished") == (row.finished is not None)
        if row.job_id in ended:
            assert row.state in ("finished", "cancelled"), row.id
        elif row.state == "finished" and any(counted):
            at = tables.job.c
            found = select(at.quantity).where(at.remake_cause == row.id, at.state != "cancelled")
            remade = sum(tx.execute(found).scalars(), Decimal(0))
            assert row.good + row.rework + remade >= row.quantity, row.id
        assert row.quantity > 0 or row.state != "planned", row.id
    for row in tx.execute(select(tables.orders)):
        assert (row.state in ("completed", "cancelled")) == (row.completed is not None)


def effective_parts(tx: Connection, operation: str) -> list[Any]:
    at = tables.run_part.c
    return list(tx.execute(select(tables.run_part).where(at.operation_id == operation, at.effective)))
