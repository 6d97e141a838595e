"""Columns of samples, the payload of the ``telemetry`` lane.

Three flat columns in order of arrival (tag number, µs since the previous row, value) and a sparse list
of what is not good: a poll of a thousand tags repeats its pattern, which is what zstd is good at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Annotated

import msgspec

from protocols.packing import MALFORMED, UndecodableError, pack, unpack
from protocols.values import Quality, Reason, Sample, Value

MAX_SAMPLES = 100_000
"""Samples one batch may hold: bounds the memory that decoding takes."""


LATEST = 2**53 - 1
"""Largest time in µs UTC (in the year 2255): what an int64 and JavaScript both hold exactly."""

Number = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class Flag(msgspec.Struct, frozen=True, array_like=True):
    """Row ``index`` is not good: its quality and the reason."""

    index: int
    quality: Annotated[int, msgspec.Meta(ge=0, le=int(Quality.BAD))]
    reason: Annotated[int, msgspec.Meta(ge=0, le=255)]


class SampleColumns(msgspec.Struct, array_like=True):
    """Samples as columns. ``catalogue`` is the content hash of the catalogue that explains the tags.

    ``tags``, ``steps`` and ``values`` have one entry a sample; ``steps[0]`` counts from ``base`` (µs UTC).
    """

    catalogue: bytes
    base: int
    tags: list[Number]
    steps: list[int]
    values: list[Value]
    flags: list[Flag]

    def __len__(self) -> int:
        return len(self.tags)

    def times(self) -> list[int]:
        """Time of each row in µs UTC."""
        times = accumulate(self.steps, initial=self.base)
        next(times)  # the base itself is no row
        return list(times)

    def samples(self) -> Iterator[Sample]:
        """The rows one by one, for tests and small batches."""
        flags = {flag.index: flag for flag in self.flags}
        for index, (tag, ts, value) in enumerate(zip(self.tags, self.times(), self.values, strict=True)):
            flag = flags.get(index)
            if flag is None:
                yield Sample(tag, ts, value)
            else:
                yield Sample(tag, ts, value, Quality(flag.quality), Reason(flag.reason))


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(SampleColumns)


def columns(catalogue: bytes, samples: Iterable[Sample]) -> SampleColumns:
    """Columns of samples in the order given."""
    tags: list[int] = []
    steps: list[int] = []
    values: list[Value] = []
    flags: list[Flag] = []
    base = previous = 0
    for tag, ts, value, quality, reason in samples:
        if not tags:
            base = previous = ts
        if quality:
            flags.append(Flag(len(tags), int(quality), int(reason)))
        tags.append(tag)
        steps.append(ts - previous)
        values.append(value)
        previous = ts
    return SampleColumns(catalogue, base, tags, steps, values, flags)


def encode(batch: SampleColumns) -> bytes:
    """Blob of a batch of samples."""
    return pack(_encoder.encode(batch))


def decode(blob: bytes) -> SampleColumns:
    """Columns of a blob; raises UndecodableError when it is none or its columns do not agree."""
    try:
        batch = _decoder.decode(unpack(blob))
    except MALFORMED as error:
        raise UndecodableError(f"not a batch of samples: {error}") from error
    rows = len(batch.tags)
    if rows > MAX_SAMPLES:
        raise UndecodableError(f"batch holds {rows} samples, the limit is {MAX_SAMPLES}")
    if len(batch.steps) != rows or len(batch.values) != rows:
        raise UndecodableError(
            f"columns disagree: {rows} tags, {len(batch.steps)} times, {len(batch.values)} values"
        )
    if rows and not _times_fit(batch):
        raise UndecodableError(f"a time lies outside 0…{LATEST} µs UTC")
    if any(not 0 <= flag.index < rows for flag in batch.flags):
        raise UndecodableError(f"a flag points outside the {rows} rows")
    return batch


def _times_fit(batch: SampleColumns) -> bool:
    """Whether all times may be stored; one look at the extremes nearly always tells."""
    farthest = max(-min(batch.steps), max(batch.steps), 0) * len(batch.steps)
    if farthest <= batch.base <= LATEST - farthest:
        return True
    times = batch.times()
    return min(times) >= 0 and max(times) <= LATEST
