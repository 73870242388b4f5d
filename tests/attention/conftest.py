"""Small twins with attention."""

import pytest
import torch
from attending import IMAGE, MOVIE, make_twin


@pytest.fixture
def image_twin():
    """A twin of images with random weights, whose attention depends on what it is shown."""
    twin = make_twin("v1t", IMAGE | {"blocks": 2, "heads": 2})
    for block in twin.networks[0].core.blocks:
        torch.nn.init.normal_(block.attention.queries_keys_values.weight, std=1.0)
        torch.nn.init.normal_(block.behavior.networks["shared"][2].weight, std=1.0)
    return twin


@pytest.fixture
def movie_twin():
    """A twin of movies with random weights, whose attention depends on what it is shown."""
    small = {"width": 12, "heads": 2, "head_width": 6, "spatial_depth": 2, "temporal_depth": 2}
    twin = make_twin("vivit", MOVIE | small)
    core = twin.networks[0].core
    for block in (*core.spatial.blocks, *core.temporal.blocks):
        torch.nn.init.normal_(block.fused.weight, std=0.5)
    return twin
