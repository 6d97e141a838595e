"""A station with work, for tests of the workcell and everything on top of it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from edge.station.lease import receive
from edge.station.workcell import Place, Surroundings, Workcell
from protocols.jobs import JobList, JobOperation, Predecessor, Step, StepKind, Text

T0 = 1_700_000_000_000_000
SECOND = 1_000_000

STEPS = (
    Step(StepKind.INFO, Text("Mount upper tool", "安装上模"), Text("R1.0 / 88°", "R1.0 / 88°")),
    Step(StepKind.SCAN, Text("Scan the tool", "扫描刀具"), Text("Upper tool", "上模"), expected="TOOL-88"),
    Step(
        StepKind.MEASURE,
        Text("Measure flange", "测量翻边"),
        Text("Outside, caliper", "外侧，卡尺"),
        nominal=Decimal("25.0"),
        lower=Decimal("24.7"),
        upper=Decimal("25.3"),
        unit="MMT",
    ),
    Step(StepKind.CONFIRM, Text("Deburr edges", "去毛刺"), Text("All four", "四边")),
)


def operation(
    key: str = "op-1",
    *,
    workcell: str = "brake-1",
    quantity: int | str = 4,
    steps: Sequence[Step] = (),
    predecessors: Sequence[Predecessor] = (),
    setup: dict[str, str] | None = None,
    group: str = "",
    position: int = 20,
    good: int = 0,
    scrap: int = 0,
    unit: str = "C62",
    planned_start: int = T0,
) -> JobOperation:
    """An operation as a job list brings it."""
    return JobOperation(
        id=key,
        order="24-1187",
        job=f"A-{key}",
        line=2,
        title=Text("Bend side panels", "折弯侧板"),
        product=Text("Cabinet M · 612×1980×420 · RAL 5010", "机柜 M · 612×1980×420 · RAL 5010"),
        variant={"width": "612", "height": "1980", "depth": "420", "colour": "RAL 5010"},
        workcell=workcell,
        position=position,
        quantity=Decimal(quantity),
        unit=unit,
        good=Decimal(good),
        scrap=Decimal(scrap),
        state="leased",
        planned_start=planned_start,
        planned_end=planned_start + 600 * SECOND,
        due=T0 + 86_400 * SECOND,
        setup=setup or {},
        steps=tuple(steps),
        predecessors=tuple(predecessors),
        group=group,
        program="SIDE_M_612",
        setup_seconds=60,
        run_seconds=120,
    )


def predecessor(
    key: str = "op-0",
    *,
    edge: str = "other",
    finished: bool = False,
    workcell: str = "laser-1",
    lag: int = 0,
    fit_at: int = 0,
) -> Predecessor:
    return Predecessor(key, workcell, edge, finished, Text("Cut panels", "切割板材"), lag, fit_at)


def job_list(*operations: JobOperation, version: int = 1, edge: str = "machining") -> JobList:
    return JobList(edge, version, T0, tuple(operations))


PLACE = Place(
    id="brake-1",
    edge="machining",
    title=Text("Press brake 1", "折弯机 1"),
    kind="brake",
    capacity=3,
    stop_reasons={"material": Text("No material", "缺料"), "tool": Text("Tool change", "换刀")},
    scrap_reasons={"dented": Text("Dented", "凹痕"), "wrong-size": Text("Wrong size", "尺寸不符")},
    andon_topics={"quality": Text("Quality", "质量"), "material": Text("Material", "物料")},
)


def station(*operations: JobOperation, version: int = 1) -> Workcell:
    """A station whose queue has these operations."""
    return receive(Workcell(PLACE), job_list(*operations, version=version))


def around(seconds: float = 0, **changes: object) -> Surroundings:
    """The surroundings ``seconds`` after T0."""
    return Surroundings(now=T0 + int(seconds * SECOND), **changes)  # type: ignore[arg-type]
