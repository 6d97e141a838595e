"""The supervisor's one page: figures, the line, what needs me now, the plan, orders, stops, a trend.

``/wall`` is the same line for a screen on the wall: figures, tiles and needs in large letters, nothing to
click.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from nicegui import core, events, ui

from cloud.api import problems
from cloud.api.accounts import Accounts, Session
from cloud.api.roles import Role
from cloud.context import Context
from cloud.ledger import reading
from cloud.web import acts, devices, language, login, shown
from cloud.web.account_dialog import AccountDialog
from cloud.web.dialog import OPEN, SheetDialog
from cloud.web.feed import Feed
from cloud.web.maintenance import model_upload
from cloud.web.maintenance.case_form import FORMS, CaseForm
from cloud.web.maintenance.model_form import MODEL_FORMS, ModelForm
from cloud.web.maintenance.model_upload import ModelUpload
from cloud.web.need import Need
from cloud.web.planning import replans
from cloud.web.planning.new_order import NewOrderSheet
from cloud.web.planning.whatif import WhatIf
from cloud.web.plant import device_of, plant
from cloud.web.quality.quality_form import QUALITY_FORMS, QualityForm
from cloud.web.speech import ENGLISH, Speech
from cloud.web.tiles import WorkcellTile
from cloud.web.trend import NOTHING, Trends
from cloud.web.vehicles import Vehicle, site_graph, vehicles
from cloud.web.vehicles import draw as draw_vehicles
from protocols.site_graph import SiteGraph

LIVE_EVERY = 0.2
"""Seconds between two looks at the live values."""
BOARD_EVERY = 0.5
DEVICES_EVERY = 1.0
TREND_EVERY = 2.0
TREND_SPANS = {"1 min": 60, "10 min": 600, "1 h": 3600, "8 h": 28_800}
PLAN_SPANS = {"1 h": 3600, "8 h": 28_800, "24 h": 86_400, "all": 0}
RECONNECT = 15.0
"""Seconds a browser may be cut off and go on where it was."""
_HERE = Path(__file__).parent
_STYLE = (_HERE / "style.css").read_text("utf-8")
_WATCH = f"<script>{(_HERE / 'watch.js').read_text('utf-8')}</script>"


def mount(app: FastAPI, context: Context, accounts: Accounts) -> Feed:
    """Add log-in and pages to the app; the feed that is returned must be run beside it."""
    feed, trends = Feed(context), Trends(context)
    graph = site_graph(context.site, context.config.site)
    app.include_router(login.router)
    app.include_router(language.router)
    app.include_router(model_upload.router)

    def logged_in(request: Request) -> Session:
        session = login.session_of(request, accounts)
        if session is None:
            raise HTTPException(303, headers={"Location": "/login"})
        return session

    async def page(request: Request) -> _Page:
        await feed.fresh()
        session = logged_in(request)
        say = language.of(request)
        return _Page(context, accounts, feed, trends, session, await feed.known_tags(), graph, say)

    # asked before the library makes a page: a stranger costs no memory
    door = [Depends(logged_in)]

    @ui.page("/", title="OneLot", response_timeout=10, dependencies=door)
    async def index(request: Request) -> None:
        await (await page(request)).build()

    @ui.page("/wall", title="OneLot", response_timeout=10, dependencies=door)
    async def wall(request: Request) -> None:
        await (await page(request)).build_wall()

    ui.run_with(
        app,
        title="OneLot",
        tailwind=False,
        show_welcome_message=False,
        favicon="⛭",
        reconnect_timeout=RECONNECT,
    )
    # the library answers an unknown path with a page of its own, kept in memory for a minute: not for anybody
    core.app.add_exception_handler(404, problems.nowhere(app))
    core.app.add_exception_handler(405, problems.nowhere(app))
    return feed


@dataclass(slots=True)
class _Page:
    """One browser's page. Timers belong to its client and end with it."""

    context: Context
    accounts: Accounts
    feed: Feed
    trends: Trends
    session: Session
    tags: list[reading.Tag]
    graph: SiteGraph | None = None
    say: Speech = ENGLISH
    _tiles: list[WorkcellTile] = field(default_factory=list)
    _version: int = -1
    _needs: ui.element | None = None
    _shown_needs: tuple[Need, ...] | None = None
    _html: dict[str, ui.html] = field(default_factory=dict)
    _sent: dict[str, str] = field(default_factory=dict)
    _counters: Mapping[str, int] = field(default_factory=dict)
    _newest_of: Mapping[str, list[int]] = field(default_factory=dict)
    _tag: int | None = None
    _choice: ui.select | None = None
    _trend_seconds: int = 600
    _plan_seconds: int = 86_400
    _dialog: SheetDialog | None = None
    _case_form: CaseForm | None = None
    _quality_form: QualityForm | None = None
    _model_form: ModelForm | None = None
    _model_upload: ModelUpload | None = None
    _whatif: WhatIf | None = None
    _accounts: AccountDialog | None = None
    _vehicles: list[Vehicle] = field(default_factory=list)

    async def build(self) -> None:
        """Make everything once, filled with what is known; the timers only change what is different."""
        self._begin()
        self._dialog = SheetDialog(self.context, self._acts_of, lambda: self.feed.forecasts, self.say)
        user, role = self.session.user, self.session.role
        self._case_form = CaseForm(self.context, user, role, self._allowed, self.say)
        self._quality_form = QualityForm(self.context, self.session.user, self._allowed, self.say)
        self._model_form = ModelForm(self.context, self.session.user, self._allowed, self.say)
        self._model_upload = ModelUpload(self.context, self._allowed, self.say)
        self._accounts = AccountDialog(self.accounts, self.session, self._allowed, self.say)
        self._whatif = WhatIf(self.context, role, user, self._allowed, self.say)
        root = ui.element("div").classes("page")
        for event in ("click", "keydown.enter"):
            root.on(event, self._open, js_handler=OPEN)
        with root:
            self._build_top()
            self._build_figures()
            with ui.element("div").classes("band"):
                self._build_line()
                self._build_needs_panel()
            with ui.element("div").classes("band"):
                self._panel("alarms", "Alarms", "wide")
                self._panel("devices", "Machines", "wide")
            self._build_plan()
            if self._vehicles or self.graph is not None:
                self._panel("agvs", "AGVs", "whole")
            with ui.element("div").classes("band"):
                self._build_orders()
                with ui.element("div").classes("fill column"):
                    self._panel("stops", "Machine stops", "")
                    self._panel("unassigned", "Unassigned runs", "")
            self._build_trend()
        await self._start()
        await self._show_trend()
        ui.timer(TREND_EVERY, self._show_trend, immediate=False)

    async def build_wall(self) -> None:
        """The wall view."""
        self._begin()
        with ui.element("div").classes("page wall"):
            with ui.element("div").classes("top"):
                ui.label(self.context.site.title).classes("name")
                self._html["clock"] = ui.html("", sanitize=False).classes("clock")
            self._build_figures()
            with ui.element("div").classes("band"):
                self._build_line()
                self._build_needs_panel()
        await self._start()

    def _begin(self) -> None:
        ui.add_css(_STYLE)
        ui.add_body_html(_WATCH)
        cut = self.say("✕ no connection to the service: what stands here is old")
        ui.add_css(f".cut::before {{ content: {json.dumps(cut, ensure_ascii=False)}; }}")
        ui.colors(primary="#1565c0")
        ui.query("html").props(f'lang="{self.say.language}"')
        self._index_tags()

    async def _start(self) -> None:
        await self._show_board()
        self._show_live()
        self._show_devices()
        ui.timer(LIVE_EVERY, self._show_live)
        ui.timer(DEVICES_EVERY, self._show_devices)
        ui.timer(BOARD_EVERY, self._show_board)

    # --- parts ----------------------------------------------------------------------------------------

    def _build_top(self) -> None:
        with ui.element("div").classes("top"):
            ui.label("OneLot").classes("name")
            ui.label(self.context.site.title)
            self._html["clock"] = ui.html("", sanitize=False).classes("clock ok")
            ui.element("div").classes("fill")
            ui.link(self.say("wall view"), "/wall")
            ui.link(*language.other(self.say))
            if self._accounts is not None:
                opens = ui.button(self.session.user, on_click=self._accounts.open)
                opens.props("flat dense no-caps").tooltip(self.say("accounts and password"))
            ui.html(
                '<form method="post" action="/logout"><button class="link">'
                f"{escape(self.say('log out'))}</button></form>",
                sanitize=False,
            )

    def _build_figures(self) -> None:
        with ui.element("div").classes("figures"):
            for name, _ in shown.FIGURES:
                figure = ui.html("", sanitize=False).classes("panel figure")
                self._html[f"figure {name}"] = figure.props(f'data-open="{name}" tabindex="0" role="button"')

    def _panel(self, name: str, title: str, size: str) -> None:
        with ui.element("div").classes(f"panel {size}"):
            ui.html(f"<h2>{escape(self.say(title))}</h2>", sanitize=False)
            self._html[name] = ui.html("", sanitize=False)

    def _build_line(self) -> None:
        with ui.element("div").classes("panel fill"):
            ui.html(f"<h2>{escape(self.say('The line'))}</h2>", sanitize=False)
            with ui.element("div").classes("tiles"):
                for cell, title in plant(self.context.site, self.say):
                    tile = WorkcellTile(
                        cell, device_of(self.context.site, cell), self._counters.get(cell), self.say
                    )
                    tile.build(title)
                    self._tiles.append(tile)

    def _build_needs_panel(self) -> None:
        with ui.element("div").classes("panel needs"):
            ui.html(f"<h2>{escape(self.say('Needs me now'))}</h2>", sanitize=False)
            self._needs = ui.element("div").style("width: 100%")

    def _build_plan(self) -> None:
        with ui.element("div").classes("panel whole"):
            with ui.element("div").classes("choose"):
                ui.html(f"<h2>{escape(self.say('Plan'))}</h2>", sanitize=False)
                words = ui.html("", sanitize=False).classes("fill plan-words")
                self._html["words"] = words.props(
                    f'data-open="replans" tabindex="0" role="button" aria-live="polite" '
                    f'title="{self.say("why it was planned anew, and what that moved")}"'
                )
                self._html["planning"] = ui.html("", sanitize=False).classes("planning")
                if self._whatif is not None:
                    ui.button(self.say("What if?"), on_click=self._whatif.open).props("outline dense no-caps")
                ui.button(self.say("decisions")).props('flat dense no-caps data-open="decisions"')
                ui.button(self.say("quality")).props('flat dense no-caps data-open="quality"')
                self._select(self._spans(PLAN_SPANS), "24 h", self._choose_plan_span)
            self._html["plan"] = ui.html("", sanitize=False).classes("whole plan")
            ui.html(shown.legend(self.say), sanitize=False).classes("legend")

    def _build_orders(self) -> None:
        with ui.element("div").classes("panel wide"):
            with ui.element("div").classes("choose"):
                ui.html(f"<h2>{escape(self.say('Orders'))}</h2>", sanitize=False).classes("fill")
                if self.session.role is Role.SUPERVISOR:
                    sheet = NewOrderSheet(self.context, self.session.user, self._allowed, self.say)
                    ui.button(self.say("new order"), on_click=sheet.open).props("outline dense no-caps")
            self._html["orders"] = ui.html("", sanitize=False)

    def _build_trend(self) -> None:
        with ui.element("div").classes("panel whole"):
            with ui.element("div").classes("choose"):
                ui.html(f"<h2>{escape(self.say('Trend'))}</h2>", sanitize=False)
                self._tag = self._first_tag()
                self._choice = self._select(self._choices(), self._tag, self._choose_tag, with_input=True)
                self._choice.style("min-width: 300px")
                self._select(self._spans(TREND_SPANS), "10 min", self._choose_trend_span)
            self._html["trend"] = ui.html("", sanitize=False).classes("whole")

    def _spans(self, spans: Mapping[str, int]) -> dict[str, str]:
        return {name: self.say(name) for name in spans}

    def _select(self, options: Any, value: Any, then: Callable[..., Any], **more: Any) -> ui.select:
        chosen = ui.select(options, value=value, on_change=then, **more)
        return chosen.props("dense outlined options-dense")

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
        if "agvs" in self._html:
            board = self.feed.latest_board(self.say)
            machines = None if board is None else board.machines
            cells = self.context.site.workcells()
            drawn = draw_vehicles(self._vehicles, live, self.graph, now, self.say, machines, cells)
            self._send("agvs", drawn)

    def _show_devices(self) -> None:
        """The devices with the age of their data: their own table, once a second."""
        board = self.feed.latest_board(self.say)
        if board is None or "devices" not in self._html:
            return
        live, now = self.context.live, self.context.clock.now()
        newest = {
            device: max((value.ts for tag in found if (value := live.get(tag)) is not None), default=0)
            for device, found in self._newest_of.items()
        }
        self._send(
            "devices",
            devices.draw(self.context.site, board.machines, newest, board.edges_away, now, self.say),
        )

    async def _show_board(self) -> None:
        if self.accounts.expired(self.session):
            ui.navigate.to("/login")
            return
        self._send("planning", replans.planning(self.context.dispatching.progress(), self.say))
        latest = self.feed.latest(self.say)
        if latest is None or self.feed.version == self._version:
            return
        self._version = self.feed.version
        if self.feed.tags is not self.tags:
            self._take_tags(self.feed.tags)
        board = latest.board
        for tile, tile_shown in zip(self._tiles, board.tiles, strict=True):
            tile.show(tile_shown, board.now)
        self._show_needs(board.needs)
        for name, content in latest.html.items():
            self._send(name, content)
        if "plan" in self._html:
            self._send("plan", latest.plan(self._plan_seconds))

    def _show_needs(self, needs: tuple[Need, ...]) -> None:
        if needs == self._shown_needs or self._needs is None:
            return
        self._shown_needs = needs
        self._needs.clear()
        with self._needs:
            if not needs:
                ui.label(self.say("nothing: the line runs by itself")).classes("ok")
            for need in needs:
                self._build_need(need)

    def _build_need(self, need: Need) -> None:
        opens = f'data-open="{need.opens}"'
        with ui.element("div").classes("need"):
            ui.label(need.shape).classes("shape")
            with ui.element("div").classes("fill").props(opens):
                ui.label(need.text)
                if need.detail:
                    ui.label(need.detail).classes("detail")
            if self._dialog is None:
                return
            if need.action and self._may(need.action):
                ui.button(self.say(need.action), on_click=lambda: self._act(need.action, need.target)).props(
                    "flat dense no-caps"
                )
            else:
                ui.button(self.say("look")).props(f"flat dense no-caps {opens}")

    async def _show_trend(self) -> None:
        tag = next((t for t in self.tags if t.id == self._tag), None)
        if tag is not None:
            picture = await self.trends.picture(tag, self._trend_seconds)
            if NOTHING in picture:
                picture = picture.replace(NOTHING, escape(self.say(NOTHING)))
            self._send("trend", picture)

    def _send(self, name: str, content: str) -> None:
        element = self._html.get(name)
        if element is not None and self._sent.get(name) != content:
            self._sent[name] = content
            element.set_content(content)

    # --- what people do -----------------------------------------------------------------------------------

    async def _open(self, event: events.GenericEventArguments) -> None:
        if self._dialog is not None:
            await self._dialog.open(str(event.args))

    def _allowed(self) -> bool:
        return not self.accounts.expired(self.session)

    async def _act(self, act: str, target: str) -> None:
        if not self._allowed():
            return
        if act in FORMS and self._case_form is not None:
            await self._case_form.ask(act, target)
        elif act == "bring in" and self._model_upload is not None:
            await self._model_upload.ask()
        elif act in MODEL_FORMS and self._model_form is not None:
            await self._model_form.ask(act, target)
        elif act in QUALITY_FORMS and self._quality_form is not None:
            await self._quality_form.ask(act, target)
        else:
            told = await acts.ACTS[act](self.context, target, self.session.user)
            ui.notify(self.say(told) if isinstance(told, str) else told.told(self.say))

    def _acts_of(self, possible: tuple[tuple[str, str], ...]) -> list[tuple[str, Callable[[], Any]]]:
        """Buttons of a sheet: none for who may only look."""
        return [(act, partial(self._act, act, target)) for act, target in possible if self._may(act)]

    def _may(self, act: str) -> bool:
        if self.session.role is Role.OPERATOR:
            return act in acts.OF_OPERATORS
        return self.session.role is Role.SUPERVISOR

    async def _choose_tag(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self._tag = event.value
        await self._show_trend()

    async def _choose_trend_span(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self._trend_seconds = TREND_SPANS[event.value]
        await self._show_trend()

    async def _choose_plan_span(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self._plan_seconds = PLAN_SPANS[event.value]
        self._version = -1
        await self._show_board()

    # --- tags ---------------------------------------------------------------------------------------------

    def _take_tags(self, tags: list[reading.Tag]) -> None:
        """An edge announced what it has: counters, ages and the choice of trends follow."""
        self.tags = tags
        self._index_tags()
        for tile in self._tiles:
            tile.count_tag = self._counters.get(tile.workcell)
        if self._choice is not None:
            choices = self._choices()
            if self._tag not in choices:
                self._tag = self._first_tag()
            self._choice.set_options(choices, value=self._tag)

    def _choices(self) -> dict[int, str]:
        """All tags by id, as the choice names them."""
        return {t.id: f"{t.path} {t.unit}".strip() for t in self.tags}

    def _first_tag(self) -> int | None:
        """What the trend shows unasked: the first vibration, else whatever there is.

        A value that the machine itself shows goes before those that are made of its waveforms (drive.rms).
        """
        made_last = sorted(self.tags, key=lambda tag: "." not in tag.path)
        vibration = {t.device: t.id for t in made_last if t.role == "vibration"}
        in_plant_order = [vibration[tile.device] for tile in self._tiles if tile.device in vibration]
        return in_plant_order[0] if in_plant_order else next(iter(self._choices()), None)

    def _index_tags(self) -> None:
        counted = {tag.device: tag.id for tag in self.tags if tag.role == "part_count"}
        self._counters = {
            cell: counted[device.id]
            for device in self.context.site.devices().values()
            if device.counts and device.id in counted
            for cell in device.workcells
        }
        newest: dict[str, list[int]] = {}
        for tag in self.tags:
            newest.setdefault(tag.device, []).append(tag.id)
        self._newest_of = newest
        self._vehicles = vehicles(self.context.site, self.tags)
