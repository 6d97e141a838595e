"""A machine's answers as a file: recorded through a proxy, played to the same readings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from drivers.driver import ConnectError
from drivers.modbus.profile import Table
from drivers.modbus.simulator import ModbusServer
from drivers.profile.files import check_profile
from drivers.profile.profile import AnyProfile
from drivers.recordings.command import record_device, replay_recording
from drivers.recordings.modbus_frames import Adu, Answers, Frames
from drivers.recordings.player import answering, play
from drivers.recordings.recorder import record
from drivers.recordings.tape import CannotPlay, Frame, Header, Round, Said, Tape, numbers, read, write
from drivers.registry import driver_type
from drivers.simulator import Fault, ProfileServer
from protocols.documents import parse
from protocols.values import Quality, Reason

GOLDEN = Path(__file__).parents[2] / "golden" / "recordings"

METER = """
vendor: Acme
model: Meter
protocol: modbus
modbus: {unit: 7, word_order: CDAB}
tags:
  power: {address: "holding:10", type: float32, unit: W}
  count: {address: "holding:12", type: uint32}
  lost: {address: "holding:14", type: int16}
  label: {address: "holding:20", type: string, length: 8}
  door: {address: "discrete:3", type: bool}
  lamp: {address: "discrete:5", type: bool}
"""
LATHE = """
vendor: Acme
model: Lathe
protocol: opcua
tags:
  load: {address: "ns=1;s=Load", type: float64}
  program: {address: "ns=1;s=Program", type: string}
  broken: {address: "ns=1;s=Broken", type: int32}
"""


def profile(text: str) -> AnyProfile:
    return check_profile(parse(text, "p.yaml"))


async def taped(server: ProfileServer, text: str, script: Any, options: Mapping[str, Any]) -> Tape:
    """Three rounds; ``script`` is called with the number of each that is done."""
    seen: list[Round] = []

    def told(one: Round) -> None:
        seen.append(one)
        script(len(seen))

    lines = await record(server.url, profile(text), text, options, 3, 0.0, told)
    return read(write(lines))


@pytest.mark.parametrize("folder", sorted(f.name for f in GOLDEN.iterdir()))
async def test_a_report_from_a_factory_is_read_as_it_was(folder: str) -> None:
    files = list((GOLDEN / folder).glob("*.jsonl"))
    assert files
    for file in files:
        tape = read(file.read_bytes())
        assert tape.rounds
        assert await play(tape) == []


async def test_a_device_on_modbus_is_recorded_and_played() -> None:
    server = ModbusServer(profile(METER))
    server.illegal.add((Table.HOLDING, 14))
    server.update({"power": 1.5, "count": 70_000, "label": "Halle 3", "door": True})

    def script(number: int) -> None:
        server.set("count", 70_000 + number)
        if number == 1:
            server.fail("power", Reason.DEVICE_FAILURE)

    async with server:
        tape = await taped(server, METER, script, {"timeout": 0.5})
    assert tape.header.options == {"timeout": 0.5}
    assert [len(one.readings) for one in tape.rounds] == [6, 6, 6]
    counts = [said.value for one in tape.rounds for said in one.readings if said.path == "count"]
    assert counts[0] == 70_000
    lost = next(said for said in tape.rounds[0].readings if said.path == "lost")
    assert (lost.quality, lost.reason) == (Quality.BAD, Reason.ILLEGAL_ADDRESS)
    assert any(frame.answer is not None and frame.answer[2:4] == "83" for frame in tape.frames)
    assert await play(tape) == []


async def test_silence_is_recorded_and_played_as_silence() -> None:
    server = ModbusServer(profile(METER))

    def script(number: int) -> None:
        server.fault = Fault.SILENT if number == 1 else None

    async with server:
        tape = await taped(server, METER, script, {"timeout": 0.2, "lost_after": 1})
    assert [bool(one.lost) for one in tape.rounds] == [False, True, False]
    assert any(frame.answer is None for frame in tape.frames)
    assert await play(tape) == []


async def test_a_difference_is_said_with_round_tag_and_both_values() -> None:
    server = ModbusServer(profile(METER))
    async with server:
        tape = await taped(server, METER, lambda _: None, {})
    changed = tape.header.profile.replace("word_order: CDAB", "word_order: ABCD")
    server.set("count", 0)
    tape.rounds[1].readings[1] = Said("count", 5)
    assert await play(tape) == ["round 2: count was 5, is 0"]
    other = Tape(Header(1, "modbus", changed, frames=True), tape.frames, tape.rounds)
    assert await play(other) == ["round 2: count was 5, is 0"]  # zero in any order


async def test_requests_that_another_version_makes_are_answered_from_what_was_read() -> None:
    server = ModbusServer(profile(METER))
    server.illegal.add((Table.HOLDING, 14))
    server.update({"power": 2.5, "count": 9, "label": "A", "door": True})
    async with server:
        tape = await taped(server, METER, lambda _: None, {})
    single = profile(
        METER.replace("word_order: CDAB", "word_order: CDAB, max_gap: 0, max_registers: 4, max_bits: 1")
    )
    async with answering(tape) as address, driver_type("modbus").create(address, single) as driver:
        readings = {r.path: r for r in await driver.read(list(single.tags))}
    assert {p: r.value for p, r in readings.items() if p != "lost"} == {
        "power": 2.5,
        "count": 9,
        "label": "A",
        "door": True,
        "lamp": False,
    }
    assert readings["lost"].reason is Reason.ILLEGAL_ADDRESS


async def test_readings_of_another_protocol_are_played_by_its_simulator() -> None:
    options = {"security": "none"}
    server: ProfileServer = driver_type("opcua").serve(profile(LATHE))
    server.update({"load": 41.5, "program": "P7", "broken": 3})

    def script(number: int) -> None:
        server.set("load", 41.5 + number)
        if number == 1:
            server.fail("broken", Reason.DEVICE_FAILURE)

    async with server:
        tape = await taped(server, LATHE, script, options)
    assert not tape.header.frames
    assert tape.header.options == {}  # words may be passwords
    assert await play(tape) == []
    tape.rounds[0].readings[0] = Said("load", 7.0)
    altered = Tape(tape.header, [], [Round(0, [Said("load", 1.0)]), Round(1, lost="gone")])
    assert await play(altered) == []


async def test_an_unreachable_device_is_said_by_its_own_address() -> None:
    with pytest.raises(ConnectError, match=r"127\.0\.0\.1:9: connection refused"):
        await record("modbus://127.0.0.1:9", profile(METER), METER, {}, 1, 0, lambda _: None)


# --- frames and files -----------------------------------------------------------------------------------


@given(st.lists(st.builds(Adu, st.integers(0, 65535), st.binary(min_size=2, max_size=254))), st.data())
def test_frames_are_cut_wherever_the_stream_is(frames: list[Adu], data: st.DataObject) -> None:
    stream = b"".join(frame.wire() for frame in frames)
    cutter = Frames()
    found: list[Adu] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += cutter.feed(stream[:size])
        stream = stream[size:]
    assert found == frames


@given(st.binary(max_size=200))
def test_what_is_no_modbus_ends_the_cutting(data: bytes) -> None:
    cutter = Frames()
    for frame in cutter.feed(data):
        assert 2 <= len(frame.body) <= 254


def test_answers_come_in_their_order_and_the_last_one_stays() -> None:
    ask = "010300000001"
    answers = Answers([Frame(0, ask, "01030200aa"), Frame(1, ask, None), Frame(2, ask, "01030200bb")])
    bodies = [answers.answer(bytes.fromhex(ask)).body for _ in range(4)]
    assert bodies == [b"\1\3\2\0\xaa", None, b"\1\3\2\0\xbb", b"\1\3\2\0\xbb"]
    assert answers.answer(bytes.fromhex("010300050001")).body is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is no recording"),
        (b"{}\n", "line 1 is not of a recording"),
        (b"\xff\xfe\n", "line 1 is not of a recording"),
        (b'{"type":"frame","t":0,"ask":"01"}\n', "is no recording"),
        (b'{"type":"recording","version":2,"driver":"modbus","profile":""}\n', "version 2"),
        (
            b'{"type":"recording","version":1,"driver":"m","profile":""}\n{"type":"frame","t":0,"ask":"zz"}',
            "no hex",
        ),
    ],
)
def test_what_is_no_recording_says_so(data: bytes, says: str) -> None:
    with pytest.raises(CannotPlay, match=says):
        read(data)


def test_words_of_options_stay_where_they_are() -> None:
    given = {"timeout": "0.5", "lost_after": "3", "password": "12a", "keep": True}
    assert numbers(given) == {"timeout": 0.5, "lost_after": 3, "keep": True}


# --- the commands ---------------------------------------------------------------------------------------

app = typer.Typer()
app.command("record")(record_device)
app.command("replay")(replay_recording)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


async def test_what_is_recorded_is_replayed_by_the_commands(tmp_path: Path) -> None:
    import asyncio

    file, meter = tmp_path / "meter.jsonl", tmp_path / "meter.yaml"
    meter.write_text(METER, "utf-8")
    words = ("--profile", str(meter), "--rounds", "2", "--interval", "0")
    async with ModbusServer(profile(METER)) as server:
        done = await asyncio.to_thread(run, "record", server.url, str(file), *words)
    assert done.exit_code == 0, done.output
    assert "round 2 of 2: 6 tags, 0 bad" in done.output
    assert f"wrote {file}: 2 rounds, " in done.output
    assert b"127.0.0.1" not in file.read_bytes()
    played = await asyncio.to_thread(run, "replay", str(file))
    assert (played.exit_code, played.output) == (0, "2 rounds played, 0 differences\n")
    file.write_bytes(file.read_bytes().replace(b'["count",0', b'["count",4'))
    differs = await asyncio.to_thread(run, "replay", str(file), "--json")
    assert differs.exit_code == 1
    assert json.loads(differs.output)["differences"] == [
        "round 1: count was 4, is 0",
        "round 2: count was 4, is 0",
    ]


def test_a_file_that_is_not_there_or_no_recording_is_named(tmp_path: Path) -> None:
    assert "nowhere.jsonl: No such file" in run("replay", "nowhere.jsonl").output
    other = tmp_path / "other.jsonl"
    other.write_text("hello\n")
    result = run("replay", str(other))
    assert (result.exit_code, f"{other}: line 1 is not of a recording" in result.output) == (1, True)
