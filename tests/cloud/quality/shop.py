"""A small shop whose bending operation has an inspection plan, and what its edges say."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import Connection

from cloud.hub import Hub
from cloud.orders.articles import import_products
from cloud.orders.effects import OrderEffects
from cloud.orders.products import Product
from cloud.quality.effects import QualityEffects
from cloud.store.database import Database
from protocols import actions as act
from protocols.documents import loads
from tests.cloud.orders.shop import NOW_US, Floor, order, order_desk

BRACKET = """
id: bracket
title: Bracket
title_zh: 支架
parameters:
  depth: {type: integer, title: Depth, min: 100, max: 700, default: 400, unit: MMT}
operations:
  - id: cut
    title: Cut
    kind: laser
    seconds_per_piece: 60
  - id: bend
    title: Bend
    kind: brake
    after: [cut]
    seconds_per_piece: 60
    steps:
      - {kind: confirm, title: Set the tool}
      - {kind: measure, title: Measure the flange, characteristic: flange}
    inspection:
      - name: flange
        title: Flange
        title_zh: 折边
        nominal: 25
        lower: 24.7
        upper: 25.3
        unit: MMT
        frequency: every 2
        gauge: Caliper 150
        chart: i-mr
        on_violation: hold
      - name: leg
        title: Leg
        title_zh: 腿长
        nominal: depth
        lower: depth - 0.5
        upper: depth + 0.5
        unit: MMT
        chart: dnom
      - name: force
        title: Bending force
        title_zh: 折弯力
        upper: 900
        chart: ewma
        target: 800
        sigma: 20
        tag: load
  - id: weld
    title: Weld
    kind: weld
    after: [bend]
    seconds_per_piece: 60
  - id: pack
    title: Pack
    kind: pack
    after: [weld]
    seconds_per_piece: 60
"""


def bracket(text: str = BRACKET) -> Product:
    """The product of a text."""
    return loads(text, Product, "bracket.yaml")


class QualityFloor(Floor):
    """A floor whose ledger also charts."""

    def __init__(self, database: Database, hub: Hub | None = None) -> None:
        super().__init__(database)
        self.quality = QualityEffects(hub)
        self.runs = 0

    def ledger(self, edge: str, actions: list[act.Action]) -> None:
        """Ledger a batch of an edge, with all effects."""
        received = actions[-1].ts + 1

        def work(tx: Connection) -> None:
            OrderEffects().actions(tx, edge, actions, received)
            self.quality.actions(tx, edge, actions, received)

        self.database.write(work).result()

    def opens(self, operation: str, workcell: str = "brake-1") -> str:
        """Begin a run of an operation; its id."""
        self.runs += 1
        run = f"run-{self.runs}"
        self.says(workcell, act.RunOpened(run, (act.RunPart(operation, Decimal(4)),)))
        return run

    def measures(self, run: str, operation: str, *values: float, step: int = 1) -> list[act.Action]:
        """Enter measurements at the brake."""
        events = [act.StepDone(run, operation, step, f"{value:g}", True) for value in values]
        return self.says("brake-1", *events)


def quality_floor(
    database: Database, *depths: int, hub: Hub | None = None, text: str = BRACKET
) -> QualityFloor:
    """A floor with an order of four brackets of each depth: jobs q-1-1, q-1-2 …"""
    database.write(lambda tx: import_products(tx, [bracket(text)], NOW_US)).result()
    request = order(*[("bracket", 4, {"depth": depth}) for depth in depths], id="q-1")
    desk = order_desk()
    database.write(lambda tx: desk.create(tx, request, "office")).result()
    return QualityFloor(database, hub)
