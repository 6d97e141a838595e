"""A recording: the profile, the frames on the wire where they are known, and what the driver made of them.

A file of JSON lines, the first one a :class:`Header`. It is made at a machine, sent with a report, and
becomes a folder of tests/golden as it is. Host names and words of options (passwords) are not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from drivers.profile.files import check_profile
from drivers.profile.profile import AnyProfile
from protocols.documents import parse
from protocols.values import Quality, Reading, Reason, Value

MAX_BYTES = 64 << 20
MAX_LINES = 500_000


class CannotPlay(ValueError):
    """A file that is no recording, or one too large to play."""


class Header(msgspec.Struct, frozen=True, tag="recording", omit_defaults=True):
    """What was recorded. ``query`` is the part of the address after ``?``; options are numbers only."""

    version: int
    driver: str
    profile: str
    """The profile's YAML."""
    query: str = ""
    options: dict[str, bool | int | float] = {}
    frames: bool = False
    """Whether the frames are in it, or the readings alone."""


class Frame(msgspec.Struct, frozen=True, tag="frame", omit_defaults=True):
    """One request and what came back, seconds from the start; no answer when the device was silent."""

    t: float
    ask: str
    """Unit and PDU as hex."""
    answer: str | None = None
    after: float = 0.0
    """Seconds the answer took."""


class Said(msgspec.Struct, frozen=True, array_like=True):
    """One reading: path, value, quality, reason."""

    path: str
    value: Value
    quality: int = 0
    reason: int = 0

    @classmethod
    def of(cls, reading: Reading) -> Said:
        """A reading as it is kept."""
        return cls(reading.path, reading.value, int(reading.quality), int(reading.reason))

    def __str__(self) -> str:
        if self.quality == Quality.BAD:
            return f"bad ({Reason(self.reason).name.lower()})"
        return str(self.value)


class Round(msgspec.Struct, frozen=True, tag="round", omit_defaults=True):
    """One reading of all tags; ``lost`` says why there are no readings."""

    t: float
    readings: list[Said] = []
    lost: str = ""


Line = Header | Frame | Round


class Tape(msgspec.Struct, frozen=True):
    """A whole recording."""

    header: Header
    frames: list[Frame]
    rounds: list[Round]

    def profile(self) -> AnyProfile:
        """The profile it was made with.

        Raises:
            DocumentError: this version does not understand it.
        """
        return check_profile(parse(self.header.profile, "the recording's profile"))


def numbers(options: dict[str, Any]) -> dict[str, bool | int | float]:
    """Options that are no words: those may be passwords, and stay where they are."""
    found: dict[str, bool | int | float] = {}
    for name, value in options.items():
        if isinstance(value, bool | int | float):
            found[name] = value
        elif isinstance(value, str) and value.replace(".", "", 1).isdecimal():
            found[name] = float(value) if "." in value else int(value)
    return found


def write(lines: Sequence[Line]) -> bytes:
    """Lines as a file."""
    encoder = msgspec.json.Encoder()
    return b"".join(encoder.encode(line) + b"\n" for line in lines)


def read(data: bytes) -> Tape:
    """A file as a recording.

    Raises:
        CannotPlay: it is none.
    """
    if len(data) > MAX_BYTES:
        raise CannotPlay(f"larger than {MAX_BYTES >> 20} MiB, the most that is played")
    decoder = msgspec.json.Decoder(Line)
    lines: list[Line] = []
    for number, line in enumerate(data.splitlines(), 1):
        if number > MAX_LINES:
            raise CannotPlay(f"more than {MAX_LINES} lines")
        try:
            lines.append(decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CannotPlay(f"line {number} is not of a recording: {error}") from None
    header = lines[0] if lines else None
    if not isinstance(header, Header) or any(isinstance(line, Header) for line in lines[1:]):
        raise CannotPlay("is no recording: its first line, and no other, must be the header")
    if header.version != 1:
        raise CannotPlay(f"is of version {header.version}; this program plays version 1")
    frames = [line for line in lines if isinstance(line, Frame)]
    try:
        for frame in frames:
            bytes.fromhex(frame.ask + (frame.answer or ""))
    except ValueError:
        raise CannotPlay("has a frame that is no hex") from None
    return Tape(header, frames, [line for line in lines if isinstance(line, Round)])
