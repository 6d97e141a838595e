"""The sheet of a waveform: the block of a time as a picture, or what there is to say while it is not here.

Its address is ``waveform:`` with ``device/tag`` and a time (µs UTC):
``waveform:laser-1/drive@1790000000000000``. Blocks lie in a file of their own, so this sheet is read beside
the database. No NiceGUI.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import numpy as np

from cloud.context import Context
from cloud.maintenance.waveforms.desk import UnknownWaveformError
from cloud.maintenance.waveforms.plot import draw
from cloud.maintenance.waveforms.store import Asked, Question
from cloud.web.sheet import Sheet, Teller
from cloud.web.speech import ENGLISH, Speech
from protocols.packing import UndecodableError
from protocols.values import MICROSECONDS
from protocols.waveforms.block import Block
from protocols.waveforms.coding import values_of

KIND = "waveform:"
NEAR = 120 * MICROSECONDS
"""µs from the time asked for within which a block counts as the one."""
_ADDRESS = re.compile(r"(?P<path>[^@]+/[^@]+)@(?P<ts>\d{1,16})")
_NUMBER = re.compile(r"(?P<path>[^/]+/.+)\.(rms|peak|crest|kurtosis|band_\d+|envelope(_[a-z0-9]+)?|shaft)")
STATES = {
    Asked.ASKED: "asked: the edge has not answered yet",
    Asked.ARRIVING: "the edge has it: it is on its way",
    Asked.NONE: "the edge does not have it",
    Asked.LOST: "it did not come",
}


def opens(tag: str, ts: int) -> str:
    """The sheet of the waveform that a number was made of; empty for any other tag."""
    found = _NUMBER.fullmatch(tag)
    return f"{KIND}{found['path']}@{ts}" if found is not None else ""


async def read(context: Context, address: str, say: Speech = ENGLISH) -> Sheet:
    """The sheet at an address; one that says so where there is nothing."""
    known = _ADDRESS.fullmatch(address.removeprefix(KIND))
    if known is None:
        return Sheet(say("there is nothing at {address}", address=address))
    path, ts = known["path"], int(known["ts"])
    teller = Teller(context.site, context.clock.now(), say)
    title = say("Waveform of {path}", path=path)
    try:
        block = await context.waveforms.nearest(path, ts)
        if block is not None and abs(block.ts - ts) <= NEAR:
            return await asyncio.to_thread(_shown, teller, title, block)
    except UndecodableError as error:
        return Sheet(title, (say("the block is damaged: {error}", error=error),), acts=(("fetch", address),))
    asked = await context.waveforms.questions(path.partition("/")[0])
    question = next((each for each in asked if (each.path, each.start) == (path, ts)), None)
    is_open = question is not None and question.state.is_open
    return Sheet(title, tuple(_missing(teller, ts, question)), acts=() if is_open else (("fetch", address),))


async def fetch(context: Context, address: str, actor: str) -> str:
    """Ask the edge for the block of an address; what to tell the person."""
    known = _ADDRESS.fullmatch(address.removeprefix(KIND))
    if known is None:
        return "there is nothing to fetch"
    ts = int(known["ts"])
    try:
        await context.waveforms.ask(known["path"], ts, ts, 1, actor)
    except UnknownWaveformError as error:
        return str(error)
    return "asked: open it again in a moment"


def _shown(teller: Teller, title: str, block: Block) -> Sheet:
    values = values_of(block)
    about = values - values.mean()
    say = teller.say
    lines = [
        say(
            "taken at {time} while the machine was {regime}",
            time=teller.time(block.ts),
            regime=block.regime or "–",
        ),
        say(
            "{count} samples at {rate} Hz, rms {rms} {unit}",
            count=block.length,
            rate=f"{block.rate:g}",
            rms=f"{float(np.sqrt((about * about).mean())):.3g}",
            unit=block.unit,
        ),
    ]
    if block.turns:
        lines.append(say("the shaft turns {turns} times a second", turns=f"{block.turns:.4g}"))
    return Sheet(title, tuple(lines), picture=draw(block, say))


def _missing(teller: Teller, ts: int, question: Question | None) -> Iterator[str]:
    say = teller.say
    yield say("the block of {time} lies at the edge, not here", time=teller.time(ts))
    if question is not None and question.state in STATES:
        yield say(STATES[question.state])
        if question.why:
            yield question.why
