"""The cropper shows a core what it says: the center, moved with the gaze, at another size."""

import pytest
import torch
import torch.nn.functional as F

from insilico.errors import CheckpointError
from insilico.models import registry
from insilico.models.cropper import ImageCropper, crop_grid, crop_shape


def images(*, trials=2, channels=1, height=144, width=256):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(trials, channels, height, width, generator=generator)


def test_whole_image_is_passed_on_exactly_as_published_sampling_would():
    stimulus = images()
    grid = crop_grid((144, 256), 1.0)[None].expand(2, -1, -1, -1)
    sampled = F.grid_sample(stimulus, grid, mode="nearest", align_corners=True)
    assert torch.equal(sampled, stimulus)
    cropper = ImageCropper((144, 256), (144, 256))
    assert cropper(stimulus) is stimulus


def test_resizing_by_four_takes_the_middle_of_every_block():
    stimulus = images(channels=2)
    seen = ImageCropper((144, 256), (36, 64))(stimulus)
    blocks = stimulus.view(2, 2, 36, 4, 64, 4)[:, :, :, 1:3, :, 1:3]
    torch.testing.assert_close(seen, blocks.mean(dim=(3, 5)))


def test_crop_takes_the_center():
    """11 of 21 pixels at a scale of a half: every pixel from 5 to 15."""
    stimulus = images(height=21, width=23)
    cropper = ImageCropper((21, 23), crop_shape((21, 23), 0.53), center_crop=0.53)
    assert cropper.output_px == (11, 12)
    seen = cropper(stimulus)
    assert seen.shape[2:] == (11, 12)
    assert torch.equal(seen[:, :, 5], stimulus[:, :, 10, seen_columns()])


def seen_columns():
    """The pixels nearest to 12 points within plus and minus 0.53 of 23 pixels."""
    points = (torch.linspace(-0.53, 0.53, 12) + 1) / 2 * 22
    return points.round().long()


@pytest.mark.parametrize("sampling", ["nearest", "bilinear"])
def test_gaze_moves_the_crop_up_to_the_edge_of_the_image(sampling):
    stimulus = images(trials=1, height=41, width=81)
    cropper = ImageCropper(
        (41, 81), (21, 41), mice=["a", "b"], center_crop=0.5125, shifter_inputs=2, sampling=sampling
    )
    last = cropper.shifter["a"].mlp[4]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([20.0, -20.0]))  # right, and up: tanh is 1
    seen = cropper(stimulus, torch.zeros(1, 2), mouse="a")
    assert torch.equal(seen[0, 0, 0, -1], stimulus[0, 0, 0, -1])
    with torch.no_grad():
        last.bias.copy_(torch.tensor([-20.0, 20.0]))
    seen = cropper(stimulus, torch.zeros(1, 2), mouse="a")
    assert torch.equal(seen[0, 0, -1, 0], stimulus[0, 0, -1, 0])


def test_gaze_moves_nothing_where_all_is_seen():
    stimulus = images(trials=3, height=20, width=30)
    cropper = ImageCropper((20, 30), (20, 30), mice=["a"], shifter_inputs=2)
    assert torch.equal(cropper(stimulus, torch.randn(3, 2), mouse="a"), stimulus)


@pytest.mark.parametrize(("sampling", "learns"), [("nearest", False), ("bilinear", True)])
def test_only_bilinear_crops_teach_the_shifter(sampling, learns):
    cropper = ImageCropper(
        (40, 60), (20, 30), mice=["a"], center_crop=0.6, shifter_inputs=5, sampling=sampling
    )
    cropper(images(height=40, width=60), torch.randn(2, 5), mouse="a").square().sum().backward()
    slopes = [parameter.grad.abs().max().item() for parameter in cropper.parameters()]
    assert (max(slopes) > 0) == learns


def test_each_mouse_moves_the_crop_by_its_own_network():
    cropper = ImageCropper((40, 60), (20, 30), mice=["a", "b"], center_crop=0.6, shifter_inputs=2)
    stimulus, gaze = images(height=40, width=60), torch.randn(2, 2)
    assert not torch.equal(cropper(stimulus, gaze, mouse="a"), cropper(stimulus, gaze, mouse="b"))


@pytest.mark.parametrize("crop", [0.0, -0.5, 1.2, 0.01, float("nan")])
def test_impossible_crops_are_refused(crop):
    with pytest.raises(CheckpointError, match=r"center_crop is .* above 0 and up to 1"):
        ImageCropper((36, 64), (36, 64), center_crop=crop)


def test_unknown_sampling_is_refused():
    with pytest.raises(CheckpointError, match=r"crop_sampling is 'cubic'; give nearest or bilin"):
        ImageCropper((36, 64), (36, 64), sampling="cubic")


def test_network_has_no_weights_for_what_does_not_move():
    network = registry.build("v1t", {"token_width": 4, "blocks": 1, "patch_px": 12}, {"a": 2})
    assert not [name for name in network.state_dict() if name.startswith("cropper")]
