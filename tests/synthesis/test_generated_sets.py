"""Promises that hold for whole sets: what is reported, what matches, what is refused."""

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from planted_twins import (
    SHARP,
    SMALL_SCREEN,
    STATISTICS,
    drifting_filter,
    gabor,
    linear_twin,
    make,
    planted_fields,
)

import insilico
from insilico.errors import InsilicoError, NeuronError, NotFittedError, ProtocolError
from insilico.models.mouse import Statistics
from insilico.simulation.scenes import dead_leaves_images, dead_leaves_movie
from insilico.synthesis import ChoiceRule, Selection, Sources, StimulusSet
from insilico.synthesis.climbing import FRESH_STARTS
from insilico.synthesis.objectives import difference, neuron
from insilico.synthesis.sources import Candidates
from insilico.twin.twin import ensemble

PLACES = [(11, 8), (16, 9), (21, 10)]
FILTERS = np.stack(
    [
        gabor(*place, angle_deg=angle, sigma_px=2.2, screen=SMALL_SCREEN)
        for place, angle in zip(PLACES, (20, 80, 140), strict=True)
    ]
)
MOVING = np.stack([drifting_filter(*place, angle_deg=40 * i) for i, place in enumerate(PLACES)])
SOON = {**SHARP, "steps": 25, "ramp_steps": 8}
GRATINGS = {"grating_direction_count": 4, "grating_cpd": (0.04, 0.08), "grating_phase_count": 2}
EVERYTHING = ("grating", "natural", "noise", "swap")


@pytest.fixture(scope="module")
def images():
    return linear_twin(FILTERS, bias=0.3, screen=SMALL_SCREEN)


@pytest.fixture(scope="module")
def movies():
    return linear_twin(MOVING, bias=0.3, then=torch.nn.Softplus(), screen=SMALL_SCREEN)


def natural_candidates(*, is_moving):
    """Return dead leaves: eight images, or eight clips of one movie."""
    if is_moving:
        movie = dead_leaves_movie(SMALL_SCREEN, seed=(2,), frame_count=60)
        scenes = np.stack([movie[6 * clip : 6 * clip + 12] for clip in range(8)])
    else:
        scenes = dead_leaves_images(SMALL_SCREEN, seed=(1,), count=8)[:, None]
    table = pd.DataFrame({"scene": range(8)})
    count = scenes.shape[1]
    draw = functools.partial(_scenes, scenes)
    return Candidates("natural", SMALL_SCREEN, table, draw, count, {"source": "dead leaves"})


def _scenes(scenes, rows):
    return scenes[rows["scene"]]


def with_natural(twin, natural):
    fields = planted_fields(twin, *zip(*PLACES, strict=True))
    return Sources(results=fields.results, natural=natural)


@pytest.fixture(scope="module")
def set_of_images(images, tmp_path_factory):
    """Return a set of discs with all controls, made and loaded again."""
    options = {"region": "center", "diameter_deg": 45.0, "goals": ("excite", "inhibit")}
    folder = tmp_path_factory.mktemp("images") / "run"
    fields = with_natural(images, natural_candidates(is_moving=False))
    make(images, fields=fields, out=folder, controls=EVERYTHING, **GRATINGS, **options, **SOON)
    return StimulusSet.load(folder / "mei")


@pytest.fixture(scope="module")
def set_of_movies(movies, tmp_path_factory):
    folder = tmp_path_factory.mktemp("movies") / "run"
    fields = with_natural(movies, natural_candidates(is_moving=True))
    options = {"steps": 15, "ramp_steps": 5, "border_deg": 8.0, "diameter_deg": 45.0}
    make(
        movies,
        "0:2",
        fields=fields,
        out=folder,
        region="center",
        controls=EVERYTHING,
        **GRATINGS,
        **options,
    )
    return StimulusSet.load(folder / "mev")


def shown_again(twin, made):
    """Return what each stimulus's own neuron responds to the bytes, frame by frame."""
    neurons = made.table["neuron"].to_numpy()
    if twin.kind == "image":
        return twin.respond(made.frames).values[np.arange(len(made)), neurons, None]
    size = (len(made), made.lead_frames, *SMALL_SCREEN.shape)
    whole = np.concatenate([np.full(size, 127, np.uint8), made.frames], axis=1)
    window = (made.lead_frames, whole.shape[1])
    return twin.respond(whole, window=window).values[np.arange(len(made)), neurons]


# What is saved


@pytest.mark.parametrize("kind", ["images", "movies"])
def test_saved_and_loaded_stimuli_get_the_response_that_was_reported(kind, request):
    twin, made = request.getfixturevalue(kind), request.getfixturevalue(f"set_of_{kind}")

    traces = shown_again(twin, made)

    np.testing.assert_allclose(traces.mean(1), made.table["response"], rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(traces, made.traces, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["images", "movies"])
def test_luminance_and_contrast_match_on_the_bytes_of_all_classes(kind, request):
    made = request.getfixturevalue(f"set_of_{kind}")

    assert set(made.table["stimulus_class"]) >= {"exciting", *EVERYTHING}
    for frames, weights, (_, row) in zip(
        made.frames, made.weights, made.table.iterrows(), strict=True
    ):
        inside = frames[..., weights > 0].astype(float)
        assert inside.mean() == pytest.approx(127, abs=1)
        assert inside.std() == pytest.approx(10, abs=1)
        assert row["luminance_level"] == pytest.approx(inside.mean(), abs=1e-9)
        assert row["rms_level"] == pytest.approx(inside.std(), abs=1e-9)
        assert (frames[..., weights == 0] == 127).all()


def test_made_stimuli_beat_what_was_found(set_of_images):
    table = set_of_images.table.pivot_table(
        index="neuron", columns="stimulus_class", values="response"
    )
    controls = table[list(EVERYTHING)]
    assert (table["exciting"] > controls.max(axis=1)).all()
    assert (table["inhibiting"] < controls.min(axis=1)).all()


def test_same_call_makes_the_same_bytes(movies):
    options = {"steps": 8, "ramp_steps": 4, "controls": ("noise",), "restarts": 2}

    one, again = (make(movies, "0:2", **options) for _ in range(2))

    assert one.frames.tobytes() == again.frames.tobytes()
    own = [name for name in one.table if name != "seconds"]
    pd.testing.assert_frame_equal(one.table[own], again.table[own])
    other = make(movies, "0:2", seed=5, **options)
    assert not set(one.ids) & set(other.ids)


def test_other_restarts_and_neurons_leave_a_stimulus_what_it_is_to_rounding(images):
    """Which stimuli climb together changes the last bit of sums, so bytes may differ by one."""
    alone = make(images, [1], **SOON)

    company = make(images, [0, 1, 2], restarts=3, **SOON)

    first = (company.table["neuron"] == 1) & (company.table["restart"] == 0)
    (frames,) = company.frames[first.to_numpy()]
    assert np.abs(frames.astype(int) - alone.frames[0]).max() <= 1
    response = company.table.loc[first, "response"].item()
    assert response == pytest.approx(alone.table["response"][0], rel=1e-3)


# What is asked for


def test_worst_member_of_an_ensemble_is_served_by_asking_for_it():
    """The members see the same filter in different phases; one of them has a much longer one."""
    long, short = FILTERS[:1], np.roll(FILTERS[:1], 2, 2)
    scale = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(scale.weight, 5.0)
    twins = [
        linear_twin(long, then=scale, screen=SMALL_SCREEN),
        linear_twin(short, screen=SMALL_SCREEN),
    ]
    both = ensemble(twins)

    of_mean, of_worst = (make(both, over_members=over, **SOON) for over in ("mean", "worst"))

    def members(made):
        return np.array([twin.respond(made.frames).values[0, 0] for twin in twins])

    assert members(of_worst).min() > 1.5 * members(of_mean).min()
    assert members(of_mean).mean() > 1.2 * members(of_worst).mean()
    assert of_mean.table["response"][0] == pytest.approx(members(of_mean).mean(), rel=1e-4)
    assert of_worst.table["response"][0] == pytest.approx(members(of_worst).min(), rel=1e-4)


class Moody(torch.nn.Module):
    """A neuron that sees one filter at rest and another, three times as strong, on the run."""

    def __init__(self):
        super().__init__()
        self.register_buffer("filters", torch.tensor(FILTERS[:2], dtype=torch.float32))

    def forward(self, stimulus, behavior):
        seen = torch.einsum("bcyx,nyx->bn", stimulus, self.filters)
        speed = behavior[:, 1]
        return ((1 - speed) * seen[:, 0] + 3 * speed * seen[:, 1])[:, None]


def test_worst_state_of_the_animal_is_served_by_asking_for_it():
    twin = insilico.Twin(
        Moody(),
        screen=SMALL_SCREEN,
        statistics=Statistics(
            stimulus_mean=STATISTICS.stimulus_mean,
            stimulus_std=STATISTICS.stimulus_std,
            behavior_mean=np.array([1.0, 0.5]),
            behavior_std=np.ones(2),
        ),
        behavior_names=("pupil_size", "running_speed"),
        device="cpu",
    )
    states = {"behaviors": ("quiet", "running"), **SOON}

    of_mean, of_worst = (make(twin, over_views=over, **states) for over in ("mean", "worst"))

    def lowest(made):
        return min(
            twin.respond(made.frames, behavior=state).values[0, 0] for state in states["behaviors"]
        )

    assert lowest(of_worst) > 1.5 * lowest(of_mean)
    assert of_worst.table["response"][0] == pytest.approx(lowest(of_worst), rel=1e-4)
    assert of_worst.table["response_quiet"][0] >= lowest(of_worst) * (1 - 1e-4)


def test_stimulus_made_for_shifts_is_more_robust_against_them():
    fine = gabor(16, 9, angle_deg=0.0, cycles_per_px=0.2, sigma_px=2.5, screen=SMALL_SCREEN)
    twin = linear_twin(fine[None], then=torch.nn.Softplus(beta=5), screen=SMALL_SCREEN)

    plain = make(twin, **SOON)
    robust = make(twin, shift_px=1, over_views="worst", steps=60, ramp_steps=8, **SHARP)

    def lowest(made):
        frames = np.pad(made.frames[0], 1, constant_values=127)
        height, width = SMALL_SCREEN.shape
        moved = [
            frames[1 - y : 1 - y + height, 1 - x : 1 - x + width]
            for x, y in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
        ]
        return twin.respond(np.stack(moved)).values[:, 0].min()

    assert lowest(robust) > 1.1 * lowest(plain)
    assert robust.table["response"][0] == pytest.approx(lowest(robust), rel=1e-4)
    assert plain.table["response"][0] > robust.table["response"][0]


def test_peak_and_mean_over_frames_are_each_highest_where_asked_for(movies):
    made = {over: make(movies, "0:1", over_frames=over, **SOON) for over in ("peak", "mean", "sum")}

    peaks = {over: each.traces[0].max() for over, each in made.items()}
    means = {over: each.traces[0].mean() for over, each in made.items()}
    assert peaks["peak"] > 1.1 * peaks["mean"]
    assert means["mean"] > 1.1 * means["peak"]
    responses = {over: each.table["response"][0] for over, each in made.items()}
    wanted = {"peak": peaks["peak"], "mean": means["mean"], "sum": 12 * means["sum"]}
    assert responses == pytest.approx(wanted, rel=1e-5)
    assert means["sum"] == pytest.approx(means["mean"], rel=1e-2)


def test_population_and_difference_are_driven_as_numbers_of_their_own(images):
    weights = {0: 0.5, 1: 0.2, 2: 0.3}
    wanted = Selection("0:3", is_population=True, weights=weights)
    apart = Selection(objectives=[difference([0, 1], [2]), -0.5 * neuron(1)])

    together = make(images, wanted, **SOON)
    told = make(images, apart, **SOON)

    responses = images.respond(together.frames).values[0]
    assert together.table["response"][0] == pytest.approx(responses @ [0.5, 0.2, 0.3], rel=1e-4)
    assert (responses > 0.3).all()
    assert together.table["neuron"].tolist() == [-1]
    responses = images.respond(told.frames).values
    assert told.table["response"][0] == pytest.approx(
        responses[0, :2].mean() - responses[0, 2], rel=1e-4
    )
    assert responses[0, :2].min() > 0.3 > responses[0, 2]
    assert told.table["target"].tolist() == ["2 neurons against 1", "-0.5 neuron 1"]
    assert responses[1, 1] < 0.3


def test_still_stimulus_of_a_movie_twin_stands_still(movies):
    made = make(movies, "0:1", what="mei", **SOON)

    assert made.frames.shape == (1, 12, *SMALL_SCREEN.shape)
    assert (made.frames == made.frames[:, :1]).all()
    assert made.table["motion"].tolist() == ["still"]
    moving = make(movies, "0:1", **SOON)
    assert moving.table["motion"].tolist() == ["moving"]
    assert moving.table["response"][0] > made.table["response"][0]


# What is refused or flagged


def test_silent_neurons_say_so_and_get_noise_not_gray():
    """A dead rectifier; an output that is constant; and one that lives."""
    filters = FILTERS.copy()
    filters[1] = 0
    relu = torch.nn.ReLU()
    twin = linear_twin(filters, bias=[-50.0, 2.0, 0.3], then=relu, screen=SMALL_SCREEN)

    made = make(twin, **SOON)

    assert made.table["status"].tolist() == ["silent", "silent", "ok"]
    assert made.table["response"].tolist()[:2] == [0.0, 2.0]
    assert made.table["rms_level"].to_numpy() == pytest.approx([10] * 3, abs=0.5)
    assert made.table["steps"].tolist()[:2] == [FRESH_STARTS + 1] * 2
    # Each target starts from noise of its own.
    assert made.ids[0] != made.ids[1]


REFUSED = {
    "contrast about a luminance": (
        {"luminance_level": 20.0, "rms_level": 100.0},
        ProtocolError,
        "rms_level is 100 about a luminance_level of 20",
    ),
    "luminance outside the range": (
        {"luminance_level": 20.0, "lowest_level": 30.0},
        ProtocolError,
        "luminance_level is 20 and gray levels run from 30 to 255",
    ),
    "border against luminance": (
        {"luminance_level": 40.0, "region": "center", "border_deg": 12.0, "diameter_deg": 45.0},
        ProtocolError,
        "change border_deg, luminance_level or rms_level",
    ),
    "band without pattern": (
        {"parametrization": "fourier", "highest_cpd": 0.001},
        ProtocolError,
        "highest_cpd is 0.001",
    ),
    "surround before its center ends": (
        {"region": "surround", "outer_diameter_deg": 20.0, "diameter_deg": 30.0},
        ProtocolError,
        "outer_diameter_deg must be 0",
    ),
    "movies of images": ({"what": "mev"}, InsilicoError, "a model of images"),
    "something else": ({"what": "mee"}, ProtocolError, "'mee' was to be generated"),
    "unknown neuron": ({"neurons": [1, 7]}, NeuronError, "neurons 0 to 2"),
    "no neuron": ({"neurons": []}, NeuronError, "names no neuron"),
    "weight left out": (
        {"neurons": Selection("0:3", is_population=True, weights={0: 1.0, 1: 1.0})},
        NeuronError,
        "no weight for neuron 2",
    ),
    "same name twice": (
        {"neurons": Selection(objectives=[neuron(0), neuron(0)])},
        ProtocolError,
        "must have different names",
    ),
    "no step": ({"steps": 0}, ProtocolError, "steps is 0"),
    "unknown state": ({"behaviors": ("asleep",)}, ProtocolError, "asleep"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_made_is_refused_in_one_sentence(images, name):
    options, error, words = REFUSED[name]
    options = {**SOON, **options}
    fields = planted_fields(images, *zip(*PLACES, strict=True))

    with pytest.raises(error, match=words) as caught:
        make(images, options.pop("neurons", None), fields=fields, **options)
    assert "\n" not in str(caught.value)
    assert ". " not in str(caught.value)


@pytest.mark.parametrize("fault", ["off the screen", "bad fit"])
def test_neuron_without_a_place_is_refused_or_flagged_or_left_out(images, fault):
    x_px = [11.0, 16.0, 90.0 if fault == "off the screen" else 21.0]
    status = ["ok", "ok", "ok" if fault == "off the screen" else "at_bound"]
    fields = planted_fields(images, x_px, [8.0, 9.0, 10.0], status=status)
    disc = {"region": "center", "diameter_deg": 40.0, "fields": fields, **SOON}

    def chosen(on_bad_fit):
        return Selection("0:3", rule=ChoiceRule(least_coverage=0.0, on_bad_fit=on_bad_fit))

    with pytest.raises(NotFittedError, match=r"\b2\b"):
        make(images, chosen("refuse"), **disc)
    assert make(images, chosen("leave_out"), **disc).table["neuron"].tolist() == [0, 1]
    full = make(images, chosen("flag"), **{**disc, "region": "full"})
    assert full.table["neuron"].tolist() == [0, 1, 2]


def test_disc_for_a_flagged_neuron_without_a_place_is_refused(images):
    fields = planted_fields(images, [11.0, 16.0, 90.0], [8.0, 9.0, 10.0])
    rule = ChoiceRule(least_coverage=0.0, on_bad_fit="flag")

    with pytest.raises(NotFittedError, match=r"neuron 2 has no receptive field .*region=full"):
        make(images, Selection("0:3", rule=rule), fields=fields, region="center", **SOON)
