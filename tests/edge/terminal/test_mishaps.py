"""What goes wrong at a station: stray scans, gloves, long words, little room."""

from dataclasses import replace

import msgspec
import pytest

from edge.station.station_view import LinkView
from edge.station.unassigned import Machine
from edge.station.work import Andon, Stop
from edge.terminal.session import Key
from protocols.jobs import JobOperation, Step, StepKind, Text
from protocols.lifecycles import RunState
from protocols.states import ItemState, OperationMode
from tests.edge.terminal.terminals import Terminal, line_with
from tests.edge.workcells import PLACE, SECOND, STEPS, T0, operation

CODE = "2-1187"
"""Begins with a digit that would choose something."""
VARIANT = {
    "depth": "657",
    "height": "815",
    "shelves": "5",
    "width": "946",
    "colour": "RAL 7035 light grey",
    "lock": "code lock",
}


def working(*keys: str, **options: object) -> Terminal:
    terminal = Terminal(operation(steps=STEPS), **options)  # type: ignore[arg-type]
    terminal.work(stops={"s-1": Stop("s-1", "press-1", T0 - 120 * SECOND)})
    terminal.press("f5", *keys)
    return terminal


def made_to_measure(key: str = "op-1", **options: object) -> JobOperation:
    """An operation whose product says nothing about its variant."""
    plain = operation(key, **options)  # type: ignore[arg-type]
    return msgspec.structs.replace(plain, product=Text("Steel cabinet", "钢制柜"), variant=VARIANT)


# --- the scanner ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["f6", "f7", "f8"])
def test_a_code_scanned_where_a_number_chooses_does_nothing_but_say_so(key: str) -> None:
    terminal = working(key)
    before = terminal.cell.work
    terminal.scan(CODE)
    assert terminal.cell.work == before
    assert f'✗ refused: "{CODE}" is none of the entries here' in terminal.text()
    terminal.seconds += 5
    terminal.press("enter", "f4")  # a scanner that sends two line ends, a person who goes on
    assert terminal.cell.work == before


def test_a_code_scanned_into_a_quantity_is_said_and_forgotten() -> None:
    terminal = working("f2", "f4")
    terminal.scan(CODE)
    assert f'✗ refused: "{CODE}" is no quantity' in terminal.text()
    assert "good ►3" in terminal.text()
    terminal.scan("4006381333931")
    assert "good ►3" in terminal.text()
    terminal.press("tab")
    terminal.scan("77")
    assert "✗ refused: 80 pieces are more than the 3 left of 4" in terminal.text()
    assert "good  3" in terminal.text() and "scrap ►0" in terminal.text()


@pytest.mark.parametrize("key", ["", "f1", "f4", "f6", "f7", "f8", "f10"])
def test_a_badge_is_known_on_every_screen(key: str) -> None:
    terminal = working(*([key] if key else []))
    before = terminal.cell.work
    terminal.scan("@M3")
    assert "⛭ M3" in terminal.screen()[0]
    assert terminal.cell.work == before


@pytest.mark.parametrize("value", ["1E99999", "1_000", "4006381333931", "٢٥", "inf", "25.1.1", "--2"])
def test_a_code_is_no_measurement(value: str) -> None:
    terminal = working()
    terminal.scan("TOOL-88")
    before = terminal.cell.work
    terminal.scan(value)
    assert terminal.cell.work == before
    assert "✗ refused:" in terminal.text()


def test_a_measurement_outside_its_limits_is_kept_but_not_praised() -> None:
    terminal = working()
    terminal.scan("TOOL-88")
    terminal.scan("25.6")
    assert line_with(terminal.screen(), "step 3: 25.6 is OUTSIDE its limits → undo with F9")
    terminal.session.notice = None
    assert line_with(terminal.screen(), "step 3: 25.6 is OUTSIDE its limits → undo with F9")


# --- the glove ------------------------------------------------------------------------------------------


def held(terminal: Terminal, key: str, presses: int, every: float) -> None:
    for _ in range(presses):
        terminal.session.press(Key(key))
        terminal.settle()
        terminal.seconds += every


def test_a_double_press_starts_and_does_not_pause() -> None:
    terminal = Terminal(operation(steps=STEPS))
    held(terminal, "f5", 2, 0.15)
    assert terminal.session.run is not None
    assert terminal.session.run.state is RunState.RUNNING


def test_a_key_held_down_does_not_run_through_the_phases() -> None:
    terminal = Terminal(operation())
    held(terminal, "f4", 40, 0.03)
    assert terminal.session.run is not None
    assert terminal.session.run.state is RunState.SETUP


def test_a_bouncing_key_confirms_one_step_and_books_one_piece() -> None:
    steps = [Step(StepKind.CONFIRM, Text(f"Step {n}", f"步骤{n}"), Text("", "")) for n in range(4)]
    terminal = Terminal(operation(steps=steps))
    terminal.press("f5")
    held(terminal, "f3", 2, 0.1)
    assert "Step 2 of 4" in terminal.text()
    held(terminal, "f2", 2, 0.05)
    assert terminal.cell.progress("op-1").good == 1
    terminal.seconds += 1
    held(terminal, "f2", 2, 0.3)
    assert terminal.cell.progress("op-1").good == 3, "fast fingers count"


def test_what_is_under_way_is_not_asked_for_again_but_pieces_add_up() -> None:
    terminal = working()
    for _ in range(3):
        terminal.seconds += 5
        terminal.session.press(Key("f5"))
        terminal.session.press(Key("f2"))
    assert [command.do for command in terminal.session.outgoing] == ["pause", "book", "book", "book"]


def test_a_refused_completion_comes_back_with_its_numbers() -> None:
    terminal = working("f4", "2")
    terminal.work(progress={"op-1": msgspec.structs.replace(terminal.cell.progress("op-1"), good=3)})
    terminal.press("f4")
    assert "✗ refused: 2 pieces are more than the 1 left of 4" in terminal.text()
    assert "good ►2" in terminal.text()


@pytest.mark.parametrize("key", ["", "f1", "f4", "f6", "f7", "f10"])
def test_help_is_one_key_away_on_every_screen(key: str) -> None:
    terminal = working(*([key] if key else []))
    before = terminal.screen()[1:17]
    assert line_with(terminal.screen(), "F8 help!")
    terminal.press("f8")
    assert "Call for help" in terminal.text()
    terminal.press("f8")
    assert terminal.screen()[1:17] == before


# --- little room ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("size", [(80, 24), (64, 20), (40, 15)])
def test_the_state_is_whole_however_much_else_is_to_be_said(language: str, size: tuple[int, int]) -> None:
    down = Machine("press-1", ItemState.OUT_OF_SERVICE, OperationMode.NONE, T0, connected=True)
    stopped = LinkView(online=True, cloud=False, last_ack=T0 - 40 * 3600 * SECOND, queued_batches=12345)
    terminal = working(machine=down, link=stopped, language=language)
    calls = {topic: Andon(topic, topic, "", "K7", T0) for topic in PLACE.andon_topics}
    terminal.work(andons=calls)
    top = terminal.screen(*size)[0]
    assert ("▲ fault" if language == "en" else "▲ 故障") in top
    assert "12345" in top and "⚑" in top and ("40 h" if language == "en" else "40 时") in top
    terminal.session.receive(None)
    terminal.seconds += 40
    top = terminal.screen(*size)[0]
    assert ("✕ no data" if language == "en" else "✕ 无数据") in top
    assert ("edge" if language == "en" else "边缘") in top


def test_a_refusal_says_what_to_do_next_on_a_small_screen_too() -> None:
    terminal = working()
    terminal.scan("TOOL-90")
    words = " ".join(line.strip() for line in terminal.screen(40, 15))
    assert "Fetch the right one and scan it." in words


def test_how_to_take_it_back_is_read_on_a_small_screen_too() -> None:
    terminal = working()
    terminal.scan("TOOL-88")
    terminal.scan("25.6")
    assert line_with(terminal.screen(40, 15), "→ undo with F9 (20 s)")


@pytest.mark.parametrize("size", [(80, 24), (40, 15)])
def test_what_makes_a_piece_different_is_never_cut(size: tuple[int, int]) -> None:
    terminal = Terminal(made_to_measure("op-1"))
    words = " ".join(line.strip() for line in terminal.screen(*size))
    assert " · ".join(["depth 657", "height 815", "shelves 5", "width 946"]) in words
    assert "RAL 7035 light grey" in words and "code lock" in words


@pytest.mark.parametrize("size", [(80, 24), (40, 15)])
def test_the_queue_tells_two_variants_of_one_product_apart(size: tuple[int, int]) -> None:
    other = msgspec.structs.replace(
        made_to_measure("op-2", planned_start=T0 + 1), order="24-1190", variant={"width": "700"}
    )
    terminal = Terminal(made_to_measure("op-1"), other)
    terminal.press("f1")
    text = terminal.text(*size)
    assert "24-1187/2" in text and "depth 657" in text
    assert "24-1190/2" in text and "width 700" in text and text.count("Steel cabinet") == 2


def test_a_full_queue_keeps_the_chosen_operation_in_sight_on_a_small_screen() -> None:
    waiting = [operation(f"op-{n}", planned_start=T0 + n) for n in range(40)]
    waiting = [msgspec.structs.replace(op, order=f"24-{n:04}") for n, op in enumerate(waiting)]
    terminal = Terminal(*waiting)
    terminal.press("f1")
    for n in range(40):
        assert "►" in line_with(terminal.screen(40, 15), f"24-{n:04}/2")
        assert "►" in line_with(terminal.screen(80, 24), f"24-{n:04}/2")
        terminal.press("down")


def test_more_reasons_than_digits_can_all_be_given() -> None:
    reasons = {f"r{n}": Text(f"Reason {n}", f"原因{n}") for n in range(1, 15)}
    terminal = working(place=replace(PLACE, stop_reasons=reasons))
    terminal.press("f7", "1", "2")
    assert "► 12  Reason 12" in terminal.text() and "► 12  Reason 12" in terminal.text(40, 15)
    terminal.press("enter")
    assert terminal.cell.work.stops["s-1"].reason == "r12"


def test_arrows_choose_too() -> None:
    terminal = working("f7", "down", "down", "enter")
    assert terminal.cell.work.stops["s-1"].reason == "tool"


def test_limits_and_the_wrong_value_are_both_read_in_the_big_layout() -> None:
    terminal = working()
    terminal.scan("TOOL-88")
    terminal.scan("123456789.12")
    text = terminal.text(40, 15)
    assert "25.0 ± 0.3 mm" in text and "✗ 1234567…" in text


def test_a_longer_instruction_takes_the_room_there_is_in_the_big_layout() -> None:
    words = "6 shelves 1106 mm wide, 137 mm from one to the next"
    steps = [Step(StepKind.CONFIRM, Text("Fit the shelves", "装层板"), Text(words, words))]
    terminal = Terminal(operation(steps=steps))
    terminal.press("f5")
    assert words in " ".join(line.strip() for line in terminal.screen(40, 15))


def test_the_number_grows_with_the_screen_in_the_big_layout() -> None:
    terminal = working("f11")
    blocks = [sum(c in "█▀▄" for c in line) for line in terminal.screen(80, 24)]
    small = [sum(c in "█▀▄" for c in line) for line in terminal.screen(40, 15)]
    assert sum(count > 0 for count in blocks) == 9 and sum(count > 0 for count in small) == 3
    assert sum(blocks) > 6 * sum(small)


def test_the_key_that_confirms_a_step_is_named_whole_in_chinese() -> None:
    text = "程序已调用。启动前先在屏幕上核对排样，" * 3
    steps = [Step(StepKind.CONFIRM, Text("Load", "调用程序"), Text(text, text))]
    terminal = Terminal(operation(steps=steps), language="zh")
    terminal.press("f5")
    assert "按 F3 确认" in terminal.text()


# --- the shift ------------------------------------------------------------------------------------------


def test_the_next_shift_sees_the_word_left_for_it_without_asking() -> None:
    terminal = working("f10", *"tool worn", "enter")
    assert "tool worn" not in terminal.text(), "who wrote it knows it"
    terminal.scan("@M3")
    assert "✎" in line_with(terminal.screen(), "K7: tool worn")
    terminal.seconds += 13 * 3600
    terminal.look()
    assert "tool worn" not in terminal.text()
