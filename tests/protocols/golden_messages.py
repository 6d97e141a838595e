"""One message of every kind that travels, and where its bytes are kept.

``python -m tests.protocols.golden_messages`` writes the files that are missing; it never changes one that is
there, for on some shop floor an edge is sending just these bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from protocols import actions, jobs, session, states, telemetry
from protocols.catalogue import Catalogue, TagDefinition, catalogue
from protocols.lanes import Lane
from protocols.packing import pack, unpack
from protocols.prognostics import deployment
from protocols.session import Bounds, Ranges
from protocols.values import DataType, Quality, Reason, Sample

FOLDER = Path(__file__).parents[1] / "golden" / "wire"

TS = 1_760_000_000_000_000
STREAM = bytes(range(16))
OTHER = bytes(range(16, 32))
DIGEST = bytes(range(32, 48))
HASH = bytes(range(48, 64))
ASSET = "b6de0459-4908-58bd-8e73-62fe1e58a6ee"

CATALOGUE: Catalogue = catalogue(
    "machining",
    [
        TagDefinition(2, "laser-1/power", DataType.FLOAT32, "kW", "power", "laser-1", 60.0),
        TagDefinition(1, "laser-1/counter", DataType.UINT32, device="laser-1", role="counter"),
    ],
)

SAMPLES = [
    Sample(1, TS, 41),
    Sample(2, TS, 2.5),
    Sample(1, TS + 1_000_000, 42),
    Sample(2, TS + 1_000_000, None, Quality.BAD, Reason.TIMEOUT),
    Sample(3, TS + 1_000_001, True, Quality.UNCERTAIN, Reason.CLOCK_UNCERTAIN),
    Sample(4, TS + 1_000_000, "AlMg3"),
]

EVENTS: list[actions.Event] = [
    actions.RunOpened("run-1", (actions.RunPart("op-1", Decimal("4")),), True, ("op-0",)),
    actions.FirstPieceReleased("run-1"),
    actions.RunStarted("run-1"),
    actions.RunPaused("run-1", "material"),
    actions.RunResumed("run-1"),
    actions.Booked("run-1", "op-1", Decimal("3.5"), Decimal("0.5"), Decimal("0"), "scratch"),
    actions.RunCompleted("run-1", ("op-1",)),
    actions.RunAborted("run-2", "wrong sheet"),
    actions.RunReopened("run-1"),
    actions.StepDone("run-1", "op-1", 3, "25.1", ok=True),
    actions.StopReasoned("stop-1", "tool", "blunt"),
    actions.AndonRaised("andon-1", "quality", "come"),
    actions.AndonCleared("andon-1"),
    actions.LeaseReleased("request-1", ("op-2",)),
    actions.LeaseKept("request-1", ("op-3",)),
    actions.UnassignedOpened("run-3"),
    actions.UnassignedClosed("run-3", 7),
    actions.ShiftNote("早班交接"),
    actions.Undone("action-1"),
]

CONTROL: list[actions.Event] = [
    actions.MachineLocked("laser-1", "lens change"),
    actions.LockReleased("laser-1"),
    actions.LockReleased("laser-1", "p-9"),
    actions.MachineAccepted("laser-1"),
    actions.FirmwareAccepted("laser-1", "3.2.0"),
    actions.MachineCommanded("cmd-1", "laser-1", "write", "setpoint", "12.5", "parameter", TS + 30_000_000),
    actions.MachineCommanded("cmd-2", "laser-1", "call", "start", '{"job":"7"}', "start", TS, "p-9"),
    actions.MachineCommandEnded("cmd-1", "laser-1", "done", "read back 12.5"),
]
"""Came later than :data:`EVENTS`, whose bytes stay what they were."""

MAINTENANCE: list[actions.Event] = [
    actions.MaintenanceStarted("case-1", "laser-1"),
    actions.MaintenanceFound("case-1", "laser-1", "inner race pitted"),
    actions.MaintenanceBrokenOff("case-1", "laser-1", "the bearing is not here"),
    actions.MaintenanceDone("case-1", "laser-1"),
    actions.MaintenanceRefused("case-1", "laser-1", "rush order first"),
    actions.MaintenanceKept("case-1", "laser-1", TS + 60_000_000),
]

MOVES: list[actions.Event] = [
    actions.MaintenanceMoved("case-1", "laser-1", TS + 60_000_000, "the fitter comes then"),
]

HOLDS: list[actions.Event] = [
    actions.LotHeld(
        "op-1", "flange", "action-7", "Flange 25.42 mm: above the tolerance", "折边 25.42 mm：超差"
    ),
    actions.LotReleased("op-2", "action-7", "use as is", "measured again: 25.1"),
]

STATES: list[states.Event] = [
    states.MachineStateChanged(
        TS, "laser-1", states.ItemState.EXECUTING, states.OperationMode.PROCESSING, "AUTO"
    ),
    states.StopOpened(TS, "stop-1", "laser-1", "laser-1", "door"),
    states.StopClosed(TS, "stop-1"),
    states.AlarmChanged(TS, "laser-1", "E42", True, "gas pressure"),
    states.DeviceHeartbeat(TS, "laser-1", True, TS - 5, "12 tags"),
    states.CatalogueAnnounced(CATALOGUE.content_hash(), CATALOGUE),
    states.Dropped(STREAM, "telemetry", 3, 9, TS, TS + 5, 700, {1: 350, 2: 350}, HASH, "disk full"),
    states.JobsApplied(TS, 12),
    states.ConfigApplied(TS, {"site": "abc"}),
    states.Notice(TS, "error", "link.fork", "batch 1 is another one in the ledger"),
]

MODELS: list[states.Event] = [
    states.ModelsHeld(
        TS,
        "0123456789abcdef",
        (
            states.ModelHeld("laser-1", "ab" * 32, TS - 5, life=TS - 9),
            states.ModelHeld("laser-2", "ef" * 32, 0, True, "cd" * 32, "not signed"),
            states.ModelHeld("laser-3"),
        ),
        ("cd" * 32,),
    )
]
"""Came later than :data:`STATES`."""

JOB_LIST = jobs.JobList(
    "machining",
    12,
    TS,
    (
        jobs.JobOperation(
            id="op-1",
            order="24-1187",
            job="24-1187-2",
            line=2,
            title=jobs.Text("Bend side panels", "折弯侧板"),
            product=jobs.Text("Cabinet M", "柜体 M"),
            variant={"width": "612"},
            workcell="brake-1",
            position=1,
            quantity=Decimal("4"),
            unit="C62",
            good=Decimal("1"),
            scrap=Decimal("0"),
            state="leased",
            planned_start=TS,
            planned_end=TS + 60_000_000,
            due=TS + 86_400_000_000,
            setup={"tool": "R1.0/88"},
            steps=(
                jobs.Step(
                    jobs.StepKind.MEASURE,
                    jobs.Text("Measure flange", "测量折边"),
                    jobs.Text("Use the caliper", "使用卡尺"),
                    Decimal("25.0"),
                    Decimal("24.7"),
                    Decimal("25.3"),
                    "MMT",
                ),
                jobs.Step(jobs.StepKind.SCAN, jobs.Text("Tool", "模具"), jobs.Text("", ""), expected="R1-88"),
            ),
            predecessors=(jobs.Predecessor("op-0", "laser-1", "machining", True, jobs.Text("Cut", "切割")),),
            group="nest-7",
            program="side-612",
            setup_seconds=120,
            run_seconds=240,
            remake_of="op-9",
        ),
    ),
)


class Golden(NamedTuple):
    """A message, how it is written and read, and whether its bytes are a compressed blob."""

    message: Any
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], object]
    packed: bool

    def payload(self, data: bytes) -> bytes:
        """What must never change. Compression may: another release of zstd may write other bytes."""
        return unpack(data) if self.packed else data


def _action(number: int, event: actions.Event) -> actions.Action:
    return actions.Action(f"action-{number}", TS + number, "brake-1", "p-7", event, uncertain=number == 2)


def _up(message: session.UpMessage, decode: Callable[[bytes], object]) -> Golden:
    return Golden(message, session.encode, decode, packed=False)


def _down(message: session.DownMessage) -> Golden:
    return Golden(message, session.encode, session.decode_down, packed=False)


GOLDEN: dict[str, Golden] = {
    "packing": Golden(b"payload", pack, unpack, packed=True),
    "telemetry": Golden(telemetry.columns(HASH, SAMPLES), telemetry.encode, telemetry.decode, packed=True),
    "actions": Golden(
        [_action(number, event) for number, event in enumerate(EVENTS, 1)],
        actions.encode,
        actions.decode,
        packed=True,
    ),
    "control": Golden(
        [_action(number, event) for number, event in enumerate(CONTROL, 1)],
        actions.encode,
        actions.decode,
        packed=True,
    ),
    "maintenance": Golden(
        [_action(number, event) for number, event in enumerate(MAINTENANCE, 1)],
        actions.encode,
        actions.decode,
        packed=True,
    ),
    "moves": Golden(
        [_action(number, event) for number, event in enumerate(MOVES, 1)],
        actions.encode,
        actions.decode,
        packed=True,
    ),
    "holds": Golden(
        [_action(number, event) for number, event in enumerate(HOLDS, 1)],
        actions.encode,
        actions.decode,
        packed=True,
    ),
    "jobs_holds": Golden(
        jobs.JobList("machining", 14, TS, (), holds=("action-7", "report-1"), releases=("action-7",)),
        jobs.encode,
        jobs.decode_jobs,
        packed=True,
    ),
    "states": Golden(STATES, states.encode, states.decode, packed=True),
    "alarms": Golden(
        [
            states.AlarmChanged(TS, "laser-1", "E42", True, "gas pressure", 700),
            states.AlarmChanged(TS + 1, "laser-1", "E42", True, "gas pressure", 700, True),
            states.AlarmChanged(TS + 2, "laser-1", "E42", False, acknowledged=True),
        ],
        states.encode,
        states.decode,
        packed=True,
    ),
    "devices": Golden(
        [
            states.DeviceHeartbeat(TS, "laser-1", True, TS - 5, "", "not its profile's", "3.2.0", 312, 4711),
            states.DeviceHeartbeat(TS + 1, "laser-1", False),
            states.AlarmChanged(TS, "laser-1", "E42", True, "pressure is low", 700, source="gas"),
        ],
        states.encode,
        states.decode,
        packed=True,
    ),
    "jobs": Golden(JOB_LIST, jobs.encode, jobs.decode_jobs, packed=True),
    "jobs_maintenance": Golden(
        jobs.JobList(
            "machining",
            13,
            TS,
            (),
            (
                jobs.MaintenanceOrder(
                    "case-1",
                    "laser-1",
                    "laser-1",
                    jobs.Text("Replace the spindle bearing", "更换主轴轴承"),
                    "vibration is 6 mm/s, normally 2",
                    start=TS,
                    end=TS + 3_600_000_000,
                    earliest=TS,
                    bound=TS + 86_400_000_000,
                    seconds=3600,
                    fixed=True,
                    revision=2,
                    steps=(jobs.Text("Lock and tag the main switch", "锁定并挂牌主开关"),),
                    skills=(jobs.Text("1 fitter", "1 名钳工"),),
                    parts=("bearing 7014",),
                ),
            ),
        ),
        jobs.encode,
        jobs.decode_jobs,
        packed=True,
    ),
    "jobs_sensor": Golden(
        jobs.JobList(
            "machining",
            15,
            TS,
            (),
            (
                jobs.MaintenanceOrder(
                    "case-2",
                    "laser-1",
                    "laser-1",
                    jobs.Text("Exchange the sensor", "更换传感器"),
                    renews=False,
                ),
            ),
        ),
        jobs.encode,
        jobs.decode_jobs,
        packed=True,
    ),
    "models": Golden(
        deployment.deployment(
            "machining",
            (
                deployment.Assigned(
                    "laser-1", ASSET, "model-1", "ab" * 32, 1000, deployment.beginning(b"past", b"row")
                ),
                deployment.Assigned("laser-2", ASSET, "model-2", "cd" * 32, 2000),
            ),
            {"laser-1": TS},
        ),
        deployment.encode,
        deployment.decode,
        packed=True,
    ),
    "models_part": Golden(
        deployment.Part("ab" * 32, 3, 4, b"a piece of a file"),
        deployment.encode,
        deployment.decode,
        packed=True,
    ),
    "models_held": Golden(
        MODELS,
        states.encode,
        states.decode,
        packed=True,
    ),
    "release": Golden(
        jobs.ReleaseRequest("request-1", ("op-2", "op-3"), "rush order"),
        jobs.encode,
        jobs.decode_release,
        packed=True,
    ),
    "hello": _up(
        session.Hello(
            "machining",
            OTHER,
            1,
            (OTHER, STREAM),
            (Bounds(OTHER, Lane.ACTIONS, 3, 9), Bounds(STREAM, Lane.TELEMETRY, 1, 1)),
            {"site": "abc"},
            HASH,
            TS,
        ),
        session.decode_hello,
    ),
    "batch": _up(
        session.Batch(OTHER, STREAM, Lane.TELEMETRY, 7, DIGEST, 6, True, b"blob"), session.decode_batch
    ),
    "welcome": _down(
        session.Welcome(OTHER, 1, (Ranges(STREAM, Lane.STATES, ((2, 3),), DIGEST * 2),), 4_194_304, TS)
    ),
    "rejected": _down(session.Rejected(OTHER, "protocol 2 is not 1: update the cloud")),
    "ack": _down(session.Ack(OTHER, (Ranges(STREAM, Lane.BULK, ((1, 4), (6, 6))),))),
    "fork": _down(session.Fork(OTHER, STREAM, Lane.ACTIONS, 11, DIGEST)),
    "session_unknown": _down(session.SessionUnknown(OTHER)),
}


def read(name: str) -> bytes:
    """Bytes of a golden file: hexadecimal, any line breaks, ``#`` starts a comment."""
    lines = (FOLDER / f"{name}.hex").read_text(encoding="utf-8").splitlines()
    return bytes.fromhex("".join(line.partition("#")[0] for line in lines))


def write_missing() -> list[str]:
    """Write the files that are not there; returns their names."""
    missing = [name for name in GOLDEN if not (FOLDER / f"{name}.hex").exists()]
    for name in missing:
        data = GOLDEN[name].encode(GOLDEN[name].message).hex()
        lines = [data[at : at + 96] for at in range(0, len(data), 96)]
        (FOLDER / f"{name}.hex").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return missing


if __name__ == "__main__":
    print(*write_missing(), sep="\n")
