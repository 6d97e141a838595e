"""Our small programs on libraries of others, which are fetched the first time they are asked for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.servers import require

FOREIGN = Path(__file__).with_name("foreign")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onelot-tests"

NODE_OPCUA = "node-opcua@2.186.4"
VDA_5050_LIB = "vda-5050-lib@1.4.0"
SPARKPLUG_CLIENT = "sparkplug-client@3.2.4"


def fetched(home: Path, command: list[str], what: str) -> None:
    """Run an installation once; skip (in CI: fail) when it is not to be had."""
    if (home / "complete").exists():
        return
    home.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=500, check=False)
    if done.returncode:
        reason = f"{what} could not be installed: {done.stderr.strip()[-500:]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    (home / "complete").touch()


def node_modules(library: str) -> Path:
    """The folder that has a library of Node.js, of a version."""
    home = CACHE / library.replace("@", "-")
    npm = [require("npm"), "install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts"]
    fetched(home, [*npm, "--prefix", str(home), library], library)
    return home / "node_modules"


def node(library: str, script: str, *arguments: str | Path) -> list[str]:
    """The command line of one of our programs on a library of Node.js."""
    path = f"NODE_PATH={node_modules(library)}"
    return ["env", path, "node", str(FOREIGN / script), *map(str, arguments)]
