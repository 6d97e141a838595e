"""What the demo shows while it runs: the parts, the flow of samples, the orders, how to attach a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cloud.demo.layout import Layout
from cloud.demo.probe import Moment
from cloud.processes import Part


def view(
    layout: Layout, parts: Sequence[Part], moment: Moment, summary: dict[str, Any] | None, credential: str
) -> RenderableType:
    """The status as one picture."""
    return Group(_parts(parts), _flow(moment), _work(summary), _doors(layout, credential))


def _parts(parts: Sequence[Part]) -> Table:
    table = Table.grid(padding=(0, 2))
    cells = [
        Text.assemble(
            ("● ", "green") if part.pid else ("■ ", "red"), part.name, "" if part.pid else " stopped"
        )
        for part in parts
    ]
    for start in range(0, len(cells), 4):
        table.add_row(*cells[start : start + 4])
    return table


def _flow(moment: Moment) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for name in ("edge", "link", "samples committed", "queued", "dropped", "actions", "RSS MB"):
        table.add_column(name, justify="left" if name in ("edge", "link") else "right")
    for edge, health in moment.edges.items():
        if health is None:
            table.add_row(edge, "■ no answer")
            continue
        link, samples = health.get("link", {}), health["samples"]
        state = "● online" if link.get("online") and link.get("cloud") else "○ offline"
        table.add_row(
            edge,
            state,
            f"{samples['committed']:,}",
            f"{samples['queued']:,}",
            f"{samples['dropped']:,}",
            f"{health['actions']['accepted']:,}",
            f"{health.get('rss_mb', 0):.0f}",
        )
    cloud = moment.cloud
    if cloud is not None:
        latency = cloud.get("latency_ms") or {}
        p95 = latency.get("p95")
        table.add_row(
            "cloud",
            f"p95 {p95:.0f} ms" if p95 else "",
            f"{cloud['samples']['ledgered']:,} ledgered",
            "",
            "",
            f"{cloud['actions']['ledgered']:,}",
            f"{cloud.get('rss_mb', 0):.0f}",
        )
    return table


def _work(summary: dict[str, Any] | None) -> Text:
    if summary is None:
        return Text("orders: waiting for the cloud", style="dim")
    orders = summary["orders"]
    cases = summary["cases"]
    devices = f" ({', '.join(cases['devices'])})" if cases["devices"] else ""
    return Text(
        f"orders: {orders['released']} released, {orders['completed']} completed · operations: "
        f"{summary['operations']['completed']} completed · replans: {summary['replans']} · "
        f"cases: {cases['opened']} opened{devices}"
    )


def _doors(layout: Layout, credential: str) -> Panel:
    lines = (
        f"page       {layout.page}   {credential}",
        f"terminal   {terminal_command(layout)}",
        f"data       {layout.folder}",
        "stop       Ctrl-C",
    )
    return Panel("\n".join(lines), title="OneLot demo", title_align="left")


def terminal_command(layout: Layout) -> str:
    """How to attach a terminal, ready to paste into another window of the same folder."""
    edge = next(iter(layout.edges))
    program = Path(sys.executable).parent / "onelot"
    token = layout.edge_data(edge) / "api.token"
    where = f"--edge {layout.edge_api(edge)} --station brake-1"
    return f"{_short(program)} terminal {where} --token-file {_short(token)}"


def _short(path: Path) -> str:
    """The path as seen from here, where that is shorter."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
