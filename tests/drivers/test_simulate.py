"""``driver simulate``: moving, derived states, replay of recorded measurements, units, scripted faults."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from drivers.derive import state_word
from drivers.driver import DeviceLost
from drivers.faults import parse_spell
from drivers.profile.files import check_profile, load_profile
from drivers.profile.profile import AnyProfile
from drivers.recorded_table import CannotReplay, unpack
from drivers.registry import driver_type
from drivers.replay import Recording, read_recording, read_recordings
from drivers.simulate import Script, is_loopback, simulate
from drivers.simulator import Fault, Movement, ProfileServer
from protocols.documents import parse
from protocols.values import Quality, Reason, Value

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "firmware_configs" / "profiles"
CNC = Path(os.environ.get("ONELOT_SHARED", ROOT.parent / "shared")) / "data" / "pdm" / "cnc_mill"
MILL = check_profile(
    parse(
        """
vendor: A
model: Mill
protocol: modbus
tags:
  feed: {address: "holding:0", type: float32, unit: mm/min}
  program: {address: "holding:2", type: uint16}
  step: {address: "holding:3", type: string, length: 20}
  current: {address: "holding:20", type: int16, scale: 0.1, unit: A}
""",
        "mill",
    )
)
NAMES = {
    "M1_CURRENT_FEEDRATE": "feed",
    "M1_CURRENT_PROGRAM_NUMBER": "program",
    "Machining_Process": "step",
    "X1_OutputCurrent": "current",
}


class Told:
    """What the simulation said, and the first address of it."""

    def __init__(self) -> None:
        self.events: list[Mapping[str, Any]] = []
        self._news = asyncio.Event()

    def __call__(self, text: str, data: Mapping[str, Any]) -> None:
        self.events.append(data)
        self._news.set()

    async def until(self, event: str, number: int = 1) -> list[Mapping[str, Any]]:
        async with asyncio.timeout(20):
            while len(found := [e for e in self.events if e["event"] == event]) < number:
                self._news.clear()
                await self._news.wait()
        return found


@contextlib.asynccontextmanager
async def simulating(profile: AnyProfile, script: Script, units: int = 1) -> Any:
    told = Told()
    task = asyncio.create_task(simulate(profile, "127.0.0.1", 0, units, script, told, step=0.05))
    try:
        serving = await told.until("serving", units)
        yield [event["url"] for event in serving], told
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("name", ["retrofit/io-block", "danfoss/fc-302", "opcfoundation/packml"])
def test_a_machine_without_a_state_tag_is_simulated_in_all_its_states(name: str) -> None:
    profile = load_profile(LIBRARY / f"{name}.yaml")
    movement = Movement(profile)
    seen: list[str] = []
    for minute in range(8 * 20):
        word = state_word(profile.derive["state"], movement.values(minute * 60.0), profile.tags)
        assert word is not None
        seen.append(word.state)
    executing = [word for word in seen if profile.states[word].item_state == "executing"]
    assert len(executing) >= len(seen) * 0.7
    assert len(set(seen)) >= 2


def test_a_counter_wraps_where_its_profile_says() -> None:
    text = """
vendor: A
model: B
protocol: modbus
tags: {count: {address: "holding:0", type: uint16, role: counter, counter: {max: 99}}}
"""
    movement = Movement(check_profile(parse(text, "b")))
    assert [movement.values(float(n))["count"] for n in (98, 99, 100, 350)] == [98, 99, 0, 50]


# --- recordings -----------------------------------------------------------------------------------------


def played(text: str, mapping: Mapping[str, str] | None = None) -> Recording:
    return read_recording(text.encode(), MILL, mapping or {}, 0.1)


def test_columns_play_into_tags_of_their_name_at_their_times() -> None:
    recording = played("time,Feed,PROGRAM,other\n10,1.5,2.0,x\n11,2.5,3,x\n13,,4,x\n")
    assert recording.unused == ["other"]
    assert recording.length == 5
    assert recording.values(0) == {"feed": 1.5, "program": 2}
    assert recording.values(2.9) == {"feed": 2.5, "program": 3}
    assert recording.values(3) == {"program": 4}  # an empty cell changes nothing
    assert recording.values(5.5) == {"feed": 1.5, "program": 2}
    assert recording.values(5.5, loop=False) is None


def test_rows_without_times_are_evenly_spaced() -> None:
    recording = played("feed\n1\n2\n3\n")
    assert [recording.values(t) for t in (0.05, 0.15, 0.25)] == [{"feed": 1}, {"feed": 2}, {"feed": 3}]
    assert recording.length == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("text", "mapping", "says"),
    [
        ("a,b\n1,2\n", {}, "no column is named like a tag"),
        ("a\n1\n", {"a": "fed"}, "did you mean feed"),
        ("a\n1\n", {"b": "feed"}, 'no column "b"'),
        (
            "feed,program\n1,70000\nx,3\n",
            {},
            r"line 2, column program: 70000 does not fit(.|\n)*line 3, column feed",
        ),
        ("time,feed\n2,1\n1,1\n", {}, "times must not go back"),
        ("time,feed\nnoon,1\n", {}, '"noon" is no time'),
        ("feed\n", {}, "no rows"),
    ],
)
def test_a_recording_that_does_not_fit_says_where(text: str, mapping: dict[str, str], says: str) -> None:
    with pytest.raises(CannotReplay, match=says):
        played(text, mapping)


def test_a_gzipped_recording_is_unpacked_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unpack(gzip.compress(b"feed\n1\n")) == b"feed\n1\n"
    with pytest.raises(CannotReplay, match="broken"):
        unpack(gzip.compress(b"feed" * 100)[:-20])
    monkeypatch.setattr("drivers.recorded_table.MAX_BYTES", 1000)
    with pytest.raises(CannotReplay, match="larger"):
        unpack(gzip.compress(b"0" * 5000))


@pytest.mark.skipif(
    not (CNC / "experiment_01.csv.gz").exists(),
    reason=f"no CNC mill runs in {CNC}: Kaggle shasun/tool-wear-detection-in-cnc-mill",
)
async def test_a_run_of_a_real_mill_is_read_from_the_simulator() -> None:
    data = unpack((CNC / "experiment_01.csv.gz").read_bytes())
    recording = read_recording(data, MILL, NAMES, 0.1)
    assert len(recording.rows) == 1055
    steps = {row["step"] for row in recording.rows}
    seen: set[Value] = set()
    async with (
        simulating(MILL, Script((), {"": recording}, speed=50)) as ((url,), _),
        driver_type("modbus").create(url, MILL) as driver,
        asyncio.timeout(20),
    ):
        while len(seen) < 4:
            readings = {r.path: r for r in await driver.read(list(MILL.tags))}
            assert {r.quality for r in readings.values()} == {Quality.GOOD}
            seen.add(readings["step"].value)
            await asyncio.sleep(0.05)
    assert seen - {""} <= steps


async def test_a_recording_that_is_played_once_ends_the_simulation() -> None:
    told = Told()
    async with asyncio.timeout(20):
        await simulate(MILL, "127.0.0.1", 0, 1, Script((), {"": played("feed\n1\n2\n")}, loop=False), told)
    assert [event["event"] for event in told.events] == ["serving", "ended"]


EXACT = check_profile(
    parse(
        """
vendor: A
model: Pump
protocol: modbus
tags:
  cycle: {address: "holding:0", type: uint32, sampling: 0.02}
  flow: {address: "holding:2", type: float64, sampling: 0.02}
  head: {address: "holding:200", type: float64, word_order: CDAB, sampling: 0.02}
""",
        "pump",
    )
)
NUMBERS = [0.1, 1 / 3, -2.5e-308, 1.7976931348623157e308, 5e-324, 0.30000000000000004]


def pumps() -> str:
    """Two pumps with numbers that no short decimal is; one value is missing."""
    lines = ["pump,cycle,flow,head"]
    for n, number in enumerate(NUMBERS, 1):
        head = "" if n == 3 else repr(-number)
        lines += [f"b,{n},{number!r},{head}", f"a,{n},{number / 7!r},{number / 3!r}"]
    return "\n".join(lines)


def test_a_column_tells_machines_apart() -> None:
    recordings = read_recordings(pumps().encode(), EXACT, {}, 0.1, "pump")
    assert list(recordings) == ["b", "a"]
    assert [row.get("flow") for row in recordings["b"].rows] == NUMBERS
    assert recordings["a"].times == pytest.approx([0.1 * n for n in range(6)])
    assert recordings["a"].unused == []
    with pytest.raises(CannotReplay, match='no column "pomp" — did you mean pump'):
        read_recordings(pumps().encode(), EXACT, {}, 0.1, "pomp")


def test_a_parquet_file_plays_as_the_same_table_in_csv() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = {
        "pump": ["a"] * len(NUMBERS),
        "cycle": [float(n) for n in range(len(NUMBERS))],
        "flow": NUMBERS,
        "head": [None, float("nan"), *NUMBERS[2:]],
    }
    file = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table(table), file)
    (recording,) = read_recordings(file.getvalue().to_pybytes(), EXACT, {}, 0.1, "pump").values()
    assert [row["flow"] for row in recording.rows] == NUMBERS
    assert [row["cycle"] for row in recording.rows] == list(range(len(NUMBERS)))
    assert [row.get("head") for row in recording.rows] == [None, None, *NUMBERS[2:]]
    with pytest.raises(CannotReplay, match="cannot be read as Parquet"):
        read_recordings(b"PAR1 and nothing else", EXACT, {}, 0.1)


async def test_every_row_is_read_to_the_last_bit_however_slowly() -> None:
    """Two requests a poll, rows ten times as quick as the reader: nothing is passed over."""
    recordings = read_recordings(pumps().encode(), EXACT, {}, 0.002, "pump")
    script = Script((), recordings, loop=False, every_row=True)
    async with simulating(EXACT, script) as (_, told), asyncio.timeout(20):
        serving = await told.until("serving", 2)
        assert [event["machine"] for event in serving] == ["b", "a"]
        for event in serving:
            rows: list[tuple[Value, Value, Value]] = []
            async with driver_type("modbus").create(event["url"], EXACT) as driver:
                while len(rows) < len(NUMBERS):
                    cycle, flow, head = await driver.read(["cycle", "flow", "head"])
                    if not rows or rows[-1][0] != cycle.value:
                        rows.append((cycle.value, flow.value, head.value))
                    await asyncio.sleep(0.02)
            wanted = recordings[event["machine"]].rows
            assert rows == [(row["cycle"], row["flow"], row.get("head")) for row in wanted]
        await told.until("ended")


async def test_a_machine_that_cannot_tell_what_was_read_plays_by_the_clock_alone() -> None:
    profile = load_profile(LIBRARY / "siemens" / "s7-1500.yaml")
    recordings = read_recordings(b"load\n1\n2\n", profile, {}, 0.1)
    with pytest.raises(ValueError, match="opcua machine does not tell what has been read"):
        await simulate(profile, "127.0.0.1", 0, 1, Script((), recordings, every_row=True), Told())


# --- units and faults -----------------------------------------------------------------------------------


async def test_units_share_a_port_and_differ() -> None:
    profile = load_profile(LIBRARY / "eastron" / "sdm120.yaml")
    async with simulating(profile, Script(), units=3) as (urls, _):
        assert len({url.partition("?")[0] for url in urls}) == 1
        assert [url.partition("?")[2] for url in urls] == ["unit=1", "unit=2", "unit=3"]
        values = []
        for url in urls:
            async with driver_type("modbus").create(url, profile) as driver:
                values.append((await driver.read(["power"]))[0].value)
        assert len(set(values)) == 3


async def test_machines_on_opc_ua_have_a_port_each() -> None:
    profile = load_profile(LIBRARY / "siemens" / "s7-1500.yaml")
    async with simulating(profile, Script(), units=2) as (urls, _):
        assert len(set(urls)) == 2
        for url in urls:
            async with driver_type("opcua").create(url, profile, {"security": "none"}) as driver:
                assert (await driver.read(["load"]))[0].quality is Quality.GOOD


async def test_a_modbus_server_misbehaves_as_told_and_recovers() -> None:
    profile = load_profile(LIBRARY / "eastron" / "sdm120.yaml")
    kind, options = driver_type("modbus"), {"timeout": 0.3, "lost_after": 1}
    server: ProfileServer = kind.serve(profile)
    async with server:
        server.set("power", 5.0)
        server.fault = Fault.ILLEGAL
        async with kind.create(server.url, profile, options) as driver:
            (reading,) = await driver.read(["power"])
            assert (reading.quality, reading.reason) == (Quality.BAD, Reason.ILLEGAL_ADDRESS)
        for fault in (Fault.SILENT, Fault.SLOW, Fault.DISCONNECT):
            server.fault = None
            async with kind.create(server.url, profile, options) as driver:
                server.fault = fault
                with pytest.raises(DeviceLost):
                    await driver.read(["power"])
        server.fault = None
        async with kind.create(server.url, profile, options) as driver:
            assert (await driver.read(["power"]))[0].value == 5.0


async def test_faults_come_and_go_as_the_script_says() -> None:
    profile = load_profile(LIBRARY / "eastron" / "sdm120.yaml")
    script = Script([parse_spell("illegal@0+100ms/400ms")])
    async with simulating(profile, script) as (_, told):
        faults = [event["fault"] for event in await told.until("fault", 4)]
    assert faults[:4] == ["illegal", None, "illegal", None]


async def test_who_listens_to_the_network_is_warned() -> None:
    told = Told()
    task = asyncio.create_task(simulate(MILL, "0.0.0.0", 0, 1, Script(), told))
    try:
        (warning,) = await told.until("warning")
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert "can be reached from other machines" in warning["text"]
    assert [is_loopback(h) for h in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.0.0.4")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_events_are_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    from drivers.simulate import printer

    printer(True, print)("silent", {"event": "fault", "fault": "silent"})
    assert json.loads(capsys.readouterr().out) == {"event": "fault", "fault": "silent"}
