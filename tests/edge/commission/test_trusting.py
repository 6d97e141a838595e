"""``onelot driver trust`` against secured servers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drivers.opcua.trust import Certificate, Standing, TrustList
from tests.drivers.opcua.secure import Files, pair, secure_server
from tests.edge.commission.background import onelot_driver, serving


def fingerprint(name: str = "server") -> str:
    return Certificate.read(pair(name)[1]).fingerprint


def standings(pki: Path) -> list[Standing]:
    return [standing for standing, _ in TrustList(pki).list()]


def test_add_shows_what_to_compare_and_trusts_only_after_a_yes(tmp_path: Path) -> None:
    pki = tmp_path / "pki"
    with serving(lambda: secure_server(Files(tmp_path))) as (url, _):
        no = onelot_driver("trust", "add", url, "--pki", str(pki), answer="\n")
        assert no.exit_code == 1
        assert standings(pki) == []
        assert f"say --fingerprint {fingerprint()}" in no.stderr
        pairs = ":".join(fingerprint()[n : n + 2] for n in range(0, 64, 2))
        assert pairs in no.stdout
        assert "CN=server" in no.stdout
        assert "valid" in no.stdout

        yes = onelot_driver("trust", "add", url, "--pki", str(pki), answer="y\n")
        assert yes.exit_code == 0, yes.output
        assert f"trusted in {pki}" in yes.stdout
        assert standings(pki) == [Standing.TRUSTED]

        again = onelot_driver("trust", "add", url, "--pki", str(pki))
        assert (again.exit_code, "was trusted already" in again.stdout) == (0, True)


def test_a_fingerprint_stands_for_the_answer_and_another_one_trusts_nothing(tmp_path: Path) -> None:
    pki = tmp_path / "pki"
    with serving(lambda: secure_server(Files(tmp_path))) as (url, _):
        wrong = onelot_driver("trust", "add", url, "--pki", str(pki), "--fingerprint", "0" * 64)
        assert (wrong.exit_code, standings(pki)) == (1, [])
        assert f"it shows {fingerprint()} — nothing was trusted" in wrong.stderr
        short = onelot_driver("trust", "add", url, "--pki", str(pki), "--fingerprint", fingerprint()[:15])
        assert (short.exit_code, standings(pki)) == (1, [])
        assert "15 digits, 16 are the least" in short.stderr
        empty = onelot_driver("trust", "add", url, "--pki", str(pki), "--fingerprint", ":", "--json")
        assert (empty.exit_code, standings(pki)) == (1, [])
        right = onelot_driver(
            "trust", "add", url, "--pki", str(pki), "--json", "--fingerprint", fingerprint().lower()
        )
        assert right.exit_code == 0, right.output
        said = json.loads(right.stdout)
        assert (said["sha256"], said["trusted"], said["findings"]) == (fingerprint(), True, [])


def test_what_is_wrong_with_a_certificate_is_said_before_the_question(tmp_path: Path) -> None:
    identity = pair("old", uri="urn:other", ends=-0.5)
    with serving(lambda: secure_server(Files(tmp_path), identity=identity)) as (url, _):
        shown = onelot_driver("trust", "add", url, "--pki", str(tmp_path / "pki"), answer="n\n")
    assert "attention  it expired on" in shown.stdout
    assert "attention  it is for the application urn:other" in shown.stdout


def test_list_and_remove(tmp_path: Path) -> None:
    trusted = TrustList(tmp_path)
    trusted.add(pair("one")[1])
    trusted.reject(pair("two")[1])
    listed = onelot_driver("trust", "list", "--pki", str(tmp_path)).stdout
    assert "trusted  one" in listed
    assert "rejected  two" in listed
    assert f"1 trusted, 1 rejected in {tmp_path}" in listed
    rows = json.loads(onelot_driver("trust", "list", "--pki", str(tmp_path), "--json").stdout)
    assert [row["standing"] for row in rows["certificates"]] == ["trusted", "rejected"]

    unclear = onelot_driver("trust", "remove", "00000000", "--pki", str(tmp_path))
    assert unclear.exit_code == 1
    assert fingerprint("one")[:16] in unclear.stderr
    gone = onelot_driver("trust", "remove", fingerprint("one")[:8], "--pki", str(tmp_path))
    assert "one" in gone.stdout
    assert standings(tmp_path) == [Standing.REJECTED]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("opc.tcp://127.0.0.1:9", "connection refused — check the port"),
        ("modbus://127.0.0.1:9", "is not an OPC UA address"),
    ],
)
def test_a_server_that_is_not_there_is_one_line(tmp_path: Path, url: str, why: str) -> None:
    result = onelot_driver("trust", "add", url, "--pki", str(tmp_path))
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert why in result.stderr
