"""The operator's terminal in a real terminal: what is done there is on the page and in the API.

The cloud is killed in the middle of it: at the station nobody has to wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import subprocess
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers import OpenBrowser
from tests.system.machines import Press
from tests.system.plant import Machine, Plant, plant
from tests.system.processes import ROOT, onelot, until

pytestmark = [
    pytest.mark.system,
    pytest.mark.needs("mosquitto", "tmux", "chromium"),
    pytest.mark.timeout(300),
]
PIECES = 3
PAGE_MS = 30_000


@dataclass(frozen=True, slots=True)
class Screen:
    """A terminal of 100 × 30 in a tmux server of its own: keys in, characters out."""

    server: str

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._tmux("send-keys", "-t", "main", *keys)

    def text(self) -> str:
        """What the screen shows."""
        return self._tmux("capture-pane", "-p", "-t", "main")

    async def shows(self, *words: str, seconds: float = 30.0) -> None:
        """Wait until all these words are on the screen."""
        seen = ""

        async def all_there() -> bool:
            nonlocal seen
            seen = await asyncio.to_thread(self.text)
            return all(word in seen for word in words)

        try:
            await until(all_there, f"the screen shows {words}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{seen}") from None

    def _tmux(self, *arguments: str) -> str:
        return tmux(self.server, *arguments)


def tmux(server: str, *arguments: str) -> str:
    """Run a tmux command; what it printed."""
    command = ["tmux", "-L", server, "-f", "/dev/null", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stderr}"
    return done.stdout


@contextlib.asynccontextmanager
async def terminal(command: list[str]) -> AsyncIterator[Screen]:
    """A command in a terminal; ended with it."""
    server = f"onelot-{uuid.uuid4().hex[:8]}"
    tmux(server, "new-session", "-d", "-s", "main", "-x", "100", "-y", "30", shlex.join(command))
    try:
        yield Screen(server)
    finally:
        tmux(server, "kill-server")


async def test_an_operation_completed_at_a_terminal_is_on_the_page_and_in_the_api(
    tmp_path: Path, chromium: OpenBrowser
) -> None:
    async with Press() as one, Press() as two:
        machines = [
            Machine("press-1", "test/press", one.url),
            Machine("press-2", "test/press", two.url),
        ]
        async with plant(tmp_path, {"north": machines}) as site, chromium() as browser:
            await site.start()
            order = await site.order(PIECES, "press-1", "press-2")
            view = await _logged_in(browser, site)
            row = view.locator("table.list tr", has_text=order)
            await row.get_by_text("0/2", exact=True).wait_for(timeout=PAGE_MS)

            edge = site.edges["north"]
            arguments = ("--edge", edge.url, "--station", "press-1", "--token-file", edge.data / "api.token")
            async with terminal(onelot("terminal", *arguments, "--actor", "K7")) as screen:
                await screen.shows("PRESS-1", "K7", order, "Make")
                screen.press("F5")
                await screen.shows("F4 complete")
                screen.press("F2")
                await screen.shows("done 1")
                await site.cloud.kill()
                screen.press("Down", "F2")  # the same key twice at once would be a glove's double press
                await screen.shows("done 2")
                await screen.shows("cloud stopped", "waiting")
                screen.press("F4")
                await screen.shows("F1 back")
                screen.press("Tab", "F4")
                await screen.shows("✓ run completed", "No work in the queue")
            site.cloud.start()
            await site.ready()
            await _finished(site, order)
            await row.get_by_text("1/2", exact=True).wait_for(timeout=PAGE_MS)


async def _logged_in(browser: Any, site: Plant) -> Any:
    """The page, as the user of the first start sees it."""
    user, password = site.login()
    view = await browser.new_page()
    await view.goto(f"{site.page}/login")
    await view.fill("#user", user)
    await view.fill("#password", password)
    await view.click("button")
    await view.wait_for_url(f"{site.page}/")
    return view


async def _finished(site: Plant, order: str) -> None:
    """Wait until the API has the operation at press-1 finished with all its pieces."""

    async def is_finished() -> bool:
        jobs = await site.get("/jobs", order=order)
        operations = [operation for job in jobs for operation in job["operations"]]
        made = {each["kind"]: (each["state"], each["good"], each["scrap"]) for each in operations}
        return bool(made["press-1"] == ("finished", str(PIECES), "0") and made["press-2"][0] != "finished")

    await until(is_finished, f"the operation of {order} at press-1 is finished")
