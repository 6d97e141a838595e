"""A witness for the tests of durability: told over TCP what is on disk, right after each commit.

One JSON object a line: edge, stream, lane, seq, digest, count, and the ids of actions. Nothing is waited for.
"""

from __future__ import annotations

import json
import socket
import sqlite3

import structlog

from edge.outbox import sealing
from protocols import actions
from protocols.lanes import Lane

log = structlog.get_logger(__name__)


class Witness:
    """Reports sealed batches. Connecting raises OSError when nobody listens at ``host:port``."""

    def __init__(self, edge: str, address: str) -> None:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError(f'witness "{address}" is no HOST:PORT, e.g. 127.0.0.1:9000')
        self._edge = edge
        self._socket: socket.socket | None = socket.create_connection((host, int(port)), timeout=5)
        self._told = -1

    def close(self) -> None:
        """End the report."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __call__(self, db: sqlite3.Connection) -> None:
        """The store's hook after a commit."""
        if self._socket is None:
            return
        if self._told < 0:  # what is on disk from before this start was reported then
            self._told = sealing.counters(db).get(sealing.SERIAL, 0)
            return
        lines = []
        for sealed in sealing.sealed_after(db, self._told):
            self._told = sealed.serial
            stream, lane, seq = sealed.key
            done: list[str] = []
            if lane is Lane.ACTIONS and (blob := sealing.blob_of(db, sealed.key)) is not None:
                done = [action.id for action in actions.decode(blob)]
            told = {
                "edge": self._edge,
                "stream": stream.hex(),
                "lane": str(lane),
                "seq": seq,
                "digest": sealed.digest.hex(),
                "count": sealed.count,
                "actions": done,
            }
            lines.append(json.dumps(told) + "\n")
        if lines:
            try:
                self._socket.sendall("".join(lines).encode())
            except OSError as error:
                log.warning("witness.gone", error=str(error))
                self.close()
