"""'insilico demo': the whole tour, offline."""

from pathlib import Path

import pytest

import insilico as package
from insilico.cli.demo import demo
from insilico.results import Result


@pytest.mark.slow
def test_the_tour_sets_twins_beside_their_neurons(tmp_path, monkeypatch, capsys):
    run, drawn = package.run, []

    def run_briefly(experiment, twin, **options):
        noise = {"image_count": 1000, "frame_count": 2000}
        overrides = noise if experiment == "retinotopy" else None
        return run(experiment, twin, overrides=overrides, jobs=1, **options)

    def save_no_figures(result, folder):
        """Note where figures belong; that each is drawn is for other tests."""
        drawn.append(folder.relative_to(tmp_path))

    monkeypatch.setattr(package, "run", run_briefly)
    monkeypatch.setattr("insilico.cli.saving.save_figures", save_no_figures)
    demo(out=tmp_path, neurons=8)
    text = capsys.readouterr().out
    assert (tmp_path / "planted-against-recovered.png").is_file()
    for name in ("simulated-image-cnn", "simulated-movie-cnn"):
        assert f"{name}, 8 neurons of mouse-1" in text
        assert (tmp_path / name / "twin-beside-neurons.png").is_file()
        for who in ("twin", "neurons"):
            for experiment in ("retinotopy", "direction"):
                result = Result.load(tmp_path / name / who / experiment)
                assert len(result.neurons) == 8
                assert (result.neurons["status"] == "ok").sum() >= 4
        assert Path(name, "twin", "direction", "figures") in drawn


def test_a_tour_needs_a_neuron(refused, tmp_path):
    assert "--neurons is 0; give 1 or more" in refused("demo", "--neurons", 0, cwd=tmp_path)
