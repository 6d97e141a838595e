"""``onelot`` answers without importing what the answer does not need, and says what is missing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import onelot

ROOT = Path(__file__).parents[2]
HEAVY = {
    "alembic", "amqtt", "asyncua", "fastapi", "httpx", "nicegui", "numpy", "ortools", "paho", "psycopg",
    "pydantic", "pymodbus", "rich", "sklearn", "sqlalchemy", "textual", "uvicorn",
}  # fmt: skip


def _onelot(*words: str, prepare: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, after the statements of ``prepare``."""
    program = f"""
import atexit, json, sys
import onelot
{prepare}
sys.argv[1:] = {list(words)!r}
onelot.main()
"""
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


TELL_MODULES = "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))"


def test_help_lists_every_command_and_imports_none() -> None:
    result = _onelot("--help", prepare=TELL_MODULES)
    assert result.returncode == 0, result.stderr
    for name, mount in onelot.COMMANDS.items():
        assert name in result.stdout
        assert mount.help in result.stdout
    imported = set(json.loads(result.stderr))
    assert HEAVY & imported == set()
    assert onelot.PACKAGES & imported == set()


def test_version() -> None:
    result = _onelot("--version")
    assert (result.returncode, result.stdout.split()[0].rstrip(",")) == (0, "onelot")


def test_a_misspelt_command_is_told_the_nearest_one() -> None:
    result = _onelot("clod")
    assert result.returncode == 2
    assert "Did you mean 'cloud'?" in result.stderr


@pytest.mark.parametrize("name", onelot.COMMANDS)
def test_every_command_answers_help(name: str) -> None:
    result = _onelot(name, "--help")
    assert result.returncode == 0, result.stderr
    assert f"onelot {name}" in result.stdout


IMPORTED_EARLY = "import library_of_an_extra\n\ndef command() -> None: ..."
IMPORTED_LATE = "def command() -> None:\n    import library_of_an_extra"


@pytest.mark.parametrize("source", [IMPORTED_EARLY, IMPORTED_LATE], ids=["at import", "while running"])
def test_a_missing_extra_is_named_without_a_traceback(tmp_path: Path, source: str) -> None:
    (tmp_path / "bare_edge.py").write_text(source)
    prepare = f"""
sys.path.insert(0, {str(tmp_path)!r})
onelot.COMMANDS["edge"] = onelot.Mount("bare_edge:command", "edge", onelot.SITE, "Bare.")
"""
    result = _onelot("edge", prepare=prepare)
    assert result.returncode == 2, result.stderr
    assert "`onelot edge` needs the library library_of_an_extra" in result.stderr
    assert "pip install 'onelot[edge]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_module_of_our_own_is_a_bug_and_shows_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = onelot.Mount("cloud.no_such_module:command", "cloud", onelot.SITE, "Broken.")
    monkeypatch.setitem(onelot.COMMANDS, "broken", broken)
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        onelot.load("broken")
