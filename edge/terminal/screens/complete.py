"""Completing a run: good, scrap and rework of each of its operations, proposed from what is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from edge import commands as asked
from edge.quantities import measured, shown
from edge.refusals import Refusal, in_language
from edge.station_view import RunView
from edge.terminal.painting import Ink, Line, Span, fit, sides, width_of
from edge.terminal.session import Key, Session

FIELDS = ("good", "scrap", "rework")
NARROW = 60


@dataclass(slots=True)
class Row:
    """One operation of the run. The fields hold what is typed."""

    operation: str
    left: Decimal
    typed: dict[str, str]
    reason: int = 0

    def quantity(self, name: str) -> Decimal:
        """The number in a field; raises Refusal."""
        text = self.typed.get(name, "")
        return measured(text) if text.strip() else Decimal(0)

    def total(self) -> Decimal:
        """All fields together; raises Refusal."""
        return sum((self.quantity(name) for name in FIELDS), Decimal(0))

    def write(self, name: str, text: str) -> None:
        """What becomes scrap or rework is no longer good: that field follows where it can."""
        self.typed[name] = text[:12]
        if name == "good":
            return
        try:
            good = self.left - self.quantity("scrap") - self.quantity("rework")
        except Refusal:
            return
        if good >= 0:
            self.typed["good"] = shown(good) if good else ""


@dataclass(slots=True)
class CompletePage:
    """The fields of all operations, one of which is edited."""

    run: str
    rows: list[Row]
    at: int = 0
    """Field in hand: three a row."""
    fresh: bool = True
    """The next digit replaces what stands in the field."""

    @classmethod
    def of(cls, run: RunView) -> CompletePage:
        rows = [
            Row(
                part.view.operation.id,
                part.view.left,
                {"good": shown(part.view.left)} if part.view.left else {},
            )
            for part in run.parts
        ]
        return cls(run.id, rows)

    def keys(self, session: Session) -> Mapping[str, str]:
        return {"f1": "key.back", "f4": "key.complete"}

    def press(self, session: Session, key: Key) -> None:
        row, name = self._field()
        match key.name:
            case "escape" | "f1":
                session.close()
            case "f4":
                self._complete(session)
            case "tab" | "enter" | "down":
                self._move(1)
            case "shift+tab" | "up":
                self._move(-1)
            case "left" | "right":
                count = len(session.view.scrap_reasons) if session.view else 0
                if count:
                    row.reason = (row.reason + (1 if key.name == "right" else -1)) % count
            case "backspace":
                row.write(name, row.typed.get(name, "")[:-1])
                self.fresh = False
            case _ if key.character and key.character in "0123456789.,":
                row.write(name, ("" if self.fresh else row.typed.get(name, "")) + key.character)
                self.fresh = False

    def _move(self, by: int) -> None:
        self.at = (self.at + by) % (len(self.rows) * len(FIELDS))
        self.fresh = True

    def _field(self) -> tuple[Row, str]:
        row, field = divmod(self.at, len(FIELDS))
        return self.rows[row], FIELDS[field]

    def _complete(self, session: Session) -> None:
        reasons = list(session.view.scrap_reasons) if session.view else []
        try:
            bookings = [
                {
                    "operation": row.operation,
                    **{name: row.quantity(name) for name in FIELDS},
                    "reason": reasons[row.reason] if reasons and row.quantity("scrap") else "",
                }
                for row in self.rows
            ]
        except Refusal as refusal:
            session.refuse(refusal)
            return
        session.close()
        session.send(asked.CompleteRun, run=self.run, bookings=bookings)

    # --- painting -------------------------------------------------------------------------------------

    def paint(self, session: Session, width: int, height: int) -> list[Line]:
        height_of = 2 if width < NARROW else 1
        lines: list[Line] = [[Span(" " + session.say("complete.title"), Ink.STRONG)]]
        if (run := session.run) is not None and run.machine_parts is not None:
            lines.append([Span(" " + session.say("complete.machine", count=str(run.machine_parts)))])
        lines.append([])
        room = max(1, (height - len(lines) - 4) // height_of)
        first = max(0, min(self.at // len(FIELDS) - room // 2, len(self.rows) - room))
        for number in range(first, min(len(self.rows), first + room)):
            lines += self._line(session, number, width)
        lines += self._remarks(session)
        lines += [[]] * (height - 1 - len(lines))
        return [*lines[: height - 1], [Span(" " + session.say("complete.hint"), Ink.DIM)]]

    def _line(self, session: Session, number: int, width: int) -> list[Line]:
        """One operation with its fields: on one line, or on two where it is narrow."""
        row = self.rows[number]
        title = next(
            (
                f"{part.view.operation.order}/{part.view.operation.line} "
                + in_language(part.view.operation.product, session.language)
                for part in (session.run.parts if session.run else ())
                if part.view.operation.id == row.operation
            ),
            row.operation,
        )
        fields: list[Span] = []
        for place, name in enumerate(FIELDS):
            current = self.at == number * len(FIELDS) + place
            text = row.typed.get(name) or "0"
            fields += [
                Span(f" {session.say(f'complete.{name}')} ", Ink.STRONG if current else Ink.PLAIN),
                Span(fit(f"{'►' if current else ' '}{text}", 6), Ink.FIELD if current else Ink.PLAIN),
            ]
        if width < NARROW:
            return [[Span(f" {fit(title, width - 2)}")], fields]
        right = [Span(f" {session.say('complete.left')} {shown(row.left)}   "), *fields]
        return [[Span(" "), *sides([Span(fit(title, width - width_of(right) - 3))], right, width - 2)]]

    def _remarks(self, session: Session) -> list[Line]:
        """The scrap reason of the row in hand, and what would stay in the queue."""
        row, _ = self._field()
        lines: list[Line] = [[]]
        try:
            scrap, total = row.quantity("scrap"), row.total()
        except Refusal:
            return lines
        reasons = list(session.view.scrap_reasons.values()) if session.view else []
        if scrap and reasons:
            reason = in_language(reasons[row.reason], session.language)
            lines.append([Span(f" {session.say('complete.reason')}  "), Span(f" {reason} ", Ink.FIELD)])
        if total < row.left:
            text = session.say("complete.partial", count=shown(row.left - total))
            lines.append([Span(f" ◐ {text}", Ink.ABNORMAL)])
        return lines
