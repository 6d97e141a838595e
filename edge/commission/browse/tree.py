"""The nodes of a machine on a screen: an outline, and below it what the cursor is on, each second anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from drivers.capabilities import Looks, Seen
from drivers.driver import DeviceLost, Driver, DriverError
from drivers.imports.taglist import MAX_TAGS
from edge.commission.browse.browser import Browser, Prompt
from edge.commission.browse.outline import Item, Outline
from edge.commission.browse.picking import Pick, Written, profile_of
from edge.commission.browse.walking import SERVER, below, counted, opens
from edge.terminal.painting import Ink, Line, Span, fit, fitted, rule, width_of
from protocols.documents import nearest
from protocols.values import MICROSECONDS, Quality

DETAILS = 5
"""Lines of the pane below the tree."""


class Tree(Browser):
    """One machine's nodes.

    Args:
        make: see :class:`Browser`.
        under: address to begin at; the Objects folder when empty.
    """

    keys = (
        ("↑↓", "move"),
        ("→←", "open"),
        ("space", "pick"),
        ("a", "folder"),
        ("A", "all"),
        ("/", "find"),
        ("n", "next"),
        ("w", "write"),
        ("q", "quit"),
    )

    def __init__(self, make: Callable[[], Driver[Any]], under: str = "") -> None:
        super().__init__(make)
        self.outline = Outline(under)
        self.seen: Seen | None = None
        self.wanted = ""
        """What was searched for last."""
        self._top = 0
        self._page = 10

    @property
    def picks(self) -> list[Pick]:
        return [item.pick for item in self.outline.picked.values()]

    async def profile(self) -> Written:
        driver = self._connected()
        picks = await counted(driver, self.picks)
        source = f"browsed at {self.url}"
        return profile_of(picks, driver.profile.protocol, self.identity, source=source)

    def _connected(self) -> Driver[Any]:
        if self.driver is None:
            raise DeviceLost(self.url, "not connected at the moment")
        return self.driver

    # --- work -------------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        driver, item = self._connected(), self.outline.current
        if self.outline.root.children is None and not self.outline.root.loading:
            self.run(self.load(self.outline.root))
        if item is None or item.found.kind != "variable" or not isinstance(driver, Looks):
            self.seen = None
            return
        (self.seen,) = await driver.look([item.found.address])

    async def load(self, item: Item) -> None:
        """Ask for all that is directly below an item, a page at a time."""
        if item.loading:
            return
        self.outline.begin(item)
        error = ""
        try:
            async for page in below(self._connected(), item.found.address):
                self.outline.page(item, page)
                self.changed()
                await asyncio.sleep(0)  # a key that was pressed meanwhile goes first
        except (DriverError, ValueError) as failed:
            error = str(failed)
            self.wake.set()
        finally:
            self.outline.end(item, error)
        if not item.children and not error and item is not self.outline.root:
            self.message = f"nothing is below {item.found.name}"
        self.changed()

    async def _pick_below(self, item: Item, *, deep: bool) -> None:
        """Pick all variables in an item, loading what is not known; each node once, and no endless loops."""
        stack, done = [item], {SERVER}
        while stack and len(self.outline.picked) <= MAX_TAGS:
            each = stack.pop()
            if each.found.address in done and each is not item:
                continue
            done.add(each.found.address)
            if each.children is None:
                await self.load(each)
            self.outline.pick_inside(each)
            self.message = f"{len(self.outline.picked):,} picked"
            self.changed()
            if deep:
                stack += [child for child in each.children or () if opens(child.found)]
        if len(self.outline.picked) > MAX_TAGS:
            self.message = f"more than {MAX_TAGS:,} are picked: a profile holds no more"
        self.changed()

    async def _go(self, path: str) -> None:
        """Go to a node by its browse names, loading what is on the way."""
        item = self.outline.root
        for word in filter(None, (part.strip() for part in path.split("/"))):
            if item.children is None:
                await self.load(item)
            names = {child.found.name.casefold(): child for child in item.children or ()}
            found = names.get(word.casefold())
            if found is None:
                hint = nearest(word, [child.found.name for child in item.children or ()])
                tail = f" — did you mean {hint}?" if hint else ""
                self.message = item.error or f'no "{word}" below {item.found.name}{tail}'
                self.changed()
                return
            item = found
        if item is not self.outline.root:
            self.outline.reveal(item)
            self.wake.set()
        self.changed()

    # --- keys -------------------------------------------------------------------------------------------

    def act(self, key: str) -> None:
        moves = {"up": -1, "down": 1, "pageup": -self._page, "pagedown": self._page}
        ends = {"home": -len(self.outline.rows), "end": len(self.outline.rows)}
        item = self.outline.current
        if key in moves or key in ends:
            self.outline.move((moves | ends)[key])
            self.seen = None
            self.wake.set()
        elif key == "slash":
            self.prompt = Prompt("find (a name, an address, or Path/To/Node)", self.wanted, self._take_search)
        elif key == "n":
            self._next()
        elif item is not None:
            self._act_on(item, key)

    def _act_on(self, item: Item, key: str) -> None:
        if key == "enter":
            key = "left" if item.open else "right"
        if key == "right":
            if self.outline.expand(item):
                self.run(self.load(item))
        elif key == "left":
            if item.open:
                self.outline.close(item)
            elif item.parent is not None and item.parent is not self.outline.root:
                self.outline.cursor = self.outline.rows.index(item.parent)
        elif key == "space" and item.found.kind == "variable":
            self.outline.toggle(item)
            self.outline.move(1)
            self.wake.set()
        elif key == "space":
            self.message = f"a {item.found.kind} is no value — a picks all variables in a folder"
        elif key in ("a", "A", "upper_a"):
            inside = item if item.found.kind == "folder" or item.children else item.parent
            self.run(self._pick_below(inside or item, deep=key != "a"))

    def _take_search(self, text: str) -> str:
        self.wanted = text
        if "/" in text and not text.startswith(("nsu=", "ns=")):
            self.run(self._go(text))
            return ""
        return self._next()

    def _next(self) -> str:
        found = self.outline.find(self.wanted) if self.wanted else None
        if found is None:
            self.message = f'nothing loaded so far has "{self.wanted}" in its name' if self.wanted else ""
        else:
            self.outline.reveal(found)
            self.seen = None
            self.wake.set()
        return self.message

    # --- painting ---------------------------------------------------------------------------------------

    def paint(self, width: int, height: int) -> list[Line]:
        outline = self.outline
        self._page = room = max(1, height - DETAILS - 5)
        self._top = max(min(self._top, outline.cursor), outline.cursor - room + 1, 0)
        picked = f" · {len(outline.picked):,} picked" if outline.picked else ""
        counts = f"{len(outline.rows):,} shown of {outline.known:,} known{picked}"
        if outline.root.loading:
            counts += " · loading"
        shown = outline.rows[self._top : self._top + room]
        lines = [self._row(item, width, n == outline.cursor) for n, item in enumerate(shown, self._top)]
        if not shown:
            lines.append(fitted([Span(f"  {outline.root.error or 'loading …'}", Ink.DIM)], width))
        lines += [fitted([], width)] * (room - len(lines))
        return [
            self.header(counts, width),
            rule(width),
            *lines,
            rule(width),
            *self._details(width),
            *self.footer(width),
        ][:height]

    def _row(self, item: Item, width: int, here: bool) -> Line:
        found = item.found
        sign = "▾" if item.open else "▸"
        if not item.expandable:
            sign = {"method": "ƒ", "variable": "·"}.get(found.kind, " ")
        mark = "■" if found.address in self.outline.picked else " "
        right = str(found.type or "") if found.kind == "variable" else ""
        if found.detail:
            right = f"{right} {found.detail}".strip()
        if item.children is not None and item.expandable:
            right = f"{len(item.children):,}{' …' if item.loading else ''}"
        if item.error:
            right = f"✕ {item.error}"
        right = fit(right, min(len(right), width // 2))
        name = fit(f" {mark} {'  ' * item.level}{sign} {found.name}", width - width_of([Span(right)]) - 2)
        ink = Ink.INVERSE if here else Ink.ABNORMAL if item.error else Ink.PLAIN
        picked = Ink.ACTION if mark == "■" and not here else ink
        return [Span(name, picked), Span(f" {right} ", ink if here or item.error else Ink.DIM)]

    def _details(self, width: int) -> list[Line]:
        item = self.outline.current
        if item is None:
            return [fitted([], width)] * DETAILS
        found = item.found
        facts = [(" path", "/".join(item.names)), (" address", found.address)]
        if found.kind == "variable":
            kind = " ".join(filter(None, (str(found.type or ""), found.detail)))
            facts.append((" type", f"{kind} · {'read-write' if found.writable else 'read'}"))
        else:
            facts.append((" kind", found.kind))
        lines = [fitted([Span(fit(label, 10), Ink.DIM), Span(text)], width) for label, text in facts]
        if found.kind == "variable":
            lines += self._value(found.address, width)
        return [*lines, *[fitted([], width)] * (DETAILS - len(lines))]

    def _value(self, address: str, width: int) -> list[Line]:
        seen = self.seen
        label = Span(fit(" value", 10), Ink.DIM)
        if seen is None or seen.address != address:
            return [fitted([label, Span("…", Ink.DIM)], width)]
        size = f"  ({seen.elements} elements)" if seen.elements is not None else ""
        sign = {Quality.GOOD: "●", Quality.UNCERTAIN: "◐"}.get(seen.quality, "✕")
        ink = Ink.STRONG if seen.quality is Quality.GOOD else Ink.ABNORMAL
        words = f"{sign} {seen.quality.name.lower()}"
        if seen.problem:
            words += f" · {seen.problem}"
        if seen.source_time is not None:
            at = datetime.fromtimestamp(seen.source_time / MICROSECONDS, UTC)
            words += f" · machine's time {at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03} UTC"
        return [
            fitted([label, Span(f"{seen.text}{size}", ink)], width),
            fitted([Span(" " * 10), Span(words, Ink.DIM if seen.quality is Quality.GOOD else ink)], width),
        ]
