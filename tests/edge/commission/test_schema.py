"""``onelot driver schema``."""

from __future__ import annotations

import json
from pathlib import Path

from drivers.profile.schema import schema_text
from tests.edge.commission.background import onelot_driver


def test_the_schema_is_printed_or_written_with_what_an_editor_needs(tmp_path: Path) -> None:
    assert onelot_driver("schema").stdout == schema_text()
    file = tmp_path / "profile.schema.json"
    result = onelot_driver("schema", "--out", str(file))
    assert file.read_text("utf-8") == schema_text()
    assert "# yaml-language-server: $schema=profile.schema.json" in result.stdout
    said = json.loads(onelot_driver("schema", "--out", str(file), "--json").stdout)
    assert said["settings"] == {"yaml.schemas": {str(file): "profiles/**/*.yaml"}}


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    result = onelot_driver("schema", "--out", str(tmp_path / "no" / "x.json"))
    assert (result.exit_code, "x.json: No such file" in result.stderr) == (1, True)
