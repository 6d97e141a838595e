"""The live hub: what was just committed, handed to whoever watches in this process.

``publish`` may be called from any thread and never waits. A subscriber has a queue of its own in its event
loop: events that only say *look again* coalesce, samples beyond the bound shrink to the newest value of each
tag, and where facts had to be left out a :class:`Lagged` says so, so that the subscriber reads the database
again. Nothing depends on the hub for its truth.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Collection, Hashable, Mapping

import msgspec

from protocols.actions import Action
from protocols.states import Event as StateEvent
from protocols.telemetry import SampleColumns
from protocols.values import Value

MAX_SAMPLES = 200_000
"""Samples that may wait for one subscriber before they shrink to the newest of each tag."""

MAX_FACTS = 10_000
"""Other events that may wait for one subscriber before the oldest are left out."""


class Event(msgspec.Struct, frozen=True):
    """Base of what the hub carries. Events with the same ``topic`` coalesce: the newest stands for all."""

    @property
    def topic(self) -> Hashable | None:
        """What the event is about, when a newer one makes it superfluous; None when each one counts."""
        return None


class SamplesLedgered(Event, frozen=True):
    """Samples of one batch, as columns of equal length: cloud tag ids, µs UTC, values, protocols.Quality.

    ``follows``: live samples that come right after those shown before of the same edge. Otherwise some are
    missing between them, which may come later as ``historical`` ones.
    """

    edge: str
    tags: list[int]
    times: list[int]
    values: list[Value]
    qualities: list[int]
    historical: bool = False
    follows: bool = True


def shown(
    edge: str, columns: SampleColumns, ids: Mapping[int, int], historical: bool, *, follows: bool = True
) -> SamplesLedgered:
    """A batch for who watches. ``ids`` maps its catalogue's numbers to the cloud's tag ids."""
    times = columns.times()
    qualities = [0] * len(times)
    for flag in columns.flags:
        qualities[flag.index] = flag.quality
    tags, values = [ids.get(number, 0) for number in columns.tags], columns.values
    if 0 in tags:  # a number its catalogue does not have: the history counts it, nobody can show it
        kept = [index for index, tag in enumerate(tags) if tag]
        tags, times = [tags[index] for index in kept], [times[index] for index in kept]
        values, qualities = [values[index] for index in kept], [qualities[index] for index in kept]
    return SamplesLedgered(edge, tags, times, values, qualities, historical, follows)


class ActionsLedgered(Event, frozen=True):
    """What people did at the workcells of one edge, in order."""

    edge: str
    actions: list[Action]


class StatesLedgered(Event, frozen=True):
    """What machines and the edge reported, in order."""

    edge: str
    events: list[StateEvent]


class BulkLedgered(Event, frozen=True):
    """The ledger has more of the bulk lane: read it."""

    @property
    def topic(self) -> Hashable | None:
        return type(self)


class WaveformAnswered(Event, frozen=True):
    """There is news of a question for a waveform's blocks."""

    id: str

    @property
    def topic(self) -> Hashable | None:
        return type(self), self.id


class OrdersChanged(Event, frozen=True):
    """Orders, jobs, operations or runs changed: read again."""

    @property
    def topic(self) -> Hashable | None:
        return type(self)


class PlanPublished(Event, frozen=True):
    """A plan of this version is in force."""

    version: int

    @property
    def topic(self) -> Hashable | None:
        return type(self)


class CaseChanged(Event, frozen=True):
    """A maintenance case was opened or changed."""

    id: str

    @property
    def topic(self) -> Hashable | None:
        return type(self), self.id


class ModelsChanged(Event, frozen=True):
    """Models of remaining life came, or are used for something else: read again."""

    @property
    def topic(self) -> Hashable | None:
        return type(self)


class ModelsHeldAtEdge(Event, frozen=True):
    """An edge said which models it scores its machines with."""

    edge: str

    @property
    def topic(self) -> Hashable | None:
        return type(self), self.edge


class QualityChanged(Event, frozen=True):
    """A chart has a new point or limits, or a nonconformance changed (``chart`` 0 where it has none)."""

    chart: int

    @property
    def topic(self) -> Hashable | None:
        return type(self), self.chart


class EdgeOpened(Event, frozen=True):
    """An edge opened a session: it may have missed everything that was sent to it before."""

    edge: str

    @property
    def topic(self) -> Hashable | None:
        return type(self), self.edge


class EdgeChanged(Event, frozen=True):
    """An edge said hello, fell silent, or its devices or catalogue changed."""

    edge: str

    @property
    def topic(self) -> Hashable | None:
        return type(self), self.edge


class Lagged(Event, frozen=True):
    """This subscriber was too slow: ``missed`` events were left out. Read the database again."""

    missed: int


class Subscription:
    """The queue of one subscriber; belongs to the event loop it was made in."""

    def __init__(self, kinds: Collection[type[Event]]) -> None:
        self.kinds = frozenset(kinds)
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._guard = threading.Lock()
        self._facts: deque[Event] = deque()
        self._topics: dict[Hashable, Event] = {}
        self._samples: deque[SamplesLedgered] = deque()
        self._waiting = 0
        self._missed = 0
        self._woken = False

    def offer(self, event: Event) -> None:
        """Put an event into the queue, from any thread."""
        with self._guard:
            if isinstance(event, SamplesLedgered):
                self._samples.append(event)
                self._waiting += len(event.tags)
                if self._waiting > MAX_SAMPLES:
                    self._shrink()
            elif (topic := event.topic) is not None:
                self._topics[topic] = event
            else:
                self._facts.append(event)
                if len(self._facts) > MAX_FACTS:
                    self._facts.popleft()
                    self._missed += 1
            if self._woken:
                return
            self._woken = True
        with contextlib.suppress(RuntimeError):  # the loop is closing: nobody will read any more
            self._loop.call_soon_threadsafe(self._ready.set)

    async def get_all(self) -> list[Event]:
        """Everything that waits, at least one event: facts in order, then samples, then *look again*."""
        await self._ready.wait()
        with self._guard:
            events: list[Event] = [Lagged(self._missed)] if self._missed else []
            events += self._facts
            events += self._samples
            events += self._topics.values()
            self._facts.clear()
            self._samples.clear()
            self._topics.clear()
            self._waiting = self._missed = 0
            self._woken = False
            self._ready.clear()
        return events

    async def __aiter__(self) -> AsyncIterator[Event]:
        """The events one by one, for ever."""
        while True:
            for event in await self.get_all():
                yield event

    def _shrink(self) -> None:
        """Keep the newest live value of each tag; history has the rest."""
        newest: dict[str, dict[int, tuple[int, Value, int]]] = {}
        for batch in self._samples:
            if batch.historical:
                continue
            of_edge = newest.setdefault(batch.edge, {})
            for tag, ts, value, quality in zip(
                batch.tags, batch.times, batch.values, batch.qualities, strict=True
            ):
                of_edge[tag] = (ts, value, quality)
        self._samples = deque(
            SamplesLedgered(
                edge,
                list(tags),
                [ts for ts, _, _ in tags.values()],
                [value for _, value, _ in tags.values()],
                [quality for _, _, quality in tags.values()],
                follows=False,
            )
            for edge, tags in newest.items()
        )
        self._waiting = sum(len(batch.tags) for batch in self._samples)
        self._missed += 1


class Hub:
    """Hands events to all subscribers of their kind."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._subscriptions: tuple[Subscription, ...] = ()

    def publish(self, event: Event) -> None:
        """Hand ``event`` to everyone who asked for its kind. Any thread; never waits, never raises."""
        kind = type(event)
        for subscription in self._subscriptions:
            if kind in subscription.kinds:
                subscription.offer(event)

    def wanted(self, kind: type[Event]) -> bool:
        """Whether anyone asked for this kind: saves making events that nobody reads."""
        return any(kind in subscription.kinds for subscription in self._subscriptions)

    @contextlib.asynccontextmanager
    async def subscribe(self, kinds: Collection[type[Event]]) -> AsyncIterator[Subscription]:
        """``async with hub.subscribe({OrdersChanged}) as events: async for event in events: …``

        A subscriber that lagged also gets :class:`Lagged`, without asking for it.
        """
        subscription = Subscription(kinds)
        with self._guard:
            self._subscriptions = (*self._subscriptions, subscription)
        try:
            yield subscription
        finally:
            with self._guard:
                self._subscriptions = tuple(s for s in self._subscriptions if s is not subscription)
