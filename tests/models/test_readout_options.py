"""Readouts by name: each kind is built with its options, and cannot be asked what it cannot do."""

import typing

import pytest
import torch

from insilico.errors import CheckpointError
from insilico.models import registry
from insilico.models.modulators.options import MODULATORS
from insilico.models.outputs import OUTPUTS
from insilico.models.readouts.attention import KeyValueNeck
from insilico.models.readouts.options import (
    ReadoutKind,
    ReadoutOptions,
    build_neck,
    build_readout,
)


def build(**options):
    return build_readout(ReadoutOptions(**options), 8, 6, map_shape=(9, 9), state_count=4)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"readout": "gaussian", "cortex_axes": 3}, {"source_grid": (6, 3)}),
        ({"readout": "gaussian", "has_state_encoder": True}, {"state_encoder.0.weight": (8, 4)}),
        (
            {"readout": "depth_gaussian", "depth_groups": 4},
            {"mu_transform.3.0.weight": (30, 2), "depth_group": (6,)},
        ),
        (
            {"readout": "depth_gaussian", "has_state_encoder": True},
            {"state_encoder.4.weight": (8, 8)},
        ),
        ({"readout": "attention"}, {"neuron_query": (4, 6), "features": (4, 6)}),
        ({"readout": "convolutional", "readout_groups": 2}, {"weight": (6, 4)}),
        ({"readout": "linear"}, {"weight": (6, 8)}),
        ({"readout": "flat"}, {"weight": (6, 648)}),
        ({"readout": "dense"}, {"weight": (6, 3), "hidden.weight": (3, 648)}),
    ],
)
def test_options_reach_the_readout(options, expected):
    shapes = {name: tuple(value.shape) for name, value in build(**options).state_dict().items()}
    assert expected.items() <= shapes.items()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"has_state_encoder": True, "readout_dropout": 0.3}, 0.3),
        ({"readout": "convolutional", "readout_dropout": 0.4}, 0.4),
        ({"readout": "dense"}, 0.25),
        ({"readout": "dense", "dense_dropout": 0.5}, 0.5),
    ],
)
def test_dropout_reaches_the_readout(options, expected):
    found = [m.p for m in build(**options).modules() if isinstance(m, torch.nn.Dropout)]
    assert found == [expected]


def test_neck_is_the_identity_but_for_attention():
    features = torch.randn(2, 8, 3, 4)
    neck = build_neck(ReadoutOptions(), 8, map_shape=(3, 4))
    assert neck.is_identity
    assert neck(features) is features
    options = ReadoutOptions(readout="attention", key_channels=5, neck_dropout=0.3)
    neck = build_neck(options, 8, map_shape=(3, 4))
    assert isinstance(neck, KeyValueNeck)
    assert not neck.is_identity
    assert neck.dropout.p == 0.3
    assert neck(features).shape == (2, neck.output_channels, 3, 4) == (2, 10, 3, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"readout": "nearest"}, "readout is 'nearest'; give one of gaussian, factorized"),
        ({"readout": "pooled", "has_state_encoder": True}, "the pooled readout has no state"),
        ({"readout": "depth_gaussian", "position": "free"}, "set position to 'cortex'"),
        ({"readout": "convolutional", "readout_groups": 3}, "give a divisor"),
    ],
)
def test_what_a_readout_cannot_do_is_refused(options, message):
    with pytest.raises(CheckpointError, match=message):
        build(**options)


def test_every_kind_of_part_is_held_to_the_contract_of_networks():
    used = {name: {"image": set(), "movie": set()} for name in ("readout", "output", "shifter")}
    modulators = set()
    for _, network in registry.example_networks():
        options = network.options
        used["readout"][network.kind].add(options.readout)
        used["output"][network.kind].add(options.output)
        if options.has_shifter:
            used["shifter"][network.kind].add(options.shifter_reads)
        modulators.add(options.modulator)
    assert used["readout"]["image"] == set(typing.get_args(ReadoutKind))
    assert used["readout"]["movie"] >= set(typing.get_args(ReadoutKind)) - {"flat", "dense"}
    assert modulators == {"none", *MODULATORS}
    for kind in ("image", "movie"):
        assert used["output"][kind] == set(OUTPUTS)
        assert used["shifter"][kind] == {"gaze", "behavior and gaze"}
