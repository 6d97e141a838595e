"""The accounts themselves: whatever is taken from a ledger, put in twice or changed, they notice."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.system.accounts import read_only
from tests.system.scene import Scene, scene

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto"), pytest.mark.timeout(180)]

CHOSEN = """CREATE TEMP TABLE chosen AS
    SELECT * FROM batch WHERE id IN
    (SELECT id FROM
        (SELECT id, row_number() OVER story AS place, count(*) OVER (PARTITION BY lane) AS length
         FROM batch WINDOW story AS (PARTITION BY lane ORDER BY id))
     WHERE place = (length + 1) / 2)"""
"""One batch of each lane, from the middle of the story."""

TWICE = """INSERT INTO batch (edge, stream, lane, seq, digest, count, historical, decodable, received, blob)
    SELECT edge, stream, lane, seq + 1000000, digest, count, historical, decodable, received, blob
    FROM chosen WHERE lane = ?"""

COUNTED_TWICE = """UPDATE edge SET samples = samples + (SELECT count FROM chosen WHERE lane = ?)
    WHERE id = (SELECT edge FROM chosen WHERE lane = 'telemetry')"""

SABOTAGE = {
    "samples are gone": (["DELETE FROM batch WHERE id = (SELECT id FROM chosen WHERE lane = ?)"], "1 lost"),
    "samples came twice": ([TWICE, COUNTED_TWICE], "came twice|out of order"),
    "samples are counted twice": ([COUNTED_TWICE], "north|south"),
    "actions are gone": (["DELETE FROM batch WHERE id = (SELECT id FROM chosen WHERE lane = ?)"], "1 lost"),
    "actions came twice": ([TWICE], "ledgered twice"),
    "actions are others": (["UPDATE batch SET digest = x'00' WHERE lane = ? AND seq = 5"], "altered"),
    "a booking counts twice": (
        ["UPDATE operation SET good = good + 1000000 WHERE good > ?"],
        "pieces that took effect",
    ),
    "a booking is gone": (
        ["DELETE FROM booking WHERE rowid = (SELECT max(rowid) FROM booking) AND ?"],
        "Effects",
    ),
    "states are gone": (["DELETE FROM batch WHERE id = (SELECT id FROM chosen WHERE lane = ?)"], "1 lost"),
}
"""What is done to a copy of a good ledger, and what the comparison says then."""

LANES = {"samples": "telemetry", "actions": "actions", "states": "states"}


async def test_whatever_is_wrong_with_a_ledger_is_noticed(tmp_path: Path) -> None:
    async with scene(tmp_path, 3) as now:
        await now.settle()
        now.compare(now.plant.ledger)
        for number, (name, (statements, words)) in enumerate(SABOTAGE.items()):
            spoilt = _spoilt(now, tmp_path / f"{number}.db", statements, LANES.get(name.split()[0], 1))
            with pytest.raises(AssertionError) as noticed:
                now.compare(spoilt)
            assert re.search(words, str(noticed.value)), (name, noticed.value)


def _spoilt(now: Scene, copy: Path, statements: list[str], about: str | int) -> Path:
    """A copy of the ledger to which ``statements`` were done."""
    with read_only(now.plant.ledger) as ledger, closing(sqlite3.connect(copy)) as spoilt:
        ledger.backup(spoilt)
        spoilt.execute(CHOSEN)
        for statement in statements:
            assert spoilt.execute(statement, (about,)).rowcount > 0, statement
        spoilt.commit()
    return copy
