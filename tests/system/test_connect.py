"""*Connect your first machine*, typed as it stands on its page: two commands to a live value in the API."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.system.processes import ROOT, Process, quiet_port, until

PAGE = ROOT / "docs" / "connect.md"
COMMANDS = re.findall(r"^\$ (onelot .+)$", PAGE.read_text("utf-8"), re.MULTILINE)

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def typed(command: str) -> list[str]:
    """A documented command as it is run here: this Python, the checkout's `onelot`."""
    program, *arguments = shlex.split(command)
    assert program == "onelot"
    return [sys.executable, "-m", "onelot", *arguments]


@contextmanager
def from_the_checkout(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The commands run in other folders, with this checkout's code."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    yield


def run(command: str, folder: Path) -> str:
    done = subprocess.run(typed(command), cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_folder(folder: Path, command: str) -> list[str]:
    """The same command as a process that works in a folder."""
    return ["env", "-C", str(folder), *typed(command)]


async def _simulated(folder: Path, command: str) -> Process:
    simulator = Process("simulator", in_folder(folder, command), folder / "simulator.log")
    simulator.start()

    async def says_so() -> bool:
        simulator.check()
        return "tags at" in simulator.tail()

    await until(says_so, "the simulator listens", 60)
    return simulator


async def _on_the_page(folder: Path, page: str, device: str) -> dict[str, object]:
    """Values of a device by tag, out of the API, once one has come."""
    login = folder / "cloud-data" / "first-login.txt"

    async def values() -> dict[str, object]:
        if not login.exists():
            return {}
        words = dict(line.split(": ", 1) for line in login.read_text().splitlines() if ": " in line)
        async with httpx.AsyncClient(base_url=f"{page}/api/v1", trust_env=False) as http:
            try:
                answer = await http.post(
                    "/session", json={"user": words["user"], "password": words["password"]}
                )
                http.headers["Authorization"] = f"Bearer {answer.json()['token']}"
                tags = (await http.get("/tags", params={"device": device})).json()
            except httpx.HTTPError:
                return {}
        return {tag["path"].removeprefix(f"{device}/"): tag["value"] for tag in tags if tag["quality"] == 0}

    return await until(values, f"values of {device}", 90, 0.3)


def _on_ports_of_its_own(folder: Path) -> str:
    """Other tests may run beside this one: ports that nobody else has. The page's address."""
    http, api, broker = quiet_port(), quiet_port(), quiet_port()
    for name, changes in (
        ("cloud.yaml", {"8080": http, "1883": broker}),
        ("edge.yaml", {"8801": api, "1883": broker}),
    ):
        text = (folder / name).read_text("utf-8")
        for before, port in changes.items():
            assert before in text
            text = text.replace(before, str(port))
        (folder / name).write_text(text, "utf-8")
    return f"http://127.0.0.1:{http}"


def test_the_page_has_these_commands() -> None:
    assert [command.split()[1:3] for command in COMMANDS] == [
        ["driver", "simulate"],
        ["driver", "add"],
        ["driver", "add"],
        ["up"],
    ]


async def test_two_commands_bring_a_machine_to_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate, add, _, up = COMMANDS
    folder = tmp_path / "workshop"
    folder.mkdir()
    port = str(quiet_port())
    with from_the_checkout(monkeypatch):
        simulator = await _simulated(tmp_path, simulate.replace("15021", port))
        trial = Process("up", in_folder(folder, up), tmp_path / "up.log")
        try:
            said = await asyncio.to_thread(run, add.replace("15021", port), folder)
            documented = PAGE.read_text("utf-8")
            for line in said.replace(port, "15021").splitlines():
                assert line in documented, "the page shows what is really said"
            page = _on_ports_of_its_own(folder)
            trial.start()
            values = await _on_the_page(folder, page, "meter-1")
            assert isinstance(values["frequency"], float)

            async def told() -> bool:
                trial.check()
                return "Ctrl-C ends it" in trial.tail()

            await until(told, "up says what it has", 60)
            text = (tmp_path / "up.log").read_text("utf-8")
            assert f"page   {page}" in text
            assert "meter-1  16 of 16 tags have a value" in text
            shown = documented.partition("meter-1  16 of 16")[2].partition("```")[0].splitlines()[1:]
            for line in shown:  # the figures are the simulator's; the names, units and words are said
                name, unit = line.split()[:1], line.split()[2:3]
                assert not name or any(
                    row.split()[:1] + row.split()[2:3] == name + unit for row in text.splitlines()
                )
            assert await trial.stop() == 0
            assert "stopped" in (tmp_path / "up.log").read_text("utf-8")
        finally:
            await trial.stop()
            await simulator.stop()
    assert trial.orphans() == []


async def test_a_second_machine_joins_the_first_over_opc_ua(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "workshop"
    folder.mkdir()
    meter, laser = str(quiet_port()), str(quiet_port())
    with from_the_checkout(monkeypatch):
        simulator = await _simulated(tmp_path, f"onelot driver simulate virtual/laser --port {laser}")
        trial = Process("up", in_folder(folder, "onelot up"), tmp_path / "up.log")
        try:
            first = f"onelot driver add modbus://127.0.0.1:{meter} --profile eastron/sdm630 --name meter-1"
            said = await asyncio.to_thread(run, first, folder)
            assert "answers  not yet: " in said, "a machine may be added before it is switched on"
            site = folder / "site.yaml"
            site.write_text("# our workshop\n" + site.read_text("utf-8"), "utf-8")
            second = COMMANDS[2].replace("15022", laser)
            assert "security=none" in second
            await asyncio.to_thread(run, second, folder)
            assert site.read_text("utf-8").startswith("# our workshop\n")
            page = _on_ports_of_its_own(folder)
            trial.start()
            values = await _on_the_page(folder, page, "laser-1")
            assert {"vibration", "state"} <= values.keys()
        finally:
            await trial.stop()
            await simulator.stop()
    assert trial.orphans() == []


async def test_what_is_in_the_way_is_said_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def up() -> tuple[int, str]:
        done = subprocess.run(
            typed("onelot up"), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    with from_the_checkout(monkeypatch):
        assert await asyncio.to_thread(up) == (
            1,
            "there is no edge.yaml: onelot driver add URL --profile NAME makes one\n",
        )
        run("onelot driver add modbus://127.0.0.1:1 --profile eastron/sdm630", tmp_path)
        page = _on_ports_of_its_own(tmp_path)
        port = int(page.rpartition(":")[2])
        with socket.create_server(("127.0.0.1", port)):
            code, text = await asyncio.to_thread(up)
        assert (code, text) == (
            1,
            f"port {port} is taken by another program: change http: {{port: {port}}} in cloud.yaml\n",
        )
        broker = int(
            (tmp_path / "edge.yaml").read_text().partition("broker:")[2].split("port: ")[1].split()[0]
        )
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", broker)
        async with server:
            code, text = await asyncio.to_thread(up)
        assert code == 1
        assert f"port {broker} is taken by a program that is no MQTT broker" in text
        site = tmp_path / "site.yaml"
        site.write_text(site.read_text("utf-8").replace("title: Hall", "titel: Hall"), "utf-8")
        code, text = await asyncio.to_thread(up)
        assert code == 1
        assert "site.yaml:" in text
        assert "did you mean title?" in text
        assert text.count("did you mean title?") == 1, "both parts read the site; it is said once"
    assert not (tmp_path / "logs").exists()
