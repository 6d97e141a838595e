"""The register grid on a screen, with a real device: read, mark what changes, pick, name, write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from drivers.modbus.profile import ModbusProfile, Table
from drivers.modbus.simulator import ModbusServer
from drivers.profile.files import load_profile
from drivers.profile.profile import WordOrder
from edge.commission.browse.app import BrowseApp
from edge.commission.browse.command import maker
from edge.commission.browse.grid import Grid
from tests.edge.commission.background import onelot_driver
from tests.edge.commission.test_browse_command import METER, meter
from tests.edge.commission.test_browse_tree import type_in, until

SIZE = (100, 30)


@asynccontextmanager
async def shown(url: str, table: Table = Table.INPUT) -> AsyncIterator[tuple[Grid, Pilot[Any]]]:
    grid = Grid(maker(url, ["timeout=0.5", "lost_after=1"]), table)
    await grid.open()
    try:
        async with BrowseApp(grid).run_test(size=SIZE) as pilot:
            yield grid, pilot
    finally:
        await grid.close()


def line(grid: Grid, address: int) -> str:
    """The line of an address, as it is on the screen."""
    return next(text for text in grid.text(*SIZE).splitlines() if text[2:7].strip() == str(address))


async def test_registers_are_shown_in_every_order_and_refused_ones_say_why() -> None:
    async with meter() as server, shown(server.url) as (grid, pilot):
        await until(pilot, lambda: 0 in grid.memory.words and 7 in grid.memory.refused)
        assert line(grid, 0).split()[:6] == ["0", "30001", "4366", "17254", "17254", "Cf"]
        assert "230.5" in line(grid, 0)
        assert "✕    exception 2: illegal data address" in line(grid, 7)
        await pilot.press(*["right"] * 10)
        assert grid.cell.view.name == "uint32 DCBA"
        assert "uint32" in grid.text(*SIZE)


async def test_80_columns_show_a_float_in_all_four_orders_and_how_to_leave() -> None:
    async with meter() as server, shown(server.url) as (grid, pilot):
        await until(pilot, lambda: 0 in grid.memory.words)
        text = grid.text(80, 24).splitlines()
        assert text[4].split()[-4:] == ["ABCD", "CDAB", "BADC", "DCBA"]
        assert "write   q  quit" in text[-1]


async def test_what_changes_is_marked_for_a_while() -> None:
    async with meter() as server, shown(server.url) as (grid, pilot):
        await until(pilot, lambda: 0 in grid.memory.words)
        server.set("voltage", 231.5)
        await until(pilot, lambda: bool(grid.changes))
        assert line(grid, 0).startswith("*")
        assert "231.5" in line(grid, 0)
        grid.wake.set()
        await until(pilot, lambda: not grid.changes)
        assert line(grid, 0).startswith(" ")


async def test_cells_are_picked_named_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    server = ModbusServer(METER)
    server.set("voltage", 230.5)
    server.set("energy", 123_456_789)
    async with server, shown(server.url) as (grid, pilot):
        await until(pilot, lambda: 7 in grid.memory.words)
        await pilot.press("right", "right", "right")
        assert grid.cell.view.name == "float32 ABCD"
        await type_in(pilot, "space", "L1/voltage")
        await type_in(pilot, "g", "30007")
        await until(pilot, lambda: grid.address == 6 and 6 in grid.memory.words)
        await pilot.press(*["right"] * 5)
        assert grid.cell.view.name == "uint32 CDAB"
        assert "= 123456789" in grid.text(*SIZE)
        await type_in(pilot, "space", "Énergie (Wh)")
        assert "is named Energie_Wh" in grid.text(*SIZE)
        await type_in(pilot, "g", "input:0")
        await pilot.press(*["left"] * 6)
        await type_in(pilot, "space", "tag:4")
        assert "3 picked" in grid.text(*SIZE)
        assert line(grid, 0).startswith("■")
        await pilot.press("space")
        assert "2 picked" in grid.text(*SIZE)
        await type_in(pilot, "space", "L1/voltage:4")
        assert '"L1/voltage" is picked already' in grid.text(*SIZE)
        await type_in(pilot, "w", "meter.yaml")
        await until(pilot, lambda: "written" in grid.message)
    made = load_profile(tmp_path / "meter.yaml")
    assert {name: str(tag.type) for name, tag in made.tags.items()} == {
        "L1/voltage": "float32",
        "Energie_Wh": "uint32",
    }
    assert made.tags["Energie_Wh"].word_order is WordOrder.CDAB  # type: ignore[attr-defined]
    assert made.modbus.unit == 7  # type: ignore[attr-defined]
    result = await asyncio.to_thread(onelot_driver, "check", "meter.yaml")
    assert result.exit_code == 0, result.output


async def test_tables_pages_and_places() -> None:
    async with meter() as server, shown(server.url) as (grid, pilot):
        await type_in(pilot, "g", "coil:3")
        await until(pilot, lambda: 3 in grid.memory.words)
        assert "off" in line(grid, 3)
        server.set("relay", True)
        await until(pilot, lambda: grid.memory.words[3] == 1)
        assert "on" in line(grid, 3)
        await pilot.press("t")
        assert (grid.table, grid.address) == (Table.DISCRETE, 3)
        await pilot.press("pagedown", "pagedown", "home")
        assert grid.address == 0
        await pilot.press("end")
        assert "65535" in grid.text(*SIZE)
        await type_in(pilot, "g", "holdng:1")
        assert "did you mean holding?" in grid.text(*SIZE)
        await pilot.press("space")
        assert "has no value that could be picked" in grid.text(*SIZE)


async def test_refused_addresses_are_asked_for_again_only_when_somebody_says_so() -> None:
    async with meter() as server, shown(server.url) as (grid, pilot):
        await until(pilot, lambda: 7 in grid.memory.refused)
        server.illegal.clear()
        grid.wake.set()
        await pilot.pause(0.2)
        assert 7 in grid.memory.refused
        await pilot.press("r")
        await until(pilot, lambda: 7 in grid.memory.words)


async def test_a_device_that_goes_is_said_and_found_again() -> None:
    async with meter() as server, shown(server.url) as (grid, pilot):
        await until(pilot, lambda: 0 in grid.memory.words)
        server.silent = True
        await until(pilot, lambda: "trying again" in grid.text(*SIZE))
        server.silent = False
        server.set("voltage", 100.0)
        await until(pilot, lambda: not grid.trouble and "100 " in line(grid, 0))


@pytest.mark.parametrize("width", [60, 80, 200])
async def test_the_cursor_is_on_the_screen_however_narrow_it_is(width: int) -> None:
    grid = Grid(maker("modbus://127.0.0.1:1", []))
    for _ in range(20):
        lines = grid.paint(width, 24)
        assert [sum(len(span.text) for span in each) for each in lines] == [width] * 24
        head = {"uint16": "u16", "int16": "i16", "text": "tx"}.get(grid.cell.view.name, "")
        assert (head or grid.cell.view.name.split()[-1]) in grid.text(width, 24).splitlines()[4]
        grid.press("right")


async def test_what_the_display_shows_is_found_by_reading_on() -> None:
    far = ModbusProfile.model_validate(
        {
            "vendor": "v",
            "model": "m",
            "protocol": "modbus",
            "tags": {
                "low": {"address": "holding:3", "type": "int16"},
                "high": {"address": "holding:700", "type": "float32", "word_order": "CDAB"},
            },
        }
    )
    server = ModbusServer(far, gaps=True)
    server.set("low", -125)
    server.set("high", 49.98)
    async with server, shown(server.url, Table.HOLDING) as (grid, pilot):
        await until(pilot, lambda: 3 in grid.memory.words)
        await type_in(pilot, "slash", "-12.5")
        assert (grid.address, grid.cell.view.name) == (3, "int16")
        await type_in(pilot, "slash", "49.98")
        await until(pilot, lambda: grid.message.startswith("found"))
        assert str(grid.cell) == "holding:700 as float32 CDAB"
        await pilot.press("n")
        await until(pilot, lambda: "is nowhere up to" in grid.message)
        assert "n reads on" in grid.text(*SIZE)
        await pilot.press("n", "down")
        assert grid.address == 701
        await until(pilot, lambda: 701 in grid.memory.words)
        assert "searching" not in grid.message
