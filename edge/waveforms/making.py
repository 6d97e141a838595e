"""What becomes of one block: its numbers as readings, and the block as it is kept. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.profile.tags import Tag
from drivers.profile.waveform import Waveform, feature_names
from protocols.values import Quality, Reading, Reason
from protocols.waveforms.block import Block, encode
from protocols.waveforms.coding import coded, values_of
from protocols.waveforms.features import Recipe, features

CLIPPED = 3
"""Samples at an end of their type's range that make a block doubtful: one may be there by chance."""
CHANGED = "changed"
"""Regime of a block during which the machine went over to something else."""

_OF_RATIOS = ("crest", "kurtosis")


@dataclass(frozen=True, slots=True)
class Taken:
    """One block as it came: ``values`` not scaled, ``ts`` in µs UTC, ``turns`` of the shaft a second (0:
    nobody knows)."""

    path: str
    values: NDArray[Any]
    ts: int
    regime: str
    turns: float


@dataclass(frozen=True, slots=True)
class Made:
    """Readings of a block's numbers, the block to be kept (empty: it is none), and what is to be said."""

    readings: list[Reading]
    block: bytes
    problem: str = ""


def made(name: str, tag: Tag, waveform: Waveform, taken: Taken) -> Made:
    """Numbers and bytes of a block of the waveform ``name``.

    A block with samples that are no numbers gives none and is not kept. The numbers of one that was cut off
    at the ends of its range, or during which the machine changed, are uncertain.
    """
    if not np.isfinite(taken.values).all():
        count = int((~np.isfinite(taken.values)).sum())
        return Made(
            unread(name, waveform, Reason.SENSOR_FAILURE),
            b"",
            f"{count} of {len(taken.values)} samples are no numbers: the sensor or its amplifier fails",
        )
    kind, order, data = coded(taken.values)
    block = Block(
        taken.path,
        taken.ts,
        waveform.rate,
        tag.unit,
        kind,
        len(taken.values),
        tag.scale,
        tag.offset,
        taken.regime,
        taken.turns,
        order,
        data,
        waveform.envelope or (0.0, 0.0),
        {name: turns * taken.turns for name, turns in waveform.defects.items()} if taken.turns else {},
    )
    found = features(values_of(block), recipe(waveform, taken.turns))
    quality, reason, problem = _trust(taken)
    readings = []
    for feature in feature_names(waveform.model_dump()):
        value = found[feature]
        if value is None:
            why = Reason.SENSOR_FAILURE if feature in _OF_RATIOS else Reason.OUT_OF_RANGE
            readings.append(Reading(f"{name}.{feature}", None, Quality.BAD, why))
        else:
            readings.append(Reading(f"{name}.{feature}", value, quality, reason))
    if found["crest"] is None:
        problem = "the signal is flat: is the sensor connected?"
    return Made(readings, encode(block), problem)


def recipe(waveform: Waveform, turns: float) -> Recipe:
    """What is to be made of blocks of a waveform."""
    return Recipe(
        waveform.rate,
        waveform.all_bands,
        waveform.envelope,
        waveform.shaft is not None,
        turns,
        waveform.defects,
    )


def unread(name: str, waveform: Waveform, reason: Reason) -> list[Reading]:
    """Every number of a waveform as one that there is none of."""
    names = feature_names(waveform.model_dump())
    return [Reading(f"{name}.{feature}", None, Quality.BAD, reason) for feature in names]


def _trust(taken: Taken) -> tuple[Quality, Reason, str]:
    values = taken.values
    if values.dtype.kind in "iu":
        limits = np.iinfo(values.dtype)
        ends = int(((values == limits.min) | (values == limits.max)).sum())
        if ends >= CLIPPED:
            words = f"{ends} of {len(values)} samples are cut off at the ends of the range: lower the gain"
            return Quality.UNCERTAIN, Reason.OUT_OF_RANGE, words
    if taken.regime == CHANGED:
        return Quality.UNCERTAIN, Reason.OTHER, ""
    return Quality.GOOD, Reason.NONE, ""
