"""History in SQLite: one file a period, chunks of samples clustered by tag.

Gathering makes it fast (ten samples a tag before a commit, or a few seconds). What a crash makes the
projection write twice is resolved at reading, where the first value written for a (tag, time) wins, and
goes when a closed period is compacted.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cloud.history import chunks
from cloud.history.port import Series
from protocols.values import MICROSECONDS

DAY = 86_400 * MICROSECONDS
GRACE = 3600 * MICROSECONDS
"""A period is left alone for so long after its end: what is on its way comes in by then."""
_MERGED = 5_000
"""Samples that a merged chunk has at least: few to find, and none so large that an hour costs a day."""
_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS chunk (
    tag INTEGER NOT NULL,
    flush INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    samples BLOB NOT NULL,
    PRIMARY KEY (tag, flush)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS flushes (id INTEGER PRIMARY KEY AUTOINCREMENT);
CREATE TABLE IF NOT EXISTS compacted (flush INTEGER NOT NULL);
"""


class SqliteHistory:
    """The default adapter. ``folder`` holds ``history-<period>.db`` files of ``period`` µs each.

    One thread writes; any thread may read, each read on a connection of its own.
    """

    def __init__(self, folder: Path, period: int = DAY) -> None:
        self._folder = folder
        self._period = period
        self._files: dict[int, sqlite3.Connection] = {}
        self._compact: set[int] = set()
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, gathered: Mapping[int, Series]) -> None:
        by_period: dict[int, list[tuple[int, Series]]] = {}
        for tag, series in gathered.items():
            first, last = min(series.times) // self._period, max(series.times) // self._period
            if first == last:
                by_period.setdefault(first, []).append((tag, series))
            else:
                for period, part in self._split(series):
                    by_period.setdefault(period, []).append((tag, part))
        with self._lock:
            for period, parts in by_period.items():
                self._write_period(period, parts)

    def read(self, tag: int, start: int, end: int, limit: int = 100_000) -> Series:
        found: dict[int, tuple[object, int]] = {}
        for period in self._periods():
            if (period + 1) * self._period <= start or period * self._period >= end:
                continue
            with self._reader(period) as file:
                rows = file.execute(
                    "SELECT samples FROM chunk WHERE tag = ? AND last >= ? AND first < ? ORDER BY flush",
                    (tag, start, end),
                )
                for (blob,) in rows:
                    series = chunks.decode(blob)
                    for row, ts in enumerate(series.times):
                        if start <= ts < end and ts not in found:
                            found[ts] = (series.values[row], series.qualities.get(row, 0))
        merged = Series()
        for ts in sorted(found)[:limit]:
            value, quality = found[ts]
            if quality:
                merged.qualities[len(merged.times)] = quality
            merged.times.append(ts)
            merged.values.append(value)  # type: ignore[arg-type]
        return merged

    def prune(self, before: int) -> int:
        gone = 0
        with self._lock:
            for period in self._periods():
                if (period + 1) * self._period <= before:
                    open_file = self._files.pop(period, None)
                    if open_file is not None:
                        open_file.close()
                    for suffix in ("", "-wal", "-shm"):
                        self._path(period, suffix).unlink(missing_ok=True)
                    gone += 1
        return gone

    def compact_closed(self, now: int) -> int:
        saved = 0
        for period in self._periods():
            if (period + 1) * self._period + GRACE <= now and period not in self._compact:
                saved += self.compact(period)
        return saved

    def compact(self, period: int) -> int:
        """Merge a closed period's chunks into few large ones; returns how many chunks that saved.

        Only tags that were written since the last time are merged. The writer waits for one tag at most.
        """
        with self._lock:
            if not self._path(period).exists():  # pruned meanwhile
                return 0
            self._compact.add(period)  # a write from now on takes it out again
            file = self._open(period)
            (upto,) = file.execute("SELECT coalesce(max(flush), 0) FROM chunk").fetchone()
            (before,) = file.execute("SELECT coalesce(max(flush), 0) FROM compacted").fetchone()
            tags = file.execute(
                "SELECT tag FROM chunk GROUP BY tag HAVING count(*) > 1 AND max(flush) > ?", (before,)
            ).fetchall()
        saved = 0
        for (tag,) in tags:
            with self._lock:
                saved += self._merge(period, tag)
        with self._lock:
            file = self._open(period)
            with file:
                file.execute("DELETE FROM compacted")
                file.execute("INSERT INTO compacted VALUES (?)", (upto,))
            if saved:
                file.execute("VACUUM")
            self._files.pop(period).close()
        return saved

    def _merge(self, period: int, tag: int) -> int:
        """Replace a tag's chunks by chunks of about ``_MERGED`` samples, in order of time."""
        start, end = period * self._period, (period + 1) * self._period
        step = max(1, self._period // 24)
        merged, gathered = list[Series](), Series()
        for begin in range(start, end, step):
            part = self.read(tag, begin, min(begin + step, end), limit=2**62)
            for row, quality in part.qualities.items():
                gathered.qualities[len(gathered) + row] = quality
            gathered.times += part.times
            gathered.values += part.values
            if len(gathered) >= _MERGED:
                merged.append(gathered)
                gathered = Series()
        if len(gathered):
            merged.append(gathered)
        file = self._open(period)
        with file:
            last, count = file.execute(
                "SELECT max(flush), count(*) FROM chunk WHERE tag = ?", (tag,)
            ).fetchone()
            file.execute("DELETE FROM chunk WHERE tag = ?", (tag,))
            # No time is in two of them, so only what is written later must have a larger flush.
            file.executemany(
                "INSERT INTO chunk VALUES (?, ?, ?, ?, ?)",
                [
                    (tag, last - place, series.times[0], series.times[-1], chunks.encode(series))
                    for place, series in enumerate(merged)
                ],
            )
        return int(count) - len(merged)

    def close(self) -> None:
        with self._lock:
            for file in self._files.values():
                file.close()
            self._files.clear()

    def _split(self, series: Series) -> Iterator[tuple[int, Series]]:
        parts: dict[int, Series] = {}
        for row, ts in enumerate(series.times):
            part = parts.setdefault(ts // self._period, Series())
            if row in series.qualities:
                part.qualities[len(part.times)] = series.qualities[row]
            part.times.append(ts)
            part.values.append(series.values[row])
        yield from parts.items()

    def _write_period(self, period: int, parts: list[tuple[int, Series]]) -> None:
        file = self._open(period)
        self._compact.discard(period)
        with file:
            flush = file.execute("INSERT INTO flushes DEFAULT VALUES").lastrowid
            file.execute("DELETE FROM flushes WHERE id < ?", (flush,))
            rows = [
                (tag, flush, min(series.times), max(series.times), chunks.encode(series))
                for tag, series in sorted(parts)
            ]
            file.executemany("INSERT INTO chunk VALUES (?, ?, ?, ?, ?)", rows)

    def _open(self, period: int) -> sqlite3.Connection:
        file = self._files.get(period)
        if file is None:
            file = sqlite3.connect(self._path(period), check_same_thread=False)
            version = file.execute("PRAGMA user_version").fetchone()[0]
            if version > _SCHEMA_VERSION:
                file.close()
                raise RuntimeError(
                    f"{self._path(period)} has schema {version}, this version knows {_SCHEMA_VERSION}: "
                    "update the service before it writes there"
                )
            file.execute("PRAGMA journal_mode=WAL")
            file.execute("PRAGMA synchronous=FULL")
            file.executescript(_SCHEMA)
            file.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")
            file.commit()
            self._files[period] = file
        return file

    @contextmanager
    def _reader(self, period: int) -> Iterator[sqlite3.Connection]:
        file = sqlite3.connect(self._path(period))
        try:
            yield file
        finally:
            file.close()

    def _periods(self) -> list[int]:
        return sorted(int(path.stem.removeprefix("history-")) for path in self._folder.glob("history-*.db"))

    def _path(self, period: int, suffix: str = "") -> Path:
        return self._folder / f"history-{period}.db{suffix}"
