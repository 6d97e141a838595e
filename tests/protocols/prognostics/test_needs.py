"""What scores needs no library: an edge may be a small computer."""

from __future__ import annotations

import subprocess
import sys


def test_scoring_imports_neither_numpy_nor_scikit_learn() -> None:
    code = (
        "import sys\n"
        "import protocols.prognostics.lifeline, protocols.prognostics.model_file\n"
        "import protocols.prognostics.public_keys, protocols.prognostics.rows\n"
        "print(*sorted({'numpy', 'sklearn', 'scipy', 'pandas'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
