"""Completing a run: good, scrap and rework of each of its operations, proposed from what is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from edge.station import commands as asked
from edge.station.quantities import measured, shown
from edge.station.refusals import Refusal, in_language
from edge.station.station_view import RunView
from edge.terminal import scanning
from edge.terminal.painting import NARROW, Ink, Line, Span, fit, sides, width_of
from edge.terminal.session import Key, Session
from edge.terminal.words import WORDS

FIELDS = ("good", "scrap", "rework")
MAX_TYPED = 40
MAX_DIGITS = 12
TO_CORRECT = ("quantity-whole", "quantity-none", "quantity-over", "scrap-reason", "unknown-reason")
"""Refusals that a person mends here."""
TIGHT = 12


@dataclass(slots=True)
class Row:
    """One operation of the run. The fields hold what is typed."""

    operation: str
    left: Decimal
    of: Decimal
    typed: dict[str, str]
    reason: int = 0

    def quantity(self, name: str) -> Decimal:
        """The number in a field; raises Refusal."""
        text = self.typed.get(name, "").strip()
        value = measured(text) if text else Decimal(0)
        if value < 0 or len(value.as_tuple().digits) > MAX_DIGITS:
            raise Refusal("not-a-number", value=text)
        return value

    def total(self) -> Decimal:
        """All fields together; raises Refusal."""
        return sum((self.quantity(name) for name in FIELDS), Decimal(0))

    def write(self, name: str, text: str) -> None:
        """What becomes scrap or rework is no longer good: that field follows where it can."""
        self.typed[name] = text[:MAX_TYPED]
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
    _before: dict[str, str] = field(default_factory=dict)
    """The fields of the row before the one in hand was changed."""

    @classmethod
    def of(cls, run: RunView) -> CompletePage:
        rows = [
            Row(
                part.view.operation.id,
                part.view.left,
                part.view.operation.quantity,
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
            case "enter" if scanning.badge(session, row.typed.get(name, "").strip()):
                row.typed = self._before or row.typed
                self.fresh, self._before = True, {}
            case "tab" | "enter" | "down":
                self._move(session, 1)
            case "shift+tab" | "up":
                self._move(session, -1)
            case "left" | "right":
                count = len(session.view.scrap_reasons) if session.view else 0
                if count:
                    row.reason = (row.reason + (1 if key.name == "right" else -1)) % count
            case "backspace":
                self._write(row.typed.get(name, "")[:-1])
            case _ if key.character and key.character.isprintable():
                self._write(("" if self.fresh else row.typed.get(name, "")) + key.character)

    def _write(self, text: str) -> None:
        row, name = self._field()
        if not self._before:
            self._before = dict(row.typed)
        row.write(name, text)
        self.fresh = False

    def _move(self, session: Session, by: int) -> None:
        if self._settled(session):
            self.at = (self.at + by) % (len(self.rows) * len(FIELDS))
        self.fresh, self._before = True, {}

    def _settled(self, session: Session) -> bool:
        """Whether the row in hand is possible. A code that was scanned into it is said and forgotten."""
        row, name = self._field()
        typed = row.typed.get(name, "")
        try:
            total = row.total()
            if total > row.left:
                raise Refusal(
                    "quantity-over", value=shown(total), left=shown(row.left), quantity=shown(row.of)
                )
        except Refusal as refusal:
            row.typed = self._before or row.typed
            if refusal.code != "quantity-over":
                kept = row.typed.get(name) or "0"
                names = WORDS[f"complete.{name}"]
                refusal = Refusal("not-a-quantity", value=typed, name=names, kept=kept)
            session.refuse(refusal)
            return False
        return True

    def _field(self) -> tuple[Row, str]:
        row, field = divmod(self.at, len(FIELDS))
        return self.rows[row], FIELDS[field]

    def _complete(self, session: Session) -> None:
        reasons = list(session.view.scrap_reasons) if session.view else []
        if not self._settled(session):
            self.fresh, self._before = True, {}
            return
        bookings = [
            {
                "operation": row.operation,
                **{name: row.quantity(name) for name in FIELDS},
                "reason": reasons[row.reason] if reasons and row.quantity("scrap") else "",
            }
            for row in self.rows
        ]

        def correct(refusal: Refusal) -> None:
            if refusal.code in TO_CORRECT:
                session.open(self)

        session.close()
        session.send(asked.CompleteRun, correct, run=self.run, bookings=bookings)

    # --- painting -------------------------------------------------------------------------------------

    def paint(self, session: Session, width: int, height: int) -> list[Line]:
        height_of = 2 if width < NARROW else 1
        tight = height < TIGHT
        lines: list[Line] = [[Span(" " + session.say("complete.title"), Ink.STRONG)]]
        if (run := session.run) is not None and run.machine_parts is not None:
            lines.append([Span(" " + session.say("complete.machine", count=str(run.machine_parts)))])
        lines += [] if tight else [[]]
        room = max(1, (height - len(lines) - (3 if tight else 4)) // height_of)
        first = max(0, min(self.at // len(FIELDS) - room // 2, len(self.rows) - room))
        for number in range(first, min(len(self.rows), first + room)):
            lines += self._line(session, number, width)
        lines += self._remarks(session)[1 if tight else 0 :]
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
