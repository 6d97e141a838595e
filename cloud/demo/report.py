"""The report of a headless demo: what was collected, what arrived, how fast, what the factory did.

Collected = committed at the edges. Lost = collected − ledgered − dropped − queued. Every run starts with
empty files, so the totals are the run's. The parts count for themselves, on disk; this only subtracts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cloud.demo.probe import Moment

RECOVERY_SECONDS = 3.0


class Samples(msgspec.Struct, frozen=True):
    collected: int
    ledgered: int
    lost: int
    duplicated: int
    dropped: int
    queued: int


class Latency(msgspec.Struct, frozen=True):
    """From the edge's time of a sample to the live hub, after its commit in the ledger; ms, live values only.
    The page shows it up to 0.2 s later.
    """

    p50: float
    p95: float
    p99: float


class Recovery(msgspec.Struct, frozen=True):
    """Seconds from the broker's return until every edge was acknowledged again; None without an outage."""

    broker: float | None


class Actions(msgspec.Struct, frozen=True):
    accepted: int
    ledgered: int


class Orders(msgspec.Struct, frozen=True):
    released: int
    completed: int


class Operations(msgspec.Struct, frozen=True):
    completed: int


class Cases(msgspec.Struct, frozen=True):
    opened: int
    devices: list[str]


class Memory(msgspec.Struct, frozen=True):
    edge: float
    cloud: float


class Report(msgspec.Struct, frozen=True):
    """The whole report, as written to ``--report``."""

    seconds: float
    speed: float
    broker: str
    samples: Samples
    latency_ms: Latency
    recovery_s: Recovery
    actions: Actions
    orders: Orders
    operations: Operations
    replans: int
    cases: Cases
    rss_mb: Memory

    def problems(self, *, outage: float = 0) -> list[str]:
        """What must not be: loss, doubles, actions that did not arrive, a slow return after an outage."""
        found = []
        recovery = self.recovery_s.broker
        if outage and (recovery is None or recovery > RECOVERY_SECONDS):
            slow = "never" if recovery is None else f"after {recovery:.1f} s"
            found.append(f"live again {slow}, the limit is {RECOVERY_SECONDS:g} s")
        if self.samples.lost:
            found.append(f"{self.samples.lost} samples are lost")
        if self.samples.duplicated:
            found.append(f"{self.samples.duplicated} samples are doubled")
        if self.actions.accepted != self.actions.ledgered:
            found.append(f"{self.actions.accepted} actions accepted, {self.actions.ledgered} ledgered")
        return found


def samples(moment: Moment, duplicated: int = 0) -> Samples:
    """The account of the samples; ``duplicated`` was counted in the ledger itself."""
    collected, queued = _edges(moment, "samples", "committed"), _edges(moment, "samples", "queued")
    # As the cloud counts it: what an edge gave up while it was on its way, and arrived, is not missing.
    ledgered, dropped = _cloud(moment, "samples", "ledgered"), _cloud(moment, "samples", "dropped")
    return Samples(collected, ledgered, collected - ledgered - dropped - queued, duplicated, dropped, queued)


def actions(moment: Moment) -> Actions:
    """The account of what people did."""
    return Actions(_edges(moment, "actions", "accepted"), _cloud(moment, "actions", "ledgered"))


def unsettled(moment: Moment) -> int:
    """Batches that are still on their way, tombstones among them."""
    return _edges(moment, "link", "queued_batches")


def latency(moment: Moment) -> Latency:
    """As the cloud measured it, sample time to live hub."""
    found = (moment.cloud or {}).get("latency_ms", {})
    return Latency(*(round(float(found.get(name) or 0), 1) for name in ("p50", "p95", "p99")))


def memory(moment: Moment) -> Memory:
    """Resident memory in MB: of the largest edge, and of the cloud."""
    edges = [float((health or {}).get("rss_mb", 0)) for health in moment.edges.values()]
    return Memory(round(max(edges, default=0.0), 1), round(float((moment.cloud or {}).get("rss_mb", 0)), 1))


def last_acks(moment: Moment) -> Mapping[str, int]:
    """When each edge was last acknowledged (µs UTC); 0 where it never was or does not answer."""
    return {
        edge: int(((health or {}).get("link") or {}).get("last_ack") or 0)
        for edge, health in moment.edges.items()
    }


def _edges(moment: Moment, group: str, name: str) -> int:
    return sum(_number(health, group, name) for health in moment.edges.values())


def _cloud(moment: Moment, group: str, name: str) -> int:
    return _number(moment.cloud, group, name)


def _number(health: Mapping[str, Any] | None, group: str, name: str) -> int:
    if health is None:
        raise ValueError(f"no {group}.{name}: a part does not answer")
    return int(health[group][name])
