"""The tree on a screen, with a real server: load, look, search, pick, write, lose the machine and find it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.events import Key, Paste
from textual.pilot import Pilot

from drivers.driver import ConnectError
from drivers.opcua.simulator import OpcuaServer
from drivers.profile.files import load_profile
from edge.commission.browse.app import BrowseApp, show
from edge.commission.browse.command import maker
from edge.commission.browse.tree import Tree
from tests.drivers.opcua.test_opcua_driver import URI
from tests.edge.commission.background import onelot_driver
from tests.edge.commission.test_browse_command import MODEL, machine

SIZE = (100, 30)


@asynccontextmanager
async def shown(url: str, under: str = "") -> AsyncIterator[tuple[Tree, Pilot[Any]]]:
    tree = Tree(maker(url, ["security=none", "timeout=1"]), under)
    await tree.open()
    try:
        async with BrowseApp(tree).run_test(size=SIZE) as pilot:
            await until(pilot, lambda: bool(tree.outline.rows) and not tree.outline.root.loading)
            yield tree, pilot
    finally:
        await tree.close()


async def until(pilot: Pilot[Any], holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await pilot.pause(0.02)


def names(tree: Tree) -> tuple[str, ...]:
    """Of what the cursor is on."""
    return () if tree.outline.current is None else tree.outline.current.names


async def turns(holds: Callable[[], bool]) -> None:
    """Let the loop turn until it holds, however much there is to do."""
    for _ in range(1_000_000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


async def find(tree: Tree, pilot: Pilot[Any], text: str) -> None:
    await type_in(pilot, "slash", text)


async def type_in(pilot: Pilot[Any], key: str, text: str) -> None:
    """Press a key that asks for something, and give it."""
    await pilot.press(key, "ctrl+u")
    pilot.app.post_message(Paste(text))
    await pilot.press("enter")


async def test_a_machine_is_browsed_picked_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with machine() as server, shown(server.url) as (tree, pilot):
        assert {"Mill", "count", "level"} <= {item.found.name for item in tree.outline.rows}
        await find(tree, pilot, "mill/axis x/position")
        await until(pilot, lambda: tree.seen is not None)
        text = tree.text(*SIZE)
        assert "Mill/Axis X/Position" in text
        assert f"nsu={URI};s=Mill.X.pos" in text
        assert "float64 · read" in text
        assert "1.5" in text
        assert "● good" in text
        await pilot.press("space")
        await find(tree, pilot, "mill/axis y/position")
        await until(pilot, lambda: names(tree)[1:2] == ("Axis Y",))
        await pilot.press("space")
        await find(tree, pilot, "Mill/Many")
        await until(pilot, lambda: names(tree)[-1:] == ("Many",))
        await pilot.press("a")
        await until(pilot, lambda: len(tree.picks) == 5)
        assert "5 picked" in tree.text(*SIZE)
        await type_in(pilot, "w", "mill.yaml")
        await until(pilot, lambda: "written" in tree.message)
        assert "mill.yaml: 5 tags written — next: onelot driver check mill.yaml" in tree.text(*SIZE)
        await type_in(pilot, "w", "mill.yaml")
        assert "mill.yaml is there already" in tree.text(*SIZE)
        await pilot.press("escape", "q")
    made = load_profile(tmp_path / "mill.yaml")
    assert set(made.tags) == {"Axis_X/Position", "Axis_Y/Position", "Value_0", "Value_1", "Value_2"}
    assert onelot_driver("check", "mill.yaml").exit_code == 0


async def test_values_follow_the_machine() -> None:
    async with OpcuaServer(MODEL) as server, shown(server.url) as (tree, pilot):
        await find(tree, pilot, "count")
        await until(pilot, lambda: tree.seen is not None and tree.seen.text == "0")
        server.set("count", 7)
        await until(pilot, lambda: tree.seen is not None and tree.seen.text == "7")
        server.fail("count")
        await until(pilot, lambda: tree.seen is not None and "BadSensorFailure" in tree.seen.problem)
        assert "✕ bad · BadSensorFailure" in tree.text(*SIZE)


async def test_thousands_in_one_folder_leave_the_keys_answering() -> None:
    async with machine(leaves=2000) as server, shown(server.url) as (tree, pilot):
        await find(tree, pilot, "Mill/Many")
        await until(pilot, lambda: names(tree)[-1:] == ("Many",))
        folder = tree.outline.current
        assert folder is not None
        pilot.app.post_message(Key("right", None))
        # The pilot waits until nothing is to be done any more: here somebody types while much is.
        waits = []
        async with asyncio.timeout(60):
            await turns(lambda: bool(folder.children))
            partly = tree.text(*SIZE)
            while folder.loading:
                cursor, begun = tree.outline.cursor, time.perf_counter()
                pilot.app.post_message(Key("down", None))
                await turns(lambda before=cursor: tree.outline.cursor != before)  # type: ignore[misc]
                waits.append(time.perf_counter() - begun)
        # In one process with its server, so that it tells no more than the order of magnitude.
        assert sorted(waits)[len(waits) // 2] < 0.5, waits
        assert len(waits) > 5, "keys were answered only after everything was there"
        assert " …" in partly
        await pilot.pause()
        assert "2,0" in tree.text(*SIZE)
        assert len(folder.children or ()) == 2000
        await find(tree, pilot, "value 1999")
        await until(pilot, lambda: tree.seen is not None and tree.seen.text == "1999")


async def test_what_is_not_there_is_said_with_the_nearest_name() -> None:
    async with machine() as server, shown(server.url) as (tree, pilot):
        await find(tree, pilot, "Mill/Axis Z")
        await until(pilot, lambda: "no " in tree.message)
        assert 'no "Axis Z" below Mill — did you mean Axis' in tree.text(*SIZE)
        await find(tree, pilot, "nobody")
        assert 'nothing loaded so far has "nobody" in its name' in tree.text(*SIZE)
        await pilot.press("w")
        assert "nothing is picked yet" in tree.text(*SIZE)


async def test_a_loop_of_nodes_ends_when_all_below_is_picked() -> None:
    async with machine() as server, shown(server.url) as (tree, pilot):
        await find(tree, pilot, "Mill")
        await pilot.press("A")
        await until(pilot, lambda: len(tree.picks) == 6)
        assert {pick.names[-1] for pick in tree.picks} >= {"Position", "Loads", "Value 0"}


async def test_a_lost_machine_is_said_and_found_again() -> None:
    async with OpcuaServer(MODEL) as server, shown(server.url) as (tree, pilot):
        await find(tree, pilot, "count")
        await until(pilot, lambda: tree.seen is not None)
        await server.stop()
        await until(pilot, lambda: bool(tree.trouble))
        assert "▲" in tree.text(*SIZE)
        assert "trying again" in tree.text(*SIZE)
        await server.start()
        tree.seen = None
        await until(pilot, lambda: tree.seen is not None and not tree.trouble)


async def test_a_machine_that_is_not_there_shows_no_screen() -> None:
    with pytest.raises(ConnectError, match="refused"):
        await show(Tree(maker("opc.tcp://127.0.0.1:1", ["security=none"])))


def test_without_a_terminal_it_says_what_to_do() -> None:
    result = onelot_driver("browse", "opc.tcp://127.0.0.1:1", "--option", "security=none")
    assert result.exit_code == 1
    assert "there is no terminal to browse on — say --csv, --yaml or --json" in result.stderr
