"""Answers of an edge, made by hand for tests of the cloud."""

from __future__ import annotations

from typing import Any

import numpy as np

from protocols.waveforms import messages
from protocols.waveforms.block import Block, encode
from protocols.waveforms.coding import coded
from protocols.waveforms.messages import Found

PATH = "laser-1/drive"
T0 = 1_790_000_000_000_000
RATE = 6400.0


def block(ts: int = T0, length: int = 2048, path: str = PATH, **more: Any) -> Block:
    """A shaft at 25 Hz with bursts of 1.8 kHz, 100 a second: a bearing whose outer race is pitted."""
    times = np.arange(length) / RATE
    bursts = np.exp(-500 * (times % 0.01)) * np.sin(2 * np.pi * 1800 * (times % 0.01))
    noise = np.random.default_rng(ts % 1000).normal(0, 0.05, length)
    signal = 2 * np.sin(2 * np.pi * 25 * times) + 4 * bursts + noise
    kind, order, data = coded(np.rint(signal / 0.002).astype(np.int16))
    head: dict[str, Any] = {
        "regime": "running P-7",
        "turns": 25.0,
        "band": (1200.0, 2400.0),
        "marks": {"bpfo": 100.0, "bpfi": 135.5},
        **more,
    }
    return Block(path, ts, RATE, "m/s²", kind, length, 0.002, 0.0, order=order, data=data, **head)


def answer(question: str, *blocks: Block, why: str = "") -> list[bytes]:
    """The blobs of an answer, as they come by the bulk lane."""
    path = blocks[0].path if blocks else PATH
    times = tuple(each.ts for each in blocks)
    oldest, newest = (min(times), max(times)) if times else (0, 0)
    found = [messages.encode(Found(question, path, times, oldest, newest, why))]
    for each in blocks:
        found += [messages.encode(part) for part in messages.chunks(question, path, each.ts, encode(each))]
    return found
