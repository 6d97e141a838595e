"""What the page says of models and of the lives they tell, in both languages, on a real database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection

from cloud.config import CloudConfig, load_site
from cloud.maintenance import cases
from cloud.maintenance.case import Case
from cloud.maintenance.desk import CaseDesk, NoModels
from cloud.maintenance.rul import lives, registry
from cloud.maintenance.rul.foresight import by_model
from cloud.maintenance.rul.holdings import HoldingEffects
from cloud.maintenance.rul.lives import Kept, LifeState, RemainingLife
from cloud.maintenance.rul.registry import DriftKind
from cloud.store.database import Database
from cloud.web import sheets
from cloud.web.sheet import Sheet, Table
from cloud.web.speech import CHINA, ENGLISH, Speech
from protocols.clock import Clock
from protocols.lifecycles import CaseState
from protocols.prognostics import model_file
from protocols.prognostics.deployment import NOBODY_TRUSTED
from protocols.prognostics.lifeline import Lifeline
from protocols.prognostics.model import Prognoser
from protocols.prognostics.rows import Row
from protocols.states import ModelHeld, ModelsHeld
from tests.cloud.api.service import SITE
from tests.cloud.maintenance.rul import signed

NOW = 1_790_000_000_000_000
HOUR = 3_600_000_000
PLANT = load_site(CloudConfig(site=SITE))
LASER = PLANT.devices()["laser-1"]
ASSET = str(LASER.asset)
LIFE = RemainingLife(
    ASSET, "laser-1", "one", "spindle", "cycles", 125.0, 0.9, signed.BY_CYCLE, 0, 11, NOW, NOW, 40.0, 31.5,
    58.0, LifeState.SCORED,
)  # fmt: skip
CASE = Case("c1", ASSET, "laser-1", "wear", CaseState.OPEN, NOW, NOW, 41.0, "it shakes", ())


def filled(tx: Connection) -> None:
    """A retired model, the active one, one in shadow; rows of a machine, what is shown of it, a case."""
    for number, name in enumerate(("old", "one", "next"), 1):
        model = signed.model(number)
        data = model_file.write(model, signed.KEY)
        scope = LASER.profile if name != "next" else ASSET
        registry.register(tx, name, scope, model, data, NOW - (9 - number) * HOUR, "ann")
        registry.shadow(tx, name, NOW - (8 - number) * HOUR, "ann")
        if name != "next":
            registry.activate(tx, name, NOW - (7 - number) * HOUR, "ann", "tried on file")
    registry.compare(tx, "next", [2.0] * 40)
    line = Lifeline(Prognoser(signed.model(2)))
    for n in range(11):
        line.take(Row(NOW + (n - 10) * HOUR, (1000.0, 1.0 + n / 10, 50.0, 5.0), 0, float(n)))
    lives.keep(tx, [Kept(ASSET, "one", 0, line.stretch)])
    lives.show(tx, [LIFE])
    cases.open_case(tx, CASE)


def desk() -> CaseDesk:
    clock = Clock(wall_ns=lambda: NOW * 1000, elapsed_ns=lambda: 0)
    known = NoModels({"one": Prognoser(signed.model(2))}, {"next": "model next: signed by key 1f2e"})
    return CaseDesk(
        PLANT, clock, lambda _tx, _cell: (), lambda _tx, _case: None, foresights=(by_model(),), models=known
    )


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path}/cloud.db") as made:
        made.create_all()
        made.write(filled).result()
        yield made


def shown(database: Database, address: str, say: Speech = ENGLISH) -> Sheet:
    with database.read() as tx:
        return sheets.read(tx, PLANT, NOW, address, say, desk=desk())


def table(sheet: Sheet, heading: str) -> Table:
    return next(one for one in sheet.tables if one.heading == heading)


def test_the_lives_of_the_machines_stand_beside_the_cases(database: Database) -> None:
    sheet = shown(database, "risk")
    life = table(sheet, "Remaining life of the machines").rows[0]
    assert life.cells[:3] == ("laser-1", "40 cycles, 32 to 58", "32 – 58")
    assert "–" in life.cells[3]
    assert life.opens == "model:one"
    models = {row.opens: row.cells for row in table(sheet, "Models of remaining life").rows}
    assert models["model:one"][:4] == ("spindle", LASER.profile, "active", "9.5 h")
    assert models["model:next"][1:3] == ("laser-1", "shadow 40/100")


def test_beyond_the_horizon_and_frozen_are_said(database: Database) -> None:
    beyond = replace(LIFE, upper=None, life=120.0, lower=95.0)
    frozen = replace(LIFE, state=LifeState.FROZEN, says="the model does not know this regime")
    for life, words in (
        (beyond, "more than 95 cycles"),
        (frozen, "40 cycles, 32 to 58 · frozen: the model does not know this regime"),
    ):
        database.write(lambda tx, life=life: lives.show(tx, [life])).result()  # type: ignore[misc]
        assert table(shown(database, "risk"), "Remaining life of the machines").rows[0].cells[1] == words
    chinese = table(shown(database, "risk", CHINA), "Remaining life of the machines").rows[0].cells[1]
    assert chinese == "40 cycles（32 至 58） · 已冻结: 模型不认识当前工况"


def test_a_model_says_what_it_was_trained_on_how_it_did_and_who_decided(database: Database) -> None:
    sheet = shown(database, "model:one")
    text = "\n".join(sheet.lines)
    assert sheet.title == "Model spindle"
    assert "12 run-to-failures, 3000 rows" in text
    assert "error 9.5 h (RMSE, up to 125 h), 90.0% within the 90% interval, 28.0 h wide" in text
    assert "a row for every new cycle" in text
    assert "SHA-256 " in text
    assert "no drift found" in text
    journal = table(sheet, "Journal").rows
    assert [row.cells[1:] for row in journal] == [
        ("ann", "taken into use", "tried on file"),
        ("ann", "put in shadow", ""),
        ("ann", "brought in", ""),
    ]
    assert [name for name, _ in sheet.acts] == ["retire", "roll back"]
    assert {name for name, _ in shown(database, "model:old").acts} == {"shadow"}


def test_a_shadow_shows_how_far_it_is_apart_and_why_a_model_is_not_used(database: Database) -> None:
    sheet = shown(database, "model:next")
    text = "\n".join(sheet.lines)
    assert "40 of 100 scores in shadow, on average 2.0 h from the model in use" in text
    assert "▲ not used: model next: signed by key 1f2e" in text
    assert {name for name, _ in sheet.acts} == {"activate", "retire"}
    assert "影子评分 40/100" in "\n".join(shown(database, "model:next", CHINA).lines)


def test_drift_is_shown(database: Database) -> None:
    words = "vibration is spread otherwise"
    database.write(lambda tx: registry.drifted(tx, "one", DriftKind.SIGNALS, words, NOW)).result()
    assert words in "\n".join(shown(database, "model:one").lines)
    row = next(
        r for r in table(shown(database, "risk"), "Models of remaining life").rows if r.opens == "model:one"
    )
    assert row.late
    assert row.cells[5] == f"▲ {words}"


def test_a_case_tells_its_life_and_what_the_model_goes_by(database: Database) -> None:
    sheet = shown(database, "case:c1")
    assert "model spindle: 40 cycles, 32 to 58" in sheet.lines
    assert any(line.startswith("remaining life: 32 to 58 operating hours") for line in sheet.lines)
    assert "bound: lower end of the remaining life, less a margin" in sheet.lines
    rows = table(sheet, "What the model goes by, in spreads of the regime").rows
    assert len(rows) == 3
    assert {row.cells[0] for row in rows} == {"laser-1/vibration", "laser-1/temperature", "laser-1/current"}
    assert rows[0].cells[1].endswith(" cycles")


def test_without_a_model_nothing_is_said(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path}/empty.db") as made:
        made.create_all()
        assert all("life" not in one.heading for one in shown(made, "risk").tables)
        assert shown(made, "model:nine").lines == ("there is no such model",)


def test_which_edges_have_a_model_and_why_one_refuses_it_stands_on_its_sheet(database: Database) -> None:
    one, old = (model_file.identity(model_file.write(signed.model(n), signed.KEY)) for n in (2, 1))
    held = ModelsHeld(
        NOW,
        "1",
        (
            ModelHeld("laser-1", one, NOW),
            ModelHeld("laser-2", one, file=True),
            ModelHeld("laser-3", old, NOW, refused=one, why=NOBODY_TRUSTED),
        ),
    )
    database.write(lambda tx: HoldingEffects().states(tx, "cutting", [held], NOW)).result()
    rows = table(shown(database, "model:one"), "At edges").rows
    assert [row.cells[:2] for row in rows] == [("cutting", f"laser-{n}") for n in (1, 2, 3)]
    assert rows[0].cells[2].startswith("used since ")
    assert rows[1].cells[2] == "used: edge.yaml names it"
    assert rows[2].cells[2].startswith("▲ refused, it goes on with spindle: no key is trusted")
    assert [row.late for row in rows] == [False, False, True]
    chinese = table(shown(database, "model:one", CHINA), "At edges").rows
    assert chinese[2].cells[2].startswith("▲ 已拒绝，继续使用 spindle：此边缘端没有受信任的公钥")
