"""What a list of work is made of: activities and tasks, and together what longest lags bind."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from cloud.dispatching.solving.activities import Shop


@dataclass(frozen=True, slots=True)
class Units:
    """``members[u]`` are the activities of unit *u* in the order in which they are placed; tasks of
    maintenance are numbered on after the activities. ``before[u]`` and ``after[u]`` are units."""

    members: tuple[tuple[int, ...], ...]
    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]

    def in_order(self, keys: Sequence[float]) -> list[int]:
        """Units by the least key of their members, but none before what it waits for."""
        key = [min(keys[member] for member in members) for members in self.members]
        waits = [len(before) for before in self.before]
        ready = [(key[unit], unit) for unit, count in enumerate(waits) if not count]
        heapify(ready)
        order: list[int] = []
        while ready:
            _, unit = heappop(ready)
            order.append(unit)
            for other in self.after[unit]:
                waits[other] -= 1
                if not waits[other]:
                    heappush(ready, (key[other], other))
        return order


def units_of(shop: Shop) -> Units:
    """The units of ``shop``; they wait for each other in no cycle."""
    count = len(shop.activities)
    group = _groups(shop)
    members: dict[int, list[int]] = {}
    for index in shop.order:
        members.setdefault(group[index], []).append(index)
    number = {name: unit for unit, name in enumerate(members)}
    unit_of = [number[name] for name in group]
    before: list[dict[int, None]] = [{} for _ in members]
    after: list[dict[int, None]] = [{} for _ in members]
    for activity in shop.activities:
        for other, _ in activity.before:
            one, two = unit_of[other], unit_of[activity.index]
            if one != two:
                before[two][one] = after[one][two] = None
    ordered = [within(shop, inside) if len(inside) > 1 else tuple(inside) for inside in members.values()]
    tasks = [(count + at,) for at in range(len(shop.tasks))]
    return Units(
        members=(*ordered, *tasks),
        before=(*(tuple(units) for units in before), *(() for _ in tasks)),
        after=(*(tuple(units) for units in after), *(() for _ in tasks)),
    )


def _groups(shop: Shop) -> list[int]:
    """By activity, which group it is in. What lies on a way through a group is in it too."""
    group = list(range(len(shop.activities)))

    def root(index: int) -> int:
        while group[index] != index:
            group[index] = group[group[index]]
            index = group[index]
        return index

    bound = False
    for activity in shop.activities:
        for other in activity.most:
            group[root(other)] = root(activity.index)
            bound = True
    if bound:
        after: dict[int, set[int]] = {}
        for activity in shop.activities:
            one = root(activity.index)
            after.setdefault(one, set()).update(root(other) for other, _ in activity.after)
        for cycle in _cycles(after):
            for one in cycle[1:]:
                group[root(one)] = root(cycle[0])
    return [root(index) for index in range(len(group))]


def _cycles(after: dict[int, set[int]]) -> list[list[int]]:
    """The strongly connected components with more than one node (Tarjan 1972, without recursion)."""
    low: dict[int, int] = {}
    found: dict[int, int] = {}
    path: list[int] = []
    on_path: set[int] = set()
    components: list[list[int]] = []
    for start in after:
        if start in found:
            continue
        stack = [(start, iter(after[start]))]
        found[start] = low[start] = len(found)
        path.append(start)
        on_path.add(start)
        while stack:
            node, followers = stack[-1]
            follower = next(followers, None)
            if follower is None:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[node])
                if low[node] == found[node]:
                    at = path.index(node)
                    component = path[at:]
                    del path[at:]
                    on_path.difference_update(component)
                    if len(component) > 1:
                        components.append(component)
            elif follower not in found:
                found[follower] = low[follower] = len(found)
                path.append(follower)
                on_path.add(follower)
                stack.append((follower, iter(after[follower])))
            elif follower in on_path:
                low[node] = min(low[node], found[follower])
    return components


def within(shop: Shop, members: Sequence[int], rng: random.Random | None = None) -> tuple[int, ...]:
    """The members of a unit in an order that routings allow, each soon after what it must follow soon.

    With ``rng`` any such order.
    """
    inside = set(members)
    waits = {m: sum(other in inside for other, _ in shop.activities[m].before) for m in members}
    ready = [m for m in members if not waits[m]]
    placed: dict[int, int] = {}
    rank = {m: at for at, m in enumerate(members)}

    def soonest(index: int) -> tuple[int, int]:
        return max((placed[o] for o in shop.activities[index].most if o in placed), default=-1), -rank[index]

    while ready:
        chosen = max(ready, key=soonest) if rng is None else rng.choice(ready)
        ready.remove(chosen)
        placed[chosen] = len(placed)
        for follower, _ in shop.activities[chosen].after:
            if follower in inside:
                waits[follower] -= 1
                if not waits[follower]:
                    ready.append(follower)
    return tuple(placed)
