"""Waveforms: which blocks are here, asking an edge for more, and one of them with its spectra or as a
picture."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from cloud.api.answers import Reply, answers
from cloud.api.problems import ERRORS
from cloud.api.security import In, Supervisor, Viewer
from cloud.context import Context
from cloud.ledger import reading
from cloud.maintenance.waveforms.desk import UnknownWaveformError
from cloud.maintenance.waveforms.store import Question, StoredBlock
from protocols.packing import UndecodableError
from protocols.values import MICROSECONDS
from protocols.waveforms.block import Block
from protocols.waveforms.messages import MAX_BLOCKS

router = APIRouter(prefix="/maintenance/waveforms", tags=["maintenance"])
Device = Annotated[str, Query(max_length=128, description="only this device")]
WavePath = Annotated[str, Query(min_length=3, max_length=256, description="device/tag")]
Time = Annotated[int, Path(ge=0, le=2**53 - 1, description="µs UTC")]
_PICTURE: dict[str, Any] = {"description": "OK", "content": {"image/svg+xml": {}}}
NEAR = 60 * MICROSECONDS
"""µs from the time asked for within which a block that is here counts as the one."""
Near = Annotated[int, Query(ge=0, le=2**53 - 1, description="µs from the time asked for, at most")]


class Waveform(msgspec.Struct, frozen=True):
    """A waveform that an edge takes: ``device/tag``. ``rms`` is the tag id of that number of it, whose
    times in the history are those of the blocks."""

    path: str
    edge: str
    device: str
    unit: str
    role: str
    rms: int


class Waveforms(msgspec.Struct, frozen=True):
    """Waveforms there are, the newest blocks of them that are here, and the newest questions for more."""

    waveforms: list[Waveform]
    blocks: list[StoredBlock]
    questions: list[Question]


class AskForBlocks(BaseModel):
    """Which blocks are wanted: those taken from ``start`` to ``end`` (µs UTC, inclusive; one time twice
    asks for the nearest), the nearest to their middle first, at most ``most``."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=3, max_length=128, pattern=r"^[^/]+/.+$", description="device/tag")
    start: int = Field(ge=0, le=2**53 - 1)
    end: int = Field(ge=0, le=2**53 - 1)
    most: int = Field(default=1, ge=1, le=MAX_BLOCKS)


class Lines(msgspec.Struct, frozen=True):
    """A spectrum: amplitudes in the block's unit at frequencies in Hz."""

    hertz: list[float]
    amplitudes: list[float]


class WaveformBlock(msgspec.Struct, frozen=True):
    """A block with its spectrum, and that of its envelope where the profile names a band (Hz) for it.

    ``ts`` (µs UTC) is the time of the last of the ``samples``, which are in ``unit``, ``rate`` a second.
    ``turns`` of the shaft a second (0: not known); ``marks`` are frequencies in Hz at which a bearing's
    defects show.
    """

    path: str
    ts: int
    unit: str
    rate: float
    regime: str
    turns: float
    band: tuple[float, float] | None
    marks: dict[str, float]
    samples: list[float]
    spectrum: Lines
    envelope: Lines | None


@router.get("", responses=answers(Waveforms))
async def waveforms(
    context: In,
    _: Viewer,
    device: Device = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Reply:
    """What waveforms there are, which blocks are here, and what was asked for."""
    tags = await context.database.query(lambda tx: reading.tags(tx, device=device))
    desk = context.waveforms
    return Reply(
        Waveforms(_taken(tags), await desk.blocks(device, limit), await desk.questions(device, limit))
    )


@router.post("/questions", status_code=202, responses=answers(Question, status=202, description="Asked"))
async def ask(context: In, session: Supervisor, wanted: AskForBlocks) -> Reply:
    """Ask the edge for blocks; it answers when it is connected. The same question again is the same
    question."""
    if wanted.end < wanted.start:
        raise HTTPException(422, f"end {wanted.end} is before start {wanted.start}: exchange them")
    try:
        question = await context.waveforms.ask(
            wanted.path, wanted.start, wanted.end, wanted.most, session.user
        )
    except UnknownWaveformError as error:
        raise HTTPException(404, str(error)) from None
    return Reply(question, status_code=202)


@router.get("/questions/{question}", responses=answers(Question))
async def question(context: In, _: Viewer, question: Annotated[str, Path(max_length=64)]) -> Reply:
    """How far a question is: asked, arriving, here, none (with the reason), lost (with the reason)."""
    found = await context.waveforms.question(question)
    if found is None:
        raise HTTPException(
            404, f"there is no question {question}: POST one to /api/v1/maintenance/waveforms/questions"
        )
    return Reply(found)


@router.get("/blocks/{ts}", responses=answers(WaveformBlock))
async def block(context: In, _: Viewer, ts: Time, path: WavePath, near: Near = NEAR) -> Reply:
    """The block that was taken nearest to a time, with its spectra."""
    return Reply(await asyncio.to_thread(_shown, await _nearest(context, path, ts, near)))


@router.get("/blocks/{ts}/picture", response_class=Response, responses={**ERRORS, 200: _PICTURE})
async def picture(context: In, _: Viewer, ts: Time, path: WavePath, near: Near = NEAR) -> Response:
    """The same as a picture (SVG)."""
    from cloud.maintenance.waveforms.plot import draw

    found = await _nearest(context, path, ts, near)
    return Response(await asyncio.to_thread(draw, found), media_type="image/svg+xml")


async def _nearest(context: Context, path: str, ts: int, near: int) -> Block:
    try:
        found = await context.waveforms.nearest(path, ts)
    except UndecodableError as error:
        raise HTTPException(404, f"the block of {path} is damaged: {error}. Ask for it again") from None
    if found is None or abs(found.ts - ts) > near:
        newest = "" if found is None else f", the nearest one here is of {found.ts}"
        raise HTTPException(
            404,
            f"no block of {path} near {ts} is here{newest}: "
            "ask for it with POST /api/v1/maintenance/waveforms/questions",
        )
    return found


def _taken(tags: list[reading.Tag]) -> list[Waveform]:
    """Waveforms by the numbers that are made of each."""
    by_path = {tag.path: tag for tag in tags}
    found = []
    for path, tag in by_path.items():
        name = path.removesuffix(".rms")
        if name != path and f"{name}.kurtosis" in by_path:
            found.append(Waveform(name, tag.edge, tag.device, tag.unit, tag.role, tag.id))
    return sorted(found, key=lambda waveform: waveform.path)


def _shown(block: Block) -> WaveformBlock:
    from protocols.waveforms.coding import values_of
    from protocols.waveforms.features import envelope, spectrum

    samples = values_of(block)
    hertz, amplitudes = spectrum(samples, block.rate)
    swing = None
    if block.band[1] > 0:
        swung = spectrum(envelope(samples - samples.mean(), block.rate, block.band), block.rate)
        swing = Lines(*(part.tolist() for part in swung))
    return WaveformBlock(
        block.path,
        block.ts,
        block.unit,
        block.rate,
        block.regime,
        block.turns,
        block.band if swing is not None else None,
        block.marks,
        samples.tolist(),
        Lines(hertz.tolist(), amplitudes.tolist()),
        swing,
    )
