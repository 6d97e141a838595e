"""The ring on disk: bounds, order, full disks, kills at any moment."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.virtual.spindle import Spindle, raw
from drivers.virtual.spindle import block as felt
from edge.waveforms.ring import CLUSTER, DAY, SPARE, Ring, RingBounds, RingFullError
from protocols.waveforms.block import Block, decode, encode
from protocols.waveforms.coding import coded, raw_of
from tests.edge.waveforms.blocks import PATH, block

T0 = 1_700_000_000_000_000
SECOND = 1_000_000
WIDE = RingBounds(1 << 30, 30)


def opened(folder: Path, **more: Any) -> Ring:
    ring = Ring(folder / "waveforms", **more)
    ring.open()
    return ring


def test_what_was_put_is_there_and_after_a_restart_too(tmp_path: Path) -> None:
    ring = opened(tmp_path)
    for second in (3, 1, 2):
        ring.put(PATH, T0 + second * SECOND, block(T0 + second * SECOND), WIDE)
    ring.put("laser-1/axis/x", T0, block(T0, "laser-1/axis/x"), WIDE)
    again = opened(tmp_path)
    assert again.size == ring.size == 4 * CLUSTER
    assert [each.ts for each in again.blocks(PATH)] == [T0 + n * SECOND for n in (1, 2, 3)]
    assert [each.path for each in again.blocks("laser-1/axis/x")] == ["laser-1/axis/x"]
    assert again.span(PATH) == (T0 + SECOND, T0 + 3 * SECOND)
    assert again.span("laser-2/drive") == (0, 0)


def test_the_same_block_again_changes_nothing(tmp_path: Path) -> None:
    ring = opened(tmp_path)
    for _ in range(2):
        for second in (1, 2):
            ring.put(PATH, T0 + second * SECOND, block(T0 + second * SECOND), WIDE)
    assert len(ring) == 2


def test_the_oldest_make_room_and_the_bound_holds_what_the_disk_gives(tmp_path: Path) -> None:
    ring = opened(tmp_path)
    bounds = RingBounds(10 * CLUSTER, 30)
    for second in range(25):
        ts = T0 + second * SECOND
        ring.put(PATH, ts, block(ts), bounds)
        on_disk = sum(
            -(-file.stat().st_size // CLUSTER) * CLUSTER for file in ring.folder.rglob("*") if file.is_file()
        )
        assert on_disk == ring.size <= bounds.max_bytes
    assert [each.ts for each in ring.blocks(PATH)] == [T0 + n * SECOND for n in range(15, 25)]


def test_one_waveform_does_not_push_out_another_within_its_bounds(tmp_path: Path) -> None:
    ring = opened(tmp_path)
    ring.put("laser-1/slow", T0, block(T0, "laser-1/slow"), WIDE)
    for second in range(20):
        ring.put(PATH, T0 + second, block(T0 + second), RingBounds(2 * CLUSTER, 30))
    assert ring.span("laser-1/slow") == (T0, T0)


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    ring = opened(tmp_path)
    for day in range(6):
        ring.put(PATH, T0 + day * DAY, block(T0 + day * DAY), RingBounds(1 << 30, 2))
    assert ring.span(PATH) == (T0 + 3 * DAY, T0 + 5 * DAY)


def test_what_nobody_takes_any_more_goes_by_its_age(tmp_path: Path) -> None:
    ring = opened(tmp_path)
    for path in (PATH, "laser-1/gone"):
        for day in range(4):
            ring.put(path, T0 + day * DAY, block(T0 + day * DAY, path), WIDE)
    ring.prune(lambda path: 100 if path == PATH else 1.5, T0 + 4 * DAY)
    assert ring.span(PATH) == (T0, T0 + 3 * DAY)
    assert ring.span("laser-1/gone") == (T0 + 3 * DAY, T0 + 3 * DAY)


def test_a_disk_that_runs_full_costs_the_oldest_blocks(tmp_path: Path) -> None:
    room = [SPARE + 5 * CLUSTER]
    ring: Ring = opened(tmp_path, free=lambda _folder: room[0] - ring.size)
    for second in range(9):
        ring.put(PATH, T0 + second, block(T0 + second), WIDE)
    assert len(ring) == 5 and ring.given_up == 4 and ring.span(PATH)[0] == T0 + 4
    room[0] = SPARE  # somebody else takes the rest
    with pytest.raises(RingFullError, match=r"less than 128 MiB are free .* Free some, or move"):
        ring.put(PATH, T0 + 99, block(T0 + 99), WIDE)
    assert len(ring) == 0
    room[0] = SPARE + 2 * CLUSTER
    ring.put(PATH, T0 + 100, block(T0 + 100), WIDE)
    assert ring.span(PATH) == (T0 + 100, T0 + 100)


def test_a_write_that_finds_the_disk_full_leaves_no_half_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk says *full* in the middle of a write, whatever it said of its free space before."""
    ring = opened(tmp_path)
    for second in range(3):
        ring.put(PATH, T0 + second, block(T0 + second), WIDE)
    refusals = [errno.ENOSPC, errno.ENOSPC]

    def fsync(_file: int) -> None:
        if refusals:
            raise OSError(refusals.pop(), os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    ring.put(PATH, T0 + 9, block(T0 + 9), WIDE)
    assert [each.ts for each in ring.blocks(PATH)] == [T0 + 2, T0 + 9]
    assert list(ring.folder.rglob("*.half")) == []


def test_another_failure_of_the_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = opened(tmp_path)

    def fsync(_file: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="input/output error"):
        ring.put(PATH, T0, block(T0), WIDE)
    assert len(ring) == 0 and list(ring.folder.rglob("*.half")) == []


def test_a_damaged_block_is_none(tmp_path: Path) -> None:
    ring = opened(tmp_path)
    for second in range(3):
        ring.put(PATH, T0 + second, block(T0 + second), WIDE)
    file = sorted(ring.folder.rglob("*.block"))[1]
    file.write_bytes(file.read_bytes()[:-7])
    assert [each.ts for each in ring.blocks(PATH)] == [T0, T0 + 2]
    assert not file.exists() and len(ring) == 2


def test_the_nearest_blocks_are_picked(tmp_path: Path) -> None:
    ring = opened(tmp_path)
    for second in range(0, 100, 10):
        ring.put(PATH, T0 + second * SECOND, block(T0 + second * SECOND), WIDE)

    def picked(start: float, end: float, most: int = 3) -> list[int]:
        found = ring.pick(PATH, T0 + int(start * SECOND), T0 + int(end * SECOND), most)
        return [(ts - T0) // SECOND for ts in found]

    assert picked(20, 60) == [40, 30, 50]
    assert picked(20, 60, 1) == [40]
    assert picked(40, 40) == [40]
    assert picked(41, 43) == [40]
    assert picked(-500, -400) == [0]
    assert ring.pick("laser-2/drive", T0, T0, 3) == []


_WRITER = """
import sys
from pathlib import Path
from edge.waveforms.ring import Ring, RingBounds
from tests.edge.waveforms.blocks import block
ring = Ring(Path(sys.argv[1]))
ring.open()
ts = max(1_700_000_000_000_000, ring.span("laser-1/drive")[1])
while True:
    ts += 1
    ring.put("laser-1/drive", ts, block(ts), RingBounds(40 * 4096, 30))
    print(ts, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
def test_kill_9_loses_nothing_that_was_said_to_be_kept(tmp_path: Path) -> None:
    """Five kills at any moment of writing: whole blocks only, the last one told is there, the bound holds."""
    folder = tmp_path / "waveforms"
    for turn in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(20 + 7 * turn)]
        process.send_signal(signal.SIGKILL)
        told += [int(line) for line in process.stdout.read().split("\n")[:-1]]
        process.wait()
        process.stdout.close()
        ring = Ring(folder)
        ring.open()
        kept = list(ring.blocks("laser-1/drive"))
        assert kept and kept[-1].ts >= told[-1]
        assert [each.ts for each in kept] == sorted({each.ts for each in kept})
        assert all(raw_of(each).tobytes() == raw_of(decode(block(each.ts))).tobytes() for each in kept[-3:])
        assert ring.size <= 40 * CLUSTER
        assert list(folder.rglob("*.half")) == []


def test_bytes_of_a_sample() -> None:
    """A bearing's acceleration as 16-bit counts takes less than two bytes a sample, its head included."""
    rng, length = np.random.default_rng(3), 8192
    counts = raw(felt(Spindle(), 0.4, length, 6400.0, rng), "int16", 0.002, 0.0)
    kind, order, data = coded(counts)
    whole = encode(Block(PATH, T0, 6400.0, "m/s²", kind, length, 0.002, 0.0, "running", 24.8, order, data))
    assert 1.0 < len(whole) / length < 1.8
