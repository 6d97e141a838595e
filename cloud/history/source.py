"""The ledger as the projection wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cloud.history.projection import Progress, TelemetryRow
from cloud.ledger.source import LedgerRow, ProjectionSource


class HistorySource:
    """Rows, tag ids and progress of the history's projection."""

    def __init__(self, source: ProjectionSource) -> None:
        self._source = source

    def telemetry_after(self, cursor: int, limit_bytes: int) -> Sequence[TelemetryRow]:
        """Telemetry batches with a higher id, ascending, about ``limit_bytes`` of them."""
        return [_row(row) for row in self._source.read_after(cursor, limit_bytes)]

    def telemetry_row(self, row: int) -> TelemetryRow | None:
        """One batch by id; None when it was pruned."""
        found = self._source.read_one(row)
        return None if found is None else _row(found)

    def tag_ids(self, edge: str, catalogue: bytes) -> Mapping[int, int] | None:
        """Tag number → tag id, or None while that catalogue has not arrived; then it is asked for."""
        return self._source.tag_ids(edge, catalogue)

    def refuse(self, row: TelemetryRow, problem: str) -> None:
        """Put a batch that cannot be read into the quarantine; durable on return."""
        self._source.refuse(row.id, problem)

    def load_progress(self) -> Progress:
        """Where the last run stopped."""
        return Progress(*self._source.load())

    def save_progress(self, progress: Progress) -> None:
        """Keep it, durable on return."""
        self._source.save(progress.cursor, progress.held)


def _row(row: LedgerRow) -> TelemetryRow:
    return TelemetryRow(row.id, row.edge, row.blob)
