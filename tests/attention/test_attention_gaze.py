"""Whether attention follows the eye: planted relations, none at all, and what cannot be tested."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import scipy.stats
import xarray as xr

from insilico import Result
from insilico.attention import relate_to_gaze
from insilico.attention.gaze import PAIRS
from insilico.errors import NotFittedError

NAMES = ("center_x_deg", "center_y_deg", "spread_x_deg", "spread_y_deg")


def attention_result(table):
    provenance = {"kind": "movie" if "frame" in table else "image", "screens": {}}
    return Result(
        "attention", {"attention": table}, xr.Dataset(), {"burn_in_frames": 0}, provenance
    )


def image_table(rng, trials=60, mouse="A", slope=0.0):
    """Return a table whose azimuth follows the pupil's x, and nothing else anything."""
    table = pd.DataFrame(rng.standard_normal((trials, 4)), columns=list(NAMES))
    table[["pupil_x", "pupil_y", "pupil_size"]] = 150 + 5 * rng.standard_normal((trials, 3))
    table["center_x_deg"] += slope * (table["pupil_x"] - 150)
    table.insert(0, "mouse", mouse)
    table.insert(1, "trial", np.arange(trials))
    return table.assign(status="ok")


def movie_table(rng, trials=12, frames=40, slope=0.0):
    """Return a table of movies in which everything wanders slowly."""
    noise = rng.standard_normal((7, trials, frames))
    walks = scipy.signal.lfilter([1.0], [1.0, -0.98], noise, axis=-1).reshape(7, -1)
    table = pd.DataFrame(
        dict(zip((*NAMES, "pupil_x", "pupil_y", "pupil_size"), walks, strict=True))
    )
    table["center_y_deg"] += slope * table["pupil_y"]
    table.insert(0, "mouse", "A")
    table.insert(1, "trial", np.repeat(np.arange(trials), frames))
    table.insert(2, "frame", np.tile(np.arange(frames), trials))
    return table.assign(status="ok")


def row_of(result, attention, mouse="A"):
    table = result.tables["attention_gaze"]
    return table[(table["attention"] == attention) & (table["mouse"] == mouse)].iloc[0]


def test_planted_relation_is_found_with_its_slope_and_interval():
    table = image_table(np.random.default_rng(0), trials=200, slope=0.3)
    result = relate_to_gaze(attention_result(table))
    row = row_of(result, "center_x_deg")
    expected = scipy.stats.linregress(table["pupil_x"], table["center_x_deg"])
    assert row["correlation"] == pytest.approx(expected.rvalue)
    assert row["correlation"] == pytest.approx(1.5 / np.sqrt(1 + 1.5**2), abs=0.05)
    assert row["slope"] == pytest.approx(expected.slope)
    assert row["intercept"] == pytest.approx(expected.intercept)
    assert row["ci_low"] < row["correlation"] < row["ci_high"]
    assert row["p_value"] == pytest.approx(1 / 1001)
    assert (row["trial_count"], row["row_count"], row["status"]) == (200, 200, "ok")
    other = row_of(result, "center_y_deg")
    assert other["p_value"] > 0.01
    assert other["ci_low"] < 0 < other["ci_high"]


def test_all_pairs_are_related_for_every_mouse():
    rng = np.random.default_rng(1)
    table = pd.concat([image_table(rng, mouse="A"), image_table(rng, mouse="B", slope=1.0)])
    result = relate_to_gaze(attention_result(table), shuffle_count=99, draws=50)
    found = result.tables["attention_gaze"]
    assert list(zip(found["attention"], found["animal"], strict=True)) == [*PAIRS, *PAIRS]
    assert row_of(result, "center_x_deg", "B")["correlation"] > 0.9
    assert abs(row_of(result, "center_x_deg", "A")["correlation"]) < 0.4
    assert set(result.tables["points"]["mouse"]) == {"A", "B"}


def test_movies_move_as_whole_trials():
    planted = relate_to_gaze(attention_result(movie_table(np.random.default_rng(2), slope=2.0)))
    row = row_of(planted, "center_y_deg")
    assert (row["trial_count"], row["row_count"]) == (12, 480)
    assert row["p_value"] == pytest.approx(1 / 1001)
    p_values = []
    for seed in range(40):
        table = movie_table(np.random.default_rng(seed))
        result = relate_to_gaze(attention_result(table), shuffle_count=99, draws=2, seed=seed)
        p_values += list(result.tables["attention_gaze"]["p_value"][:2])
    assert scipy.stats.kstest(p_values, "uniform").pvalue > 0.05
    assert np.mean(np.array(p_values) <= 0.05) < 0.13


def test_too_few_trials_have_a_correlation_and_no_test():
    table = image_table(np.random.default_rng(3), trials=4)
    row = row_of(relate_to_gaze(attention_result(table)), "center_x_deg")
    assert row["status"] == "too_few_trials"
    assert np.isfinite(row["correlation"])
    assert np.isnan([row["p_value"], row["ci_low"], row["ci_high"]]).all()


def test_movies_that_none_other_can_replace_do_not_count_as_trials():
    table = movie_table(np.random.default_rng(4), trials=6, frames=20)
    ragged = table[table["frame"] < 10 + table["trial"]]
    row = row_of(relate_to_gaze(attention_result(ragged)), "center_x_deg")
    assert (row["trial_count"], row["status"]) == (6, "too_few_trials")


def test_what_does_not_vary_is_told_apart():
    table = image_table(np.random.default_rng(5)).assign(center_x_deg=3.0, pupil_y=140.0)
    result = relate_to_gaze(attention_result(table), shuffle_count=9, draws=9)
    assert row_of(result, "center_x_deg")["status"] == "constant_attention"
    assert row_of(result, "center_y_deg")["status"] == "constant_animal"
    assert row_of(result, "spread_x_deg")["status"] == "ok"
    assert np.isnan(row_of(result, "center_x_deg")["correlation"])


def test_constant_maps_are_left_out():
    table = image_table(np.random.default_rng(6), trials=30)
    table.loc[:4, ["center_x_deg", "status"]] = [1e6, "constant_map"]
    result = relate_to_gaze(attention_result(table))
    assert row_of(result, "center_x_deg")["row_count"] == 25
    assert len(result.tables["points"]) == 25
    flat = relate_to_gaze(attention_result(table.assign(status="constant_map")))
    assert set(flat.tables["attention_gaze"]["status"]) == {"too_few_trials"}
    assert set(flat.tables["attention_gaze"]["row_count"]) == {0}


def test_seed_decides_p_values_and_intervals_and_mice_have_their_own():
    table = image_table(np.random.default_rng(7), slope=0.05)
    first, again, other = (
        relate_to_gaze(attention_result(table), seed=seed).tables["attention_gaze"]
        for seed in (1, 1, 2)
    )
    assert first.equals(again)
    assert not np.allclose(first["ci_low"], other["ci_low"])
    assert set(other["seed"]) == {2}


def test_pupil_size_may_be_missing_but_not_the_gaze():
    table = image_table(np.random.default_rng(8))
    found = relate_to_gaze(attention_result(table.drop(columns="pupil_size")))
    assert len(found.tables["attention_gaze"]) == 2
    with pytest.raises(NotFittedError, match="holds no gaze to relate to"):
        relate_to_gaze(attention_result(table.drop(columns=["pupil_x", "pupil_y"])))


def test_gaze_is_related_without_torch():
    script = (
        "import sys; from insilico.attention import relate_to_gaze as _; assert 'torch' not in "
    )
    script += "sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_result_comes_back_from_disk(tmp_path):
    result = relate_to_gaze(attention_result(image_table(np.random.default_rng(9))))
    loaded = Result.load(result.save(tmp_path / "attention_gaze"))
    assert loaded.tables["attention_gaze"].equals(result.tables["attention_gaze"])
    assert loaded.protocol["shuffle_count"] == 1000
