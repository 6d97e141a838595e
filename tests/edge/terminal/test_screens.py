"""What the operator sees and what the keys do, on a station in memory."""

import string
from decimal import Decimal

import msgspec

from edge.station.refusals import REFUSALS, STATE_WORDS
from edge.station.station_view import LinkView, Shape
from edge.station.work import Andon, Stop, Unassigned
from edge.terminal.frame import paint
from edge.terminal.painting import width_of
from edge.terminal.session import Key
from edge.terminal.words import SHAPES, WORDS, clock
from protocols.jobs import Step, StepKind, Text
from protocols.lifecycles import OperationState, RunState
from tests.edge.terminal.terminals import Terminal, line_with
from tests.edge.workcells import SECOND, STEPS, T0, operation, predecessor

OFFLINE = LinkView(online=False, cloud=False, last_ack=T0 - 12 * 60 * SECOND, queued_batches=37)


def with_steps(**options: object) -> Terminal:
    return Terminal(operation(steps=STEPS), **options)  # type: ignore[arg-type]


def running(*keys: str) -> Terminal:
    terminal = with_steps()
    terminal.press("f5", *keys)
    return terminal


def test_an_operation_from_the_queue_to_its_completion_with_scanner_and_keys() -> None:
    terminal = with_steps()
    terminal.press("f4")
    assert line_with(terminal.screen(), "► Set up")
    terminal.press("f4", "f5")
    assert line_with(terminal.screen(), "► Produce")
    terminal.scan("TOOL-88")
    terminal.scan("25,1")
    terminal.press("f3")
    assert line_with(terminal.screen(), "All steps done")
    terminal.press("f2")
    assert line_with(terminal.screen(), "✓ good 1 · scrap 0")
    terminal.press("f4", "f4")
    assert terminal.cell.progress("op-1").state is OperationState.FINISHED
    assert terminal.cell.progress("op-1").good == 4
    assert line_with(terminal.screen(), "✓ run completed → undo with F9")
    terminal.press("f9")
    assert terminal.session.run is not None
    assert terminal.session.run.state is RunState.RUNNING


def test_every_painted_screen_has_exactly_its_size_in_both_languages() -> None:
    terminal = running()
    terminal.work(
        counter=3,
        stops={"s": Stop("s", "press-1", T0)},
        unassigned=Unassigned("u", T0, 1),
    )
    for language in ("en", "zh"):
        terminal.session.language = language
        for key in ("", "f1", "f4", "f6", "f7", "f8", "f10"):
            if key:
                terminal.press(key)
            for size in ((80, 24), (40, 15), (120, 40), (61, 13)):
                lines = paint(terminal.session, *size)
                assert [width_of(line) for line in lines] == [size[0]] * size[1], (language, key, size)
            if key:
                terminal.press("escape")


def test_f12_switches_the_language_while_running() -> None:
    terminal = running()
    assert "折弯侧板" not in terminal.text()
    terminal.press("f12")
    text = terminal.text()
    assert "折弯侧板" in text and "● 运行" in text and "F12 English" in text
    terminal.press("f12")
    assert "Bend side panels" in terminal.text()


def test_an_action_is_pending_until_the_edge_has_it() -> None:
    terminal = running()
    terminal.seconds = 1
    terminal.session.press(Key("f5"))
    assert line_with(terminal.screen(), "◌ paused … waiting for the edge")
    assert terminal.session.run is not None and terminal.session.run.state is RunState.RUNNING
    terminal.settle()
    assert line_with(terminal.screen(), "✓ paused")


def test_a_refusal_is_said_in_the_language_of_the_terminal() -> None:
    terminal = running()
    terminal.scan("TOOL-90")
    assert "✗ refused: Wrong: scanned TOOL-90, Scan the tool needs TOOL-88." in terminal.text()
    terminal.press("f12")
    assert "✗ 已拒绝：不符：扫到 TOOL-90，扫描刀具 需要 TOOL-88。" in terminal.text()


def test_a_measurement_outside_its_limits_stays_open() -> None:
    terminal = running()
    terminal.scan("TOOL-88")
    terminal.scan("25.6")
    text = terminal.text()
    assert "✗ 25.6 mm" in text and "too large: measure again or scrap (F6)" in text
    assert "Step 3 of 4" in text
    terminal.scan("25.2")
    assert "✓ 25.2 mm" in terminal.text() and "Step 4 of 4" in terminal.text()


def test_offline_changes_the_top_line_and_nothing_else() -> None:
    online, offline = running(), running()
    offline.link = OFFLINE
    offline.look()
    assert "✕ offline 12 min · 37 waiting" in offline.screen()[0]
    assert online.screen()[1:] == offline.screen()[1:]


def test_a_cloud_that_stopped_is_told_from_a_broker_that_is_gone() -> None:
    terminal = with_steps()
    terminal.link = LinkView(online=True, cloud=False, last_ack=T0 - 200 * SECOND, queued_batches=5)
    terminal.look()
    assert "◌ cloud stopped 3 min · 5 waiting" in terminal.screen()[0]


def test_an_edge_that_does_not_answer_is_said_with_its_age() -> None:
    terminal = running()
    terminal.session.receive(None)
    terminal.seconds = 30
    top = terminal.screen()[0]
    assert "✕ edge not answering 30 s" in top and "✕ no data" in top


def test_undo_counts_down_and_goes() -> None:
    terminal = running("f2")
    terminal.seconds = 12
    assert line_with(terminal.screen(), "undo with F9 (8 s)")
    assert "F9 undo 8 s" in terminal.text()
    terminal.seconds = 25
    assert "undo" not in terminal.text()


def test_partial_completion_with_scrap_and_reason() -> None:
    terminal = running()
    terminal.press("f4", "2", "tab", "1", "right")
    text = terminal.text()
    assert "Wrong size" in text
    terminal.press("shift+tab", "1", "f4")
    progress = terminal.cell.progress("op-1")
    assert progress.good == 1
    assert progress.scrap == 1
    assert progress.state is OperationState.PAUSED
    assert "◐ begun" in _queue(terminal)


def test_what_is_typed_as_scrap_is_taken_from_good() -> None:
    terminal = running()
    terminal.press("f4", "tab", "1")
    assert "good  3" in terminal.text() and "scrap ►1" in terminal.text()


def test_pieces_to_be_reworked_are_booked_with_the_completion() -> None:
    terminal = with_steps()
    terminal.press("f5")
    terminal.scan("TOOL-88")
    terminal.scan("25")
    terminal.press("f3", "f4", "tab", "tab", "1")
    assert "rework ►1" in terminal.text() and "rework ►1" in terminal.text(40, 15)
    terminal.press("f4")
    progress = terminal.cell.progress("op-1")
    assert progress.good == 3
    assert progress.rework == 1
    assert progress.state is OperationState.FINISHED


def test_scrap_is_booked_with_its_reason() -> None:
    terminal = running("f6", "right", "2", "enter")
    assert terminal.cell.progress("op-1").scrap == 2
    assert line_with(terminal.screen(), "✓ good 0 · scrap 2")


def test_the_counter_and_the_booking_are_compared() -> None:
    terminal = with_steps()
    terminal.work(counter=100)
    terminal.press("f5", "f2")
    terminal.work(counter=103)
    assert line_with(terminal.screen(), "machine counted 3: 2 not booked")


def test_an_order_scanned_while_nothing_is_in_hand_is_found_in_the_queue() -> None:
    terminal = Terminal(operation("op-1"), operation("op-2", planned_start=T0 + 1))
    terminal.scan("A-op-2")
    terminal.press("f5")
    assert terminal.session.run is not None
    assert terminal.session.run.parts[0].view.operation.id == "op-2"


def test_a_badge_changes_who_works_here() -> None:
    terminal = running()
    terminal.scan("@M3")
    assert "⛭ M3" in terminal.screen()[0]
    terminal.press("f2")
    assert terminal.cell.work.last is not None
    assert terminal.cell.work.last.actor == "M3"


def test_an_unknown_code_is_refused_without_asking_the_edge() -> None:
    terminal = Terminal(operation())
    terminal.scan("nonsense")
    assert "Nothing here is called nonsense" in terminal.text()


def test_a_nest_is_taken_in_hand_together_and_can_be_deselected() -> None:
    operations = [operation(f"op-{n}", group="nest-1", planned_start=T0 + n) for n in range(1, 4)]
    terminal = Terminal(*operations)
    assert "3 operations in one run" in terminal.text()
    terminal.press("f1", "down", "space", "f5")
    assert terminal.session.run is not None
    assert [p.view.operation.id for p in terminal.session.run.parts] == ["op-1", "op-3"]
    terminal.press("right")
    assert "part 2 of 2" in terminal.text()
    terminal.press("f2")
    assert terminal.cell.progress("op-3").good == 1


def test_an_unconfirmed_predecessor_asks_before_it_starts() -> None:
    terminal = Terminal(operation(predecessors=[predecessor()]), link=OFFLINE)
    assert "► Offline: Cut panels at laser-1 not confirmed. Look, then F5" in terminal.text()
    terminal.press("f5")
    assert "Please confirm" in terminal.text() and "Check the pieces" in terminal.text()
    terminal.press("escape")
    assert not terminal.cell.work.runs
    terminal.press("f5", "f4")
    assert terminal.session.run is not None
    assert terminal.session.run.unconfirmed == ("op-0",)
    assert "▲ started without confirmation of the predecessor" in terminal.text()


def test_a_waiting_predecessor_is_named_and_refused_online() -> None:
    terminal = Terminal(operation(predecessors=[predecessor()]))
    assert "► Waits for Cut panels at laser-1" in terminal.text()
    terminal.press("f5")
    assert terminal.session.run is None
    assert "✗ refused: Bend side panels waits for Cut panels at laser-1" in terminal.text()


def test_paint_that_is_not_dry_says_until_when() -> None:
    before = predecessor(lag=7200, fit_at=T0 + 3600 * SECOND)
    terminal = Terminal(operation(predecessors=[before]))
    assert f"► Must wait after Cut panels at laser-1, until {clock(before.fit_at)}" in terminal.text()
    terminal.press("f5")
    assert terminal.session.run is None
    assert "✗ refused: Bend side panels must wait for some time after Cut panels" in terminal.text()


def test_the_variant_is_shown_where_the_product_does_not_say_it() -> None:
    assert "width" not in with_steps().text()
    plain = operation(quantity=1)
    plain = msgspec.structs.replace(plain, product=Text("Steel cabinet", "钢制柜"))
    text = Terminal(plain).text()
    assert "width 612 · height 1980 · depth 420 · RAL 5010" in text
    assert "1 piece " in text


def test_a_stop_gets_its_reason_by_its_number() -> None:
    terminal = running()
    terminal.work(stops={"s-1": Stop("s-1", "press-1", T0 - 120 * SECOND, hint="door open")})
    assert line_with(terminal.screen(), "■ Stopped 2 min: give the reason (F7)  door open")
    terminal.press("f7", "2", "enter")
    assert terminal.cell.work.stops["s-1"].reason == "tool"


def test_help_is_called_and_cleared() -> None:
    terminal = running("f8", "1", "enter")
    assert "⚑ ANDON Quality" in terminal.screen()[0]
    terminal.press("f8")
    assert "clear: Quality" in terminal.text()
    terminal.press("1", "enter")
    assert "⚑ andon none" in terminal.screen()[0]


def test_a_call_that_came_with_a_reason_says_it() -> None:
    terminal = running()
    note = "agv-1: drop at press-1: the load has not been sensed on both sides for 120 s"
    terminal.work(andons={"a": Andon("a", "quality", note, "transport", T0)})
    assert "⚑ ANDON Quality" in terminal.screen()[0]
    terminal.press("f8")
    assert note in " ".join(line.strip() for line in terminal.screen())
    words = " ".join(line.strip() for line in terminal.screen(40, 15))
    assert "agv-1: drop at press-1: the load has not" in words and "clear: Quality" in words


def test_a_note_is_left_for_the_next_shift() -> None:
    terminal = running("f10", *"tool worn", "enter", "f10")
    assert "K7:  tool worn" in terminal.text()


def test_machine_activity_nobody_booked_is_said() -> None:
    terminal = Terminal(operation())
    terminal.work(unassigned=Unassigned("u-1", T0 - 60 * SECOND, 5), counter=7)
    assert line_with(terminal.screen(), "▲ Machine works unbooked: 60 s, 2 parts. Choose the job (F1)")


def test_the_big_layout_keeps_state_instruction_number_and_key() -> None:
    terminal = running()
    terminal.press("f11")
    text = terminal.text(40, 15)
    for words in ("BRAKE-1", "● running", "► 2/4 Scan the tool", "F4 complete", "▀▀▀"):
        assert words in text
    assert terminal.text(40, 15) == text
    terminal.press("f11")
    assert terminal.text(40, 15) == text, "a narrow screen is big by itself"


def test_a_long_instruction_is_wrapped_and_the_current_step_stays_in_sight() -> None:
    steps = [
        Step(StepKind.CONFIRM, Text(f"Step {n}", f"步骤{n}"), Text("word " * 40, "字" * 150))
        for n in range(30)
    ]
    terminal = Terminal(operation(steps=steps))
    terminal.press("f5")
    for n in range(30):
        assert f"► Step {n}" in terminal.text()
        terminal.press("f3")
    assert "All steps done" in terminal.text()


def test_work_put_back_returns_to_the_queue() -> None:
    terminal = with_steps()
    terminal.press("f4", "f6")
    assert "Put the work back into the queue?" in terminal.text()
    terminal.press("f4")
    assert terminal.session.run is None
    assert terminal.cell.left("op-1") == Decimal(4)


def test_an_empty_enter_of_a_scanner_confirms_nothing() -> None:
    terminal = running()
    terminal.scan("TOOL-88")
    terminal.scan("25")
    terminal.press("enter")
    assert "Step 4 of 4" in terminal.text()
    terminal.seconds = 1
    terminal.press("enter")
    assert "All steps done" in terminal.text()


def test_two_paused_runs_can_be_told_apart_and_resumed() -> None:
    terminal = Terminal(operation("op-1"), operation("op-2", planned_start=T0 + 1))
    terminal.press("f5", "f5", "f1", "f5", "f5")
    queue = _queue(terminal)
    assert queue.count("■ paused") == 2
    terminal.press("f1", "home", "down", "f5")
    assert terminal.session.run is not None
    assert terminal.session.run.parts[0].view.operation.id == "op-2"


# --- words ----------------------------------------------------------------------------------------------


def test_every_word_is_there_in_both_languages_with_the_same_parameters() -> None:
    def names(template: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(template) if name}

    for key, text in WORDS.items():
        assert text.en and text.zh, key
        assert names(text.en) == names(text.zh), key


def test_every_state_has_a_shape_and_a_word_of_its_own() -> None:
    assert set(SHAPES) == set(Shape)
    assert len({sign for sign, _ in SHAPES.values()}) == len(Shape)
    assert all(word.en and word.zh for _, word in SHAPES.values())
    assert all(word.en and word.zh for word in STATE_WORDS.values())
    assert not set(REFUSALS) & set(WORDS)


def _queue(terminal: Terminal) -> str:
    terminal.press("f1")
    text = terminal.text()
    terminal.press("escape")
    return text
