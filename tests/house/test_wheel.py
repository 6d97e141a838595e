"""What is built is what was written: the wheel holds every file of the house and nothing else."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSIDE = ("protocols", "drivers", "edge", "cloud", "firmware_configs", "onelot.py")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("onelot-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_house(names: set[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(INSIDE)


@pytest.mark.parametrize(
    "suffix", [".py", ".yaml", ".yml", ".json", ".css", ".js", ".tcss", ".svg", ".xml", ".mo", ".html"]
)
def test_no_file_is_dropped(names: set[str], suffix: str) -> None:
    sources = [ROOT / "onelot.py"] if suffix == ".py" else []
    for folder in INSIDE[:-1]:
        sources += (ROOT / folder).rglob(f"*{suffix}")
    assert {file.relative_to(ROOT).as_posix() for file in sources} <= names


def test_the_wheel_declares_the_command_and_the_drivers(names: set[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"onelot": "onelot:main"}
    for target in project["entry-points"]["onelot.drivers"].values():
        module = target.partition(":")[0].replace(".", "/")
        assert {f"{module}.py", f"{module}/__init__.py"} & names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
