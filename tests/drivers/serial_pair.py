"""Two serial ports joined by a wire, as pseudo-terminals: what is written to one is read from the other."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import tty
from collections.abc import Iterator


@contextlib.contextmanager
def serial_pair() -> Iterator[tuple[str, str]]:
    """The paths of both ends."""
    ends = [os.openpty(), os.openpty()]
    masters = [master for master, _ in ends]
    for _, port in ends:
        tty.setraw(port)
    wake, waker = os.pipe()

    def relay() -> None:
        other = dict(zip(masters, reversed(masters), strict=True))
        while True:
            ready, _, _ = select.select([*masters, wake], [], [])
            if wake in ready:
                return
            for master in ready:
                with contextlib.suppress(OSError):
                    os.write(other[master], os.read(master, 4096))

    thread = threading.Thread(target=relay, daemon=True)
    thread.start()
    try:
        yield os.ttyname(ends[0][1]), os.ttyname(ends[1][1])
    finally:
        os.write(waker, b"x")
        thread.join()
        for handle in (*(h for pair in ends for h in pair), wake, waker):
            os.close(handle)
