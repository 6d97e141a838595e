"""One schema: what editors complete from, and the reference page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from drivers.profile.files import find_profiles
from drivers.profile.reference import ALL_MODELS, COMMAND, markdown
from drivers.profile.schema import profile_schema, schema_text
from drivers.registry import driver_names
from protocols.documents import read

HOUSE = Path(__file__).parents[3]
PROFILES = find_profiles(HOUSE / "firmware_configs" / "profiles")


def texts(value: Any) -> Any:
    """Plain YAML data as JSON has it: keys are text."""
    if isinstance(value, dict):
        return {str(key): texts(item) for key, item in value.items()}
    return [texts(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def validator() -> Any:
    return jsonschema_rs.validator_for(profile_schema())


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_that_comes_with_the_product_is_right_to_an_editor_as_well(
    name: str, validator: Any
) -> None:
    errors = [
        f"{e.instance_path}: {e.message}" for e in validator.iter_errors(texts(read(PROFILES[name]).data))
    ]
    assert errors == []


@pytest.mark.parametrize(
    "tags",
    [
        {"x": {"address": "holding:1", "type": "uint61"}},
        {"x": {"address": "holding:1", "type": "uint16", "scael": 2}},
        {"x": {"address": "holding:1"}},
        {"x y": {"address": "holding:1", "type": "uint16"}},
        {"x": {"address": "holding:1", "type": "uint16", "field": "OnlyOpcua"}},
    ],
)
def test_an_editor_sees_what_is_wrong_in_tags_and_templates(tags: dict[str, Any], validator: Any) -> None:
    good = {
        "vendor": "A",
        "model": "B",
        "protocol": "modbus",
        "tags": {"x": {"address": 40001, "type": "bool"}},
    }
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, "tags": tags})
    assert not validator.is_valid({**good, "tgas": {}})
    template = {"at": {"l1": 0}, "tags": {"v": {"address": "input:0", "type": "float32"}}}
    assert validator.is_valid({**good, "templates": {"phase": template}})
    template["tags"] = tags
    assert not validator.is_valid({**good, "templates": {"phase": template}})
    assert not validator.is_valid({**good, "protocol": "modbsu"})


def test_the_schema_is_plain_json_of_all_drivers() -> None:
    schema = json.loads(schema_text())
    assert schema["properties"]["protocol"]["enum"] == driver_names()
    assert {branch["then"]["$ref"] for branch in schema["allOf"]} == {
        f"#/$defs/{name}" for name in driver_names()
    }


def test_every_key_says_what_it_is_and_shows_an_example() -> None:
    missing = [
        f"{model.__name__}.{name}"
        for model in ALL_MODELS
        for name, field in model.model_fields.items()
        if not field.description or not field.examples
    ]
    assert missing == []


def test_the_reference_page_is_what_the_schema_says() -> None:
    page = (HOUSE / "docs" / "profile.md").read_text(encoding="utf-8")
    assert page == markdown(), f"docs/profile.md is not what the schema says — run {COMMAND}"
