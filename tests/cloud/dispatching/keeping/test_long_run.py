"""A year of finished orders costs nothing: what is read all the time finds its rows by an index."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from cloud.dispatching.floor.building import build
from cloud.dispatching.floor.floor import read_floor
from cloud.dispatching.keeping import joblists, outlook, plans
from cloud.dispatching.keeping.service import DispatchService
from cloud.dispatching.settings import DispatchSettings
from cloud.dispatching.solving.construct import construct
from cloud.hub import Hub
from cloud.ledger import reading
from cloud.maintenance import cases
from cloud.orders import exceptions, leases
from cloud.store.database import Database
from protocols.jobs import JobList, ReleaseRequest
from tests.cloud.orders.shop import NOW_US, SITE, open_database, order, order_desk, still_clock

GROWING = {
    "action",
    "andon",
    "booking",
    "exception_inbox",
    "instruction",
    "job",
    "operation",
    "order_line",
    "orders",
    "plan_operation",
    "release_request",
    "run",
    "run_part",
    "stop",
    "stop_reason",
    "unassigned_run",
}
"""Tables that have a row for everything that ever happened."""


class Nobody:
    """Publishes nothing."""

    def publish_jobs(self, job_list: JobList) -> None: ...

    def request_release(self, edge: str, request: ReleaseRequest) -> None: ...

    def withdraw(self, edge: str, request: str) -> None: ...


def look(tx: Connection) -> object:
    database = Database("sqlite:///not-opened.db")
    return DispatchService(database, Hub(), Nobody(), SITE, still_clock())._looking(tx)


def drafts(tx: Connection) -> object:
    return joblists.drafts(tx, read_floor(tx, SITE, NOW_US, 900), SITE, 6)


READINGS: dict[str, Callable[[Connection], object]] = {
    "a look of the planner": look,
    "job lists": drafts,
    "unanswered": leases.unanswered,
    "the plan": plans.stored,
    "open orders": lambda tx: outlook.orders(tx, open_only=True),
    "open jobs": lambda tx: outlook.jobs(tx, open_only=True),
    "jobs of an order": lambda tx: outlook.jobs(tx, order="26-0001"),
    "open operations": outlook.operations,
    "open runs": lambda tx: outlook.runs(tx, open_only=True),
    "open unassigned runs": lambda tx: outlook.unassigned(tx, open_only=True),
    "open andons": lambda tx: outlook.andons(tx, open_only=True),
    "the inbox": outlook.inbox,
    "complaints": lambda tx: exceptions.is_open(tx, kind="plan", concerns="problem"),
    "open stops": lambda tx: reading.stops(tx, open_only=True),
    "open cases": lambda tx: cases.cases(tx, open_only=True),
}


def scans(tx: Connection, work: Callable[[Connection], object]) -> list[str]:
    """Each statement of ``work`` that reads a whole growing table, with what SQLite says of it."""
    said: list[tuple[str, Any]] = []

    def heard(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        said.append((statement, parameters))

    event.listen(tx, "before_cursor_execute", heard)
    work(tx)
    event.remove(tx, "before_cursor_execute", heard)
    assert said
    found = []
    for statement, parameters in said:
        for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
            words = row.detail.split()
            if words[0] == "SCAN" and words[1] in GROWING:
                found.append(f"{row.detail}: {statement}")
    return found


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Database]:
    """A shop with orders and a plan, so that every statement is asked."""
    with contextlib.closing(open_database(f"sqlite:///{tmp_path / 'busy.db'}")) as database:
        desk = order_desk()

        def work(tx: Connection) -> None:
            for _ in range(2):
                desk.create(tx, order(("door", 2, {})))
            problem = build(read_floor(tx, SITE, NOW_US, 900), SITE, DispatchSettings())
            plan = construct(problem)
            plans.store(tx, problem, plan, causes=[], down=[], seconds=0, now=NOW_US, keep=10)

        database.write(work).result()
        yield database


@pytest.mark.parametrize("name", READINGS)
def test_nothing_reads_a_whole_table(busy: Database, name: str) -> None:
    with busy.read() as tx:
        assert scans(tx, READINGS[name]) == []


def test_a_whole_table_is_noticed(busy: Database) -> None:
    with busy.read() as tx:
        found = scans(tx, lambda tx: tx.exec_driver_sql("SELECT * FROM run WHERE state <> 'completed'", ()))
        assert len(found) == 1
