"""What all browsers get, drawn once a board: lists, plan and figures as HTML."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from zoneinfo import ZoneInfo

from cloud.web import alarm_list, gantt, lists
from cloud.web.board import Board
from cloud.web.plant import plant
from cloud.web.record import Record
from cloud.web.speech import ENGLISH, Speech
from cloud.web.words import clock_words, lateness
from protocols.site import Site

FIGURES = (
    ("orders", "open orders on time"),
    ("late", "the latest order"),
    ("running", "machines running today"),
    ("andons", "open andon"),
    ("risk", "machines at risk"),
)
"""Sheet behind each figure, and what it is."""


@dataclass(slots=True)
class Shown:
    """One board as HTML; the plan for every span that somebody looks at."""

    board: Board
    site: Site
    html: dict[str, str]
    say: Speech = ENGLISH
    _plans: dict[int, str] = field(default_factory=dict, init=False)

    def plan(self, seconds: int) -> str:
        """The plan of at most the next ``seconds``; 0 for all of it."""
        if seconds not in self._plans:
            board, zone = self.board, ZoneInfo(self.site.calendar.timezone)
            view = gantt.span(board.bars, board.windows, board.now, board.frozen, zone, seconds)
            self._plans[seconds] = gantt.draw(
                plant(self.site, self.say), board.bars, board.windows, view, self.say
            )
        return self._plans[seconds]


def draw(board: Board, site: Site, record: Record, say: Speech = ENGLISH) -> Shown:
    """The board as HTML."""
    zone = ZoneInfo(site.calendar.timezone)
    away = say(" · ✕ away: {edges}", edges=", ".join(board.edges_away)) if board.edges_away else ""
    return Shown(
        board,
        site,
        {
            "clock": escape(clock_words(board.now, board.now, zone) + away),
            "words": escape(board.plan),
            "orders": lists.order_list(board.orders, site, board.now, say),
            "stops": lists.stop_list(board.stops, site, board.now, zone, say),
            "unassigned": lists.unassigned_list(board.unassigned, site, board.now, zone, say),
            "alarms": alarm_list.alarm_list(board.alarms, board.alarms_standing, board.now, say),
            **_figures(board, record.sparks(zone), say),
        },
        say,
    )


def _figures(board: Board, sparks: dict[str, str], say: Speech) -> dict[str, str]:
    f = board.figures
    late = "danger" if f.worst_late else ""
    shown = {
        "orders": (say("{good} of {need}", good=f.on_time, need=f.open_orders), ""),
        "late": (say("▲ {time} late", time=lateness(f.worst_late)) if f.worst_late else say("on time"), late),
        "running": (f"{f.running:.0%}" if f.running is not None else "–", ""),
        "andons": (f"⚑ {f.andon}" if f.andon else "0", "danger" if f.andon else ""),
        "risk": (f"◇ {f.at_risk}" if f.at_risk else "0", "abnormal" if f.at_risk else ""),
    }
    return {
        f"figure {name}": (
            f'<div class="line"><span class="value {shown[name][1]}">{escape(shown[name][0])}</span>'
            f'{sparks.get(name, "")}</div><div class="what">{escape(say(what))}</div>'
        )
        for name, what in FIGURES
    }


def legend(say: Speech) -> str:
    """What the plan's colours and patterns mean."""
    colours = [(f'style="background: {colour}"', words) for colour, words in gantt.LEGEND]
    patterns = [
        (f'class="{kind}"', words)
        for kind, words in (
            ("hatched", "changeover"),
            ("outlined", "maintenance"),
            ("frozen", "frozen"),
            ("late", "late"),
            ("moved", "moved by the newest plan"),
        )
    ]
    return "".join(
        f"<span><i {look}></i>{escape(say(words))}</span>" for look, words in (*colours, *patterns)
    )
