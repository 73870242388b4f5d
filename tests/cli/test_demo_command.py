"""'insilico demo': the whole tour, offline."""

import pytest

from insilico.results import Result


@pytest.mark.slow
def test_the_tour_sets_twins_beside_their_neurons(insilico, tmp_path):
    out = tmp_path / "demo"
    done = insilico("demo", "--out", out, "--neurons", 8)
    assert done.returncode == 0, done.stderr
    assert (out / "planted-against-recovered.png").is_file()
    for name in ("simulated-image-cnn", "simulated-movie-cnn"):
        assert f"{name}, 8 neurons of mouse-1" in done.stdout
        assert (out / name / "twin-beside-neurons.png").is_file()
        for who in ("twin", "neurons"):
            for experiment in ("retinotopy", "direction"):
                result = Result.load(out / name / who / experiment)
                assert (result.neurons["status"] == "ok").sum() >= 6


def test_a_tour_needs_a_neuron(refused, tmp_path):
    assert "--neurons is 0; give 1 or more" in refused("demo", "--neurons", 0, cwd=tmp_path)
