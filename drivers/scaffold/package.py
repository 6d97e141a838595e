"""The files of a new driver package, from the templates beside this module. Pure but for reading those."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from string import Template

TEMPLATES = Path(__file__).parent / "template"

FILES: Mapping[str, str] = {
    "pyproject.toml": "pyproject.toml.in",
    "README.md": "README.md.in",
    "onelot_${name}/__init__.py": "init.py.in",
    "onelot_${name}/driver.py": "driver.py.in",
    "onelot_${name}/wire.py": "wire.py.in",
    "onelot_${name}/simulator.py": "simulator.py.in",
    "profiles/${name}/example.yaml": "example.yaml.in",
    "tests/contract.yaml": "contract.yaml.in",
    "tests/test_contract.py": "test_contract.py.in",
}
"""Path in the new package: template."""


def check_name(name: str, taken: Collection[str]) -> str:
    """The name of a protocol, as it stands in profiles, URLs and Python.

    Raises:
        ValueError: it is not one, or a driver has it already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,30}", name) or keyword.iskeyword(name):
        raise ValueError(f'"{name}" is no name for a driver — 2 to 31 of a-z, 0-9 and _, a letter first')
    if name in taken:
        raise ValueError(f'there is a driver "{name}" already — {", ".join(sorted(taken))} are taken')
    return name


def files(name: str) -> dict[PurePosixPath, str]:
    """Every file of the package and its text."""
    words = {
        "name": name,
        "Name": "".join(part.capitalize() for part in name.split("_")),
        "NAME": name.upper(),
        "scheme": name.replace("_", "-"),
    }
    return {
        PurePosixPath(Template(path).substitute(words)): Template(
            (TEMPLATES / template).read_text(encoding="utf-8")
        ).substitute(words)
        for path, template in FILES.items()
    }
