"""Modbus: polls the tags of a profile with as few requests as the device allows, over any transport."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import Field

from drivers.driver import (
    Capability,
    Captured,
    Deliver,
    DeviceLost,
    Driver,
    DriverError,
    DriverType,
    Identity,
    Options,
    ReadFailed,
    WriteFailed,
    WriteRefused,
    WriteUnknown,
)
from drivers.modbus.address import EXAMPLES, Transport, parse_url
from drivers.modbus.codec import Coding, encode
from drivers.modbus.grid import Answer, Piece
from drivers.modbus.meaning import Meaning
from drivers.modbus.planning import Knowledge, Limits, Request, Span, isolate, locate, plan
from drivers.modbus.polling import Poll, SamplingClass, Teller
from drivers.modbus.profile import BitWrite, ModbusProfile, ModbusTag, Table
from drivers.profile.profile import AnyProfile, Tag
from protocols.values import DataType, Quality, Reading, Reason, Value

if TYPE_CHECKING:
    from drivers.modbus.bus import Memory, Seat


class ModbusOptions(Options):
    """Options of one device."""

    timeout: float = Field(default=1.0, gt=0, le=60, description="seconds to wait for a reply")
    lost_after: int = Field(default=3, ge=1, le=30, description="replies missing in a row before giving up")
    retry: float = Field(
        default=300.0, gt=0, le=86_400, description="seconds until refused addresses are asked for again"
    )
    share: bool = Field(
        default=True,
        description="one connection for all devices of this edge at the same address; false: one of its own",
    )


MODBUS = DriverType(
    name="modbus",
    summary="Modbus devices on TCP, UDP, serial lines and converters: PLCs, meters, drives, I/O blocks",
    schemes=tuple(map(str, Transport)),
    example=EXAMPLES[Transport.TCP],
    config=ModbusOptions,
    profile=cast("type[AnyProfile]", ModbusProfile),
    factory="drivers.modbus.driver:ModbusDriver",
    simulator="drivers.modbus.simulator:ModbusServer",
    wire="drivers.modbus.bus",
)

_REASONS = {
    1: Reason.ILLEGAL_ADDRESS,
    2: Reason.ILLEGAL_ADDRESS,
    3: Reason.ILLEGAL_ADDRESS,
    4: Reason.DEVICE_FAILURE,
    6: Reason.TIMEOUT,
    8: Reason.DEVICE_FAILURE,
    10: Reason.NOT_CONNECTED,
    11: Reason.NOT_CONNECTED,
}
_FAILURE = 4
_REFUSED_RANGE = (2, 3)
"""Exceptions that may come from one address of many, or from too large a request: worth halving."""


class ModbusDriver(Driver[ModbusOptions]):
    """One unit on a Modbus bus."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.READ, Capability.WRITE, Capability.IDENTIFY, Capability.WAVEFORMS}
    )

    def __init__(self, address: str, profile: AnyProfile, config: ModbusOptions) -> None:
        super().__init__(address, profile, config)
        if not isinstance(profile, ModbusProfile):
            raise TypeError(f"a Modbus driver needs a ModbusProfile, not a {type(profile).__name__}")
        self._bus, unit = parse_url(address)
        self._unit = profile.modbus.unit if unit is None else unit
        self._tags: dict[str, ModbusTag] = dict(profile.tags)
        self._limits = Limits(profile.modbus.max_gap, profile.modbus.max_registers, profile.modbus.max_bits)
        self._codings = {name: coding_of(profile, tag) for name, tag in profile.all_tags.items()}
        self._meaning = Meaning(profile, self.problems)
        self._spans = [span_of(name, tag) for name, tag in self._tags.items() if tag.readable]
        self._knowledge = Knowledge()
        self._searched: set[tuple[Table, int, int]] = set()
        """Requests that fail as a whole, as far as is known."""
        self._well: set[tuple[Table, int, int]] = set()
        """What failed and answers again."""
        self._memory: Memory | None = None
        self._writing = profile.modbus.single_write, profile.modbus.bit_write
        self._silent = 0
        self._answered = False
        self._seat: Seat | None = None

    @property
    def unit(self) -> int:
        """The unit that is asked."""
        return self._unit

    async def connect(self) -> None:
        from drivers.modbus.bus import Seat, remembered

        config = self.config
        self._memory = remembered(self._bus, self._unit, self._spans)
        self._knowledge.cuts = self._memory.cuts
        self._seat = Seat(
            self._bus, self._unit, config.timeout, config.lost_after, share=config.share, tap=self.trace
        )
        await self._seat.join()

    async def close(self) -> None:
        seat, self._seat = self._seat, None
        if seat is not None:
            await seat.leave()

    async def identify(self) -> Identity:
        from drivers.modbus.wire import Silence

        try:
            return await self._connection.identify(self._unit) or await self._report()
        except Silence as silence:
            if await self._answers():
                return Identity()  # it takes the question for noise
            raise DeviceLost(self.address, str(silence)) from silence
        except DriverError as error:
            raise DeviceLost(self.address, str(error)) from error

    async def _answers(self) -> bool:
        """Whether the device answers a read at all."""
        from drivers.modbus.wire import Refused, Silence, read_request

        span = self._spans[0] if self._spans else Span("", Table.HOLDING, 0, 1)
        try:
            await self._connection.read(read_request(span.table, span.start, span.size, self._unit))
        except Refused:
            return True
        except Silence:
            return False
        return True

    async def _report(self) -> Identity:
        """Function 17 of a device that does not know 43/14. One that takes it ill is not asked again."""
        from drivers.modbus.wire import Silence

        memory = self._memory
        if memory is None or not memory.reports:
            return Identity()
        memory.reports = False  # until it has answered: it may hang up
        try:
            found = await self._connection.report(self._unit)
        except Silence:
            return Identity()
        memory.reports = True
        return found

    @property
    def _connection(self) -> Seat:
        if self._seat is None:
            raise DeviceLost(self.address, "not connected — use the driver in `async with`")
        return self._seat

    async def stream(self, deliver: Deliver) -> None:
        classes: dict[float, SamplingClass] = {}
        for span in self._spans:
            sampling = self._tags[span.name].sampling
            classes.setdefault(sampling, SamplingClass(sampling, [])).spans.append(span)
        queue = [classes[interval] for interval in sorted(classes)]
        teller = Teller(self._meaning.applied(deliver), self.problems)
        clock = asyncio.get_running_loop().time
        start = clock()
        retry = start + self.config.retry
        for group in queue:
            group.due = start
        try:
            while queue:
                group = min(queue, key=lambda g: g.due)
                if (wait := group.due - clock()) > 0:
                    await asyncio.sleep(wait)
                if clock() >= retry:
                    retry = clock() + self.config.retry
                    if self._forget():
                        for other in queue:
                            other.polls = None
                await self._round(group, teller)
                # A round that took longer than the interval skips what it missed instead of rushing.
                missed = max(0.0, clock() - group.due)
                group.due += group.interval * (missed // group.interval + 1)
            await asyncio.Event().wait()
        except DeviceLost as lost:
            teller.bad([span.name for span in self._spans], Reason.NOT_CONNECTED, lost.cause)
            raise

    async def read(self, paths: Sequence[str]) -> list[Reading]:
        found: dict[str, Reading] = {}
        needed = self._meaning.needed(paths)
        group = SamplingClass(0.0, [span_of(path, cast("ModbusTag", self.tag(path))) for path in needed])
        keep = self._meaning.applied(lambda readings: found.update({r.path: r for r in readings}))
        teller = Teller(keep, self.problems)
        await self._round(group, teller)
        missing = Reading("", None, Quality.BAD, Reason.OTHER)
        return [found.get(path, missing._replace(path=path)) for path in paths]

    async def capture(self, path: str) -> Captured:
        """The block of a waveform now; see :class:`drivers.capabilities.Captures`."""
        from drivers.modbus.blocks import captured

        assert isinstance(self.profile, ModbusProfile)  # noqa: S101 - checked when constructed
        tag = self.profile.waveforms[path]
        return await captured(path, tag, coding_of(self.profile, tag), self._limits, self._piece)

    async def _piece(self, table: Table, piece: Piece) -> bytes:
        answer = await self.block(table, piece)
        if answer.text:
            raise ReadFailed(answer.text)
        return answer.data

    async def block(self, table: Table, piece: Piece) -> Answer:
        """What lies in a device that nobody has a map of: one read, whatever comes back.

        Raises:
            DeviceLost: the connection is gone, or nothing has been answered for long.
        """
        from drivers.modbus.wire import Hangup, Refused, Silence, read_request

        try:
            data = await self._connection.read(read_request(table, piece.start, piece.size, self._unit))
        except Refused as refusal:
            self._silent, self._answered = 0, True
            return Answer(code=refusal.code, text=str(refusal))
        except Silence as silence:
            self._count_silence(silence)
            return Answer(text=str(silence))
        except Hangup as hangup:
            raise DeviceLost(self.address, str(hangup)) from hangup
        self._silent, self._answered = 0, True
        return Answer(data)

    async def send(self, path: str, tag: Tag, value: Value) -> None:
        from drivers.modbus.bus import Unwritten
        from drivers.modbus.wire import Hangup, Refused, Silence

        place, coding = cast("ModbusTag", tag).place, self._codings[path]
        seat, (single, how) = self._connection, self._writing
        try:
            data = b"" if coding.bit is not None else encode(coding, value)
        except ValueError as error:
            raise WriteRefused(f'"{path}": {error}') from None
        try:
            if place.table is Table.COIL:
                await seat.write_coil(self._unit, place.offset, bool(value))
            elif coding.bit is None:
                await seat.write_registers(self._unit, place.offset, data, single=single)
            elif how is BitWrite.MASK:
                await seat.mask_register(self._unit, place.offset, coding.wire_bit, bool(value))
            else:
                await seat.change_bit(place.offset, coding.wire_bit, bool(value), single=single)
        except Unwritten as error:
            raise WriteFailed(f'"{path}": nothing was written, {error}') from error
        except Refused as error:
            raise WriteFailed(f'"{path}": the device answered {error}') from error
        except (Silence, Hangup) as error:
            raise WriteUnknown(f'"{path}": {error}; it may have taken effect — read it back') from error

    async def _round(self, group: SamplingClass, teller: Teller) -> None:
        """Read every tag of a class once; after a refusal, again with what was learnt from it."""
        if self._well:
            self._knowledge.failing -= self._well
            self._well.clear()
            group.polls = None
        settled = False
        while not settled:
            if group.polls is None:
                self._plan(group, teller)
            for poll in group.polls or ():
                await self._one(group, poll, teller)
                if group.polls is None:
                    break
            else:
                settled = True

    def _plan(self, group: SamplingClass, teller: Teller) -> None:
        from drivers.modbus.wire import read_request

        requests = plan(group.spans, self._limits, self._knowledge)
        group.polls = [
            Poll(r, read_request(r.table, r.start, r.size, self._unit), self._codings) for r in requests
        ]
        refused = [span.name for span in group.spans if self._knowledge.refuses(span)]
        teller.bad(refused, Reason.ILLEGAL_ADDRESS, "the device refuses this address")

    async def _one(self, group: SamplingClass, poll: Poll, teller: Teller) -> None:
        from drivers.modbus.wire import Garbled, Hangup, Refused, Silence

        try:
            data = await self._connection.read(poll.pdu)
        except Silence as silence:
            self._count_silence(silence)
            reason = Reason.DEVICE_FAILURE if isinstance(silence, Garbled) else Reason.TIMEOUT
            teller.bad(poll.names, reason, str(silence))
            return
        except Hangup as hangup:
            raise DeviceLost(self.address, str(hangup)) from hangup
        except Refused as refusal:
            self._silent = 0
            self._answered = True
            learnt = (refusal.code in _REFUSED_RANGE and await self._locate(poll.request)) or (
                refusal.code == _FAILURE and await self._isolate(poll.request)
            )
            if learnt:
                group.polls = None
            else:
                teller.bad(poll.names, _REASONS.get(refusal.code, Reason.OTHER), str(refusal))
            return
        self._silent, self._answered = 0, True
        if len(data) != poll.bytes_due:
            message = f"answered {len(data)} bytes instead of {poll.bytes_due}"
            teller.bad(poll.names, Reason.DEVICE_FAILURE, message)
            return
        if self._knowledge.failing:
            place = (poll.request.table, poll.request.start, poll.request.end)
            self._well |= self._knowledge.failing & {place}
        teller.readings(*poll.readings(data))

    async def _locate(self, request: Request) -> bool:
        """Halve a refused request until what is illegal in it is known.

        False when nothing was learnt, because the device answers a part with silence: the same plan would
        be refused again, and what it is then said of the request's tags is the refusal.
        """
        known = len(self._knowledge.illegal) + len(self._knowledge.cuts)
        await self._search(locate(request, self._knowledge), _REFUSED_RANGE)
        return len(self._knowledge.illegal) + len(self._knowledge.cuts) > known

    async def _isolate(self, request: Request) -> bool:
        """Find the sensor whose failure spoils a request; False when none is, until the next retry."""
        place = (request.table, request.start, request.end)
        if place in self._searched:
            return False
        known = len(self._knowledge.failing)
        await self._search(isolate(request, self._knowledge), (_FAILURE,))
        if len(self._knowledge.failing) > known:
            return True
        self._searched.add(place)
        return False

    def _forget(self) -> bool:
        """Ask again for what was refused: a PLC may load its program later than it answers.

        Returns whether there was anything.
        """
        knowledge = self._knowledge
        known = bool(knowledge.illegal or knowledge.failing)
        for each in (knowledge.illegal, knowledge.failing, self._searched):
            each.clear()
        return known

    async def _search(self, search: Generator[Request, bool, None], refusals: tuple[int, ...]) -> None:
        """Ask what a search wants to know; what is refused by one of these codes counts as no answer."""
        from drivers.modbus.wire import Hangup, Refused, Silence, read_request

        attempt = next(search, None)
        while attempt is not None:
            try:
                await self._connection.read(
                    read_request(attempt.table, attempt.start, attempt.size, self._unit)
                )
                answered = True
            except Refused as refusal:
                answered = refusal.code not in refusals
            except Silence as silence:
                self._count_silence(silence)
                break
            except Hangup as hangup:
                raise DeviceLost(self.address, str(hangup)) from hangup
            try:
                attempt = search.send(answered)
            except StopIteration:
                break

    def _count_silence(self, silence: DriverError) -> None:
        self._silent += 1
        if self._silent >= self.config.lost_after:
            times = f", {self._silent} times in a row" if self._silent > 1 else ""
            hint = "" if self._answered else f" — is there a unit {self._unit} at this address (?unit=)?"
            raise DeviceLost(self.address, f"{silence}{times}{hint}")


def span_of(name: str, tag: ModbusTag) -> Span:
    """What a tag occupies in its table."""
    place = tag.place
    return Span(name, place.table, place.offset, tag.registers)


def coding_of(profile: ModbusProfile, tag: ModbusTag) -> Coding:
    """How a tag's value lies in its registers."""
    order = profile.word_order(tag)
    length = tag.length or 1 if tag.type is DataType.STRING else 1
    return Coding(tag.type, order, length, tag.bit, tag.scale, tag.offset, tag.encoding)
