import numpy as np
import pandas as pd
import pytest
import torch

from insilico import SimulatedV1
from insilico.errors import MouseError, NeuronError, StimulusError, UnitsError
from insilico.stimuli import Stimuli
from insilico.twin import Twin
from insilico.twin.twin import choose_device


def test_responses_carry_neurons_rate_units_and_source(make_twin, movies):
    twin = make_twin("movie", name="linear", provenance={"sha256": "ab"})
    responses = twin.respond(movies, neurons="1:3")
    assert responses.values.shape == (3, 2, 5)
    assert list(responses.neurons["neuron"]) == [1, 2]
    assert responses.frame_rate_hz == 30
    assert responses.source == {"type": "twin", "name": "linear", "sha256": "ab"}
    assert not responses.has_trial_noise


def test_each_mouse_is_asked_by_name(make_twin, images):
    twin = make_twin(mice=("a", "b"))
    assert twin.mice == ("a", "b")
    assert list(twin.respond(images, mouse="b").neurons["mouse"].unique()) == ["b"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, MouseError, "has 2 mice and none was named; name one of a, b"),
        ({"mouse": "c"}, MouseError, "no mouse 'c'; it has a, b"),
        ({"mouse": "a", "neurons": [5]}, NeuronError, "the mouse has neurons 0 to 4"),
    ],
)
def test_mouse_or_neuron_that_does_not_exist_is_refused(make_twin, images, options, error, message):
    with pytest.raises(error, match=message):
        make_twin(mice=("a", "b")).respond(images, **options)


def test_neurons_answer_alone_as_they_do_among_all(make_twin, images):
    twin = make_twin()
    np.testing.assert_allclose(
        twin.respond(images, neurons=[3]).values[:, 0], twin.respond(images).values[:, 3]
    )


def test_lazy_stimuli_are_answered_like_their_frames(make_twin, full_statistics, monkeypatch):
    twin = make_twin("movie", statistics=full_statistics, reads_state=True)
    screen = twin.screen()
    conditions = pd.DataFrame({"trial": range(5), "onset_frame": 2, "level": range(0, 250, 50)})

    def draw(rows):
        levels = rows["level"].to_numpy(np.uint8)[:, None, None]
        return np.broadcast_to(levels, (len(rows), *screen.shape)).copy()

    stimuli = Stimuli(
        "movie", screen, conditions, draw, pattern_frames=3, trial_frames=8, is_still=True
    )
    behavior = np.random.default_rng(0).uniform(0, 9, (5, 2))
    monkeypatch.setattr("insilico.stimuli.stimuli.BLOCK_PIXELS", 2 * 8 * 12)
    assert len(list(stimuli.blocks())) == 3
    lazy = twin.respond(stimuli, behavior=behavior)
    eager = twin.respond(stimuli.render(range(5)), behavior=behavior)
    np.testing.assert_allclose(lazy.values, eager.values)
    assert lazy.first_frame == eager.first_frame == 2
    assert lazy.conditions is conditions
    assert eager.conditions is None


def test_stimuli_of_no_trial_are_refused(make_twin, full_statistics):
    twin = make_twin(statistics=full_statistics)
    nothing = pd.DataFrame({"trial": [], "onset_frame": []})
    with pytest.raises(StimulusError, match="hold no trial; give at least one"):
        twin.respond(Stimuli("image", twin.screen(), nothing, lambda rows: np.zeros((0, 3, 4))))


def test_neurons_table_cannot_be_changed_from_outside(make_twin):
    twin = make_twin()
    table = twin.neurons()
    table["neuron_id"] = -1
    assert (twin.neurons()["neuron_id"] >= 0).all()


@pytest.mark.parametrize("kind", ["image", "movie"])
def test_gradient_of_the_differentiable_door_equals_finite_differences(
    make_twin, full_statistics, kind
):
    twin = make_twin(kind, statistics=full_statistics, reads_state=True)
    shape = (2, 3, 4) if kind == "image" else (1, 4, 3, 4)
    stimulus = torch.rand(shape, dtype=torch.float64, requires_grad=True) * 255
    assert torch.autograd.gradcheck(lambda frames: twin.forward(frames, "a"), stimulus)


def test_gradient_reaches_the_pixels_of_a_nonlinear_twin():
    twin = SimulatedV1("image", simple_count=0, energy_count=1, device="cpu")
    image = torch.full((1, 36, 64), 127.0)
    image[0, 15:20] += 40
    image.requires_grad_()
    twin.forward(image, input_units="gray").sum().backward()
    pixel = np.unravel_index(int(image.grad.abs().argmax()), image.shape)
    bumped = image.detach().repeat(2, 1, 1)
    bumped[0, pixel[1], pixel[2]] += 1
    bumped[1, pixel[1], pixel[2]] -= 1
    up, down = twin.respond(bumped.numpy()).values[:, 0]
    assert (up - down) / 2 == pytest.approx(float(image.grad[pixel]), rel=1e-3)


def test_forward_and_respond_agree(make_twin, images):
    twin = make_twin()
    answer = twin.forward(torch.from_numpy(images), neurons=[2, 0])
    np.testing.assert_allclose(answer.numpy(), twin.respond(images, neurons=[2, 0]).values)


def test_float32_agrees_with_float64_to_its_rounding(make_twin, images):
    single = make_twin(precision="float32").respond(images).values
    double = make_twin(precision="float64").respond(images).values
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-3)
    assert not np.array_equal(single, double)


def test_bfloat16_is_asked_for_by_name_and_coarse(make_twin, images):
    double = make_twin().respond(images).values
    coarse = make_twin(precision="bfloat16").respond(images).values
    assert coarse.dtype == np.float32
    assert np.abs(coarse - double).max() < 0.05 * np.abs(double).max()


def test_unknown_precision_is_refused(make_twin):
    with pytest.raises(UnitsError, match="precision is 'half'; give one of float32, float64"):
        make_twin(precision="half")


def test_device_is_the_named_one():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda", "mps")


def test_twin_of_several_mice_shares_one_network(make_twin):
    assert isinstance(make_twin(mice=("a", "b")), Twin)
    assert make_twin(mice=("a", "b")).member_count == 1
