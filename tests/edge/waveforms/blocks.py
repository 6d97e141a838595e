"""Blocks of noise for tests of the ring, the same for the same time."""

from __future__ import annotations

import numpy as np

from protocols.waveforms.block import Block, encode
from protocols.waveforms.coding import coded

PATH = "laser-1/drive"


def block(ts: int, path: str = PATH, length: int = 1000) -> bytes:
    values = np.random.default_rng(ts % 1000).integers(-20_000, 20_000, length).astype(np.int16)
    kind, order, data = coded(values)
    return encode(Block(path, ts, 6400.0, "g", kind, length, 1.0, 0.0, "running", 0.0, order, data))
