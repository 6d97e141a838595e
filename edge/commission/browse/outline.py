"""A tree of what a machine has, as far as it is known, and the rows of it that are open. Pure.

Made for folders of 100,000: a page that arrives is one slice into the rows, and nothing walks over them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drivers.driver import Found
from edge.commission.browse.picking import Pick
from edge.commission.browse.walking import opens


class Item:
    """One thing found. ``children`` is None until somebody asked; ``visible`` counts the rows below it."""

    __slots__ = ("children", "error", "found", "level", "loading", "open", "parent", "visible")

    def __init__(self, found: Found, parent: Item | None) -> None:
        self.found = found
        self.parent = parent
        self.level: int = -1 if parent is None else parent.level + 1
        self.children: list[Item] | None = None
        self.open = False
        self.loading = False
        self.error = ""
        self.visible = 0

    @property
    def expandable(self) -> bool:
        """Whether it is shown as something to open: until it is known that nothing is in it."""
        return bool(self.children) or (self.children is None and opens(self.found)) or self.loading

    @property
    def names(self) -> tuple[str, ...]:
        """Browse names from the outermost to its own."""
        names: list[str] = []
        item: Item | None = self
        while item is not None and item.parent is not None:
            names.append(item.found.name)
            item = item.parent
        return tuple(reversed(names))

    @property
    def pick(self) -> Pick:
        """It as something picked."""
        each = self.found
        return Pick(each.address, self.names, each.type, each.writable, each.detail)


class Outline:
    """The tree, its rows, the cursor in them, and what is picked."""

    def __init__(self, under: str = "") -> None:
        self.root = Item(Found(under, under or "Objects", "folder", has_children=True), None)
        self.root.open = True
        self.rows: list[Item] = []
        self.cursor = 0
        self.known = 0
        """How many things have been found so far."""
        self.picked: dict[str, Item] = {}

    @property
    def current(self) -> Item | None:
        """What the cursor is on."""
        return self.rows[self.cursor] if self.rows else None

    def move(self, by: int) -> None:
        """Move the cursor, to the ends at most."""
        self.cursor = max(0, min(len(self.rows) - 1, self.cursor + by))

    # --- what arrives -----------------------------------------------------------------------------------

    def begin(self, item: Item) -> None:
        """What is below an item is being asked for."""
        item.loading, item.error = True, ""
        self._drop(item)
        item.children = []

    def page(self, item: Item, found: Sequence[Found]) -> None:
        """More of what is below an item."""
        made = [Item(each, item) for each in found]
        if item.children is None:
            item.children = []
        item.children += made
        self.known += len(made)
        if item.open and self._is_shown(item):
            self._insert(item, made)

    def end(self, item: Item, error: str = "") -> None:
        """Nothing more comes. After an error it can be asked for again."""
        item.loading, item.error = False, error
        if error and not item.children:
            item.children = None
            self.close(item)

    def _drop(self, item: Item) -> None:
        if item.children:
            self._hide(item)
            self.known -= sum(1 for _ in self._below(item))

    # --- open and close ---------------------------------------------------------------------------------

    def expand(self, item: Item) -> bool:
        """Open an item; True when what is below it must be asked for first."""
        if not item.open:
            item.open = True
            if item.children and self._is_shown(item):
                self._insert(item, self._flat(item))
        return item.children is None and not item.loading

    def close(self, item: Item) -> None:
        """Close an item. What is known of it stays known."""
        if not item.open or item is self.root:
            return
        self._hide(item)
        item.open = False

    def _hide(self, item: Item) -> None:
        count, item.visible = item.visible, 0
        if not count or not self._is_shown(item):
            return
        start = 0 if item is self.root else self.rows.index(item) + 1
        del self.rows[start : start + count]
        for above in self._above(item):
            above.visible -= count
        if self.cursor >= start:
            self.cursor = self.cursor - count if self.cursor >= start + count else max(0, start - 1)

    def _insert(self, item: Item, fresh: Sequence[Item]) -> None:
        start = len(self.rows) if item is self.root else self.rows.index(item) + 1 + item.visible
        self.rows[start:start] = fresh
        item.visible += len(fresh)
        for above in self._above(item):
            above.visible += len(fresh)
        if start <= self.cursor and len(self.rows) > len(fresh):
            self.cursor += len(fresh)

    def _flat(self, item: Item) -> list[Item]:
        """The rows below an item that is being opened. Counts anew what is visible below those inside."""
        flat: list[Item] = []
        for child in item.children or ():
            flat.append(child)
            if child.open and child.children:
                inner = self._flat(child)
                child.visible = len(inner)
                flat += inner
        return flat

    @staticmethod
    def _above(item: Item) -> Iterator[Item]:
        above = item.parent
        while above is not None:
            yield above
            above = above.parent

    def _is_shown(self, item: Item) -> bool:
        return all(above.open for above in self._above(item))

    # --- search -----------------------------------------------------------------------------------------

    def reveal(self, item: Item) -> None:
        """Open all that is above an item and go there."""
        for above in reversed(list(self._above(item))):
            self.expand(above)
        self.cursor = self.rows.index(item)

    def find(self, text: str) -> Item | None:
        """The next thing behind the cursor, open or not, with the text in its name or address."""
        wanted = text.casefold()
        current = self.current
        before: Item | None = None
        passed = current is None
        for item in self._below(self.root):
            fits = wanted in item.found.name.casefold() or wanted in item.found.address.casefold()
            if fits and passed:
                return item
            if fits and before is None:
                before = item
            passed = passed or item is current
        return before

    def _below(self, item: Item) -> Iterator[Item]:
        stack = [iter(item.children or ())]
        while stack:
            for child in stack[-1]:
                yield child
                if child.children:
                    stack.append(iter(child.children))
                    break
            else:
                stack.pop()

    # --- picks ------------------------------------------------------------------------------------------

    def toggle(self, item: Item) -> None:
        """Pick a variable, or no longer."""
        if self.picked.pop(item.found.address, None) is None:
            self.picked[item.found.address] = item

    def pick_inside(self, item: Item) -> None:
        """Pick every variable directly in an item, as far as it is known."""
        for each in item.children or ():
            if each.found.kind == "variable":
                self.picked.setdefault(each.found.address, each)
