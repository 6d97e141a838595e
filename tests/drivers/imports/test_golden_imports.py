"""Tag lists as engineers had them: each folder of tests/golden/imports is imported and compared.

``command.txt`` holds the arguments; ``expected.yaml`` the profile, when there is one; ``said.txt`` what the
command printed: how the list was read, every line that was not taken and why.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from drivers.imports.command import import_list
from drivers.profile.files import load_profile
from drivers.registry import driver_type
from drivers.simulator import Movement

GOLDEN = Path(__file__).parents[2] / "golden" / "imports"
SCENARIOS = sorted(folder.name for folder in GOLDEN.iterdir())

app = typer.Typer()
app.command()(import_list)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_list_becomes_the_expected_profile(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(GOLDEN / name, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    arguments = (tmp_path / "command.txt").read_text("utf-8").split()
    result = run(*arguments, "--out", "profile.yaml")
    assert result.output.strip() == (tmp_path / "said.txt").read_text("utf-8").strip()
    expected = tmp_path / "expected.yaml"
    assert result.exit_code == (0 if expected.exists() else 1), result.output
    assert (tmp_path / "profile.yaml").exists() is expected.exists()
    if expected.exists():
        assert (tmp_path / "profile.yaml").read_text("utf-8") == expected.read_text("utf-8")
        again = run(*arguments, "--out", "profile.yaml")
        assert "0 added, 0 changed, 0 removed, 0 kept" in again.output
        assert (tmp_path / "profile.yaml").read_text("utf-8") == expected.read_text("utf-8")


@pytest.mark.parametrize("name", [n for n in SCENARIOS if (GOLDEN / n / "expected.yaml").exists()])
def test_what_was_imported_can_be_simulated(name: str) -> None:
    profile = load_profile(GOLDEN / name / "expected.yaml")
    server = driver_type(profile.protocol).serve(profile)
    shown = Movement(profile).values(10.0)
    assert set(shown) == {n for n, tag in profile.tags.items() if not tag.writable}
    server.update(shown)
    for path, value in shown.items():
        got = server.get(path)
        assert got == (pytest.approx(value, rel=1e-6) if isinstance(value, float) else value), path


def test_there_are_scenarios_for_every_kind_of_list() -> None:
    kinds = {(GOLDEN / name / "command.txt").read_text("utf-8").split()[0] for name in SCENARIOS}
    assert kinds == {"csv", "xlsx", "tia", "kepware", "nodeset", "sunspec"}
