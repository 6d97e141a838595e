"""The operator's terminal: key → paint, and scan → accepted."""

from __future__ import annotations

from tests.bench import scan_accept, terminal_paint
from tests.bench.figures import Figure, Size


async def run(size: Size) -> list[Figure]:
    """See the module."""
    paint = await terminal_paint.measure(size.of(60, 600))
    scan = await scan_accept.measure(size.of(100, 300))
    bare = f"the same commit alone: p95 {scan['bare_commit_p95_ms']:g} ms"
    return [
        Figure("key → paint p95", paint["p95_ms"], "ms", 50, note=f"p50 {paint['p50_ms']:g}, 80 × 24"),
        Figure("scan → accepted p95", scan["p95_ms"], "ms", 200, note=f"p50 {scan['p50_ms']:g}; {bare}"),
    ]
