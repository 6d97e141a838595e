"""The supervisor's one page: figures, the line, what needs me now, the plan, orders, stops, a trend."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from nicegui import events, ui

from cloud.api.accounts import Accounts, Role, Session
from cloud.context import Context
from cloud.ledger import reading
from cloud.web import acts, gantt, lists, login, trend
from cloud.web.board import Board, Need, plant
from cloud.web.feed import Feed
from cloud.web.shapes import ago
from cloud.web.tiles import WorkcellTile
from protocols.values import MICROSECONDS

LIVE_EVERY = 0.2
"""Seconds between two looks at the live values."""
BOARD_EVERY = 0.5
TREND_EVERY = 2.0
TREND_SPANS = {"1 min": 60, "10 min": 600, "1 h": 3600, "8 h": 28_800}
_STYLE = (Path(__file__).parent / "style.css").read_text("utf-8")
_FIGURES = ("orders on time", "latest order behind", "running today", "open andon", "machines at risk")


def mount(app: FastAPI, context: Context, accounts: Accounts) -> Feed:
    """Add log-in and page to the app; the feed that is returned must be run beside it."""
    feed = Feed(context)
    app.include_router(login.router)

    @ui.page("/", title="OneLot", response_timeout=10)
    async def index(request: Request) -> Response | None:
        session = login.session_of(request, accounts)
        if session is None:
            return RedirectResponse("/login", 303)
        _Page(context, accounts, feed, session, await feed.known_tags()).build()
        return None

    ui.run_with(app, title="OneLot", tailwind=False, show_welcome_message=False, favicon="⛭")
    return feed


@dataclass(slots=True)
class _Page:
    """One browser's page. Timers belong to its client and end with it."""

    context: Context
    accounts: Accounts
    feed: Feed
    session: Session
    tags: list[reading.Tag]
    _tiles: list[WorkcellTile] = field(default_factory=list)
    _figures: list[ui.label] = field(default_factory=list)
    _shown: int = -1
    _needs: ui.element | None = None
    _shown_needs: tuple[Need, ...] | None = None
    _html: dict[str, ui.html] = field(default_factory=dict)
    _sent: dict[str, str] = field(default_factory=dict)
    _counters: Mapping[str, int] = field(default_factory=dict)
    _newest_of: Mapping[str, list[int]] = field(default_factory=dict)
    _tag: int | None = None
    _choice: ui.select | None = None
    _seconds: int = 600

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.context.site.calendar.timezone)

    def build(self) -> None:
        """Make everything once; the timers only change what is different."""
        ui.add_css(_STYLE)
        self._index_tags()
        with ui.element("div").classes("top"):
            ui.label("OneLot").classes("name")
            ui.label(self.context.site.title)
            self._html["age"] = ui.html("", sanitize=False)
            ui.element("div").classes("fill")
            ui.label(self.session.user).classes("ok")
            ui.link("log out", "/logout")
        with ui.element("div").classes("figures"):
            for what in _FIGURES:
                with ui.element("div").classes("panel figure"):
                    self._figures.append(ui.label("–").classes("value"))
                    ui.label(what).classes("what")
        with ui.element("div").classes("band"):
            with ui.element("div").classes("panel fill"):
                ui.html("<h2>The line</h2>", sanitize=False)
                with ui.element("div").classes("tiles"):
                    self._build_tiles()
            with ui.element("div").classes("panel needs"):
                ui.html("<h2>Needs me now</h2>", sanitize=False)
                self._needs = ui.element("div").style("width: 100%")
        with ui.element("div").classes("panel").style("width: 100%"):
            ui.html("<h2>Plan</h2>", sanitize=False)
            self._html["words"] = ui.html("", sanitize=False)
            plan = ui.html("", sanitize=False).style("width: 100%")
            plan.on(
                "click",
                self._explain,
                js_handler="(e) => { const g = e.target.closest('[data-id]'); if (g) emit(g.dataset.id); }",
            )
            self._html["plan"] = plan
        with ui.element("div").classes("band"):
            self._panel("orders", "Orders", "wide")
            with ui.element("div").classes("fill").style("display: flex; flex-direction: column; gap: 12px"):
                self._panel("stops", "Machine stops", "")
                self._panel("unassigned", "Unassigned runs", "")
        self._build_trend()
        ui.timer(LIVE_EVERY, self._show_live)
        ui.timer(BOARD_EVERY, self._show_board)
        ui.timer(TREND_EVERY, self._show_trend)

    # --- parts ----------------------------------------------------------------------------------------

    def _panel(self, name: str, title: str, size: str) -> None:
        with ui.element("div").classes(f"panel {size}"):
            ui.html(f"<h2>{title}</h2>", sanitize=False)
            self._html[name] = ui.html("", sanitize=False)

    def _build_tiles(self) -> None:
        devices = self.context.site.devices().values()
        for cell, title in plant(self.context.site):
            device = next((d.id for d in devices if cell in d.workcells), "")
            tile = WorkcellTile(cell, device, self._counters.get(device))
            tile.build(title)
            self._tiles.append(tile)

    def _build_trend(self) -> None:
        with ui.element("div").classes("panel").style("width: 100%"):
            with ui.element("div").classes("choose"):
                ui.html("<h2>Trend</h2>", sanitize=False)
                self._tag = self._first_tag()
                self._choice = ui.select(
                    self._numbers(), value=self._tag, with_input=True, on_change=self._choose_tag
                )
                self._choice.props("dense outlined options-dense").style("min-width: 300px")
                ui.select(list(TREND_SPANS), value="10 min", on_change=self._choose_span).props(
                    "dense outlined options-dense"
                )
            self._html["trend"] = ui.html("", sanitize=False).style("width: 100%")

    # --- what moves -------------------------------------------------------------------------------------

    def _show_live(self) -> None:
        now, live = self.context.clock.now(), self.context.live
        newest: dict[str, int] = {}
        for tile in self._tiles:
            device = tile.device
            if device and device not in newest:
                found = [value.ts for tag in self._newest_of.get(device, ()) if (value := live.get(tag))]
                newest[device] = max(found, default=0)
            tile.show_live(live, newest, now)

    async def _show_board(self) -> None:
        if self.accounts.expired(self.session):
            ui.navigate.to("/login")
            return
        board = self.feed.latest()
        if board is None or self.feed.version == self._shown:
            return
        self._shown = self.feed.version
        if self.feed.tags is not self.tags:
            self._take_tags(self.feed.tags)
        for tile, shown in zip(self._tiles, board.tiles, strict=True):
            tile.show(shown, board.now)
        self._show_figures(board)
        self._show_needs(board)
        zone, site = self.zone, self.context.site
        view = gantt.span(board.bars, board.windows, board.now, board.frozen, zone)
        self._send("plan", gantt.draw(plant(site), board.bars, board.windows, view))
        self._send("words", f'<div class="plan-words">{escape(board.plan)}</div>')
        self._send("orders", lists.order_list(board.orders, board.now, zone))
        self._send("stops", lists.stop_list(board.stops, site, board.now, zone))
        self._send("unassigned", lists.unassigned_list(board.unassigned, board.now, zone))
        away = f" · ✕ away: {', '.join(board.edges_away)}" if board.edges_away else ""
        self._send("age", f'<span class="ok">{lists.clock_words(board.now, board.now, zone)}{away}</span>')

    def _show_figures(self, board: Board) -> None:
        f = board.figures
        texts = (
            f"{f.on_time} of {f.open_orders}",
            ago(f.worst_late) if f.worst_late else "none",
            f"{f.running:.0%}" if f.running is not None else "–",
            str(f.andon),
            str(f.at_risk),
        )
        abnormal = (
            "",
            "danger" if f.worst_late else "",
            "",
            "danger" if f.andon else "",
            "abnormal" if f.at_risk else "",
        )
        for label, text, kind in zip(self._figures, texts, abnormal, strict=True):
            if label.text != text:
                label.set_text(text)
                label.classes(replace=f"value {kind}")

    def _show_needs(self, board: Board) -> None:
        if board.needs == self._shown_needs or self._needs is None:
            return
        self._shown_needs = board.needs
        self._needs.clear()
        with self._needs:
            if not board.needs:
                ui.label("nothing: the line runs by itself").classes("ok")
            for need in board.needs:
                self._build_need(need)

    def _build_need(self, need: Need) -> None:
        with ui.element("div").classes("need"):
            ui.label(need.shape).classes("shape")
            with ui.element("div").classes("fill"):
                ui.label(need.text)
                if need.detail:
                    ui.label(need.detail).classes("detail")
            if need.action == "explain":
                ui.button("why", on_click=lambda: self._explain_order(need.target)).props(
                    "flat dense no-caps"
                )
            elif need.action and self.session.role is Role.SUPERVISOR:
                ui.button(need.action, on_click=lambda: self._act(need)).props("flat dense no-caps")

    async def _act(self, need: Need) -> None:
        done = await acts.ACTS[need.action](self.context, need.target, self.session.user)
        ui.notify(done)

    async def _show_trend(self) -> None:
        if self._tag is None:
            return
        tag = next((t for t in self.tags if t.id == self._tag), None)
        if tag is None:
            return
        end = self.context.clock.now()
        start = end - self._seconds * MICROSECONDS
        picture = await asyncio.to_thread(trend.read_and_draw, self.context, tag, start, end, self.zone)
        self._send("trend", picture)

    def _send(self, name: str, content: str) -> None:
        if self._sent.get(name) != content:
            self._sent[name] = content
            self._html[name].set_content(content)

    # --- what people do -----------------------------------------------------------------------------------

    async def _choose_tag(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self._tag = event.value
        await self._show_trend()

    async def _choose_span(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self._seconds = TREND_SPANS[event.value]
        await self._show_trend()

    async def _explain(self, event: events.GenericEventArguments) -> None:
        await self._tell(str(event.args))

    async def _explain_order(self, order: str) -> None:
        board = self.feed.latest()
        bars = [bar for bar in board.bars if order in bar.orders] if board is not None else []
        if not bars:
            ui.notify(f"the plan has no operation of {order}")
            return
        await self._tell(max(bars, key=lambda bar: bar.end).id)

    async def _tell(self, operation: str) -> None:
        lines = await acts.explanation(self.context, operation)
        with ui.dialog() as dialog, ui.card():
            ui.label(operation).style("font-weight: 600")
            for line in lines:
                ui.label(line)
            ui.button("close", on_click=dialog.close).props("flat dense no-caps")
        dialog.open()

    # --- tags ---------------------------------------------------------------------------------------------

    def _take_tags(self, tags: list[reading.Tag]) -> None:
        """An edge announced what it has: counters, ages and the choice of trends follow."""
        self.tags = tags
        self._index_tags()
        for tile in self._tiles:
            tile.count_tag = self._counters.get(tile.device)
        if self._choice is not None:
            numbers = self._numbers()
            if self._tag not in numbers:
                self._tag = self._first_tag()
            self._choice.set_options(numbers, value=self._tag)

    def _numbers(self) -> dict[int, str]:
        """Tags a trend can be drawn of, by id."""
        return {t.id: f"{t.path} {t.unit}".strip() for t in self.tags if t.type != "string"}

    def _first_tag(self) -> int | None:
        """What the trend shows unasked: the first vibration, else whatever there is."""
        vibration = {t.device: t.id for t in self.tags if t.role == "vibration"}
        in_plant_order = [vibration[tile.device] for tile in self._tiles if tile.device in vibration]
        return in_plant_order[0] if in_plant_order else next(iter(self._numbers()), None)

    def _index_tags(self) -> None:
        self._counters = {tag.device: tag.id for tag in self.tags if tag.role == "part_count"}
        newest: dict[str, list[int]] = {}
        for tag in self.tags:
            newest.setdefault(tag.device, []).append(tag.id)
        self._newest_of = newest
