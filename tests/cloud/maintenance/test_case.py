"""The life of a case: its table, its steps, and that the journal gives the same case again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import select

from cloud.maintenance import cases
from cloud.maintenance.case import Case, ImpossibleStep, Step, Verdict, take
from cloud.maintenance.cases import HealthRow
from cloud.maintenance.effects import CaseEffects
from cloud.maintenance.health.asset import AssetHealth
from cloud.maintenance.health.evidence import Evidence
from cloud.maintenance.prognosis import DAY, HOUR
from cloud.maintenance.replay import replay
from cloud.maintenance.tables import CASE as CASE_TABLE
from cloud.maintenance.tables import STEP
from cloud.maintenance.work_order import BoundFrom, WorkOrder
from cloud.orders import journal, tables
from cloud.orders.effects import OrderEffects
from cloud.orders.rebuild import rebuild
from cloud.store.database import Database
from protocols import actions as act
from protocols.actions import Action
from protocols.lifecycle import IllegalTransitionError
from protocols.lifecycles import CASE, CaseEvent, CaseState

NOW = 1_790_000_000_000_000
EVIDENCE = Evidence("spindle/vibration", "processing", 9.0, 6.0, 2.0, 0.4)
OPEN = Case("c1", "asset-1", "laser-1", "wear", CaseState.OPEN, NOW, NOW, 40.0, "why", (EVIDENCE,))
ORDER = WorkOrder("laser-1", 3600, NOW, NOW + DAY, BoundFrom.SPAN)


def step(event: CaseEvent, at: int = 1, **more: Any) -> Step:
    """A step with everything it needs."""
    whole: dict[CaseEvent, dict[str, Any]] = {
        CaseEvent.SNOOZE: {"until": NOW + DAY},
        CaseEvent.PLAN: {"order": ORDER},
        CaseEvent.FORESEE: {"order": replace(ORDER, bound=NOW + HOUR, revision=1)},
        CaseEvent.SUPPLY: {"order": ORDER.supplied_at(NOW + HOUR)},
        CaseEvent.MOVE: {"order": ORDER.kept_at(NOW + 2 * HOUR), "note": "night shift"},
        CaseEvent.DECLINE: {"order": ORDER.changed(declined=ORDER.against(NOW + DAY, NOW)), "note": "later"},
        CaseEvent.KEEP: {"order": ORDER.kept_at(NOW + HOUR), "note": "the fitter comes then"},
        CaseEvent.FREE: {"order": ORDER.freed()},
        CaseEvent.REFUSE: {"note": "rush order first"},
        CaseEvent.BREAK_OFF: {"note": "no bearing"},
        CaseEvent.FIND: {"found": "inner race pitted"},
        CaseEvent.CLOSE: {"verdict": Verdict.TRUE, "cause": "bearing worn"},
    }
    return Step(event, "p-1", NOW + at, **{**whole.get(event, {}), **more})


LIFE = [
    *(CaseEvent.ACKNOWLEDGE, CaseEvent.SNOOZE, CaseEvent.PLAN, CaseEvent.MOVE, CaseEvent.FREE),
    *(CaseEvent.REFUSE, CaseEvent.PLAN, CaseEvent.KEEP, CaseEvent.START, CaseEvent.FIND),
    *(CaseEvent.FINISH, CaseEvent.CLOSE),
]


def lived(events: list[CaseEvent]) -> Case:
    case = OPEN
    for at, event in enumerate(events, 1):
        case = take(case, step(event, at))
    return case


def test_a_whole_life() -> None:
    case = lived(LIFE)
    assert (case.state, case.verdict, case.cause, case.found) == (
        CaseState.CLOSED,
        Verdict.TRUE,
        "bearing worn",
        "inner race pitted",
    )
    assert (case.began, case.ended, case.judged) == (NOW + 9, NOW + 11, NOW + 12)


@pytest.mark.parametrize("event", list(CaseEvent))
@pytest.mark.parametrize("state", list(CaseState))
def test_the_table_decides_what_is_possible(state: CaseState, event: CaseEvent) -> None:
    case = replace(OPEN, state=state, order=ORDER)
    expected = CASE.table.get((state, event))
    if expected is None:
        with pytest.raises(IllegalTransitionError, match=f"case c1 is {state}"):
            take(case, step(event))
    else:
        assert take(case, step(event)).state is expected


@pytest.mark.parametrize(
    ("before", "wrong", "path"),
    [
        ([], step(CaseEvent.SNOOZE, until=NOW), "until"),
        ([], step(CaseEvent.SNOOZE, until=NOW + 31 * DAY), "until"),
        ([], step(CaseEvent.CLOSE, verdict=None), "verdict"),
        ([CaseEvent.PLAN], step(CaseEvent.REFUSE, note="  "), "note"),
        ([CaseEvent.PLAN], step(CaseEvent.KEEP, order=None), "order"),
        ([CaseEvent.PLAN], step(CaseEvent.MOVE, order=ORDER), "start"),
        ([CaseEvent.PLAN], step(CaseEvent.MOVE, order=ORDER.kept_at(NOW - HOUR)), "start"),
        ([CaseEvent.PLAN], step(CaseEvent.MOVE, order=ORDER.kept_at(NOW + 2 * DAY), note=""), "note"),
        ([CaseEvent.PLAN], step(CaseEvent.SUPPLY, order=None), "order"),
        ([CaseEvent.PLAN], step(CaseEvent.SUPPLY, order=ORDER.supplied_at(NOW + 400 * DAY)), "parts_at"),
        ([CaseEvent.START], step(CaseEvent.BREAK_OFF, note=""), "note"),
        ([CaseEvent.START], step(CaseEvent.FIND, found=""), "found"),
        ([], step(CaseEvent.ACKNOWLEDGE, note="x" * 501), "note"),
    ],
)
def test_a_step_that_lacks_something_says_what(before: list[CaseEvent], wrong: Step, path: str) -> None:
    with pytest.raises(ImpossibleStep) as refused:
        take(lived(before), wrong)
    assert [problem.path for problem in refused.value.problems] == [path]


def test_a_snooze_ends_with_time_and_with_every_other_step() -> None:
    snoozed = lived([CaseEvent.SNOOZE])
    assert snoozed.snoozed(NOW + DAY - 1)
    assert not snoozed.snoozed(NOW + DAY)
    assert not take(snoozed, step(CaseEvent.ACKNOWLEDGE, 2)).snoozed(NOW + 3)


def test_refused_and_broken_off_leave_the_suspicion_but_no_order() -> None:
    for events in ([CaseEvent.PLAN, CaseEvent.REFUSE], [CaseEvent.START, CaseEvent.BREAK_OFF]):
        case = lived(events)
        assert (case.state, case.order, case.began) == (CaseState.ACKNOWLEDGED, None, None)


# --- in the database ----------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path}/cloud.db") as made:
        made.create_all()
        yield made


def stored(database: Database) -> list[Case]:
    with database.read() as tx:
        return cases.cases(tx)


def act_at(number: int, event: act.Event, actor: str = "p-2") -> Action:
    return Action(f"a{number}", NOW + number, "laser-1", actor, event)


def test_every_step_is_in_the_journal_and_gives_the_same_case_again(database: Database) -> None:
    database.write(lambda tx: cases.open_case(tx, OPEN)).result()
    for at, event in enumerate(LIFE, 1):
        database.write(lambda tx, s=step(event, at): cases.step(tx, "c1", s)).result()  # type: ignore[misc]
    with database.read() as tx:
        assert cases.replayed(tx, "c1") == cases.find(tx, "c1")
        written = [(entry.event, entry.actor, entry.ts, entry.note) for entry in cases.entries(tx, "c1")]
    assert written[0] == ("open", "maintenance", NOW, "why")
    assert [event for event, *_ in written[1:]] == [str(event) for event in LIFE]
    assert written[6] == ("refuse", "p-1", NOW + 6, "rush order first")
    assert written[-1] == ("close", "p-1", NOW + 12, "bearing worn")


def test_one_open_case_per_asset_and_mode(database: Database) -> None:
    def tried(case: Case) -> bool:
        return database.write(lambda tx: cases.open_case(tx, case)).result()

    assert tried(OPEN)
    assert not tried(replace(OPEN, id="c2"))
    assert tried(replace(OPEN, id="c3", mode="sensor"))
    assert tried(replace(OPEN, id="c4", asset="asset-2"))
    database.write(lambda tx: cases.step(tx, "c1", step(CaseEvent.CLOSE))).result()
    assert tried(replace(OPEN, id="c5"))


def test_a_repair_has_the_machine_learned_anew(database: Database) -> None:
    health = HealthRow("asset-1", "laser-1", "watching", 30.0, NOW)
    database.write(lambda tx: cases.save(tx, [(health, AssetHealth(alarmed=True))])).result()
    database.write(lambda tx: cases.open_case(tx, OPEN)).result()
    for event in (CaseEvent.PLAN, CaseEvent.FINISH):
        database.write(lambda tx, e=event: cases.step(tx, "c1", step(e, 7))).result()  # type: ignore[misc]
    with database.read() as tx:
        assert cases.load(tx)["asset-1"] == AssetHealth(since=NOW + 7)
        assert [row.state for row in cases.healths(tx)] == ["learning"]


def test_what_the_floor_reports_is_taken_once(database: Database) -> None:
    database.write(lambda tx: cases.open_case(tx, OPEN)).result()
    effects = CaseEffects()
    sent = [
        act_at(1, act.MaintenanceStarted("c1", "laser-1")),
        act_at(2, act.MaintenanceFound("c1", "laser-1", "inner race pitted")),
        act_at(3, act.MaintenanceDone("c1", "laser-1")),
    ]
    for _ in range(2):
        database.write(lambda tx: effects.actions(tx, "machining", sent, NOW)).result()
    (case,) = stored(database)
    assert (case.state, case.found, case.began, case.ended) == (
        CaseState.DONE,
        "inner race pitted",
        NOW + 1,
        NOW + 3,
    )
    with database.read() as tx:
        assert len([*cases.entries(tx, "c1")]) == 4
        assert tx.execute(select(tables.exception_inbox)).all() == []


def test_what_cannot_be_any_more_goes_to_the_inbox(database: Database) -> None:
    database.write(lambda tx: cases.open_case(tx, OPEN)).result()
    database.write(lambda tx: cases.step(tx, "c1", step(CaseEvent.CLOSE))).result()
    sent = [
        act_at(1, act.MaintenanceStarted("c1", "laser-1")),
        act_at(2, act.MaintenanceDone("c7", "laser-1")),
    ]
    database.write(lambda tx: CaseEffects().actions(tx, "machining", sent, NOW)).result()
    with database.read() as tx:
        inbox = [(row.kind, row.text) for row in tx.execute(select(tables.exception_inbox))]
    assert [kind for kind, _ in inbox] == ["illegal", "unknown"]
    assert 'laser-1 reports "maintenance.started": case c1 is closed' in inbox[0][1]
    assert "case c7, which is not known here" in inbox[1][1]


@pytest.mark.parametrize(
    ("start", "event", "fixed"),
    [
        (NOW + 2 * HOUR, CaseEvent.MOVE, NOW + 2 * HOUR),
        (NOW + DAY - HOUR, CaseEvent.MOVE, NOW + DAY - HOUR),
        (NOW + DAY, CaseEvent.DECLINE, None),
        (NOW - HOUR, CaseEvent.DECLINE, None),
    ],
)
def test_a_move_at_the_station_holds_only_within_the_window(
    database: Database, start: int, event: CaseEvent, fixed: int | None
) -> None:
    """The station knew an older bound. Its wish is in the journal, and it gets an answer."""
    database.write(lambda tx: cases.open_case(tx, OPEN)).result()
    database.write(lambda tx: cases.step(tx, "c1", step(CaseEvent.PLAN))).result()
    moved = act_at(1, act.MaintenanceMoved("c1", "laser-1", start, "night shift"))
    database.write(lambda tx: CaseEffects().actions(tx, "machining", [moved], NOW)).result()
    with database.read() as tx:
        case, last = cases.find(tx, "c1"), list(cases.entries(tx, "c1"))[-1]
        assert not tx.execute(select(tables.exception_inbox)).all()
        assert cases.replayed(tx, "c1") == case
    assert case.order is not None
    assert (last.event, last.note, case.order.fixed) == (event, "night shift", fixed)
    assert (case.order.declined is not None) is (event is CaseEvent.DECLINE)
    assert case.order.revision == ORDER.revision + 1
    assert case.order.freed().declined is None, "what is decided later makes the answer old"


FLOOR = st.sampled_from(
    [
        act.MaintenanceStarted("c1", "laser-1"),
        act.MaintenanceFound("c1", "laser-1", "dry"),
        act.MaintenanceFound("c1", "laser-1", ""),
        act.MaintenanceBrokenOff("c1", "laser-1", "no part"),
        act.MaintenanceDone("c1", "laser-1"),
        act.MaintenanceRefused("c1", "laser-1", "later"),
        act.MaintenanceKept("c1", "laser-1", NOW + HOUR),
        act.MaintenanceMoved("c1", "laser-1", NOW + 2 * HOUR, "night shift"),
        act.MaintenanceMoved("c1", "laser-1", NOW + 9 * DAY, "much later"),
        act.MaintenanceDone("c9", "laser-1"),
        act.MachineAccepted("laser-1"),
    ]
)
OFFICE = st.sampled_from(list(CaseEvent)).map(step)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FLOOR | OFFICE, max_size=14))
def test_the_journal_of_everything_gives_the_same_cases(
    tmp_path_factory: pytest.TempPathFactory, did: list[Any]
) -> None:
    """Whatever is done in whatever order: the floor never fails, and a replay ends where we are."""
    folder = tmp_path_factory.mktemp("replay")
    with Database(f"sqlite:///{folder}/live.db") as live, Database(f"sqlite:///{folder}/again.db") as again:
        for database in (live, again):
            database.create_all()
        live.write(lambda tx: cases.open_case(tx, OPEN)).result()
        orders, effects = OrderEffects(), CaseEffects()
        for number, one in enumerate(did):
            if isinstance(one, Step):
                try:
                    live.write(lambda tx, s=one: cases.step(tx, "c1", s)).result()  # type: ignore[misc]
                except (IllegalTransitionError, ImpossibleStep):
                    continue
            else:
                actions = [act_at(number, one)]
                for part in (effects, orders):
                    live.write(lambda tx, p=part, a=actions: p.actions(tx, "hall", a, NOW)).result()  # type: ignore[misc]
        with live.read() as tx:
            written = [*journal.entries(tx)]
        again.write(lambda tx: rebuild(tx, written)).result()
        again.write(lambda tx: replay(tx, written)).result()

        def all_of(database: Database) -> list[Any]:
            with database.read() as tx:
                steps = tx.execute(select(STEP.c.name, STEP.c.event, STEP.c.body).order_by(STEP.c.id)).all()
                return [tx.execute(select(CASE_TABLE)).all(), steps, [*journal.entries(tx)]]

        assert all_of(again) == all_of(live)
        with live.read() as tx:
            assert cases.replayed(tx, "c1") == cases.find(tx, "c1")
