"""``onelot driver watch`` against real simulators that fall silent, refuse and come back."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from typer.testing import CliRunner, Result

from drivers.driver import Driver
from drivers.profile.files import load_profile
from drivers.registry import driver_type
from drivers.simulator import Fault, ProfileServer
from edge.commission.change_lines import ChangeLines, chosen, stamp
from edge.commission.following import follow
from edge.commission.live_screen import Heading
from edge.commission.live_table import LiveTable
from edge.commission.main import app
from edge.commission.watch_app import WatchApp
from protocols.values import Quality, Reading, Reason
from tests.house.test_documents import lay_out

PROFILES = Path(__file__).parents[2] / "drivers" / "profiles"
MODBUS = PROFILES / "contract-modbus.yaml"
OPCUA = PROFILES / "contract-opcua.yaml"
QUICK = {"timeout": 0.2}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["watch", *arguments])


def watching(server: ProfileServer, options: dict[str, Any] | None = None) -> WatchApp:
    """The app over a simulator, which need not answer."""
    profile, clock = server.profile, time.monotonic
    table = LiveTable(profile, [name for name, tag in profile.tags.items() if tag.readable], clock())

    def make() -> Driver[Any]:
        return driver_type(profile.protocol).create(server.url, profile, options or QUICK)

    heading = Heading("Contract", server.url)
    return WatchApp(heading, table, lambda hears: follow("contract", make, hears, lambda: 0.1), clock)


def screen(app: WatchApp) -> str:
    widget = app.widget
    return "\n".join(widget.render_line(y).text.rstrip() for y in range(widget.size.height))


async def until(pilot: Pilot[None], fits: str | Callable[[str], bool], seconds: float = 20) -> str:
    """Wait until words are on the screen; raises AssertionError showing it."""
    shown = pilot.app
    assert isinstance(shown, WatchApp)
    try:
        async with asyncio.timeout(seconds):
            while True:
                text = screen(shown)
                if fits(text) if callable(fits) else fits in text:
                    return text
                await pilot.pause(0.02)
    except TimeoutError:
        raise AssertionError(f"{fits!r} did not come:\n{screen(shown)}") from None


# --- the screen -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("file", "options"), [(MODBUS, QUICK), (OPCUA, {"security": "none"})])
async def test_values_are_on_the_screen_as_they_change(file: Path, options: dict[str, Any]) -> None:
    async with driver_type(load_profile(file).protocol).serve(load_profile(file)) as server:
        server.set("count", 7)
        async with watching(server, options).run_test(size=(100, 20)) as pilot:
            text = await until(pilot, lambda text: "● connected" in text and "count        7" in text)
            assert "● good" in text
            server.set("count", 8)
            await until(pilot, "count        8")
            await pilot.press("slash", *"count", "enter")
            text = await until(pilot, "1 shown")
            assert "temperature" not in text
            await pilot.press("q")


async def test_a_silent_machine_is_lost_with_its_reason_and_comes_back() -> None:
    async with driver_type("modbus").serve(load_profile(MODBUS)) as server:
        watched = watching(server)
        async with watched.run_test(size=(120, 20)) as pilot:
            await until(pilot, "● connected")
            server.fault = Fault.SILENT
            text = await until(pilot, "✕ lost for")
            assert "no reply within 0.2 s" in text
            assert "● good" not in text
            server.fault = None
            text = await until(pilot, lambda text: "● connected" in text and "● good" in text)
            assert "lost 1 time before" in text


async def test_an_address_that_is_refused_is_the_only_error_shown() -> None:
    async with driver_type("modbus").serve(load_profile(MODBUS)) as server:
        server.fail("missing", Reason.ILLEGAL_ADDRESS)
        async with watching(server).run_test(size=(120, 20)) as pilot:
            await until(pilot, "1 ✕ bad")
            await pilot.press("e")
            text = await until(pilot, "1 shown")
            assert "missing" in text
            assert "temperature" not in text


async def test_a_machine_that_is_not_there_is_tried_until_it_is() -> None:
    server = driver_type("modbus").serve(load_profile(MODBUS))
    async with server:
        port = server.port
    server.port = port
    async with watching(server).run_test(size=(120, 20)) as pilot:
        await until(pilot, "connection refused")
        async with server:
            await until(pilot, "● connected")


# --- without a screen -----------------------------------------------------------------------------------


def lines_of(
    readings: Sequence[Reading], *, as_json: bool = False, problems: dict[str, str] | None = None
) -> list[str]:
    said: list[str] = []
    profile = load_profile(MODBUS)
    lines = ChangeLines(profile, {"count", "ratio"}, lambda: 1_700_000_000_123_456, said.append, as_json)
    lines.problems = problems or {}
    for reading in readings:
        lines.deliver([reading])
    return said


def test_only_changes_of_the_chosen_tags_are_said() -> None:
    bad = Reading("count", None, Quality.BAD, Reason.TIMEOUT)
    readings = [
        Reading("count", 1),
        Reading("count", 1),
        Reading("setpoint", 3.0),
        bad,
        bad,
        Reading("count", 1),
    ]
    said = lines_of(readings, problems={"count": "no reply"})
    time_of_day = "2023-11-14T22:13:20.123Z"
    assert said == [
        f"{time_of_day}  count  1",
        f"{time_of_day}  count  ✕  timeout: no reply",
        f"{time_of_day}  count  1",
    ]


def test_a_json_line_holds_everything() -> None:
    (line,) = lines_of([Reading("ratio", 0.5, Quality.UNCERTAIN, Reason.STALE)], as_json=True)
    assert json.loads(line) == {
        "time": stamp(1_700_000_000_123_456),
        "tag": "ratio",
        "value": 0.5,
        "unit": "",
        "quality": "uncertain",
        "reason": "stale",
        "problem": "",
    }


def test_the_same_loss_is_said_once() -> None:
    said: list[str] = []
    lines = ChangeLines(load_profile(MODBUS), set(), lambda: 0, said.append)
    for event, text in (("lost", "refused"), ("lost", "refused"), ("connected", "x"), ("lost", "refused")):
        lines.event(event, text)
    assert [line.split("  ")[1] for line in said] == ["lost: refused", "connected: x", "lost: refused"]


def test_tags_are_chosen_by_name_or_pattern() -> None:
    profile = load_profile(MODBUS)
    assert list(chosen(profile, ["r*", "count"])) == ["count", "ratio", "running", "ready"]
    with pytest.raises(KeyError, match="did you mean count"):
        list(chosen(profile, ["cuont"]))


def test_lines_of_a_machine_that_falls_silent() -> None:
    async def both() -> Result:
        async with driver_type("modbus").serve(load_profile(MODBUS)) as server:
            server.set("count", 7)
            words = (server.url, "count", "--profile", str(MODBUS), "--json", "--seconds", "3")
            running = asyncio.create_task(asyncio.to_thread(run, *words, "--option", "timeout=0.2"))
            asyncio.get_running_loop().call_later(1.0, setattr, server, "fault", Fault.SILENT)
            return await running

    result = asyncio.run(both())
    assert result.exit_code == 0, result.output
    said = [json.loads(line) for line in result.stdout.splitlines()]
    assert said[0]["event"] == "connected"
    assert (said[1]["tag"], said[1]["value"], said[1]["quality"]) == ("count", 7, "good")
    assert any(line.get("quality") == "bad" for line in said)
    assert any(line.get("event") == "lost" and "no reply" in line["text"] for line in said)


def test_a_device_of_an_edge_is_watched_by_its_id(tmp_path: Path) -> None:
    lay_out(tmp_path)
    site = tmp_path / "site.yaml"

    async def both() -> Result:
        profile = load_profile(tmp_path / "profiles/acme/press.yaml")
        async with driver_type("modbus").serve(profile) as server:
            site.write_text(site.read_text("utf-8").replace("modbus://127.0.0.1:15020", server.url), "utf-8")
            return await asyncio.to_thread(run, str(tmp_path / "edge.yaml"), "state", "--seconds", "1")

    result = asyncio.run(both())
    assert "state  0  idle" in result.stdout
    wrong = run(str(tmp_path / "edge.yaml"), "--device", "pres-1")
    assert "did you mean press-1?" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["modbus://x"], "add --profile FILE or NAME"),
        (["press.yaml"], '"press.yaml" is no address and no file'),
        ([str(MODBUS)], f"onelot driver watch URL --profile {MODBUS}"),
        (["modbus://x", "cuont", "--profile", str(MODBUS)], "did you mean count?"),
        (["modbus://x", "--profile", str(MODBUS), "--option", "tiemout=1"], "did you mean timeout?"),
        (["modbus://x", "--profile", str(MODBUS), "--device", "press-1"], "leave it out with an address"),
    ],
)
def test_what_cannot_be_watched_is_said_in_a_line(arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert words in result.stderr


def started(*arguments: str) -> subprocess.Popen[str]:
    code = "from edge.commission.main import app; app()"
    command = [sys.executable, "-c", code, "watch", *arguments]
    root = Path(__file__).parents[3]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root)


def test_ctrl_c_ends_it_without_a_traceback() -> None:
    with started("modbus://127.0.0.1:9", "--profile", str(MODBUS)) as process:
        assert process.stdout is not None
        assert "connection refused" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "\nstopped\n")


def test_a_reader_that_has_seen_enough_ends_it() -> None:
    async def both() -> tuple[int, str]:
        async with driver_type("modbus").serve(load_profile(MODBUS)) as server:
            process = started(server.url, "--profile", str(MODBUS))
            assert process.stdout is not None
            assert process.stderr is not None
            await asyncio.to_thread(process.stdout.readline)
            process.stdout.close()
            for count in range(1, 100):
                server.set("count", count)
                if process.poll() is not None:
                    break
                await asyncio.sleep(0.1)
            errors = await asyncio.to_thread(process.stderr.read)
            process.stderr.close()
            return await asyncio.to_thread(process.wait, 10), errors

    assert asyncio.run(both()) == (0, "")
