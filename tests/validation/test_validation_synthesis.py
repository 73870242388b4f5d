"""Most exciting stimuli held to the largest response there is, and to planted tuning."""

import numpy as np
import pytest

import insilico
from insilico.validation import find_comparison, summarize, validate
from insilico.validation.gabors import fit_gabor
from insilico.validation.synthesis import describe_best

RATIO = "response / largest possible"


@pytest.fixture(scope="module")
def compared():
    """Return a validation of images, three neurons of each class."""
    return validate(simple_count=3, energy_count=3, experiments=["mei"], jobs=1)


def test_stimuli_of_images_reach_the_largest_response(compared):
    assert compared.is_met, compared.summary.to_string()
    assert set(compared.summary["cell_class"]) == {"all", "simple", "energy"}
    assert set(compared.neurons["kind"]) == {"image"}
    assert (compared.summary["count"] >= 3).all()


def test_stimuli_of_movies_reach_the_largest_response_and_drift_its_way():
    twin = insilico.SimulatedV1("movie", simple_count=1, energy_count=1, seed=1, device="cpu")
    overrides = {"controls": (), "rms_level": 5.0, "pattern_s": 0.4, "lead_s": 0.0}
    result = describe_best(insilico.synthesize(twin, "mev", overrides=overrides))

    comparison = find_comparison("mev")
    rows = comparison.compare(twin, result)

    for _, group in rows.groupby("cell_class"):
        checks = comparison.checks(group)
        assert 0.85 < checks[RATIO].item() <= 1.001
        assert checks["center error (px)"].item() < 0.5
        assert checks["direction error (deg)"].item() < 2


def test_directions_of_neurons_that_prefer_none_are_not_compared():
    twin = insilico.SimulatedV1("movie", simple_count=1, energy_count=1, device="cpu")
    blind = insilico.SimulatedV1(
        "movie", population=twin.ground_truth.assign(selectivity=0.0), device="cpu"
    )
    overrides = {"controls": (), "steps": 2, "pattern_s": 0.2, "lead_s": 0.0}
    result = describe_best(insilico.synthesize(blind, "mev", overrides=overrides))

    checks = find_comparison("mev").checks(find_comparison("mev").compare(blind, result))

    assert len(checks["direction error (deg)"]) == 0
    assert len(checks["orientation error (deg)"]) == 2


@pytest.mark.parametrize(
    ("quantity", "factor", "shift", "check"),
    [
        ("optimal_response", 0.9, 0.0, RATIO),
        ("optimal_response", 1.1, 0.0, "response above the largest possible (%)"),
        ("optimal_y_px", 1.0, 1.0, "center error (px)"),
        ("optimal_orientation_deg", 1.0, 183.0, "orientation error (deg)"),
    ],
)
def test_stimuli_that_are_wrong_are_told(compared, quantity, factor, shift, check):
    rows = compared.neurons
    wrong = rows["recovered"].where(
        rows["quantity"] != quantity, factor * rows["recovered"] + shift
    )
    summary = summarize(rows.assign(recovered=wrong))
    missed = summary[~summary["is_met"]]
    assert set(missed["check"]) == {check}
    assert set(missed["cell_class"]) == {"simple", "energy"}


@pytest.mark.parametrize("direction_deg", [20.0, 200.0, 300.0])
def test_a_gabor_that_drifts_is_found(direction_deg):
    y, x = np.mgrid[:24, :32].astype(float)
    angle = np.radians(direction_deg)
    along = (x - 14.2) * np.cos(angle) - (y - 10.6) * np.sin(angle)
    envelope = np.exp(-((x - 14.2) ** 2 + (y - 10.6) ** 2) / 2 / 3.0**2)
    turn = 0.5 * np.arange(6)[:, None, None]
    found = fit_gabor(envelope * np.cos(2 * np.pi * 0.12 * along - turn))
    assert (found.x_px, found.y_px) == pytest.approx((14.2, 10.6), abs=0.01)
    assert found.direction_deg == pytest.approx(direction_deg, abs=0.1)
    assert found.cycles_per_px == pytest.approx(0.12, rel=0.01)
    assert found.unexplained < 1e-6
