"""Engines replayed by virtual machines score as their file does, at the edge and in the service.

In the middle of the flights the broker is away and the service is killed: what was flown meanwhile comes as
backlog.
"""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from protocols.values import MICROSECONDS
from tests.system.engines import compared, flights, hangar, trained, write

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto"), pytest.mark.timeout(300)]

PACE_S, OUTAGE_S = 0.3, 6.0


async def test_engines_score_as_their_file_does_over_an_outage(tmp_path: Path) -> None:
    failed = {f"engine-{n}": flights(n, 45 + 5 * n) for n in range(12)}
    model = await asyncio.to_thread(
        trained, tmp_path, write(tmp_path / "failed.csv", failed), "--trees", "12"
    )
    flown = {f"engine-{n}": flights(100 + n, 200, flown=165 + 9 * n) for n in range(3)}
    async with hangar(tmp_path, flown, model, PACE_S, at_edge=len(flown)) as made:
        made.take_off()
        await made.use(model)
        await made.scored(5, 60)
        before = {engine: len(await made.rows(engine)) for engine in flown}
        await made.cut_off(OUTAGE_S)
        await made.landed(240)

        found = await compared(made, model)
        assert found.differences == []
        assert found.rows == sum(map(len, flown.values()))
        for engine, count in before.items():
            assert 5 <= count < len(flown[engine]) - OUTAGE_S / PACE_S, "the outage was while it flew"
            stored = await made.rows(engine)
            longest = max(after["end"] - row["end"] for row, after in pairwise(stored))
            assert longest < OUTAGE_S * MICROSECONDS / 2, "the flights of the outage have times of their own"
