"""The runner: what every experiment must do, and what happens when it is stopped."""

import shutil
import signal

import numpy as np
import pandas as pd
import pytest
import torch

import insilico
from insilico.errors import CatalogError, RunFolderError, UnitsError
from insilico.experiments import EXPERIMENTS, find_experiment, read_protocol
from insilico.experiments.reverse_correlation import LaggedCovariance
from insilico.experiments.runner import run

SMALL = {
    "retinotopy": {"image_count": 3000, "frame_count": 4000},
    "direction": {"direction_count": 8, "orientation_count": 8},
}


@pytest.fixture(scope="module", params=["image", "movie"])
def twin(request):
    return insilico.SimulatedV1(request.param, simple_count=3, energy_count=3)


def test_every_experiment_has_small_values_for_this_contract():
    assert set(SMALL) == set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_default_protocol_holds_together_and_says_where_it_is_from(name):
    protocol = read_protocol(find_experiment(name).protocol_type, None, experiment=name)
    assert protocol.experiment == name
    assert len(protocol.source) > 20


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_result_has_a_row_a_neuron_and_survives_saving(name, twin, tmp_path):
    result = run(name, twin, overrides=SMALL[name], jobs=1)
    assert list(result.neurons["neuron"]) == list(range(6))
    assert {"mouse", "neuron", "neuron_id", "kind", "status", "error_source"} <= set(result.neurons)
    again = insilico.Result.load(result.save(tmp_path / name))
    pd.testing.assert_frame_equal(again.neurons, result.neurons)
    assert again.arrays.identical(result.arrays)
    assert again.protocol == result.protocol
    for key in ("package", "model", "weights", "seed", "device", "plan", "stimulus_id"):
        assert key in again.provenance


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_some_neurons_alone_give_what_they_give_among_all(name, twin):
    everyone = run(name, twin, overrides=SMALL[name], jobs=1).neurons
    some = run(name, twin, overrides=SMALL[name], neurons=[4, 1], jobs=1).neurons
    numbers = everyone.select_dtypes("number").columns
    np.testing.assert_allclose(
        some[numbers].to_numpy(float),
        everyone[numbers].iloc[[4, 1]].to_numpy(float),
        rtol=2e-3,
        atol=2e-3,
    )


def interrupt_after(monkeypatch, experiment, calls):
    """Let the accumulator of an experiment be stopped by Ctrl-C in its n-th block."""
    question = type(find_experiment(experiment))
    original = question.accumulator
    count = {"left": calls}

    def accumulator(self, setting):
        sums = original(self, setting)
        add = sums.add

        def counted(block):
            if count["left"] == 0:
                signal.raise_signal(signal.SIGINT)
            count["left"] -= 1
            add(block)

        sums.add = counted
        return sums

    monkeypatch.setattr(question, "accumulator", accumulator)


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("blocks", [0, 1])
def test_stopped_and_continued_is_as_if_never_stopped(name, blocks, twin, tmp_path, monkeypatch):
    whole = run(name, twin, overrides=SMALL[name], jobs=1)
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        interrupt_after(patch, name, blocks)
        try:
            run(name, twin, overrides=SMALL[name], out=folder, jobs=1)
        except KeyboardInterrupt:
            assert (folder / "parts" / name / "state.npz").exists()
        else:
            # Fewer blocks than asked: there was nothing to stop.
            assert blocks > 0
    continued = run(name, twin, overrides=SMALL[name], out=folder, jobs=1)
    pd.testing.assert_frame_equal(continued.neurons, whole.neurons)
    assert continued.arrays.identical(whole.arrays)
    assert continued.provenance["stimulus_id"] == whole.provenance["stimulus_id"]
    assert not (folder / "parts").exists()


def test_ctrl_c_in_the_middle_of_a_block_waits_for_its_end(tmp_path, monkeypatch):
    twin = insilico.SimulatedV1("image", simple_count=3, energy_count=0)
    whole = run("retinotopy", twin, overrides=SMALL["retinotopy"], jobs=1)
    add, calls = LaggedCovariance.add, []

    def interrupted(self, half, features, responses):
        calls.append(half)
        if len(calls) == 6:  # in the second block, between its linear and its energy sums
            signal.raise_signal(signal.SIGINT)
        add(self, half, features, responses)

    with monkeypatch.context() as patch:
        patch.setattr(LaggedCovariance, "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("retinotopy", twin, overrides=SMALL["retinotopy"], out=tmp_path / "run", jobs=1)
    again = run("retinotopy", twin, overrides=SMALL["retinotopy"], out=tmp_path / "run", jobs=1)
    pd.testing.assert_frame_equal(again.neurons, whole.neurons)


def test_another_network_of_the_same_shape_is_another_run(tmp_path):
    statistics = insilico.Statistics(stimulus_mean=127, stimulus_std=60)
    for seed in (0, 1):
        torch.manual_seed(seed)
        module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36 * 64, 3))
        twin = insilico.Twin(module, statistics=statistics)
        if seed == 0:
            run("direction", twin, out=tmp_path / "run", jobs=1)
    with pytest.raises(RunFolderError, match="another run: its weights differ"):
        run("direction", twin, out=tmp_path / "run", jobs=1)


def test_what_cannot_be_drawn_is_refused_before_anything_is_written(tmp_path):
    twin = insilico.SimulatedV1("image", simple_count=1, energy_count=0)
    with pytest.raises(UnitsError, match=r"the pixels of this screen show at most 0\.148"):
        run("direction", twin, overrides={"spatial_frequency_cpd": [0.25]}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_deleted_result_is_made_again(tmp_path):
    twin = insilico.SimulatedV1("image", simple_count=1, energy_count=0)
    run("direction", twin, out=tmp_path / "run", jobs=1)
    shutil.rmtree(tmp_path / "run" / "direction")
    run("direction", twin, out=tmp_path / "run", jobs=1)
    assert (tmp_path / "run" / "direction" / "neurons.parquet").exists()


def test_stopped_during_the_fits_loses_no_measurement(tmp_path, monkeypatch):
    twin = insilico.SimulatedV1("image", simple_count=3, energy_count=0)
    whole = run("retinotopy", twin, overrides=SMALL["retinotopy"], jobs=1)

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("insilico.experiments.retinotopy.fit_maps", stop)
        with pytest.raises(KeyboardInterrupt):
            run("retinotopy", twin, overrides=SMALL["retinotopy"], out=tmp_path / "run", jobs=1)
    with monkeypatch.context() as patch:
        # Nothing may be measured again.
        patch.setattr("insilico.twin.PreparedTwin.respond", stop)
        again = run("retinotopy", twin, overrides=SMALL["retinotopy"], out=tmp_path / "run", jobs=1)
    pd.testing.assert_frame_equal(again.neurons, whole.neurons)


def test_a_finished_run_is_read_back_not_repeated(tmp_path, monkeypatch):
    twin = insilico.SimulatedV1("image", simple_count=3, energy_count=0)
    first = run("direction", twin, out=tmp_path / "run", jobs=1)
    monkeypatch.setattr(
        "insilico.twin.PreparedTwin.respond", lambda *a, **k: pytest.fail("asked again")
    )
    again = run("direction", twin, out=tmp_path / "run", jobs=1)
    pd.testing.assert_frame_equal(again.neurons, first.neurons)


def test_another_protocol_or_twin_in_the_same_folder_is_refused(tmp_path):
    twin = insilico.SimulatedV1("image", simple_count=3, energy_count=0)
    run("direction", twin, out=tmp_path / "run", jobs=1)
    with pytest.raises(RunFolderError, match="another protocol: orientation_count differ"):
        run("direction", twin, overrides={"orientation_count": 4}, out=tmp_path / "run", jobs=1)
    other = insilico.SimulatedV1("image", simple_count=3, energy_count=0, seed=1)
    with pytest.raises(RunFolderError, match="another run: its weights differ"):
        run("direction", other, out=tmp_path / "run", jobs=1)


def test_unknown_experiment_is_named():
    with pytest.raises(CatalogError, match="no experiment 'retinotopie'; there are retinotopy"):
        run("retinotopie", insilico.SimulatedV1("image", simple_count=1, energy_count=0))
