"""From a ledgered measurement to a chart, a nonconformance and what a station is told."""

import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, select, update

from cloud.orders import journal
from cloud.orders.articles import import_products
from cloud.orders.rebuild import rebuild
from cloud.orders.tables import exception_inbox, instruction, operation, orders
from cloud.quality import charts, nonconformances
from cloud.quality.charts import CannotFreeze, Chart, UnknownChart
from cloud.quality.nonconformances import DispositionMissing, TooManyPieces, UnknownOperation
from cloud.quality.plans import HandedOut
from protocols import actions as act
from protocols.inspection import Disposition
from protocols.jobs import Step, StepKind
from protocols.lifecycle import IllegalTransitionError
from protocols.lifecycles import NonconformanceEvent, NonconformanceState
from protocols.spc.charts import Phase
from tests.cloud.orders.shop import NOW_US, open_database
from tests.cloud.quality.shop import QualityFloor, bracket, quality_floor

BEND, WELD, PACK = "q-1-1-20", "q-1-1-30", "q-1-1-40"
OTHER_BEND = "q-1-2-20"


@pytest.fixture(params=["sqlite", "postgres"])
def floor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[QualityFloor]:
    url = (
        str(request.getfixturevalue("postgres_url"))
        if request.param == "postgres"
        else f"sqlite:///{tmp_path / 'quality.db'}"
    )
    database = open_database(url)
    try:
        yield quality_floor(database, 400, 250)
    finally:
        database.close()


def chart_of(floor: QualityFloor, name: str) -> Chart:
    listed = floor.database.write(charts.charts).result()
    return next(each for each in listed if each.characteristic == name)


def opened(floor: QualityFloor) -> list[nonconformances.Nonconformance]:
    return floor.database.write(nonconformances.nonconformances).result()


def told(floor: QualityFloor, *names: str) -> HandedOut:
    """What stations are told about these operations."""

    def work(tx: Connection) -> HandedOut:
        operations = {r.id: r for r in tx.execute(select(operation).where(operation.c.id.in_(names)))}
        steps = select(instruction).where(instruction.c.operation_id.in_(names))
        return HandedOut(tx, {r.operation_id: r for r in tx.execute(steps)}, operations)

    return floor.database.write(work).result()


def decide(
    floor: QualityFloor,
    number: int,
    event: NonconformanceEvent,
    disposition: Disposition | None = None,
    reason: str = "looked at it",
    quantity: Decimal | None = None,
) -> nonconformances.Nonconformance:
    decide.count += 1  # type: ignore[attr-defined]
    command = f"decide-{decide.count}"  # type: ignore[attr-defined]
    return floor.database.write(
        lambda tx: nonconformances.advance(
            tx,
            number,
            event,
            actor="sup-1",
            now=NOW_US + 10**9,
            reason=reason,
            command=command,
            disposition=disposition,
            quantity=quantity,
        )
    ).result()


decide.count = 0  # type: ignore[attr-defined]


def in_control(floor: QualityFloor, count: int) -> str:
    """``count`` flanges that are as they should be; the run they were measured in."""
    rng = random.Random(3)
    run = floor.opens(BEND)
    floor.measures(run, BEND, *[round(25 + rng.gauss(0, 0.03), 3) for _ in range(count)])
    return run


def test_measurements_become_points_of_the_charts_of_their_workcell(floor: QualityFloor) -> None:
    run = in_control(floor, 6)
    floor.measures(run, BEND, 399.8, step=2)
    flange = chart_of(floor, "flange")
    assert (flange.key, flange.points, flange.version) == ("bracket/bend/flange@brake-1", 6, 0)
    plotted = floor.database.write(lambda tx: charts.points(tx, flange.id)).result()
    assert [each.point.number for each in plotted] == [1, 2, 3, 4, 5, 6]
    assert plotted[0].point.phase is Phase.LEARNING
    assert plotted[5].point.phase is Phase.PROVISIONAL
    assert (plotted[0].operation, plotted[0].job) == (BEND, "q-1-1")
    leg = chart_of(floor, "leg")
    (point,) = floor.database.write(lambda tx: charts.points(tx, leg.id)).result()
    assert point.point.plotted == pytest.approx(-0.2)
    assert opened(floor) == []


def test_variants_share_a_chart_by_their_deviation(floor: QualityFloor) -> None:
    first, second = floor.opens(BEND), floor.opens(OTHER_BEND)
    floor.measures(first, BEND, 400.1, step=2)
    floor.measures(second, OTHER_BEND, 249.9, step=2)
    leg = chart_of(floor, "leg")
    found = floor.database.write(lambda tx: charts.points(tx, leg.id)).result()
    assert [each.point.plotted for each in found] == pytest.approx([0.1, -0.1])
    assert [each.values for each in found] == [(400.1,), (249.9,)]


def test_a_replay_charts_nothing_twice(floor: QualityFloor) -> None:
    run = floor.opens(BEND)
    actions = floor.measures(run, BEND, 25.0, 25.1)
    floor.ledger("machining", actions)
    assert chart_of(floor, "flange").points == 2


def test_a_value_out_of_tolerance_holds_what_follows_until_a_supervisor_releases_it(
    floor: QualityFloor,
) -> None:
    run = floor.opens(BEND)
    floor.measures(run, BEND, 25.0, 25.42)
    (found,) = opened(floor)
    assert found.text == "Flange 25.42 mm: above the tolerance"
    assert found.text_zh == "折边 25.42 mm：超出公差上限"
    assert (found.job, found.operation, found.workcell) == ("q-1-1", BEND, "brake-1")
    assert found.holds
    shown = told(floor, BEND, WELD, PACK, OTHER_BEND, "q-1-2-30")
    assert [each.en for each in shown.held(WELD)] == [found.text]
    assert [each.nonconformance for each in shown.held(PACK)] == [str(found.id)]
    assert shown.held(BEND) == ()
    assert shown.held("q-1-2-30") == ()
    assert [each.en for each in shown.notices(BEND)] == ["Flange: above the tolerance"]

    decided = decide(floor, found.id, NonconformanceEvent.DISPOSE, Disposition.USE_AS_IS, "customer agreed")
    assert (decided.state, decided.holds, decided.changed_by) == ("disposed", False, "sup-1")
    assert told(floor, WELD).held(WELD) == ()
    history = floor.database.write(lambda tx: nonconformances.history(tx, found.id)).result()
    assert [(each.event, each.disposition, each.reason) for each in history] == [
        ("open", "", "Flange 25.42 mm: above the tolerance"),
        ("dispose", "use as is", "customer agreed"),
    ]


def test_rework_holds_until_it_is_done(floor: QualityFloor) -> None:
    run = floor.opens(BEND)
    floor.measures(run, BEND, 25.42)
    (found,) = opened(floor)
    assert decide(floor, found.id, NonconformanceEvent.DISPOSE, Disposition.REWORK).holds
    assert len(told(floor, WELD).held(WELD)) == 1
    assert not decide(floor, found.id, NonconformanceEvent.CLOSE).holds
    assert told(floor, WELD).held(WELD) == ()
    again = decide(floor, found.id, NonconformanceEvent.REOPEN)
    assert (again.state, again.disposition, again.holds) == ("open", "", True)


def test_what_is_not_possible_is_refused(floor: QualityFloor) -> None:
    run = floor.opens(BEND)
    floor.measures(run, BEND, 25.42)
    (found,) = opened(floor)
    with pytest.raises(IllegalTransitionError, match="possible: dispose, withdraw"):
        decide(floor, found.id, NonconformanceEvent.CLOSE)
    with pytest.raises(DispositionMissing, match="use as is, rework, scrap, return"):
        decide(floor, found.id, NonconformanceEvent.DISPOSE)
    with pytest.raises(DispositionMissing):
        decide(floor, found.id, NonconformanceEvent.WITHDRAW, Disposition.SCRAP)
    with pytest.raises(nonconformances.UnknownNonconformance):
        decide(floor, 4711, NonconformanceEvent.WITHDRAW)
    assert opened(floor) == [found]


def test_a_person_reports_what_no_chart_saw(floor: QualityFloor) -> None:
    def report(operation_id: str, source: str) -> int | None:
        return floor.database.write(
            lambda tx: nonconformances.open_one(
                tx,
                source=source,
                operation_id=operation_id,
                workcell="brake-1",
                text=("Scratches", "划痕"),
                actor="sup-1",
                now=NOW_US,
            )
        ).result()

    assert report(BEND, "reported-1") == opened(floor)[0].id
    assert report(BEND, "reported-1") is None
    assert [each.zh for each in told(floor, WELD).held(WELD)] == ["划痕"]
    with pytest.raises(UnknownOperation):
        report("none", "reported-2")


def test_an_undone_measurement_is_none(floor: QualityFloor) -> None:
    run = in_control(floor, 8)
    before = floor.database.write(charts.charts).result()[0]
    (typed,) = floor.measures(run, BEND, 52.1)
    assert len(opened(floor)) == 1
    floor.says("brake-1", act.Undone(typed.id))
    (found,) = opened(floor)
    assert found.state is NonconformanceState.WITHDRAWN
    assert told(floor, WELD).held(WELD) == ()
    assert told(floor, BEND).notices(BEND) == ()
    flange = chart_of(floor, "flange")
    assert (flange.points, flange.signals) == (8, ())
    floor.measures(run, BEND, 25.01)
    newest = floor.database.write(lambda tx: charts.points(tx, before.id)).result()[-1].point
    assert (newest.number, newest.signals) == (9, ())
    # What a person has decided about is not taken back by an undo.
    (second,) = floor.measures(run, BEND, 52.1)
    decide(floor, opened(floor)[0].id, NonconformanceEvent.DISPOSE, Disposition.SCRAP)
    floor.says("brake-1", act.Undone(second.id))
    assert opened(floor)[0].state is NonconformanceState.DISPOSED


def freeze(floor: QualityFloor, chart: int, command: str = "freeze-1") -> charts.FrozenLimits:
    return floor.database.write(
        lambda tx: charts.freeze(tx, chart, "sup-1", "looked at the points", NOW_US, command)
    ).result()


def test_trial_limits_note_and_frozen_limits_hold(floor: QualityFloor) -> None:
    run = in_control(floor, 12)
    floor.measures(run, BEND, 25.25)  # within tolerance, far outside what the process does
    assert opened(floor) == []
    flange = chart_of(floor, "flange")
    assert "nelson-1" in flange.signals
    assert told(floor, BEND).notices(BEND)[0].en.startswith("Flange: beyond 3 sigma")
    few = freeze(floor, flange.id)
    assert (few.version, few.provisional, few.limits.points) == (1, True, 13)
    floor.measures(run, BEND, 25.29)
    assert opened(floor) == []

    rng = random.Random(8)
    floor.measures(run, BEND, *[round(25 + rng.gauss(0, 0.03), 3) for _ in range(30)])
    second = freeze(floor, flange.id, "freeze-2")
    assert (second.version, second.provisional) == (2, False)
    floor.measures(run, BEND, 25.29)
    (found,) = opened(floor)
    assert found.text.startswith("Flange 25.29 mm: beyond 3 sigma")
    kept = floor.database.write(lambda tx: charts.versions(tx, flange.id)).result()
    assert [(each.version, each.actor) for each in kept] == [(2, "sup-1"), (1, "sup-1")]
    assert kept[1] == few
    limits = told(floor, BEND).inspection(BEND, "brake-1")[0].limits
    assert limits == second.limits
    assert told(floor, BEND).inspection(BEND, "brake-2")[0].limits is None
    entries = floor.database.write(lambda tx: [*journal.entries(tx)]).result()
    assert [entry.actor for entry in entries if entry.type == journal.FREEZE] == ["sup-1", "sup-1"]


def test_points_whose_cause_was_found_are_left_out(floor: QualityFloor) -> None:
    run = in_control(floor, 22)
    with_all = freeze(floor, chart_of(floor, "flange").id)
    floor.measures(run, BEND, 25.28)  # the tool had come loose
    chart_id = chart_of(floor, "flange").id

    def without(*numbers: int) -> charts.FrozenLimits:
        return floor.database.write(
            lambda tx: charts.freeze(tx, chart_id, "sup-1", "loose tool", NOW_US, "freeze-9", numbers)
        ).result()

    with pytest.raises(CannotFreeze, match="the chart has no point 99"):
        without(99)
    frozen = without(23)
    assert (frozen.version, frozen.limits.points) == (2, 22)
    assert frozen.limits.sigma == pytest.approx(with_all.limits.sigma)


def test_limits_that_cannot_be_frozen(floor: QualityFloor) -> None:
    in_control(floor, 4)
    with pytest.raises(CannotFreeze, match="4 points are too few for limits: 5 at least, 20 to be sure"):
        freeze(floor, chart_of(floor, "flange").id)
    with pytest.raises(UnknownChart):
        freeze(floor, 4711)


def test_twenty_points_are_ready_to_freeze(floor: QualityFloor) -> None:
    in_control(floor, 19)
    assert not chart_of(floor, "flange").ready
    floor.measures("run-1", BEND, 25.0)
    assert chart_of(floor, "flange").ready
    freeze(floor, chart_of(floor, "flange").id)
    assert not chart_of(floor, "flange").ready


def test_a_value_that_cannot_be_charted_blocks_nothing(floor: QualityFloor) -> None:
    run = floor.opens(BEND)
    floor.says(
        "brake-1",
        act.StepDone(run, BEND, 1, "NaN", True),
        act.StepDone(run, BEND, 1, "25.1", True),
        act.StepDone(run, "no-such-operation", 1, "25.1", True),
    )
    assert chart_of(floor, "flange").points == 1
    inbox = select(exception_inbox.c.kind, exception_inbox.c.text)
    rows = floor.database.write(lambda tx: tx.execute(inbox).all()).result()
    kinds = dict(tuple(row) for row in rows)
    assert kinds["quality"].startswith(
        "a measurement was not charted (SampleError: a sample of i-mr needs finite"
    )


# --- what a disposition does to the work ----------------------------------------------------------------


def bent_too_far(floor: QualityFloor, good: int = 4) -> None:
    """All brackets are bent and booked as good; the last one measured is out of tolerance."""
    run = floor.opens(BEND)
    floor.measures(run, BEND, 25.1, 25.42)
    floor.says("brake-1", act.Booked(run, BEND, Decimal(good)), act.RunCompleted(run, (BEND,)))


def rows_of(floor: QualityFloor, job: str = "q-1-1") -> dict[str, Any]:
    query = select(operation).where(operation.c.job_id.startswith(job)).order_by(operation.c.id)
    return {row.id: row for row in floor.database.write(lambda tx: tx.execute(query).all()).result()}


def test_rework_is_an_operation_that_what_follows_waits_for(floor: QualityFloor) -> None:
    bent_too_far(floor)
    made = decide(floor, 1, NonconformanceEvent.DISPOSE, Disposition.REWORK, "bend back to 25", Decimal(3))
    assert made.quantity == 3
    assert made.holds
    rows = rows_of(floor)
    rework = rows[BEND + "w1"]
    assert (rows[BEND].good, rows[BEND].rework, rework.quantity, rework.state) == (1, 3, 3, "planned")
    assert rework.id in rows[WELD].predecessors
    heard = told(floor, rework.id, WELD)
    assert heard.held(rework.id) == ()
    assert [each.nonconformance for each in heard.held(WELD)] == ["1"]
    query = select(instruction).where(instruction.c.operation_id == rework.id)
    words = floor.database.write(lambda tx: tx.execute(query).one()).result()
    first, *steps = msgspec.json.decode(words.steps, type=list[Step])
    assert (first.kind, first.text.en) == (StepKind.CONFIRM, "bend back to 25")
    (flange, *_) = heard.inspection(rework.id, "brake-1")
    assert steps[flange.steps[0] - 1].title.en == "Measure the flange"  # counted with the new first step

    again = floor.opens(rework.id)
    floor.says("brake-1", act.Booked(again, rework.id, Decimal(3)), act.RunCompleted(again, (rework.id,)))
    assert opened(floor)[0].state is NonconformanceState.CLOSED
    assert told(floor, WELD).held(WELD) == ()
    assert rows_of(floor)[WELD].quantity == 4


def test_scrap_is_made_anew(floor: QualityFloor) -> None:
    bent_too_far(floor)
    decide(floor, 1, NonconformanceEvent.DISPOSE, Disposition.SCRAP, "too short", Decimal(2))
    rows = rows_of(floor)
    assert (rows[BEND].good, rows[BEND].scrap) == (2, 2)
    assert rows[WELD].quantity == 2
    assert {name: row.quantity for name, row in rows.items() if name.startswith("q-1-1-r1")} == {
        f"q-1-1-r1-{position}": 2 for position in (10, 20, 30, 40)
    }
    assert told(floor, WELD).held(WELD) == ()


def test_where_the_order_says_so_less_is_delivered(floor: QualityFloor) -> None:
    bent_too_far(floor)
    floor.database.write(lambda tx: tx.execute(update(orders).values(shortage="reduce"))).result()
    decide(floor, 1, NonconformanceEvent.DISPOSE, Disposition.SCRAP, "too short", Decimal(1))
    rows = rows_of(floor)
    assert (rows[WELD].quantity, rows[PACK].quantity) == (3, 3)
    assert not [name for name in rows if "-r" in name]
    decide(floor, 1, NonconformanceEvent.REOPEN, None, "look again")
    rows = rows_of(floor)
    assert (rows[BEND].good, rows[WELD].quantity, rows[PACK].quantity) == (4, 4, 4)


def test_holding_it_again_takes_back_what_nobody_began(floor: QualityFloor) -> None:
    bent_too_far(floor)
    decide(floor, 1, NonconformanceEvent.DISPOSE, Disposition.REWORK, "bend back")
    assert rows_of(floor)[BEND + "w1"].quantity == 4
    held = decide(floor, 1, NonconformanceEvent.REOPEN, None, "look again")
    assert (held.quantity, held.holds) == (None, True)
    rows = rows_of(floor)
    assert (rows[BEND].good, rows[BEND].rework, rows[BEND + "w1"].state) == (4, 0, "cancelled")
    decide(floor, 1, NonconformanceEvent.DISPOSE, Disposition.USE_AS_IS, "fits")
    assert told(floor, WELD).held(WELD) == ()


def test_more_pieces_than_are_booked_are_refused_and_none_is_left_to_the_station(floor: QualityFloor) -> None:
    run = floor.opens(BEND)
    floor.measures(run, BEND, 25.1, 25.42)
    with pytest.raises(TooManyPieces, match="has 0 good pieces booked"):
        decide(floor, 1, NonconformanceEvent.DISPOSE, Disposition.SCRAP, quantity=Decimal(1))
    made = decide(floor, 1, NonconformanceEvent.DISPOSE, Disposition.SCRAP)
    assert made.quantity == 0
    assert rows_of(floor)[BEND].scrap == 0


def test_dispositions_are_rebuilt_from_the_journal(floor: QualityFloor, tmp_path: Path) -> None:
    bent_too_far(floor)
    decide(floor, 1, NonconformanceEvent.DISPOSE, Disposition.REWORK, "bend back", Decimal(1))
    entries = floor.database.write(lambda tx: [*journal.entries(tx)]).result()
    other = open_database(f"sqlite:///{tmp_path / 'again.db'}")
    try:
        other.write(lambda tx: import_products(tx, [bracket()], NOW_US)).result()
        other.write(lambda tx: rebuild(tx, entries)).result()
        again = QualityFloor(other)
        assert {n: (r.good, r.rework, r.quantity) for n, r in rows_of(again).items()} == {
            n: (r.good, r.rework, r.quantity) for n, r in rows_of(floor).items()
        }
    finally:
        other.close()


# --- what stations hold and release by themselves -------------------------------------------------------


def test_a_station_that_holds_is_believed(floor: QualityFloor) -> None:
    """Its chart may know more, or less, than the service's."""
    run = floor.opens(BEND)
    (fine,) = floor.measures(run, BEND, 25.1)
    said = act.LotHeld(BEND, "flange", fine.id, "Flange 25.1 mm: nine on one side", "折边")
    floor.says("brake-1", said)
    floor.says("brake-1", said)
    (held,) = opened(floor)
    assert (held.source, held.text, held.chart) == (fine.id, said.text, None)
    (why,) = told(floor, WELD).held(WELD)
    assert (why.source, why.nonconformance) == (fine.id, "1")
    floor.says("brake-1", act.Undone(fine.id))
    assert opened(floor)[0].state is NonconformanceState.WITHDRAWN


def test_a_release_at_a_station_is_a_disposition_and_comes_back_with_the_list(floor: QualityFloor) -> None:
    run = floor.opens(BEND)
    *_, bad = floor.measures(run, BEND, 25.1, 25.42)
    floor.says("brake-1", act.LotHeld(BEND, "flange", bad.id, "Flange", "折边"))
    assert len(opened(floor)) == 1  # the service's chart had opened it

    def known() -> tuple[tuple[str, ...], tuple[str, ...]]:
        return floor.database.write(lambda tx: nonconformances.told_by_stations(tx, {"q-1-1"})).result()

    assert known() == ((bad.id,), ())
    floor.says("weld-1", act.LotReleased(BEND, bad.id, "use as is", "measured again: 25.2"))
    (found,) = opened(floor)
    assert (found.disposition, found.holds) == ("use as is", False)
    assert known() == ((bad.id,), (bad.id,))
    # One that comes late changes nothing, and somebody hears of it.
    floor.says("weld-1", act.LotReleased(BEND, bad.id, "scrap", "too late"))
    assert opened(floor)[0].disposition == "use as is"
    inbox = floor.database.write(lambda tx: tx.execute(select(exception_inbox)).all()).result()
    assert "disposed" in inbox[-1].text
