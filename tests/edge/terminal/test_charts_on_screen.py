"""What the operator sees of control charts: the warning, a measurement that is due again, a lot on hold."""

from dataclasses import replace as having

from msgspec.structs import replace

from edge.terminal.frame import paint
from edge.terminal.painting import width_of
from protocols.inspection import Held, Notice
from protocols.jobs import JobOperation
from tests.edge.terminal.terminals import Terminal, line_with
from tests.edge.test_inspection import FLANGE
from tests.edge.workcells import PLACE, SECOND, STEPS, T0, operation, predecessor


def planned(key: str = "op-1", **more: object) -> JobOperation:
    frequent = replace(FLANGE, frequency="every 2")
    return replace(operation(key, steps=STEPS), inspection=(frequent,), **more)


def measuring() -> Terminal:
    terminal = Terminal(planned())
    terminal.press("f5")
    terminal.scan("TOOL-88")
    return terminal


def test_a_value_beyond_the_process_is_a_hold_at_once_in_both_languages() -> None:
    terminal = measuring()
    terminal.scan("25.22")
    said = line_with(terminal.screen(), "■ HOLD Measure flange 25.22: beyond 3 sigma")
    assert "What follows" in said
    terminal.press("f12")
    assert line_with(terminal.screen(), "■ 扣留 测量翻边 25.22：超出 3σ")
    terminal.press("f12", "f9")
    assert "HOLD" not in terminal.text()


def test_it_is_seen_in_every_layout() -> None:
    terminal = measuring()
    terminal.scan("25.22")
    for language in ("en", "zh"):
        terminal.session.language = language
        for size in ((80, 24), (40, 15), (120, 40)):
            lines = paint(terminal.session, *size)
            assert [width_of(line) for line in lines] == [size[0]] * size[1]
            text = "\n".join("".join(span.text for span in line) for line in lines)
            assert ("HOLD" if language == "en" else "扣留") in text, size


def test_every_second_piece_is_asked_for_again() -> None:
    terminal = measuring()
    terminal.scan("25.01")
    assert "measure again" not in terminal.text()
    terminal.press("f3")  # the other step
    terminal.press("f2", "f2")
    assert line_with(terminal.screen(), "► measure again: piece 3")
    terminal.scan("25.02")
    assert "measure again" not in terminal.text()


def test_a_lot_on_hold_says_so_in_the_queue_and_why() -> None:
    why = Held("17", "Flange 25.42 mm: above the tolerance", "折边 25.42 mm：超出公差上限")
    terminal = Terminal(planned(held=(why,)))
    assert line_with(terminal.screen(), "► on hold, nonconformance 17: Flange 25.42 mm")
    terminal.press("f5")
    assert line_with(terminal.screen(), "✗ refused")
    terminal.press("f1")
    assert line_with(terminal.screen(), "■ on hold")
    terminal.press("f12")
    assert line_with(terminal.screen(), "■ 扣留")


def test_what_a_machine_measured_is_told_too() -> None:
    notice = Notice(
        "force", T0, "Bending force: the weighted mean is beyond its limit", "折弯力：加权均值超限"
    )
    terminal = Terminal(planned(notices=(notice,)))
    terminal.press("f5")
    assert line_with(terminal.screen(), "▲ Bending force: the weighted mean is beyond its limit.")


def next_to_it() -> Terminal:
    """The lot was measured here, and its next operation waits here too; S1 may release lots."""
    lot = replace(planned(), job="A-1")
    after = replace(
        operation("op-2", predecessors=[predecessor("op-1", edge="machining")], planned_start=T0 + SECOND),
        job="A-1",
    )
    terminal = Terminal(lot, after, place=having(PLACE, releasers=("S1",)))
    terminal.press("f5")
    terminal.scan("TOOL-88")
    terminal.scan("25.42")
    return terminal


def test_what_was_measured_here_holds_the_next_operation_without_the_service() -> None:
    terminal = next_to_it()
    terminal.press("f1")
    assert line_with(terminal.screen(), "■ on hold")
    assert line_with(terminal.screen(), "on hold, measured here: Flange 25.42 mm")


def test_who_may_releases_it_at_the_terminal_with_a_reason() -> None:
    terminal = next_to_it()
    terminal.press("f1", "f3")
    assert "■ on hold, measured here: Flange 25.42 mm" in terminal.text()
    assert "May decide here: S1." in " ".join(terminal.text().split())
    terminal.press("1", "enter")
    assert "use as is: why?" in terminal.text()
    terminal.press(*"measured again", "enter")
    assert "K7 may not release a lot here, S1 may" in " ".join(terminal.text().split())
    terminal.session.actor = "S1"
    terminal.press("f3", "1", "enter", *"measured again", "enter")
    assert "lot released" in terminal.text()
    assert "on hold" not in terminal.text()
    terminal.press("f12")
    assert "批次已放行" in terminal.text()


def test_where_nobody_may_release_there_is_no_such_key() -> None:
    why = Held("17", "Flange", "折边", "measured-1")
    terminal = Terminal(planned(held=(why,)))
    terminal.press("f1")
    assert "release" not in terminal.text()
