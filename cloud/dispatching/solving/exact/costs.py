"""What a plan costs, as terms of the objective of its model."""

from __future__ import annotations

from cloud.dispatching.solving.exact.variables import Variables


def add_tardiness(m: Variables) -> None:
    """Each job's lateness after its due date."""
    for number, job in enumerate(m.shop.jobs):
        cost = m.shop.problem.weights.tardiness * job.weight
        if job.due is None or not cost:
            continue
        if not job.activities and not job.tails:
            m.terms.append(cost * max(0, job.end - job.due))
            continue
        most = m.horizon + max((seconds for _, seconds in job.tails), default=0)
        late = m.model.new_int_var(max(0, job.end - job.due), max(0, job.end - job.due, most - job.due), "")
        members = set(job.activities)
        for index in job.activities:
            if not any(after in members for after, _ in m.shop.activities[index].after):
                m.model.add(late >= m.end[index] - job.due)
        for source, seconds in job.tails:
            m.model.add(late >= m.source[source] + (seconds - job.due))
        m.job_late.append((number, late))
        m.terms.append(cost * late)


def add_changeover_costs(m: Variables) -> None:
    """Each second of changing over."""
    if m.shop.problem.weights.changeover:
        m.terms += [m.shop.problem.weights.changeover * c for c in m.changeovers]


def add_deviation(m: Variables) -> None:
    """Each second away from the published plan, and each other machine; each second after a pinned start."""
    weights = m.shop.problem.weights
    if not weights.deviation:
        return
    for activity in m.shop.activities:
        start = m.start[activity.index]
        for position, wish in enumerate(activity.wishes):
            off = m.model.new_int_var(0, m.horizon + abs(wish.start), "")
            m.model.add(off >= start - wish.start)
            m.model.add(off >= wish.start - start)
            m.wish_off.append((activity.index, position, off))
            m.terms.append(weights.deviation * wish.count * off)
            for option, choice in zip(activity.options, m.choices[activity.index], strict=True):
                if option.station != wish.station:
                    cost = weights.deviation * wish.count * weights.other_machine
                    m.terms.append(cost * choice.present)
        for pinned, cost in activity.pins:
            after = m.model.new_int_var(0, max(0, m.horizon - pinned), "")
            m.model.add(after >= start - pinned)
            m.pinned_late.append((activity.index, pinned, after))
            m.terms.append(cost * after)


def add_makespan(m: Variables) -> None:
    """When all of it has ended."""
    weights, now = m.shop.problem.weights, m.shop.problem.now
    if not weights.makespan:
        return
    most = m.horizon + max((seconds for _, seconds in m.shop.closing), default=0)
    m.latest = m.model.new_int_var(m.shop.settled_end, max(most, m.shop.settled_end), "")
    for source, seconds in m.shop.closing:
        m.model.add(m.latest >= m.source[source] + seconds)
    for activity in m.shop.activities:
        if not activity.after:
            m.model.add(m.latest >= m.end[activity.index])
    m.terms.append(weights.makespan * (m.latest - now))
