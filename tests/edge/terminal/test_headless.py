"""The core of the terminal knows no Textual, so that it can be tested and shown without a screen."""

import subprocess
import sys
from pathlib import Path

TERMINAL = Path(__file__).parents[3] / "edge" / "terminal"
WITH_TEXTUAL = {"app.py", "canvas.py", "colours.py"}
"""The modules that may import Textual."""


def test_everything_but_the_app_works_without_textual() -> None:
    modules = [
        ".".join(path.relative_to(TERMINAL.parents[1]).with_suffix("").parts)
        for path in sorted(TERMINAL.rglob("*.py"))
        if path.name not in WITH_TEXTUAL
    ]
    assert "edge.terminal.screens.work" in modules
    script = "import sys\nsys.modules['textual'] = None\n" + "".join(f"import {name}\n" for name in modules)
    script += "print(len([m for m in sys.modules if m.startswith('textual.')]))"
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (found.returncode, found.stdout.strip()) == (0, "0"), found.stderr
