"""Tag numbers stay with their meaning."""

from pathlib import Path

import pytest

from edge.outbox.numbering import number_tags
from edge.outbox.store import Store
from protocols.catalogue import TagDefinition
from protocols.values import DataType


def tag(path: str, kind: DataType = DataType.FLOAT32, unit: str = "", role: str = "") -> TagDefinition:
    return TagDefinition(0, path, kind, unit, role)


async def test_numbers_survive_and_a_new_meaning_gets_a_new_number(tmp_path: Path) -> None:
    async with Store(tmp_path / "edge.db") as store:
        before = await store.run(lambda db: number_tags(db, "e", [tag("m/a"), tag("m/b", unit="mm")]))
        assert [(one.number, one.path) for one in before.tags] == [(1, "m/a"), (2, "m/b")]
    async with Store(tmp_path / "edge.db") as store:
        changed = await store.run(
            lambda db: number_tags(db, "e", [tag("m/c"), tag("m/b", unit="um"), tag("m/a", role="state")])
        )
        assert [(one.number, one.path, one.unit) for one in changed.tags] == [
            (1, "m/a", ""),
            (3, "m/c", ""),
            (4, "m/b", "um"),
        ]
        assert changed.content_hash() != before.content_hash()
        back = await store.run(lambda db: number_tags(db, "e", [tag("m/a"), tag("m/b", unit="mm")]))
        assert back == before


async def test_a_path_given_twice_is_refused(tmp_path: Path) -> None:
    async with Store(tmp_path / "edge.db") as store:
        with pytest.raises(ValueError, match='"m/a" is declared twice'):
            await store.run(lambda db: number_tags(db, "e", [tag("m/a"), tag("m/a", DataType.BOOL)]))
