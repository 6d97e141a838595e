"""A model: regimes, bounds, evidence, replays; its file: whole, signed, and refused for a single byte."""

from __future__ import annotations

import math
import random
from math import inf, nan

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.prognostics import model_file
from protocols.prognostics.features import History
from protocols.prognostics.intervals import Intervals
from protocols.prognostics.model import Model, Prognoser, Prognosis
from protocols.prognostics.model_file import ModelRefusedError
from protocols.prognostics.regimes import LIMIT, Regimes
from tests.protocols.prognostics import grown

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
TRUSTED = {model_file.key_id(PUBLIC): PUBLIC}


def samples(count: int, seed: int = 2) -> list[tuple[list[float], list[float]]]:
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        fast = rng.random() < 0.5
        values = (
            [rng.gauss(2, 0.3), rng.gauss(60, 4), rng.gauss(9, 1)]
            if fast
            else [rng.gauss(1, 0.1), rng.gauss(40, 2), nan if rng.random() < 0.1 else rng.gauss(5, 0.5)]
        )
        found.append(([3000.0 if fast else 1000.0], values))
    return found


def test_replaying_stored_samples_gives_the_same_prognosis_bit_for_bit() -> None:
    first = Prognoser(grown.model())
    file = model_file.write(grown.model(), KEY)
    again = Prognoser(model_file.read(file, "spindle.json", TRUSTED))
    told, replayed = first.new(), again.new()
    for conditions, values in samples(150):
        first.take(told, conditions, values)
        again.take(replayed, conditions, values)
        assert first.prognosis(told) == again.prognosis(replayed)
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(told), type=History)
    assert again.prognosis(stored) == first.prognosis(told)


def test_a_sample_is_measured_in_its_own_regime() -> None:
    regimes = grown.model().regimes

    assert (regimes.regime([1010.0]), regimes.regime([2990.0])) == (0, 1)
    assert regimes.normalised(0, [1.1, 38.0, 5.0]) == pytest.approx([1.0, -1.0, 0.0])
    assert regimes.normalised(1, [2.2, 57.0, 9.0]) == pytest.approx([1.0, -1.0, 0.0])


@pytest.mark.parametrize("speed", [1500.0, -1e9, nan, inf])
def test_an_unseen_regime_ages_the_asset_and_says_nothing_else(speed: float) -> None:
    prognoser = Prognoser(grown.model())
    history = prognoser.new()

    assert prognoser.take(history, [speed], [1.0, 40.0, 5.0]) is None
    assert history.age == 1
    assert all(life.count == 0 for life in history.lives)


def test_a_mix_leaves_out_what_is_missing_until_that_is_half_of_it() -> None:
    prognoser = Prognoser(grown.model())

    def mixed(*values: float) -> float:
        history = prognoser.new()
        prognoser.take(history, [1000.0], values)
        return history.recent[3][0]

    assert mixed(1.1, 42.0, 5.5) == pytest.approx(0.8 + 0.6 + 0.1)
    assert mixed(1.1, nan, 5.5) == pytest.approx(0.8 + 0.1)
    assert math.isnan(mixed(nan, 42.0, 5.5))


def test_broken_values_are_missing_and_wild_ones_limited() -> None:
    row = grown.model().regimes.normalised(0, [inf, 1e300, nan])

    assert row[0] != row[0]
    assert row[1] == LIMIT
    assert row[2] != row[2]


def test_a_life_and_its_bounds_stay_between_nothing_and_the_horizon() -> None:
    prognoser = Prognoser(grown.model())
    history = prognoser.new()
    for conditions, values in samples(300, seed=9):
        prognoser.take(history, conditions, values)
        found = prognoser.prognosis(history)
        assert 0 <= found.lower <= found.life <= 125
        assert found.upper is None or found.life <= found.upper < 125


def test_an_upper_bound_at_the_horizon_is_not_told() -> None:
    model = grown.model()
    sure = Prognoser(
        msgspec.structs.replace(
            model, ensembles=(msgspec.structs.replace(model.ensembles[0], baseline=50.0, trees=()),)
        )
    )

    assert sure.prognosis(sure.new()) == Prognosis(50.0, 35.0, 64.0)
    far = Prognoser(
        msgspec.structs.replace(
            model, ensembles=(msgspec.structs.replace(model.ensembles[0], baseline=90.0, trees=()),)
        )
    )
    assert far.prognosis(far.new()) == Prognosis(90.0, 60.0, None)


def test_evidence_names_signals_strongest_first() -> None:
    prognoser = Prognoser(grown.model())
    history = prognoser.new()
    for conditions, values in samples(60):
        prognoser.take(history, conditions, values)
    evidence = prognoser.evidence(history)

    assert {one.signal for one in evidence} == {"vibration", "temperature", "current"}
    assert [abs(one.life) for one in evidence] == sorted((abs(one.life) for one in evidence), reverse=True)


def test_a_file_comes_back_as_the_same_model() -> None:
    model = grown.model()

    assert model_file.read(model_file.write(model, KEY), "spindle.json", TRUSTED) == model
    assert model_file.read(model_file.write(model), "spindle.json", None) == model
    assert model_file.write(model, KEY) == model_file.write(grown.model(), KEY)


def test_a_file_altered_by_one_byte_is_refused_wherever_it_is() -> None:
    """Every byte of the head, and every tenth of the rest; each bit of it in turn."""
    file = model_file.write(grown.model(trees=3), KEY)
    for at in [*range(300), *range(300, len(file), 10)]:
        changed = bytearray(file)
        changed[at] ^= 1 << (at % 8)
        with pytest.raises(ModelRefusedError, match=r"spindle\.json"):
            model_file.read(bytes(changed), "spindle.json", TRUSTED)


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_part_of_a_file_is_refused(cut: int) -> None:
    with pytest.raises(ModelRefusedError, match="not a model file of OneLot, or damaged"):
        model_file.read(model_file.write(grown.model(), KEY)[:cut], "spindle.json", TRUSTED)


def test_a_file_in_another_form_is_refused() -> None:
    with pytest.raises(ModelRefusedError, match="its form was changed"):
        model_file.read(model_file.write(grown.model(), KEY) + b"\n", "spindle.json", TRUSTED)


def test_a_changed_model_says_that_it_was_changed() -> None:
    file = model_file.write(grown.model(), KEY).replace(b'"horizon":125.0', b'"horizon":126.0')

    with pytest.raises(ModelRefusedError, match="changed after it was written"):
        model_file.read(file, "spindle.json", None)


def test_who_may_sign_is_asked() -> None:
    model = grown.model()
    stranger = model_file.write(model, Ed25519PrivateKey.from_private_bytes(bytes(32)))

    with pytest.raises(ModelRefusedError, match=f"trusted here: {model_file.key_id(PUBLIC)}"):
        model_file.read(stranger, "spindle.json", TRUSTED)
    with pytest.raises(ModelRefusedError, match="not signed"):
        model_file.read(model_file.write(model), "spindle.json", TRUSTED)
    with pytest.raises(ModelRefusedError, match="trusted here: none"):
        model_file.read(stranger, "spindle.json", {})


def test_a_signature_of_another_model_does_not_fit() -> None:
    one, other = model_file.write(grown.model(1), KEY), model_file.write(grown.model(2), KEY)
    decoded = [msgspec.json.decode(file, type=model_file._File) for file in (one, other)]
    mixed = msgspec.json.encode(msgspec.structs.replace(decoded[0], signature=decoded[1].signature))

    with pytest.raises(ModelRefusedError, match="is wrong"):
        model_file.read(mixed, "spindle.json", TRUSTED)


def test_another_format_says_what_to_do() -> None:
    file = model_file.write(grown.model(), KEY).replace(b'"onelot_model":1', b'"onelot_model":2')

    with pytest.raises(ModelRefusedError, match="written in format 2, this version of OneLot reads 1"):
        model_file.read(file, "spindle.json", TRUSTED)


def replaced(**changes: object) -> bytes:
    return model_file.write(msgspec.structs.replace(grown.model(), **changes), KEY)


def test_a_signed_model_that_contradicts_itself_is_refused() -> None:
    model = grown.model()
    wide = msgspec.structs.replace(
        model, plan=msgspec.structs.replace(model.plan, features=model.plan.features[:2])
    )

    with pytest.raises(ModelRefusedError, match=r"contradicts itself.*the row has 2"):
        model_file.read(model_file.write(wide, KEY), "spindle.json", TRUSTED)
    with pytest.raises(ValueError, match="2 signals, but regimes for 3"):
        replaced(signals=("a", "b"))
    with pytest.raises(ValueError, match="0 conditions"):
        replaced(conditions=())
    with pytest.raises(ValueError, match="a mix of another number"):
        replaced(mixes=((1.0,),))


@pytest.mark.parametrize(
    ("edges", "below", "above", "said"),
    [
        ((1.0,), (0.0,), (1.0,), "want 2 bins"),
        ((2.0, 1.0), (0.0,) * 3, (1.0,) * 3, "do not ascend"),
        ((), (2.0,), (1.0,), "above its upper one"),
    ],
)
def test_impossible_intervals_are_refused(
    edges: tuple[float, ...], below: tuple[float, ...], above: tuple[float, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Intervals(0.9, edges, below, above)


def test_impossible_regimes_are_refused() -> None:
    with pytest.raises(ValueError, match="not above 0"):
        Regimes((1.0,), 1.0, ((0.0,),), ((0.0,),), ((0.0,),))
    with pytest.raises(ValueError, match="at least one"):
        Regimes((), 1.0, (), (), ())


def test_a_model_of_nonsense_types_is_refused() -> None:
    body = msgspec.json.encode({"name": 1})
    with pytest.raises(ModelRefusedError):
        model_file.read(b'{"onelot_model":1,"model":' + body + b"}", "x", None)
    with pytest.raises(ValueError, match="without trees"):
        msgspec.structs.replace(grown.model(), ensembles=())


def test_models_are_equal_only_when_all_is() -> None:
    assert grown.model(1) != grown.model(2)
    assert isinstance(grown.model(1), Model)
