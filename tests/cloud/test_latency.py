"""Percentiles over the newest measurements."""

from cloud.latency import KEPT, Latency, Percentiles


def test_percentiles_of_what_was_measured() -> None:
    latency = Latency()
    assert latency.percentiles() == Percentiles()
    for age in range(1, 101):
        latency.measure([1_000_000 - age * 1000], 1_000_000)
    assert latency.percentiles() == Percentiles(100, 51.0, 96.0, 100.0)


def test_a_large_batch_counts_like_a_few_samples_and_the_window_is_bounded() -> None:
    latency = Latency()
    latency.measure(list(range(1000)), 1000)
    assert latency.percentiles().count == 8
    for _ in range(KEPT):
        latency.measure([0], 5000)
    found = latency.percentiles()
    assert (found.count, found.p50, found.p99) == (KEPT, 5.0, 5.0)
