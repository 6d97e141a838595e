"""The queue: what waits, what is in hand, which operations go into one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.station import commands as asked
from edge.station.quantities import shown
from edge.station.refusals import Refusal, in_language
from edge.station.station_view import OperationView, RunView
from edge.terminal import scanning
from edge.terminal.painting import NARROW, Ink, Line, Span, fit, sides, wrap
from edge.terminal.screens.confirm import start
from edge.terminal.screens.release import ReleasePage, may_be_asked
from edge.terminal.screens.work_wide import variant, what_it_waits_for
from edge.terminal.session import Key, Session
from edge.terminal.words import moment
from protocols.jobs import JobOperation
from protocols.lifecycles import OperationState, RunState


@dataclass(slots=True)
class QueuePage:
    """``at`` is the operation the cursor starts on; ``""`` the first."""

    at: str = ""
    cursor: int | None = None
    selected: list[str] = field(default_factory=list)
    touched: bool = False
    """Whether a person chose; until then the planner's group of the operation below the cursor is chosen."""
    typed: str = ""

    def keys(self, session: Session) -> Mapping[str, str]:
        usable = {"f1": "key.back"}
        row = self._row(session)
        if isinstance(row, RunView):
            if row.state is RunState.PAUSED and session.view is not None and not session.view.runs[0].active:
                usable["f5"] = "key.resume"
        elif row is not None:
            if may_be_asked(session, row):
                usable["f3"] = "key.release"
            if not (session.run is not None and session.run.active):
                usable |= {"f4": "key.setup", "f5": "key.start"}
        return usable

    def press(self, session: Session, key: Key) -> None:
        rows = self._rows(session)
        at = self._cursor(rows)
        match key.name:
            case "escape" | "f1":
                session.close()
            case "up" | "down" if rows:
                self.cursor = (at + (1 if key.name == "down" else -1)) % len(rows)
                if not self.touched:
                    self.selected = []
            case "home" | "end" if rows:
                self.cursor = 0 if key.name == "home" else len(rows) - 1
            case "space":
                self._toggle(session)
            case "f3" if key.name in self.keys(session):
                row = self._row(session)
                if isinstance(row, OperationView):
                    session.open(ReleasePage(row.operation.id))
            case "f4" | "f5" if key.name in self.keys(session):
                self._begin(session, setup=key.name == "f4")
            case "enter":
                self._enter(session)
            case "backspace":
                self.typed = self.typed[:-1]
            case _ if key.character and key.character.isprintable():
                self.typed += key.character

    def _enter(self, session: Session) -> None:
        """A scanned order moves the cursor to it."""
        code, self.typed = self.typed.strip(), ""
        if not code or scanning.badge(session, code):
            return
        for number, row in enumerate(self._rows(session)):
            if isinstance(row, OperationView) and code.casefold() in scanning.names(row):
                self.cursor, self.touched, self.selected = number, False, []
                return
        session.refuse(Refusal("unknown-code", value=code))

    def _begin(self, session: Session, *, setup: bool) -> None:
        row = self._row(session)
        if isinstance(row, RunView):
            session.send(asked.ResumeRun, run=row.id)
        elif row is not None:
            start(session, self._chosen(session), setup=setup)
        session.close()

    def _toggle(self, session: Session) -> None:
        row = self._row(session)
        if not isinstance(row, OperationView):
            return
        if not self.touched:
            self.selected = [entry.operation.id for entry in self._chosen(session)]
            self.touched = True
        key = row.operation.id
        if key in self.selected:
            self.selected.remove(key)
        else:
            self.selected.append(key)

    def _chosen(self, session: Session) -> list[OperationView]:
        """The operations that would go into one run."""
        row = self._row(session)
        if self.touched and self.selected and session.view is not None:
            return [entry for entry in session.view.queue if entry.operation.id in self.selected]
        return session.group(row) if isinstance(row, OperationView) else []

    def _rows(self, session: Session) -> list[RunView | OperationView]:
        view = session.view
        return [] if view is None else [*view.runs, *view.queue]

    def _row(self, session: Session) -> RunView | OperationView | None:
        rows = self._rows(session)
        return rows[self._cursor(rows)] if rows else None

    def _cursor(self, rows: list[RunView | OperationView]) -> int:
        if self.cursor is None:
            wanted = [
                n
                for n, row in enumerate(rows)
                if isinstance(row, OperationView) and row.operation.id == self.at
            ]
            first = next((n for n, row in enumerate(rows) if isinstance(row, OperationView)), 0)
            self.cursor = wanted[0] if wanted else first
        return max(0, min(self.cursor, len(rows) - 1))

    # --- painting -------------------------------------------------------------------------------------

    def paint(self, session: Session, width: int, height: int) -> list[Line]:
        view = session.view
        if view is None:
            return []
        rows, chosen = self._rows(session), {entry.operation.id for entry in self._chosen(session)}
        at = self._cursor(rows)
        count = session.say("queue.selected", count=str(len(chosen)), capacity=str(view.capacity))
        title = session.say("queue.title", count=str(len(view.queue)))
        lines = [sides([Span(f" {title}", Ink.STRONG)], [Span(f"{count} ")], width)]
        narrow = width < NARROW
        explained = self._explained(session, width, narrow=narrow)
        room = max(1, (height - 1 - len(explained)) // (2 if narrow else 1))
        start_at = max(0, min(at - room // 2, len(rows) - room))
        for number, row in list(enumerate(rows))[start_at : start_at + room]:
            draw = self._lines_narrow if narrow else self._line
            lines += draw(session, row, number == at, chosen, width)
        if not rows:
            lines.append([Span(" " + session.say("now.empty"))])
        lines += [[]] * (height - len(explained) - len(lines))
        return [*lines[: height - len(explained)], *explained]

    def _explained(self, session: Session, width: int, *, narrow: bool) -> list[Line]:
        """What the operation below the cursor waits for, and the keys."""
        row = self._row(session)
        why = ""
        if isinstance(row, OperationView) and not row.ready:
            why = what_it_waits_for(session, row)
        keys = session.say("queue.hint-short" if narrow else "queue.hint")
        hint = Span(f"{self.typed}_", Ink.FIELD) if self.typed else Span(keys, Ink.DIM)
        if narrow and why and not self.typed:
            return [[Span(f" {line}", Ink.ABNORMAL)] for line in wrap(why, width - 2, 2)]
        return [*([] if narrow else [[Span(f" {why}", Ink.ABNORMAL)]]), [Span(" "), hint]]

    def _line(
        self, session: Session, row: RunView | OperationView, at: bool, chosen: set[str], width: int
    ) -> list[Line]:
        entry = row.parts[0].view if isinstance(row, RunView) else row
        operation = entry.operation
        state, ink = status(session, row)
        left = [
            *_pointer(row, chosen, at=at),
            Span(fit(state, 10), ink),
            Span(fit(f"{operation.order}/{operation.line}", 12)),
            Span(fit(f"{shown(entry.left)}×", 6)),
            *_product(session, row, at=at),
        ]
        return [sides(left, [_due(session, operation)], width)]

    def _lines_narrow(
        self, session: Session, row: RunView | OperationView, at: bool, chosen: set[str], width: int
    ) -> list[Line]:
        """The same on two lines."""
        entry = row.parts[0].view if isinstance(row, RunView) else row
        operation = entry.operation
        state, ink = status(session, row)
        left = [
            *_pointer(row, chosen, at=at),
            Span(fit(state, 10), ink),
            Span(f"{operation.order}/{operation.line}"),
        ]
        below = [Span(" " * 6), Span(f"{shown(entry.left)}× "), *_product(session, row, at=at)]
        return [sides(left, [_due(session, operation)], width), below]


def _pointer(row: RunView | OperationView, chosen: set[str], *, at: bool) -> list[Span]:
    mark = "   " if isinstance(row, RunView) else "[x]" if row.operation.id in chosen else "[ ]"
    return [Span("► " if at else "  ", Ink.ACTION), Span(f"{mark} ")]


def _product(session: Session, row: RunView | OperationView, *, at: bool) -> list[Span]:
    """Product, how many more operations the run has, and what makes the piece different."""
    entry = row.parts[0].view if isinstance(row, RunView) else row
    product = in_language(entry.operation.product, session.language)
    more = f" +{len(row.parts) - 1}" if isinstance(row, RunView) and len(row.parts) > 1 else ""
    made_to = variant(entry.operation, product)
    return [
        Span(f"{product}{more}", Ink.STRONG if at else Ink.PLAIN),
        Span(f" · {made_to}" if made_to else "", Ink.DIM),
    ]


def _due(session: Session, operation: JobOperation) -> Span:
    late = operation.due < session.time
    due = moment(session.language, operation.due, session.time)
    return Span(f"{'▲ ' if late else ''}{due} ", Ink.ABNORMAL if late else Ink.PLAIN)


def status(session: Session, row: RunView | OperationView) -> tuple[str, Ink]:
    """Shape and word of a row."""
    if isinstance(row, RunView):
        key = "queue.running" if row.active else "queue.paused"
        return session.say(key), Ink.STRONG
    if row.operation.held:
        return session.say("queue.held"), Ink.DANGER
    if row.waits_for:
        return session.say("queue.unknown" if row.vouchable else "queue.waits"), Ink.ABNORMAL
    begun = row.state is OperationState.PAUSED or row.good or row.scrap
    return session.say("queue.begun" if begun else "queue.ready"), Ink.PLAIN
