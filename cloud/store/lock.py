"""One service for one data folder: two would be two writers, and SQLite files do not survive that well."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 3.0
"""Seconds to wait for a service that is just ending."""


class FolderInUseError(RuntimeError):
    """Another service works in this data folder."""


@contextlib.contextmanager
def sole_user(folder: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the folder for as long as the block lasts; raises FolderInUseError.

    The lock is an open SQLite transaction on a file of its own: alike on all systems, and gone with the
    process, however that ends.
    """
    lock = sqlite3.connect(folder / "service.lock", timeout=patience, isolation_level=None)
    with contextlib.closing(lock):
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise FolderInUseError(
                f"{folder} is in use by another onelot cloud ({error}): stop that one, "
                "or give this one a data folder of its own"
            ) from None
        yield
