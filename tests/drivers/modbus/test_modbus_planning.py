"""Requests from tags: each read once, within limits, never across what the device refuses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.planning import Knowledge, Limits, Request, Span, locate, plan
from drivers.modbus.profile import Table
from tests.bench.modbus_plan import Place, fewest


def span(start: int, count: int = 1, name: str = "") -> Span:
    return Span(name or f"r{start}", Table.HOLDING, start, count)


def shape(requests: list[Request]) -> list[tuple[int, int]]:
    return [(r.start, r.size) for r in requests]


def test_near_tags_share_a_request_and_far_ones_do_not() -> None:
    spans = [span(0, 2), span(2), span(10), span(40)]
    assert shape(plan(spans, Limits(max_gap=7), Knowledge())) == [(0, 11), (40, 1)]
    assert shape(plan(spans, Limits(max_gap=6), Knowledge())) == [(0, 3), (10, 1), (40, 1)]


def test_a_request_stays_within_the_limit_and_no_tag_is_split() -> None:
    spans = [span(n * 2, 2) for n in range(100)]
    assert shape(plan(spans, Limits(max_registers=125), Knowledge())) == [(0, 124), (124, 76)]


def test_nothing_illegal_is_crossed_and_a_cut_is_respected() -> None:
    spans = [span(n) for n in range(10)]
    knowledge = Knowledge(illegal={(Table.HOLDING, 4, 5)}, cuts={(Table.HOLDING, 8, 8)})
    assert shape(plan(spans, Limits(), knowledge)) == [(0, 4), (5, 3), (8, 2)]


def test_locating_an_illegal_tag_costs_a_logarithm_and_leaves_two_requests() -> None:
    spans = [span(n) for n in range(100)]
    device = Device(illegal={37})
    knowledge = Knowledge()
    plans = device.settle(spans, Limits(), knowledge)
    assert shape(plans) == [(0, 37), (38, 62)]
    assert device.asked <= 2 + 2 * 7
    assert knowledge.illegal == {(Table.HOLDING, 37, 38)}


def test_locating_an_illegal_gap_leaves_both_sides() -> None:
    spans = [span(0), span(1), span(5), span(6)]
    device = Device(illegal={3})
    knowledge = Knowledge()
    assert shape(device.settle(spans, Limits(), knowledge)) == [(0, 2), (5, 2)]
    assert knowledge.illegal == set()


class Device:
    """A device with illegal addresses, asked as the driver asks."""

    def __init__(self, illegal: set[int]) -> None:
        self.illegal = illegal
        self.asked = 0

    def answers(self, request: Request) -> bool:
        self.asked += 1
        return not any(address in self.illegal for address in range(request.start, request.end))

    def settle(self, spans: list[Span], limits: Limits, knowledge: Knowledge) -> list[Request]:
        """Plan and locate until every planned request is answered."""
        for _ in range(200):
            requests = plan(spans, limits, knowledge)
            refused = next((r for r in requests if not self.answers(r)), None)
            if refused is None:
                return requests
            search = locate(refused, knowledge)
            attempt = next(search, None)
            while attempt is not None:
                try:
                    attempt = search.send(self.answers(attempt))
                except StopIteration:
                    break
        raise AssertionError("never settled")


spans_of_one_table = st.lists(
    st.tuples(st.integers(0, 300), st.sampled_from([1, 1, 1, 2, 4, 9])), min_size=1, max_size=40
).map(lambda places: [span(start, count, f"t{n}") for n, (start, count) in enumerate(places)])

limits = st.builds(Limits, max_gap=st.integers(0, 30), max_registers=st.integers(9, 125))


@given(spans_of_one_table, limits)
def test_every_tag_is_read_exactly_once_within_the_limits(spans: list[Span], limits: Limits) -> None:
    requests = plan(spans, limits, Knowledge())
    assert sorted(s for r in requests for s in r.spans) == sorted(spans)
    for request in requests:
        assert request.size <= limits.max_registers
        assert request.start == min(s.start for s in request.spans)
        assert request.end == max(s.end for s in request.spans)
        covered = {a for s in request.spans for a in range(s.start, s.end)}
        gaps, run = [0], 0
        for address in range(request.start, request.end):
            run = 0 if address in covered else run + 1
            gaps.append(run)
        assert max(gaps) <= limits.max_gap


@given(spans_of_one_table, limits, st.sets(st.integers(0, 310), max_size=12))
def test_a_device_with_illegal_addresses_is_read_around_them(
    spans: list[Span], limits: Limits, illegal: set[int]
) -> None:
    knowledge = Knowledge()
    requests = Device(illegal).settle(spans, limits, knowledge)
    read = [s for r in requests for s in r.spans]
    assert len(read) == len(set(read))
    legal = [s for s in spans if not illegal & set(range(s.start, s.end))]
    assert set(legal) == set(read)
    for request in requests:
        assert not illegal & set(range(request.start, request.end))
        assert request.size <= limits.max_registers


def test_a_cut_forbids_the_whole_gap_and_not_a_part_of_it() -> None:
    knowledge = Knowledge(cuts={(Table.HOLDING, 4, 9)})
    assert shape(plan([span(0, 4), span(9)], Limits(), knowledge)) == [(0, 4), (9, 1)]
    assert shape(plan([span(0, 4), span(7)], Limits(), knowledge)) == [(0, 8)]
    assert shape(plan([span(6), span(9)], Limits(), knowledge)) == [(6, 4)]


apart = st.lists(
    st.tuples(st.sampled_from([0, 0, 0, 1, 3, 20]), st.sampled_from([1, 1, 2, 4]), st.booleans()),
    min_size=2,
    max_size=40,
)


@given(apart, limits, st.sets(st.integers(0, 310), max_size=12))
def test_what_two_sampling_classes_learn_together_costs_neither_a_request(
    steps: list[tuple[int, int, bool]], limits: Limits, illegal: set[int]
) -> None:
    classes: tuple[list[Span], list[Span]] = ([], [])
    at = 0
    used: set[int] = set()
    for gap, size, seldom in steps:
        at += gap
        classes[seldom].append(span(at, size))
        used.update(range(at, at + size))
        at += size
    device, knowledge = Device(illegal - used), Knowledge()
    for _ in range(2):
        plans = [device.settle(spans, limits, knowledge) for spans in classes]
    for spans, requests in zip(classes, plans, strict=True):
        places = [Place(each.start, each.size) for each in spans]
        least = fewest(places, limits.max_registers, limits.max_gap, sorted(device.illegal))
        assert len(requests) == least


@given(spans_of_one_table, st.sets(st.integers(0, 310), min_size=1, max_size=5))
def test_known_illegal_addresses_are_never_requested(spans: list[Span], illegal: set[int]) -> None:
    knowledge = Knowledge(illegal={(Table.HOLDING, address, address + 1) for address in illegal})
    for request in plan(spans, Limits(), knowledge):
        assert not illegal & set(range(request.start, request.end))


def test_tables_never_share_a_request_and_bits_have_their_own_limit() -> None:
    spans = [Span("c", Table.COIL, n * 10, 1) for n in range(100)] + [span(0), Span("i", Table.INPUT, 0, 1)]
    requests = plan(spans, Limits(max_gap=1, max_bits=500), Knowledge())
    assert {(r.table, r.size) for r in requests} == {(Table.COIL, 491), (Table.HOLDING, 1), (Table.INPUT, 1)}
