"""The Textual app over the headless screens: keys, scanner, paste, a real edge behind it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from rich.cells import cell_len
from textual.pilot import Pilot

from edge.client import EdgeClient
from edge.terminal.app import TerminalApp
from edge.terminal.screens.work import WorkPage
from edge.terminal.session import Session
from protocols import actions as did
from tests.edge.edges import TOKEN, edge_api, edge_with_stations
from tests.edge.terminal.terminals import Terminal
from tests.edge.workcells import SECOND, STEPS, T0, job_list, operation


def screen(app: TerminalApp) -> str:
    lines = [app.canvas.render_line(y).text for y in range(app.canvas.size.height)]
    assert all(cell_len(line) == app.canvas.size.width for line in lines)
    return "\n".join(line.rstrip() for line in lines)


async def until(pilot: Pilot[str], words: str | Callable[[str], bool], seconds: float = 10) -> str:
    """Wait until the words are on the screen; raises AssertionError showing it."""
    app = pilot.app
    assert isinstance(app, TerminalApp)
    try:
        async with asyncio.timeout(seconds):
            while True:
                text = screen(app)
                if words(text) if callable(words) else words in text:
                    return text
                await pilot.pause(0.02)
    except TimeoutError:
        raise AssertionError(f"{words!r} did not come:\n{screen(app)}") from None


async def test_keys_reach_the_session_and_the_screen_is_painted() -> None:
    terminal = Terminal(operation(steps=STEPS))
    app = TerminalApp(terminal.session)
    async with app.run_test(size=(80, 24)) as pilot:
        assert "Bend side panels" in screen(app)
        await pilot.press("f12")
        assert "折弯侧板" in screen(app)
        await pilot.press("f1")
        assert "队列" in screen(app)
        await pilot.press("escape", "tab", "f11")
        assert "F4 调机" in screen(app)
        await pilot.resize_terminal(40, 15)
        await pilot.pause()
        assert len(screen(app).split("\n")) == 15


async def test_a_terminal_completes_an_operation_at_a_real_edge(tmp_path: Path) -> None:
    numbers, seconds = iter(range(1000)), 0
    async with edge_with_stations(tmp_path) as edge, edge_api(edge) as client:
        await edge.stations.jobs_received(job_list(operation(steps=STEPS)))
        session = Session(
            station="brake-1",
            url=client.url,
            actor="K7",
            now=lambda: T0 + seconds * SECOND,
            new_id=lambda: f"terminal-{next(numbers):04}",
            home=WorkPage(),
        )
        app = TerminalApp(session, EdgeClient(client.url, TOKEN))
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, "► Next: set up with F4")
            assert edge.stations.view("brake-1").terminals == 1
            await pilot.press("f4")
            await until(pilot, "► Set up")
            seconds = 1  # the same key again: not a glove's double press
            await pilot.press("f4")
            await until(pilot, "first piece released")
            await pilot.press("f5")
            await until(pilot, "► Produce")
            await pilot.press(*"TOOL-88", "enter")
            await until(pilot, "Step 3 of 4")
            await pilot.press(*"25.6", "enter")
            await until(pilot, "✗ 25.6 mm")
            await pilot.press(*"25.1", "enter")
            await until(pilot, "Step 4 of 4")
            await pilot.press("f3")
            await until(pilot, "All steps done")
            await pilot.press("f2")
            await until(pilot, "done 1")
            await pilot.press("f4", "tab", "1", "f4")
            await until(pilot, "✓ run completed → undo with F9")
        async with asyncio.timeout(5):
            while edge.stations.view("brake-1").terminals:
                await edge.stations.next_change("brake-1").wait()
        events = [action.event for action in await edge.sent_actions()]
        assert isinstance(events[-1], did.RunCompleted)
        assert events[-1].finished == ("op-1",)
        booked = [event for event in events if isinstance(event, did.Booked)]
        assert [(int(event.good), int(event.scrap), event.reason) for event in booked] == [
            (1, 0, ""),
            (2, 1, "dented"),
        ]


async def test_an_action_waits_as_pending_while_the_edge_is_away_and_is_done_once(tmp_path: Path) -> None:
    numbers = iter(range(1000))
    async with edge_with_stations(tmp_path) as edge:
        await edge.stations.jobs_received(job_list(operation()))
        async with edge_api(edge) as client:
            url = client.url
            port = int(url.rsplit(":", 1)[1])
            session = Session(
                station="brake-1",
                url=url,
                actor="K7",
                now=lambda: T0,
                new_id=lambda: f"terminal-{next(numbers):04}",
                home=WorkPage(),
            )
            app = TerminalApp(session, EdgeClient(url, TOKEN))
            running = app.run_test(size=(80, 24))
            pilot = await running.__aenter__()
            await until(pilot, "► Next: set up with F4")
        try:
            await until(pilot, "✕ edge not answering")
            await pilot.press("f5")
            await until(pilot, "◌ work taken in hand … waiting for the edge")
            async with edge_api(edge, port=port):
                await until(pilot, "✓ work taken in hand")
                await until(pilot, "► Produce")
        finally:
            await running.__aexit__(None, None, None)
        assert len(await edge.sent_actions()) == 1


async def test_a_wrong_token_ends_the_terminal_with_the_reason(tmp_path: Path) -> None:
    async with edge_with_stations(tmp_path) as edge, edge_api(edge) as client:
        terminal = Terminal()
        app = TerminalApp(terminal.session, EdgeClient(client.url, "wrong"))
        async with app.run_test(size=(80, 24)) as pilot, asyncio.timeout(10):
            while app.return_value is None:
                await pilot.pause(0.02)
        assert app.return_value == "the token is missing or wrong (HTTP 401 live)"


async def test_pasted_codes_are_scanned() -> None:
    from textual.events import Paste

    terminal = Terminal(operation("op-1"), operation("op-2", planned_start=T0 + 1))
    app = TerminalApp(terminal.session)
    async with app.run_test(size=(80, 24)) as pilot:
        app.post_message(Paste("A-op-2\r\n"))
        await until(pilot, "1 selected of at most 3")
