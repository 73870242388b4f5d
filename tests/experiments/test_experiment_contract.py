"""What every experiment promises, held to every experiment and every kind of twin it serves."""

import inspect
import re
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from battery import CASES, quick_protocol, quick_result, required, run_quickly, small_twin

import insilico
from insilico import catalog
from insilico.errors import ProtocolError, StimulusError
from insilico.experiments import EXPERIMENTS, find_experiment, read_protocol
from insilico.experiments.protocols import experiment_of
from insilico.synthesis.protocol import MOTION, SynthesisProtocol

README = Path(__file__).resolve().parents[2] / "experiments" / "README.md"
DEPENDENT = [(name, kind) for name, kind in CASES if required(name, kind)]
#: Whose numbers of a neuron depend on who else was asked.
ABOUT_PAIRS = {"similarity"}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_default_protocol_holds_together_and_says_where_it_is_from(name):
    protocol = read_protocol(find_experiment(name).protocol_type, None, experiment=name)
    assert protocol.experiment == name
    assert len(protocol.source) > 20


def test_every_shipped_protocol_can_be_read():
    for source in catalog.entries("experiments"):
        name = experiment_of(source)
        kind = SynthesisProtocol if name in MOTION else find_experiment(name).protocol_type
        protocol = read_protocol(kind, source, experiment=name)
        assert protocol.experiment == name
        assert len(protocol.source) > 20, source


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_is_documented(name):
    question = find_experiment(name)
    assert question.name == name
    assert f"\n## {name}\n" in README.read_text(encoding="utf-8")
    assert inspect.getdoc(question)
    assert all(len(meaning) > 10 for meaning in question.statuses.values())


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_neuron_has_a_row_with_a_documented_status(name, kind):
    question, table = find_experiment(name), quick_result(name, kind).neurons
    known = small_twin(kind).neurons()
    assert list(table["neuron"]) == list(known["neuron"])
    assert {"mouse", "neuron", "neuron_id", "kind", "status", "error_source"} <= set(table)
    assert table["status"].notna().all()
    assert set(table["status"]) <= set(question.statuses)
    assert set(question.summary_columns) <= set(table)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_standard_error_has_its_value_beside_it(name, kind):
    table = quick_result(name, kind).neurons
    for error in [column for column in table if column.endswith("_se")]:
        value = error.removesuffix("_se")
        assert value in table
        assert not (table[error].notna() & table[value].isna()).any(), error
        assert not (table[error] < 0).any(), error


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_noiseless_twin_gets_no_p_value_of_its_own(name, kind):
    table = quick_result(name, kind).neurons
    assert not [column for column in table if re.search(r"(^|_)[pq](_value)?$", column)]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_result_survives_saving(name, kind, tmp_path):
    result = quick_result(name, kind)
    again = insilico.Result.load(result.save(tmp_path / name))
    assert list(again.tables) == list(result.tables)
    for table in result.tables:
        pd.testing.assert_frame_equal(again.tables[table], result.tables[table])
    assert again.arrays.identical(result.arrays)
    assert again.protocol == result.protocol
    for key in ("package", "model", "weights", "seed", "device", "plan", "stimulus_id"):
        assert key in again.provenance


@pytest.mark.parametrize(("name", "kind"), [case for case in CASES if case[0] not in ABOUT_PAIRS])
def test_some_neurons_alone_give_what_they_give_among_all(name, kind):
    everyone = quick_result(name, kind).neurons
    some = run_quickly(name, kind, neurons=[4, 1]).neurons
    assert list(some["status"]) == list(everyone["status"].iloc[[4, 1]])
    numbers = everyone.select_dtypes("number").columns
    np.testing.assert_allclose(
        some[numbers].to_numpy(float),
        everyone[numbers].iloc[[4, 1]].to_numpy(float),
        rtol=5e-3,
        atol=5e-3,
    )


def interrupt_after(monkeypatch, name, blocks):
    """Let the accumulator of an experiment be stopped by Ctrl-C after some blocks."""
    question = type(find_experiment(name))
    original = question.accumulator
    left = [blocks]

    def accumulator(self, setting):
        sums = original(self, setting)
        add = sums.add

        def counted(block):
            if left[0] == 0:
                signal.raise_signal(signal.SIGINT)
            left[0] -= 1
            add(block)

        sums.add = counted
        return sums

    monkeypatch.setattr(question, "accumulator", accumulator)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_stopped_and_continued_is_as_if_never_stopped(name, kind, tmp_path, monkeypatch):
    whole = quick_result(name, kind)
    if whole.provenance["trials"] == 0:
        pytest.skip(f"{name} shows nothing that could be stopped")
    for blocks in (1, 0):
        folder = tmp_path / f"after-{blocks}"
        with monkeypatch.context() as patch:
            interrupt_after(patch, name, blocks)
            try:
                run_quickly(name, kind, out=folder)
            except KeyboardInterrupt:
                assert (folder / "parts" / name / "state.npz").exists()
                break
    else:
        pytest.fail("no block was ever added")
    continued = run_quickly(name, kind, out=folder)
    assert list(continued.tables) == list(whole.tables)
    for table in whole.tables:
        pd.testing.assert_frame_equal(continued.tables[table], whole.tables[table])
    assert continued.arrays.identical(whole.arrays)
    assert continued.provenance["stimulus_id"] == whole.provenance["stimulus_id"]
    assert not (folder / "parts").exists()


@pytest.mark.parametrize(("name", "kind"), DEPENDENT)
def test_what_is_missing_is_named_with_the_command_that_makes_it(name, kind):
    missing = required(name, kind)
    message = f"{name} builds on {' and '.join(missing)}, .*insilico run {' '.join(missing)},"
    with pytest.raises(ProtocolError, match=message):
        insilico.run(name, small_twin(kind), protocol=quick_protocol(name), jobs=1)


@pytest.mark.parametrize(("name", "kind"), DEPENDENT)
def test_what_is_built_on_is_found_in_the_run_folder(name, kind, tmp_path):
    for needed in required(name, kind):
        run_quickly(needed, kind, out=tmp_path / "run")
    found = insilico.run(
        name, small_twin(kind), protocol=quick_protocol(name), out=tmp_path / "run", jobs=1
    )
    pd.testing.assert_frame_equal(found.neurons, quick_result(name, kind).neurons)


@pytest.mark.parametrize(
    "name", [name for name in EXPERIMENTS if "image" not in find_experiment(name).kinds]
)
def test_images_cannot_answer_what_takes_time(name):
    with pytest.raises(StimulusError, match=rf"{name} needs movies, and .* is a model of images"):
        insilico.run(name, small_twin("image"), jobs=1)


def test_a_twin_that_cannot_answer_is_told_so(monkeypatch):
    monkeypatch.setattr(type(find_experiment("direction")), "kinds", ("movie",))
    with pytest.raises(StimulusError, match="direction needs movies"):
        insilico.run("direction", small_twin("image"), jobs=1)
