"""What a station may do, one rule a test."""

import string
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from edge.station import commands as asked
from edge.station.lease import answer, receive
from edge.station.refusals import REFUSALS, Refusal, sentence
from edge.station.unassigned import Machine, judge
from edge.station.undo import UNDO_SECONDS
from edge.station.work import Stop, Unassigned, Work
from edge.station.workcell import Surroundings, Workcell, decide, perform
from protocols import actions as did
from protocols.jobs import ReleaseRequest
from protocols.lifecycle import IllegalTransitionError
from protocols.lifecycles import OperationState, RunState
from protocols.states import ItemState, OperationMode
from tests.edge.workcells import SECOND, STEPS, T0, around, job_list, operation, predecessor, station

_ids = iter(range(10_000_000))


def do(
    cell: Workcell, kind: type[asked.Command], when: Surroundings | None = None, **fields: Any
) -> tuple[Workcell, list[did.Event]]:
    command = kind.model_validate({"id": f"command-{next(_ids)}", "actor": "K7", **fields})
    actions = decide(cell, command, when or around())
    return perform(cell, command, actions), [action.event for action in actions]


def opened(cell: Workcell, *operations: str, **fields: Any) -> tuple[Workcell, str]:
    cell, events = do(cell, asked.OpenRun, operations=operations or ("op-1",), **fields)
    run = events[-1]
    assert isinstance(run, did.RunOpened)
    return cell, run.run


def refusal(
    cell: Workcell, kind: type[asked.Command], when: Surroundings | None = None, **fields: Any
) -> Refusal:
    with pytest.raises(Refusal) as caught:
        do(cell, kind, when, **fields)
    return caught.value


def booking(
    good: object = 0, scrap: object = 0, operation: str = "op-1", **more: object
) -> dict[str, object]:
    return {"operation": operation, "good": str(good), "scrap": str(scrap), **more}


def test_a_run_goes_through_setup_first_piece_running_and_completion() -> None:
    cell, run = opened(station(operation()), setup=True)
    cell, _ = do(cell, asked.ReleaseFirstPiece, run=run)
    cell, _ = do(cell, asked.StartRun, run=run)
    cell, _ = do(cell, asked.Book, run=run, booking=booking(3))
    cell, events = do(cell, asked.CompleteRun, run=run, bookings=[booking(0, 1, reason="dented")])
    assert events == [
        did.Booked(run, "op-1", Decimal(0), Decimal(1), Decimal(0), "dented"),
        did.RunCompleted(run, ("op-1",)),
    ]
    assert cell.work.runs[run].state is RunState.COMPLETED
    assert cell.progress("op-1").state is OperationState.FINISHED
    assert cell.progress("op-1").good == 3
    assert cell.progress("op-1").scrap == 1


def test_completing_with_pieces_left_keeps_the_operation_for_a_second_run() -> None:
    cell, run = opened(station(operation()))
    cell, events = do(cell, asked.CompleteRun, run=run, bookings=[booking(1)])
    assert events[-1] == did.RunCompleted(run, ())
    assert cell.progress("op-1").state is OperationState.PAUSED
    cell, second = opened(cell)
    assert cell.work.runs[second].parts[0].quantity == 3


def test_one_run_covers_a_group_and_no_more_than_the_capacity() -> None:
    cell = station(*(operation(f"op-{n}", group="nest-1") for n in range(1, 5)))
    assert refusal(cell, asked.OpenRun, operations=["op-1", "op-2", "op-3", "op-4"]).code == "capacity"
    cell, run = opened(cell, "op-1", "op-2", "op-3")
    cell, _ = do(
        cell, asked.CompleteRun, run=run, bookings=[booking(4, operation=f"op-{n}") for n in (1, 2, 3)]
    )
    assert cell.work.runs[run].finished == ("op-1", "op-2", "op-3")


def test_a_batch_of_two_colours_is_refused_unless_the_planner_made_it() -> None:
    blue, red = {"colour": "RAL 5010"}, {"colour": "RAL 3000"}
    mixed = station(operation("op-1", setup=blue), operation("op-2", setup=red))
    refused = refusal(mixed, asked.OpenRun, operations=["op-1", "op-2"])
    assert refused.code == "mixed-setup"
    assert "RAL 5010" in str(refused) and "RAL 3000" in str(refused)
    planned = station(operation("op-1", setup=blue, group="g"), operation("op-2", setup=red, group="g"))
    opened(planned, "op-1", "op-2")


def test_a_second_run_waits_until_the_first_is_paused() -> None:
    cell, first = opened(station(operation("op-1"), operation("op-2")))
    assert refusal(cell, asked.OpenRun, operations=["op-2"]).code == "run-in-hand"
    cell, _ = do(cell, asked.PauseRun, run=first, reason="rush order")
    cell, second = opened(cell, "op-2")
    assert refusal(cell, asked.ResumeRun, run=first).code == "run-in-hand"
    cell, _ = do(cell, asked.PauseRun, run=second)
    cell, _ = do(cell, asked.ResumeRun, run=first)
    assert cell.work.active is not None
    assert cell.work.active.id == first


def test_an_illegal_transition_names_run_state_and_what_is_possible() -> None:
    cell, run = opened(station(operation()), setup=True)
    with pytest.raises(IllegalTransitionError, match=r"setup.*possible: first-piece, start, abort"):
        do(cell, asked.PauseRun, run=run)


# --- predecessors ---------------------------------------------------------------------------------------


def test_a_predecessor_that_is_not_finished_stops_the_start_while_the_network_carries() -> None:
    cell = station(operation(predecessors=[predecessor()]))
    refused = refusal(cell, asked.OpenRun, operations=["op-1"], unconfirmed_ok=True)
    assert refused.code == "predecessor-open"
    assert "Cut panels" in str(refused) and "laser-1" in str(refused)


def test_a_neighbour_that_reported_it_finished_is_enough() -> None:
    cell = station(operation(predecessors=[predecessor()]))
    _, events = do(cell, asked.OpenRun, around(cloud=False, finished={"op-0": "run-9"}), operations=["op-1"])
    assert events[0] == did.RunOpened(events[0].run, (did.RunPart("op-1", Decimal(4)),), False, ())  # type: ignore[union-attr]


def test_with_the_broker_gone_a_person_may_vouch_for_it() -> None:
    cell = station(operation(predecessors=[predecessor()]))
    offline = around(online=False, cloud=False)
    assert refusal(cell, asked.OpenRun, offline, operations=["op-1"]).code == "predecessor-unconfirmed"
    _, events = do(cell, asked.OpenRun, offline, operations=["op-1"], unconfirmed_ok=True)
    assert isinstance(events[0], did.RunOpened)
    assert events[0].unconfirmed == ("op-0",)


@pytest.mark.parametrize("edge", ["other", "machining"])
def test_what_must_dry_waits_for_the_word_of_the_service(edge: str) -> None:
    """That it is finished is not enough; without the service, a person looks and vouches for it."""
    cell = station(operation(predecessors=[predecessor(edge=edge, lag=7200)]))
    heard = {"op-0": "run-9"}
    refused = refusal(cell, asked.OpenRun, around(finished=heard), operations=["op-1"], unconfirmed_ok=True)
    assert refused.code == "predecessor-waits"
    assert "must wait for some time after Cut panels at laser-1" in str(refused)
    offline = around(online=False, cloud=False, finished=heard)
    assert refusal(cell, asked.OpenRun, offline, operations=["op-1"]).code == "predecessor-unconfirmed"
    _, events = do(cell, asked.OpenRun, offline, operations=["op-1"], unconfirmed_ok=True)
    assert isinstance(events[0], did.RunOpened)
    assert events[0].unconfirmed == ("op-0",)


def test_what_has_dried_may_be_begun() -> None:
    cell = station(operation(predecessors=[predecessor(finished=True, lag=7200, fit_at=1)]))
    _, events = do(cell, asked.OpenRun, operations=["op-1"])
    assert isinstance(events[0], did.RunOpened)


def test_a_predecessor_on_the_same_edge_needs_no_network_to_be_known_open() -> None:
    cell = station(operation(predecessors=[predecessor(edge="machining")]))
    offline = around(online=False, cloud=False)
    refused = refusal(cell, asked.OpenRun, offline, operations=["op-1"], unconfirmed_ok=True)
    assert refused.code == "predecessor-open"


# --- quantities -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (booking(5), "quantity-over"),
        (booking("0.5"), "quantity-whole"),
        (booking(0), "quantity-none"),
        (booking(0, 1), "scrap-reason"),
        (booking(0, 1, reason="magic"), "unknown-reason"),
        (booking(1, operation="op-9"), "not-in-run"),
    ],
)
def test_a_booking_that_cannot_be_right_is_refused(fields: dict[str, object], code: str) -> None:
    cell, run = opened(station(operation()))
    assert refusal(cell, asked.Book, run=run, booking=fields).code == code


def test_kilograms_may_have_decimals() -> None:
    cell, run = opened(station(operation(unit="KGM", quantity="2.5")))
    cell, _ = do(cell, asked.Book, run=run, booking=booking("1.25"))
    assert cell.left("op-1") == Decimal("1.25")


def test_two_bookings_of_one_completion_cannot_exceed_what_is_left_together() -> None:
    cell, run = opened(station(operation()))
    assert (
        refusal(cell, asked.CompleteRun, run=run, bookings=[booking(3), booking(2)]).code == "quantity-over"
    )


def test_the_machines_counter_proposes_and_another_machine_s_proposes_nothing() -> None:
    cell, run = opened(Workcell(station(operation()).place, station(operation()).queue, Work(counter=10)))
    counted = msgspec.structs.replace(cell.work, counter=13)
    assert counted.machine_parts(counted.runs[run]) == 3
    other = msgspec.structs.replace(cell.work, counter=2)
    assert other.machine_parts(other.runs[run]) == 0
    paused, _ = do(Workcell(cell.place, cell.queue, counted), asked.PauseRun, run=run)
    later = msgspec.structs.replace(paused.work, counter=50)
    assert later.machine_parts(later.runs[run]) == 3


# --- steps ----------------------------------------------------------------------------------------------


def test_good_pieces_need_every_step_and_measurements_within_limits() -> None:
    cell, run = opened(station(operation(quantity=1, steps=STEPS)))
    step: dict[str, Any] = {"run": run, "operation": "op-1"}
    assert refusal(cell, asked.CompleteRun, run=run, bookings=[booking(1)]).code == "steps-open"
    assert refusal(cell, asked.DoStep, **step, step=1, value="TOOL-90").code == "wrong-code"
    cell, _ = do(cell, asked.DoStep, **step, step=1, value="tool-88")
    cell, events = do(cell, asked.DoStep, **step, step=2, value="25,6")
    assert events == [did.StepDone(run, "op-1", 2, "25.6", False)]
    cell, _ = do(cell, asked.DoStep, **step, step=3)
    refused = refusal(cell, asked.CompleteRun, run=run, bookings=[booking(1)])
    assert refused.code == "step-failed"
    assert "25.6" in str(refused) and "24.7 … 25.3" in str(refused)
    cell, _ = do(cell, asked.DoStep, **step, step=2, value="25.3")
    cell, _ = do(cell, asked.CompleteRun, run=run, bookings=[booking(1)])


def test_scrapping_everything_needs_no_steps() -> None:
    cell, run = opened(station(operation(quantity=1, steps=STEPS)))
    do(cell, asked.CompleteRun, run=run, bookings=[booking(0, 1, reason="dented")])


def test_good_pieces_of_an_earlier_run_need_their_steps_too() -> None:
    cell, run = opened(station(operation(quantity=2, steps=STEPS)))
    cell, _ = do(cell, asked.CompleteRun, run=run, bookings=[booking(1)])
    cell, run = opened(cell)
    scrap = [booking(0, 1, reason="dented")]
    assert refusal(cell, asked.CompleteRun, run=run, bookings=scrap).code == "steps-open"
    for step, value in ((1, "TOOL-88"), (2, "25"), (3, "")):
        cell, _ = do(cell, asked.DoStep, run=run, operation="op-1", step=step, value=value)
    do(cell, asked.CompleteRun, run=run, bookings=scrap)


def test_a_run_with_booked_pieces_is_completed_not_aborted() -> None:
    cell, run = opened(station(operation()))
    cell, _ = do(cell, asked.Book, run=run, booking=booking(4))
    assert refusal(cell, asked.AbortRun, run=run).code == "abort-booked"


def test_a_measurement_that_is_no_number_is_refused() -> None:
    cell, run = opened(station(operation(steps=STEPS)))
    for value in ("abc", "", "NaN", "Infinity", "1E99999", "1_000", "4006381333931", "٢٥"):
        assert (
            refusal(cell, asked.DoStep, run=run, operation="op-1", step=2, value=value).code == "not-a-number"
        )


# --- undo -----------------------------------------------------------------------------------------------


def test_undo_takes_back_a_completion_with_its_bookings() -> None:
    cell, run = opened(station(operation()))
    before = cell
    cell, _ = do(cell, asked.CompleteRun, run=run, bookings=[booking(4)])
    assert cell.work.last is not None
    command = cell.work.last.command
    cell, events = do(cell, asked.Undo, command=command)
    assert events == [
        did.RunReopened(run),
        did.Undone(f"{command}.1"),
        did.Booked(run, "op-1", Decimal(-4), Decimal(0), Decimal(0), "undo"),
        did.Undone(command),
    ]
    assert cell.work.progress == before.work.progress
    assert cell.work.active is not None


def test_undo_is_for_the_last_action_and_for_a_while_only() -> None:
    cell, run = opened(station(operation()))
    cell, _ = do(cell, asked.Book, run=run, booking=booking(1))
    assert cell.work.last is not None
    command = cell.work.last.command
    late = refusal(cell, asked.Undo, around(UNDO_SECONDS + 1), command=command)
    assert late.code == "undo-late"
    cell, _ = do(cell, asked.Undo, command=command)
    assert refusal(cell, asked.Undo, command=command).code == "undo-nothing"


def test_undoing_a_pause_takes_over_what_the_machine_did_meanwhile() -> None:
    cell, run = opened(station(operation()))
    cell, _ = do(cell, asked.PauseRun, run=run)
    assert cell.work.last is not None
    command = cell.work.last.command
    work = msgspec.structs.replace(cell.work, unassigned=Unassigned("run-x", T0, 5), counter=6)
    cell, events = do(Workcell(cell.place, cell.queue, work), asked.Undo, command=command)
    assert did.RunResumed(run) in events and did.UnassignedClosed("run-x", 1) in events
    assert cell.work.unassigned is None


def test_a_wrong_reason_is_taken_back_and_asked_for_again() -> None:
    cell = station(operation())
    work = msgspec.structs.replace(cell.work, stops={"s-1": Stop("s-1", "press-1", T0, ended=T0 + SECOND)})
    cell, _ = do(Workcell(cell.place, cell.queue, work), asked.GiveStopReason, stop="s-1", reason="tool")
    assert cell.work.last is not None
    command = cell.work.last.command
    cell, events = do(cell, asked.Undo, command=command)
    assert events == [did.StopReasoned("s-1", ""), did.Undone(command)]
    assert not cell.work.stops["s-1"].reason
    cell, _ = do(cell, asked.GiveStopReason, stop="s-1", reason="material")
    assert cell.work.stops["s-1"].reason == "material"


def test_undoing_a_start_leaves_no_trace_in_the_queue() -> None:
    cell, run = opened(station(operation()))
    cell, _ = do(cell, asked.Undo, command=run)
    assert cell.work.runs[run].state is RunState.ABORTED
    assert cell.progress("op-1").state is OperationState.LEASED


# --- andon, stops, notes --------------------------------------------------------------------------------


def test_andon_is_called_once_a_topic_and_cleared() -> None:
    cell, _ = do(station(), asked.RaiseAndon, topic="quality", note="burr")
    assert refusal(cell, asked.RaiseAndon, topic="quality").code == "andon-open"
    assert refusal(cell, asked.RaiseAndon, topic="lunch").code == "unknown-reason"
    (call,) = cell.work.andons
    cell, _ = do(cell, asked.ClearAndon, andon=call)
    assert refusal(cell, asked.ClearAndon, andon=call).code == "unknown-andon"


def test_a_stop_nobody_knows_gets_no_reason() -> None:
    assert refusal(station(), asked.GiveStopReason, stop="stop-1", reason="tool").code == "unknown-stop"


# --- the queue ------------------------------------------------------------------------------------------


def test_a_newer_list_replaces_the_queue_but_not_what_is_in_hand() -> None:
    cell, run = opened(station(operation("op-1"), operation("op-2")))
    cell = receive(cell, job_list(operation("op-3"), version=2))
    assert set(cell.queue.operations) == {"op-1", "op-3"}
    assert receive(cell, job_list(version=2)) is cell
    cell, _ = do(cell, asked.CompleteRun, run=run, bookings=[booking(4)])
    assert "op-1" in receive(cell, job_list(version=3)).queue.operations, "undo must stay possible"
    cell, _ = do(cell, asked.WriteShiftNote, note="all well")
    assert not receive(cell, job_list(version=4)).queue.operations


def test_pieces_made_elsewhere_count() -> None:
    cell, run = opened(station(operation(good=1)))
    assert cell.work.runs[run].parts[0].quantity == 3
    cell, _ = do(cell, asked.CompleteRun, run=run, bookings=[booking(3)])
    assert cell.progress("op-1").good == 4


def test_what_is_in_hand_or_finished_is_kept_and_the_rest_given_back() -> None:
    cell, run = opened(station(operation("op-1"), operation("op-2"), operation("op-3")))
    cell, _ = do(cell, asked.CompleteRun, run=run, bookings=[booking(4)])
    cell, _ = opened(cell, "op-2")
    found = answer({"brake-1": cell}, ReleaseRequest("r-1", ("op-1", "op-2", "op-3", "op-9"), "replan"))
    assert found.events("r-1") == [
        did.LeaseReleased("r-1", ("op-3", "op-9")),
        did.LeaseKept("r-1", ("op-1", "op-2")),
    ]
    after = found.cells["brake-1"]
    after, _ = do(after, asked.PauseRun, run=after.work.active.id)  # type: ignore[union-attr]
    assert refusal(after, asked.OpenRun, operations=["op-3"]).code == "released"


# --- the machine ----------------------------------------------------------------------------------------


def test_work_nobody_booked_opens_an_unassigned_run_after_a_while() -> None:
    machine = Machine("press", ItemState.EXECUTING, OperationMode.PROCESSING, T0, connected=True)
    assert judge(Work(), machine, T0 + 5 * SECOND, "run-x") == []
    assert judge(Work(), machine, T0 + 10 * SECOND, "run-x") == [did.UnassignedOpened("run-x")]
    cell, run = opened(station(operation()))
    assert judge(cell.work, machine, T0 + 10 * SECOND, "run-x") == []
    cell, _ = do(cell, asked.CompleteRun, around(8), run=run, bookings=[booking(4)])
    assert judge(cell.work, machine, T0 + 12 * SECOND, "run-x") == [], "a machine may run out"
    assert judge(cell.work, machine, T0 + 18 * SECOND, "run-x") == [did.UnassignedOpened("run-x")]


def test_opening_a_run_ends_the_unassigned_one_with_its_parts() -> None:
    base = station(operation())
    cell = Workcell(base.place, base.queue, Work(unassigned=Unassigned("run-x", T0, 5), counter=7))
    cell, events = do(cell, asked.OpenRun, operations=["op-1"])
    assert events[0] == did.UnassignedClosed("run-x", 2)
    assert cell.work.unassigned is None


# --- words ----------------------------------------------------------------------------------------------


def test_every_refusal_speaks_both_languages_with_the_same_parameters() -> None:
    def names(template: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(template) if name}

    for code, text in REFUSALS.items():
        assert text.zh and names(text.en) == names(text.zh), code
    assert sentence("andon-open", {"topic": PLACE_TOPIC}, "zh").startswith("已呼叫 质量")


PLACE_TOPIC = station().place.andon_topics["quality"]


def test_the_work_survives_the_disk() -> None:
    cell, run = opened(station(operation(steps=STEPS)))
    cell, _ = do(cell, asked.DoStep, run=run, operation="op-1", step=1, value="TOOL-88")
    cell, _ = do(cell, asked.Book, run=run, booking=booking(1))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(cell.work), type=Work) == cell.work


def test_a_scan_holds_for_every_operation_of_the_sheet_a_measurement_for_its_own() -> None:
    cell = station(operation("op-1", steps=STEPS, group="g"), operation("op-2", steps=STEPS, group="g"))
    cell, run = opened(cell, "op-1", "op-2")
    cell, events = do(cell, asked.DoStep, run=run, operation="op-2", step=1, value="TOOL-88")
    assert events == [
        did.StepDone(run, "op-2", 1, "TOOL-88"),
        did.StepDone(run, "op-1", 1, "TOOL-88"),
    ]
    cell, events = do(cell, asked.DoStep, run=run, operation="op-2", step=2, value="25")
    assert len(events) == 1
    assert cell.work.last is not None
