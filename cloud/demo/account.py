"""Counting in the ledger itself, as a stranger would: no counter of the service is believed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from protocols import telemetry


def doubles(database: Path) -> int:
    """Samples that the ledger has more than once: the same tag of the same edge at the same µs.

    ``database`` is the service's SQLite file; it is only read. Raises UndecodableError for a batch that
    should have gone to quarantine.
    """
    seen: set[tuple[str, int, int]] = set()
    total = 0
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as ledger:
        rows = ledger.execute("SELECT edge, blob FROM batch WHERE lane = 'telemetry' AND decodable")
        for edge, blob in rows:
            batch = telemetry.decode(blob)
            total += len(batch)
            seen.update((edge, tag, ts) for tag, ts in zip(batch.tags, batch.times(), strict=True))
    return total - len(seen)
