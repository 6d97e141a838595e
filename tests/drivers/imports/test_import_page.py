"""``docs/import.md``, word by word: its lists in an empty folder, its commands as typed, what they say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge.commission.main import app

PAGE = (Path(__file__).parents[3] / "docs" / "import.md").read_text("utf-8")


def test_its_commands_say_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lists = re.findall(r"```csv\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
    assert [name for name, _ in lists] == ["press.csv", "press-2.csv"]
    for name, text in lists:
        (tmp_path / name).write_text(text, "utf-8")
    shown = "".join(re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL))
    commands = shown.split("$ onelot driver ")[1:]
    assert len(commands) == 3
    for command in commands:
        line, _, output = command.partition("\n")
        result = CliRunner().invoke(app, shlex.split(line))
        assert (result.exit_code, result.output) == (0, output)
