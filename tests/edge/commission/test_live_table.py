"""The live table and its screen without a terminal: readings, keys and a clock go in, text comes out."""

from __future__ import annotations

from rich.cells import cell_len

from drivers.modbus.profile import ModbusProfile
from drivers.profile.profile import AnyProfile
from edge.commission.live_screen import Heading, View, paint
from edge.commission.live_table import Level, LiveTable, counts, picked, spoken_age
from edge.terminal.painting import text_of
from protocols.documents import loads
from protocols.values import Quality, Reading, Reason

PROFILE: AnyProfile = loads(
    """
    vendor: Acme
    model: Press
    protocol: modbus
    modbus: {word_order: ABCD}
    tags:
      state: {address: "holding:0", type: uint16, sampling: 0.5, enum: {0: idle, 1: running}}
      force: {address: "holding:2", type: float32, unit: kN, sampling: 0.1}
      l1/voltage: {address: "holding:4", type: float32, unit: V, sampling: 1}
      slow: {address: "holding:6", type: uint16, sampling: 60}
    """,
    ModbusProfile,
    "press.yaml",
)
REFUSED = Reading("force", None, Quality.BAD, Reason.ILLEGAL_ADDRESS)


def table(*, subscribes: bool = False, problems: dict[str, str] | None = None) -> LiveTable:
    made = LiveTable(PROFILE, list(PROFILE.tags), 0.0)
    made.reached(0.0, problems if problems is not None else {}, subscribes=subscribes)
    return made


def fed(made: LiveTable, name: str, every: float, until: float, value: float = 1.0) -> None:
    for n in range(1, round(until / every) + 1):
        made.deliver([Reading(name, value)], n * every)


def screen(made: LiveTable, view: View, now: float, width: int = 90, height: int = 14) -> str:
    lines = [text_of(line) for line in paint(Heading("Press", "modbus://x"), made, view, now, width, height)]
    assert len(lines) == height
    assert {cell_len(line) for line in lines} == {width}
    return "\n".join(line.rstrip() for line in lines)


# --- what is known --------------------------------------------------------------------------------------


def test_a_machine_is_there_when_it_answers_and_not_when_it_accepts() -> None:
    made = table()
    assert "◐ accepts connections, but no value has come for 2.0 s" in screen(made, View(), 2.0)
    made.deliver([Reading("force", None, Quality.BAD, Reason.TIMEOUT)], 2.0)
    assert "but no value" in screen(made, View(), 3.0)
    made.deliver([REFUSED], 3.0)
    assert "● connected for 1.0 s" in screen(made, View(), 4.0)


def test_rates_and_ages_are_those_of_the_clock() -> None:
    made = table()
    fed(made, "force", 0.1, 3.0)
    force = made.shown(3.15)[1]
    assert (force.value, force.rate, force.age, force.level) == ("1 kN", "10.0/s", "0.1 s", Level.WELL)


def test_what_comes_too_rarely_is_slow_and_what_stops_is_late() -> None:
    made = table()
    fed(made, "force", 0.5, 5.0)
    slow = made.shown(5.0)[1]
    assert (slow.problem, slow.level) == ("▼ slow: 10.0/s wanted", Level.ODD)
    late = made.shown(30.0)[1]
    assert late.problem == "▼ late: wanted 10.0/s"
    assert late.age == "25 s"
    assert late.rate != slow.rate, "a rate falls when nothing comes"


def test_a_machine_that_reports_changes_only_is_never_late() -> None:
    made = table(subscribes=True)
    fed(made, "force", 0.5, 5.0)
    assert made.shown(500.0)[1].problem == ""


def test_a_bad_tag_says_why_in_the_drivers_latest_words() -> None:
    problems = {"force": "the device refuses this address"}
    made = table(problems=problems)
    made.deliver([REFUSED], 1.0)
    assert made.shown(2.0)[1].problem == "illegal address: the device refuses this address"
    problems["force"] = "no reply within 1 s"
    assert "no reply within 1 s" in made.shown(2.0)[1].problem


def test_a_lost_machine_shows_no_value_and_counts_its_losses() -> None:
    made = table()
    made.deliver([Reading("state", 1)], 1.0)
    made.lost(5.0, "closed by the device", 2.0)
    assert made.shown(6.0)[0].value == "✕"
    assert made.shown(6.0)[0].problem == "not connected"
    made.lost(7.5, "connection refused", 2.0)
    shown = screen(made, View(), 8.0)
    assert "✕ lost for 3.0 s, tried again in 2 s: connection refused" in shown
    made.reached(9.0, {}, subscribes=False)
    made.deliver([Reading("state", 1)], 9.0)
    assert "● connected for 0.0 s · lost 1 time before" in screen(made, View(), 9.0)


def test_a_machine_that_was_never_there_was_not_lost() -> None:
    made = LiveTable(PROFILE, ["state"], 0.0)
    assert "○ connecting for 1.0 s" in screen(made, View(), 1.0)
    made.lost(1.0, "connection refused", 0.5)
    assert "✕ not reached for 0.5 s" in screen(made, View(), 1.5)


def test_a_machine_that_hangs_up_again_and_again_keeps_its_reason_on_the_screen() -> None:
    made = table()
    made.deliver([Reading("state", 1)], 1.0)
    made.lost(5.0, "no reply within 1 s", 2.0)
    made.reached(7.0, {}, subscribes=False)
    assert "◐ accepts connections, but no value has come for 3.0 s: no reply within 1 s" in screen(
        made, View(), 8.0
    )
    made.lost(9.0, "no reply within 1 s", 2.0)
    assert "✕ lost for 5.0 s" in screen(made, View(), 10.0)


def test_only_what_was_asked_for_is_shown() -> None:
    made = LiveTable(PROFILE, ["state"], 0.0)
    made.deliver([REFUSED, Reading("state", 0)], 1.0)
    assert [row.tag for row in made.shown(1.0)] == ["state"]


# --- what is picked -------------------------------------------------------------------------------------


def test_rows_are_picked_by_a_part_of_their_name_or_a_pattern() -> None:
    rows = table().shown(0.0)
    assert [row.tag for row in picked(rows, "VOLT", errors_only=False)] == ["l1/voltage"]
    assert [row.tag for row in picked(rows, "s*", errors_only=False)] == ["state", "slow"]


def test_errors_only_hides_what_is_well_and_what_was_not_read_yet() -> None:
    made = table()
    made.deliver([REFUSED, Reading("state", 0), Reading("slow", 1, Quality.UNCERTAIN, Reason.STALE)], 1.0)
    rows = made.marked(1.0)
    assert [(row.tag, row.level) for row in rows] == [(row.tag, row.level) for row in made.shown(1.0)]
    assert [row.tag for row in picked(rows, "", errors_only=True)] == ["force", "slow"]
    assert counts(rows) == {Level.NOTHING: 1, Level.WELL: 1, Level.ODD: 1, Level.BAD: 1}


def test_ages_are_short() -> None:
    assert [spoken_age(s) for s in (0.0, 9.94, 100, 600, 7200)] == [
        "0.0 s",
        "9.9 s",
        "100 s",
        "10 min",
        "2 h",
    ]


# --- keys -----------------------------------------------------------------------------------------------


def test_keys_filter_pause_and_quit() -> None:
    made, view = table(), View()
    made.deliver([REFUSED, Reading("state", 1)], 1.0)
    assert view.press("e", "e", made, 1.0)
    shown = screen(made, view, 1.0)
    assert "force" in shown
    assert "running" not in shown
    view.press("e", "e", made, 1.0)
    view.press("p", "p", made, 1.0)
    made.deliver([Reading("state", 0)], 2.0)
    shown = screen(made, view, 3.0)
    assert "1  running" in shown
    assert "‖ paused 2.0 s ago" in shown
    view.press("p", "p", made, 3.0)
    assert "0  idle" in screen(made, view, 3.0)
    assert not view.press("q", "q", made, 3.0)


def test_a_filter_takes_every_key_until_it_is_kept_or_dropped() -> None:
    made, view = table(), View()
    for key in ("slash", "q", "e", "backspace"):
        assert view.press(key, key if len(key) == 1 else None, made, 1.0)
    assert (view.typing, view.pattern, view.errors_only) == (True, "q", False)
    assert 'no tag fits "q"' in screen(made, view, 1.0)
    view.press("enter", None, made, 1.0)
    assert (view.typing, view.pattern) == (False, "q")
    assert view.press("escape", None, made, 1.0), "the first Esc drops the filter"
    assert view.pattern == ""
    assert not view.press("escape", None, made, 1.0)


def test_a_long_table_scrolls_and_stops_at_its_ends() -> None:
    made, view = table(), View()
    shown = screen(made, view, 1.0, height=9)
    assert "1–2 of 4" in shown
    for key in ("end", "down"):
        view.press(key, None, made, 1.0)
    assert "3–4 of 4" in screen(made, view, 1.0, height=9)
    for key in ("home", "up"):
        view.press(key, None, made, 1.0)
    assert "1–2 of 4" in screen(made, view, 1.0, height=9)


def test_nothing_wrong_is_said_in_words() -> None:
    made, view = table(), View(errors_only=True)
    made.deliver([Reading(name, 1) for name in PROFILE.tags], 1.0)
    assert "● nothing is wrong with the 4 tags" in screen(made, view, 1.0)


def test_a_narrow_screen_keeps_the_problem_and_a_tiny_one_does_not_break() -> None:
    made = table(problems={"force": "the device refuses this address"})
    made.deliver([REFUSED], 1.0)
    shown = screen(made, View(), 1.0, width=60)
    assert "illegal address: the device" in shown
    assert "rate" not in shown
    for width, height in ((20, 8), (10, 4), (5, 1)):
        screen(made, View(), 1.0, width, height)


def test_another_machine_than_the_profiles_is_said_above_the_table() -> None:
    made = table()
    made.differs = 'press-1 is not what its profile was made for: firmware "1.0" found'
    assert '▲ press-1 is not what its profile was made for: firmware "1.0" found' in screen(made, View(), 1.0)


def test_columns_do_not_jump_when_a_value_gets_shorter() -> None:
    made, view = table(), View()
    made.deliver([Reading("force", 1234.567)], 1.0)
    before = screen(made, view, 1.0).splitlines()[4].index("quality")
    made.deliver([Reading("force", 1.0)], 1.1)
    assert screen(made, view, 1.1).splitlines()[4].index("quality") == before
