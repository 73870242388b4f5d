"""Receptive fields from still noise as published, from gradients, and fits that are none."""

import numpy as np
import pandas as pd
import pytest
import torch

import insilico
from insilico.errors import ProtocolError, ShapeError, StimulusError
from insilico.experiments import find_experiment, read_protocol
from insilico.experiments.published_fields import fit_published, published_table
from insilico.experiments.retinotopy_protocol import RetinotopyProtocol
from insilico.fits.gaussian import evaluate_gaussian
from insilico.stimuli import white_noise
from insilico.validation import compare_retinotopy, summarize

STATISTICS = insilico.Statistics(stimulus_mean=127.0, stimulus_std=60.0)
PUBLISHED = {"image_count": 1500, "lead_s": 1.0}
GRADIENT = {"gradient_count": 24}


def small(kind, simple=5, energy=5):
    return insilico.SimulatedV1(kind, simple_count=simple, energy_count=energy, seed=3)


def ask(twin, variant, overrides, **options):
    return insilico.run(
        "retinotopy",
        twin,
        protocol=f"retinotopy-{variant}",
        overrides=overrides,
        jobs=1,
        **options,
    )


def check(twin, result, name, cell_class):
    summary = summarize(compare_retinotopy(twin, result))
    rows = summary[(summary["check"] == name) & (summary["cell_class"] == cell_class)]
    return rows["value"].item()


@pytest.fixture(scope="module")
def image_gradient():
    twin = small("image")
    return twin, ask(twin, "gradient", {})


@pytest.fixture(scope="module")
def still_movie():
    twin = small("movie")
    return twin, ask(twin, "published", PUBLISHED)


def test_gradients_give_centers_and_widths_of_image_cells(image_gradient):
    twin, result = image_gradient
    for cell_class in ("simple", "energy"):
        assert check(twin, result, "center error (px)", cell_class) <= 0.1
        assert check(twin, result, "width error (%)", cell_class) <= 3
    used = {"simple": "linear", "energy": "energy"}
    assert list(result.neurons["map_used"]) == list(twin.ground_truth["cell_class"].map(used))
    assert (result.neurons["status"] == "ok").all()


def test_gradients_give_centers_and_widths_of_movie_cells():
    twin = small("movie", simple=3, energy=3)
    result = ask(twin, "gradient", GRADIENT)
    for cell_class in ("simple", "energy"):
        assert check(twin, result, "center error (px)", cell_class) <= 0.1
        assert check(twin, result, "width error (%)", cell_class) <= 5


def test_a_stopped_gradient_measurement_goes_on(image_gradient, tmp_path, monkeypatch):
    twin, whole = image_gradient
    ask_twin, calls = find_experiment("retinotopy").ask, []

    def stopped(self, *arguments, **options):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return ask_twin(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(type(find_experiment("retinotopy")), "ask", stopped)
        with pytest.raises(KeyboardInterrupt):
            ask(twin, "gradient", {}, out=tmp_path / "run")
    again = ask(twin, "gradient", {}, out=tmp_path / "run")
    pd.testing.assert_frame_equal(again.neurons, whole.neurons)
    assert again.provenance["stimulus_id"] == whole.provenance["stimulus_id"]


def test_some_neurons_alone_have_the_gradients_they_have_among_all(image_gradient):
    twin, whole = image_gradient
    some = ask(twin, "gradient", {}, neurons=[7, 2])
    np.testing.assert_allclose(
        some.arrays["linear_map"], whole.arrays["linear_map"].isel(neuron=[7, 2]), atol=1e-7
    )


def test_low_contrast_noise_differentiates_about_gray():
    twin = small("image", simple=1, energy=0)
    question = find_experiment("retinotopy")
    protocol = read_protocol(
        RetinotopyProtocol,
        "retinotopy-gradient",
        overrides={"noise_contrast": 0.1},
        experiment="retinotopy",
    )
    frames = question.stimuli(protocol, twin.screen(), "image").render(range(64))
    assert frames.min() == 115
    assert frames.max() == 140


class OnePixel(torch.nn.Module):
    """A neuron that looks at one pixel, and one that is given in terms of the first."""

    def __init__(self, second):
        super().__init__()
        self.second = second

    def forward(self, stimulus):
        seen = stimulus[:, 0, 18, 30]
        return torch.stack([seen, self.second(seen)], dim=1)


class CutOff(torch.nn.Module):
    """Answers without a way back to the stimulus."""

    def forward(self, stimulus):
        return stimulus.detach().mean((1, 2, 3))[:, None]


@pytest.mark.parametrize(
    ("second", "status"),
    [(lambda seen: 0 * seen, "silent"), (lambda seen: seen * float("inf"), "not_finite")],
)
def test_neurons_without_a_gradient_are_rows_with_a_status(second, status):
    twin = insilico.Twin(OnePixel(second), statistics=STATISTICS)
    table = ask(twin, "gradient", GRADIENT).neurons
    assert table["status"][1] == status
    assert np.isnan(table["x_px"][1])


def test_a_model_that_cannot_be_differentiated_is_refused():
    twin = insilico.Twin(CutOff(), statistics=STATISTICS)
    with pytest.raises(StimulusError, match="cuts its responses off from the stimulus"):
        ask(twin, "gradient", GRADIENT)


def test_responses_are_no_gradients():
    twin = small("image", simple=1, energy=0)
    question = find_experiment("retinotopy")
    protocol = read_protocol(
        RetinotopyProtocol, "retinotopy-gradient", overrides=GRADIENT, experiment="retinotopy"
    )
    responses = twin.respond(question.stimuli(protocol, twin.screen(), "image"))
    with pytest.raises(ShapeError, match="only a twin has gradients"):
        question.analyze(responses, protocol, screen=twin.screen())


@pytest.mark.parametrize(
    "overrides", [{"presentation": "still"}, {"compatibility": True}, {"gradient_count": 2}]
)
def test_a_gradient_of_something_else_is_refused(overrides):
    with pytest.raises(ProtocolError, match="gradient"):
        ask(small("image", 1, 0), "gradient", overrides)


def test_still_images_give_movie_cells_their_fields(still_movie):
    twin, result = still_movie
    assert check(twin, result, "center error (px)", "simple") <= 0.5
    assert check(twin, result, "center error (px)", "energy") <= 0.5
    assert result.provenance["trials"] == 1500
    assert result.arrays.sizes["lag_s"] == 1


def test_gray_after_still_noise_changes_nothing(still_movie):
    twin, _ = still_movie
    question = find_experiment("retinotopy")
    protocol = read_protocol(
        RetinotopyProtocol, "retinotopy-published", overrides=PUBLISHED, experiment="retinotopy"
    )
    stimuli = question.stimuli(protocol, twin.screen(), "movie")
    frames = stimuli.render(range(3))
    tail = np.full((3, 135, *twin.screen().shape), twin.screen().gray, np.uint8)
    longer = twin.respond(np.concatenate([frames, tail], axis=1), window=(30, 60)).values
    np.testing.assert_allclose(longer, twin.respond(stimuli, window=(30, 60)).values[:3], atol=1e-5)


def test_the_published_map_is_the_sum_of_responses_times_noise():
    twin = small("movie", simple=2, energy=0)
    overrides = {"image_count": 40, "lead_s": 1.0}
    result = ask(twin, "published", overrides)
    noise = white_noise(twin.screen(), seed=(1234, 7), trials=range(40))
    gray = np.full((40, 30, *twin.screen().shape), twin.screen().gray, np.uint8)
    shown = np.concatenate([gray, np.repeat(noise[:, None], 30, axis=1)], axis=1)
    responses = twin.respond(shown, window=(30, 60)).values.sum(axis=2)
    expected = np.einsum("tn,tyx->nyx", responses.astype(float), noise / 255)
    np.testing.assert_allclose(result.arrays["published_map"], expected, rtol=1e-4)


def test_published_fits_find_what_lies_in_the_middle_and_say_what_fails():
    table = pd.DataFrame(
        {
            "amplitude": [5.0, 5.0],
            "x_px": [30.0, 40.0],
            "y_px": [16.0, 20.0],
            "sigma_major_px": [4.0, 5.0],
            "sigma_minor_px": [3.0, 3.0],
            "angle_deg": [0.0, 0.0],
            "offset": 0.0,
        }
    )
    maps = np.concatenate([evaluate_gaussian(table, (36, 64)), np.full((1, 36, 64), 2.0)])
    fits = fit_published(maps, seed=1)
    np.testing.assert_allclose(fits["center_x"][:2], [30, 40], atol=0.3)
    np.testing.assert_allclose(fits["center_y"][:2], [16, 20], atol=0.3)
    neurons = pd.DataFrame({"mouse": "a", "neuron": range(3)})
    assert list(published_table(fits, neurons)["bad_fit"]) == [False, False, True]


def test_the_widest_published_fits_are_called_bad():
    rng = np.random.default_rng(0)
    names = ["amplitude", "center_x", "center_y", "sigma_x", "sigma_y", "theta", "offset"]
    fits = pd.DataFrame(rng.normal(size=(40, 7)), columns=names)
    fits.loc[[3, 5], "sigma_x"] = 300.0
    fits.loc[[3, 8], "sigma_y"] = 300.0
    fits.loc[11, "sigma_x"] = -300.0
    neurons = pd.DataFrame({"mouse": "a", "neuron": range(40)})
    bad = published_table(fits, neurons)["bad_fit"]
    assert list(np.flatnonzero(bad)) == [3, 5, 8]


class DiscAndGrating(torch.nn.Module):
    """A neuron that looks through one disc, and one that looks through many stripes."""

    def __init__(self):
        super().__init__()
        y, x = torch.meshgrid(torch.arange(36.0), torch.arange(64.0), indexing="ij")
        disc = torch.exp(-((x - 40) ** 2 + (y - 12) ** 2) / 18)
        stripes = torch.exp(-((x - 32) ** 2 + (y - 17) ** 2) / 200) * torch.cos(x - 32)
        fields = torch.stack([disc / disc.norm(), stripes / stripes.norm()])
        self.fields = torch.nn.Parameter(fields)

    def forward(self, stimulus):
        return torch.einsum("tyx,nyx->tn", stimulus[:, 0], self.fields)


@pytest.mark.parametrize("variant", ["", "-gradient"])
def test_a_field_of_another_shape_is_a_poor_fit(variant):
    twin = insilico.Twin(DiscAndGrating(), statistics=STATISTICS)
    overrides = {"image_count": 4000, "gradient_count": 8}
    table = insilico.run(
        "retinotopy", twin, protocol=f"retinotopy{variant}", overrides=overrides, jobs=1
    ).neurons
    assert list(table["status"]) == ["ok", "poor_fit"]
    assert table["signal_r2"][0] > 0.95
    assert table["signal_r2"][1] < 0.2


def test_the_explained_share_of_the_signal_does_not_fall_with_noise():
    twin = small("image", simple=10, energy=0)
    few, many = (
        insilico.run("retinotopy", twin, overrides={"image_count": count}, jobs=1).neurons
        for count in (1000, 4000)
    )
    assert few["r2"].median() < 0.5 * many["r2"].median()
    assert few["signal_r2"].median() == pytest.approx(many["signal_r2"].median(), abs=0.05)
