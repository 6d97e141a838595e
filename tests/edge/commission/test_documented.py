"""The commands of ``docs/commissioning.md`` that ask a machine, run against the simulator that it starts."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from drivers.profile.files import load_profile
from drivers.registry import driver_type
from drivers.simulator import Movement
from edge.commission.main import app
from tests.house.test_documents import ROOT, lay_out

PAGE = (ROOT / "docs" / "commissioning.md").read_text("utf-8")
ASKING = re.findall(r"^\$ onelot driver (check .*--live .*|watch .*--seconds .*)$", PAGE, re.MULTILINE)


def shape(text: str) -> list[str]:
    """Lines without what differs from run to run: numbers, times, and how wide a column is."""
    words = re.sub(r"\d+(\.\d+)?( s)?|true|false", "#", text)
    return [re.sub(r"\s+", " ", line).strip() for line in words.splitlines()]


def shown_after(command: str) -> str:
    """What the page shows below a command."""
    return PAGE.partition(f"$ onelot driver {command}\n")[2].partition("```")[0].partition("$ ")[0]


@pytest.mark.parametrize("command", ASKING)
def test_what_asks_a_machine_shows_what_the_page_shows(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path)
    monkeypatch.chdir(tmp_path)
    site = tmp_path / "site.yaml"

    async def both() -> Result:
        profile = load_profile(tmp_path / "profiles/acme/press.yaml")
        async with driver_type("modbus").serve(profile) as server:
            server.update(Movement(profile).values(0))
            address = server.url.partition("?")[0]
            site.write_text(site.read_text("utf-8").replace("modbus://127.0.0.1:15020", address), "utf-8")
            words = shlex.split(command.replace("modbus://127.0.0.1:15020", address))
            return await asyncio.to_thread(CliRunner().invoke, app, words)

    result = asyncio.run(both())
    assert result.exit_code == 0, result.output
    if expected := shown_after(command):
        found = shape(result.stdout)
        assert [line for line in shape(expected) if line not in found] == []


def test_there_are_commands_to_run() -> None:
    assert len(ASKING) >= 2
