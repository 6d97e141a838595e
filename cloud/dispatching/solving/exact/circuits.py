"""The order of work on machines that change over, as a circuit through it whose arcs set the changeovers."""

from __future__ import annotations

from typing import Any

from cloud.dispatching.solving.activities import Block, Station
from cloud.dispatching.solving.exact.variables import Node, Variables


def add_changeovers(m: Variables) -> None:
    """A circuit through the work of each machine that changes over."""
    for station in m.shop.stations:
        if not station.has_changeovers:
            continue
        nodes: list[Node] = [
            (activity.index, position)
            for activity in m.shop.activities
            for position, option in enumerate(activity.options)
            if option.station == station.index
        ]
        nodes += [block for block in station.blocks if block.is_work]
        if nodes:
            m.nodes[station.index] = nodes
            _circuit(m, station, nodes)


def _circuit(m: Variables, station: Station, nodes: list[Node]) -> None:
    model = m.model
    tuples: list[tuple[int, int, Any]] = []
    paid: list[list[Any]] = [[] for _ in nodes]
    empty = model.new_bool_var("")
    tuples.append((0, 0, empty))
    always = any(isinstance(node, Block) or _present(m, node) is True for node in nodes)
    if always:
        model.add(empty == 0)
    for at, node in enumerate(nodes, start=1):
        tuples.append((at, 0, model.new_bool_var("")))
        m.arcs.append((station.index, at, 0, tuples[-1][2]))
        present = True if isinstance(node, Block) else _present(m, node)
        if present is not True:
            tuples.append((at, at, ~present))
            model.add_implication(present, ~empty)
        for came, before in enumerate([None, *nodes]):
            if came == at or not _may_follow(m, before, node):
                continue
            literal = model.new_bool_var("")
            tuples.append((came, at, literal))
            m.arcs.append((station.index, came, at, literal))
            seconds = _follow(m, station, before, node, literal)
            if seconds:
                paid[at - 1].append(seconds * literal)
    m.arcs.append((station.index, 0, 0, empty))
    model.add_circuit(tuples)
    for node, costs in zip(nodes, paid, strict=True):
        total = sum(costs) if costs else 0
        if isinstance(node, Block):
            if costs:
                m.changeovers.append(total)
        else:
            choice = m.choices[node[0]][node[1]]
            model.add(choice.changeover == total)
            m.changeovers.append(choice.changeover)


def _present(m: Variables, node: tuple[int, int]) -> Any:
    return m.choices[node[0]][node[1]].present


def _may_follow(m: Variables, before: Node | None, node: Node) -> bool:
    """Whether ``node`` can come directly after ``before`` (``None``: the machine's present set-up)."""
    if isinstance(before, Block) and isinstance(node, Block):
        return before.end <= node.start
    if isinstance(node, Block):
        # What has begun is preceded by nothing that is still to be planned.
        return before is None or not node.begun
    rank = m.shop.activities[node[0]].rank
    if isinstance(before, tuple):
        rank_before = m.shop.activities[before[0]].rank
        # Of what keeps its order, only neighbours can follow directly.
        return before[0] != node[0] and (rank < 0 or rank_before < 0 or rank == rank_before + 1)
    return before is not None or rank <= 0


def _follow(m: Variables, station: Station, before: Node | None, node: Node, arc: Any) -> int:
    """Time the order ``before``, ``node`` that the literal ``arc`` stands for; returns the changeover."""
    now = m.shop.problem.now
    free: Any  # a constant, or an expression of the model
    if isinstance(before, Block):
        leave, free = before.leave, before.end
    elif before is None:
        leave, free = station.state, now
    else:
        leave, free = m.shop.activities[before[0]].options[before[1]].state, m.end[before[0]]
    if isinstance(node, Block):
        seconds = station.changeover[leave][node.enter]
        if node.begun:
            return 0
        if isinstance(free, int):
            return max(0, min(seconds, node.start - max(now, free)))
        m.model.add(free + seconds <= node.start).only_enforce_if(arc)
        return seconds
    choice = m.choices[node[0]][node[1]]
    if not isinstance(free, int) or free > now:
        m.model.add(choice.begin >= free).only_enforce_if(arc)
    return station.changeover[leave][m.shop.activities[node[0]].options[node[1]].state]
