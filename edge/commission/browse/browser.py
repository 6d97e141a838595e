"""What both ways of browsing share on a screen: the connection, the prompt, messages, writing the profile.

No Textual: a browser is handed keys, paints lines, and asks whoever shows it to run its longer work.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.driver import ConnectError, DeviceLost, Driver, DriverError, Identity
from drivers.imports.profile_file import write
from edge.commission.browse.dumping import identity_of
from edge.commission.browse.picking import Pick, Written
from edge.terminal.painting import Ink, Line, Span, fitted, sides, text_of, width_of

REFRESH = 1.0
"""Seconds between two looks at what is on the screen."""


@dataclass(slots=True)
class Prompt:
    """One line that somebody types. ``accept`` takes it, and says what is wrong with it, or nothing."""

    label: str
    text: str
    accept: Callable[[str], str]

    def press(self, key: str, character: str | None) -> None:
        """A key that is no Enter and no Escape."""
        if key == "backspace":
            self.text = self.text[:-1]
        elif key == "ctrl+u":
            self.text = ""
        elif character is not None and len(self.text) < 500:
            self.text += character


class Browser(ABC):
    """One machine on a screen.

    Args:
        make: a driver for it that is not connected, each time anew.
    """

    keys: Sequence[tuple[str, str]] = ()
    """Keys and what they do, for the last line."""

    def __init__(self, make: Callable[[], Driver[Any]]) -> None:
        self._make = make
        self.driver: Driver[Any] | None = None
        self.url = make().address
        self.identity = Identity()
        self.prompt: Prompt | None = None
        self.message = ""
        self.trouble = ""
        self.changed: Callable[[], None] = lambda: None
        """Called when there is something new to show."""
        self.run: Callable[[Coroutine[Any, Any, None]], object] = lambda work: work.close()
        """Starts longer work; whoever shows the browser ends it together with the screen."""
        self.leave: Callable[[], None] = lambda: None
        self.wake = asyncio.Event()
        self._overwrites = ""

    # --- the connection ---------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect.

        Raises:
            ConnectError: with what to change.
        """
        driver = self._make()
        self.driver = await driver.__aenter__()
        try:
            self.identity = await identity_of(driver)
        except DeviceLost as lost:
            # Who is silent here may still answer reads: it is said again where it matters.
            self.message = f"it does not say what it is: {lost.cause}"

    async def close(self) -> None:
        """Disconnect; harmless when it is not connected."""
        driver, self.driver = self.driver, None
        if driver is not None:
            await driver.close()

    async def live(self) -> None:
        """Keep what is on the screen fresh until cancelled; a lost machine is connected to again."""
        while True:
            try:
                if self.driver is None:
                    await self.open()
                    self.message = "connected again"
                await self.refresh()
                self.trouble = ""
            except (ConnectError, DeviceLost) as error:
                self.trouble = f"{error.cause} — trying again each second"
                await self.close()
            except DriverError as error:
                self.trouble = str(error)
            self.changed()
            self.wake.clear()
            try:
                async with asyncio.timeout(REFRESH):
                    await self.wake.wait()
            except TimeoutError:
                continue

    @abstractmethod
    async def refresh(self) -> None:
        """Read what is on the screen now."""

    # --- keys -------------------------------------------------------------------------------------------

    def press(self, key: str, character: str | None = None) -> None:
        """One key; ``character`` where it is printable."""
        if self.prompt is None:
            self.message = ""
            self._overwrites = ""
            if key == "q":
                self.leave()
            elif key == "w":
                self._ask_file()
            else:
                self.act(key)
        elif key == "escape":
            self.prompt, self.message = None, ""
        elif key == "enter":
            prompt, self.prompt = self.prompt, None
            self.message = prompt.accept(prompt.text.strip())
            if self.message.endswith("?") and self.prompt is None:
                self.prompt = prompt
        else:
            self.prompt.press(key, character)
        self.changed()

    @abstractmethod
    def act(self, key: str) -> None:
        """A key of this browser."""

    # --- the profile ------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def picks(self) -> list[Pick]:
        """What is picked."""

    @abstractmethod
    async def profile(self) -> Written:
        """The picks as a profile.

        Raises:
            ValueError: there is none to be made of them.
            DeviceLost: the machine was needed for it and does not answer.
        """

    def _ask_file(self) -> None:
        if not self.picks:
            self.message = "nothing is picked yet — space picks what the cursor is on"
            return
        words = re.sub(r"[^a-z0-9]+", "-", f"{self.identity.vendor} {self.identity.product}".lower())
        self.prompt = Prompt("write the profile to", f"{words.strip('-') or 'machine'}.yaml", self._take_file)

    def _take_file(self, text: str) -> str:
        if not text:
            return "no file was named, nothing was written"
        path = Path(text).expanduser()
        if path.is_dir():
            return f"{path} is a folder — which file in it?"
        if path.exists() and self._overwrites != text:
            self._overwrites = text
            return f"{path} is there already — Enter again overwrites it, Escape leaves it. Overwrite?"
        self.run(self._write(path))
        return ""

    async def _write(self, path: Path) -> None:
        try:
            written = await self.profile()
            await asyncio.to_thread(write, path, written.text)
        except (ValueError, DriverError) as error:
            self.message = f"not written: {error}"
        except OSError as error:
            self.message = f"{path} cannot be written: {error.strerror}"
        else:
            left = f", {len(written.rejected)} not taken: {written.rejected[0]}" if written.rejected else ""
            self.message = f"{path}: {written.tags} tags written{left} — next: onelot driver check {path}"
        self.changed()

    # --- painting ---------------------------------------------------------------------------------------

    def header(self, right: str, width: int) -> Line:
        """Which machine, and what is counted."""
        who = " ".join(word for word in (self.identity.vendor, self.identity.product) if word)
        left = [Span(f" {who}  " if who else " ", Ink.STRONG), Span(self.url, Ink.DIM)]
        return sides(left, [Span(f"{right} ")], width)

    def footer(self, width: int) -> list[Line]:
        """What is wrong, said or asked, and the keys."""
        if self.prompt is not None:
            said = [Span(f" {self.message} " if self.message else "", Ink.ABNORMAL)]
            label = [Span(f" {self.prompt.label}: ", Ink.ACTION)]
            room = max(1, width - width_of(label) - 1)
            shown = self.prompt.text if len(self.prompt.text) < room else self.prompt.text[-room + 1 :]
            field = [Span(shown, Ink.FIELD), Span(" ", Ink.INVERSE)]
            keys = [Span("  Enter takes it · Escape leaves it · Ctrl+U empties it", Ink.DIM)]
            return [fitted(said if self.message else keys, width), fitted([*label, *field], width)]
        said = [Span(f" {self.message}")]
        if self.trouble:
            said = [Span(f" ▲ {self.trouble}", Ink.ABNORMAL)]
        line: Line = []
        for key, what in reversed(self.keys):  # where room is short, what goes without saying goes first
            more = [Span(f" {key} ", Ink.KEY), Span(f" {what}  ", Ink.DIM)]
            if width_of([*more, *line]) > width:
                break
            line = [*more, *line]
        return [fitted(said, width), fitted(line, width)]

    @abstractmethod
    def paint(self, width: int, height: int) -> list[Line]:
        """The whole screen: ``height`` lines of ``width`` cells."""

    def text(self, width: int, height: int) -> str:
        """The screen without its inks."""
        return "\n".join(text_of(line).rstrip() for line in self.paint(width, height))
