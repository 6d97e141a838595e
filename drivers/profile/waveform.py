"""What a profile says of an array that is taken as a block: a waveform of vibration or current. Pure.

A tag with the key ``waveform`` is no value that streams. Its block is read now and then, and the edge makes
numbers of it (see :mod:`drivers.profile.features`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from drivers.profile.part import Part, Seconds, mapping
from protocols.documents import Finding, quoted
from protocols.values import DataType

MAX_LENGTH = 131_072
"""Samples of the longest block."""
MAX_BANDS = 16
MAX_DEFECTS = 8
OCTAVES = 4
"""Bands of a block whose profile names none: the highest four octaves, the lowest of them down to 0 Hz."""

TYPES = (
    DataType.INT16,
    DataType.UINT16,
    DataType.INT32,
    DataType.UINT32,
    DataType.FLOAT32,
    DataType.FLOAT64,
)
"""What the samples of a block may be."""

ROLES = ("vibration", "current", "voltage", "force", "pressure")
"""What a block may mean; what is made of it means the same."""

TURNS_IN_HZ = {
    "Hz": 1.0,
    "HTZ": 1.0,
    "1/s": 1.0,
    "RPS": 1.0,
    "C97": 1.0,
    "rpm": 1 / 60,
    "RPM": 1 / 60,
    "r/min": 1 / 60,
    "1/min": 1 / 60,
    "min-1": 1 / 60,
    "C94": 1 / 60,
}
"""Units of a tag that shows how fast a shaft turns, by Rec 20 code and by symbol, as turns a second."""

Band = tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(gt=0)]]
Defect = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,16}$")]


class When(StrEnum):
    """In which of the machine's states blocks are taken."""

    ALWAYS = "always"
    RUNNING = "running"
    """While it executes (OPC 40001-1)."""


class Waveform(Part):
    """How a block is taken, what is made of it, and how much of it the edge keeps."""

    rate: float = Field(
        gt=0,
        le=1_000_000,
        description="samples a second that the machine takes",
        examples=[6400],
        json_schema_extra={"unit": "Hz"},
    )
    length: int = Field(
        ge=64,
        le=MAX_LENGTH,
        description="samples of one block: all that the array holds",
        examples=[4096],
        json_schema_extra={"unit": "samples"},
    )
    every: Seconds = Field(
        default=60.0,
        description="how often a block is taken; with a trigger the least time between two",
        examples=[30],
        json_schema_extra={"unit": "s"},
    )
    when: When = Field(
        default=When.ALWAYS,
        description="in which state of the machine blocks are taken",
        examples=["running"],
    )
    trigger: str | None = Field(
        default=None,
        description="bool tag: a block is taken when it rises, and at no other time",
        examples=["block_ready"],
    )
    bands: tuple[Band, ...] | None = Field(
        default=None,
        max_length=MAX_BANDS,
        description="bands whose share of the signal is told; the four highest octaves when left out",
        examples=[[[10, 1000], [1000, 3200]]],
        json_schema_extra={"unit": "Hz"},
    )
    envelope: Band | None = Field(
        default=None,
        description="band around a resonance, whose envelope shows the impacts of a bearing",
        examples=[[1500, 3000]],
        json_schema_extra={"unit": "Hz"},
    )
    shaft: float | str | None = Field(
        default=None,
        description="turns of the shaft a second, or the tag that shows them",
        examples=[24.8, "spindle_speed"],
        json_schema_extra={"unit": "Hz"},
    )
    defects: dict[Defect, Annotated[float, Field(gt=0, le=100)]] = Field(
        default_factory=dict,
        max_length=MAX_DEFECTS,
        description="name: frequency of a bearing's defect (bpfo, bpfi, bsf, ftf)",
        examples=[{"bpfo": 3.58, "bpfi": 5.42}],
        json_schema_extra={"unit": "shaft turns"},
    )
    keep: int = Field(
        default=64_000_000,
        ge=1_000_000,
        le=100_000_000_000,
        description="disk for blocks as they were taken, the newest",
        examples=[500000000],
        json_schema_extra={"unit": "bytes"},
    )
    keep_days: float = Field(
        default=30.0,
        gt=0,
        le=3650,
        description="how long they are kept at most",
        examples=[90],
        json_schema_extra={"unit": "days"},
    )

    @property
    def seconds(self) -> float:
        """How long one block takes."""
        return self.length / self.rate

    @property
    def all_bands(self) -> tuple[tuple[float, float], ...]:
        """The bands as given, else the highest octaves."""
        return octaves(self.rate) if self.bands is None else self.bands


def octaves(rate: float) -> tuple[tuple[float, float], ...]:
    """Bands that hold all of a signal: the highest octaves below half the rate, lowest first."""
    top = rate / 2
    edges = [0.0, *(top / 2**step for step in range(OCTAVES - 1, -1, -1))]
    return tuple(itertools.pairwise(edges))


# --- what is made of it -----------------------------------------------------------------------------------

OF_UNIT = ("rms", "peak", "envelope", "shaft")
"""Features in the waveform's own unit; so are those of bands and defects. The others have none."""


def feature_names(waveform: Mapping[Any, Any]) -> Iterator[str]:
    """What is made of a waveform, from its plain data, whose parts may be wrong."""
    yield from ("rms", "peak", "crest", "kurtosis")
    bands = waveform.get("bands")
    count = len(bands) if isinstance(bands, list | tuple) else OCTAVES
    yield from (f"band_{number}" for number in range(1, count + 1))
    if waveform.get("envelope") is not None:
        yield "envelope"
    if waveform.get("shaft") is not None:
        yield "shaft"
    yield from (f"envelope_{defect}" for defect in mapping(waveform.get("defects")))


def is_in_unit(feature: str) -> bool:
    """Whether a feature is in its waveform's unit."""
    return feature in OF_UNIT or feature.startswith(("band_", "envelope_"))


# --- what does not belong together ------------------------------------------------------------------------


def unfit_waveform(tag: Mapping[Any, Any], kind: DataType) -> Iterator[Finding]:
    """What does not fit in a tag with a waveform, and in the waveform itself; parts may be wrong."""
    if kind not in TYPES:
        yield Finding(("type",), f"a waveform is of {', '.join(TYPES)}, not of {kind}")
    role = tag.get("role")
    if role is not None and role not in ROLES:
        yield Finding(("role",), f"a waveform is a {', '.join(ROLES[:-1])} or {ROLES[-1]}, not a {role}")
    if tag.get("access", "read") != "read":
        yield Finding(("access",), "a waveform is only read")
    for key, plain in _SCALAR_KEYS.items():
        if tag.get(key, plain) != plain:
            yield Finding((key,), f"a waveform has no {key}: {_INSTEAD.get(key, 'leave it out')}")
    wave = mapping(tag.get("waveform"))
    rate, length = _number(wave.get("rate")), _number(wave.get("length"))
    if rate is None or length is None or rate <= 0 or length < 1:
        return  # said where they stand
    yield from ((Finding(("waveform", *f.location), f.message)) for f in _unfit(wave, rate, length))


_SCALAR_KEYS = {
    "enum": None,
    "counter": None,
    "deadband": 0.0,
    "deadband_percent": 0.0,
    "sampling": 1.0,
    "max_interval": 60.0,
    "count": None,
    "index": None,
    "field": None,
    "bit": None,
    "scale_exponent": None,
    "absent": None,
}
"""Keys of a tag that mean nothing for a block, with what stands there when nobody wrote them."""
_INSTEAD = {
    "sampling": "waveform.every says how often a block is taken",
    "max_interval": "waveform.every says how often a block is taken",
    "count": "waveform.length says how many samples it holds",
}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _unfit(wave: Mapping[Any, Any], rate: float, length: float) -> Iterator[Finding]:
    seconds, step, top = length / rate, rate / length, rate / 2
    every = _number(wave.get("every", 60.0))
    if every is not None and 0 < every < seconds:
        message = (
            f"{every:g} s is less than a block takes: {length:g} samples at {rate:g} Hz are {seconds:g} s"
        )
        yield Finding(("every",), message)
    bands = wave.get("bands")
    for number, band in enumerate(bands if isinstance(bands, list | tuple) else ()):
        yield from _unfit_band(("bands", number), band, top, step)
    if wave.get("envelope") is not None:
        yield from _unfit_band(("envelope",), wave["envelope"], top, step)
    shaft, defects = wave.get("shaft"), mapping(wave.get("defects"))
    turns = _number(shaft)
    if turns is not None and not 2 * step <= turns < top:
        yield Finding(("shaft",), _unresolved(turns, step, top))
    if defects and shaft is None:
        yield Finding(("defects",), "are turns of a shaft: say how fast it turns with the key shaft")
    if defects and wave.get("envelope") is None:
        yield Finding(("defects",), "show in the envelope: say of which band with the key envelope")
    if turns is None or turns <= 0:
        return
    for name, order in defects.items():
        hertz = turns * (_number(order) or 0.0)
        limit = _width(wave.get("envelope")) or top
        if hertz and not 2 * step <= hertz < limit:
            where = f"{quoted(order)} × {turns:g} Hz is {hertz:g} Hz: "
            yield Finding(("defects", name), where + _unresolved(hertz, step, limit))


def _width(band: Any) -> float:
    """How wide a band is: its envelope holds nothing faster. 0 for what is none."""
    ends = [_number(end) for end in band] if isinstance(band, list | tuple) and len(band) == 2 else []
    return (ends[1] or 0.0) - (ends[0] or 0.0) if ends and None not in ends else 0.0


def _unfit_band(where: tuple[Any, ...], band: Any, top: float, step: float) -> Iterator[Finding]:
    if not isinstance(band, list | tuple) or len(band) != 2:
        return  # said where it stands
    low, high = _number(band[0]), _number(band[1])
    if low is None or high is None:
        return
    if high > top:
        yield Finding((*where, 1), f"{high:g} Hz is above half the rate: {top:g} Hz")
    elif high - low < step:
        narrow = f"is {high - low:g} Hz wide, a block resolves {step:g} Hz"
        yield Finding(where, f"[{low:g}, {high:g}] {narrow if high > low else 'is no band from low to high'}")


def _unresolved(hertz: float, step: float, top: float) -> str:
    return f"{hertz:g} Hz does not show: blocks like these show {2 * step:g} Hz to {top:g} Hz"
