"""The machines of the station: their locks, what may be done to them and became of it; the shift note."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge.station import commands as asked
from edge.station.station_view import CommandView, ControlView, LifeView, ProgramView, WriteView
from edge.terminal.painting import Ink, Line, Span, wrap
from edge.terminal.screens import maintenance
from edge.terminal.screens.ask import AskPage
from edge.terminal.screens.choice import Choice, choosing
from edge.terminal.screens.confirm import ConfirmPage
from edge.terminal.screens.note import NotePage
from edge.terminal.session import Key, Session
from edge.terminal.words import moment
from protocols.lifecycles import CommandState, LockState
from protocols.values import DataType, Value

Do = Callable[[Session], None]
Question = Callable[[Session], str]

SAID = 3
"""Programs of a machine that are spoken of; each has an entry in the list."""
COMMAND_INKS = {CommandState.UNKNOWN: Ink.ABNORMAL, CommandState.FAILED: Ink.ABNORMAL}
EFFECTS = {
    "parameter": "machine.set",
    "start": "machine.start",
    "reset": "machine.reset",
    "resume": "machine.resume",
}


@dataclass(slots=True)
class MachinePage:
    """What a person may do here beside the work, one list: a number or the arrows, then Enter."""

    choice: Choice = field(default_factory=Choice)

    def keys(self, session: Session) -> Mapping[str, str]:
        return {"f1": "key.back", "f4": "key.ok", "f10": "key.back"}

    def press(self, session: Session, key: Key) -> None:
        if key.name in ("escape", "f1", "f10"):
            session.close()
            return
        entries = self._entries(session)
        number = self.choice.press(session, key, len(entries))
        if number is not None:
            entries[number][1](session)

    def _entries(self, session: Session) -> list[tuple[str, Do]]:
        found: list[tuple[str, Do]] = [(session.say("note.title"), lambda s: s.open(NotePage()))]
        for machine in session.view.machines if session.view else ():
            found += maintenance.entries(session, machine)
            found += _lock_entries(session, machine)
            found += _settle_entries(session, machine)
            found += _program_entries(session, machine)
            if machine.lock is LockState.FREE and machine.connected and not machine.firmware:
                found += [(_write_words(session, machine, w), _doing(machine, w)) for w in machine.writes]
        return found

    def paint(self, session: Session, width: int, height: int) -> list[Line]:
        head: list[Line] = []
        for machine in session.view.machines if session.view else ():
            head += [
                [Span(f" {line}", ink)]
                for text, ink in told(session, machine)
                for line in wrap(text, width - 2, 2)
            ]
            if machine.life is not None and (words := life_words(session, machine.life)):
                ink = Ink.PLAIN if machine.life.seen else Ink.ABNORMAL
                head.append([Span(f"   {words}"[:width], ink)])
            for command in machine.commands[-2:]:
                ink = COMMAND_INKS.get(command.state, Ink.DIM)
                head.append([Span(f"   {_command_words(session, command)}"[:width], ink)])
        entries = [words for words, _ in self._entries(session)]
        return choosing(session, head[: max(2, height - 4)], self.choice, entries, width, height)


def told(session: Session, machine: ControlView) -> list[tuple[str, Ink]]:
    """What there is to say about a machine: its lock, its firmware, commands nobody knows the fate of."""
    name = machine.title or machine.device
    since = moment(session.language, machine.since, session.time) if machine.since else ""
    words = {"machine": name, "owner": machine.owner, "since": since, "reason": machine.reason}
    found: list[tuple[str, Ink]] = []
    if machine.lock is LockState.LOCKED:
        found.append((session.say("machine.locked", **words), Ink.ABNORMAL))
    elif machine.lock is LockState.RELEASED:
        found.append((session.say("machine.released", **words), Ink.ABNORMAL))
    if machine.firmware:
        text = session.say("machine.firmware", machine=name, firmware=machine.firmware)
        found.append((text, Ink.ABNORMAL))
    if any(command.state is CommandState.UNKNOWN for command in machine.commands):
        found.append((session.say("machine.unknown", machine=name), Ink.ABNORMAL))
    found += [(_program_words(session, machine, each), Ink.ABNORMAL) for each in machine.programs[:SAID]]
    if not found:
        key = "machine.free" if machine.connected else "machine.away"
        found.append((session.say(key, machine=name), Ink.PLAIN if machine.connected else Ink.ABNORMAL))
    return found


def life_words(session: Session, life: LifeView) -> str:
    """What is left of a machine's life by the model at this edge; empty before the first row."""
    if life.life is None or life.lower is None:
        return ""
    values = {"unit": life.unit, "life": f"{life.life:.0f}", "lower": f"{life.lower:.0f}"}
    if life.upper is None:
        words = session.say("machine.life-beyond", **values)
    else:
        words = session.say("machine.life", upper=f"{life.upper:.0f}", **values)
    return words if life.seen else f"{words} · {session.say('machine.life-frozen')}"


def abnormal(session: Session) -> list[str]:
    """The same for the work screen, where only what is not as it should be is said."""
    machines = session.view.machines if session.view else ()
    near = [text for machine in machines if (text := maintenance.alert(session, machine))]
    return near + [
        text
        for machine in machines
        if machine.lock is not LockState.FREE
        or machine.firmware
        or _has_unknown(machine)
        or any(program.wanted or program.state == "partial" for program in machine.programs)
        for text, _ in told(session, machine)
    ]


def _has_unknown(machine: ControlView) -> bool:
    return any(command.state is CommandState.UNKNOWN for command in machine.commands)


# --- locks and firmware ---------------------------------------------------------------------------------


def _lock_entries(session: Session, machine: ControlView) -> list[tuple[str, Do]]:
    name = machine.title or machine.device
    found: list[tuple[str, Do]] = []
    if machine.firmware:
        words = session.say("machine.accept-firmware", machine=name, firmware=machine.firmware)
        found.append((words, _accept_firmware(machine)))
    match machine.lock:
        case LockState.FREE:
            found.append((session.say("machine.lock", machine=name), _lock(machine)))
        case LockState.LOCKED:
            words = session.say("machine.release", machine=name, owner=machine.owner)
            found.append((words, _release(machine)))
        case LockState.RELEASED:
            found.append((session.say("machine.accept", machine=name), _accept(machine)))
            found.append((session.say("machine.lock", machine=name), _lock(machine)))
    return found


def _lock(machine: ControlView) -> Do:
    def ask(session: Session) -> None:
        session.open(
            AskPage(
                lambda s: s.say("machine.lock-why", machine=machine.title),
                lambda s, reason: s.send(asked.LockMachine, device=machine.device, reason=reason),
                remark="machine.no-loto",
            )
        )

    return ask


def _release(machine: ControlView) -> Do:
    """By its owner at once; by others only two together."""

    def ask(session: Session) -> None:
        if session.actor.casefold() == machine.owner.casefold():
            session.send(asked.ReleaseLock, device=machine.device)
            return
        _second(
            session,
            lambda s: s.say("machine.release-second", owner=machine.owner, actor=s.actor),
            lambda s, second: s.send(asked.ReleaseLock, device=machine.device, second=second),
        )

    return ask


def _accept(machine: ControlView) -> Do:
    def ask(session: Session) -> None:
        session.open(
            ConfirmPage(
                lambda s: s.say("machine.accept-question", machine=machine.title, owner=machine.owner),
                "confirm.yes-hint",
                lambda s: s.send(asked.AcceptMachine, device=machine.device),
            )
        )

    return ask


def _accept_firmware(machine: ControlView) -> Do:
    name = machine.title

    def ask(session: Session) -> None:
        session.open(
            ConfirmPage(
                lambda s: s.say("machine.firmware-question", machine=name, firmware=machine.firmware),
                "confirm.yes-hint",
                lambda s: s.send(asked.AcceptFirmware, device=machine.device, firmware=machine.firmware),
            )
        )

    return ask


# --- commands -------------------------------------------------------------------------------------------


def _settle_entries(session: Session, machine: ControlView) -> list[tuple[str, Do]]:
    found: list[tuple[str, Do]] = []
    for command in machine.commands:
        if command.state is CommandState.UNKNOWN:
            for key, took_effect in (("machine.took-effect", True), ("machine.no-effect", False)):
                words = session.say(key, target=command.target, value=command.value)
                found.append((words, _settle(command.id, took_effect=took_effect)))
    return found


def _settle(command: str, *, took_effect: bool) -> Do:
    return lambda s: s.send(asked.SettleCommand, command=command, took_effect=took_effect)


def _program_words(session: Session, machine: ControlView, program: ProgramView) -> str:
    words = {
        "machine": machine.title,
        "program": program.program,
        "found": program.found[:12],
        "detail": program.detail,
    }
    now = "moving" if program.moving else "ran" if program.ran else program.state
    return session.say(f"program.{now}", **words)


def _program_entries(session: Session, machine: ControlView) -> list[tuple[str, Do]]:
    """What is not as released may be sent, where the machine is free."""
    if machine.lock is not LockState.FREE or not machine.connected or machine.firmware:
        return []
    return [
        (session.say("program.send", machine=machine.title, program=each.program), _sending(machine, each))
        for each in machine.programs
        if each.state != "unreadable" and not each.moving
    ]


def _sending(machine: ControlView, program: ProgramView) -> Do:
    """The question names what is lost by it, and asks to look where nothing shows what the machine runs."""
    words = {"machine": machine.title, "program": program.program, "found": program.found[:12]}
    key = "program.overwrite-question" if program.state == "edited" else "program.question"

    def question(s: Session) -> str:
        return s.say(key, **words) + (f" {s.say('program.look', **words)}" if program.asks else "")

    def send(s: Session) -> None:
        s.send(
            asked.SendProgram,
            device=machine.device,
            program=program.program,
            sha256=program.sha256,
            overwrite=program.found if program.state == "edited" else "",
            stands=program.asks,
        )

    return lambda session: session.open(ConfirmPage(question, "confirm.yes-hint", send))


def _doing(machine: ControlView, what: WriteView) -> Do:
    """Ask for the value or the arguments, then for the confirmation, then for a second person."""

    def begin(session: Session) -> None:
        if what.what == "call":
            _arguments(session, machine, what, {}, list(what.inputs.items()))
        elif len(what.allowed) == 1:
            _confirm(session, machine, what, what.allowed[0])
        else:
            session.open(
                AskPage(
                    lambda s: _write_words(s, machine, what),
                    lambda s, text: _confirm(s, machine, what, typed(what.type, text)),
                    remark="",
                    hint=_limits(what),
                )
            )

    return begin


def _arguments(
    session: Session,
    machine: ControlView,
    what: WriteView,
    given: dict[str, Value],
    left: list[tuple[str, str]],
) -> None:
    if not left:
        _confirm(session, machine, what, given)
        return
    (name, kind), *rest = left
    session.open(
        AskPage(
            lambda s: f"{what.target}: {name} ({kind})",
            lambda s, text: _arguments(s, machine, what, {**given, name: typed(kind, text)}, rest),
        )
    )


def _confirm(session: Session, machine: ControlView, what: WriteView, value: Any) -> None:
    """Name machine, target, old and new value, and what it does."""

    def question(s: Session) -> str:
        old = "–" if what.value is None else _shown(what.value)
        words = {"machine": machine.title, "target": what.target, "old": old, "unit": what.unit}
        new = (
            ", ".join(f"{k} {_shown(v)}" for k, v in value.items())
            if isinstance(value, dict)
            else _shown(value)
        )
        return s.say(EFFECTS.get(what.effect, "machine.set"), new=new or "–", **words)

    def send(s: Session, second: str = "") -> None:
        if what.what == "call":
            s.send(
                asked.CallMachine, device=machine.device, method=what.target, arguments=value, second=second
            )
        else:
            s.send(asked.WriteMachine, device=machine.device, tag=what.target, value=value, second=second)

    def yes(s: Session) -> None:
        if what.two_people:
            _second(s, lambda n: n.say("machine.second", actor=n.actor), send)
        else:
            send(s)

    session.open(ConfirmPage(question, "confirm.yes-hint", yes))


def _second(
    session: Session, question: Callable[[Session], str], then: Callable[[Session, str], None]
) -> None:
    """Somebody else scans a badge or types a pseudonym; the terminal stays with who works here."""
    session.open(AskPage(question, then, people=True))


def typed(kind: str, text: str) -> bool | int | float | str:
    """What was typed as a value of a type; as it stands where it is none, and the edge says so."""
    if kind == DataType.STRING:
        return text
    if kind == DataType.BOOL:
        return {"1": True, "true": True, "0": False, "false": False}.get(text.casefold(), text)
    number = text.replace(",", ".")
    try:
        return int(number) if number.lstrip("+-").isdigit() else float(number)
    except ValueError:
        return text


def _write_words(session: Session, machine: ControlView, what: WriteView) -> str:
    value = "" if what.value is None else f" = {_shown(what.value)} {what.unit}".rstrip()
    sign = "" if what.effect == "parameter" else "▲ "
    return f"{sign}{machine.title}: {what.target}{value}"


def _limits(what: WriteView) -> str:
    if what.allowed:
        return " · ".join(_shown(value) for value in what.allowed)
    low = "" if what.min is None else f"{what.min:g}"
    high = "" if what.max is None else f"{what.max:g}"
    return f"{low} … {high} {what.unit}".strip() if low or high else what.unit


def _command_words(session: Session, command: CommandView) -> str:
    state = session.say(f"state.{command.state}")
    detail = f": {command.detail}" if command.detail else ""
    return f"{command.target} {command.value} – {state}{detail}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
