"""The demo's pure parts: a shortened site that is still valid, possible orders, an honest account."""

from __future__ import annotations

import itertools
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cloud.config import load_config
from cloud.demo import report
from cloud.demo.demand import orders
from cloud.demo.layout import FIRMWARE_CONFIGS, lay_out
from cloud.demo.probe import Moment
from cloud.orders.products import Product
from cloud.orders.requests import OrderRequest
from cloud.processes import Part, PartFailedError
from protocols.documents import load
from protocols.site import Site


def test_speed_divides_durations_in_a_copy_that_is_still_valid(tmp_path: Path) -> None:
    source = FIRMWARE_CONFIGS / "sites/demo"
    layout = lay_out(tmp_path, speed=60)
    site = load(layout.site, Site)
    for name in site.products:
        slow, fast = load(source / name, Product), load(layout.site.parent / name, Product)
        for before, after in zip(slow.operations, fast.operations, strict=True):
            assert float(after.seconds_per_piece) == pytest.approx(
                float(before.seconds_per_piece) / 60, abs=0.001
            )
            if before.wait is not None and after.wait is not None:
                assert after.wait.at_least == round(before.wait.at_least / 60)
    assert site.workcells()["coat-1"].changeover["colour"] == 15
    assert (site.transport.vehicles, site.transport.default) == (("agv-1", "agv-2"), 1)
    assert load_config(layout.cloud).site == layout.site
    assert len({*layout.api_ports.values(), layout.broker_port, layout.http_port, layout.panel_port}) == 6


def test_every_machine_of_a_demo_has_an_address_of_its_own(tmp_path: Path) -> None:
    devices = load(lay_out(tmp_path, speed=60).site, Site).devices()
    assert len(devices) >= 14
    assert len({device.url for device in devices.values()}) == len(devices)


def test_customers_order_what_can_be_made() -> None:
    folder = FIRMWARE_CONFIGS / "sites/demo"
    products = {
        p.id: p for p in (load(folder / n, Product) for n in load(folder / "site.yaml", Site).products)
    }
    now = datetime(2026, 11, 23, tzinfo=UTC)
    asked = list(itertools.islice(orders(products, 7, now=now, span=timedelta(hours=1)), 200))

    for order in asked:
        request = OrderRequest.model_validate(order)
        for line in request.lines:
            for name, value in line.parameters.items():
                assert products[line.product].parameters[name].problem(value) is None
    again = list(itertools.islice(orders(products, 7, now=now, span=timedelta(hours=1)), 200))
    assert [o["lines"] for o in asked] == [o["lines"] for o in again]


def moment(committed: int, queued: int, ledgered: int, dropped: int) -> Moment:
    samples = {"committed": committed, "dropped": 99, "queued": queued}
    edge: dict[str, Any] = {"samples": samples, "actions": {"accepted": 3, "queued": 0}, "rss_mb": 100.0}
    cloud = {"samples": {"ledgered": ledgered, "dropped": dropped}, "actions": {"ledgered": 3}}
    return Moment({"a": edge, "b": edge}, cloud)


def test_the_account_adds_up() -> None:
    """What an edge gave up and the ledger has all the same was not dropped: the cloud's count counts."""
    account = report.samples(moment(committed=100, queued=15, ledgered=150, dropped=10))

    assert (account.collected, account.dropped, account.queued, account.lost) == (200, 10, 30, 10)


def test_a_part_that_does_not_answer_is_no_zero() -> None:
    with pytest.raises(ValueError, match="does not answer"):
        report.samples(Moment({"a": None}, {}))


def test_a_part_that_ends_by_itself_is_named_with_its_log(tmp_path: Path) -> None:
    part = Part(
        "broken",
        [sys.executable, "-c", "print('no such file'); raise SystemExit(3)"],
        tmp_path / "log",
        lambda: False,
    )
    part.start()
    with pytest.raises(PartFailedError, match=r"(?s)broken ended with code 3.*no such file"):
        part.wait_ready(30)


def test_a_part_that_never_gets_ready_is_named(tmp_path: Path) -> None:
    part = Part("slow", [sys.executable, "-c", "input()"], tmp_path / "log", lambda: False)
    part.start()
    try:
        with pytest.raises(PartFailedError, match="slow"):
            part.wait_ready(random.uniform(0.1, 0.2))
    finally:
        part.stop()
