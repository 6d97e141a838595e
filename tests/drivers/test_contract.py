"""The built-in drivers keep the contract that is shipped for everybody's drivers."""

from __future__ import annotations

from pathlib import Path

from drivers.profile.files import load_profile
from drivers.waveform_contract import WaveformContract

PROFILES = Path(__file__).parent / "profiles"


class TestModbus(WaveformContract):
    profile = load_profile(PROFILES / "contract-modbus.yaml")
    options = {"timeout": 0.3}  # noqa: RUF012 - never changed
    bad_address = "modbus://host:port"
    lost_within_s = 3.0


class TestOpcua(WaveformContract):
    profile = load_profile(PROFILES / "contract-opcua.yaml")
    options = {"security": "none", "watchdog": 1, "timeout": 2}  # noqa: RUF012 - never changed
    bad_address = "http://host:4840"
    lost_within_s = 8.0
