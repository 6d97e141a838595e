"""`.ci/run` brings what the tests need: one list on each side, kept equal here."""

import re
from pathlib import Path

from tests.servers import NEEDS

RUN = (Path(__file__).parents[2] / ".ci" / "run").read_text()


def test_ci_installs_every_package_a_test_can_need() -> None:
    table = re.search(r'wanted="\n(.*?)"\n', RUN, re.DOTALL)
    assert table is not None
    packages = {line.split()[1] for line in table[1].splitlines()}
    assert {need.package for need in NEEDS.values()} <= packages


def test_ci_fails_instead_of_skipping() -> None:
    steps = re.findall(r"^(export CI=true|make check|make test)\b", RUN, re.MULTILINE)
    assert steps == ["export CI=true", "make check", "make test"]
    # what failed is repeated once, alone, and a second failure counts
    assert RUN.index("make test WORKERS=0") < RUN.index('exit "$status"')
