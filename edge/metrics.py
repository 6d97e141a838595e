"""Prometheus metrics of an edge, read from what the parts count anyway when somebody asks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector as Source

from edge.outbox.outbox import Outbox
from edge.recorder import Recorder
from edge.uplink import Uplink

if TYPE_CHECKING:
    from edge.collector import Collector


def resident_bytes() -> int:
    """Memory this process holds; 0 where the system does not tell."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    try:
        import psutil  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return 0
    return int(psutil.Process().memory_info().rss)


class EdgeMetrics(Source):
    """The figures of one edge as Prometheus metrics; :meth:`text` is the exposition."""

    def __init__(
        self, outbox: Outbox, recorder: Recorder, uplink: Uplink, collectors: Iterable[Collector]
    ) -> None:
        self._outbox, self._recorder, self._uplink = outbox, recorder, uplink
        self._collectors = collectors
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """Text format 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        yield from self._outbox_metrics()
        yield from self._link_metrics()
        yield from self._device_metrics()
        yield _gauge("onelot_resident_memory_bytes", "Memory of the agent", resident_bytes())

    def _outbox_metrics(self) -> Iterator[Metric]:
        stats = self._outbox.recent
        if stats is None:
            return
        yield _count("onelot_samples_committed", "Samples put on disk, ever", stats.committed)
        yield _count("onelot_samples_acked", "Samples the ledger confirmed, ever", stats.acked)
        yield _count("onelot_samples_dropped", "Samples given up with a tombstone, ever", stats.dropped)
        yield _count("onelot_actions_accepted", "Actions put on disk, ever", stats.accepted)
        yield _count("onelot_actions_acked", "Actions the ledger confirmed, ever", stats.delivered)
        yield _count("onelot_commits", "Commits of samples and events", self._recorder.commits)
        batches = GaugeMetricFamily("onelot_outbox_batches", "Batches that wait", labels=["lane"])
        items = GaugeMetricFamily(
            "onelot_outbox_items", "Samples, actions, events that wait", labels=["lane"]
        )
        size = GaugeMetricFamily("onelot_outbox_bytes", "Bytes of blobs that wait", labels=["lane"])
        oldest = GaugeMetricFamily("onelot_outbox_oldest_seconds", "Age of the oldest item", labels=["lane"])
        now = self._outbox.clock.now()
        for lane, waiting in stats.lanes.items():
            batches.add_metric([lane], waiting.batches)
            items.add_metric([lane], waiting.items)
            size.add_metric([lane], waiting.bytes)
            oldest.add_metric([lane], (now - waiting.oldest) / 1e6 if waiting.oldest else 0.0)
        yield from (batches, items, size, oldest)

    def _link_metrics(self) -> Iterator[Metric]:
        status, stats = self._uplink.status, self._uplink.stats
        yield _gauge("onelot_broker_connected", "1 while the broker is reached", status.online)
        yield _gauge("onelot_cloud_answers", "1 while the service answers", status.cloud)
        yield _gauge("onelot_batches_under_way", "Batches sent, not yet confirmed", self._uplink.under_way)
        yield _count("onelot_batches_sent", "Batches sent since the start, repeats too", stats.sent_batches)
        yield _count("onelot_sent_bytes", "Bytes of them", stats.sent_bytes)
        yield _count("onelot_broker_connects", "Connections to the broker since the start", stats.connects)
        yield _count("onelot_undecodable_messages", "Messages nobody could read", stats.undecodable)
        yield _count("onelot_link_alarms", "Forks and rejections", stats.alarms)

    def _device_metrics(self) -> Iterator[Metric]:
        connected = GaugeMetricFamily(
            "onelot_device_connected", "1 while the device is connected", labels=["device"]
        )
        age = GaugeMetricFamily(
            "onelot_device_read_age_seconds", "Time since the last confirmed read", labels=["device"]
        )
        readings = CounterMetricFamily(
            "onelot_device_readings", "Readings the driver delivered", labels=["device"]
        )
        losses = CounterMetricFamily("onelot_device_losses", "Times the device was lost", labels=["device"])
        now = self._outbox.clock.now()
        for collector in self._collectors:
            label = [collector.device.id]
            connected.add_metric(label, collector.connected)
            if collector.last_read:
                age.add_metric(label, (now - collector.last_read) / 1e6)
            readings.add_metric(label, collector.readings)
            losses.add_metric(label, collector.losses)
        yield from (connected, age, readings, losses)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _count(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)
