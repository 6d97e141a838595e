"""The files that the page on dispatching shows are good ones, and its list of causes is that of the code."""

import re
from pathlib import Path

import pytest

from cloud.dispatching.floor import decisions
from cloud.dispatching.keeping import causes
from cloud.orders.articles import load_products
from cloud.orders.products import Product
from protocols.documents import loads
from protocols.site import Site
from tests.cloud.orders.shop import site_text

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "dispatching.md").read_text("utf-8")


def block(name: str) -> str:
    found = re.findall(rf"```yaml\n# {re.escape(name)}\n(.*?)```", PAGE, re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def test_the_files_can_be_read(tmp_path: Path) -> None:
    shown = block("site.yaml, in part")
    (tmp_path / "frame.yaml").write_text(block("products/frame.yaml"))
    lines = [line for line in site_text().splitlines() if not line.startswith(("calendar:", "transport:"))]
    lines = [
        f"products: [{tmp_path / 'frame.yaml'}]" if line.startswith("products:") else line for line in lines
    ]
    site = loads("\n".join(lines) + "\n" + shown, Site, "site.yaml")
    assert site.shared() == {"welding": 2, "fixture": 3}
    assert site.calendar.holidays["2026-12-25"] == "Christmas Day"
    (product,) = load_products(tmp_path / "site.yaml", site)
    assert isinstance(product, Product)


@pytest.mark.parametrize("kind", list(decisions.Kind))
def test_every_kind_of_decision_is_told(kind: decisions.Kind) -> None:
    assert f"| `{kind}` |" in PAGE


def test_every_cause_is_told() -> None:
    sources = [
        ROOT / "cloud/dispatching" / name
        for name in ("keeping/causes.py", "keeping/service.py", "asking/scenarios.py")
    ]
    code = "".join(source.read_text("utf-8") for source in sources)
    kinds = set(re.findall(r'Cause\(\s*"(\w+)"', code)) | causes.DECIDED
    assert len(kinds) > 20
    table = PAGE[PAGE.index("### Why there is a new plan") :].split("\n## ")[0]
    told = {
        word
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for word in re.findall(r"`(\w+)`", row)
    }
    assert told == kinds
