"""Threads of scikit-learn that sleep while they wait for each other."""

from __future__ import annotations

import os


def be_patient() -> None:
    """To be called before anything of scikit-learn is imported: OpenMP reads it once, when it is loaded.

    By default its threads spin while they wait, and on a machine where something else works too a fit takes
    ten times as long (measured).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
