"""The line as tiles in plant order. Elements are made once; only what changed is sent to the browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nicegui import ui

from cloud.live import LiveValues
from cloud.web.board import Tile
from cloud.web.devices import LIVE, STALE
from cloud.web.speech import ENGLISH, Speech
from cloud.web.words import ago, lateness
from protocols.values import MICROSECONDS

BEHIND = 1.0
"""Seconds past the planned end from which a job counts as behind its plan."""


class _Text:
    """A label that sends its text only when it has changed."""

    def __init__(self, classes: str) -> None:
        self._label = ui.label("").classes(classes)
        self._text = ""

    def show(self, text: str) -> None:
        if text != self._text:
            self._text = text
            self._label.set_text(text)


@dataclass(slots=True)
class WorkcellTile:
    """One tile; ``count_tag`` is the cloud tag id of the machine's part counter."""

    workcell: str
    device: str
    count_tag: int | None = None
    say: Speech = ENGLISH
    _card: ui.element | None = None
    _style: str = ""
    _parts: dict[str, _Text] | None = None
    _bar: ui.element | None = None
    _share: int = -1
    _tile: Tile | None = None

    def build(self, title: str) -> None:
        """Make the elements, in the current NiceGUI slot."""
        self._card = (
            ui.element("div")
            .classes("tile")
            .props(
                f'data-workcell="{self.workcell}" data-open="workcell:{self.workcell}" '
                'tabindex="0" role="button"'
            )
        )
        with self._card:
            with ui.element("div").classes("head"):
                ui.label(title)
                state = _Text("state")
            job = _Text("job")
            with ui.element("div").classes("bar"):
                self._bar = ui.element("div")
            with ui.element("div").classes("small"):
                progress, count = _Text(""), _Text("count")
            why = _Text("why")
            with ui.element("div").classes("small"):
                health, age = _Text(""), _Text("age")
        self._parts = {
            "state": state,
            "job": job,
            "progress": progress,
            "count": count,
            "why": why,
            "health": health,
            "age": age,
        }

    def show(self, tile: Tile, now: int) -> None:
        """Everything that comes from the board."""
        assert self._parts is not None  # noqa: S101 - build() comes first
        self._tile = tile
        parts, say = self._parts, self.say
        parts["state"].show(f"{tile.look.shape} {say(tile.look.word)}")
        parts["job"].show(tile.job or say("no job in hand"))
        behind = say(" · ▲ {time} behind", time=lateness(tile.behind)) if tile.behind >= BEHIND else ""
        parts["progress"].show(tile.progress + behind)
        since = f" · {ago((now - tile.since) / MICROSECONDS)}" if tile.since and tile.why else ""
        parts["why"].show(f"{tile.why}{since}")
        health = (
            say("health: learning")
            if tile.health is None
            else say("health {health}", health=f"{tile.health:.0f}")
        )
        parts["health"].show(say("◇ {health}: at risk", health=health) if tile.at_risk else health)
        style = f"border-left-color: {tile.look.colour}"
        if style != self._style and self._card is not None:
            self._style = style
            self._card.style(style)
        share = round(100 * min(1.0, tile.share))
        if share != self._share and self._bar is not None:
            self._share = share
            self._bar.style(f"width: {share}%")

    def show_live(self, live: LiveValues, last_read: Mapping[str, int], now: int) -> None:
        """The part count and the age of the data: what moves several times a second."""
        if self._parts is None or self._tile is None or self._card is None:
            return
        value = live.get(self.count_tag) if self.count_tag is not None else None
        self._parts["count"].show(self.say("count {count}", count=value.value) if value is not None else "")
        newest = max(last_read.get(self.device, 0), self._tile.last_read)
        if not newest:
            self._parts["age"].show(self.say("never read"))
            self._card.classes(add="stale")
            return
        age = now - newest
        old = self.say("{age} old", age=ago(age // MICROSECONDS))
        self._parts["age"].show(old if age > LIVE else self.say("live"))
        if age > STALE:
            self._card.classes(add="stale")
        else:
            self._card.classes(remove="stale")
