"""What the edge answers to a question for blocks. Blocking where the ring is read: call it in a thread."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from drivers.profile.waveform import Waveform
from edge.waveforms.ring import Ring
from protocols.documents import not_one_of
from protocols.values import MICROSECONDS
from protocols.waveforms.messages import Chunk, Found, Wanted, chunks

NEAR = 60.0
"""Seconds beside the time asked for within which a block still counts as that of the time; two periods of the
waveform where those are more."""


def answered(wanted: Wanted, ring: Ring, waveforms: Mapping[str, Waveform]) -> tuple[Found, list[Chunk]]:
    """What was found for a question, and the blocks part by part."""
    waveform = waveforms.get(wanted.path)
    oldest, newest = ring.span(wanted.path)
    if waveform is None and not newest:
        why = (
            f"no such waveform: {not_one_of(wanted.path, sorted(waveforms))}"
            if waveforms
            else ("this edge has no waveforms: add the key waveform to a tag of its profile")
        )
        return Found(wanted.id, wanted.path, (), 0, 0, why[:500]), []
    near = max(NEAR, 2 * waveform.every if waveform is not None else 0.0)
    picked = [
        ts
        for ts in ring.pick(wanted.path, wanted.start, wanted.end, wanted.most)
        if wanted.start - near * MICROSECONDS <= ts <= wanted.end + near * MICROSECONDS
    ]
    read: dict[int, bytes] = {}
    for ts in picked:
        data = ring.read(wanted.path, ts)
        if data is not None:  # else it was overwritten, or is damaged
            read[ts] = data
    oldest, newest = ring.span(wanted.path)
    why = "" if read else _why_not(wanted, oldest, newest)
    found = Found(wanted.id, wanted.path, tuple(sorted(read)), oldest, newest, why)
    return found, [part for ts in sorted(read) for part in chunks(wanted.id, wanted.path, ts, read[ts])]


def _why_not(wanted: Wanted, oldest: int, newest: int) -> str:
    if not newest:
        return f"no block of {wanted.path} is kept at the edge: none was taken yet"
    if wanted.end < oldest:
        return f"overwritten: the edge keeps blocks of {wanted.path} from {_time(oldest)} on"
    if wanted.start > newest:
        return f"not taken yet: the newest block of {wanted.path} is of {_time(newest)}"
    return f"no block of {wanted.path} was taken about that time: the machine stood, or was out of reach"


def _time(ts: int) -> str:
    return datetime.fromtimestamp(ts / MICROSECONDS, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
