"""The tree of what was found: its rows are right after every page, opening and closing, and stay fast."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from drivers.driver import Found
from edge.commission.browse.outline import Item, Outline
from protocols.values import DataType


def found(name: str, kind: str = "variable") -> Found:
    return Found(f"i={name}", name, kind, DataType.INT32, has_children=kind == "folder")  # type: ignore[arg-type]


def flat(item: Item) -> list[Item]:
    """The rows below an item, worked out the slow way."""
    rows = []
    for child in item.children or ():
        rows.append(child)
        if child.open:
            rows += flat(child)
    return rows


STEPS = ["page", "open", "close", "error", "reload", "move"]


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 99))))
def test_rows_are_what_is_open_and_the_cursor_stays_where_it_was(steps: list[tuple[str, int]]) -> None:
    outline, number = Outline(), 0
    everything = [outline.root]
    for step, which in steps:
        item = everything[which % len(everything)]
        before = outline.current
        if step == "page":
            fresh = [found(str(number + n), "folder") for n in range(which % 4)]
            number += len(fresh)
            outline.page(item, fresh)
            everything += (item.children or [])[len(item.children or []) - len(fresh) :]
        elif step == "open":
            outline.expand(item)
        elif step == "close":
            outline.close(item)
        elif step == "error":
            outline.end(item, "lost")
        elif step == "reload":
            outline.begin(item)
            everything = [outline.root, *_all(outline.root)]
        else:
            outline.move(which - 50)
            before = None
        assert outline.rows == flat(outline.root)
        assert outline.known == sum(1 for _ in _all(outline.root))
        assert not outline.rows or 0 <= outline.cursor < len(outline.rows)
        if before is not None and before in outline.rows and step != "page":
            assert outline.current is before


def _all(item: Item) -> list[Item]:
    return [inner for child in item.children or () for inner in (child, *_all(child))]


def test_a_folder_of_100_000_is_taken_in_quickly() -> None:
    outline = Outline()
    outline.page(outline.root, [found("big", "folder"), found("last")])
    folder = outline.rows[0]
    outline.expand(folder)
    start = time.process_time()
    for page in range(400):
        outline.page(folder, [found(f"{page}.{n}") for n in range(250)])
    assert len(outline.rows) == 100_002
    outline.close(folder)
    outline.expand(folder)
    hit = outline.find("399.249")
    assert hit is not None
    outline.reveal(hit)
    assert time.process_time() - start < 10, "something walks over all rows for each page"
    assert outline.cursor == 100_000


def test_search_goes_round_and_looks_into_what_is_closed() -> None:
    outline = Outline()
    outline.page(outline.root, [found("a", "folder"), found("b", "folder"), found("pump")])
    outline.page(outline.rows[0], [found("Pump 1")])
    outline.move(1)
    hits = []
    for _ in range(3):
        hit = outline.find("PUMP")
        assert hit is not None
        outline.reveal(hit)
        hits.append(hit.names)
    assert hits == [("pump",), ("a", "Pump 1"), ("pump",)]
    assert outline.find("nobody") is None


def test_a_folder_is_picked_once_and_methods_are_not() -> None:
    outline = Outline()
    outline.page(outline.root, [found("x"), found("f", "folder"), found("m", "method"), found("y")])
    outline.pick_inside(outline.root)
    outline.toggle(outline.rows[0])
    assert list(outline.picked) == ["i=y"]
    outline.pick_inside(outline.root)
    assert list(outline.picked) == ["i=y", "i=x"]
