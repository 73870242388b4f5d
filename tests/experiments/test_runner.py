"""The runner: what happens when it is stopped, and what a run folder refuses."""

import dataclasses
import shutil
import signal

import pandas as pd
import pytest
import torch

import insilico
from insilico.errors import CatalogError, ProtocolError, RunFolderError, UnitsError
from insilico.experiments import find_experiment, read_protocol
from insilico.experiments.direction import DirectionProtocol
from insilico.experiments.reverse_correlation import LaggedCovariance
from insilico.experiments.runner import run
from insilico.validation.truth import planted_results

NOISE = {"image_count": 3000}


@pytest.fixture(scope="module")
def measured():
    """A twin, and a measurement that nothing stopped."""
    twin = insilico.SimulatedV1("image", simple_count=3, energy_count=0)
    return twin, run("retinotopy", twin, overrides=NOISE, jobs=1)


def test_ctrl_c_in_the_middle_of_a_block_waits_for_its_end(measured, tmp_path, monkeypatch):
    twin, whole = measured
    add, calls = LaggedCovariance.add, []

    def interrupted(self, half, features, responses):
        calls.append(half)
        if len(calls) == 6:  # in the second block, between its linear and its energy sums
            signal.raise_signal(signal.SIGINT)
        add(self, half, features, responses)

    with monkeypatch.context() as patch:
        patch.setattr(LaggedCovariance, "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("retinotopy", twin, overrides=NOISE, out=tmp_path / "run", jobs=1)
    again = run("retinotopy", twin, overrides=NOISE, out=tmp_path / "run", jobs=1)
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


def test_stopped_during_the_fits_loses_no_measurement(measured, tmp_path, monkeypatch):
    twin, whole = measured

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("insilico.experiments.retinotopy.fit_maps", stop)
        with pytest.raises(KeyboardInterrupt):
            run("retinotopy", twin, overrides=NOISE, out=tmp_path / "run", jobs=1)
    with monkeypatch.context() as patch:
        # Nothing may be measured again.
        patch.setattr("insilico.twin.PreparedTwin.respond", stop)
        again = run("retinotopy", twin, overrides=NOISE, out=tmp_path / "run", jobs=1)
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
    with pytest.raises(
        CatalogError, match="no experiment 'retinotopie'; did you mean 'retinotopy'"
    ):
        run("retinotopie", insilico.SimulatedV1("image", simple_count=1, energy_count=0))


def moved(given, name):
    """Return planted results of which one looks elsewhere."""
    table = given[name].neurons.assign(x_px=given[name].neurons["x_px"] + 3)
    return {**given, name: dataclasses.replace(given[name], tables={"neurons": table})}


def test_a_result_is_not_returned_for_other_earlier_results(tmp_path):
    twin = insilico.SimulatedV1("image", simple_count=1, energy_count=1)
    options = {"out": tmp_path / "run", "jobs": 1}
    given = planted_results(twin)
    first = run("size", twin, given=given, **options)
    assert first.provenance["given"] == {
        name: given[name].digest for name in ("retinotopy", "direction")
    }
    again = run("size", twin, given=given, **options)
    pd.testing.assert_frame_equal(again.neurons, first.neurons)
    with pytest.raises(
        RunFolderError, match=r"run/size builds on retinotopy as .* changed; delete"
    ):
        run("size", twin, given=moved(given, "retinotopy"), **options)


def test_a_stopped_measurement_is_not_continued_at_other_places(tmp_path, monkeypatch):
    twin = insilico.SimulatedV1("image", simple_count=1, energy_count=1)
    options = {"out": tmp_path / "run", "jobs": 1}
    given = planted_results(twin)

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(find_experiment("size")), "conclude", stop)
        with pytest.raises(KeyboardInterrupt):
            run("size", twin, given=given, **options)
    with pytest.raises(RunFolderError, match=r"run/parts/size builds on retinotopy as"):
        run("size", twin, given=moved(given, "retinotopy"), **options)
    assert run("size", twin, given=given, **options).neurons["shown_x_px"].notna().all()


def test_unknown_override_of_a_protocol_object_is_guessed():
    twin = insilico.SimulatedV1("image", simple_count=1, energy_count=0)
    protocol = read_protocol(DirectionProtocol, None, experiment="direction")
    with pytest.raises(ProtocolError, match="did you mean 'orientation_count'"):
        run("direction", twin, protocol=protocol, overrides={"orientation_cuont": 4})
    with pytest.raises(ProtocolError, match="orientation_count is 'few'; give a whole number"):
        run("direction", twin, protocol=protocol, overrides={"orientation_count": "few"})
    result = run("direction", twin, protocol=protocol, overrides={"orientation_count": 4}, jobs=1)
    assert result.protocol["orientation_count"] == 4
