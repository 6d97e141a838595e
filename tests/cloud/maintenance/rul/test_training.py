"""Training: what is refused, that whole assets are left out, that the file scores as scikit-learn does."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from cloud.maintenance.rul import boosted, conformal, fusion, regime_search
from cloud.maintenance.rul.boosted import Growth
from cloud.maintenance.rul.runs import Fleet, Run, TrainingRefusedError
from cloud.maintenance.rul.training import Choices, folds, gather, shares, train, usual_horizon
from protocols.prognostics import model_file
from protocols.prognostics.model import Model, Prognoser
from protocols.prognostics.trees import Scorer
from tests.cloud.maintenance.rul import worn

QUICK = Choices(horizon=50.0, growth=Growth(max_iter=15, learning_rate=0.2), members=2)


@pytest.fixture(scope="module")
def model() -> Model:
    return train(worn.fleet(), QUICK, at=1_790_000_000_000_000)


def test_a_model_knows_its_fleet(model: Model) -> None:
    assert model.signals == ("vibration", "temperature", "current")  # the constant one says nothing
    assert len(model.regimes.centres) == 2
    assert (model.training.assets, model.unit, model.horizon) == (14, "h", 50.0)
    assert 0 < model.validation.rmse_capped < 12
    assert len(model.ensembles) == 2


def test_training_again_gives_the_same_file(model: Model) -> None:
    again = train(worn.fleet(), QUICK, at=1_790_000_000_000_000)

    assert model_file.write(again) == model_file.write(model)


def test_it_scores_a_new_asset_by_its_wear_and_names_the_signal(model: Model) -> None:
    prognoser = Prognoser(model)
    run = worn.run("press-99", 99)
    history, lives = prognoser.new(), []
    for conditions, values in zip(run.conditions.tolist(), run.values[:, :3].tolist(), strict=True):
        prognoser.take(history, conditions, values)
        lives.append(prognoser.prognosis(history))

    assert lives[-1].life < 12 < lives[15].life
    assert lives[-1].upper is not None
    assert prognoser.evidence(history)[0].signal == "vibration"
    assert prognoser.evidence(history)[0].life < 0


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_features_of_training_and_scoring_are_one(missing: float) -> None:
    """Rows gathered for training are those of scoring, and the trees give scikit-learn's value for them."""
    fleet = worn.fleet(10, missing=missing)
    made = train(fleet, QUICK, at=0)
    chosen = fleet.choose([0, 1, 2])
    rows = gather(made, chosen.runs, 50.0, lambda _: None)
    dealt = shares(np.ones(len(rows.truth), bool), rows.features.shape[1], QUICK)
    predicted = []
    for member, share in enumerate(dealt):
        blank = boosted.regressor(QUICK.growth.for_rows(len(share.rows)), QUICK.seed + member)
        fitted = blank.fit(rows.features[np.ix_(share.rows, share.features)], rows.truth[share.rows])
        assert boosted.ensemble(fitted, share.features.tolist()) == made.ensembles[member]
        predicted.append(boosted.raw_sums(fitted, rows.features[:, share.features]))
    scorers = [Scorer(ensemble, rows.features.shape[1]) for ensemble in made.ensembles]
    assert [[scorer(row) for row in rows.features.tolist()] for scorer in scorers] == np.array(
        predicted
    ).tolist()

    prognoser, at = Prognoser(made), 0
    for run in chosen.runs[:3]:
        history = prognoser.new()
        for conditions, values in zip(run.conditions.tolist(), run.values.tolist(), strict=True):
            prognoser.take(history, conditions, values)
            row = prognoser.row(history)
            assert np.array_equal(row, rows.features[at], equal_nan=True)
            at += 1


def test_a_fold_holds_whole_runs_and_every_run_once() -> None:
    run = np.repeat(np.arange(23), 7)
    fold = folds(run, seed=3)

    assert all(len(set(fold[run == number])) == 1 for number in range(23))
    sizes = [len(set(run[fold == number])) for number in range(5)]
    assert sorted(sizes) == [4, 4, 5, 5, 5]


def test_rows_and_features_are_dealt_out_to_the_members_and_the_age_to_all() -> None:
    kept = np.repeat([True, False, True], [9, 4, 8])
    first, second = shares(kept, 12, QUICK)

    assert sorted([*first.rows, *second.rows]) == np.flatnonzero(kept).tolist()
    assert first.rows[:5].tolist() == [0, 2, 4, 6, 8]
    assert sorted([*first.features, *second.features]) == [0, *range(12)]
    assert first.features[0] == second.features[0] == 0
    assert abs(len(first.features) - len(second.features)) <= 1
    (alone,) = shares(kept, 12, Choices(members=1))
    assert alone.rows.tolist() == np.flatnonzero(kept).tolist()
    assert alone.features.tolist() == [*range(12)]


def test_fewer_than_ten_failures_are_refused() -> None:
    with pytest.raises(TrainingRefusedError, match="presses: 9 run-to-failures, 10 are wanted"):
        train(worn.fleet(9), QUICK, at=0)


def test_runs_that_are_too_short_do_not_count() -> None:
    fleet = worn.fleet(10)
    short = Run("short", fleet.runs[0].conditions[:5], fleet.runs[0].values[:5])
    with pytest.raises(
        TrainingRefusedError, match=r"9 run-to-failures \(1 more have fewer than 20 samples\)"
    ):
        train(msgspec_replace(fleet, (short, *fleet.runs[1:])), QUICK, at=0)


def test_data_of_one_class_are_refused() -> None:
    censored = tuple(worn.run(f"press-{n}", n, failed=False) for n in range(30))
    with pytest.raises(
        TrainingRefusedError, match="none of 30 runs ended in a failure: there is only one class"
    ):
        train(msgspec_replace(worn.fleet(), censored), QUICK, at=0)


def test_runs_that_did_not_fail_teach_no_life() -> None:
    fleet = worn.fleet(12)
    mixed = msgspec_replace(fleet, (*fleet.runs, worn.run("spare", 77, failed=False)))

    assert len(mixed.failures().runs) == 12


def msgspec_replace(fleet: Fleet, runs: tuple[Run, ...]) -> Fleet:
    return Fleet(fleet.source, fleet.unit, fleet.conditions, fleet.signals, runs)


def test_the_usual_horizon_follows_the_runs() -> None:
    assert usual_horizon(worn.fleet()) == pytest.approx(0.6 * 65, rel=0.3)


def test_six_settings_are_six_regimes_and_a_continuum_is_one() -> None:
    rng = np.random.default_rng(1)
    centres = np.array(
        [[0, 0, 100], [10, 0.25, 100], [20, 0.7, 100], [25, 0.62, 60], [35, 0.84, 100], [42, 0.84, 100]]
    )
    at = rng.integers(0, 6, 3000)
    settings = centres[at] + rng.normal(0, 1e-3, (3000, 3))
    values = np.column_stack([at * 10.0 + rng.normal(0, 1, 3000)])
    regimes, _ = regime_search.find(settings, values, 0)
    assert len(regimes.centres) == 6
    assert all(spread == pytest.approx(1.0, abs=0.15) for (spread,) in regimes.spreads)
    assert regimes.regime([5.0, 0.1, 80.0]) is None

    smooth, _ = regime_search.find(rng.uniform(0, 1, (3000, 2)), values, 0)
    assert len(smooth.centres) == 1
    none, _ = regime_search.find(np.zeros((3000, 0)), values, 0)
    assert none.regime([]) == 0


def test_a_constant_condition_does_not_part_regimes() -> None:
    rng = np.random.default_rng(2)
    settings = np.column_stack([np.full(500, 100.0), rng.normal(0, 1e-3, 500)])
    regimes, varying = regime_search.find(settings, rng.normal(0, 1, (500, 2)), 0)

    assert len(regimes.centres) == 1
    assert varying == [0, 1]


def test_mixes_point_where_signals_move_together() -> None:
    fleet = worn.fleet().choose([0, 1, 2])
    conditions, values, _ = fleet.stacked()
    regimes, _ = regime_search.find(conditions, values, 0)
    ((vibration, temperature, current),) = fusion.directions(regimes, fleet.runs, 1)

    assert vibration > 0.6
    assert temperature > 0.3
    assert abs(current) < 0.2
    assert fusion.directions(regimes, fleet.runs, 0) == ()


def test_intervals_cover_new_data_about_as_often_as_they_say() -> None:
    """Spread that grows with the life: each bin gets the width it needs."""
    rng = np.random.default_rng(5)
    truth = rng.uniform(0, 125, 8000)
    predicted = np.clip(truth + rng.normal(0, 1, 8000) * (2 + truth / 10), 0, 125)
    intervals = conformal.calibrate(predicted[:4000], truth[:4000], 0.9)
    lower, upper = conformal.bounds(intervals, predicted[4000:], 125.0)
    coverage, _ = conformal.covered(lower, upper, truth[4000:])

    assert 0.88 <= coverage <= 0.92
    near, far = predicted[4000:] < 25, predicted[4000:] > 90
    assert (upper - lower)[near].mean() < 0.6 * (upper - lower)[far].mean()


def test_calibration_on_next_to_nothing_is_wide_rather_than_wrong() -> None:
    few = conformal.calibrate(np.array([10.0, 20.0]), np.array([15.0, 12.0]), 0.9)

    assert (few.edges, few.below, few.above) == ((), (-8.0,), (5.0,))


def test_a_written_model_is_small_enough_to_send(model: Model, tmp_path: Path) -> None:
    file = tmp_path / "model.json"
    file.write_bytes(model_file.write(model))

    assert file.stat().st_size < 200_000
    assert model_file.read(file.read_bytes(), "model.json", None) == model
    assert msgspec.json.decode(file.read_bytes())["onelot_model"] == 1
