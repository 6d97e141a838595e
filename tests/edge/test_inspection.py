"""What control charts say at the station: at once, without the cloud, and gone with an undo."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
import pytest
from msgspec.structs import replace

from edge.station import commands as asked
from edge.station.inspection import KEPT_CHARTS
from edge.station.lease import receive
from edge.station.refusals import Refusal
from edge.station.station_view import LinkView, view
from edge.station.unassigned import Machine
from edge.station.work import StepResult, Work
from edge.station.workcell import Place, Surroundings, Workcell, decide, perform
from edge.terminal.steps import open_steps
from protocols.inspection import Characteristic, Held, Verdict
from protocols.jobs import JobList, JobOperation, Text
from protocols.spc.charts import Kind, Signal, Spec
from protocols.spc.limits import Limits
from protocols.spc.rules import Rule
from tests.edge.workcells import STEPS, T0, operation

MEASURE = 2
RUN = "run-00001"
FROZEN = Limits(25.0, 0.05, 0.0564, points=30, version=1)
FLANGE = Characteristic(
    name="flange",
    title="Flange",
    title_zh="折边",
    chart="cabinet/bend/flange",
    spec=Spec(Kind.I_MR, lower=24.7, upper=25.3, nominal=25.0),
    unit="mm",
    frequency="lot",
    on_violation=Verdict.HOLD,
    steps=(MEASURE,),
    limits=FROZEN,
)
PLACE = Place("brake-1", "machining", Text("Brake 1", "折弯机 1"))
AROUND = Surroundings(T0)


def station(*operations: JobOperation) -> Workcell:
    return receive(Workcell(PLACE), JobList("machining", 1, T0, operations))


def planned(*plan: Characteristic, key: str = "op-1", held: Sequence[Held] = ()) -> JobOperation:
    return replace(operation(key, steps=STEPS), inspection=tuple(plan), held=tuple(held))


def after(cell: Workcell, command: asked.Command) -> Workcell:
    return perform(cell, command, decide(cell, command, AROUND))


def running(*plan: Characteristic) -> Workcell:
    command = asked.OpenRun(id=RUN, actor="K7", operations=["op-1"])
    return after(station(planned(*plan)), command)


def name(number: int) -> str:
    """The id of a measuring command."""
    return f"measured-{number}"


def measure(cell: Workcell, value: str, number: int = 1) -> Workcell:
    command = asked.DoStep(id=name(number), actor="K7", run=RUN, operation="op-1", step=MEASURE, value=value)
    return after(cell, command)


def result(cell: Workcell) -> StepResult:
    part = cell.work.runs[RUN].part("op-1")
    assert part is not None
    return part.steps[MEASURE]


def test_a_value_within_tolerance_but_beyond_the_process_holds() -> None:
    cell = measure(running(FLANGE), "25.22")
    found = result(cell)
    assert (found.ok, found.signals, found.holds) == (True, (Rule.NELSON_1,), True)


def test_limits_that_nobody_froze_only_note() -> None:
    trial = replace(FLANGE, limits=None)
    cell = running(trial)
    for number, value in enumerate(("25.00", "25.02", "24.99", "25.01", "25.00", "25.25")):
        cell = measure(cell, value, number)
    assert (result(cell).signals[0], result(cell).holds) == (Rule.NELSON_1, False)
    out = measure(cell, "25.4", 9)
    assert (Signal.ABOVE in result(out).signals, result(out).holds) == (True, True)


def test_a_note_is_none_for_a_plan_that_only_notes() -> None:
    cell = measure(running(replace(FLANGE, on_violation=Verdict.NOTE)), "25.22")
    assert (result(cell).signals, result(cell).holds) == ((Rule.NELSON_1,), False)


def test_a_run_of_points_is_remembered_over_a_restart() -> None:
    cell = running(FLANGE)
    for number in range(8):
        cell = measure(cell, "25.03", number)
        assert result(cell).signals == ()
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(cell.work), type=Work)
    cell = Workcell(cell.place, cell.queue, kept)
    assert result(measure(cell, "25.03", 8)).signals == (Rule.NELSON_2,)


def test_an_undo_takes_the_point_back_and_the_result_before_it_counts_again() -> None:
    cell = measure(measure(running(FLANGE), "25.01", 1), "52.1", 2)
    assert result(cell).holds
    before = cell.work.charts[FLANGE.chart].before
    cell = after(cell, asked.Undo(id="undo-0001", actor="K7", command=name(2)))
    assert (result(cell).value, result(cell).signals, result(cell).count) == ("25.01", (), 1)
    assert cell.work.charts[FLANGE.chart].state == before
    assert result(measure(cell, "25.02", 3)).signals == ()


def test_other_limits_begin_a_sum_anew() -> None:
    cusum = replace(FLANGE, spec=Spec(Kind.CUSUM, lower=24.0, upper=26.0))
    cell = running(cusum)
    for number in range(6):
        cell = measure(cell, "25.06", number)
    assert cell.work.charts[FLANGE.chart].state.high > 0.1
    listed = replace(planned(replace(cusum, limits=replace(FROZEN, center=25.06, version=2))))
    cell = receive(cell, JobList("machining", 2, T0, (listed,)))
    cell = measure(cell, "25.06", 9)
    assert cell.work.charts[FLANGE.chart].state.high == 0


def test_steps_without_a_plan_are_not_charted() -> None:
    cell = measure(running(), "25.22")
    assert (result(cell).signals, cell.work.charts) == ((), {})


def test_a_station_remembers_so_many_charts() -> None:
    cell = running(FLANGE)
    for number in range(KEPT_CHARTS + 5):
        listed = (planned(replace(FLANGE, chart=f"p/{number}")),)
        cell = receive(cell, JobList("machining", 2 + number, T0, listed))
        cell = measure(cell, "25.0", number)
    assert len(cell.work.charts) == KEPT_CHARTS
    assert "p/0" not in cell.work.charts
    assert f"p/{KEPT_CHARTS + 4}" in cell.work.charts


def test_a_held_lot_is_not_begun_and_says_why() -> None:
    why = Held("17", "Flange 25.42 mm: above the tolerance", "折边 25.42 mm：超出公差上限")
    cell = station(planned(key="op-9", held=[why]))
    with pytest.raises(Refusal) as refused:
        after(cell, asked.OpenRun(id=RUN, actor="K7", operations=["op-9"]))
    assert refused.value.code == "held"
    assert "nonconformance 17: Flange 25.42 mm: above the tolerance" in str(refused.value)
    shown = view(cell, Machine(""), LinkView(), AROUND, 0)
    assert [entry.ready for entry in shown.queue] == [False]
    released = receive(cell, JobList("machining", 2, T0, (planned(key="op-9"),)))
    assert after(released, asked.OpenRun(id=RUN, actor="K7", operations=["op-9"])).work.active is not None


def test_a_paused_run_whose_lot_is_held_meanwhile_does_not_go_on() -> None:
    cell = after(running(FLANGE), asked.PauseRun(id="pause-001", actor="K7", run=RUN))
    held = replace(planned(FLANGE), held=(Held("3", "dent", "凹痕"),))
    cell = receive(cell, JobList("machining", 2, T0, (held,)))
    with pytest.raises(Refusal) as refused:
        after(cell, asked.ResumeRun(id="resume-01", actor="K7", run=RUN))
    assert refused.value.code == "held"


def done_but_measuring(cell: Workcell) -> Workcell:
    for step, value in ((1, "TOOL-88"), (3, "")):
        command = asked.DoStep(
            id=f"step-000{step}", actor="K7", run=RUN, operation="op-1", step=step, value=value
        )
        cell = after(cell, command)
    return cell


def complete(cell: Workcell, good: int) -> Workcell:
    booking = asked.Booking(operation="op-1", good=Decimal(good))
    return after(cell, asked.CompleteRun(id="complete-1", actor="K7", run=RUN, bookings=[booking]))


def test_every_second_piece_is_due_and_needed() -> None:
    cell = done_but_measuring(running(replace(FLANGE, frequency="every 2")))

    def due() -> bool:
        part = view(cell, Machine(""), LinkView(), AROUND, 0).runs[0].parts[0]
        return MEASURE in open_steps(part)

    assert due()
    cell = measure(cell, "25.0", 1)
    assert not due()
    with pytest.raises(Refusal) as refused:
        complete(cell, 4)
    assert refused.value.code == "measure-more"
    assert "measured 1 times, 4 pieces need 2" in str(refused.value)
    for number in (1, 2):
        booking = asked.Booking(operation="op-1", good=Decimal(1))
        cell = after(cell, asked.Book(id=f"booked-0{number}", actor="K7", run=RUN, booking=booking))
    assert due()
    cell = measure(cell, "25.01", 2)
    assert not due()
    assert complete(cell, 2).work.active is None
