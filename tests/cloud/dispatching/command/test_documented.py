"""Every command of ``docs/dispatching.md`` runs as it stands, and says what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cloud.dispatching.command.main import COMMANDS, app

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "dispatching.md").read_text("utf-8")


def test_the_commands_of_the_page_run_one_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in re.findall(r"```text\n# (\S+)\n(.*?)```", PAGE, re.DOTALL):
        Path(name).write_text(text, "utf-8")
    Path("shops").mkdir()
    Path("shops/shop.txt").write_text(Path("shop.txt").read_text("utf-8"), "utf-8")
    Path("best.csv").write_text("instance,best_known\nshop,6\n", "utf-8")
    ran = set()
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, shown = step.partition("\n")
            words = shlex.split(line)
            assert words[:2] == ["onelot", "dispatch"]
            result = CliRunner().invoke(app, words[2:])
            assert result.exit_code == 0, f"{line}\n{result.output}"
            ran.add(words[2])
            wanted = re.sub(r"\d+\.\d+ s\b", "… s", shown)
            assert re.sub(r"\d+\.\d+ s\b", "… s", result.stdout).startswith(wanted), line
    assert ran >= {"solve", "validate", "bench", "convert"}


def test_the_page_tells_every_command() -> None:
    for name in COMMANDS:
        assert f"`{name} " in PAGE or f"`onelot dispatch {name}" in PAGE
