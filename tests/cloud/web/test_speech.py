"""Every phrase of the page has a Chinese one with the same values, and none is there for nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from cloud.api.roles import Role
from cloud.dispatching.asking.scenarios import ScenarioState
from cloud.maintenance.rul.lives import LifeState
from cloud.maintenance.rul.registry import ModelState
from cloud.web import account_dialog, acts, alarm_list, gantt, lists, page, shapes, shown
from cloud.web.chinese import CHINESE
from cloud.web.maintenance import case_sheet, model_sheet
from cloud.web.maintenance.case_form import FORMS
from cloud.web.maintenance.model_form import MODEL_FORMS
from cloud.web.planning import asked, causes, compared, expected, waits
from cloud.web.quality import quality_sheets
from cloud.web.quality.quality_form import QUALITY_FORMS
from cloud.web.speech import CHINA, ENGLISH, preferred
from protocols.inspection import Disposition
from protocols.lifecycles import CaseState, NonconformanceState, OperationState, OrderState

FOLDER = Path(page.__file__).parent
SPOKEN = {"say", "_plain", "FormError", "phrase", "AccountRefusedError"}
TABLES = {"Table", "table"}


def strings(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*strings(node.body), *strings(node.orelse))
    elif isinstance(node, ast.Tuple):
        for part in node.elts:
            yield from strings(part)


def files() -> Iterator[Path]:
    """The page, and whatever gives reasons that the page tells."""
    yield from FOLDER.rglob("*.py")
    cloud = FOLDER.parent
    yield cloud / "phrase.py"
    for folder in ("orders", "dispatching/floor", "dispatching/asking"):
        yield from (cloud / folder).glob("*.py")


def phrases() -> set[str]:
    """All that is said as it is, or stands as the head of a table."""
    found: set[str] = set()
    for file in files():
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            of_the_page = file.is_relative_to(FOLDER)
            if (
                of_the_page
                and isinstance(node, ast.Assign)
                and any(
                    isinstance(target, ast.Name) and target.id in ("heads", "_OPERATION_HEADS", "HEADS")
                    for target in node.targets
                )
            ):
                found |= set(strings(node.value))
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
            if name in SPOKEN and node.args:
                found |= set(strings(node.args[0]))
            elif not of_the_page:
                continue
            elif name == "_needed":
                found |= set(strings(node.args[1]))
            elif name in TABLES:
                found |= {text for argument in node.args for text in strings(argument)}
            elif name == "_panel":
                found |= set(strings(node.args[1]))
    found |= {
        *asked.FIELDS.values(),
        *asked.VALUES.values(),
        *map(str, OrderState),
        *map(str, OperationState),
    }
    found |= (
        {what for _, what in shown.FIGURES} | {words for _, words in gantt.LEGEND} | set(alarm_list.HEADS)
    )
    found |= {look.word for look in vars(shapes).values() if isinstance(look, shapes.Look)} | set(acts.ACTS)
    found |= {*page.PLAN_SPANS, *page.TREND_SPANS, *acts.LABELS.values(), *causes.WORDS.values()}
    found |= {phrase for both in waits.SENTENCES.values() for phrase in both} | {waits.NO_MORE}
    found |= {words for _, words in expected.LIKELY} | set(lists.ORDER_HEADS)
    found |= {*asked.KINDS.values(), *compared.ORDER_HEADS, *compared.FIGURE_HEADS}
    found |= {*compared.FATES, *compared.STATES, *map(str, ScenarioState)}
    found |= {*compared.PARTS.values(), *compared.RATES.values(), compared.NO_MONEY, compared.NOT_ALL}
    found |= {*case_sheet.BOUNDS.values(), *case_sheet.VERDICTS.values(), *case_sheet.STEPS.values()}
    found |= {*account_dialog.ROLES.values(), *map(str, Role), *case_sheet.DECLINED.values()}
    found |= {*case_sheet.LACKS.values(), case_sheet.NEVER}
    found |= {*case_sheet.REASONS.values(), *map(str, CaseState), *FORMS}
    found |= {words for form in FORMS.values() for words in (form.title, form.done)}
    found |= {
        *QUALITY_FORMS,
        *quality_sheets.EVENTS.values(),
        *map(str, Disposition),
        *map(str, NonconformanceState),
    }
    found |= {
        *model_sheet.MODEL_HEADS,
        *model_sheet.SAYS,
        *model_sheet.EVENTS.values(),
        *map(str, LifeState),
        *map(str, ModelState),
    }
    found |= {words for form in MODEL_FORMS.values() for words in (form.title, form.done)} | set(MODEL_FORMS)
    found |= {words for form in QUALITY_FORMS.values() for words in (form.title, form.done)}
    return found - {""}


def test_every_phrase_of_the_page_has_a_chinese_one() -> None:
    assert sorted(phrases() - set(CHINESE)) == []


@pytest.mark.parametrize("phrase", CHINESE)
def test_both_have_the_same_values(phrase: str) -> None:
    def fields(text: str) -> set[str | None]:
        return {name for _, name, _, _ in Formatter().parse(text) if name is not None}

    assert fields(CHINESE[phrase]) == fields(phrase)


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        (None, "", "en"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "de, en;q=0.7, zh;q=0.6", "en"),
        (None, "zh;q=0.1, en;q=0.2", "en"),
        (None, "en;q=0, zh;q=junk, *", "en"),
        ("zh", "en", "zh"),
        ("xx", "zh", "zh"),
    ],
)
def test_the_chosen_language_comes_before_what_the_browser_asks_for(
    chosen: str | None, accepted: str, language: str
) -> None:
    assert preferred(chosen, accepted).language == language


def test_codes_of_the_site_come_in_the_language_that_they_have() -> None:
    table = {"fault": "Machine fault | 机器故障", "door": "Door open"}
    assert [CHINA.code(table, code) for code in ("fault", "door", "x")] == ["机器故障", "Door open", "x"]
    assert [ENGLISH.code(table, code) for code in ("fault", "door", "x")] == [
        "Machine fault",
        "Door open",
        "x",
    ]
