"""Quality in a real browser: a lot on hold is seen, its chart looked at, its disposition given."""

from __future__ import annotations

import random
from typing import Any

from sqlalchemy import Connection

from cloud.hub import QualityChanged
from cloud.orders.requests import OrderRequest
from cloud.quality import nonconformances
from cloud.quality.effects import QualityEffects
from protocols import actions as act
from tests.cloud.api.service import Door
from tests.cloud.api.test_quality import FLANGE

WAIT = 15_000
JOB = "26-q001-1"


async def measured_flanges(door: Door) -> None:
    """Twenty-four flanges of an order, and one that does not conform, reported by a person."""
    lines = [{"product": "cabinet", "quantity": 2, "parameters": {}}]
    order = OrderRequest.model_validate({"id": "26-q001", "due": "2099-01-01T12:00:00Z", "lines": lines})
    await door.context.database.run(lambda tx: door.context.desk.create(tx, order))
    rng, now, bend = random.Random(2), door.context.clock.now(), f"{JOB}-20"
    values = [rng.gauss(25, 0.05) for _ in range(23)] + [25.24]
    actions = [
        act.Action(f"q{n}", now + n, "brake-1", "op-7", act.StepDone("r", bend, FLANGE, f"{v:.3f}"))
        for n, v in enumerate(values)
    ]

    def write(tx: Connection) -> None:
        QualityEffects().actions(tx, "machining", actions, now)
        nonconformances.open_one(
            tx,
            source="seen",
            operation_id=bend,
            workcell="brake-1",
            text=("Scratches on the door", "柜门划伤"),
            actor="sup-1",
            now=now,
        )

    await door.context.database.run(write)
    door.context.hub.publish(QualityChanged(1))


async def a_lot_on_hold_is_decided(door: Door, view: Any) -> None:
    """From the need to the disposition, and from the chart to its frozen limits."""
    await measured_flanges(door)
    need = view.locator(".need", has_text=f"Job {JOB} is on hold")
    await need.locator("text=Scratches on the door").wait_for(timeout=WAIT)
    await need.locator("button").click()
    form = view.locator(".case-form")
    await form.locator("text=What is done with the pieces").wait_for(timeout=WAIT)
    await form.locator('button:has-text("ok")').click()
    await form.locator("text=give a reason").wait_for(timeout=WAIT)
    await form.locator("input[maxlength]").fill("polish them")
    await form.locator(".q-select").click()
    await view.locator(".q-menu >> text=rework").click()
    await form.locator('button:has-text("ok")').click()
    await view.locator(".need", has_text="rework is not reported done").wait_for(timeout=WAIT)

    ready = view.locator(".need", has_text="Flange has 24 points")
    await ready.locator(".fill").click()
    sheet = view.locator(".sheet")
    await sheet.locator('svg:has-text("UCL")').wait_for(timeout=WAIT)
    await sheet.locator("text=beyond 3 sigma").first.wait_for(timeout=WAIT)
    await sheet.locator("text=95 % intervals").wait_for(timeout=WAIT)
    await sheet.locator('button:has-text("freeze the limits")').click()
    await form.locator("input[maxlength]").fill("24 points, one cause found")
    await form.locator('button:has-text("ok")').click()
    await sheet.locator("text=limits: version 1").wait_for(timeout=WAIT)
    await view.locator('[aria-label="close this"]:visible').last.click()
    await ready.wait_for(state="detached", timeout=WAIT)
