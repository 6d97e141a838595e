"""Disk that is held in order to be given up: room for people's actions when the disk itself is full."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

BLOCK = 4096
SPARE = 3
"""The ballast is only held while this many times its size is free beside it."""


@dataclass(frozen=True, slots=True)
class Ballast:
    """A file of ``size`` bytes at ``path``; of size 0 it is never there. Blocking, from any thread."""

    path: Path
    size: int

    def keep(self) -> None:
        """Hold it, unless the disk has no room for it; call it now and then, for it may have been dropped."""
        try:
            missing = not self.path.exists() or self.path.stat().st_size != self.size
            if self.size and missing and shutil.disk_usage(self.path.parent).free > SPARE * self.size:
                with self.path.open("wb") as file:
                    for _ in range(self.size // BLOCK):
                        file.write(b"\xff" * BLOCK)
        except OSError:  # the disk filled up meanwhile: what there is may be given up, but not grown
            self.drop()

    def drop(self) -> bool:
        """Give it up; False when there is none."""
        try:
            self.path.unlink()
        except OSError:
            return False
        return True
