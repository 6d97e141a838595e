"""Modbus: polls the tags of a profile with as few requests as the device allows, over any transport."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import Field

from drivers.driver import (
    Capability,
    Deliver,
    DeviceLost,
    Driver,
    DriverError,
    DriverType,
    Identity,
    Options,
    WriteFailed,
    WriteRefused,
    WriteUnknown,
)
from drivers.modbus_address import EXAMPLES, Transport, parse_url
from drivers.modbus_codec import BlockDecoder, Coding, decode_bits, encode
from drivers.modbus_grid import Answer, Piece
from drivers.modbus_meaning import Meaning
from drivers.modbus_planning import Knowledge, Limits, Request, Span, locate, plan
from drivers.modbus_profile import ModbusProfile, ModbusTag, Table
from drivers.profile import AnyProfile, Tag
from protocols.values import DataType, Quality, Reading, Reason, Value

if TYPE_CHECKING:
    from pymodbus.pdu import ModbusPDU

    from drivers.modbus_bus import Seat


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
    factory="drivers.modbus:ModbusDriver",
    simulator="drivers.modbus_simulator:ModbusServer",
    wire="drivers.modbus_bus",
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
_REFUSED_RANGE = (2, 3)
"""Exceptions that may come from one address of many, or from too large a request: worth halving."""


class _Poll:
    """One planned request with its compiled decoder."""

    def __init__(self, request: Request, pdu: ModbusPDU, codings: dict[str, Coding]) -> None:
        self.request = request
        self.pdu = pdu
        self.names = [span.name for span in request.spans]
        self._offsets = [span.start - request.start for span in request.spans]
        self._decoder = None
        if not request.table.bits:
            self._decoder = BlockDecoder(
                [(n, codings[name]) for n, name in zip(self._offsets, self.names, strict=True)]
            )
        self.bytes_due = (request.size + 7) // 8 if request.table.bits else request.size * 2
        self._last: tuple[bytes, list[Reading], bool] = (b"", [], True)

    def readings(self, data: bytes) -> tuple[list[Reading], bool]:
        """Readings of a reply and whether all are good. An unchanged reply is not decoded again."""
        if data == self._last[0]:
            return self._last[1], self._last[2]
        if self._decoder is None:
            values, good = decode_bits(data, self._offsets), True
        else:
            values, good = self._decoder.decode(data)
        if good:
            # tuple.__new__ makes the named tuples without a Python call for each: this is the hot path.
            rows = zip(self.names, values, repeat(Quality.GOOD), repeat(Reason.NONE), repeat(None))
            readings: list[Reading] = list(map(tuple.__new__, repeat(Reading), rows))
        else:
            readings = [
                Reading(name, None, Quality.BAD, Reason.SENSOR_FAILURE)
                if value is None
                else Reading(name, value)
                for name, value in zip(self.names, values, strict=True)
            ]
        self._last = (data, readings, good)
        return readings, good


class _Class:
    """The tags of one sampling interval and the requests that read them."""

    def __init__(self, interval: float, spans: list[Span]) -> None:
        self.interval = interval
        self.spans = spans
        self.polls: list[_Poll] | None = None
        self.due = 0.0


class _Teller:
    """One consumer: hands readings on and says of each fault only what is new."""

    def __init__(self, deliver: Deliver, problems: dict[str, str]) -> None:
        self._deliver = deliver
        self._problems = problems
        self._bad: dict[str, Reason] = {}

    def readings(self, readings: list[Reading], all_good: bool) -> None:
        """What a device answered."""
        if self._bad or not all_good:
            for reading in readings:
                if reading.quality is Quality.GOOD:
                    self._bad.pop(reading.path, None)
                    self._problems.pop(reading.path, None)
                else:
                    self._bad[reading.path] = reading.reason
                    self._problems[reading.path] = "the device sends no number"
        self._deliver(readings)

    def bad(self, names: Sequence[str], reason: Reason, message: str) -> None:
        """Tags that could not be read; those that are known to be bad for this reason are passed over."""
        fresh = [name for name in names if self._bad.get(name) is not reason]
        self._bad.update(dict.fromkeys(fresh, reason))
        self._problems.update(dict.fromkeys(names, message))
        if fresh:
            self._deliver([Reading(name, None, Quality.BAD, reason) for name in fresh])


class ModbusDriver(Driver[ModbusOptions]):
    """One unit on a Modbus bus."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.READ, Capability.WRITE, Capability.IDENTIFY}
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
        self._knowledge = Knowledge()
        self._silent = 0
        self._answered = False
        self._seat: Seat | None = None

    @property
    def unit(self) -> int:
        """The unit that is asked."""
        return self._unit

    async def connect(self) -> None:
        from drivers.modbus_bus import Seat

        config = self.config
        self._seat = Seat(self._bus, self._unit, config.timeout, config.lost_after, share=config.share)
        await self._seat.join()

    async def close(self) -> None:
        seat, self._seat = self._seat, None
        if seat is not None:
            await seat.leave()

    async def identify(self) -> Identity:
        try:
            return await self._connection.identify(self._unit)
        except DriverError as error:
            raise DeviceLost(self.address, str(error)) from error

    @property
    def _connection(self) -> Seat:
        if self._seat is None:
            raise DeviceLost(self.address, "not connected — use the driver in `async with`")
        return self._seat

    async def stream(self, deliver: Deliver) -> None:
        classes: dict[float, _Class] = {}
        for name, tag in self._tags.items():
            if tag.readable:
                classes.setdefault(tag.sampling, _Class(tag.sampling, [])).spans.append(span_of(name, tag))
        queue = [classes[interval] for interval in sorted(classes)]
        teller = _Teller(self._meaning.applied(deliver), self.problems)
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
                if clock() >= retry and self._knowledge.illegal:
                    # A PLC may load its program later than it answers.
                    self._knowledge.illegal.clear()
                    for other in queue:
                        other.polls = None
                if clock() >= retry:
                    retry = clock() + self.config.retry
                await self._round(group, teller)
                # A round that took longer than the interval skips what it missed instead of rushing.
                missed = max(0.0, clock() - group.due)
                group.due += group.interval * (missed // group.interval + 1)
            await asyncio.Event().wait()
        except DeviceLost as lost:
            names = [name for name, tag in self._tags.items() if tag.readable]
            teller.bad(names, Reason.NOT_CONNECTED, lost.cause)
            raise

    async def read(self, paths: Sequence[str]) -> list[Reading]:
        found: dict[str, Reading] = {}
        needed = self._meaning.needed(paths)
        group = _Class(0.0, [span_of(path, cast("ModbusTag", self.tag(path))) for path in needed])
        keep = self._meaning.applied(lambda readings: found.update({r.path: r for r in readings}))
        teller = _Teller(keep, self.problems)
        await self._round(group, teller)
        missing = Reading("", None, Quality.BAD, Reason.OTHER)
        return [found.get(path, missing._replace(path=path)) for path in paths]

    async def block(self, table: Table, piece: Piece) -> Answer:
        """What lies in a device that nobody has a map of: one read, whatever comes back.

        Raises:
            DeviceLost: the connection is gone, or nothing has been answered for long.
        """
        from drivers.modbus_wire import Hangup, Refused, Silence, read_request

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
        from drivers.modbus_wire import Hangup, Refused, Silence

        place = cast("ModbusTag", tag).place
        seat = self._connection
        try:
            data = encode(self._codings[path], value)
        except ValueError as error:
            raise WriteRefused(f'"{path}": {error}') from None
        try:
            if place.table is Table.COIL:
                await seat.write_coil(self._unit, place.offset, bool(value))
            else:
                await seat.write_registers(self._unit, place.offset, data)
        except Refused as error:
            raise WriteFailed(f'"{path}": the device answered {error}') from error
        except (Silence, Hangup) as error:
            raise WriteUnknown(f'"{path}": {error}; it may have taken effect — read it back') from error

    async def _round(self, group: _Class, teller: _Teller) -> None:
        """Read every tag of a class once; after a refusal, again with what was learnt from it."""
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

    def _plan(self, group: _Class, teller: _Teller) -> None:
        from drivers.modbus_wire import read_request

        requests = plan(group.spans, self._limits, self._knowledge)
        group.polls = [
            _Poll(r, read_request(r.table, r.start, r.size, self._unit), self._codings) for r in requests
        ]
        refused = [span.name for span in group.spans if self._knowledge.refuses(span)]
        teller.bad(refused, Reason.ILLEGAL_ADDRESS, "the device refuses this address")

    async def _one(self, group: _Class, poll: _Poll, teller: _Teller) -> None:
        from drivers.modbus_wire import Garbled, Hangup, Refused, Silence

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
            if refusal.code in _REFUSED_RANGE and await self._locate(poll.request):
                group.polls = None
            else:
                teller.bad(poll.names, _REASONS.get(refusal.code, Reason.OTHER), str(refusal))
            return
        self._silent, self._answered = 0, True
        if len(data) != poll.bytes_due:
            message = f"answered {len(data)} bytes instead of {poll.bytes_due}"
            teller.bad(poll.names, Reason.DEVICE_FAILURE, message)
            return
        teller.readings(*poll.readings(data))

    async def _locate(self, request: Request) -> bool:
        """Halve a refused request until what is illegal in it is known.

        False when nothing was learnt, because the device answers a part with silence: the same plan would
        be refused again, and what it is then said of the request's tags is the refusal.
        """
        from drivers.modbus_wire import Hangup, Refused, Silence, read_request

        known = len(self._knowledge.illegal) + len(self._knowledge.cuts)
        search = locate(request, self._knowledge)
        attempt = next(search, None)
        while attempt is not None:
            try:
                await self._connection.read(
                    read_request(attempt.table, attempt.start, attempt.size, self._unit)
                )
                answered = True
            except Refused as refusal:
                answered = refusal.code not in _REFUSED_RANGE
            except Silence as silence:
                self._count_silence(silence)
                break
            except Hangup as hangup:
                raise DeviceLost(self.address, str(hangup)) from hangup
            try:
                attempt = search.send(answered)
            except StopIteration:
                break
        return len(self._knowledge.illegal) + len(self._knowledge.cuts) > known

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
