"""Columns of samples taken apart and put together. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from protocols.telemetry import Flag, SampleColumns


def picked(columns: SampleColumns, keep: Sequence[int]) -> SampleColumns:
    """The rows of ``columns`` at the ascending indices ``keep``."""
    times = columns.times()
    kept = [times[index] for index in keep]
    base = kept[0] if kept else columns.base
    steps = [now - before for before, now in zip([base, *kept], kept, strict=False)]
    place = {index: at for at, index in enumerate(keep)}
    return SampleColumns(
        columns.catalogue,
        base,
        [columns.tags[index] for index in keep],
        steps,
        [columns.values[index] for index in keep],
        [Flag(place[flag.index], flag.quality, flag.reason) for flag in columns.flags if flag.index in place],
    )


def joined(parts: Sequence[SampleColumns]) -> SampleColumns:
    """Columns of the same catalogue, one after the other."""
    first = parts[0]
    tags, steps, values, flags = list(first.tags), list(first.steps), list(first.values), list(first.flags)
    last = first.base + sum(first.steps)
    for part in parts[1:]:
        offset = len(tags)
        tags += part.tags
        steps += part.steps
        steps[offset] += part.base - last
        values += part.values
        flags += [Flag(flag.index + offset, flag.quality, flag.reason) for flag in part.flags]
        last = part.base + sum(part.steps)
    return SampleColumns(first.catalogue, first.base, tags, steps, values, flags)
