"""A block as a picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from cloud.maintenance.waveforms.plot import COLUMNS, curves, draw, ticks
from tests.cloud.maintenance.waveforms.wave_answers import block

SVG = "{http://www.w3.org/2000/svg}"


def test_the_spectra_show_what_is_in_the_block() -> None:
    signal, lines, envelope = curves(block())
    assert signal.x[-1] == 0.0 and signal.x[0] == pytest.approx(-2047 / 6400, abs=3 / 6400)
    assert lines.x[max(range(len(lines.y)), key=lines.y.__getitem__)] == 25.0
    assert envelope.x[max(range(len(envelope.y)), key=envelope.y.__getitem__)] == 100.0
    assert envelope.marks == {"1×": 25.0, "bpfo": 100.0, "bpfi": 135.5}
    assert max(envelope.x) <= 12 * 25


def test_a_picture_is_svg_with_a_panel_for_each_curve() -> None:
    picture = ET.fromstring(draw(block()))  # noqa: S314 - our own text
    assert picture.tag == f"{SVG}svg"
    assert len(picture.findall(f"{SVG}polyline")) == 3
    words = [each.text for each in picture.iter(f"{SVG}text")]
    assert {"signal, m/s²", "spectrum, m/s²", "envelope, m/s²", "bpfo", "Hz", "s"} <= set(words)


def test_words_are_translated_and_signs_cannot_break_the_picture() -> None:
    chinese = {"signal": "信号"}
    shown = draw(block(path="a<b/c&d", marks={"<bpfo>": 100.0}), lambda word: chinese.get(word, word))
    picture = ET.fromstring(shown)  # noqa: S314 - our own text
    assert picture.attrib["aria-label"] == "a<b/c&d"
    words = [each.text for each in picture.iter(f"{SVG}text")]
    assert "信号, m/s²" in words and "<bpfo>" in words


def test_a_block_without_a_band_has_no_envelope_and_a_long_one_stays_small() -> None:
    shown = draw(block(length=131_072, band=(0.0, 0.0), marks={}, turns=0.0))
    picture = ET.fromstring(shown)  # noqa: S314 - our own text
    lines = picture.findall(f"{SVG}polyline")
    assert len(lines) == 2
    assert all(len(line.attrib["points"].split()) <= 2 * COLUMNS for line in lines)
    assert len(shown) < 60_000


def test_no_extreme_is_lost_by_thinning() -> None:
    long = block(length=65_536)
    (signal, *_) = curves(long)
    from protocols.waveforms.coding import values_of

    values = values_of(long)
    assert (min(signal.y), max(signal.y)) == (values.min(), values.max())
    assert list(signal.x) == sorted(signal.x)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 3200, [0, 1000, 2000, 3000]),
        (-0.32, 0, [-0.3, -0.2, -0.1, 0]),
        (-1.4, 1.3, [-1, 0, 1]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high, 4) == pytest.approx(expected)
