"""``onelot driver check --live`` against machines that answer, refuse, fall silent or are others."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from drivers.driver import Driver
from drivers.profile.files import load_profile
from drivers.registry import driver_type
from drivers.simulator import Fault, ProfileServer
from edge.commission.acceptance import judged
from edge.commission.file_check import check_files
from edge.commission.live_check import observe
from edge.commission.main import app
from edge.config import shown_address
from edge.watching import content_hash
from tests.house.test_documents import lay_out

PRESS = """\
vendor: Acme
model: Press <b>40</b>
protocol: modbus
modbus: {unit: 1, word_order: CDAB}
verified: simulator
identification:
  checks: [{address: "holding:900", type: uint16, equals: 417, description: type code}]
tags:
  state: {address: "holding:0", type: uint16, sampling: 0.1, role: state, enum: {0: idle, 1: running}}
  force: {address: "holding:20", type: int16, scale: 0.1, unit: kN, sampling: 0.1, access: read-write}
  code: {address: "holding:40", type: uint16, sampling: 0.1}
templates:
  phase:
    at: {l1: 0, l2: 2, l3: 4}
    tags: {voltage: {address: "input:0", type: float32, unit: V, sampling: 0.1}}
states:
  idle: {item_state: not_executing}
  running: {item_state: executing}
writes:
  force: {min: 0, max: 90, precondition: {tag: state, equals: 0}}
"""


@pytest.fixture
def press(tmp_path: Path) -> Path:
    path = tmp_path / "press.yaml"
    path.write_text(PRESS, "utf-8")
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments])


def at(file: Path, *arguments: str, prepare: Callable[[ProfileServer], None] = lambda server: None) -> Result:
    """``check`` of a profile against its simulator, which was prepared before."""

    async def both() -> Result:
        profile = load_profile(file)
        async with driver_type(profile.protocol).serve(profile) as server:
            prepare(server)
            url = arguments or ("--live", server.url)
            words = [server.url if word == "URL" else word for word in url]
            return await asyncio.to_thread(run, str(file), *words)

    return asyncio.run(both())


def silent(server: ProfileServer) -> None:
    server.fault = Fault.SILENT


def illegal(server: ProfileServer) -> None:
    server.fault = Fault.ILLEGAL


def test_a_machine_is_read_once_and_said_tag_by_tag(press: Path) -> None:
    result = at(press, "--live", "URL", prepare=lambda server: server.set("state", 1))
    assert result.exit_code == 0, result.output
    assert "0 errors, 6 tags checked" in result.stdout
    assert re.search(r"^  state +1 +● good +running$", result.stdout, re.MULTILINE)
    assert re.search(r"^  l3/voltage +0 V +● good$", result.stdout, re.MULTILINE)
    assert "● passed: 0 of 6 tags bad, 0 deviations" in result.stdout
    assert "none was sent" in result.stdout


def test_json_of_a_live_check_is_one_object(press: Path) -> None:
    result = at(press, "--live", "URL", "--json", "--seconds", "0.5")
    said: dict[str, Any] = json.loads(result.stdout)
    assert said["passed"] is True
    assert said["watched_seconds"] >= 0.5
    assert {tag["tag"]: tag["quality"] for tag in said["tags"]}["l1/voltage"] == "good"
    assert all(tag["rate"] > 0 for tag in said["tags"])
    assert "watching for 0.5 s" in result.stderr


def test_an_illegal_address_fails_and_the_others_are_read_all_the_same(press: Path) -> None:
    result = at(press, "--live", "URL", prepare=lambda server: server.fail("code"))
    assert result.exit_code == 1
    assert "✕ bad" in result.stdout
    assert "✕ not passed: 1 of 6 tags bad" in result.stdout


def test_a_machine_that_refuses_every_read_is_no_right_machine(press: Path) -> None:
    result = at(press, "--live", "URL", prepare=illegal)
    assert result.exit_code == 1
    assert "▲ type code has no good value (illegal address), 417 expected" in result.stdout
    assert "6 of 6 tags bad" in result.stdout


def test_a_silent_machine_is_one_line_and_no_report(press: Path, tmp_path: Path) -> None:
    report = tmp_path / "sheet.html"
    arguments = ("--live", "URL", "--option", "timeout=0.1", "--report", str(report))
    result = at(press, *arguments, prepare=silent)
    assert result.exit_code == 1
    assert "no reply within 0.1 s" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.output
    assert not report.exists()


def test_another_machine_fails_though_every_tag_is_good(press: Path) -> None:
    other = press.with_name("other.yaml")
    other.write_text(PRESS.replace("equals: 417", "equals: 12"), "utf-8")

    async def both() -> Result:
        profile = load_profile(other)
        async with driver_type("modbus").serve(profile) as server:
            return await asyncio.to_thread(run, str(press), "--live", server.url)

    result = asyncio.run(both())
    assert result.exit_code == 1
    assert "▲ type code reads 12, 417 expected" in result.stdout
    assert "0 of 6 tags bad, 1 deviation" in result.stdout


async def test_a_machine_that_is_lost_while_watched_fails(press: Path) -> None:
    profile = load_profile(press)
    async with driver_type("modbus").serve(profile) as server:

        def say(text: str) -> None:
            if text.startswith("watching"):
                server.fault = Fault.SILENT

        def make() -> Driver[Any]:
            return driver_type("modbus").create(server.url, profile, {"timeout": 0.1})

        found = judged(profile, await observe(make, 60, say))
    assert (found.bad, found.passed) == (6, False)
    assert found.deviations[0][0] == "machine"
    assert re.match(r"lost after \d+\.\d s: no reply within 0.1 s", found.deviations[0][1])


def test_the_sheet_says_everything_and_nothing_in_it_is_markup(press: Path, tmp_path: Path) -> None:
    report = tmp_path / "sheet.html"
    result = at(press, "--live", "URL", "--report", str(report), prepare=lambda server: server.fail("code"))
    assert result.exit_code == 1
    page = report.read_text("utf-8")
    for words in (
        "✕ not passed",
        "Press &lt;b&gt;40&lt;/b&gt;",
        "modbus://127.0.0.1:",
        " UTC",
        "verified on the simulator only",
        "l2/voltage",
        "0 to 90",
        "state = 0",
        "Not tested by this check",
        "Integrator",
        "Production",
        "Signature",
    ):
        assert words in page, words
    assert "<b>40" not in page
    assert "http" not in page, "it needs nothing else"
    assert content_hash(press.read_bytes()) in page


def test_a_password_in_an_address_is_not_shown() -> None:
    assert shown_address("vda5050://me:secret@broker:1883/u/m/s") == "vda5050://broker:1883/u/m/s"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seconds", "3"], "add --live URL"),
        (["--live", "10.0.0.1"], '"10.0.0.1" is no address'),
        (["--live", "modbus://x", "--report", "/no/such/folder/s.html"], "there is no folder"),
        (["--live", "modbus://x", "--option", "tiemout=1"], "did you mean timeout?"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(press: Path, arguments: list[str], words: str) -> None:
    result = run(str(press), *arguments)
    assert result.exit_code == 1
    assert words in result.stderr


def test_a_wrong_file_is_never_taken_to_a_machine(press: Path) -> None:
    press.write_text(PRESS.replace("uint16", "uint17", 1), "utf-8")
    result = run(str(press), "--live", "modbus://127.0.0.1:9")
    assert result.exit_code == 1
    assert "did you mean uint16?" in result.stdout
    assert "connecting" not in result.stderr


# --- files of other kinds -------------------------------------------------------------------------------


def test_templates_count_as_the_tags_they_stand_for(press: Path) -> None:
    assert sum(check_files([press]).tags.values()) == 6


def test_an_edge_is_checked_with_its_files_and_a_device_is_asked_by_its_id(
    tmp_path: Path,
) -> None:
    lay_out(tmp_path)
    assert "0 errors, 12 tags checked" in run(str(tmp_path)).stdout
    found = run(str(tmp_path / "edge.yaml"))
    assert (found.exit_code, found.stdout) == (0, "0 errors, 4 tags checked\n")
    site = tmp_path / "site.yaml"

    async def both() -> tuple[Result, Result]:
        profile = load_profile(tmp_path / "profiles/acme/press.yaml")
        async with driver_type("modbus").serve(profile) as server:
            site.write_text(site.read_text("utf-8").replace("modbus://127.0.0.1:15020", server.url), "utf-8")
            edge = str(tmp_path / "edge.yaml")
            right = await asyncio.to_thread(run, edge, "--live", "press-1")
            return right, await asyncio.to_thread(run, edge, "--live", "pres-1")

    right, wrong = asyncio.run(both())
    assert right.exit_code == 0, right.output
    assert "Press 1 at modbus://127.0.0.1" in right.stdout
    assert "did you mean press-1?" in wrong.stderr


def test_a_mistake_in_a_profile_of_an_edge_is_said_once(tmp_path: Path) -> None:
    lay_out(tmp_path)
    profile = tmp_path / "profiles/acme/press.yaml"
    profile.write_text(profile.read_text("utf-8").replace("scale:", "scael:"), "utf-8")
    result = run(str(tmp_path / "edge.yaml"), str(profile.resolve()))
    assert result.exit_code == 1
    assert result.stdout.count("did you mean scale?") == 1


def test_a_release_list_is_checked_with_its_programs(tmp_path: Path) -> None:
    (tmp_path / "releases.yaml").write_text("releases: [{program: O1, file: O1.nc}]", "utf-8")
    result = run(str(tmp_path))
    assert result.exit_code == 1
    assert 'missing key "sha256"' in result.stdout


def test_files_of_the_cloud_are_left_to_the_cloud(tmp_path: Path) -> None:
    lay_out(tmp_path)
    result = run(str(tmp_path / "cloud.yaml"))
    assert result.exit_code == 0
    assert "onelot cloud --config" in result.stderr
