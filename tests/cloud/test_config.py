"""``cloud.yaml``: defaults, paths, and mistakes with their place."""

from pathlib import Path

import pytest

from cloud.bootstrap import Service
from cloud.config import load_config, load_site
from protocols.broker import Broker
from protocols.documents import DocumentError, load
from tests.cloud.maintenance.rul import signed

DEMO = Path(__file__).parents[2] / "firmware_configs" / "sites" / "demo" / "site.yaml"


def written(folder: Path, text: str) -> Path:
    file = folder / "cloud.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_only_the_site_is_needed(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, f"site: {DEMO}\n"))
    assert config.data == tmp_path / "data"
    assert config.database_url == f"sqlite:///{tmp_path / 'data' / 'cloud.db'}"
    assert (config.broker_address().host, config.broker_address().port) == ("127.0.0.1", 1883)
    assert load_site(config).id == "demo"


def test_paths_are_relative_to_the_file_and_secrets_in_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("right horse\n")
    for name in ("ca.pem", "c.pem", "k.pem"):
        (tmp_path / name).touch()
    text = f"""
        site: {DEMO}
        data: run/here
        database: postgresql+psycopg://onelot@db/onelot
        broker:
          host: broker.shop
          port: 8883
          username: cloud
          password_file: secret
          tls: {{ca: ca.pem, cert: c.pem, key: k.pem}}
        maintenance: {{window: 0.5, limits: {{learn: 16}}}}
        dispatch: {{solve_seconds: 2}}
    """
    config = load_config(written(tmp_path, text))
    address = config.broker_address()
    assert (address.username, address.password) == ("cloud", "right horse")
    assert address.tls is not None
    assert address.tls.ca == tmp_path / "ca.pem"
    assert config.data == tmp_path / "run" / "here"
    assert config.database_url == "postgresql+psycopg://onelot@db/onelot"


def test_keys_that_may_sign_models_are_read_before_anything_starts(tmp_path: Path) -> None:
    public = signed.public_key(tmp_path)
    (tmp_path / "other.pub").write_text("no key\n")
    text = f"site: {DEMO}\nmaintenance:\n  trusted_keys: [{public.name}, other.pub]\n"
    with pytest.raises(DocumentError) as caught:
        load_config(written(tmp_path, text))
    assert "cloud.yaml:3:35" in str(caught.value)
    assert "not a public key of Ed25519" in str(caught.value)

    config = load_config(written(tmp_path, text.replace(", other.pub", "")))
    assert config.maintenance["trusted_keys"] == [str(public)]
    assert Service(config).models.trusted == signed.TRUSTED


@pytest.mark.parametrize("broker", ["{}", "{tls: {}}", "{tls: {}, port: 2000}", "{port: 2000}"])
def test_an_edge_and_the_cloud_find_the_same_broker(tmp_path: Path, broker: str) -> None:
    address = load_config(written(tmp_path, f"site: x\nbroker: {broker}\n")).broker_address()
    (tmp_path / "edge.yaml").write_text(broker, encoding="utf-8")
    assert (address.host, address.port) == load(tmp_path / "edge.yaml", Broker).address


MISTAKES = {
    "an unknown key": ("site: x\nbrokr: {}\n", "cloud.yaml:2:1", "did you mean broker?"),
    "an unknown adapter": ("site: x\nhistory:\n  adapter: influx\n", "cloud.yaml:3:12", "influxdb"),
    "a port out of range": ("site: x\nhttp: {port: 99999}\n", "cloud.yaml:2:14", "99999"),
    "no site": ("data: here\n", "cloud.yaml:1:1", "site"),
    "an unknown setting of maintenance": (
        "site: x\nmaintenance:\n  limits: {lern: 3}\n",
        "cloud.yaml:3:",
        "did you mean learn?",
    ),
    "no database": ("site: x\ndatabase: foo\n", "cloud.yaml:2:11", "write sqlite:///path or postgresql"),
    "another database": ("site: x\ndatabase: mysql://db/x\n", "cloud.yaml:2:11", '"mysql" is not supported'),
    "influxdb without a server": (
        "site: x\nhistory: {adapter: influxdb}\n",
        "cloud.yaml:2:20",
        "add influxdb",
    ),
    "half a certificate": ("site: x\nbroker: {tls: {cert: c.pem}}\n", "cloud.yaml:2:22", "add key"),
    "no password file": (
        "site: x\nbroker: {password_file: gone}\n",
        "cloud.yaml:2:25",
        "there is no file /",
    ),
    "no authority": ("site: x\nbroker:\n  tls: {ca: gone.pem}\n", "cloud.yaml:3:13", "gone.pem"),
    "no token": (
        "site: x\nhistory: {influxdb: {url: 'http://db', token_file: gone}}\n",
        "cloud.yaml:2:52",
        "there is no file /",
    ),
    "no key of models": (
        "site: x\nmaintenance:\n  trusted_keys:\n    - gone.pem.pub\n",
        "cloud.yaml:4:7",
        "No such file",
    ),
    "a setting of the wrong kind": ("site: x\nmaintenance:\n  window: long\n", "cloud.yaml:3:", "float"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_shown_at_its_place(tmp_path: Path, case: str) -> None:
    text, place, words = MISTAKES[case]
    with pytest.raises(DocumentError) as caught:
        load_config(written(tmp_path, text))
    assert place in str(caught.value)
    assert words in str(caught.value)
