"""Will it be on time, and what can we promise: the page's words for ranges, shares and who is hurt."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cloud.dispatching.asking.forecast import LagForecast, OrderForecast, PromiseAnswer, PromisedEnd
from cloud.dispatching.questions.comparison import Fate
from cloud.web.planning import expected, promised
from cloud.web.sheet import Teller
from cloud.web.speech import CHINA, ENGLISH
from tests.cloud.dispatching.keeping.test_service import SITE
from tests.cloud.web.test_whatif import HOUR, LATE, LATER, NOW, news, plans

TELLER = Teller(SITE, NOW)


def forecast(**fields: Any) -> OrderForecast:
    plain: dict[str, Any] = {"order": "26-1", "last": "26-1-1-60", "due": NOW + 4 * HOUR, "chain": []}
    times = {"planned": NOW + HOUR, "expected": NOW + HOUR, "p50": NOW + HOUR, "on_time": 0.82}
    return OrderForecast(**plain | times | {"p10": NOW + HOUR, "p90": NOW + 2 * HOUR} | fields)


def test_a_range_is_told_to_the_minute_and_with_its_day_where_that_is_another() -> None:
    assert expected.between(forecast(), TELLER) == "13:00 – 14:00"
    assert expected.between(forecast(p90=NOW + 24 * HOUR), TELLER) == "13:00 – Fri 27 Nov 12:00"
    assert expected.between(forecast(p10=NOW + 24 * HOUR, p90=NOW + 25 * HOUR), TELLER) == (
        "Fri 27 Nov 12:00 – 13:00"
    )


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (1.0, "almost certainly in time (100 %)"),
        (0.82, "probably in time (82 %)"),
        (0.5, "rather in time (50 %)"),
        (0.3, "rather late (30 %)"),
        (0.1, "probably late (10 %)"),
        (0.0, "almost certainly late (0 %)"),
    ],
)
def test_how_likely_it_is_in_words(share: float, words: str) -> None:
    assert expected.likely(forecast(on_time=share), ENGLISH) == words
    assert expected.likely(forecast(on_time=share), CHINA).endswith(words[words.rindex("(") :])


def test_without_a_due_date_nothing_is_said_of_being_in_time() -> None:
    assert expected.lines(forecast(on_time=None), TELLER) == ["likely 13:00 – 14:00, eight times out of ten"]


def end(at: int, *hurt: Any) -> PromisedEnd:
    return PromisedEnd(at, [order.order for order in hurt], plans(*hurt))


def answer(**fields: Any) -> PromiseAnswer:
    plain: dict[str, Any] = {"order": "26-9", "version": 1, "seconds": 8.0, "by": None, "kept": None}
    dates = {"earliest": NOW + 3 * HOUR, "allowance": NOW + 4 * HOUR, "undisturbed": end(NOW + 3 * HOUR)}
    return PromiseAnswer(**plain | dates | {"moving": None} | fields)


def test_the_date_that_hurts_nobody_comes_first() -> None:
    told = promised.sentences(answer(), NOW + 5 * HOUR, TELLER)
    assert told == [
        "earliest without hurting anybody: 15:00:00",
        "it ends by 16:00:00 nine times out of ten: a date to promise",
        "✓ the wanted date 17:00:00 can be promised, and nobody is hurt",
    ]


def test_between_the_earliest_and_the_safe_date_there_is_no_reserve() -> None:
    told = promised.sentences(answer(), NOW + 3 * HOUR + HOUR // 2, TELLER)
    assert told[2] == "△ the wanted date 15:30:00 is possible, but without reserve"


def test_haste_names_who_is_hurt_and_by_how_much() -> None:
    told = promised.sentences(answer(by=end(NOW + HOUR, LATE, LATER), kept=True), NOW + HOUR, TELLER)
    assert told[2] == (
        "▲ the wanted date 13:00:00 can be kept: "
        "later than promised become 26-0012 by 3 h 10 min, 26-0009 by 1 h"
    )


def test_what_cannot_be_kept_says_when_it_would_end() -> None:
    told = promised.sentences(answer(by=end(NOW + 2 * HOUR), kept=False), NOW + HOUR, TELLER)
    assert told[2] == "✕ the wanted date 13:00:00 cannot be kept, it would end 14:00:00: nobody is hurt"


def test_many_that_are_hurt_are_counted() -> None:
    hurt = [news(f"26-{n}", Fate.BECOMES_LATE, NOW, NOW + HOUR, (0, 60 * n)) for n in range(1, 6)]
    told = promised.sentences(answer(by=end(NOW + HOUR, *hurt), kept=True), NOW + HOUR, TELLER)
    assert told[2].endswith("26-3 by 3 min and 2 more")


def test_where_no_gap_was_found_others_must_move() -> None:
    moving = end(NOW + 2 * HOUR, LATE)
    told = promised.sentences(
        answer(earliest=None, allowance=None, undisturbed=None, moving=moving), None, TELLER
    )
    assert told[0] == "no gap was found for it: others must move"
    assert told[1].startswith("14:00:00 if others may move as its priority earns it: later than promised")
    chinese = promised.sentences(answer(), NOW + 5 * HOUR, Teller(SITE, NOW, CHINA))
    assert chinese[0] == "不影响他人的最早完工：15:00:00"


def test_a_longest_wait_that_is_not_always_kept_is_told() -> None:
    lag = LagForecast("26-1-1-30", "26-1-1-20", 1800, 600, 2400, 0.124)
    rare = msgspec.structs.replace(lag, broken=0.004)
    found = forecast(on_time=None, lags=[lag, rare])
    assert expected.lines(found, TELLER)[1:] == [
        "△ 26-1-1-30 must follow 26-1-1-20 within 30 min: in 12 % of the cases it does not",
        "△ 26-1-1-30 must follow 26-1-1-20 within 30 min: in < 1 % of the cases it does not",
    ]
    chinese = Teller(TELLER.site, TELLER.now, CHINA)
    assert "26-1-1-30 须在 26-1-1-20 之后 30 min 内开始：12 %" in expected.lines(found, chinese)[1]
