"""Topics: what is built is parsed, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.lanes import SESSION, Down, Lane, UpTopic, checked_edge_id, down, parse_down, parse_up, up

EDGES = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)
CHANNELS = st.sampled_from([*(lane.value for lane in Lane), SESSION])


@settings(deadline=None)
@given(EDGES, CHANNELS)
def test_upward_topic_is_parsed(edge: str, channel: str) -> None:
    topic = up(edge, channel)
    assert topic == f"onelot/v1/edges/{edge}/up/{channel}"
    assert parse_up(topic) == UpTopic(edge, channel)
    assert parse_down(topic) is None


@settings(deadline=None)
@given(EDGES, st.sampled_from(Down))
def test_downward_topic_is_parsed(edge: str, kind: Down) -> None:
    topic = down(edge, kind)
    assert topic == f"onelot/v1/edges/{edge}/down/{kind.value}"
    assert parse_down(topic) is kind
    assert parse_up(topic) is None


def test_lane_stands_in_a_topic_by_its_name() -> None:
    assert up("coating", Lane.ACTIONS) == "onelot/v1/edges/coating/up/actions"


@pytest.mark.parametrize(
    "edge", ["", "+", "#", "a/b", "a b", "Ätzen", "UPPER", "a" * 33, "a\n", "a\x00", "under_score", "a.b"]
)
def test_edge_id_that_a_broker_could_misread_is_refused(edge: str) -> None:
    for build in (checked_edge_id, lambda edge: up(edge, SESSION), lambda edge: down(edge, Down.JOBS)):
        with pytest.raises(ValueError, match="rename the edge"):
            build(edge)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "onelot/v1/edges/coating/up",
        "onelot/v1/edges/coating/up/actions/more",
        "onelot/v1/edges/coating/up/unknown",
        "onelot/v1/edges/coating/sideways/actions",
        "onelot/v1/edges/+/up/actions",
        "onelot/v1/edges//up/actions",
        "onelot/v1/edges/Coating/up/actions",
        "onelot/v2/edges/coating/up/actions",
        "$share/group/onelot/v1/edges/coating/up/actions",
        "/onelot/v1/edges/coating/up/actions",
        "onelot/v1/edges/coating/down/unknown",
    ],
)
def test_other_topics_are_nobodys(topic: str) -> None:
    assert parse_up(topic) is None
    assert parse_down(topic) is None


@settings(deadline=None)
@given(st.text(alphabet="onelt/v1edgsup+#-", max_size=60))
def test_no_topic_breaks_the_parser(topic: str) -> None:
    parsed = parse_up(topic)
    assert parsed is None or up(*parsed) == topic


def test_people_come_before_machines_before_values() -> None:
    assert list(Lane) == [Lane.ACTIONS, Lane.STATES, Lane.TELEMETRY, Lane.BULK]
    assert [lane for lane in Lane if lane.ordered] == [Lane.ACTIONS, Lane.STATES]
