"""The log of frames: bounded, filtered, held, and on the screen of ``driver watch``."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest

from drivers.driver import Driver
from drivers.profile.files import load_profile
from drivers.registry import driver_type
from drivers.simulator import Fault
from drivers.trace import Traffic
from edge.commission.following import follow
from edge.commission.live_screen import Heading
from edge.commission.live_table import LiveTable
from edge.commission.traffic_log import BYTES, KEPT, TrafficLog, as_json, as_text
from edge.commission.traffic_screen import LogView, paint
from edge.commission.watch_app import WatchApp
from edge.terminal.painting import text_of, width_of
from tests.edge.commission.background import onelot_driver, serving
from tests.edge.commission.test_watch import MODBUS, OPCUA, QUICK, until

ASK = Traffic(True, "03 read holding 0–9", bytes.fromhex("000100000006010300000 00a".replace(" ", "")), "1")
ANSWER = Traffic(False, "03 read holding, 20 bytes", bytes(range(29)), "1", took=0.012)
REFUSED = Traffic(False, "03 read holding: exception 2 illegal data address", b"\x83\x02", "7", failed=True)


def log(*traffic: Traffic) -> TrafficLog:
    clock = count(1_764_081_125_123_000, 1000)
    made = TrafficLog(lambda: next(clock))
    for each in traffic:
        made.add(each)
    return made


def screen(made: TrafficLog, view: LogView, width: int = 80, height: int = 24) -> str:
    lines = paint([], made, view, width, height)
    assert [width_of(line) for line in lines] == [width] * height
    return "\n".join(text_of(line).rstrip() for line in lines)


def test_memory_is_bounded() -> None:
    made = log(*[Traffic(False, "ReadResponse", bytes(3 * BYTES))] * (KEPT + 10))
    assert (len(made.entries), made.total) == (KEPT, KEPT + 10)
    assert {(len(entry.traffic.data), entry.size) for entry in made.entries} == {(BYTES, 3 * BYTES)}
    text = screen(made, LogView())
    assert f"{KEPT + 10:,} frames · the last {KEPT:,} are kept" in text
    assert f"… {3 * BYTES - 3 * 16} bytes more" in text


def test_the_newest_is_below_and_its_bytes_are_shown() -> None:
    text = screen(log(ASK, ANSWER), LogView()).splitlines()
    assert text[3].split() == ["14:32:05.123", "→", "1", "03", "read", "holding", "0–9", "12"]
    assert text[4].split()[-4:] == ["bytes", "12", "ms", "29"]
    assert any(line.startswith("    0  00 01 02 03") for line in text)
    assert "table" in text[-1] and "errors only" in text[-1] and "quit" in text[-1]


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [("unit 7", 1), ("tx", 1), ("HOLDING", 3), ("83 02", 1), ("exception", 1), ("unit 9", 0)],
)
def test_a_filter_finds_unit_direction_words_and_bytes(pattern: str, shown: int) -> None:
    assert len(log(ASK, ANSWER, REFUSED).picked(pattern, errors_only=False)) == shown


def test_keys_hold_filter_and_go_back_to_the_newest() -> None:
    made, view = log(ASK, ANSWER, REFUSED), LogView()
    assert view.press("e", "e", made)
    assert "3 frames · 1 ✕ failed · 1 shown" in screen(made, view)
    view.press("e", "e", made)
    view.press("up", None, made)
    view.press("up", None, made)
    made.add(ANSWER)
    text = screen(made, view)
    assert "‖ held: 1 newer" in text
    assert "    0  00 01 00 00 00 06" in text, "the cursor is on the first frame"
    view.press("end", None, made)
    assert "held" not in screen(made, view)
    for key in ("slash", *"unit 9", "enter"):
        view.press(key, key if len(key) == 1 else None, made)
    assert 'no frame has "unit 9"' in screen(made, view)
    assert view.press("escape", None, made)
    assert not view.press("escape", None, made), "the second one leaves"
    assert not view.press("q", "q", made)
    assert not view.press("t", "t", made)


@pytest.mark.parametrize("size", [(20, 5), (40, 12), (80, 24), (200, 60), (80, 1)])
def test_every_size_of_screen_is_filled(size: tuple[int, int]) -> None:
    for made in (log(), log(*[ASK, ANSWER, REFUSED] * 50)):
        for held in (False, True):
            view = LogView()
            if held:
                view.press("home", None, made)
            screen(made, view, *size)


def test_a_login_is_not_shown() -> None:
    text = screen(log(Traffic(True, "ActivateSessionRequest")), LogView())
    assert "its bytes are not shown: they hold a login" in text


def test_lines_for_people_and_programs() -> None:
    entry = log(ANSWER).entries[0]
    assert as_text(entry).startswith("rx  unit 1  03 read holding, 20 bytes  (12 ms)  00 01 02")
    data = json.loads(as_json(entry, "now"))
    assert data["frame"] == "rx"
    assert (data["unit"], data["took"], data["size"], data["hex"][:6]) == ("1", 0.012, 29, "000102")


async def test_t_shows_the_frames_of_a_machine_and_goes_back() -> None:
    profile = load_profile(MODBUS)
    async with driver_type("modbus").serve(profile) as server:
        clock = count()
        made = TrafficLog(lambda: next(clock))

        def make() -> Driver[Any]:
            driver = driver_type("modbus").create(server.url, profile, QUICK)
            driver.trace = made.add
            return driver

        table = LiveTable(profile, list(profile.tags), 0.0)
        shown = WatchApp(
            Heading("Contract", server.url),
            table,
            lambda hears: follow("contract", make, hears, lambda: 0.1),
            lambda: 1.0,
            log=made,
        )
        async with shown.run_test(size=(80, 24)) as pilot:
            await until(pilot, "● connected")
            await pilot.press("t")
            await until(pilot, lambda text: "→" in text and "read holding" in text and "0  00" in text)
            await pilot.press("e")
            await until(pilot, "nothing has failed")
            server.fault = Fault.SILENT
            await until(pilot, "no reply within 0.2 s")
            await pilot.press("t")
            await until(pilot, "quality")
            await pilot.press("t", "q")


@pytest.mark.parametrize(
    ("file", "options", "words"),
    [(MODBUS, [], "read holding"), (OPCUA, ["--option", "security=none"], "CreateSubscriptionRequest")],
)
def test_trace_writes_every_frame_without_a_screen(file: object, options: list[str], words: str) -> None:
    profile = load_profile(file)  # type: ignore[arg-type]
    with serving(lambda: driver_type(profile.protocol).serve(profile)) as server:
        asked = ("watch", server.url, "--profile", str(file), "--seconds", "1.5", "--trace", *options)
        lines = [json.loads(line) for line in onelot_driver(*asked, "--json").stdout.splitlines()]
        text = onelot_driver(*asked).stdout
    frames = [line for line in lines if "frame" in line]
    assert any(words in frame["what"] and frame["hex"] for frame in frames)
    assert {frame["frame"] for frame in frames} == {"tx", "rx"}
    assert words in text
    assert any("tag" in line for line in lines)
