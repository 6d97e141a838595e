"""The schema of product files: every product of the demo keeps it, a slip of the pen does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from ruamel.yaml import YAML

from cloud.orders.product_schema import product_schema_text
from tests.cloud.quality.shop import BRACKET

ROOT = Path(__file__).parents[3]
PRODUCTS = sorted((ROOT / "firmware_configs/sites").glob("*/products/*.yaml"))


def plain(text: str) -> Any:
    return json.loads(json.dumps(YAML(typ="safe").load(text)))


def test_the_schema_in_the_documents_is_the_one_of_the_code() -> None:
    kept = (ROOT / "docs/schemas/onelot-product.schema.json").read_text("utf-8")
    assert kept == product_schema_text(), "write it anew: onelot dispatch schema product > docs/schemas/…"


@pytest.mark.parametrize("path", PRODUCTS, ids=lambda path: path.stem)
def test_every_product_keeps_it(path: Path) -> None:
    validator = jsonschema_rs.validator_for(json.loads(product_schema_text()))
    assert validator.is_valid(plain(path.read_text("utf-8")))


def test_what_is_wrong_is_found() -> None:
    validator = jsonschema_rs.validator_for(json.loads(product_schema_text()))
    good = plain(BRACKET)
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, "operatoins": []})
    assert not validator.is_valid({**good, "operations": []})
    bend = {**good["operations"][1], "kind": 7}
    assert not validator.is_valid({**good, "operations": [bend]})
    flange = {**good["operations"][1]["inspection"][0], "on_violation": "stop"}
    assert not validator.is_valid({**good, "operations": [{**good["operations"][1], "inspection": [flange]}]})
