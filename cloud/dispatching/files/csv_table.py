"""A plan as CSV, a row for each operation in order of time: for spreadsheets and other systems.

Times are seconds after the problem's origin; ``start_utc`` and ``end_utc`` (ISO 8601) are empty where the
problem has no date (classic instances). A text that a spreadsheet would take for a formula gets an
apostrophe before it.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

from cloud.dispatching.shop.problem import Problem
from cloud.dispatching.shop.schedule import Schedule

COLUMNS = (
    "operation", "order", "job", "label", "machine", "start", "end", "setup_seconds", "changeover_seconds",
    "run", "start_utc", "end_utc",
)  # fmt: skip

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plan_csv(problem: Problem, schedule: Schedule) -> str:
    """The rows with their header; ``schedule`` must have every operation of ``problem``."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    planned = [(schedule.assignments[o.id], o) for o in problem.operations]
    for a, o in sorted(planned, key=lambda row: (row[0].start, row[0].machine, row[1].id)):
        words = [o.id, o.order_id, o.job_id, o.label, a.machine]
        times = [a.start, a.end, a.setup_seconds, a.changeover_seconds]
        dates = [_date(problem, a.start), _date(problem, a.end)]
        writer.writerow([*map(_harmless, words), *times, _harmless(a.run or ""), *dates])
    return out.getvalue()


def _date(problem: Problem, seconds: int) -> str:
    if not problem.origin:
        return ""
    moment = _EPOCH + timedelta(microseconds=problem.utc(seconds))
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _harmless(text: str) -> str:
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
