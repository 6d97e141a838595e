"""The catalogue: one number, one path, and a hash that changes with any meaning."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.catalogue import TagDefinition, catalogue
from protocols.values import DataType
from tests.protocols.struct_values import values_of

TAG = TagDefinition(1, "press/force", DataType.FLOAT64, "kN", "force", "press", 10.0)

TAGS = st.lists(
    values_of(TagDefinition), max_size=5, unique_by=(lambda tag: tag.number, lambda tag: tag.path)
)


@settings(deadline=None)
@given(TAGS)
def test_order_in_which_tags_are_given_does_not_matter(tags: list[TagDefinition]) -> None:
    shuffled = sorted(tags, key=lambda tag: tag.path)
    one, other = catalogue("a", tags), catalogue("a", shuffled)
    assert one == other
    assert one.content_hash() == other.content_hash()
    assert [tag.number for tag in one.tags] == sorted(tag.number for tag in tags)


@pytest.mark.parametrize(
    "change",
    [
        {"number": 2},
        {"path": "press/forces"},
        {"type": DataType.FLOAT32},
        {"unit": "N"},
        {"role": ""},
        {"device": "brake"},
        {"max_interval": 0.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_change_of_meaning_changes_the_hash(change: dict[str, object]) -> None:
    changed = msgspec.structs.replace(TAG, **change)
    assert catalogue("a", [TAG]).content_hash() != catalogue("a", [changed]).content_hash()


def test_every_field_of_a_tag_is_in_the_hash() -> None:
    assert set(TAG.__struct_fields__) == {"number", "path", "type", "unit", "role", "device", "max_interval"}


def test_hash_is_sixteen_bytes_and_differs_between_edges() -> None:
    one = catalogue("a", [TAG]).content_hash()
    assert len(one) == 16
    assert one != catalogue("b", [TAG]).content_hash()


def test_number_given_twice_is_refused() -> None:
    other = msgspec.structs.replace(TAG, path="press/stroke")
    with pytest.raises(ValueError, match="tag number 1 is given to press/force and press/stroke"):
        catalogue("a", [TAG, other])


def test_path_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="tag press/force is given number 1 and 9"):
        catalogue("a", [TAG, msgspec.structs.replace(TAG, number=9)])
