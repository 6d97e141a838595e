"""Blocks as they were taken, on disk: one file each, the oldest go first. Blocking: call it in a thread.

``<folder>/<device>/<tag, its / as +>/<µs UTC, 16 digits>.block`` holds an encoded block, digest and all
(:mod:`protocols.waveforms.block`). It is written beside its name, flushed to the disk and renamed, so that
whatever kills this process leaves whole files; what is found half written at the start is deleted. The bounds
count what files really take: whole clusters of the disk.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from protocols.packing import UndecodableError
from protocols.values import MICROSECONDS
from protocols.waveforms.block import Block, decode

log = structlog.get_logger(__name__)

CLUSTER = 4096
"""Bytes that a disk gives a file at a time."""
SPARE = 128 << 20
"""Bytes of the disk that no block may take: they are for what people do, and for telemetry."""
SUFFIX, HALF = ".block", ".half"
DAY = 86_400 * MICROSECONDS
_NAME = re.compile(r"\d{16}" + re.escape(SUFFIX))


class RingFullError(RuntimeError):
    """The disk has no room for a block, be it that all older ones are given up."""


@dataclass(slots=True)
class Kept:
    """The blocks of one waveform: their times (µs UTC, ascending) and the bytes that each takes on disk."""

    times: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    total: int = 0

    def add(self, ts: int, size: int) -> None:
        at = bisect_left(self.times, ts)
        self.times.insert(at, ts)
        self.sizes.insert(at, size)
        self.total += size

    def remove(self, ts: int) -> None:
        at = bisect_left(self.times, ts)
        del self.times[at]
        self.total -= self.sizes.pop(at)


@dataclass(frozen=True, slots=True)
class RingBounds:
    """Bytes on disk and age (days) of one waveform's blocks."""

    max_bytes: int
    max_days: float


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@dataclass(slots=True)
class Ring:
    """All waveforms of one edge below ``folder``. :meth:`open` first; then one thread at a time."""

    folder: Path
    free: Callable[[Path], int] = _free
    """Bytes that are left on the disk of a folder."""
    given_up: int = field(default=0, init=False)
    """Blocks deleted to make room, since the start."""
    _kept: dict[str, Kept] = field(default_factory=dict, init=False)

    def open(self) -> None:
        """See what there is; what was half written is deleted. Raises OSError."""
        self._kept.clear()
        for half in self.folder.glob(f"*/*/*{HALF}"):
            half.unlink(missing_ok=True)
        for file in self.folder.glob(f"*/*/*{SUFFIX}"):
            if _NAME.fullmatch(file.name):
                kept = self._kept.setdefault(_path_of(file), Kept())
                kept.add(int(file.stem), _on_disk(file.stat().st_size))

    # --- writing --------------------------------------------------------------------------------------

    def put(self, path: str, ts: int, data: bytes, bounds: RingBounds) -> None:
        """Keep an encoded block of ``device/tag``; on disk when this returns. The oldest make room for it.

        Raises:
            RingFullError: there is no room on the disk, and nothing older to give up.
            OSError: the folder cannot be written.
        """
        kept = self._kept.setdefault(path, Kept())
        if ts in kept.times[-1:] or kept.times[(at := bisect_left(kept.times, ts)) : at + 1] == [ts]:
            return  # the same block again
        self.folder.mkdir(parents=True, exist_ok=True)
        size = _on_disk(len(data))
        self._keep_bounds(path, ts, size, bounds)
        while self.free(self.folder) < SPARE + size:
            self._give_up_oldest(path)
        while True:
            try:
                self._write(self._file(path, ts), data)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                self._give_up_oldest(path)
            else:
                kept.add(ts, size)
                return

    def prune(self, days_of: Callable[[str], float], now: int) -> None:
        """Delete blocks that are older than the days of their path; ``now`` in µs UTC."""
        for path, kept in self._kept.items():
            horizon = now - int(days_of(path) * DAY)
            while kept.times and kept.times[0] < horizon:
                self._delete(path, kept.times[0])

    def _keep_bounds(self, path: str, now: int, size: int, bounds: RingBounds) -> None:
        kept = self._kept[path]
        horizon = now - int(bounds.max_days * DAY)
        while kept.times and (kept.total + size > bounds.max_bytes or kept.times[0] < horizon):
            self._delete(path, kept.times[0])

    def _give_up_oldest(self, path: str) -> None:
        """Delete the oldest block of a waveform, else the oldest of all."""
        own = self._kept[path].times
        others = [(kept.times[0], name) for name, kept in self._kept.items() if kept.times]
        if not others:
            raise RingFullError(
                f"no room for a block of {path}: less than {SPARE >> 20} MiB are free on the disk of "
                f"{self.folder}. Free some, or move the edge's data folder to a larger disk"
            )
        ts, name = (own[0], path) if own else min(others)
        self.given_up += 1
        self._delete(name, ts)

    def _write(self, file: Path, data: bytes) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_suffix(HALF)
        try:
            with half.open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            half.replace(file)
        except OSError:
            half.unlink(missing_ok=True)
            raise

    def _delete(self, path: str, ts: int) -> None:
        self._file(path, ts).unlink(missing_ok=True)
        self._kept[path].remove(ts)

    # --- reading --------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Bytes that all blocks take on disk."""
        return sum(kept.total for kept in self._kept.values())

    def __len__(self) -> int:
        return sum(len(kept.times) for kept in self._kept.values())

    def span(self, path: str) -> tuple[int, int]:
        """Times (µs UTC) of the oldest and the newest block of a waveform; zeros when there is none."""
        times = self._kept[path].times if path in self._kept else []
        return (times[0], times[-1]) if times else (0, 0)

    def pick(self, path: str, start: int, end: int, most: int) -> list[int]:
        """Times of blocks from ``start`` to ``end`` (µs UTC, inclusive), the nearest to their middle first,
        at most so many; where there are none, that of the nearest block.
        """
        times = self._kept[path].times if path in self._kept else []
        inside = times[bisect_left(times, start) : bisect_right(times, end)]
        middle = (start + end) // 2
        if inside:
            return sorted(inside, key=lambda ts: abs(ts - middle))[:most]
        return [min(times, key=lambda ts: abs(ts - middle))] if times else []

    def read(self, path: str, ts: int) -> bytes | None:
        """An encoded block; None when it was overwritten meanwhile, or is damaged: then it is deleted."""
        try:
            data = self._file(path, ts).read_bytes()
            decode(data)
        except FileNotFoundError:
            return None
        except UndecodableError as error:
            log.error("waveforms.damaged", path=path, ts=ts, error=str(error), next="check this PC's disk")
            self._delete(path, ts)
            return None
        return data

    def blocks(self, path: str) -> Iterator[Block]:
        """All good blocks of a waveform, oldest first."""
        for ts in list(self._kept[path].times) if path in self._kept else ():
            if (data := self.read(path, ts)) is not None:
                yield decode(data)

    def _file(self, path: str, ts: int) -> Path:
        device, _, tag = path.partition("/")
        return self.folder / device / tag.replace("/", "+") / f"{ts:016}{SUFFIX}"


def _path_of(file: Path) -> str:
    return f"{file.parent.parent.name}/{file.parent.name.replace('+', '/')}"


def _on_disk(size: int) -> int:
    return -(-size // CLUSTER) * CLUSTER
