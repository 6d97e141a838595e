"""Messages to edges: job lists, release requests, questions, models: sent again until the edge has answered.

What is to be sent stands elsewhere (in the orders' tables); this is only the sending. A message goes out at
once, when its edge opens a session, and every few seconds while the edge is heard and has not confirmed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cloud.hub import ActionsLedgered, Hub, StatesLedgered
from protocols import jobs
from protocols.actions import LeaseKept, LeaseReleased
from protocols.clock import Clock
from protocols.jobs import JobList, ReleaseRequest
from protocols.lanes import Down, down
from protocols.prognostics import deployment
from protocols.prognostics.deployment import Deployment, Part
from protocols.states import JobsApplied
from protocols.values import MICROSECONDS
from protocols.waveforms.messages import Wanted, encode_wanted

RESEND = 3.0
"""Seconds after which an unconfirmed message is sent again."""

AWAKE = 30 * MICROSECONDS
"""µs after its last message during which an edge counts as there."""


@dataclass(slots=True)
class _Pending:
    """One unconfirmed message. ``version`` is a job list's, ``operations`` a release request's open ones."""

    payload: bytes
    version: int = 0
    operations: frozenset[str] = frozenset()
    sent_at: float = float("-inf")


class Publisher:
    """Sends to edges. ``send`` publishes over MQTT; ``heard`` has when each edge was last heard (µs UTC).

    All methods may be called on any thread; ``run`` lives in the service's TaskGroup.
    """

    def __init__(
        self, send: Callable[[str, bytes], object], hub: Hub, clock: Clock, heard: Mapping[str, int]
    ) -> None:
        self._send = send
        self._hub = hub
        self._clock = clock
        self._heard = heard
        self._guard = threading.Lock()
        self._pending: dict[tuple[str, Down, str], _Pending] = {}

    def publish_jobs(self, job_list: JobList) -> None:
        """Send a job list until the edge has applied it or a newer one; an older one is forgotten."""
        key = job_list.edge, Down.JOBS, ""
        with self._guard:
            known = self._pending.get(key)
            if known is not None and known.version > job_list.version:
                return
            self._pending[key] = _Pending(jobs.encode(job_list), version=job_list.version)
        self._send_due(job_list.edge)

    def request_release(self, edge: str, request: ReleaseRequest) -> None:
        """Ask for leased operations back, until the edge has answered for all of them."""
        with self._guard:
            self._pending[edge, Down.RELEASE, request.request] = _Pending(
                jobs.encode(request), operations=frozenset(request.operations)
            )
        self._send_due(edge)

    def withdraw(self, edge: str, request: str) -> None:
        """Ask no more: a person overrode the lease, or the plan changed."""
        with self._guard:
            self._pending.pop((edge, Down.RELEASE, request), None)

    def ask_waveform(self, edge: str, wanted: Wanted) -> None:
        """Ask for blocks of a waveform, until :meth:`withdraw_waveform`."""
        with self._guard:
            self._pending[edge, Down.WAVEFORM, wanted.id] = _Pending(encode_wanted(wanted))
        self._send_due(edge)

    def withdraw_waveform(self, edge: str, question: str) -> None:
        """Ask no more: the edge has answered, or will not."""
        with self._guard:
            self._pending.pop((edge, Down.WAVEFORM, question), None)

    def deploy(self, wanted: Deployment) -> None:
        """Say what an edge scores with, until :meth:`deployed`; what was said before is forgotten."""
        with self._guard:
            self._pending[wanted.edge, Down.MODELS, ""] = _Pending(deployment.encode(wanted))
        self._send_due(wanted.edge)

    def deployed(self, edge: str) -> None:
        """Say it no more: the edge has all of it."""
        with self._guard:
            self._pending.pop((edge, Down.MODELS, ""), None)

    def send_part(self, edge: str, part: Part) -> None:
        """Send a part of a model once; the edge asks again where it did not come."""
        self._send(down(edge, Down.MODELS), deployment.encode(part))

    def opened(self, edge: str) -> None:
        """The edge opened a session: it may have missed everything."""
        with self._guard:
            # What a deployment tells of machines is old by now: it is made anew.
            self._pending.pop((edge, Down.MODELS, ""), None)
            for (of, _, _), pending in self._pending.items():
                if of == edge:
                    pending.sent_at = float("-inf")
        self._send_due(edge)

    def unconfirmed(self) -> dict[str, int]:
        """How many messages each edge has not confirmed, for /health."""
        counts: dict[str, int] = {}
        with self._guard:
            for edge, _, _ in self._pending:
                counts[edge] = counts.get(edge, 0) + 1
        return counts

    async def run(self) -> None:
        """Follow the confirmations and send again, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(), name="publisher follow")
            tasks.create_task(self._resend(), name="publisher resend")

    async def _resend(self) -> None:
        while True:
            await asyncio.sleep(RESEND / 3)
            awake = self._clock.now() - AWAKE
            for edge in {edge for edge, _, _ in list(self._pending)}:
                if self._heard.get(edge, 0) >= awake:
                    self._send_due(edge)

    async def _follow(self) -> None:
        async with self._hub.subscribe({StatesLedgered, ActionsLedgered}) as events:
            async for event in events:
                if isinstance(event, StatesLedgered):
                    for state in event.events:
                        if isinstance(state, JobsApplied):
                            self._applied(event.edge, state.version)
                elif isinstance(event, ActionsLedgered):
                    for action in event.actions:
                        if isinstance(action.event, LeaseReleased | LeaseKept):
                            self._answered(event.edge, action.event)

    def _applied(self, edge: str, version: int) -> None:
        with self._guard:
            known = self._pending.get((edge, Down.JOBS, ""))
            if known is not None and known.version <= version:
                del self._pending[edge, Down.JOBS, ""]

    def _answered(self, edge: str, answer: LeaseReleased | LeaseKept) -> None:
        key = edge, Down.RELEASE, answer.request
        with self._guard:
            known = self._pending.get(key)
            if known is not None:
                known.operations -= frozenset(answer.operations)
                if not known.operations:
                    del self._pending[key]

    def _send_due(self, edge: str) -> None:
        now = self._clock.monotonic()
        due: list[tuple[Down, bytes]] = []
        with self._guard:
            for (of, kind, _), pending in self._pending.items():
                if of == edge and now - pending.sent_at >= RESEND:
                    pending.sent_at = now
                    due.append((kind, pending.payload))
        for kind, payload in due:
            self._send(down(edge, kind), payload)
