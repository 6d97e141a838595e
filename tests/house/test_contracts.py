"""The import contracts hold, and each of them can fail: a contract that cannot break protects nothing."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMES = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]

# Imports that break every contract at least once ...
FORBIDDEN = {
    "protocols/planted.py": "import drivers\nimport sqlite3",
    "drivers/planted.py": "import paho.mqtt.client",
    "edge/planted.py": "import sqlalchemy\nimport textual.app\nimport sklearn",
    "cloud/planted.py": "import asyncua\nfrom ortools.sat.python import cp_model\nimport nicegui",
}
# ... and the same libraries where they belong.
ALLOWED = {
    "protocols/planted.py": "import msgspec",
    "drivers/planted.py": "import asyncua\nimport protocols",
    "edge/planted.py": "import drivers\nimport paho.mqtt.client\nimport sqlite3",
    "edge/terminal/planted.py": "import textual.app",
    "cloud/planted.py": "import protocols\nimport sqlalchemy",
    "cloud/dispatching/solving/exact/cp_model.py": "from ortools.sat.python import cp_model",
    "cloud/web/planted.py": "import nicegui",
    "cloud/maintenance/planted.py": "import sklearn",
}


def _lint(folder: Path) -> tuple[dict[str, str], str]:
    """Contract name -> KEPT or BROKEN, and the whole output."""
    program = (
        "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as c; c()"
    )
    command = [sys.executable, "-c", program, "--no-cache", "--no-logo"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90, check=False)
    flat = re.sub(r"\s+", " ", result.stdout)
    verdicts = {name: match[1] for name in NAMES if (match := re.search(re.escape(name) + r" (\w+)", flat))}
    return verdicts, result.stdout + result.stderr


def _plant(folder: Path, sources: dict[str, str]) -> Path:
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name in ("protocols", "drivers", "edge", "cloud"):
        (folder / name).mkdir()
    for name, source in sources.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source)
    packages = {parent for name in sources for parent in Path(name).parents}
    for place in packages - {Path()}:
        (folder / place / "__init__.py").touch()
    return folder


def test_the_house_keeps_its_contracts() -> None:
    verdicts, output = _lint(ROOT)
    assert verdicts == dict.fromkeys(NAMES, "KEPT"), output


def test_each_contract_can_break(tmp_path: Path) -> None:
    verdicts, output = _lint(_plant(tmp_path, FORBIDDEN))
    assert verdicts == dict.fromkeys(NAMES, "BROKEN"), output


def test_each_library_is_allowed_where_it_belongs(tmp_path: Path) -> None:
    verdicts, output = _lint(_plant(tmp_path, ALLOWED))
    assert verdicts == dict.fromkeys(NAMES, "KEPT"), output
