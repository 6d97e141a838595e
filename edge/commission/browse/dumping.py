"""What browsing finds, without a screen: CSV for people's tables, JSON for programs, YAML as a profile."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from drivers.driver import Capability, Driver, Identity
from drivers.modbus.driver import ModbusDriver
from drivers.modbus.grid import Memory, Row, rows, shown, views
from drivers.modbus.profile import Table
from edge.commission.browse.picking import Pick, profile_of
from edge.commission.browse.walking import Node, counted, read_registers, register_picks, walk


class Form(StrEnum):
    """How it is written."""

    CSV = "csv"
    YAML = "yaml"
    JSON = "json"


Say = Callable[[str], None]


def as_csv(header: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    """Rows with a header, as RFC 4180 has it but for the line ends."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return out.getvalue()


def as_json(lines: Sequence[dict[str, Any]]) -> str:
    """Rows for other programs; a float that is no number stands as null already."""
    return json.dumps(list(lines), indent=1, ensure_ascii=False) + "\n"


async def identity_of(driver: Driver[Any]) -> Identity:
    """What a machine says it is; empty where it does not say."""
    return await driver.identify() if Capability.IDENTIFY in driver.capabilities else Identity()


# --- nodes ----------------------------------------------------------------------------------------------


async def dump_nodes(
    driver: Driver[Any], form: Form, under: str, depth: int | None, *, say: Say, progress: Say
) -> str:
    """Everything below an address.

    Raises:
        ValueError: nothing there can be a tag of a profile.
        DriverError: see :func:`edge.commission.browse.walking.walk`.
    """
    nodes = [node async for node in walk(driver, under, depth, progress)]
    if not under:
        say("left out: the server's own diagnostics (--under i=2253 lists them)")
    if form is Form.YAML:
        picks = [node.pick for node in nodes if node.found.kind == "variable"]
        return await _profile(driver, picks, f"browsed {under or 'Objects'} at {driver.address}", say)
    fields = [_node(node) for node in nodes]
    if form is Form.JSON:
        return as_json(fields)
    return as_csv(list(_node(_NOTHING)), [list(each.values()) for each in fields])


def _node(node: Node) -> dict[str, Any]:
    each = node.found
    return {
        "path": "/".join(node.names),
        "address": each.address,
        "kind": each.kind,
        "type": str(each.type or ""),
        "access": ("read-write" if each.writable else "read") if each.kind == "variable" else "",
        "detail": each.detail,
    }


def _nothing() -> Node:
    from drivers.driver import Found

    return Node(Found("", "", "folder"), ())


_NOTHING = _nothing()


async def _profile(driver: Driver[Any], picks: Sequence[Pick], source: str, say: Say, **defaults: Any) -> str:
    written = profile_of(
        await counted(driver, picks),
        driver.profile.protocol,
        await identity_of(driver),
        source=source,
        defaults=defaults,
    )
    for line in written.rejected[:20]:
        say(f"not taken: {line}")
    if len(written.rejected) > 20:
        say(f"not taken: {len(written.rejected) - 20} more")
    return written.text


# --- registers ------------------------------------------------------------------------------------------


async def dump_registers(
    driver: ModbusDriver, form: Form, table: Table, start: int, count: int, *, say: Say, progress: Say
) -> str:
    """Addresses of one table in every way they can be taken.

    Raises:
        ValueError: nothing can be read there, so there is no profile.
        DeviceLost: the device does not answer.
    """
    memory = Memory(table)
    await read_registers(driver, memory, start, count, progress)
    if form is Form.YAML:
        picks = list(register_picks(table, sorted(memory.words)))
        source = f"browsed {table}:{start} to {start + count - 1} at {driver.address}"
        if not picks and memory.refused:
            raise ValueError(f"nothing can be read there: {next(iter(memory.refused.values())).text}")
        say("each register is a tag of its own: join those of wide values, and give them names")
        return await _profile(driver, picks, source, say, modbus={"unit": driver.unit})
    found = rows(memory, start, count)
    names = [view.name for view in views(table)]
    if form is Form.JSON:
        return as_json([_register(row, names) for row in found])
    header = ["address", "reference", "raw", *names, "refused"]
    lines = [[f"{table}:{r.address}", r.reference, r.raw, *map(shown, r.values), r.refused] for r in found]
    return as_csv(header, lines)


def _register(row: Row, names: Sequence[str]) -> dict[str, Any]:
    return {
        "address": row.address,
        "reference": row.reference,
        "raw": row.raw,
        **{name: shown(v) if name == "text" else v for name, v in zip(names, row.values, strict=True)},
        "refused": row.refused,
    }
