"""How machines are kept up: which rule holds, and what a wrong one hears."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from protocols.documents import DocumentError, loads
from protocols.site import Site
from protocols.site_maintenance import Maintenance, Upkeep
from tests.cloud.orders.shop import site_text

ROOT = Path(__file__).parents[2]
DEVICE = (
    "devices: [{id: m1, asset: 00000000-0000-4000-8000-000000000091, profile: a/b, "
    "url: 'modbus://127.0.0.1:5021', workcells: [laser-1]}]"
)


def site(maintenance: str) -> Site:
    text = site_text().replace("devices: []", DEVICE, 1)
    return loads(f"{text}crew: {{fitter: {{title: Fitter, heads: 1}}}}\n{maintenance}", Site, "site.yaml")


def test_the_first_rule_that_fits_holds() -> None:
    found = site(
        "maintenance:\n"
        "  default: {seconds: 10}\n"
        "  rules:\n"
        "    - {device: m1, mode: lens, seconds: 1}\n"
        "    - {kind: laser, mode: wear, seconds: 2}\n"
        "    - {kind: weld, seconds: 3}\n"
        "    - {mode: wear, seconds: 4}\n"
    )
    wanted = {("m1", "lens"): 1, ("m1", "wear"): 2, ("m1", "other"): 10, ("nobody", "wear"): 4}
    assert {key: found.upkeep(*key).seconds for key in wanted} == wanted


def test_without_the_section_the_defaults_hold() -> None:
    assert site("").upkeep("m1", "wear") == Upkeep()


@pytest.mark.parametrize(
    ("rule", "where", "words"),
    [
        ("{device: m2}", "device", "no edge has such a device.*m1"),
        ("{kind: lasre}", "kind", "no workcell is of this kind.*did you mean laser"),
        ("{needs: {fiter: 1}}", "needs.fiter", "neither crew nor tools have it.*did you mean fitter"),
        ("{needs: {fitter: 2}}", "needs.fitter", "2 are needed, and there are never more than 1"),
        ("{secnds: 60}", "secnds", "did you mean seconds"),
        ("{margin: 1.5}", "margin", "less than 1"),
    ],
)
def test_a_wrong_rule_is_named_with_its_place(rule: str, where: str, words: str) -> None:
    with pytest.raises(DocumentError) as error:
        site(f"maintenance:\n  rules:\n    - {rule}\n")
    (problem,) = error.value.problems
    assert re.search(words, str(problem)), str(problem)
    assert re.match(r"site\.yaml:\d+:\d+", str(problem))
    assert f"maintenance.rules.0.{where}".split(".")[-1] in str(problem)


def test_a_rule_that_never_holds_is_named() -> None:
    with pytest.raises(DocumentError, match="this rule never holds: rule 1 fits everything it fits"):
        site("maintenance: {rules: [{kind: laser}, {kind: laser, mode: wear}]}\n")
    with pytest.raises(DocumentError, match="the default holds for everything: make this a rule"):
        site("maintenance: {default: {kind: laser}}\n")


def test_the_example_of_the_documents_is_valid() -> None:
    (block,) = re.findall(r"```yaml\n(maintenance:.*?)```", (ROOT / "docs/cases.md").read_text(), re.DOTALL)
    found = site(block)
    assert isinstance(found.maintenance, Maintenance)
    assert found.upkeep("m1", "wear").title_zh == "更换镜片"
