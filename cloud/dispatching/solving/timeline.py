"""When work can be done on one machine, and a plan's times anew from its decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cloud.dispatching.shop.schedule import Service
from cloud.dispatching.solving.activities import Block, Option, Shop, Spot, Station


class Timeline:
    """A machine filled from left to right: when it is free, how it is set up, what still lies ahead."""

    __slots__ = ("_at", "_blocks", "_changeover", "_next_work", "free", "state")

    def __init__(self, station: Station, now: int, services: Sequence[Service] = ()) -> None:
        self.free = now
        """From when on nothing is planned on it."""
        self.state = station.state
        self._changeover = station.changeover
        blocks = [*station.blocks, *(Block(s.start, s.end) for s in services)]
        self._blocks = sorted(blocks, key=lambda b: (b.start, b.end))
        self._at = 0
        # From each block on, the next frozen work: what is placed before it must leave time to change over.
        self._next_work: list[Block | None] = []
        following: Block | None = None
        for block in reversed(self._blocks):
            following = block if block.is_work and not block.begun else following
            self._next_work.append(following)
        self._next_work.reverse()

    @property
    def has_blocks(self) -> bool:
        """Whether windows or frozen work still lie ahead."""
        return self._at < len(self._blocks)

    def changeovers(self) -> list[int]:
        """Seconds to each set-up state from the present one."""
        return self._changeover[self.state]

    def changeover(self, before: int, after: int) -> int:
        """Seconds from one set-up state to another."""
        return self._changeover[before][after]

    def place(self, option: Option, release: int) -> tuple[int, int, int]:
        """(changeover, start, end) of work that came next and could start at ``release``."""
        free, state = self.free, self.state
        changeover = self._changeover[state][option.state]
        start = max(release, free + changeover)
        end = start + option.seconds
        for at in range(self._at, len(self._blocks)):
            block = self._blocks[at]
            if (
                end <= block.start
                and start - changeover < block.start
                and self._leaves(at, end, option.state)
            ):
                break
            if block.end > free:
                free = block.end
            if block.is_work:
                state = block.leave
                changeover = self._changeover[state][option.state]
            start = max(release, free + changeover)
            end = start + option.seconds
        return changeover, start, end

    def _leaves(self, at: int, end: int, state: int) -> bool:
        work = self._next_work[at]
        return work is None or end + self._changeover[state][work.enter] <= work.start

    def take(self, option: Option, release: int) -> tuple[int, int, int]:
        """As :meth:`place`, and do it."""
        changeover, start, end = self.place(option, release)
        if self._at < len(self._blocks):
            self.advance(start - changeover)
        self.free, self.state = end, option.state
        return changeover, start, end

    def advance(self, time: int) -> None:
        """Leave behind windows and frozen work that end by ``time``; the work leaves its set-up."""
        while self._at < len(self._blocks) and self._blocks[self._at].end <= time:
            block = self._blocks[self._at]
            self.free = max(self.free, block.end)
            if block.is_work:
                self.state = block.leave
            self._at += 1

    def closed_until(self, time: int) -> int | None:
        """When the window or frozen work that covers ``time`` ends; ``None`` when there is none."""
        for block in self._blocks[self._at :]:
            if block.start > time:
                return None
            if block.end > time:
                return block.end
        return None

    def gap(self, start: int, seconds: int) -> int:
        """The first time from ``start`` on with ``seconds`` outside all windows and frozen work."""
        for block in self._blocks:
            if block.end > start and block.start < start + seconds:
                start = block.end
        return start


def retime(
    shop: Shop, spots: Sequence[Spot], services: Mapping[str, Service], order: Sequence[int] | None = None
) -> list[Spot]:
    """The same machines and order of work, everything as early as it can be.

    ``order`` says what comes before what, on machines and in routings; without it the starts do.

    What is published later than that stays where it was wished, if it was planned that late: moving it
    would only unsettle people. Services stay where they are.
    """
    on_station: dict[str, list[Service]] = {}
    for service in services.values():
        on_station.setdefault(service.machine, []).append(service)
    lines = [Timeline(s, shop.problem.now, on_station.get(s.id, ())) for s in shop.stations]
    result = list(spots)
    if order is None:
        rank = {index: position for position, index in enumerate(shop.order)}
        order = sorted(range(len(spots)), key=lambda i: (spots[i].start, spots[i].end, rank[i]))
    for index in order:
        activity = shop.activities[index]
        option = activity.options[spots[index].option]
        release = option.release
        for before, lag in activity.before:
            spot = result[before]
            station = shop.activities[before].options[spot.option].station
            release = max(release, spot.end + shop.wait(lag, station, option.station))
        if activity.wishes:
            wished = min(wish.start for wish in activity.wishes)
            release = max(release, min(wished, spots[index].start))
        changeover, start, end = lines[option.station].take(option, release)
        result[index] = Spot(spots[index].option, changeover, start, end)
    return result
