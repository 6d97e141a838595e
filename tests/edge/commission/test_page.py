"""docs/commissioning.md does what it says: its commands are typed against the simulators that it starts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from drivers.modbus.simulator import ModbusServer
from drivers.profile.files import load_profile
from tests.edge.commission.background import onelot_driver, serving

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "commissioning.md").read_text("utf-8")
SIMULATED = dict(re.findall(r"driver simulate (\S+) --port (\d+)", PAGE))
LINES = re.findall(
    r"^\$ onelot driver ((?:probe|read|write) .*127\.0\.0\.1.*)\n((?:(?!\$|```).*\n)*)", PAGE, re.MULTILINE
)
FREE = r"\d+ ms|[0-9a-f-]{36}|-?\d+(\.\d+)?"
"""What differs from one time to the next."""


def test_the_page_has_commands_to_type() -> None:
    assert {line.split()[0] for line, _ in LINES} == {"probe", "read", "write"}


@pytest.mark.parametrize(("line", "shown"), LINES)
def test_a_command_of_the_page_says_what_the_page_shows(line: str, shown: str) -> None:
    (port,) = set(re.findall(r"127\.0\.0\.1:(\d+)", line))
    (name,) = [name for name, at in SIMULATED.items() if at == port]
    profile = load_profile(ROOT / "firmware_configs" / "profiles" / f"{name}.yaml")
    with serving(lambda: ModbusServer(profile)) as server:
        for tag, value in (("state", 3), ("remote_enabled", True)):
            if tag in profile.tags:
                server.set(tag, value)
        typed = shlex.split(line.replace(port, str(server.port)))
        result = onelot_driver(*typed, answer="y\n" if typed[0] == "write" else None)
    assert result.exit_code == 0, result.output
    said = result.output.replace(str(server.port), port)
    for row in (row.strip() for row in shown.splitlines()):
        expected = row.removesuffix("y") if row.endswith("[y/N] y") else row
        if expected and expected != "…":
            assert re.sub(FREE, "#", expected.strip()) in re.sub(FREE, "#", said), said
