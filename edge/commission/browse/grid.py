"""The registers of a device on a screen, each second anew: raw, as numbers, and in all four word orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from drivers.driver import DeviceLost, Driver
from drivers.imports.taglist import tag_name
from drivers.modbus.driver import ModbusDriver
from drivers.modbus.find import Sought, Spot, find, sought
from drivers.modbus.grid import SIZE, Memory, Row, View, place, reference, row, shown, views
from drivers.modbus.profile import Table
from edge.commission.browse.browser import Browser, Prompt
from edge.commission.browse.picking import Pick, Written, profile_of
from edge.commission.browse.walking import read_registers
from edge.terminal.painting import Ink, Line, Span, fit, fitted, rule
from protocols.values import DataType, Value

_WIDTHS = {
    DataType.BOOL: 5,
    DataType.UINT16: 5,
    DataType.INT16: 6,
    DataType.STRING: 2,
    DataType.FLOAT32: 10,
    DataType.UINT32: 10,
    DataType.INT32: 11,
}
"""Cells of a column. On 80 of them a float stands in all four word orders."""
_ROOMY = 100
"""Cells of a screen from which on a float has three digits more."""
_HEADS = {"uint16": "u16", "int16": "i16", "text": "tx"}
_FIXED = 2 + 6 + 7 + 5
"""Cells of the mark, the address, its reference and the raw value."""
_SHOWN_CHANGES = 3
"""Looks for which a value that changed stays marked."""
_LONGEST_TEXT = 240
_STRETCH, _STEP = 1000, 32
"""Addresses that one search reads further, and how many of them before it looks and a key can stop it."""


def _short(value: Value, width: int) -> str:
    """A value with as many digits as there is room for."""
    if not isinstance(value, float):
        return shown(value)
    return next(
        (text for digits in (7, 6, 5, 4) if len(text := f"{value:.{digits}g}") <= width), f"{value:.3g}"
    )


class Cell(NamedTuple):
    """One value: an address, and the way to take what lies there."""

    table: Table
    address: int
    view: View

    def __str__(self) -> str:
        return f"{self.table}:{self.address} as {self.view.name}"


class Chosen(NamedTuple):
    """What a cell is to be called; characters of a text."""

    name: str
    length: int | None = None


class Grid(Browser):
    """One device's registers.

    Args:
        make: see :class:`Browser`; its drivers speak Modbus.
        table: the table to begin with.
        start: the address to begin at.
    """

    keys = (
        ("↑↓→←", "move"),
        ("PgUp PgDn", "page"),
        ("r", "ask again"),
        ("t", "table"),
        ("g", "go"),
        ("/", "find"),
        ("n", "next"),
        ("space", "pick"),
        ("w", "write"),
        ("q", "quit"),
    )

    def __init__(self, make: Callable[[], Driver[Any]], table: Table = Table.HOLDING, start: int = 0) -> None:
        super().__init__(make)
        self.memories = {each: Memory(each) for each in Table}
        self.table = table
        self.address, self.column = start, 0
        self.chosen: dict[Cell, Chosen] = {}
        self.changes: dict[tuple[Table, int], int] = {}
        """How many looks a change is still marked for."""
        self.progress = ""
        self.wanted: Sought | None = None
        """What was searched for last."""
        self._unread = range(0)
        """Addresses that a search still has to read."""
        self._top, self._left, self._room = start, 0, 1
        self._roomy = False

    @property
    def memory(self) -> Memory:
        """What is known of the table on the screen."""
        return self.memories[self.table]

    @property
    def cell(self) -> Cell:
        """What the cursor is on."""
        return Cell(self.table, self.address, views(self.table)[self.column])

    @property
    def picks(self) -> list[Pick]:
        return [
            Pick(
                f"{cell.table}:{cell.address}",
                (chosen.name,),
                cell.view.coding.type,
                order=cell.view.coding.order if cell.view.wide else None,
                length=chosen.length,
                name=chosen.name,
            )
            for cell, chosen in sorted(self.chosen.items(), key=lambda item: (item[0].table, item[0].address))
        ]

    async def profile(self) -> Written:
        unit = self._connected().unit
        source = f"browsed at {self.url}"
        return profile_of(
            self.picks, "modbus", self.identity, source=source, defaults={"modbus": {"unit": unit}}
        )

    def _connected(self) -> ModbusDriver:
        if not isinstance(self.driver, ModbusDriver):
            raise DeviceLost(self.url, "not connected at the moment")
        return self.driver

    async def refresh(self) -> None:
        driver, table, top = self._connected(), self.table, self._top
        memory = self.memories[table]
        count = min(self._room + 1, SIZE - top)  # one more: a wide value takes the next register too
        before = {address: memory.words.get(address) for address in range(top, top + count)}

        def progress(text: str) -> None:
            self.progress = f"reading: {text}"
            self.changed()

        try:
            await read_registers(driver, memory, top, count, progress)
        finally:
            self.progress = ""
        self.changes = {place: left - 1 for place, left in self.changes.items() if left > 1}
        for address, word in before.items():
            if word is not None and memory.words.get(address) not in (None, word):
                self.changes[table, address] = _SHOWN_CHANGES
        if (table, top) != (self.table, self._top):
            self.wake.set()  # somebody went elsewhere meanwhile
        elif self._unread:
            await self._read_on(driver)

    async def _read_on(self, driver: ModbusDriver) -> None:
        """Read where nobody looked yet until what is searched for is there, or a key stops it."""
        memory, wanted = self.memory, self.wanted
        while self._unread and wanted is not None:
            unread, piece = self._unread, self._unread[:_STEP]
            self.message = f"searching {wanted.text}: {piece[0]:,} … — any key stops"
            self.changed()
            count = min(len(piece) + 1, SIZE - piece[0])  # a wide value takes the next register too
            await read_registers(driver, memory, piece[0], count, lambda _: None)
            if self._unread is not unread:
                return  # a key stopped it
            self._unread = unread[_STEP:]
            spot = find(memory, wanted, piece)
            if spot is not None:
                self._unread = range(0)
                self._show(spot)
            elif not self._unread:
                more = " — n reads on" if piece[-1] < SIZE - 1 else ", the last address"
                self.message = f"{wanted.text} is nowhere up to {piece[-1]:,}{more}"

    # --- keys -------------------------------------------------------------------------------------------

    def press(self, key: str, character: str | None = None) -> None:
        self._unread = range(0)  # any key stops a search
        super().press(key, character)

    def act(self, key: str) -> None:
        moves = {"up": -1, "down": 1, "pageup": -self._room, "pagedown": self._room}
        moves |= {"home": -SIZE, "end": SIZE}
        if key in moves:
            self._go(self.table, self.address + moves[key])
            if key in ("pageup", "pagedown"):
                self._top = max(0, min(SIZE - self._room, self._top + moves[key]))
                self.wake.set()
        elif key in ("left", "right"):
            last = len(views(self.table)) - 1
            self.column = max(0, min(last, self.column + (1 if key == "right" else -1)))
        elif key == "t":
            tables = list(Table)
            self._go(tables[(tables.index(self.table) + 1) % len(tables)], self.address)
        elif key == "g":
            self.prompt = Prompt("go to (100, 0x64, 40101, input:7)", "", self._take_place)
        elif key == "slash":
            label = "find (230.5, 2305, 0x43CF, on, or a text)"
            self.prompt = Prompt(label, self.wanted.text if self.wanted else "", self._take_search)
        elif key == "n":
            self.message = self._next(Spot(self.address, self.column))
        elif key == "space":
            self._pick()
        elif key == "r":
            self.memory.forget()
            self.wake.set()

    def _go(self, table: Table, address: int) -> None:
        self.table, self.address = table, max(0, min(SIZE - 1, address))
        self.column = min(self.column, len(views(table)) - 1)
        if not self._top <= self.address < self._top + self._room:
            self._top = max(0, min(self.address, SIZE - self._room))
        self.wake.set()

    def _take_place(self, text: str) -> str:
        if not text:
            return ""
        try:
            table, address = place(text, self.table)
        except ValueError as error:
            return str(error)
        self._go(table, address)
        self._top = max(0, min(address, SIZE - self._room))
        return ""

    def _take_search(self, text: str) -> str:
        try:
            self.wanted = sought(text)
        except ValueError as error:
            return str(error)
        return self._next(None)

    def _next(self, after: Spot | None) -> str:
        """Go to the next place that is known to hold it, else let further ones be read."""
        if self.wanted is None:
            return "nothing was searched for yet — / does"
        unread = self._unread_from(self.address)
        spot = find(self.memory, self.wanted, range(self.address, unread), after)
        if spot is not None:
            self._show(spot)
            return self.message
        if unread == SIZE:
            return f"{self.wanted.text} is nowhere from here to the last address"
        self._unread = range(unread, min(unread + _STRETCH, SIZE))
        self.wake.set()
        return f"searching {self.wanted.text} …"

    def _unread_from(self, address: int) -> int:
        """The first address from here on that nobody asked for yet."""
        memory = self.memory
        while address < SIZE and (address in memory.words or address in memory.refused):
            address += 1
        return address

    def _show(self, spot: Spot) -> None:
        self._go(self.table, spot.address)
        self.column = spot.column
        self.message = f"found: {self.cell} — n finds the next"

    def _pick(self) -> None:
        cell = self.cell
        if self.chosen.pop(cell, None) is not None:
            return
        if row(self.memory, cell.address).values[self.column] is None:
            self.message = f"{cell} has no value that could be picked"
            return
        name = f"{cell.table}_{cell.address}"
        text = cell.view.coding.type is DataType.STRING
        label = f"name of {cell}" + (", and its characters" if text else "")
        self.prompt = Prompt(label, f"{name}:2" if text else name, lambda given: self._take_name(cell, given))

    def _take_name(self, cell: Cell, given: str) -> str:
        name, _, size = given.partition(":") if cell.view.coding.type is DataType.STRING else (given, "", "")
        length: int | None = None
        if size:
            if not (size.strip().isdecimal() and 1 <= int(size) <= _LONGEST_TEXT):
                return f'"{size}" is no number of characters from 1 to {_LONGEST_TEXT}, nothing was picked'
            length = int(size)
        elif cell.view.coding.type is DataType.STRING:
            length = 2
        legal, renamed = tag_name(name.strip(), "")
        if not legal:
            return f'"{name}" cannot be a name: letters, digits and _ . / -'
        if legal in {chosen.name for chosen in self.chosen.values()}:
            return f'"{legal}" is picked already, nothing was picked'
        self.chosen[cell] = Chosen(legal, length)
        return f"{cell} is named {legal}" if renamed or legal != name.strip() else ""

    # --- painting ---------------------------------------------------------------------------------------

    def paint(self, width: int, height: int) -> list[Line]:
        self._room = max(1, height - 8)
        self._top = max(0, min(self._top, SIZE - self._room))
        if not self._top <= self.address < self._top + self._room:
            below = self.address >= self._top + self._room
            self._top = self.address - self._room + 1 if below else self.address
        self._roomy = width >= _ROOMY
        columns = self._columns(width)
        counts = f"{len(self.chosen):,} picked" if self.chosen else self.progress
        tabs: Line = [Span(" ")]
        for table in Table:
            tabs += [Span(f" {table} ", Ink.INVERSE if table is self.table else Ink.DIM), Span(" ")]
        addresses = range(self._top, min(self._top + self._room, SIZE))
        return [
            self.header(counts, width),
            fitted(tabs, width),
            rule(width),
            fitted([Span(fit("", _FIXED)), *self._groups(columns)], width),
            fitted([Span("  from 0 manual raw ", Ink.DIM), *self._heads(columns)], width),
            *[self._line(row(self.memory, address), columns, width) for address in addresses],
            self._said_here(width),
            *self.footer(width),
        ][:height]

    def _columns(self, width: int) -> list[int]:
        """The views that have room, with the cursor's among them."""
        all_views = views(self.table)
        room = width - _FIXED
        self._left = min(self._left, self.column)
        while True:
            taken, columns = 0, []
            for n in range(self._left, len(all_views)):
                taken += self._width(all_views[n]) + 1
                if taken > room:
                    break
                columns.append(n)
            if self.column in columns or self._left >= self.column:
                return columns or [self.column]
            self._left += 1

    def _width(self, view: View) -> int:
        roomy = self._roomy and view.coding.type is DataType.FLOAT32
        return _WIDTHS[view.coding.type] + (3 if roomy else 0)

    def _heads(self, columns: list[int]) -> Line:
        line = []
        for n in columns:
            view = views(self.table)[n]
            text = str(view.coding.order) if view.wide else _HEADS.get(view.name, view.name)
            ink = Ink.STRONG if n == self.column else Ink.DIM
            line.append(Span(f"{text:>{self._width(view)}} ", ink))
        return line

    def _groups(self, columns: list[int]) -> Line:
        """The type above the first of its four word orders."""
        line, before = [], None
        for n in columns:
            view = views(self.table)[n]
            kind = view.coding.type if view.wide else None
            width = self._width(view)
            text = str(kind) if kind is not None and kind is not before else ""
            line.append(Span(f"{text:>{width}} ", Ink.DIM))
            before = kind
        return line

    def _line(self, at: Row, columns: list[int], width: int) -> Line:
        here = at.address == self.address
        changed = (self.table, at.address) in self.changes
        named = {cell.view: c for cell, c in self.chosen.items() if cell[:2] == (self.table, at.address)}
        mark = "■" if named else "*" if changed else " "
        ink = Ink.STRONG if changed else Ink.PLAIN
        head = Span(f"{mark} {at.address:>5} {at.reference:>6} ", Ink.STRONG if here else Ink.DIM)
        if at.refused:
            ink = Ink.INVERSE if here else Ink.DIM
            return fitted([head, Span("✕    ", Ink.DIM), Span(at.refused, ink)], width)
        line = [head, Span(f"{at.raw:>4} ", ink)]
        for n in columns:
            view = views(self.table)[n]
            text = fit(f"{_short(at.values[n], self._width(view)):>{self._width(view)}}", self._width(view))
            cell_ink = Ink.INVERSE if here and n == self.column else Ink.ACTION if view in named else ink
            line += [Span(text, cell_ink), Span(" ")]
        return fitted(line, width)

    def _said_here(self, width: int) -> Line:
        cell = self.cell
        chosen = self.chosen.get(cell)
        at = row(self.memory, cell.address)
        value = shown(at.values[self.column]) or at.refused or "not read yet"
        text = f" {cell} ({reference(cell.table, cell.address)}) = {value}"
        if chosen is not None:
            text += f"   ■ {chosen.name}" + (f", {chosen.length} characters" if chosen.length else "")
        return fitted([Span(text, Ink.STRONG)], width)
